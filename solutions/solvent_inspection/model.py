"""Learn how good parts look, set the threshold on parts that chose nothing; score parts."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from solvent import Data, Fitted, Refused, finetune, imaging
from solvent.schema import Schema
from solvent.solution import JSON, Score

from . import decision, gaussian, memory
from .network import patch_maps
from .settings import Inspection

__all__ = ["fit", "odd_places", "outside", "recalibrate", "scorer"]

METHODS = {"memory": memory, "gaussian": gaussian}
BATCHES = 8  # whose maps are held at once
FEWEST = 8  # good parts to learn from; of fewer nothing can be said
MEANING = (
    "a map of patches, (height, width, channels); how far each is from those of good parts is computed from it, with "
    "the bundle's assets: a part is as odd as its oddest patch"
)


def outside(settings: Inspection) -> dict[str, str]:
    """The hash of the backbone's weights, which have to be had, and to fit."""
    return imaging.outside(settings)


def good_images(settings: Inspection, data: Data) -> list[object]:
    """The cells of the good training images; no other one is learnt from.

    Raises:
        Refused: if there are too few.
    """
    labels = data.train["label"]
    good = list(data.train["image"][labels.isin(settings.good)])
    if len(good) < FEWEST:
        raise Refused(
            f"settings.good is {list(settings.good)}: {len(good)} training rows have such a label; expected at least "
            f"{FEWEST}. The labels are {sorted(labels.unique())[:10]}. Name the good ones, or give more good parts."
        )
    return good


def fit(settings: Inspection, data: Data) -> Fitted:
    """Good training parts are what is known, validation parts set the threshold; nothing else is chosen."""
    good, bad = good_images(settings, data), decision.is_bad(settings, data.valid)
    decision.refuse_too_few(settings, bad)
    model = patch_maps(settings, data, good)
    facts = {**imaging.facts(settings, data, [], MEANING), "learnt_from": len(good)}
    fitted = Fitted(models={"model": model}, facts=facts, batch_rows=finetune.BATCH_ROWS)
    maps = (maps for maps, _ in _read(settings, fitted, good))
    fitted = replace(fitted, assets=METHODS[settings.method].learn(settings, maps, len(good), data.seed))
    facts |= recalibrate(settings, fitted, data.schema, data.valid)
    findings = [
        decision.lots(settings, field.source, data.valid.loc[~bad, field.name], facts)
        for field in data.schema.by_role("group")
    ]
    # A line's parts are good ones but for a few, whatever the share of bad ones among those that somebody labelled.
    usual = decision.outputs(data.valid.index[~bad], facts, np.asarray(facts["good"]))
    return replace(fitted, facts=facts, usual=usual, findings=tuple(findings))


def recalibrate(settings: Inspection, fitted: Fitted, schema: Schema, valid: pd.DataFrame) -> dict[str, JSON]:
    """Score and threshold by the same validation parts, for another form of the network too."""
    distance, _ = _distance(settings, fitted, list(valid["image"]))
    return decision.fit(settings, distance, decision.is_bad(settings, valid), bool(schema.by_role("group")))


def scorer(settings: Inspection, fitted: Fitted) -> Score:
    """Score checked rows by their oddest patch; an image that can't be read fails its row."""

    def score(table: pd.DataFrame) -> pd.DataFrame:
        cells = list(table["image"])
        distance, unread = _distance(settings, fitted, cells)
        errors = pd.Series(imaging.reasons(fitted, cells, unread), index=table.index, dtype="str")
        return decision.outputs(table.index, fitted.facts, distance).mask(errors.notna()).assign(error=errors)

    return score


def odd_places(settings: Inspection, fitted: Fitted, pixels: np.ndarray) -> np.ndarray:
    """How odd each place is, float32, shape `(images, height, width)`: as much as the score's distance.

    Args:
        pixels: uint8, shape `(images, size, size, 3)`.
    """
    return _places(settings, fitted, fitted.predict(pixels))


def _distance(settings: Inspection, fitted: Fitted, cells: list[object]) -> tuple[np.ndarray, list[str | None]]:
    """That of each image's oddest patch, by the way that scoring takes; and why images could not be read."""
    found, errors = [np.zeros(0, np.float32)], []
    for maps, unread in _read(settings, fitted, cells):
        found.append(_places(settings, fitted, maps).max(axis=(1, 2)))
        errors += unread
    return np.concatenate(found).astype(np.float64), errors


def _read(settings: Inspection, fitted: Fitted, cells: list[object]) -> Iterator[tuple[np.ndarray, list[str | None]]]:
    """The maps of images, and why some could not be read, a few batches at a time: all might not fit into memory."""
    for start in range(0, len(cells), BATCHES * fitted.batch_rows):
        stream = imaging.stream(settings, fitted, cells[start : start + BATCHES * fitted.batch_rows])
        yield fitted.predict(iter(stream)), stream.errors


def _places(settings: Inspection, fitted: Fitted, maps: np.ndarray) -> np.ndarray:
    """`(images, height, width, channels)` -> distances, `(images, height, width)`."""
    measure, places = METHODS[settings.method].distances, maps.shape[1:3]
    assets = {name: np.asarray(array) for name, array in fitted.assets.items()}
    found = [measure(assets, image.reshape(-1, image.shape[-1])).reshape(places) for image in maps]
    return np.asarray(found, np.float32).reshape(len(maps), *places)
