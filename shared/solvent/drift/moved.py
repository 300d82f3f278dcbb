"""How far one column has moved: its shares then and now, the measures, and their tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from ..metrics.stability import psi
from ..solution import JSON
from .counts import MOST_NEW, ColumnCounts
from .two_samples import Test, chi_square, kolmogorov_smirnov, more_unseen, proportions

__all__ = ["Cell", "Measure", "Moved", "measured"]

KS, CHI_SQUARE = "Kolmogorov-Smirnov", "chi-square"


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One number of a column beside the one in training.

    Args:
        then, now: shares; of the distribution as a whole there is none.
        statistic, p: None where no test can be made.
        adjusted_p: over all columns and measures.
    """

    then: float | None = None
    now: float | None = None
    statistic: float | None = None
    p: float | None = None
    adjusted_p: float | None = None

    def to_json(self) -> dict[str, JSON]:
        return dict(vars(self))


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A bin, level or code: its share of the cells that are not missing, then and now."""

    name: str
    then: float
    now: float


@dataclass(frozen=True, kw_only=True)
class Moved:
    """How far one column has moved.

    Args:
        rows: that were counted; 0 where the column was not there.
        psi: None where one side has no cell.
        test: which one the distribution was given.
        distribution, missing: the measures.
        unseen: of a category column of the inputs; `then` is the share to be expected.
        new: the commonest unseen levels -> rows.
        cells: shares of lists' items don't sum to 1.
        alarm: what passed its threshold, or None.
    """

    rows: int
    psi: float | None
    test: str | None
    distribution: Measure
    missing: Measure
    unseen: Measure | None
    new: Mapping[str, int] = field(default_factory=dict)
    cells: tuple[Cell, ...] = ()
    alarm: str | None = None

    @property
    def measures(self) -> tuple[Measure, ...]:
        return tuple(each for each in (self.distribution, self.missing, self.unseen) if each is not None)

    def adjusted(self, p_values: Iterator[float]) -> Moved:
        """The same column with the next adjusted p-values, one for each measure that was tested, in their order."""
        distribution, missing, *unseen = (
            measure if measure.p is None else replace(measure, adjusted_p=next(p_values)) for measure in self.measures
        )
        return replace(self, distribution=distribution, missing=missing, unseen=unseen[0] if unseen else None)

    def to_json(self) -> dict[str, JSON]:
        """Plain JSON, without the shares of each cell."""
        return {
            "rows": self.rows,
            "psi": self.psi,
            "test": self.test,
            "statistic": self.distribution.statistic,
            "p": self.distribution.p,
            "adjusted_p": self.distribution.adjusted_p,
            "missing": self.missing.to_json(),
            "unseen": None if self.unseen is None else {**self.unseen.to_json(), "new": dict(self.new)},
            "alarm": self.alarm,
        }


def measured(
    facts: Mapping[str, JSON], rows: int | None, counts: ColumnCounts, seen: Sequence[int] | None = None
) -> Moved:
    """Put a column's counts beside its reference; nothing is adjusted yet.

    The index, and the test of the distribution, are about the cells that are not missing: missing ones are a measure
    of their own. The index is that of `solvent.metrics.psi`, in which a bin that one side has no row in counts half a
    row there. Numbers are tested by Kolmogorov-Smirnov, but by chi-square where the column has declared codes, which
    have no place in the order; categories by chi-square. Unseen levels count among those too rare for the reference.
    Of lists each item is a distribution of two, has it or not: the index is the largest one, and the test that of the
    item with the smallest p-value, times the number of items (Bonferroni).

    Args:
        facts: the column's entry in the reference.
        rows: behind that entry; None where the bundle is older than their number: then nothing is tested.
        seen: levels with one row, two, ...; None where unseen levels are not told apart.
    """
    total = counts.rows if rows is None else rows
    missing_then = round(facts["missing"] * total)
    then, names = _then(facts, total, missing_then, counts.lists)
    now = np.array([*counts.cells, *counts.states] if "edges" in facts else counts.cells, dtype=np.int64)
    if "edges" not in facts and not counts.lists:
        now = np.append(now, counts.other + counts.unseen)
    present_then, present_now = total - missing_then, counts.rows - counts.missing
    counted = facts.get("counted", present_then)
    tested = rows is not None
    compared = present_then > 0 and present_now > 0
    index, test, found = None, None, None
    if compared and counts.lists:
        index, found = _items(then, counted, now, present_now)
        test = CHI_SQUARE
    elif compared:
        index = psi(then, now)
        ordered = "edges" in facts and not facts.get("states")
        test = KS if ordered else CHI_SQUARE
        found = kolmogorov_smirnov(then, now) if ordered else chi_square(then, now)
    gone = proportions(missing_then, total, counts.missing, counts.rows) if tested and total and counts.rows else None
    unseen = None
    if seen is not None:
        more = more_unseen(seen, present_then, counts.unseen, present_now) if compared else None
        unseen = _share(seen[0], present_then, counts.unseen, present_now, more)
    return Moved(
        rows=counts.rows,
        psi=index,
        test=test if tested else None,
        distribution=_tested(found if tested else None),
        missing=_share(missing_then, total, counts.missing, counts.rows, gone),
        unseen=unseen,
        new=dict(sorted(counts.new.items(), key=lambda item: (-item[1], item[0]))[:MOST_NEW]),
        cells=_cells(names, then, counted, now, present_now) if compared else (),
    )


def _then(facts: Mapping[str, JSON], rows: int, missing: int, lists: bool) -> tuple[np.ndarray, list[str]]:
    """Rows in each cell of the reference, and the cells' names."""
    if "edges" in facts:
        states = {name: round(share * rows) for name, share in facts.get("states", {}).items()}
        numbers = rows - missing - sum(states.values())
        bins = [round(share * numbers) for share in facts["shares"]]
        return np.array([*bins, *states.values()]), [*_bin_names(facts["edges"]), *(f"code {name}" for name in states)]
    counted = facts.get("counted", rows - missing)
    levels = [round(share * counted) for share in facts["levels"].values()]
    names = list(facts["levels"])
    if lists:
        return np.array(levels, dtype=np.int64), names
    return np.array([*levels, max(0, counted - sum(levels))]), [*names, "all other levels"]


def _bin_names(edges: list[float]) -> list[str]:
    if not edges:
        return ["any number"]
    first = f"up to {edges[0]:.4g}"
    between = [f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)]
    if between and edges[0] == np.nextafter(edges[1], -np.inf):  # a floor
        first, between[0] = f"under {edges[1]:.4g}", f"{edges[1]:.4g}"
    return [first, *between, f"over {edges[-1]:.4g}"]


def _items(then: np.ndarray, rows_then: int, now: np.ndarray, rows_now: int) -> tuple[float | None, Test | None]:
    if not len(then):
        return None, None
    index = max(psi([a, rows_then - a], [b, rows_now - b]) for a, b in zip(then, now, strict=True))
    tests = [proportions(int(a), rows_then, int(b), rows_now) for a, b in zip(then, now, strict=True)]
    statistic, p = min(tests, key=lambda test: (test[1], -test[0]))
    return index, (statistic, min(1.0, p * len(tests)))


def _share(then: int, rows_then: int, now: int, rows_now: int, found: Test | None) -> Measure:
    shares = then / rows_then if rows_then else None, now / rows_now if rows_now else None
    return replace(_tested(found), then=shares[0], now=shares[1])


def _tested(found: Test | None) -> Measure:
    return Measure() if found is None else Measure(statistic=found[0], p=found[1])


def _cells(names: list[str], then: Any, rows_then: int, now: Any, rows_now: int) -> tuple[Cell, ...]:
    found = [
        Cell(name=name, then=float(a / rows_then), now=float(b / rows_now))
        for name, a, b in zip(names, then, now, strict=True)
    ]
    return tuple(cell for cell in found if cell.then or cell.now or cell.name != "all other levels")
