"""The recommender and its rivals on MovieLens 100K, all rivals in the same run.

    SOLVENT_DATA=FOLDER python tests/benchmarks/movielens.py [--seeds 5] [--by user time] [--parts popularity ease]

Per user: 75 % of each user's ratings to learn from, 25 % to test, drawn at random; of the first a fifth chooses
(`split.by: random, within: user`). Global time: the last 20 % test; of the rest the last fifth chooses. All films are
ranked, what a user has had is left out; relevant is any held-out rating. The solution's own `fit`, `scorer`, rivals
and metrics. Bars: per user NDCG@10 of the default above EASE; by time the lower end of the paired interval against
the best rival above -0.005.
"""

import argparse
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

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
SHOWN = ("ndcg@10", "recall@10", "precision@10", "map@10", "mrr@10", "coverage")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--by", nargs="+", choices=sorted(SPLITS), default=sorted(SPLITS))
    arguments.add_argument("--parts", nargs="+", help="of the hybrid, in place of the default ones")
    arguments.add_argument("--models", nargs="+", default=["hybrid"], help="of ours, such as hybrid two_tower")
    arguments.add_argument("--epochs", type=int)
    arguments.add_argument("--out", type=Path, default=Path("tests/benchmarks/results/movielens.json"))
    given = arguments.parse_args()
    startup.tensorflow()
    known = {item.name: item for item in SOLUTION.datasets}
    ratings = datasets.load(known["movielens_100k"])
    films = datasets.load(known["movielens_100k_films"])
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
