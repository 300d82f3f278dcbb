"""Figures of a target of several classes: class by class, calibration, confidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..metrics.calibration import wilson
from . import drawing, sections, wording
from .figures import Drawn, Studio
from .scored import Cases, Model, Points, columns_below, floats, reliability_painter, rows_shown

__all__ = ["class_by_class", "several_classes"]

JSON = Any
_CLASSES = {
    False: "95 % Wilson intervals; test rows",
    True: "Rows count by their weight, without intervals; weight of the test rows",
}


def several_classes(studio: Studio, cases: Cases, models: list[Model], classes: list[str]) -> list[Drawn]:
    """Calibration of the most probable class, and how sure the model is where it is right and where it is wrong."""
    truth = cases.table["truth"].to_numpy(dtype=object)
    known = []
    for model in models:
        columns = [floats(cases.table, f"{model.prefix}probability_{level}") for level in classes]
        given = [column for column in columns if column is not None]
        if len(given) == len(classes):
            probability = np.stack(given, axis=1)
            scored = np.isfinite(probability).all(axis=1)
            top = probability[scored].argmax(axis=1)
            right = np.array(classes, dtype=object)[top] == truth[scored]
            confidence = np.clip(probability[scored].max(axis=1), 0, 1)
            known.append(Points(model, right.astype(float), confidence, cases.weight[scored]))
    if not known or known[0].model.prefix or not len(known[0].truth):
        return []
    ours = known[0]
    basis = f"{rows_shown(ours, cases)}; {len(classes)} classes."

    def spread(canvas: Any) -> None:
        axes = canvas.add_subplot()
        edges = np.linspace(0, 1, 31)
        for mark, colour, name in ((1, drawing.OURS, "right"), (0, drawing.BAD, "wrong")):
            held, weights = ours.score[ours.truth == mark], ours.weight[ours.truth == mark]
            text = f"{name} ({wording.count(len(held))})"
            axes.hist(held, edges, weights=weights, color=colour, alpha=0.35, histtype="stepfilled", linewidth=0)
            axes.hist(held, edges, weights=weights, color=colour, histtype="step", linewidth=1.4, label=text)
        rows = "weight of the test rows" if cases.weighed else "test rows"
        axes.set(xlabel="probability of the class that we name", ylabel=rows, xlim=(0, 1))
        axes.legend(loc="upper left")

    return [
        studio.draw(
            "Calibration of the named class",
            "How often the most probable class is right, beside its stated probability, in ten bins of equal width; "
            f"bars are 95 % Wilson intervals, the columns below {columns_below(cases)}. {basis}",
            reliability_painter(known, "stated probability of the named class", "share that is right", cases.weighed),
            width=4.6,
            height=4.0,
        ),
        studio.draw("Our confidence, right and wrong", basis, spread, width=4.6, height=4.0),
    ]


def class_by_class(studio: Studio, bundle: Mapping[str, JSON]) -> Drawn | None:
    """Recall and precision of each of more than two classes, with Wilson intervals, from the confusion table."""
    confusion = bundle["confusion"]
    if confusion is None or not 2 < len(confusion["classes"]) <= 40:
        return None
    classes, weighed = confusion["classes"], sections.weighed(bundle)
    counts = np.asarray(confusion["counts"], dtype=float)
    order = np.argsort(-counts.sum(axis=1), kind="stable")
    hits = np.diag(counts)[order]
    sums = counts.sum(axis=1)[order]
    bases = (("recall", sums), ("precision", counts.sum(axis=0)[order]))
    size = wording.tally if weighed else wording.count

    def paint(canvas: Any) -> None:
        for axes, (name, base) in zip(canvas.subplots(1, 2, sharey=True), bases, strict=True):
            held = base > 0
            rows = np.arange(len(classes))[held]
            rate = hits[held] / base[held]
            if not weighed:  # sums of weights don't tell of how many rows they are
                axes.hlines(rows, *wilson(rate, base[held]), color=drawing.OURS, linewidth=2)
            axes.plot(rate, rows, "o", color=drawing.OURS)
            axes.set(xlabel=name, xlim=(-0.02, 1.02), ylim=(len(classes) - 0.4, -0.6))
            axes.grid(axis="y", visible=False)
            names = [wording.shorten(classes[at], 26) for at in order]
            axes.set_yticks(
                range(len(classes)), [f"{name} ({size(own)})" for name, own in zip(names, sums, strict=True)]
            )
            axes.tick_params(axis="y", length=0, labelcolor=drawing.INK)

    return studio.draw(
        "Class by class",
        "Recall: of the rows of a class, the share that we name so. Precision: of the rows that we name so, the share "
        f"that is. {_CLASSES[weighed]} of the class in brackets, {size(counts.sum())} in all.",
        paint,
        width=8.4,
        height=0.8 + 0.24 * len(classes),
    )
