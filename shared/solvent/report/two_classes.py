"""Figures of a target of two classes: ROC, precision and recall, calibration, scores by class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import curves, drawing, wording
from .figures import Drawn, Studio
from .scored import Cases, Model, Points, columns_below, floats, reliability_painter, rows_shown, unit_square

__all__ = ["OperatingPoint", "operating_point", "two_classes"]

JSON = Any


def two_classes(
    studio: Studio, bundle: Mapping[str, JSON], cases: Cases, models: list[Model], positive: str
) -> list[Drawn]:
    """ROC, precision and recall, calibration and the scores of each class; none where the rows hold one class only."""
    truth = (cases.table["truth"] == positive).to_numpy(dtype=np.float64)
    known = []
    for model in models:
        probability = floats(cases.table, f"{model.prefix}probability")
        if probability is not None and np.isfinite(probability).any():
            scored = np.isfinite(probability)
            known.append(Points(model, truth[scored], np.clip(probability[scored], 0, 1), cases.weight[scored]))
    if not known or known[0].model.prefix or not 0 < known[0].truth.sum() < len(known[0].truth):
        return []
    ours = known[0]
    label = wording.shorten(positive, 26)
    rate = np.average(ours.truth, weights=ours.weight)
    basis = f"{rows_shown(ours, cases)}; {wording.count(ours.truth.sum())} are “{label}”."
    test = bundle["test"]
    theirs = test["baseline"] or {}
    point = wording.finite((bundle["facts"].get("operating_point") or {}).get("value"))
    corner = operating_point(bundle, positive)

    def quoted(model: Model, metric: str, name: str) -> str:
        found = (test["metrics"] if not model.prefix else theirs).get(metric)
        return "" if found is None else f", {name} {wording.estimate(found)}"

    def roc(canvas: Any) -> None:
        axes = canvas.add_subplot()
        axes.plot([0, 1], [0, 1], color=drawing.FAINT, linewidth=1)
        for points in known:
            model, line = points.model, curves.thin(*curves.roc(points.truth, points.score, points.weight))
            axes.plot(*line, color=model.colour, linestyle=model.line, label=model.label(quoted(model, "auc", "AUC")))
        if corner:
            axes.plot(corner.false_rate, corner.recall, "o", color=drawing.OURS, markersize=7, label="operating point")
        unit_square(axes, "false positive rate", f"recall of {label}")
        axes.legend(loc="lower right")

    def precision_recall(canvas: Any) -> None:
        axes = canvas.add_subplot()
        axes.axhline(rate, color=drawing.FAINT, linewidth=1)
        for points in known:
            model, line = points.model, curves.thin(*curves.precision_recall(points.truth, points.score, points.weight))
            text = model.label(quoted(model, "average_precision", "AP"))
            axes.plot(*line, color=model.colour, linestyle=model.line, label=text)
        if corner and corner.precision is not None:
            axes.plot(corner.recall, corner.precision, "o", color=drawing.OURS, markersize=7, label="operating point")
        unit_square(axes, f"recall of {label}", "precision")
        axes.legend(loc="best")

    def spread(canvas: Any) -> None:
        axes = canvas.add_subplot()
        edges = np.linspace(0, 1, 31)
        for mark, colour, name in ((0, drawing.MUTED, f"not {label}"), (1, drawing.OURS, label)):
            held, weights = ours.score[ours.truth == mark], ours.weight[ours.truth == mark]
            weights = weights / weights.sum()
            text = f"{name} ({wording.count(len(held))})"
            axes.hist(held, edges, weights=weights, color=colour, alpha=0.45, histtype="stepfilled", linewidth=0)
            axes.hist(held, edges, weights=weights, color=colour, histtype="step", linewidth=1.4, label=text)
        if point is not None:
            text = f"operating point {wording.plain(point)}"
            axes.axvline(point, color=drawing.INK, linewidth=1.2, linestyle=(0, (4, 2)), label=text)
        axes.margins(y=0.22)
        axes.set(xlabel=f"our probability of {label}", ylabel="share of the class", xlim=(0, 1))
        axes.legend(loc="upper right")

    marked = " The dot is the operating point." if corner else ""
    return [
        studio.draw("ROC curve", f"The grey line is guessing.{marked} {basis}", roc, width=4.6, height=3.6),
        studio.draw(
            "Precision and recall",
            f"The grey line is the rate of “{label}”, {wording.percent(rate)}.{marked} {basis}",
            precision_recall,
            width=4.6,
            height=3.6,
        ),
        studio.draw(
            "Calibration",
            "Observed rate beside the stated probability, in ten bins of equal width; bars are 95 % Wilson intervals, "
            f"the columns below {columns_below(cases)}. {basis}",
            reliability_painter(known, f"stated probability of {label}", f"observed rate of {label}", cases.weighed),
            width=4.6,
            height=4.0,
        ),
        studio.draw("Our scores by class", f"Each class sums to 1. {basis}", spread, width=4.6, height=4.0),
    ]


@dataclass(frozen=True)
class OperatingPoint:
    """Where decisions lie on the curves; `precision` is None where none was positive."""

    recall: float
    false_rate: float
    precision: float | None


def operating_point(bundle: Mapping[str, JSON], positive: str) -> OperatingPoint | None:
    """Where the operating point lies, read off the confusion table that the page shows."""
    confusion = bundle["confusion"]
    if confusion is None or len(confusion["classes"]) != 2 or positive not in confusion["classes"]:
        return None
    counts = np.asarray(confusion["counts"], dtype=float)
    here = confusion["classes"].index(positive)
    hits, missed = counts[here, here], counts[here, 1 - here]
    false = counts[1 - here, here]
    rest = false + counts[1 - here, 1 - here]
    if not hits + missed or not rest:
        return None
    return OperatingPoint(hits / (hits + missed), false / rest, hits / (hits + false) if hits + false else None)
