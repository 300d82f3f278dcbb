"""The scored test rows as the figures need them: ours and the baseline's columns as arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..metrics.calibration import reliability
from . import drawing, sections, wording

__all__ = [
    "Cases",
    "Model",
    "Points",
    "columns_below",
    "floats",
    "models",
    "reliability_painter",
    "rows_shown",
    "unit_square",
]

JSON = Any


@dataclass(frozen=True)
class Model:
    """Whose scores: before each of a rival's columns stands `prefix`, before ours nothing."""

    name: str
    prefix: str
    colour: str
    line: Any

    def label(self, rest: str = "") -> str:
        return wording.shorten(self.name, 26) + rest


def models(bundle: Mapping[str, JSON]) -> list[Model]:
    """Ours, and the baseline if there is one."""
    baseline = (bundle["test"]["baseline"] or {}).get("name")
    found = [Model("ours", "", drawing.OURS, "-")]
    if baseline is not None:
        found.append(Model(baseline, f"{baseline}: ", drawing.BASELINE, (0, (5, 2))))
    return found


@dataclass(frozen=True)
class Cases:
    """The scored test rows that count: those of weight 0 are not among them.

    Args:
        weight: above 0, all 1 where no column has that role; shape `(rows,)`.
        weighed: whether a column has it.
        unit: what each of them is, such as a row.
    """

    table: Any
    weight: np.ndarray
    weighed: bool
    unit: str = "row"

    @classmethod
    def of(cls, bundle: Mapping[str, JSON], scores: Any) -> Cases:
        unit = bundle["test"].get("unit", "row")
        if not sections.weighed(bundle):
            return cls(scores, np.ones(len(scores)), False, unit)
        weight = np.asarray(scores["weight"], dtype=np.float64)
        return cls(scores[weight > 0], weight[weight > 0], True, unit)


@dataclass(frozen=True)
class Points:
    """What a figure draws of one model; every array has shape `(rows,)`."""

    model: Model
    truth: np.ndarray
    score: np.ndarray
    weight: np.ndarray


def floats(scores: Any, column: str) -> np.ndarray | None:
    """A column as float64 with NaN for what is no number, shape `(rows,)`; None if there is no such column."""
    if column not in scores:
        return None
    import pandas as pd

    return np.asarray(pd.to_numeric(scores[column], errors="coerce").to_numpy(dtype=float, na_value=np.nan))


def rows_shown(ours: Points, cases: Cases) -> str:
    """How many rows a figure is made of, how many it had to leave out, and whether they count by their weight."""
    left_out = len(cases.table) - len(ours.score)
    out = f", {wording.count(left_out)} without a score left out" if left_out else ""
    weighed = "; rows count by their weight" if cases.weighed else ""
    return f"{wording.count(len(ours.score))} test {cases.unit}s{out}{weighed}"


def columns_below(cases: Cases) -> str:
    """What the columns under a calibration curve do."""
    return "add up our rows' weights" if cases.weighed else "count our rows"


def unit_square(axes: Any, across: str, up: str) -> None:
    axes.set(xlabel=across, ylabel=up, xlim=(-0.015, 1.015), ylim=(-0.015, 1.03))


def reliability_painter(
    known: list[Points], across: str, up: str, weighed: bool, counted: str = "rows"
) -> Callable[[Any], None]:
    """Paint a calibration curve for each model, and below it how many of what is `counted` ours has in each bin."""

    def paint(canvas: Any) -> None:
        axes, below = canvas.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        axes.plot([0, 1], [0, 1], color=drawing.FAINT, linewidth=1)
        for place, points in enumerate(known):
            predicted, observed, _, low, high = reliability(points.truth, points.score, weight=points.weight)
            axes.errorbar(
                predicted,
                observed,
                (np.maximum(observed - low, 0), np.maximum(high - observed, 0)),
                color=points.model.colour,
                marker="os"[place],
                linestyle=points.model.line,
                linewidth=1.2,
                elinewidth=1.1,
                label=points.model.label(),
            )
        unit_square(axes, "", up)
        axes.legend(loc="upper left")
        counts, edges = np.histogram(known[0].score, np.linspace(0, 1, 11), weights=known[0].weight)
        below.bar(edges[:-1] + 0.05, counts, 0.09, color=drawing.OURS, alpha=0.55)
        for left, rows in zip(edges[:-1], counts, strict=True):
            if rows:
                text = wording.tally(rows if weighed else int(rows)) if rows < 10_000 else f"{rows / 1000:.0f}k"
                below.annotate(text, (left + 0.05, rows), (0, 1), textcoords="offset points", ha="center", fontsize=6.5)
        below.set(xlabel=across, ylabel="weight" if weighed else counted, yticks=[], ylim=(0, max(counts) * 1.45))
        below.grid(visible=False)
        below.spines["left"].set_visible(False)

    return paint
