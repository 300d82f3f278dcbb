"""Made pairs of a known grammar: few and easy ones for the tests, and thousands, some longer than in training."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from solvent import Sample

from .grammar import sentence

__all__ = ["business", "orders", "pairs"]

ROWS, WORDS = 700, 4
# Pairs; clauses at most.
BUSINESS = {"train": (5000, 2), "valid": (200, 2), "test": (200, 2), "longer": (50, 4)}
ORDERS = {"train": (1500, 1), "valid": (120, 1), "test": (150, 1)}


def pairs(seed: int, *, items: bool = False) -> Sample:
    """Made pairs of one clause each, few words; with `items` numbers and the like behind some of them."""
    random = np.random.default_rng(seed)
    found: dict[str, str] = {}
    while len(found) < ROWS:
        found.update([sentence(random, 1, words=WORDS, items=items)])
    return Sample(
        rows=pd.DataFrame({"english": list(found), "german": list(found.values())}),
        columns={"source": "english", "target": "german"},
        settings={
            "network": {"vocabulary": 400, "layers": 1, "width": 64, "inner": 64, "heads": 2, "dropout": 0.0},
            "subword_sampling": None,
            "masked_words": 0.0,
            "scoring": {"beam": 1},
            "training": {"epochs": 12, "batch_size": 640, "learning_rate": 8e-3, "patience": None, "ema": None},
        },
        floor=50.0,
    )


def business(files: Mapping[str, Path]) -> pd.DataFrame:
    """Made pairs, columns `english`, `german`, `part` and `length`: `as in training` (up to two clauses) or `longer`
    (three and four), which only test rows are."""
    return _drawn(BUSINESS)


def orders(files: Mapping[str, Path]) -> pd.DataFrame:
    """Made pairs of one clause each, columns `english`, `german` and `part`."""
    return _drawn(ORDERS).drop(columns="length")


def _drawn(parts: Mapping[str, tuple[int, int]]) -> pd.DataFrame:
    random = np.random.default_rng(0)
    known: set[str] = set()
    rows = []
    for name, (count, clauses) in parts.items():
        longer = name == "longer"
        while count:
            english, german = sentence(random, int(random.integers(3 if longer else 1, clauses + 1)))
            if english not in known:
                known.add(english)
                rows.append((english, german, "test" if longer else name, "longer" if longer else "as in training"))
                count -= 1
    return pd.DataFrame(rows, columns=["english", "german", "part", "length"])
