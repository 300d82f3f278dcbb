"""The items on offer: those that were learnt from, then the new ones of the side table; what is known of each."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import scipy.sparse

from solvent import Refused
from solvent.schema import kinds
from solvent.wording import listed, suggestion

from .settings import Items, Recommender

__all__ = ["Catalogue", "check_columns", "learnt", "side_table"]

log = logging.getLogger("solvent")


@dataclass(frozen=True)
class Catalogue:
    """All items, by place.

    Args:
        ids: the known ones first.
        known: how many were learnt from.
        offered: which may be recommended: those in the side table, shape `(items,)`.
        table: the side table's row of each item, all missing where it has none; RangeIndex.
    """

    ids: pd.Index
    known: int
    offered: np.ndarray
    table: pd.DataFrame
    columns: Items

    @classmethod
    def of(
        cls, settings: Recommender, known: pd.Index, table: pd.DataFrame, learnt: pd.DataFrame | None = None
    ) -> Catalogue:
        """Join the known items with the side table of what is on offer.

        Args:
            learnt: what `learnt` gave in training, where the table may be another than then: a known item that is off
                offer is not recommended, and what it is still tells of the users who had it.

        Raises:
            Refused: if the table lacks a column that the settings name, has an item twice, or none that is known.
        """
        columns = settings.items
        check_columns("items", [columns.id, *columns.beside_the_id], table)
        ids = _spelled(columns, table)
        if ids.isna().any():
            raise Refused(f"items: row {int(ids.isna().argmax()) + 1} has no {columns.id}. Fill it, or leave it out.")
        if ids.duplicated().any():
            raise Refused(
                f"items: {ids[ids.duplicated()].iloc[0]!r} is there more than once. Give each item one row in "
                f"{columns.id}."
            )
        names = pd.Index(ids.astype(object))  # of Python's texts: among others a search takes many times as long
        _check_match(columns, names, known, new_ones_will_do=learnt is not None and columns.described)
        joined = known.append(names[~names.isin(known)]).astype(object)
        rows = table.set_axis(names)
        if learnt is not None:
            before = learnt.set_axis(pd.Index(_spelled(columns, learnt).astype(object)))
            away = before[~before.index.isin(names)].reindex(columns=table.columns)
            rows = pd.concat([rows.astype(object), away.astype(object)]) if len(away) else rows
        return cls(joined, len(known), joined.isin(names), rows.reindex(joined).reset_index(drop=True), columns)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def titles(self) -> np.ndarray:
        """What people call each item: its title, or else its id."""
        if self.columns.title is None:
            return self.ids.to_numpy()
        cells = self.table[self.columns.title]
        return np.where(cells.isna(), self.ids.to_numpy(), cells.astype(object).map(str))

    @cached_property
    def categories(self) -> list[tuple[str, ...]]:
        """The categories of each item, each once."""
        if self.columns.categories is None:
            return [()] * len(self)
        cells = kinds.read(self.table[self.columns.categories].astype(object), "list").values
        return [tuple(dict.fromkeys(map(str, cell))) if isinstance(cell, list) else () for cell in cells]

    @cached_property
    def members(self) -> scipy.sparse.csr_array:
        """1 where an item is of a category, float32, shape `(items, categories)`."""
        codes, names = pd.factorize(np.array([name for own in self.categories for name in own], dtype=object))
        starts = np.cumsum([0, *map(len, self.categories)])
        return scipy.sparse.csr_array((np.ones(len(codes), np.float32), codes, starts), (len(self), len(names)))

    @cached_property
    def texts(self) -> list[str]:
        """The text of each item, empty where there is none."""
        if self.columns.text is None:
            return [""] * len(self)
        return ["" if pd.isna(cell) else str(cell) for cell in self.table[self.columns.text]]

    def column(self, name: str) -> pd.Series:
        """A column of the side table that a rule names.

        Raises:
            Refused: naming the columns that are there.
        """
        names = list(map(str, self.table.columns))
        if name not in names:
            raise Refused(
                f"settings.scoring names {name!r}, and the items have no such column.{suggestion(name, names)} "
                f"They have: {listed(names)}."
            )
        return self.table[name]

    def numbers(self) -> np.ndarray:
        """The number columns, NaN where there is none, float64, shape `(items, columns)`.

        Raises:
            Refused: if no cell of a column is a number, and some say something else.
        """
        found = np.zeros((len(self), len(self.columns.numbers)))
        for place, name in enumerate(self.columns.numbers):
            read = kinds.read(self.table[name], "number")
            found[:, place] = read.values
            if read.unreadable.any() and np.isnan(found[:, place]).all():
                cell = self.table[name].iloc[int(read.unreadable.argmax())]
                raise Refused(
                    f"items: no cell of {name!r}, such as {kinds.shown(cell)}, is a number"
                    f"{kinds.cure('number', cell)}. Write numbers, or name the column in settings.items.categories."
                )
        return found


SIDES = ("items", "users")  # the side tables that are read


def side_table(settings: Recommender, known: pd.Index, side: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The side table of items; where there is none, a list of the known ones.

    Raises:
        Refused: for a side table that is never read, or for settings that name columns of one that is not there.
    """
    if unknown := sorted(set(side) - set(SIDES)):
        raise Refused(
            f"data.side.{unknown[0]}: the recommender reads no such table.{suggestion(unknown[0], SIDES)} "
            f"It reads: {listed(SIDES)}."
        )
    given = side.get("items")
    if given is None and (named := settings.items.beside_the_id):
        raise Refused(
            f"settings.items names {listed(map(repr, named))}, columns of the side table of items, and data.side has "
            "none. Add data.side: {items: TABLE}, or leave them out."
        )
    return pd.DataFrame({settings.items.id: known.to_numpy()}) if given is None else given


def learnt(settings: Recommender, known: pd.Index, table: pd.DataFrame) -> pd.DataFrame:
    """The side table's rows of the known items."""
    return table[_spelled(settings.items, table).isin(known)].reset_index(drop=True)


def _spelled(columns: Items, table: pd.DataFrame) -> pd.Series:
    """The ids of a side table, spelled as those of the interactions."""
    return kinds.read(table[columns.id], "category").values


def _check_match(columns: Items, ids: pd.Index, known: pd.Index, *, new_ones_will_do: bool) -> None:
    """Refuse a table of other items than those of the interactions; say so where new ones may be meant."""
    if ids.empty:
        raise Refused("items: the table has no row, so nothing is on offer. Give it a row for each item.")
    if ids.isin(known).any() or known.empty:
        return
    message = (
        f"items: none of the {len(ids):,} ids in {columns.id!r}, such as {ids[0]!r}, is an item of the "
        f"interactions, such as {known[0]!r}"
    )
    if not new_ones_will_do:
        raise Refused(f"{message}. Spell both alike; settings.items.id names the column of the ids.")
    log.warning("%s: all are taken for new ones, recommended by what they are.", message)


def check_columns(side: str, wanted: Sequence[str], table: pd.DataFrame) -> None:
    """Refuse a side table that lacks a column which the settings name."""
    names = list(map(str, table.columns))
    if missing := [name for name in wanted if name not in names]:
        raise Refused(
            f"{side}: there is no column {listed(map(repr, missing))}.{suggestion(missing[0], names)} "
            f"It has: {listed(names)}. Name yours in settings.{side}."
        )
