"""Figures of a target of two classes: ROC, precision and recall, calibration, scores by class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import curves, drawing, wording
from .figures import Drawn, Studio
from .scored import Model, canonical, floats, reliability_painter, rows_shown, unit_square

__all__ = ["two_classes"]

JSON = Any


def two_classes(
    studio: Studio, bundle: Mapping[str, JSON], scores: Any, models: list[Model], positive: str
) -> list[Drawn]:
    """ROC, precision and recall, calibration and the scores of each class; none where the rows hold one class only."""
    truth = np.array([canonical(value) == positive for value in scores["truth"]], dtype=float)
    known = []
    for model in models:
        probability = floats(scores, f"{model.prefix}probability")
        if probability is not None and np.isfinite(probability).any():
            scored = np.isfinite(probability) & scores["truth"].notna().to_numpy()
            known.append((model, truth[scored], np.clip(probability[scored], 0, 1)))
    if not known or known[0][0].prefix or not 0 < known[0][1].sum() < len(known[0][1]):
        return []
    ours, rows = known[0], rows_shown(len(known[0][1]), len(scores) - len(known[0][1]))
    label = wording.shorten(positive, 26)
    rate = ours[1].mean()
    basis = f"{rows}, {wording.count(ours[1].sum())} of them “{label}”."
    test = bundle["test"]
    theirs = test.get("baseline") or {}
    point = wording.finite((bundle["facts"].get("operating_point") or {}).get("value"))
    corner = _corner(bundle, positive)

    def quoted(model: Model, metric: str, name: str) -> str:
        found = (test["metrics"] if not model.prefix else theirs).get(metric)
        return "" if found is None else f", {name} {wording.estimate(found)}"

    def roc(canvas: Any) -> None:
        axes = canvas.add_subplot()
        axes.plot([0, 1], [0, 1], color=drawing.FAINT, linewidth=1)
        for model, target, probability in known:
            line = curves.thin(*curves.roc(target, probability))
            axes.plot(*line, color=model.colour, linestyle=model.line, label=model.label(quoted(model, "auc", "AUC")))
        if corner:
            axes.plot(corner.false_rate, corner.recall, "o", color=drawing.OURS, markersize=7, label="operating point")
        unit_square(axes, "false positive rate", f"recall of {label}")
        axes.legend(loc="lower right")

    def precision_recall(canvas: Any) -> None:
        axes = canvas.add_subplot()
        axes.axhline(rate, color=drawing.FAINT, linewidth=1)
        for model, target, probability in known:
            line = curves.thin(*curves.precision_recall(target, probability))
            text = model.label(quoted(model, "average_precision", "AP"))
            axes.plot(*line, color=model.colour, linestyle=model.line, label=text)
        if corner and corner.precision is not None:
            axes.plot(corner.recall, corner.precision, "o", color=drawing.OURS, markersize=7, label="operating point")
        unit_square(axes, f"recall of {label}", "precision")
        axes.legend(loc="best")

    def spread(canvas: Any) -> None:
        axes = canvas.add_subplot()
        edges = np.linspace(0, 1, 31)
        _, target, probability = ours
        for mark, colour, name in ((0, drawing.MUTED, f"not {label}"), (1, drawing.OURS, label)):
            held = probability[target == mark]
            text = f"{name} ({wording.count(len(held))})"
            weights = np.full(len(held), 1 / max(len(held), 1))
            axes.hist(held, edges, weights=weights, color=colour, alpha=0.45, histtype="stepfilled", linewidth=0)
            axes.hist(held, edges, weights=weights, color=colour, histtype="step", linewidth=1.4, label=text)
        if point is not None:
            text = f"operating point {wording.plain(point)}"
            axes.axvline(point, color=drawing.INK, linewidth=1.2, linestyle=(0, (4, 2)), label=text)
        axes.margins(y=0.22)
        axes.set(xlabel=f"our probability of {label}", ylabel="share of the class's rows", xlim=(0, 1))
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
            f"the columns below count our rows. {basis}",
            reliability_painter(known, f"stated probability of {label}", f"observed rate of {label}"),
            width=4.6,
            height=4.0,
        ),
        studio.draw("Our scores by class", f"Each class sums to 1. {basis}", spread, width=4.6, height=4.0),
    ]


@dataclass(frozen=True)
class _Corner:
    recall: float
    false_rate: float
    precision: float | None


def _corner(bundle: Mapping[str, JSON], positive: str) -> _Corner | None:
    """Where the operating point lies, read off the confusion table that the page shows."""
    confusion = bundle.get("confusion") or {}
    classes = [canonical(level) for level in confusion.get("classes") or []]
    if len(classes) != 2 or positive not in classes:
        return None
    counts = np.asarray(confusion["counts"], dtype=float)
    if confusion.get("rows_are") != "truth":
        counts = counts.T
    here = classes.index(positive)
    hits, missed = counts[here, here], counts[here, 1 - here]
    false = counts[1 - here, here]
    rest = false + counts[1 - here, 1 - here]
    if not hits + missed or not rest:
        return None
    return _Corner(hits / (hits + missed), false / rest, hits / (hits + false) if hits + false else None)
