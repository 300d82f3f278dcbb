"""What one part of the scored rows adds to the comparison with training: counts, which can be added up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..schema import Field, Schema
from ..solution import JSON
from .chances import ChanceCounts
from .distribution import binned, code_names, columns, commonest, holds_lists, level_counts, watched

__all__ = ["ColumnCounts", "Counts"]

MOST_NEW = 20
LONGEST_NEW = 80  # characters; a level may be a whole text


@dataclass(frozen=True, kw_only=True)
class ColumnCounts:
    """Rows of one column.

    Args:
        rows: all, those with a missing cell included; 0 where the column was not there.
        cells: in each bin, or with each level, of the reference, in its order.
        states: with each declared code, in the reference's order.
        other: with a level that training had, but too rarely to be kept; of outputs, with any other level.
        unseen: with a level that training never had.
        new: rows by such a level.
        lists: whether the cells are lists: `cells` then counts the rows that have each item, and nothing the others.
    """

    rows: int = 0
    missing: int = 0
    cells: tuple[int, ...] = ()
    states: tuple[int, ...] = ()
    other: int = 0
    unseen: int = 0
    new: Mapping[str, int] = field(default_factory=dict)
    lists: bool = False

    def __add__(self, more: ColumnCounts) -> ColumnCounts:
        return ColumnCounts(
            rows=self.rows + more.rows,
            missing=self.missing + more.missing,
            cells=_sums(self.cells, more.cells),
            states=_sums(self.states, more.states),
            other=self.other + more.other,
            unseen=self.unseen + more.unseen,
            new={name: self.new.get(name, 0) + more.new.get(name, 0) for name in sorted({*self.new, *more.new})},
            lists=self.lists or more.lists,
        )


@dataclass(frozen=True)
class Counts:
    """Rows of a part by the reference's bins and levels, column by column.

    Counts of two parts add up to the counts of both, in any order and grouping. Only `new` is not a full account: a
    part names its 20 commonest unseen levels (of equal ones the first by name, cut to 80 characters), and a sum keeps
    every name of its parts. So the number beside a name may be too low; but a level that has more than a twentieth of
    all unseen rows is always named, and where no part has more than 20 the numbers are exact.

    Args:
        rows: all that were scored.
        inputs: by the user's own names.
        chances: of the outputs that are a calibrated probability.
    """

    rows: int
    inputs: Mapping[str, ColumnCounts]
    outputs: Mapping[str, ColumnCounts]
    chances: Mapping[str, ChanceCounts] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        reference: Mapping[str, JSON],
        schema: Schema,
        good: pd.DataFrame,
        scored: pd.DataFrame,
        hidden: Collection[str] = (),
    ) -> Self:
        """Count a part.

        Args:
            reference: what `drift.reference` gave in training.
            good: the scored rows, typed, in the house's names.
            scored: their declared outputs.
            hidden: inputs whose unseen levels are counted, but not named.
        """
        fields = {field.source: field for field in watched(schema)}
        inputs = {
            name: _count(facts, good.get(fields[name].name) if name in fields else None, fields.get(name))
            for name, facts in columns(reference, "inputs").items()
        }
        return cls(
            len(good),
            {name: replace(each, new={}) if name in hidden else each for name, each in inputs.items()},
            {name: _count(facts, scored.get(name), None) for name, facts in columns(reference, "outputs").items()},
            {name: ChanceCounts.of(facts, scored, name) for name, facts in reference.get("chances", {}).items()},
        )

    @classmethod
    def none(cls, reference: Mapping[str, JSON]) -> Self:
        """The counts of no rows, to begin a sum with."""
        return cls(
            0,
            {name: _empty(facts) for name, facts in columns(reference, "inputs").items()},
            {name: _empty(facts) for name, facts in columns(reference, "outputs").items()},
            {name: ChanceCounts() for name in reference.get("chances", {})},
        )

    def __add__(self, more: Self) -> Self:
        return type(self)(
            self.rows + more.rows,
            {name: each + more.inputs[name] for name, each in self.inputs.items()},
            {name: each + more.outputs[name] for name, each in self.outputs.items()},
            {name: each + more.chances[name] for name, each in self.chances.items()},
        )

    def to_json(self) -> dict[str, JSON]:
        """Plain JSON; what is nothing is left out, since a ledger keeps this for each part."""
        return {
            "rows": self.rows,
            "inputs": {name: _plain(each) for name, each in self.inputs.items()},
            "outputs": {name: _plain(each) for name, each in self.outputs.items()},
            "chances": {name: each.to_json() for name, each in self.chances.items()},
        }

    @classmethod
    def from_json(cls, content: Mapping[str, JSON]) -> Self:
        return cls(
            content["rows"],
            {name: _column(each) for name, each in content["inputs"].items()},
            {name: _column(each) for name, each in content["outputs"].items()},
            {name: ChanceCounts.from_json(each) for name, each in content.get("chances", {}).items()},
        )


def _sums(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(first, second, strict=True))


def _plain(counts: ColumnCounts) -> dict[str, JSON]:
    content: dict[str, JSON] = {name: value for name, value in asdict(counts).items() if value}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in content.items()}


def _column(content: Mapping[str, Any]) -> ColumnCounts:
    lists: dict[str, Any] = {name: tuple(value) for name, value in content.items() if isinstance(value, list)}
    return ColumnCounts(**{**content, **lists})


def _empty(facts: Mapping[str, JSON]) -> ColumnCounts:
    cells = len(facts["shares"] if "edges" in facts else facts["levels"])
    return ColumnCounts(cells=(0,) * cells, states=(0,) * len(facts.get("states", ())))


def _count(facts: Mapping[str, JSON], column: pd.Series[Any] | None, known: Field | None) -> ColumnCounts:
    """Count one column.

    Args:
        known: of an input; it tells rare levels from unseen ones.
    """
    if column is None:
        return _empty(facts)
    return _numbers(facts, column, known) if "edges" in facts else _levels(facts, column, known)


def _numbers(facts: Mapping[str, JSON], column: pd.Series[Any], known: Field | None) -> ColumnCounts:
    numbers = column.to_numpy(np.float64, na_value=np.nan)
    rows, missing = len(numbers), np.count_nonzero(np.isnan(numbers))
    codes = code_names(known) if known else {}
    states = []
    for name in facts.get("states", ()):
        held = np.isin(numbers, codes.get(name, []))
        states.append(np.count_nonzero(held))
        if states[-1]:
            numbers = numbers[~held]
    cells = binned(numbers, facts["edges"])
    return ColumnCounts(rows=rows, missing=int(missing), cells=tuple(cells.tolist()), states=tuple(map(int, states)))


def _levels(facts: Mapping[str, JSON], column: pd.Series[Any], known: Field | None) -> ColumnCounts:
    present = column.dropna()
    found = level_counts(present)
    rows_of, place = found["rows"].to_numpy(), _places(found, facts["levels"])
    cells = np.zeros(len(facts["levels"]), dtype=np.int64)
    cells[place[place >= 0]] = rows_of[place >= 0]
    rows, missing = len(column), len(column) - len(present)
    counted = ColumnCounts(rows=rows, missing=missing, cells=tuple(cells.tolist()))
    if holds_lists(present):
        return replace(counted, lists=True)
    rare = len(present) - int(cells.sum())
    if not rare or known is None or known.levels is None:
        return replace(counted, other=rare)
    found = found.filter(place < 0)
    found = found.filter(_places(found, [*known.levels, *known.states]) < 0)
    unseen = int(found["rows"].to_numpy().sum())
    new: Counter[str] = Counter()
    for level, count in commonest(found, MOST_NEW).items():
        new[_cut(level)] += count
    return replace(counted, other=rare - unseen, unseen=unseen, new=dict(sorted(new.items())))


def _places(found: pa.Table, levels: Iterable[str]) -> np.ndarray:
    """Where each counted level stands among some, -1 where it doesn't."""
    among = pa.array(list(levels), pa.large_string())
    return np.asarray(pc.index_in(found["name"], value_set=among).fill_null(-1).to_numpy())


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST_NEW else name[: LONGEST_NEW - 1] + "…"
