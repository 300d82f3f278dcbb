"""Explicit ratings: the pairs to be rated, the simple way to foretell them, and how far a way is off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from solvent.metrics import Metric, quotient
from solvent.solution import Sums

from .catalogue import Catalogue
from .interactions import Histories, Known, spelled
from .settings import Recommender

__all__ = ["Rate", "explicit", "levels", "measured", "wanted"]

Rate = Callable[[Histories, Sequence[np.ndarray]], list[list[float]]]
DRAWN = 5.0  # ratings of the mean that each level starts from
PASSES = 10


def explicit(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with a rating; of a pair that occurs again the last."""
    ordered = rows.sort_values("time", kind="stable") if "time" in rows else rows
    kept = ordered[ordered["rating"].notna()]
    return kept[~kept.duplicated(["user", "item"], keep="last")].sort_index()


def wanted(rows: pd.DataFrame) -> pd.DataFrame:
    """Of each user of held-out interactions: `rate`, the items that they rated, and `rated`, what they gave them."""
    found = explicit(rows).groupby("user", sort=False)
    return found.agg(rate=("item", list), rated=("rating", list))


def places(catalogue: Catalogue, cells: pd.Series) -> list[np.ndarray]:
    """Where the items of each cell stand in the catalogue, -1 for those that it doesn't have."""
    ids = catalogue.ids
    lists = [spelled(cell) if isinstance(cell, list) else [] for cell in cells]
    return [ids.get_indexer(pd.Index(names, dtype=object)) for names in lists]


def foretold(rate: Rate, histories: Histories, catalogue: Catalogue, table: pd.DataFrame) -> list[Any]:
    """The cells of the output `ratings`: as many numbers as `rate` has items; None where that is missing."""
    if "rate" not in table:
        return [None] * len(table)
    found = rate(histories, places(catalogue, table["rate"]))
    return [each if isinstance(cell, list) else None for cell, each in zip(table["rate"], found, strict=True)]


def levels(rows: pd.DataFrame, known: Known, catalogue: Catalogue) -> Rate:
    """The mean, and how much higher or lower the user rates and the item is rated; both are drawn to 0 as if five more
    ratings were the mean's.

    Source: Koren, Factorization meets the neighborhood, 2008, section 2.1.
    """
    rated = explicit(rows)
    user, item = known.users.get_indexer(rated["user"]), catalogue.ids.get_indexer(rated["item"])
    value = rated["rating"].to_numpy(np.float64)
    mean, low, high = value.mean(), value.min(), value.max()
    users, items = np.zeros(len(known.users) + 1), np.zeros(len(catalogue) + 1)  # the last one for new ones
    for _ in range(PASSES):
        for own, place, other in ((items, item, users[user]), (users, user, items[item])):
            total = np.bincount(place, value - mean - other, minlength=len(own))
            own[:] = total / (np.bincount(place, minlength=len(own)) + DRAWN)

    def rate(histories: Histories, asked: Sequence[np.ndarray]) -> list[list[float]]:
        assert histories.place is not None
        return [
            np.clip(mean + users[place] + items[some], low, high).tolist()
            for place, some in zip(histories.place, asked, strict=True)
        ]

    return rate


def measured(settings: Recommender, rows: pd.DataFrame, scored: pd.DataFrame) -> dict[str, Metric]:
    """`rmse` and `mae` of the ratings, over all ratings of all users; they are resampled by users."""
    if not settings.ratings or "rated" not in rows:
        return {}
    pairs = list(zip(rows["rated"], scored["ratings"], strict=True))
    errors = [np.subtract(truth, said) if isinstance(truth, list) else np.zeros(0) for truth, said in pairs]
    count = np.array([len(error) for error in errors], np.float64)
    squares = quotient(np.array([np.square(error).sum() for error in errors]), count)
    return {
        "rmse": Sums(squares.rows, lambda sums: np.sqrt(squares.value(sums))),
        "mae": quotient(np.array([np.abs(error).sum() for error in errors]), count),
    }
