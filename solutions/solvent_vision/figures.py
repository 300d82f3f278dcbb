"""What the report shows of images: the most telling ones with their heat maps, and augmented examples."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from solvent import Figure, Fitted, augment, images, imaging, labels, saliency
from solvent.report import pictures

from .settings import Vision

__all__ = ["figures"]

SHOWN = 8
AUGMENTED = 16


@dataclass(frozen=True)
class Answered:
    """How each test image was answered; every array has one entry for each.

    Args:
        best: the number of the most probable class, which the heat map explains.
        sure: how probable the answer is as a whole.
        said, given: what was named and what the label says, in words.
    """

    best: np.ndarray
    sure: np.ndarray
    right: np.ndarray
    said: list[str]
    given: list[str]


def figures(settings: Vision, fitted: Fitted, rows: pd.DataFrame, scored: pd.DataFrame) -> Iterator[Figure]:
    """The test images that it is most sure of and right, most sure of and wrong, least sure of; augmented images."""
    answered = _answered(settings, fitted, rows, scored)
    ranked = np.argsort(-answered.sure, kind="stable")
    right = answered.right[ranked]
    where = "Warm: the evidence for the most probable class"
    for title, order, what in (
        ("Sure and right", _one_of_each(ranked[right], answered.best), "the most confident of each class first"),
        ("Sure and wrong", ranked[~right], "the most confident mistakes, which may be wrong labels"),
        ("Least sure", ranked[::-1], "the least probable answers"),
    ):
        shown = order[:SHOWN]
        yield pictures.figure(
            title,
            f"{where}. {len(shown)} of {len(order)} such test images: {what}. Below: the answer and its probability, "
            "and the label where it differs.",
            _tiles(settings, fitted, rows, shown, answered),
        )
    if settings.trained_on_views:
        cells = list(rows["image"].iloc[np.linspace(0, len(rows) - 1, AUGMENTED).astype(int)])
        pixels = imaging.pixels(settings, fitted, cells)
        changed = augment.examples(pixels, settings.augmentation, fitted.facts["seed"])
        yield pictures.figure(
            "Augmented images",
            f"{len(changed)} test images as training would see them changed; in scoring nothing is changed.",
            [pictures.Tile(image) for image in changed],
            columns=8,
        )


def _answered(settings: Vision, fitted: Fitted, rows: pd.DataFrame, scored: pd.DataFrame) -> Answered:
    classes = list(fitted.facts["classes"])
    chance = scored[[f"probability_{name}" for name in classes]].to_numpy(np.float64)
    best = chance.argmax(axis=1)
    if settings.labels == "one":
        said, given = scored["class"].tolist(), rows["label"].tolist()
        return Answered(best, chance.max(axis=1), np.array(said) == np.array(given), said, given)
    cut = np.array([fitted.facts["operating_point"]["value"][name] for name in classes])
    truth = labels.flags(rows, classes).astype(bool)
    decided = chance >= cut
    words = [[", ".join(np.array(classes)[row]) or "none" for row in table] for table in (decided, truth)]
    sure = np.where(decided, chance, 1 - chance).prod(axis=1)
    return Answered(best, sure, (decided == truth).all(axis=1), *words)


def _one_of_each(order: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The same positions, the first of each class in front."""
    first = ~pd.Series(classes[order]).duplicated().to_numpy()
    return np.concatenate([order[first], order[~first]])


def _tiles(
    settings: Vision, fitted: Fitted, rows: pd.DataFrame, shown: np.ndarray, answered: Answered
) -> list[pictures.Tile]:
    if not len(shown):
        return []
    cells = list(rows["image"].iloc[shown])
    pixels = imaging.pixels(settings, fitted, cells)
    maps = imaging.heat_maps(settings, fitted, pixels, answered.best[shown], several=settings.labels == "several")
    tiles = []
    for place, cell, image, heat in zip(shown.tolist(), cells, pixels, maps, strict=True):
        caption = f"{answered.said[place]} {answered.sure[place]:.2f}"
        if not answered.right[place]:
            caption += f"\nlabel: {answered.given[place]}"
            caption += f"\n{images.shown(cell)}" if isinstance(cell, str) else ""
        tiles.append(pictures.Tile(saliency.overlay(image, heat), caption))
    return tiles
