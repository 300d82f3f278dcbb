"""Figures of a number target: observed against predicted, residuals, calibration by tenths."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import drawing, wording
from .figures import Drawn, Studio
from .scored import Model, floats, rows_shown

__all__ = ["number_target"]

_MOST_POINTS = 1000


def number_target(studio: Studio, scores: Any, models: list[Model]) -> list[Drawn]:
    """Observed against predicted, calibration, residuals along the prediction, and the size of the errors."""
    truth = floats(scores, "truth")
    known = []
    for model in models:
        prediction = floats(scores, f"{model.prefix}prediction")
        if truth is not None and prediction is not None:
            scored = np.isfinite(truth) & np.isfinite(prediction)
            known.append((model, truth[scored], prediction[scored]))
    if not known or known[0][0].prefix or not len(known[0][1]):
        return []
    _, observed, predicted = known[0]
    basis = rows_shown(len(observed), len(scores) - len(observed))
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
            for quantile, line in ((10, (0, (2, 2))), (50, "-"), (90, (0, (2, 2)))):
                ends = [np.percentile(error[tenth], quantile) for tenth in tenths]
                axes.plot(middle, ends, color=drawing.INK, linestyle=line, linewidth=1.2)
        axes.set(xlabel="our prediction", ylabel="observed − predicted")

    def spread(canvas: Any) -> None:
        axes = canvas.add_subplot()
        errors = [(model, target - guess) for model, target, guess in known]
        limit = max(float(np.percentile(np.abs(error), 99)) for _, error in errors) or 1.0
        edges = np.linspace(-limit, limit, 41)
        axes.axvline(0, color=drawing.FAINT, linewidth=1)
        for model, error in errors:
            inside = np.clip(error, -limit, limit)
            axes.hist(inside, edges, histtype="step", color=model.colour, linestyle=model.line, linewidth=1.5)
            axes.plot([], [], color=model.colour, linestyle=model.line, label=model.label())
        axes.set(xlabel="observed − predicted", ylabel="test rows")
        axes.legend()

    def calibration(canvas: Any) -> None:
        axes = canvas.add_subplot()
        for place, (model, target, guess) in enumerate(known):
            tenths = np.array_split(np.argsort(guess, kind="stable"), min(10, max(1, len(guess) // 20)))
            middle = [guess[tenth].mean() for tenth in tenths]
            mean = np.array([target[tenth].mean() for tenth in tenths])
            half = [
                1.959964 * target[tenth].std(ddof=1) / len(tenth) ** 0.5 if len(tenth) > 1 else 0 for tenth in tenths
            ]
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
