"""What the report shows of images: the most telling ones with their heat maps, and augmented examples."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from solvent import Figure, Fitted, augment, images, labels, saliency
from solvent.report import pictures

from .heat import heat_maps
from .settings import Vision

__all__ = ["figures"]

SHOWN = 8
AUGMENTED = 16


def figures(settings: Vision, fitted: Fitted, rows: pd.DataFrame, scored: pd.DataFrame) -> Iterator[Figure]:
    """The test images that it is most sure of and right, most sure of and wrong, least sure of; augmented images."""
    classes = list(fitted.facts["classes"])
    chance = scored[[f"probability_{name}" for name in classes]].to_numpy(np.float64)
    best, surest = chance.argmax(axis=1), chance.max(axis=1)
    right = _is_right(settings, rows, scored, classes)
    ranked = np.argsort(-surest, kind="stable")
    where = "Warm: the evidence for the class that is named"
    for title, order, what in (
        ("Sure and right", _one_of_each(ranked[right[ranked]], best), "the most confident of each class first"),
        ("Sure and wrong", ranked[~right[ranked]], "the most confident mistakes, which may be wrong labels"),
        ("Least sure", ranked[::-1], "the lowest probability of the most probable class"),
    ):
        shown = order[:SHOWN]
        yield pictures.figure(
            title,
            f"{where}. {len(shown)} of {len(order)} such test images: {what}. The probability stands below, "
            "and the label where it differs.",
            _tiles(settings, fitted, rows, shown, best, surest, classes),
        )
    if settings.trained_on_views:
        cells = list(rows["image"].iloc[np.linspace(0, len(rows) - 1, AUGMENTED).astype(int)])
        pixels = np.stack([images.pixels(cell, fitted.facts["size"], settings.resize) for cell in cells])
        changed = augment.examples(pixels, settings.augmentation, fitted.facts["seed"])
        yield pictures.figure(
            "Augmented images",
            f"{len(changed)} test images as training would see them changed; in scoring nothing is changed.",
            [pictures.Tile(image) for image in changed],
            columns=8,
        )


def _is_right(settings: Vision, rows: pd.DataFrame, scored: pd.DataFrame, classes: list[str]) -> np.ndarray:
    if settings.labels == "one":
        return (rows["label"] == scored["class"]).to_numpy()
    decided = labels.flags(scored.rename(columns={"classes": "label"}), classes)
    return (labels.flags(rows, classes) == decided).all(axis=1)


def _one_of_each(order: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The same positions, the first of each class in front."""
    first = ~pd.Series(classes[order]).duplicated().to_numpy()
    return np.concatenate([order[first], order[~first]])


def _tiles(
    settings: Vision,
    fitted: Fitted,
    rows: pd.DataFrame,
    shown: np.ndarray,
    best: np.ndarray,
    surest: np.ndarray,
    classes: list[str],
) -> list[pictures.Tile]:
    if not len(shown):
        return []
    cells = rows["image"].iloc[shown]
    pixels = np.stack([images.pixels(cell, fitted.facts["size"], settings.resize) for cell in cells])
    maps = heat_maps(settings, fitted, pixels, best[shown])
    tiles = []
    for position, image, heat in zip(shown, pixels, maps, strict=True):
        label = rows["label"].iloc[position]
        named, given = classes[best[position]], label if isinstance(label, str) else ", ".join(label) or "none"
        caption = f"{named} {surest[position]:.2f}" + (f"\nlabel: {given}" if given != named else "")
        tiles.append(pictures.Tile(saliency.overlay(image, heat), caption))
    return tiles
