"""Learning to see what does not belong, from good parts alone: places are cut out, changed and pasted elsewhere.

A network without weights is trained to say of each place of such an image whether something was pasted there. No defect
is drawn: what is pasted is the surface itself, moved, and a little lighter, darker or of another contrast.
Source: Li et al., CutPaste: Self-Supervised Learning for Anomaly Detection and Localization, 2021; here by place.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from solvent import Data, Goal, finetune, images, training

from .settings import Inspection

__all__ = ["learn", "pasted"]

VIEWS = 4  # of each image in an epoch
MOST = 3  # pasted into one image
HALF = (0.012, 0.16)  # of a pasted bar's two half sides, as shares of the image's
LEVEL, CONTRAST = 0.25, (0.6, 1.6)
COVERED = 0.2  # share of a place from which on it counts as pasted


def learn(model: keras.Model, settings: Inspection, data: Data, good: Sequence[Any]) -> None:
    """Train a network of patches.

    Args:
        model: image -> `(height, width, channels)`; its weights end as those of the last epoch.
        good: the cells of the good training images.
    """
    pixels = images.Stream(good, finetune.side(settings), settings.resize, finetune.BATCH_ROWS).array()
    grid = model.output_shape[1]
    logit = keras.layers.Conv2D(1, 1, dtype="float32", name="pasted")(model.output)
    logits = keras.layers.Reshape((-1,), dtype="float32", name="places")(logit)

    def take(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        made = [
            pasted(pixels[place % len(pixels)], np.random.default_rng([data.seed, place]), grid) for place in positions
        ]
        changed, where = (np.stack(part) for part in zip(*made, strict=True))
        return changed, where.reshape(len(where), -1), np.ones(len(positions), np.float32)

    training.fit(
        keras.Model(model.input, logits, name="pasting"),
        training.Rows(VIEWS * len(pixels), take),
        stage="pasting",
        training=settings.training,
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        monitor=None,
        goal=Goal("loss", higher=False),
        data=data,
    )


def pasted(image: np.ndarray, random: np.random.Generator, grid: int) -> tuple[np.ndarray, np.ndarray]:
    """An image with pieces of itself in other places.

    Args:
        image: uint8, shape `(side, side, 3)`.
        grid: places along a side.

    Returns:
        uint8, the image's shape; and where something was pasted, 0 or 1, float32, shape `(grid, grid)`.
    """
    side = len(image)
    found, anywhere = image.astype(np.float32), np.zeros((side, side), bool)
    x, y = np.meshgrid(np.arange(side) / side, np.arange(side) / side)
    for _ in range(random.integers(1, MOST + 1)):
        turn, (right, down) = random.uniform(0, np.pi), random.uniform(0.05, 0.95, 2)
        along = (x - right) * np.cos(turn) + (y - down) * np.sin(turn)
        across = (y - down) * np.cos(turn) - (x - right) * np.sin(turn)
        length, width = np.exp(random.uniform(*np.log(HALF), 2))
        oval = random.random() < 0.5
        shape = (
            (along / length) ** 2 + (across / width) ** 2 < 1
            if oval
            else np.maximum(np.abs(along) / length, np.abs(across) / width) < 1
        )
        piece = np.roll(image, random.integers(0, side, 2), axis=(0, 1)).astype(np.float32)
        mean = piece.mean()
        piece = (piece - mean) * random.uniform(*CONTRAST) + mean * (1 + random.uniform(-LEVEL, LEVEL))
        found[shape], anywhere = piece[shape], anywhere | shape
    cells = np.linspace(0, side, grid + 1).astype(int)
    covered = np.add.reduceat(np.add.reduceat(anywhere.astype(np.float32), cells[:-1], 0), cells[:-1], 1)
    covered /= np.outer(np.diff(cells), np.diff(cells))
    return np.clip(np.rint(found), 0, 255).astype(np.uint8), (covered > COVERED).astype(np.float32)
