"""Drawn metal surfaces with a known defect: made by this program, no camera saw them.

Brushed metal under uneven light, with a scratch, pits, a stain, or nothing. Lengths are shares of the photo's side.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from solvent import Sample
from solvent.surfaces import DEFECTS, Photos, metal, png

__all__ = ["COPIES", "NEAR_COPIES", "PHOTOS", "WRONG_LABELS", "drawn_surfaces", "surfaces"]

ROWS = 400
SHARES = {"clean": 0.34, "pit": 0.22, "scratch": 0.22, "stain": 0.22}
PHOTOS, SIDE = 1200, 96
# Which of the drawn photos are what a real collection has too: number of the photo -> number of its original
COPIES = {1198: 17, 1199: 418}
NEAR_COPIES = {1192: 60, 1193: 231, 1194: 502, 1195: 777, 1196: 860, 1197: 1011}
WRONG_LABELS = range(45, PHOTOS - 100, 90)


def surfaces(seed: int) -> Sample:
    """Drawn photos of 32 pixels, with defects that are plain to see."""
    random = np.random.default_rng(seed)
    defects = _defects(ROWS, random)
    return Sample(
        rows=_table(_drawn(defects, 32, random, contrast=1.3), defects),
        columns={"image": "photo", "label": "defect", "id": "part"},
        settings={
            "backbone": "cnn",
            "size": 24,
            "training": {"epochs": 10, "patience": 10, "batch_size": 32, "learning_rate": 0.005},
        },
        floor=0.8,
    )


def drawn_surfaces(files: Mapping[str, Path]) -> pd.DataFrame:
    """1,200 drawn photos of 96 pixels, with faults on purpose that a scan should find.

    The number is the one in `part`: P0017 is photo 17.

    - `COPIES`: 2 photos are exact copies of others;
    - `NEAR_COPIES`: 6 show the same surface as others, moved by a pixel and a little brighter;
    - `WRONG_LABELS`: 12 (1 %) bear the name of a defect that they do not show, so no honest accuracy is 1.
    """
    random = np.random.default_rng(20)
    defects = _defects(PHOTOS, random)
    photos = _drawn(defects, SIDE, random)
    for number, original in NEAR_COPIES.items():
        again = np.roll(photos[original], 1, axis=random.integers(2)) * 1.03
        photos[number] = again + random.normal(0, 0.008, again.shape)
    for number, original in COPIES.items():
        photos[number] = photos[original]
    for number, original in {**NEAR_COPIES, **COPIES}.items():
        defects[number] = defects[original]
    names = list(SHARES)
    for number in WRONG_LABELS:
        others = [name for name in names if name != defects[number]]
        defects[number] = random.choice(others)
    return _table(photos, defects)


def _defects(count: int, random: np.random.Generator) -> NDArray[np.object_]:
    return random.choice(list(SHARES), count, p=list(SHARES.values())).astype(object)


def _table(photos: Photos, defects: NDArray[np.object_]) -> pd.DataFrame:
    parts = [f"P{number:04d}" for number in range(len(photos))]
    return pd.DataFrame({"part": parts, "photo": [png(photo) for photo in photos], "defect": defects})


def _drawn(defects: NDArray[np.object_], side: int, random: np.random.Generator, contrast: float = 1.0) -> Photos:
    """A surface for each name of a defect."""
    photos = metal(len(defects), side, random)
    for name, draw in DEFECTS.items():
        chosen = np.flatnonzero(defects == name)
        strength = contrast * random.uniform(0.75, 1.35, (len(chosen), 1, 1))
        photos[chosen] *= 1 + (strength * draw(len(chosen), side, random)).astype(np.float32)
    return photos + random.normal(0, 0.012, photos.shape).astype(np.float32)
