"""Figures of a target of several classes: class by class, calibration, confidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import curves, drawing, wording
from .figures import Drawn, Studio
from .scored import Model, canonical, floats, reliability_painter, rows_shown

__all__ = ["class_by_class", "several_classes"]

JSON = Any


def several_classes(studio: Studio, scores: Any, models: list[Model], classes: list[str]) -> list[Drawn]:
    """Calibration of the most probable class, and how sure the model is where it is right and where it is wrong."""
    truth = np.array([canonical(value) for value in scores["truth"]], dtype=object)
    known = []
    for model in models:
        columns = [floats(scores, f"{model.prefix}probability_{level}") for level in classes]
        given = [column for column in columns if column is not None]
        if len(given) == len(classes):
            probability = np.stack(given, axis=1)
            scored = np.isfinite(probability).all(axis=1)
            top = probability[scored].argmax(axis=1)
            right = np.array(classes, dtype=object)[top] == truth[scored]
            known.append((model, right.astype(float), np.clip(probability[scored].max(axis=1), 0, 1)))
    if not known or known[0][0].prefix or not len(known[0][1]):
        return []
    _, right, confidence = known[0]
    basis = rows_shown(len(right), len(scores) - len(right)) + f", {len(classes)} classes."

    def spread(canvas: Any) -> None:
        axes = canvas.add_subplot()
        edges = np.linspace(0, 1, 31)
        for mark, colour, name in ((1, drawing.OURS, "right"), (0, drawing.BAD, "wrong")):
            held = confidence[right == mark]
            text = f"{name} ({wording.count(len(held))})"
            axes.hist(held, edges, color=colour, alpha=0.35, histtype="stepfilled", linewidth=0)
            axes.hist(held, edges, color=colour, histtype="step", linewidth=1.4, label=text)
        axes.set(xlabel="probability of the class that we name", ylabel="test rows", xlim=(0, 1))
        axes.legend(loc="upper left")

    return [
        studio.draw(
            "Calibration of the named class",
            "How often the most probable class is right, beside its stated probability, in ten bins of equal width; "
            f"bars are 95 % Wilson intervals, the columns below count our rows. {basis}",
            reliability_painter(known, "stated probability of the named class", "share that is right"),
            width=4.6,
            height=4.0,
        ),
        studio.draw("Our confidence, right and wrong", basis, spread, width=4.6, height=4.0),
    ]


def class_by_class(studio: Studio, confusion: Mapping[str, JSON] | None) -> Drawn | None:
    """Recall and precision of each of more than two classes, with Wilson intervals, from the confusion table."""
    classes = [str(level) for level in (confusion or {}).get("classes") or []]
    if confusion is None or not 2 < len(classes) <= 40:
        return None
    counts = np.asarray(confusion["counts"], dtype=float)
    if confusion.get("rows_are") != "truth":
        counts = counts.T
    order = np.argsort(-counts.sum(axis=1), kind="stable")
    hits = np.diag(counts)[order]
    bases = (("recall", counts.sum(axis=1)[order]), ("precision", counts.sum(axis=0)[order]))

    def paint(canvas: Any) -> None:
        for axes, (name, base) in zip(canvas.subplots(1, 2, sharey=True), bases, strict=True):
            held = base > 0
            rows = np.arange(len(classes))[held]
            rate = hits[held] / base[held]
            low, high = curves.wilson(hits[held], base[held])
            axes.hlines(rows, low, high, color=drawing.OURS, linewidth=2)
            axes.plot(rate, rows, "o", color=drawing.OURS)
            axes.set(xlabel=name, xlim=(-0.02, 1.02), ylim=(len(classes) - 0.4, -0.6))
            axes.grid(axis="y", visible=False)
            labels = [f"{wording.shorten(classes[at], 26)} ({wording.count(counts.sum(axis=1)[at])})" for at in order]
            axes.set_yticks(range(len(classes)), labels)
            axes.tick_params(axis="y", length=0, labelcolor=drawing.INK)

    return studio.draw(
        "Class by class",
        "Recall: of the rows of a class, the share that we name so. Precision: of the rows that we name so, the share "
        f"that is. 95 % Wilson intervals; test rows of the class in brackets, {wording.count(counts.sum())} in all.",
        paint,
        width=8.4,
        height=0.8 + 0.24 * len(classes),
    )
