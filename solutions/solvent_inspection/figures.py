"""What the report shows of parts: their scores beside the threshold, lot by lot, and where the oddest ones are odd."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from solvent import Figure, Fitted, images, imaging
from solvent.report import drawing, pictures
from solvent.report.wording import shorten
from solvent.wording import many

from .decision import BAD, is_bad
from .heat import overlays
from .model import odd_places
from .settings import Inspection

__all__ = ["figures"]

SHOWN = 8
MOST_KINDS = 4


def figures(settings: Inspection, fitted: Fitted, rows: pd.DataFrame, scored: pd.DataFrame) -> Iterator[Figure]:
    """Scores of good parts and of each kind of defect, by lot where there are lots; photos with their odd places."""
    bad, score = is_bad(settings, rows), scored["score"].to_numpy(np.float64)
    yield _scores(fitted, rows["label"], bad, score)
    if "group" in rows:
        yield _by_group(fitted, rows["group"], bad, score)
    stopped, oddest = (scored["decision"] == BAD).to_numpy(), np.argsort(-score, kind="stable")
    for title, chosen, what in (
        ("Stopped, and bad", bad & stopped, "the oddest first"),
        ("Missed", bad & ~stopped, "the oddest first"),
        ("False alarms", ~bad & stopped, "the oddest first, which may be defects that nobody has labelled"),
        ("Good, and passed", ~bad & ~stopped, "the oddest first"),
    ):
        order = oddest[chosen[oddest]]
        shown = order[:SHOWN]
        yield pictures.figure(
            title,
            f"{len(shown)} of {many(len(order), 'such test part')}: {what}. Warm: odder than a usual good part "
            "anywhere; the same colour is as odd in every photo. Below: the score, the p-value and the label.",
            _tiles(settings, fitted, rows.iloc[shown], scored.iloc[shown]),
        )


def _scores(fitted: Fitted, labels: pd.Series, bad: np.ndarray, score: np.ndarray) -> Figure:
    kinds = labels[bad].value_counts().index[:MOST_KINDS]
    groups = {"good": score[~bad], **{kind: score[bad & (labels == kind).to_numpy()] for kind in kinds}}
    point = fitted.facts["operating_point"]
    edges = np.linspace(score.min(), score.max() + 1e-9, 41)

    def draw(axes: Any) -> None:
        for number, (name, own) in enumerate(groups.items()):
            if len(own):
                text = f"{shorten(name, 26)} ({len(own):,})"
                weights = np.full(len(own), 1 / len(own))
                axes.hist(own, edges, weights=weights, histtype="step", linewidth=1.4, color=f"C{number}", label=text)
        axes.axvline(point["value"], color=drawing.INK, linewidth=1, linestyle=(0, (4, 2)), label="threshold")
        axes.set(xlabel="score", ylabel="share of these parts")
        axes.legend(loc="upper right")

    left_out = labels[bad].nunique() - len(kinds)
    more = f" {left_out} rarer kinds are left out." if left_out > 0 else ""
    return Figure(
        title="Scores",
        caption=f"{len(score):,} test parts; each line sums to 1. The threshold is {point['value']:.3f} "
        f"({point['rule']}; {point['rows']:,} {point['chosen_on']}). What is left of it passes.{more}",
        draw=draw,
        width=5.4,
    )


def _by_group(fitted: Fitted, group: pd.Series, bad: np.ndarray, score: np.ndarray) -> Figure:
    names = sorted(group.unique())
    cut = fitted.facts["operating_point"]["value"]
    good = [score[~bad & (group == name).to_numpy()] for name in names]

    def draw(axes: Any) -> None:
        for place, (name, own) in enumerate(zip(names, good, strict=True)):
            other = score[bad & (group == name).to_numpy()]
            axes.plot(np.full(len(own), place), own, ".", color=drawing.OURS, alpha=0.5, markersize=4)
            axes.plot(np.full(len(other), place), other, "x", color=drawing.BAD, markersize=4)
        axes.axhline(cut, color=drawing.INK, linewidth=1, linestyle=(0, (4, 2)))
        axes.set(xlabel="lot" if len(names) > 12 else "", ylabel="score")
        axes.set_xticks(range(len(names)), names if len(names) <= 12 else [""] * len(names))

    return Figure(
        title="Scores by lot",
        caption=f"{len(names)} lots that were not learnt from. Dots: good parts; crosses: bad ones; the line: the "
        "threshold. A lot whose dots all lie higher is another light or another material: it needs good parts of its "
        "own to learn from.",
        draw=draw,
        width=5.4,
    )


def _tiles(settings: Inspection, fitted: Fitted, rows: pd.DataFrame, scored: pd.DataFrame) -> list[pictures.Tile]:
    if rows.empty:
        return []
    cells = list(rows["image"])
    pixels = imaging.pixels(settings, fitted, cells)
    drawn = overlays(fitted, pixels, odd_places(settings, fitted, pixels))
    tiles = []
    for image, cell, label, score, chance in zip(
        drawn, cells, rows["label"], scored["score"], scored["p_value"], strict=True
    ):
        name = f"\n{images.shown(cell)}" if isinstance(cell, str) else ""
        tiles.append(pictures.Tile(image, f"{score:.3f}, p {chance:.3f}\n{label}{name}"))
    return tiles
