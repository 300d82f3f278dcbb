"""Drawn metal surfaces with a known defect: made by this program, no camera saw them.

Brushed metal under uneven light, with a scratch, pits, a stain, or nothing. Lengths are shares of the photo's side.
"""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import uniform_filter1d

from solvent import Sample

__all__ = ["COPIES", "NEAR_COPIES", "PHOTOS", "WRONG_LABELS", "drawn_surfaces", "surfaces"]

ROWS = 400
SHARES = {"clean": 0.34, "pit": 0.22, "scratch": 0.22, "stain": 0.22}
PHOTOS, SIDE = 1200, 96
# Which of the drawn photos are what a real collection has too: number of the photo -> number of its original
COPIES = {1198: 17, 1199: 418}
NEAR_COPIES = {1192: 60, 1193: 231, 1194: 502, 1195: 777, 1196: 860, 1197: 1011}
WRONG_LABELS = range(45, PHOTOS - 100, 90)

Photos = NDArray[np.float32]  # grey levels in [0, 1], shape (photos, side, side)


def surfaces(seed: int) -> Sample:
    """Drawn photos of 32 pixels, with defects that are plain to see."""
    random = np.random.default_rng(seed)
    defects = _defects(ROWS, random)
    return Sample(
        rows=_table(_levels(_drawn(defects, 32, random, contrast=1.3)), defects),
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
    return _table(_levels(photos), defects)


def _defects(count: int, random: np.random.Generator) -> NDArray[np.object_]:
    return random.choice(list(SHARES), count, p=list(SHARES.values())).astype(object)


def _table(photos: NDArray[np.uint8], defects: NDArray[np.object_]) -> pd.DataFrame:
    parts = [f"P{number:04d}" for number in range(len(photos))]
    return pd.DataFrame({"part": parts, "photo": [_png(photo) for photo in photos], "defect": defects})


def _png(photo: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "PNG")
    return file.getvalue()


def _levels(photos: Photos) -> NDArray[np.uint8]:
    return np.clip(photos * 255, 0, 255).astype(np.uint8)


def _drawn(defects: NDArray[np.object_], side: int, random: np.random.Generator, contrast: float = 1.0) -> Photos:
    """A surface for each name of a defect."""
    photos = _metal(len(defects), side, random)
    for name, draw in (("pit", _pits), ("scratch", _scratch), ("stain", _stain)):
        chosen = np.flatnonzero(defects == name)
        strength = contrast * random.uniform(0.75, 1.35, (len(chosen), 1, 1))
        photos[chosen] *= 1 + (strength * draw(len(chosen), side, random)).astype(np.float32)
    return photos + random.normal(0, 0.012, photos.shape).astype(np.float32)


def _metal(count: int, side: int, random: np.random.Generator) -> Photos:
    """Brushed metal: streaks along the brush, clouds, and a light that falls off."""
    noise = random.standard_normal((count, side, side), dtype=np.float32)
    rough = random.uniform(0.3, 1, (count, 1, 1))
    streaks = np.zeros_like(noise)
    for length, share in ((0.7, rough), (0.15, 1 - rough)):
        smooth = uniform_filter1d(noise, max(2, round(length * side)), axis=2, mode="wrap")
        streaks += share * smooth / smooth.std()
    rows, columns = np.arange(side)[:, None], np.arange(side)
    slant = random.uniform(-0.25, 0.25, (count, 1, 1))
    streaks = np.take_along_axis(streaks, (columns + slant * rows).astype(int) % side, axis=2)
    upright = random.random(count) < 0.5
    streaks[upright] = streaks[upright].transpose(0, 2, 1)

    waves = np.cos(np.pi * np.arange(9)[:, None] * (columns + 0.5) / side).astype(np.float32)
    order = np.hypot(*np.mgrid[:9, :9])
    clouds = random.standard_normal((count, 9, 9)) * np.where(order < 2, 0, 1 / (1 + order))
    light = random.standard_normal((count, 9, 9)) * np.where((order > 0) & (order < 2), 1, 0)
    uneven = waves.T @ (0.06 * clouds + 0.05 * light).astype(np.float32) @ waves
    exposure = random.uniform(0.55, 0.6, (count, 1, 1))
    return (exposure * (1 + 0.045 * streaks + uneven)).astype(np.float32)


def _places(count: int, side: int, random: np.random.Generator, margin: float) -> tuple[Photos, Photos]:
    """How far each pixel lies to the right of and below a place drawn at random."""
    x, y = random.uniform(margin, 1 - margin, (2, count, 1, 1))
    pixels = (np.arange(side) + 0.5) / side
    return pixels - x, pixels[:, None] - y


def _scratch(count: int, side: int, random: np.random.Generator) -> Photos:
    """A thin bent line, bright where the metal is bare, with a dark edge."""
    x, y = _places(count, side, random, 0.3)
    angle = random.uniform(0, np.pi, (count, 1, 1))
    along = x * np.cos(angle) + y * np.sin(angle)
    bend = random.uniform(-0.5, 0.5, (count, 1, 1))
    across = y * np.cos(angle) - x * np.sin(angle) - bend * along**2
    width = np.maximum(random.uniform(0.008, 0.02, (count, 1, 1)), 0.7 / side)
    half = random.uniform(0.2, 0.45, (count, 1, 1))
    fade = 1 / (1 + np.exp((np.abs(along) - half) / 0.03))
    return fade * (0.42 * np.exp(-((across / width) ** 2)) - 0.22 * np.exp(-((across / width - 1.8) ** 2)))


def _pits(count: int, side: int, random: np.random.Generator) -> Photos:
    """Two to seven round holes near each other: dark, with a bright rim where the light meets it."""
    many = random.integers(2, 8, (count, 1, 1))
    change = np.zeros((count, side, side))
    near_x, near_y = _places(count, side, random, 0.3)
    sun = random.uniform(0, 2 * np.pi, (count, 1, 1))
    for number in range(7):
        off_x, off_y = random.normal(0, 0.12, (2, count, 1, 1))
        x, y = near_x - off_x, near_y - off_y
        radius = np.maximum(random.uniform(0.02, 0.05, (count, 1, 1)), 1.0 / side)
        far = np.hypot(x, y) / radius
        rim = np.exp(-(((far - 1.25) / 0.35) ** 2)) * (x * np.cos(sun) + y * np.sin(sun)) / (far * radius + 1e-6)
        change += (number < many) * (0.25 * rim - 0.5 / (1 + np.exp((far - 0.9) / 0.12)))
    return np.clip(change, -0.6, 0.4)


def _stain(count: int, side: int, random: np.random.Generator) -> Photos:
    """A dark patch with a wavy outline and the darker rim that a drop leaves where it dries."""
    x, y = _places(count, side, random, 0.25)
    angle = np.arctan2(y, x)
    outline = np.ones_like(angle)
    for lobes in (2, 3, 5, 7):
        size, turn = random.normal(0, 0.35 / lobes, (count, 1, 1)), random.uniform(0, 2 * np.pi, (count, 1, 1))
        outline += size * np.cos(lobes * angle + turn)
    radius = random.uniform(0.16, 0.36, (count, 1, 1))
    far = np.hypot(x, y) / (radius * np.maximum(outline, 0.3))
    return -0.16 / (1 + np.exp((far - 1) / 0.05)) - 0.09 * np.exp(-(((far - 0.97) / 0.07) ** 2))
