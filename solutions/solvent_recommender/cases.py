"""From interactions to cases: one row a user, what they had as a list."""

from dataclasses import replace

import numpy as np
import pandas as pd

from solvent import Fitted

from .ratings import wanted
from .settings import Recommender

__all__ = ["attainable", "cases", "forget"]


def cases(settings: Recommender, rows: pd.DataFrame, *fitted: Fitted) -> pd.DataFrame:
    """The users of held-out interactions, each with the items that they liked, each once. No list could be right for a
    user who liked none of theirs: such a one is a case, of no items, only where ratings are to be foretold.

    Args:
        fitted: lists of each leave out what its users have had, unless `scoring.seen` lets that in; so it is no case.

    Returns:
        `user`, `item` (a list) and, where there are any, `rating` (a list); the index of each user's first such row.
        Where the settings ask for ratings, and there are any, also `rate` and `rated`, as `ratings.wanted` gives them.
    """
    for each in fitted:
        rows = attainable(settings, rows, each.assets["histories"])
    liked = rows
    if settings.liked_from is not None and "rating" in rows:
        liked = rows[rows["rating"] >= settings.liked_from]
    liked = liked[~liked.duplicated(["user", "item"])]
    listed = ["item", *(["rating"] if "rating" in liked else [])]
    grouped = liked.groupby("user", sort=False)
    found = grouped[listed].agg(list)
    first = liked.index[~liked.duplicated("user")]
    if settings.ratings and "rating" in rows:
        asked = wanted(rows)
        low = rows[rows["user"].isin(asked.index.difference(found.index))]
        low = low[~low.duplicated("user")]
        found = found.reindex(found.index.append(pd.Index(low["user"], name="user")))
        for name in listed:
            found[name] = [cell if isinstance(cell, list) else [] for cell in found[name]]
        found, first = found.join(asked), first.append(low.index)
    return found.reset_index().set_axis(first).astype({"user": rows["user"].dtype})


def attainable(settings: Recommender, rows: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """The interactions that a list could foretell which leaves out what its user has had.

    Args:
        before: `user` and `item` of what is had by then.
    """
    if settings.scoring.seen:
        return rows
    return rows[~_among(rows, before)]


def forget(settings: Recommender, fitted: Fitted, rows: pd.DataFrame) -> Fitted:
    """What a refitted bundle holds, with histories that lack what users had in rows that it was refitted on.

    Lists leave out what a user has had, so that they could hold none of what those rows ask for.
    """
    events = fitted.assets["histories"]
    return replace(fitted, assets={**fitted.assets, "histories": events.assign(forgotten=_among(events, rows))})


def _among(rows: pd.DataFrame, others: pd.DataFrame) -> np.ndarray:
    """Which rows are of a user and an item of others, shape `(rows,)`."""
    pairs, there = (pd.MultiIndex.from_frame(table[["user", "item"]]) for table in (rows, others))
    return pairs.isin(there)
