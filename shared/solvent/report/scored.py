"""The scored test rows as the figures need them: ours and the baseline's columns as arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..metrics.calibration import reliability
from . import drawing, wording

__all__ = ["Model", "canonical", "floats", "models", "reliability_painter", "rows_shown", "unit_square"]

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
    baseline = (bundle["test"].get("baseline") or {}).get("name")
    found = [Model("ours", "", drawing.OURS, "-")]
    if baseline is not None:
        found.append(Model(baseline, f"{baseline}: ", drawing.BASELINE, (0, (5, 2))))
    return found


def canonical(value: JSON) -> str:
    """A level as the schema writes it: `1` for 1 and 1.0, `true` for True."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def floats(scores: Any, column: str) -> np.ndarray | None:
    """A column as float64 with NaN for what is no number, shape `(rows,)`; None if there is no such column."""
    if column not in scores:
        return None
    import pandas as pd

    return np.asarray(pd.to_numeric(scores[column], errors="coerce").to_numpy(dtype=float, na_value=np.nan))


def rows_shown(count: int, left_out: int) -> str:
    """How many rows a figure is made of, and how many it had to leave out."""
    out = f", {wording.count(left_out)} without a score left out" if left_out else ""
    return f"{wording.count(count)} test rows{out}"


def unit_square(axes: Any, across: str, up: str) -> None:
    axes.set(xlabel=across, ylabel=up, xlim=(-0.015, 1.015), ylim=(-0.015, 1.03))


def reliability_painter(
    known: list[tuple[Model, np.ndarray, np.ndarray]], across: str, up: str
) -> Callable[[Any], None]:
    def paint(canvas: Any) -> None:
        axes, below = canvas.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        axes.plot([0, 1], [0, 1], color=drawing.FAINT, linewidth=1)
        for place, (model, target, probability) in enumerate(known):
            predicted, observed, _, low, high = reliability(target, probability)
            axes.errorbar(
                predicted,
                observed,
                (np.maximum(observed - low, 0), np.maximum(high - observed, 0)),
                color=model.colour,
                marker="os"[place],
                linestyle=model.line,
                linewidth=1.2,
                elinewidth=1.1,
                label=model.label(),
            )
        unit_square(axes, "", up)
        axes.legend(loc="upper left")
        counts, edges = np.histogram(known[0][2], np.linspace(0, 1, 11))
        below.bar(edges[:-1] + 0.05, counts, 0.09, color=drawing.OURS, alpha=0.55)
        for left, rows in zip(edges[:-1], counts, strict=True):
            if rows:
                text = wording.count(rows) if rows < 10_000 else f"{rows / 1000:.0f}k"
                below.annotate(text, (left + 0.05, rows), (0, 1), textcoords="offset points", ha="center", fontsize=6.5)
        below.set(xlabel=across, ylabel="rows", yticks=[], ylim=(0, max(counts) * 1.45))
        below.grid(visible=False)
        below.spines["left"].set_visible(False)

    return paint
