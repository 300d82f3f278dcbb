"""Figures of a target whose rows may have several classes: calibration, precision and recall class by class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..metrics.curve import Curve
from ..metrics.sums import ratio
from . import curves, wording
from .figures import Drawn, Studio
from .scored import Cases, Model, Points, floats, reliability_painter, rows_shown, unit_square

__all__ = ["several_labels"]

JSON = Any
_COLOURS = ("C0", "C2", "C3", "C4", "C5")  # C1 is the baseline's, which is not drawn


def several_labels(
    studio: Studio, bundle: Mapping[str, JSON], cases: Cases, models: list[Model], classes: list[str]
) -> list[Drawn]:
    """Calibration over all classes, and our precision and recall of those with the lowest average precision."""
    truth = np.array([[level in names for level in classes] for names in cases.table["truth"]], float)
    known = []
    for model in models:
        columns = [floats(cases.table, f"{model.prefix}probability_{level}") for level in classes]
        given = [column for column in columns if column is not None]
        if len(given) == len(classes) and len(truth):
            probability = np.clip(np.stack(given, axis=1), 0, 1)
            scored = np.isfinite(probability).all(axis=1)
            known.append(Points(model, truth[scored], probability[scored], cases.weight[scored]))
    if not known or known[0].model.prefix or not len(known[0].truth):
        return []
    ours = known[0]
    basis = f"{rows_shown(ours, cases)}; {len(classes)} classes."
    pooled = [
        Points(each.model, each.truth.ravel(), each.score.ravel(), np.repeat(each.weight, len(classes)))
        for each in known
    ]
    below = "add up our rows' weights, once for each class" if cases.weighed else "count pairs of a row and a class"
    drawn = [
        studio.draw(
            "Calibration of all classes",
            "How often a class is there, beside its stated probability, all classes together, in ten bins of equal "
            "width; bars are 95 % Wilson intervals, as if the classes of a row were independent; the columns below "
            f"{below}. {basis}",
            reliability_painter(pooled, "stated probability of a class", "share that has it", cases.weighed, "pairs"),
            width=4.6,
            height=4.0,
        )
    ]
    there = [at for at in range(len(classes)) if ours.truth[:, at].any()]
    shown = sorted(there, key=lambda at: _average_precision(ours, at))[: len(_COLOURS)]
    cuts = (bundle["facts"].get("operating_point") or {}).get("value")
    thresholds = cuts if isinstance(cuts, Mapping) else {}

    def paint(canvas: Any) -> None:
        axes = canvas.add_subplot()
        for at, colour in zip(shown, _COLOURS, strict=False):
            own, score, name = ours.truth[:, at], ours.score[:, at], classes[at]
            line = curves.thin(*curves.precision_recall(own, score, ours.weight))
            axes.plot(*line, color=colour, label=wording.shorten(name, 26))
            if name in thresholds:
                called = (score >= thresholds[name]) * ours.weight
                recall, precision = (ratio(called @ own, base) for base in (ours.weight @ own, called.sum()))
                axes.plot(recall, precision, "o", color=colour, markersize=7)
        unit_square(axes, "recall", "precision")
        axes.legend(loc="lower left")

    if shown:
        which = "" if len(shown) == len(there) else f" The {len(shown)} classes of the lowest average precision."
        dots = " The dots are the thresholds." if thresholds else ""
        caption = f"Ours, one line for each class.{which}{dots} {basis}"
        drawn.append(studio.draw("Precision and recall by class", caption, paint, width=4.6, height=4.0))
    return drawn


def _average_precision(points: Points, at: int) -> float:
    curve = Curve(points.truth[:, at], points.score[:, at], points.weight)
    return float(curve.average_precision(np.ones((1, len(points.truth))))[0])
