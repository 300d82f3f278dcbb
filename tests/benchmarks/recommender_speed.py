"""Seconds an epoch of the two towers, against a plain training loop of TensorFlow Recommenders, in one run.

    SOLVENT_DATA=FOLDER python tests/benchmarks/recommender_speed.py [--epochs 15] [--rounds 3]

MovieLens 100K, each user's ratings cut at random, 75 % to learn from, 25 % to test. Theirs: tfrs_tutorial.py, in a
process of its own on Keras 2, with its batches of 8,192 and its metric FactorizedTopK in every step, vectors as wide as
ours. Ours: `two_tower.fit` with the solution's own settings, its checkpoint of every epoch and the vectors of all films
included, no validation. Both on the same rows for as many
epochs, one after the other, round by round; of each round's epochs but the first, which builds the graphs, the median.
Recall@10 on the test rows, all films ranked, those that a user had left out, for both in the same way. Bars: 5 times as
fast, at a recall that is not lower.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from written import write

from solvent import Data, Fitted, Split, datasets, devices, split, startup
from solvent.metrics import point, ranking
from solvent.schema import Schema
from solvent_recommender import SOLUTION

TIMES = 5.0
BATCH = 8192  # of the tutorials


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--epochs", type=int, default=15)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--rows", type=int, help="only so many ratings, to try it")
    arguments.add_argument("--out", type=Path, default=Path("tests/benchmarks/results/recommender_speed.json"))
    given = arguments.parse_args()
    startup.tensorflow()
    known = {item.name: item for item in SOLUTION.datasets}
    films = datasets.load(known["movielens_100k_films"])
    settings = SOLUTION.settings(
        items={"title": "title", "categories": "genres"},
        model="two_tower",
        training={"epochs": given.epochs, "patience": None},
    )
    ratings = datasets.load(known["movielens_100k"]).head(given.rows)
    declared = Schema.declare(SOLUTION.columns(settings), {}, list(ratings), table="u.data")
    rows = declared.learn(ratings).check(ratings, targets=True).good
    cut = split.cut(rows, Split(by="random", within="user", fractions=(0.6, 0.15, 0.25)), declared)
    train, test = rows.iloc[np.sort(np.concatenate([cut.train, cut.valid]))], rows.iloc[cut.test]
    cases = SOLUTION.cases(settings, test, None)
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        for number in range(given.rounds):
            folder = Path(name, str(number))
            folder.mkdir()
            seconds, lists = theirs(train, cases, folder, given.epochs, settings.towers.width)
            found.append({"way": "plain loop", **_measured(seconds, cases, lists)})
            print(found[-1], flush=True)
            seconds, lists = ours(settings, Data(train, train.head(0), declared, {"items": films}, 0, folder), cases)
            found.append({"way": "two towers", **_measured(seconds, cases, lists)})
            print(found[-1], flush=True)
    table = pd.DataFrame(found).groupby("way")[["seconds an epoch", "recall@10"]].median()
    ratio = table["seconds an epoch"]["plain loop"] / table["seconds an epoch"]["two towers"]
    no_worse = bool(table["recall@10"]["two towers"] >= table["recall@10"]["plain loop"])
    print(table.round(4).to_string())
    print(f"{ratio:.1f} times as fast; the bar is {TIMES:g}. Recall is {'not ' if no_worse else ''}lower.")
    packages = {each: version(each) for each in ("keras", "tf-keras", "tensorflow", "tensorflow-recommenders")}
    write(given.out, {"said": __doc__}, packages, rows=found, ratio=ratio, bar=TIMES, recall_no_lower=no_worse)


def _measured(seconds: list[float], cases: pd.DataFrame, lists: list[list[str]]) -> dict[str, float]:
    recall = point(ranking(cases["item"], lists, [10])["recall@10"])
    return {"seconds an epoch": float(np.median(seconds[1:])), "first epoch": seconds[0], "recall@10": recall}


def theirs(
    train: pd.DataFrame, cases: pd.DataFrame, folder: Path, epochs: int, width: int
) -> tuple[list[float], list[list[str]]]:
    """The plain loop in a process of its own: its epochs' seconds and its lists."""
    from solvent_recommender.topk import searcher

    train[["user", "item"]].astype(str).to_parquet(folder / "events.parquet")
    command = [sys.executable, str(Path(__file__).with_name("tfrs_tutorial.py")), str(folder / "events.parquet")]
    command += [str(folder / "found.npz"), str(epochs), str(BATCH), str(width)]
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run(command, check=True, env=environment, stderr=subprocess.DEVNULL)
    with np.load(folder / "found.npz") as made:
        users, items = pd.Index(made["user_ids"].astype(object)), made["item_ids"].astype(object)
        places = users.get_indexer(cases["user"])
        vectors, products, seconds = made["users"][places], made["items"], made["seconds"].tolist()
    row = pd.Series(range(len(cases)), index=cases["user"].to_numpy())
    had = train[train["user"].isin(row.index)]
    asked = row.loc[had["user"]].to_numpy()
    order = np.argsort(asked, kind="stable")
    seen = (asked[order], pd.Index(items).get_indexer(had["item"])[order])
    found, _ = searcher(products, 10)(vectors, seen)
    return seconds, [items[each[each >= 0]].tolist() for each in found]


def ours(settings: Any, data: Data, cases: pd.DataFrame) -> tuple[list[float], list[list[str]]]:
    """Our towers: their epochs' seconds and their lists, by the solution's own way of making them."""
    from solvent_recommender import model, two_tower
    from solvent_recommender.catalogue import Catalogue
    from solvent_recommender.hybrid import alone
    from solvent_recommender.interactions import Known
    from solvent_recommender.lists import scorer

    known = Known.of(settings, data.train)
    catalogue = Catalogue.of(settings, known.items, data.side["items"])
    goal = SOLUTION.headline(settings)
    stamps: list[float] = []

    def measure(part: Any) -> float:
        """A headline that grows, so that the last epoch is kept."""
        stamps.append(time.monotonic())
        return float(len(stamps))

    with devices.scope(devices.Device(seed=data.seed)):
        stamps.append(time.monotonic())
        models, own, _ = two_tower.fit(settings, "two_tower", data, known, catalogue, goal, measure, None)
        chosen = dict.fromkeys(model.needed(settings, settings.used))
        assets = model.fitted_parts(settings, chosen, known, catalogue)
        assets |= {f"two_tower_{key}": value for key, value in own.items()}
        fitted = Fitted(models, assets=assets, batch_rows=two_tower.BATCH_ROWS)
        quick = settings.model_copy(update={"scoring": settings.scoring.model_copy(update={"reasons": False})})
        lists = scorer(model.engine(quick, fitted, alone("two_tower"), known, catalogue))(cases)
    return np.diff(stamps).tolist(), [each[:10] for each in lists["items"]]


if __name__ == "__main__":
    main()
