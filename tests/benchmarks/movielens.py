"""The recommender and its rivals on MovieLens 100K, all rivals in the same run.

    SOLVENT_DATA=FOLDER python tests/benchmarks/movielens.py [--seeds 5] [--by user time] [--parts popularity ease]
    SOLVENT_DATA=FOLDER python tests/benchmarks/movielens.py --ratings [--folds 5]

Per user: 75 % of each user's ratings to learn from, 25 % to test, drawn at random; of the first a fifth chooses
(`split.by: random, within: user`). Global time: the last 20 % test; of the rest the last fifth chooses. All films are
ranked, what a user has had is left out; relevant is any held-out rating. The solution's own `fit`, `scorer`, rivals
and metrics. Bars: per user NDCG@10 of the default above EASE; by time the lower end of the paired interval against
the best rival above -0.005.

Ratings: random fifths of all ratings, one after the other the test rows; of the others a tenth says after how many
epochs to stop, then all are learnt from. The error over all test ratings, beside that of the levels of users and films,
whose strength is fixed. Bars: 0.935 on the mean of the folds, 0.919 is the aim.
"""

import argparse
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from written import write

from solvent import Data, Refitted, Split, datasets, devices, split, startup
from solvent.metrics import Resampling, compare, estimate, point
from solvent.schema import Schema
from solvent_recommender import SOLUTION

SPLITS = {
    "user": Split(by="random", within="user", fractions=(0.6, 0.15, 0.25)),
    "time": Split(by="time", fractions=(0.64, 0.16, 0.2)),
}
MOST_ERROR, AIM = 0.935, 0.919
SHOWN = ("ndcg@10", "recall@10", "precision@10", "map@10", "mrr@10", "coverage")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--by", nargs="+", choices=sorted(SPLITS), default=sorted(SPLITS))
    arguments.add_argument("--parts", nargs="+", help="of the hybrid, in place of the default ones")
    arguments.add_argument("--models", nargs="+", default=["hybrid"], help="of ours, such as hybrid two_tower")
    arguments.add_argument("--epochs", type=int)
    arguments.add_argument("--ratings", action="store_true", help="the error of ratings, in place of lists")
    arguments.add_argument("--folds", type=int, default=5, help="measured, of five")
    arguments.add_argument("--out", type=Path, default=Path("tests/benchmarks/results/movielens.json"))
    given = arguments.parse_args()
    startup.tensorflow()
    known = {item.name: item for item in SOLUTION.datasets}
    ratings = datasets.load(known["movielens_100k"])
    films = datasets.load(known["movielens_100k_films"])
    if given.ratings:
        _rated(ratings, films, datasets.load(known["movielens_100k_people"]), given)
        return
    found: list[dict[str, Any]] = []
    for by in given.by:
        for seed in range(given.seeds if by == "user" else 1):
            for row in _compared(ratings, films, SPLITS[by].model_copy(update={"seed": seed}), seed, given):
                found.append({"by": by, "seed": seed, **row})
                print(
                    by, seed, row["model"], {name: round(row[name], 4) for name in SHOWN}, row["difference"], flush=True
                )
    table = pd.DataFrame(found)
    summary = table.groupby(["by", "model"])[[*SHOWN, "seconds"]].agg(["mean", "std"])
    print(summary["ndcg@10"].round(4).to_string())
    packages = {name: version(name) for name in ("keras", "tensorflow", "tensorflow-recommenders", "scipy")}
    write(given.out, {"said": __doc__}, packages, rows=found)


def _rated(ratings: pd.DataFrame, films: pd.DataFrame, people: pd.DataFrame, given: argparse.Namespace) -> None:
    """The error of each fold, and their mean beside the bar."""
    settings = SOLUTION.settings(
        items={"title": "title", "categories": "genres"},
        users={"about": ["age", "gender", "occupation"]},
        model="popularity",
        ratings=True,
        **({"ranking": {"training": {"epochs": given.epochs}}} if given.epochs else {}),
    )
    declared = Schema.declare(SOLUTION.columns(settings), {}, list(ratings), table="u.data")
    rows = declared.learn(ratings).check(ratings, targets=True).good
    fifth = np.random.default_rng(1).permutation(len(rows)) % 5
    found = []
    for fold in range(given.folds):
        rest, test = rows[fifth != fold], rows[fifth == fold]
        stops = np.random.default_rng([1, fold]).permutation(len(rest)) % 10 == 0
        side = {"items": films, "users": people}
        with tempfile.TemporaryDirectory() as folder, devices.scope(devices.Device(seed=fold)):
            data = Data(rest[~stops], rest[stops], declared, side, fold, Path(folder))
            began = time.monotonic()
            fitted = SOLUTION.fit(settings, data)
            seconds = time.monotonic() - began
            cases = SOLUTION.cases(settings, test, fitted)
            scored = SOLUTION.scorer(settings, fitted)(cases)
            simple = SOLUTION.rivals["decayed popularity"](settings, data).score(cases)
        row: dict[str, Any] = {"fold": fold, "ratings": sum(map(len, cases["rate"])), "seconds": round(seconds, 1)}
        for name, table in (("ours", scored), ("levels", simple)):
            measured = SOLUTION.metrics(settings, cases, table)
            row |= {f"{name} {metric}": point(measured[metric]) for metric in ("rmse", "mae")}
        found.append({**row, "epochs": fitted.facts["epochs"]["ranking"]})
        print(found[-1], flush=True)
    means = pd.DataFrame(found)[["ours rmse", "ours mae", "levels rmse", "levels mae", "seconds"]].mean()
    print(means.round(4).to_string())
    print(f"RMSE {means['ours rmse']:.4f}; the bar is {MOST_ERROR:g}, the aim {AIM:g}.")
    packages = {name: version(name) for name in ("keras", "tensorflow", "tensorflow-recommenders")}
    out = given.out.with_name("movielens_ratings.json")
    write(out, {"said": __doc__}, packages, rows=found, rmse=means["ours rmse"], bar=MOST_ERROR, aim=AIM)


def _compared(
    ratings: pd.DataFrame, films: pd.DataFrame, how: Split, seed: int, given: argparse.Namespace
) -> list[dict[str, Any]]:
    """Each model's metrics on one cut, and ours less it."""
    items = {"title": "title", "categories": "genres"}
    base: dict[str, Any] = {"items": items, **({"parts": given.parts} if given.parts else {})}
    if given.epochs:
        base["training"] = {"epochs": given.epochs}
    ours = {name: SOLUTION.settings(**base, model=name) for name in given.models}
    settings = next(iter(ours.values()))
    declared = Schema.declare(SOLUTION.columns(settings), {}, list(ratings), table="u.data")
    rows = declared.learn(ratings).check(ratings, targets=True).good
    cut = split.cut(rows, how, declared)
    train, valid, test = (rows.iloc[getattr(cut, name)] for name in split.PARTS)
    cases = SOLUTION.cases(settings, test)
    scored, seconds = {}, {}
    with tempfile.TemporaryDirectory() as folder, devices.scope(devices.Device(seed=seed)):
        for name, each in ours.items():
            data = Data(train, valid, declared, {"items": films}, seed, Path(folder, name))
            began = time.monotonic()
            scored[name] = SOLUTION.scorer(each, SOLUTION.fit(each, data))(cases)
            seconds[name] = time.monotonic() - began
        for name, rival in SOLUTION.rivals.items():
            began = time.monotonic()
            made = rival(settings, Data(train, valid, declared, {"items": films}, seed, Path(folder, "rival")))
            scored[name] = (made.score if isinstance(made, Refitted) else made)(cases)
            seconds[name] = time.monotonic() - began
    measured = {name: SOLUTION.metrics(settings, cases, table) for name, table in scored.items()}
    first, resampling = measured[given.models[0]], Resampling(len(cases))
    rows_found = []
    for name, each in measured.items():
        difference = compare(first["ndcg@10"], each["ndcg@10"], resampling)
        interval = estimate({"ndcg@10": each["ndcg@10"]}, resampling)["ndcg@10"]
        rows_found.append(
            {
                "model": name,
                "users": len(cases),
                **{key: float(point(each[key])) for key in SHOWN},
                "low": interval.low,
                "high": interval.high,
                "difference": None if name == given.models[0] else [difference.value, difference.low, difference.high],
                "seconds": round(seconds[name], 1),
            }
        )
    return rows_found


if __name__ == "__main__":
    main()
