"""From interactions to cases: one row a user, what they had as a list."""

import pandas as pd

from solvent import Fitted

from .ratings import wanted
from .settings import Recommender

__all__ = ["attainable", "cases"]


def cases(settings: Recommender, rows: pd.DataFrame, fitted: Fitted | None = None) -> pd.DataFrame:
    """The users of held-out interactions, each with the items that they liked, each once; a user who liked none of
    theirs is no case, for no list could be right.

    Args:
        fitted: lists of it leave out what its users have had, unless `scoring.seen` lets that in; so it is no case.

    Returns:
        `user`, `item` (a list) and, where there are any, `rating` (a list); the index of each user's first such row.
        Where the settings ask for ratings, and there are any, also `rate` and `rated`, as `ratings.wanted` gives them.
    """
    rows = rows if fitted is None else attainable(settings, rows, fitted.assets["histories"])
    liked = rows
    if settings.liked_from is not None and "rating" in rows:
        liked = rows[rows["rating"] >= settings.liked_from]
    liked = liked[~liked.duplicated(["user", "item"])]
    listed = ["item", *(["rating"] if "rating" in liked else [])]
    grouped = liked.groupby("user", sort=False)
    found = grouped[listed].agg(list)
    first = liked.index[~liked.duplicated("user")]
    if settings.ratings and "rating" in rows:
        found = found.join(wanted(rows))
    return found.reset_index().set_axis(first).astype({"user": rows["user"].dtype})


def attainable(settings: Recommender, rows: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """The interactions that a list could foretell which leaves out what its user has had.

    Args:
        before: `user` and `item` of what is had by then.
    """
    if settings.scoring.seen:
        return rows
    pairs, had = (pd.MultiIndex.from_frame(table[["user", "item"]]) for table in (rows, before))
    return rows[~pairs.isin(had)]
