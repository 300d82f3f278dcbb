"""Top-10 lists by exact search: users a second, and how many times the bare float32 matrix product they cost.

    python tests/benchmarks/topk.py [--users 1000000] [--items 100000] [--dimension 64] [--out FILE]

Made vectors. In each of several rounds a share of the users is searched and a bare `queries @ items.T` of the same
blocks is timed right after it, so that a busy machine slows both. The bar: a ratio of at most 2.5. The largest memory
that the process held is told, and what all scores at once would take.
"""

import argparse
import resource
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from written import write

from solvent import startup

ROUNDS = 5


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--users", type=int, default=1_000_000)
    arguments.add_argument("--items", type=int, default=100_000)
    arguments.add_argument("--dimension", type=int, default=64)
    arguments.add_argument("--out", type=Path, default=Path("tests/benchmarks/results/topk.json"))
    given = arguments.parse_args()
    startup.tensorflow()
    import tensorflow as tf

    from solvent_recommender import topk

    random = np.random.default_rng(0)
    items = random.normal(size=(given.items, given.dimension)).astype(np.float32)
    rows = max(1, min(topk.MOST_QUERIES, topk.CELLS // given.items))
    columns = tf.constant(np.ascontiguousarray(items.T))
    bare = tf.function(lambda block: tf.reduce_sum((block @ columns)[:, :1]))
    bare(tf.zeros((rows, given.dimension)))
    topk.search(np.zeros((1, given.dimension), np.float32), items, 10)
    ours, theirs, done = [], [], 0
    for _ in range(ROUNDS):
        users = random.normal(size=(given.users // ROUNDS, given.dimension)).astype(np.float32)
        began = time.perf_counter()
        places, _ = topk.search(users, items, 10)
        ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        for begin in range(0, len(users), rows):
            bare(tf.constant(np.resize(users[begin : begin + rows], (rows, given.dimension)))).numpy()
        theirs.append(time.perf_counter() - began)
        done += len(users)
        sure = np.argsort(-(users[:3] @ items.T), axis=1)[:, :10]
        assert (np.sort(places[:3], axis=1) == np.sort(sure, axis=1)).all()
    found = {
        "users": done,
        "items": given.items,
        "dimension": given.dimension,
        "users_a_second": round(done / sum(ours), 1),
        "ratio_to_the_product": round(float(np.median(np.array(ours) / np.array(theirs))), 3),
        "limit": 2.5,
        "largest_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "all_scores_mb": done * given.items * 4 // 2**20,
    }
    print("\n".join(f"{name:24} {value}" for name, value in found.items()))
    packages = {name: version(name) for name in ("tensorflow", "numpy")}
    write(given.out, {"said": __doc__}, packages, **found)


if __name__ == "__main__":
    main()
