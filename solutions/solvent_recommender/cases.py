"""From interactions to cases: one row a user, what they had as a list."""

import pandas as pd

from .settings import Recommender

__all__ = ["cases"]


def cases(settings: Recommender, rows: pd.DataFrame) -> pd.DataFrame:
    """The users of held-out interactions, each with the items that they liked, each once; a user who liked none of
    theirs is no case, for no list could be right.

    Returns:
        `user`, `item` (a list) and, where there are any, `rating` (a list); the index of each user's first such row.
    """
    liked = rows
    if settings.liked_from is not None and "rating" in rows:
        liked = rows[rows["rating"] >= settings.liked_from]
    liked = liked[~liked.duplicated(["user", "item"])]
    listed = ["item", *(["rating"] if "rating" in liked else [])]
    grouped = liked.groupby("user", sort=False)
    found = grouped[listed].agg(list)
    first = liked.index[~liked.duplicated("user")]
    return found.reset_index().set_axis(first).astype({"user": rows["user"].dtype})
