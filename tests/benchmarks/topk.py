"""Top-10 lists for many users from the batch engine: users a second, and how many bare matrix products that is.

    python tests/benchmarks/topk.py [--users 1000000] [--items 100000] [--dimension 64] [--reasons] [--out FILE]

Made users, each with a history of 20 made items, and two towers of untrained vectors of which the lists are the
products: what a list costs doesn't depend on what is in it. `solvent score` reads the users from a Parquet file,
checks them, runs the network for users, searches all items exactly, leaves out what each user has had, and publishes
lists with their scores, novelty and diversity as Parquet files; with `--reasons` with those too. Before and after it
the bare float32 `queries @ items.T` of as many users is timed, in blocks of the same size, on up to 50,000 of them.
The bar: at most 2.5 times that product. On a machine that does other work too, the seconds of all processors say
more; they leave out what waits for one of them. The largest memory that the process held is told, and what all scores
at once would take.
"""

import argparse
import resource
import tempfile
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from written import write

from solvent import Bundle, Fitted, score, startup, tables, train
from solvent_recommender import SOLUTION

HAD = 20  # items of each user
MOST_TIMED = 50_000  # users of the bare product


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--users", type=int, default=1_000_000)
    arguments.add_argument("--items", type=int, default=100_000)
    arguments.add_argument("--dimension", type=int, default=64)
    arguments.add_argument("--reasons", action="store_true")
    arguments.add_argument("--out", type=Path, default=Path("tests/benchmarks/results/topk.json"))
    given = arguments.parse_args()
    startup.tensorflow()
    with tempfile.TemporaryDirectory() as folder:
        bundle = _made(Path(folder), given)
        users = bundle.fitted.assets["histories"]["user"].unique()
        pd.DataFrame({"customer": users}).to_parquet(Path(folder, "users.parquet"))
        product = [_bare(given)]
        began, busy = time.perf_counter(), time.process_time()
        manifest = score.score(bundle, Path(folder, "users.parquet"), Path(folder, "lists"))
        seconds, busy = time.perf_counter() - began, time.process_time() - busy
        product.append(_bare(given))
        lists = pd.concat(map(pd.read_parquet, sorted(Path(folder, "lists").glob("part-*.parquet"))))
        assert manifest["rows_scored"] == len(lists) == given.users
        _check(bundle, lists.sample(3, random_state=0))
    found = {
        "users": given.users,
        "items": given.items,
        "dimension": given.dimension,
        "reasons": given.reasons,
        "seconds": round(seconds, 1),
        "users_a_second": round(given.users / seconds, 1),
        "product_seconds": [round(wall, 1) for wall, _ in product],
        "ratio_to_the_product": round(seconds / float(np.mean([wall for wall, _ in product])), 3),
        "processor_seconds": round(busy, 1),
        "ratio_of_processor_seconds": round(busy / float(np.mean([processor for _, processor in product])), 3),
        "limit": 2.5,
        "largest_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "all_scores_mb": given.users * given.items * 4 // 2**20,
    }
    print("\n".join(f"{name:24} {value}" for name, value in found.items()))
    packages = {name: version(name) for name in ("tensorflow", "numpy")}
    write(given.out, {"said": __doc__}, packages, **found)


def _bare(given: argparse.Namespace) -> tuple[float, float]:
    """Seconds, and seconds of all processors, of the bare product for all users, by some of them."""
    import tensorflow as tf

    from solvent_recommender.topk import block_rows

    random, rows = np.random.default_rng(1), block_rows(given.items)
    columns = tf.constant(random.normal(size=(given.dimension, given.items)).astype(np.float32))
    block = tf.constant(random.normal(size=(rows, given.dimension)).astype(np.float32))
    bare = tf.function(lambda queries: tf.reduce_sum((queries @ columns)[:, :1]))
    bare(block).numpy()
    times = max(1, min(given.users, MOST_TIMED) // rows)
    began, busy = time.perf_counter(), time.process_time()
    for _ in range(times):
        bare(block).numpy()
    share = given.users / (times * rows)
    return (time.perf_counter() - began) * share, (time.process_time() - busy) * share


def _made(folder: Path, given: argparse.Namespace) -> Bundle:
    """A bundle of two towers whose users and items are made."""
    from solvent_recommender.towers import item_tower, user_tower

    sample = SOLUTION.sample(0)
    tables.write(sample.rows, folder / "rows.parquet")
    config: dict[str, Any] = {
        "solution": "solvent_recommender:SOLUTION",
        "data": {"rows": str(folder / "rows.parquet"), "columns": dict(sample.columns)},
        "settings": {
            "model": "two_tower",
            "towers": {"width": given.dimension},
            "training": {"epochs": 1},
            "scoring": {"length": 10, "reasons": given.reasons},
            "at": [10],
        },
    }
    small = train(config, folder / "bundle")
    random, towers = np.random.default_rng(0), small.settings.towers
    items = np.array([f"i{number:06d}" for number in range(given.items)])
    events = pd.DataFrame(
        {
            "user": np.repeat([f"u{number:07d}" for number in range(given.users)], HAD),
            "item": items[random.integers(0, given.items, given.users * HAD)],
            "liked": True,
            "age": np.float32(0),
        }
    )
    events.loc[: given.items - 1, "item"] = items  # each is had once at least
    offer = pd.DataFrame({"item": items})
    assets = {
        "histories": events,
        "items": offer,
        "learnt": offer,
        "popularity_counts": np.ones(given.items, np.float32),
        "two_tower_length": np.array([towers.history]),
    }
    models = {
        "two_tower_users": user_tower(given.items, towers),
        "two_tower_items": item_tower(given.items, 1, towers),
    }
    fitted = Fitted(models, small.fitted.facts, assets, batch_rows=small.fitted.batch_rows)
    return replace(small, fitted=fitted)


def _check(bundle: Bundle, lists: pd.DataFrame) -> None:
    """Lists are those of a full sort."""
    from solvent_recommender.interactions import Known

    known = Known.restored(bundle.fitted.assets["histories"])
    vectors = bundle.fitted.predict(
        {"item": np.arange(1, len(known.items) + 1), "content": np.zeros((len(known.items), 1), np.float32)},
        "two_tower_items",
    )
    histories, _ = known.asked(lists.rename(columns={"customer": "user"}), known.items)
    length = bundle.settings.towers.history
    padded = np.zeros((len(lists), length), np.int32)
    for row in range(len(lists)):
        had = histories.of(row)[::-1][:length]
        padded[row, : len(had)] = had + 1
    products = bundle.fitted.predict({"history": padded}, "two_tower_users") @ vectors.T
    products[histories.owner, histories.item] = -np.inf
    sure = np.argsort(-products, axis=1)[:, :10]
    for row, items in enumerate(lists["items"]):
        assert set(items) == set(known.items[sure[row]])


if __name__ == "__main__":
    main()
