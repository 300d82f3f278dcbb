"""Drawn metal surfaces and what may be wrong with them: made by this program, no camera saw them.

Brushed metal under uneven light; a scratch, pits or a stain as a change of its grey levels, so that it is known where a
defect lies. Lengths are shares of the photo's side. For solutions that show themselves on made photos.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import uniform_filter1d

__all__ = ["DEFECTS", "Photos", "metal", "png"]

Photos = NDArray[np.float32]  # grey levels in [0, 1], shape (photos, side, side)
Lengths = NDArray[np.float64]  # or relative changes of grey levels, of the same shape


def png(photo: NDArray[np.floating[Any]]) -> bytes:
    """A photo as the bytes of a PNG file: grey levels in [0, 1], shape `(side, side)`; what is beyond is cut."""
    file = io.BytesIO()
    Image.fromarray(np.clip(photo * 255, 0, 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def metal(count: int, side: int, random: np.random.Generator) -> Photos:
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


def _places(count: int, side: int, random: np.random.Generator, margin: float) -> tuple[Lengths, Lengths]:
    """How far each pixel lies to the right of and below a place drawn at random."""
    x, y = random.uniform(margin, 1 - margin, (2, count, 1, 1))
    pixels = (np.arange(side) + 0.5) / side
    return pixels - x, pixels[:, None] - y


def _scratch(count: int, side: int, random: np.random.Generator) -> Lengths:
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


def _pits(count: int, side: int, random: np.random.Generator) -> Lengths:
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


def _stain(count: int, side: int, random: np.random.Generator) -> Lengths:
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


# By its name: (how many, side, random) -> the relative change of grey levels, shape (photos, side, side).
DEFECTS = {"pit": _pits, "scratch": _scratch, "stain": _stain}
