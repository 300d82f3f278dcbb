"""The drift report of a run: one small HTML page that loads nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..drift.expected import MEASURES, PROTOCOL, WARNING
from ..solution import JSON
from . import wording
from .templates import environment

if TYPE_CHECKING:
    from ..drift import Drift, Moved
    from ..drift.moved import Cell

__all__ = ["page"]

PICTURES = 12
MEANING: Mapping[str, str] = {
    "auc": "AUC",
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "rate": "rate of the class",
}
BARS = 12  # of a picture; the other levels are left out, and that is said


@dataclass(frozen=True)
class Bar:
    """One cell of a picture, in the units of its view box."""

    name: str
    then: float
    now: float
    top: int
    told: str


@dataclass(frozen=True)
class Picture:
    """The shares of one column, then and now."""

    name: str
    kind: str
    bars: tuple[Bar, ...]
    height: int
    left_out: int


def page(
    drift: Drift,
    *,
    title: str,
    facts: Mapping[str, JSON],
    hidden: Collection[str] = (),
    earlier: Sequence[Mapping[str, JSON]] = (),
) -> str:
    """Write the drift report.

    Args:
        title: of the page, such as the solution's name.
        facts: what else belongs to its head, by label: the source, the bundle.
        hidden: inputs whose levels, bins and codes are numbered in the pictures, not named; `Counts.of` hides their
            unseen levels.
        earlier: what earlier runs were expected to reach, and reached, as `jobs.history.earlier` gives it.

    Returns:
        A whole HTML document: no script, no address to load from; the same arguments give the same bytes.
    """
    words = (wording.count, wording.number, wording.percent, wording.plain, wording.shorten)
    pages = environment(*words)
    pages.filters["chance"] = _chance
    pages.filters["estimate"] = _estimate
    columns = drift.columns
    return pages.get_template("drift.html.j2").render(
        drift=drift,
        earlier={name: [each for each in earlier if name in each["outputs"]] for name in drift.expected},
        measures=MEASURES,
        meaning=MEANING,
        protocol=PROTOCOL,
        warning=WARNING,
        title=wording.shorten(title),
        facts=facts,
        columns=columns,
        alarmed=sum(moved.alarm is not None for *_, moved in columns),
        pictures=[
            _picture(kind, name, _without_names(moved) if kind == "input" and name in hidden else moved)
            for kind, name, moved in columns
            if moved.cells
        ][:PICTURES],
    )


def _estimate(found: Mapping[str, float | None] | None) -> str:
    """A value with its interval, as far as there are any."""
    if found is None or found["value"] is None:
        return wording.NOTHING
    value, low, high = (wording.number(found[key], 3) for key in ("value", "low", "high"))
    return value if found["low"] is None else f"{value} ({low} to {high})"


def _chance(p: float | None) -> str:
    """A p-value; no one believes more digits than these."""
    if p is None:
        return wording.NOTHING
    return "< 0.0001" if p < 0.0001 else wording.number(p, 2)


def _without_names(moved: Moved) -> Moved:
    cells = [replace(cell, name=f"{number} (masked)") for number, cell in enumerate(moved.cells, 1)]
    return replace(moved, cells=tuple(cells))


def _picture(kind: str, name: str, moved: Moved) -> Picture:
    kept = sorted(range(len(moved.cells)), key=lambda place: (-_larger(moved.cells[place]), place))[:BARS]
    cells = [moved.cells[place] for place in sorted(kept)]
    longest = max(map(_larger, cells)) or 1.0
    bars = tuple(
        Bar(
            wording.shorten(cell.name, 26),
            round(190 * cell.then / longest, 1),
            round(190 * cell.now / longest, 1),
            26 * place,
            f"{wording.percent(cell.then)} → {wording.percent(cell.now)}",
        )
        for place, cell in enumerate(cells)
    )
    return Picture(name, kind, bars, 26 * len(bars), len(moved.cells) - len(bars))


def _larger(cell: Cell) -> float:
    return max(cell.then, cell.now)
