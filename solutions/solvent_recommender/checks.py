"""What is looked for in the interactions before anything is trained."""

import pandas as pd

from solvent import Finding, Refused

from .settings import Recommender

__all__ = ["checks"]


def checks(settings: Recommender, rows: pd.DataFrame) -> list[Finding]:
    """Refuse what the settings ask for and the rows can't give; say how many interactions occur again.

    Raises:
        Refused: with the setting or the column, and the cure.
    """
    if max(settings.at) > settings.scoring.length:
        raise Refused(
            f"settings.at measures lists of {max(settings.at)}, and settings.scoring.length is "
            f"{settings.scoring.length}. Make the lists as long, or measure shorter ones."
        )
    if "weight" in rows:
        raise Refused(
            "data.columns.weight: interactions have no weights here. Leave it out; where it says how a user liked an "
            "item, give it as rating and set settings.liked_from."
        )
    if settings.ratings and ("rating" not in rows or rows["rating"].isna().all()):
        raise Refused(
            "settings.ratings is true, and no row has a rating. Name the column, columns: {rating: YOUR_COLUMN}, or "
            "leave ratings out."
        )
    if settings.liked_from is not None:
        _check_ratings(settings.liked_from, rows)
    return [*_unrated(settings, rows), *_repeats(settings, rows)]


def _unrated(settings: Recommender, rows: pd.DataFrame) -> list[Finding]:
    unrated = int(rows["rating"].isna().sum()) if "rating" in rows else 0
    if not unrated or not (settings.ratings or settings.liked_from is not None):
        return []
    return [
        Finding(
            name="unrated",
            severity="note",
            message=f"{unrated:,} of {len(rows):,} rows have no rating. They tell what a user had, neither that "
            "the user liked it nor how much.",
            cure="Where a missing rating means something, such as a purchase that was kept, write the rating it is.",
            count=unrated,
        )
    ]


def _repeats(settings: Recommender, rows: pd.DataFrame) -> list[Finding]:
    again = int(rows.duplicated(["user", "item"]).sum())
    if not again or settings.scoring.seen:
        return []
    return [
        Finding(
            name="repeats",
            severity="note",
            message=f"{again:,} of {len(rows):,} rows are of a user and an item that are there before. Each pair "
            "counts once, when it was last; and since lists leave out what a user has had, held-out rows count only "
            "where the user has not had the item before.",
            cure="Where users have the same again, such as groceries, set settings.scoring.seen: true.",
            count=again,
        )
    ]


def _check_ratings(liked_from: float, rows: pd.DataFrame) -> None:
    if "rating" not in rows:
        raise Refused(
            f"settings.liked_from is {liked_from:g}, and no column is the rating. Name it, columns: {{rating: "
            "YOUR_COLUMN}, or leave liked_from out."
        )
    if not (rows["rating"] >= liked_from).any():
        raise Refused(
            f"settings.liked_from is {liked_from:g}, and the highest rating is {rows['rating'].max():g}: nobody liked "
            "anything. Lower it."
        )
