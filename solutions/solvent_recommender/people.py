"""The users' side table: what is known of users besides what they had, such as their age and occupation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from solvent import Refused
from solvent.schema import kinds
from solvent.wording import listed

from .catalogue import check_columns
from .settings import Users

__all__ = ["People", "learn"]

FEWEST = 5  # users who share a level, or it tells nothing
MOST_LEVELS = 500  # of a column, the commonest ones
CLIP = 3.0  # deviations from the mean


@dataclass(frozen=True)
class People:
    """Users by numbers that describe them.

    Args:
        ids: of the users in the side table.
        numbers: float32, shape `(users, width)`; a row of zeros tells nothing.
    """

    ids: pd.Index
    numbers: np.ndarray

    @classmethod
    def read(cls, columns: Users, traits: pd.DataFrame, table: pd.DataFrame) -> People:
        """Read a side table by what training learnt.

        Args:
            traits: what `learn` gave.

        Raises:
            Refused: if the table lacks a column that the settings name, or has a user twice or without an id.
        """
        ids = _ids(columns, table)
        found = np.zeros((len(table), len(traits)), np.float32)
        for name, numbers in traits.groupby("column", sort=False).indices.items():
            own = traits.iloc[numbers]
            if own["level"].isna().all():
                values = kinds.read(table[str(name)], "number").values.to_numpy(np.float64)
                standard = (values - own["mean"].iloc[0]) / own["deviation"].iloc[0]
                found[:, numbers[0]] = np.clip(np.nan_to_num(standard), -CLIP, CLIP)
            else:
                place = dict(zip(own["level"], numbers, strict=True))
                for row, cell in enumerate(_levels(table[str(name)])):
                    found[row, [place[level] for level in cell if level in place]] = 1
        return cls(pd.Index(ids.astype(object)), found)

    @property
    def width(self) -> int:
        return int(self.numbers.shape[1])

    def of(self, users: pd.Index | pd.Series) -> np.ndarray:
        """The numbers of some users, zeros for those that the table doesn't have, shape `(users, width)`."""
        places = self.ids.get_indexer(users)
        return np.where(places[:, None] >= 0, self.numbers[places], 0) if len(self.ids) else self.none(len(users))

    def none(self, count: int) -> np.ndarray:
        """What stands for so many users of whom nothing is known."""
        return np.zeros((count, self.width), np.float32)


def learn(columns: Users, table: pd.DataFrame, known: pd.Index) -> pd.DataFrame:
    """What each number of a user stands for, by the rows of users that are learnt from.

    A column whose cells are all numbers is one, by how far it lies from the mean; any other is one for each level, of
    several in a cell if they are parted by |.

    Returns:
        `column`; `level`, missing for a column of numbers; `mean` and `deviation`, of these alone.

    Raises:
        Refused: if the table lacks a column that the settings name, has a user twice, or none that is known.
    """
    ids = _ids(columns, table)
    here = table[ids.isin(known).to_numpy()]
    if here.empty:
        raise Refused(
            f"users: none of the {len(table):,} users is one of the {len(known):,} of the interactions, such as "
            f"{known[0]!r}. Name the column with their ids in settings.users.id."
        )
    found = []
    for name in columns.about:
        numbers = kinds.read(here[name], "number").values.to_numpy(np.float64)
        if (np.isnan(numbers) == kinds.missing(here[name])).all() and not np.isnan(numbers).all():
            deviation = float(np.nanstd(numbers))
            found.append((name, None, float(np.nanmean(numbers)), deviation if deviation > 0 else 1.0))
            continue
        counts = pd.Series([level for cell in _levels(here[name]) for level in cell], dtype=object).value_counts()
        levels = sorted(counts[counts >= FEWEST].index[:MOST_LEVELS])
        found += [(name, level, np.nan, np.nan) for level in levels]
    if not found:
        raise Refused(
            f"users: no level of {listed(map(repr, columns.about))} is shared by {FEWEST} of the users that are learnt "
            "from. Name columns in settings.users.about that several users have in common."
        )
    table = pd.DataFrame(found, columns=["column", "level", "mean", "deviation"])
    return table.astype({"column": "str", "level": "str", "mean": "float64", "deviation": "float64"})


def _levels(cells: pd.Series) -> list[list[str]]:
    """The levels of each cell, none of a missing one."""
    read = kinds.read(cells.astype(object), "list").values
    return [
        [str(level) for level in map(kinds.canonical, cell) if level] if isinstance(cell, list) else [] for cell in read
    ]


def _ids(columns: Users, table: pd.DataFrame) -> pd.Series:
    check_columns("users", [columns.id, *columns.about], table)
    ids: pd.Series = kinds.read(table[columns.id], "category").values
    for wrong, what in ((ids.isna(), "has no id"), (ids.duplicated(), "is of a user who has a row before")):
        if wrong.any():
            raise Refused(
                f"users: row {int(wrong.argmax()) + 1} {what}. Give each user one row, its id in {columns.id}."
            )
    return ids
