"""The items on offer: those that were learnt from, then the new ones of the side table; what is known of each."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from solvent import Refused
from solvent.schema import kinds
from solvent.wording import listed, suggestion

from .settings import Items, Recommender

__all__ = ["Catalogue", "learnt", "side_table"]

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
        _check_columns(columns, table)
        ids = _spelled(columns, table)
        if ids.isna().any():
            raise Refused(f"items: row {int(ids.isna().argmax()) + 1} has no {columns.id}. Fill it, or leave it out.")
        if ids.duplicated().any():
            raise Refused(
                f"items: {ids[ids.duplicated()].iloc[0]!r} is there more than once. Give each item one row in "
                f"{columns.id}."
            )
        _check_match(columns, ids, known, new_ones_will_do=learnt is not None and columns.described)
        new = pd.Index(ids[~ids.isin(known)].astype(object))
        joined = known.append(new)
        rows = table.set_axis(pd.Index(ids.astype(object)))
        if learnt is not None:
            before = learnt.set_axis(pd.Index(_spelled(columns, learnt).astype(object)))
            away = before[~before.index.isin(ids)].reindex(columns=table.columns)
            rows = pd.concat([rows.astype(object), away.astype(object)]) if len(away) else rows
        return cls(joined, len(known), joined.isin(ids), rows.reindex(joined).reset_index(drop=True), columns)

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
        """The categories of each item."""
        if self.columns.categories is None:
            return [()] * len(self)
        cells = kinds.read(self.table[self.columns.categories].astype(object), "list").values
        return [tuple(map(str, cell)) if isinstance(cell, list) else () for cell in cells]

    @cached_property
    def category(self) -> np.ndarray:
        """A number for the first category of each item, -1 where it has none."""
        return pd.factorize(pd.Series([next(iter(names), None) for names in self.categories], dtype=object))[0]

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
        """The number columns, NaN where there is none, float64, shape `(items, columns)`."""
        read = [kinds.read(self.table[name], "number").values.to_numpy() for name in self.columns.numbers]
        return np.column_stack(read) if read else np.zeros((len(self), 0))


SIDES = ("items", "users")  # the side tables that are read


def side_table(settings: Recommender, known: pd.Index, side: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The side table of items; where there is none, a list of the known ones.

    Raises:
        Refused: for a side table that is never read.
    """
    if unknown := sorted(set(side) - set(SIDES)):
        raise Refused(
            f"data.side.{unknown[0]}: the recommender reads no such table.{suggestion(unknown[0], SIDES)} "
            f"It reads: {listed(SIDES)}."
        )
    given = side.get("items")
    return pd.DataFrame({settings.items.id: known.to_numpy()}) if given is None else given


def learnt(settings: Recommender, known: pd.Index, table: pd.DataFrame) -> pd.DataFrame:
    """The side table's rows of the known items."""
    return table[_spelled(settings.items, table).isin(known)].reset_index(drop=True)


def _spelled(columns: Items, table: pd.DataFrame) -> pd.Series:
    """The ids of a side table, spelled as those of the interactions."""
    return kinds.read(table[columns.id], "category").values


def _check_match(columns: Items, ids: pd.Series, known: pd.Index, *, new_ones_will_do: bool) -> None:
    """Refuse a table of other items than those of the interactions; say so where new ones may be meant."""
    if ids.empty:
        raise Refused("items: the table has no row, so nothing is on offer. Give it a row for each item.")
    if ids.isin(known).any() or known.empty:
        return
    message = (
        f"items: none of the {len(ids):,} ids in {columns.id!r}, such as {ids.iloc[0]!r}, is an item of the "
        f"interactions, such as {known[0]!r}"
    )
    if not new_ones_will_do:
        raise Refused(f"{message}. Spell both alike; settings.items.id names the column of the ids.")
    log.warning("%s: all are taken for new ones, recommended by what they are.", message)


def _check_columns(columns: Items, table: pd.DataFrame) -> None:
    wanted = [columns.id, columns.title, columns.categories, columns.text, *columns.numbers]
    names = list(map(str, table.columns))
    if missing := [name for name in wanted if name is not None and name not in names]:
        raise Refused(
            f"items: there is no column {listed(map(repr, missing))}.{suggestion(missing[0], names)} "
            f"It has: {listed(names)}. Name yours in settings.items."
        )
