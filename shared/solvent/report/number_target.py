"""Figures of a number target: observed against predicted, residuals, calibration by tenths."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..metrics.calibration import NORMAL_975
from . import drawing, wording
from .figures import Drawn, Studio
from .scored import Cases, Model, Points, floats, rows_shown

__all__ = ["mean_and_reach", "number_target"]

_MOST_POINTS = 1000


def number_target(studio: Studio, cases: Cases, models: list[Model]) -> list[Drawn]:
    """Observed against predicted, calibration, residuals along the prediction, and the size of the errors."""
    truth = floats(cases.table, "truth")
    known = []
    for model in models:
        prediction = floats(cases.table, f"{model.prefix}prediction")
        if truth is not None and prediction is not None:
            scored = np.isfinite(truth) & np.isfinite(prediction)
            known.append(Points(model, truth[scored], prediction[scored], cases.weight[scored]))
    if not known or known[0].model.prefix or not len(known[0].truth):
        return []
    observed, predicted, weight = known[0].truth, known[0].score, known[0].weight
    basis = rows_shown(known[0], cases)
    shown = np.arange(len(observed))
    note = "."
    if len(observed) > _MOST_POINTS:
        shown = np.sort(np.random.default_rng(0).choice(len(observed), _MOST_POINTS, replace=False))
        note = f"; {wording.count(_MOST_POINTS)} of them drawn, taken at random."
    alpha = 0.6 if len(shown) < 300 else 0.35

    def against(canvas: Any) -> None:
        axes = canvas.add_subplot()
        ends = [min(observed.min(), predicted.min()), max(observed.max(), predicted.max())]
        axes.plot(ends, ends, color=drawing.FAINT, linewidth=1)
        axes.plot(predicted[shown], observed[shown], "o", color=drawing.OURS, alpha=alpha, markersize=3, mew=0)
        axes.set(xlabel="our prediction", ylabel="observed")

    def residuals(canvas: Any) -> None:
        axes = canvas.add_subplot()
        axes.axhline(0, color=drawing.FAINT, linewidth=1)
        error = observed - predicted
        axes.plot(predicted[shown], error[shown], "o", color=drawing.OURS, alpha=alpha * 0.7, markersize=3, mew=0)
        if len(observed) >= 50:
            tenths = np.array_split(np.argsort(predicted, kind="stable"), 10)
            middle = [np.median(predicted[tenth]) for tenth in tenths]
            for percent, line in ((10, (0, (2, 2))), (50, "-"), (90, (0, (2, 2)))):
                ends = [_percentile(error[tenth], percent, weight[tenth]) for tenth in tenths]
                axes.plot(middle, ends, color=drawing.INK, linestyle=line, linewidth=1.2)
        axes.set(xlabel="our prediction", ylabel="observed − predicted")

    def spread(canvas: Any) -> None:
        axes = canvas.add_subplot()
        errors = [(points, points.truth - points.score) for points in known]
        limit = max(_percentile(np.abs(error), 99, points.weight) for points, error in errors) or 1.0
        edges = np.linspace(-limit, limit, 41)
        axes.axvline(0, color=drawing.FAINT, linewidth=1)
        for points, error in errors:
            look = {"color": points.model.colour, "linestyle": points.model.line}
            inside = np.clip(error, -limit, limit)
            axes.hist(inside, edges, weights=points.weight, histtype="step", linewidth=1.5, **look)
            axes.plot([], [], label=points.model.label(), **look)
        axes.set(xlabel="observed − predicted", ylabel="weight of the test rows" if cases.weighed else "test rows")
        axes.legend()

    def calibration(canvas: Any) -> None:
        axes = canvas.add_subplot()
        for place, points in enumerate(known):
            model, guess, held = points.model, points.score, points.weight
            tenths = np.array_split(np.argsort(guess, kind="stable"), min(10, max(1, len(guess) // 20)))
            middle = [np.average(guess[tenth], weights=held[tenth]) for tenth in tenths]
            mean, half = np.transpose([mean_and_reach(points.truth[tenth], held[tenth]) for tenth in tenths])
            look = {"color": model.colour, "marker": "os"[place], "linestyle": model.line, "linewidth": 1.2}
            axes.errorbar(middle, mean, half, label=model.label(), **look)
        ends = axes.get_xlim()
        axes.plot(ends, ends, color=drawing.FAINT, linewidth=1, zorder=1)
        axes.set(xlabel="mean prediction", ylabel="mean observed")
        axes.legend()

    return [
        studio.draw(
            "Observed against predicted", f"On the grey line a prediction is exact. {basis}{note}", against, width=4.6
        ),
        studio.draw(
            "Calibration by tenths",
            f"Rows in ten groups by their prediction, or fewer where a group would fall under 20 rows; "
            f"bars are 95 % intervals of the mean. {basis}.",
            calibration,
            width=4.6,
        ),
        studio.draw(
            "Residuals along the prediction",
            f"Lines: 10th, 50th and 90th percentile in each tenth of the rows. {basis}{note}",
            residuals,
            width=4.6,
        ),
        studio.draw(
            "Size of the errors",
            f"The outermost columns hold everything beyond the 99th percentile. {basis}.",
            spread,
            width=4.6,
        ),
    ]


def _percentile(values: np.ndarray, percent: float, weight: np.ndarray) -> float:
    return float(np.percentile(values, percent, weights=weight, method="inverted_cdf"))


def mean_and_reach(values: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """The weighted mean, and half the width of its 95 % interval; 0 for a single row.

    Args:
        values: shape `(rows,)`.
        weight: above 0, shape `(rows,)`.

    Source: Cochran, Sampling Techniques, 1977, section 6.4 (the variance of a ratio).
    """
    rows, mean = len(values), float(np.average(values, weights=weight))
    if rows < 2:
        return mean, 0.0
    variance = (weight**2 @ (values - mean) ** 2) / weight.sum() ** 2 * rows / (rows - 1)
    return mean, NORMAL_975 * float(variance) ** 0.5
