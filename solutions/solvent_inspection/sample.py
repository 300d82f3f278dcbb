"""Drawn parts of a line, with known defects: made by this program, no camera saw them.

Brushed metal in lots, each under its own light; most parts are good, some have a small scratch, pit or stain.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from solvent import Sample
from solvent.surfaces import DEFECTS, Photos, metal, png

__all__ = ["drawn", "drawn_parts", "parts"]

LOTS = 24
BAD = 0.2  # share of the parts


def parts(seed: int) -> Sample:
    """400 drawn photos of 32 pixels, with defects that are plain to see."""
    return Sample(
        rows=drawn(400, 32, seed, contrast=2.0)[0],
        columns={"image": "photo", "label": "state", "id": "part"},
        settings={"backbone": "cnn", "size": 32, "patches": 300, "training": {"epochs": 4, "learning_rate": 0.005}},
        floor=0.85,
    )


def drawn_parts(files: Mapping[str, Path]) -> pd.DataFrame:
    """1,200 drawn photos of 64 pixels."""
    return drawn(1200, 64, 20)[0]


def drawn(
    count: int, side: int, seed: int, contrast: float = 1.2, lots: int = LOTS
) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """A table of parts, and where each is defective: bool, shape `(parts, side, side)`."""
    random = np.random.default_rng(seed)
    lot = np.sort(random.integers(0, lots, count))
    light = random.uniform(0.85, 1.15, lots)[lot]
    slope = random.uniform(-0.15, 0.15, (2, lots))[:, lot, None, None]
    place = np.linspace(-1, 1, side)
    photos = metal(count, side, random) * light[:, None, None]
    photos *= 1 + slope[0] * place + slope[1] * place[:, None]
    states = np.where(random.random(count) < BAD, random.choice(list(DEFECTS), count), "good").astype(object)
    change = np.zeros(photos.shape, np.float32)
    for name in DEFECTS:
        chosen = np.flatnonzero(states == name)
        change[chosen] = _small(name, len(chosen), side, random)
    photos = photos * (1 + contrast * change) + random.normal(0, 0.012, photos.shape)
    rows = pd.DataFrame(
        {
            "part": [f"P{number:04d}" for number in range(count)],
            "lot": [f"L{number:02d}" for number in lot],
            "photo": [png(photo) for photo in photos],
            "state": states,
        }
    )
    return rows, np.abs(change) > 0.05


def _small(name: str, count: int, side: int, random: np.random.Generator) -> Photos:
    """A defect on a piece of half the side, laid anywhere in the photo; what the piece's edge would cut fades out."""
    half = side // 2
    drawn = DEFECTS[name](count, half, random)
    fade = np.minimum(1, 4 * (1 - np.abs(np.linspace(-1, 1, half))))
    found = np.zeros((count, side, side), np.float32)
    for photo, (down, right) in enumerate(random.integers(0, side - half + 1, (count, 2))):
        found[photo, down : down + half, right : right + half] = drawn[photo] * fade * fade[:, None]
    return found
