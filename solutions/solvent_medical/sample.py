"""Drawn phantoms that look a little like breast ultrasound: made by this program, no machine and no patient saw them.

Speckled tissue in layers under a bright skin, with a lesion that is oval and smooth, or irregular with a dark shadow
below it, or anything between: how it looks is drawn for each patient, and malignant ones look worse on average only. So
no reader could be always right. Lengths are shares of the image's side.
"""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from solvent import Sample

__all__ = ["PATIENTS", "drawn_phantoms", "phantoms"]

PATIENTS, SIDE = 700, 64
ILL = 0.4  # share of the patients
SITES = {"north": 0.45, "south": 0.35, "island": 0.2}
DEVICES = {"old": 0.4, "new": 0.6}

Images = NDArray[np.float32]  # grey levels in [0, 1], shape (images, side, side)


def phantoms(seed: int) -> Sample:
    """300 patients with two images of 32 pixels each, and lesions that are plain to see."""
    random = np.random.default_rng(seed)
    people = _people(300, random, apart=4.0)
    patient = np.repeat(np.arange(len(people)), 2)
    return Sample(
        rows=_table(people, patient, 32, random, contrast=1.2),
        columns={"patient": "patient_id", "label": "diagnosis"},
        settings={
            "positive": "malignant",
            "backbone": "cnn",
            "size": 24,
            "operating_point": {"sensitivity": 0.8, "confidence": 0.8},
            "deferral": {"coverage": 0.8},
            "training": {"epochs": 5, "patience": 5, "batch_size": 32, "learning_rate": 0.005},
        },
        floor=0.8,
    )


def drawn_phantoms(files: Mapping[str, Path]) -> pd.DataFrame:
    """700 made patients with one to four images of 64 pixels.

    What is true of them, and should be found: 40 % are malignant; the older ones more often; the lesions of `island`,
    drawn with more noise, are harder to tell.
    """
    random = np.random.default_rng(7)
    people = _people(PATIENTS, random, apart=1.2)
    patient = np.repeat(np.arange(len(people)), random.integers(1, 5, len(people)))
    return _table(people, patient, SIDE, random, contrast=0.75)


def _people(count: int, random: np.random.Generator, apart: float) -> pd.DataFrame:
    """Who they are and how their lesions look: from 0, plainly benign, to 1, plainly malignant.

    Args:
        apart: how far the two kinds lie from the middle, in deviations: the best possible AUC of 1.2 is 0.955.
    """
    age = np.clip(random.normal(54, 13, count), 20, 90).round()
    odds = np.log(ILL / (1 - ILL)) + 0.04 * (age - 54)
    ill = random.random(count) < 1 / (1 + np.exp(-odds))
    return pd.DataFrame(
        {
            "patient_id": [f"made-{number:04d}" for number in range(count)],
            "site": random.choice(list(SITES), count, p=list(SITES.values())),
            "sex": random.choice(["f", "m"], count, p=[0.9, 0.1]),
            "age": age,
            "device": random.choice(list(DEVICES), count, p=list(DEVICES.values())),
            "diagnosis": np.where(ill, "malignant", "benign"),
            "look": 1 / (1 + np.exp(-2.5 * random.normal(np.where(ill, apart, -apart), 1))),
            # of the patient, so that two images of one are more alike than those of two
            "gain": random.uniform(0.8, 1.2, count),
            "depth": random.uniform(0.35, 0.6, count),
        }
    )


def _table(
    people: pd.DataFrame, patient: NDArray[np.int64], side: int, random: np.random.Generator, contrast: float
) -> pd.DataFrame:
    """A row for each image."""
    of_image = people.iloc[patient].reset_index(drop=True)
    levels = np.clip(_drawn(of_image, side, random, contrast) * 255, 0, 255).astype(np.uint8)
    return of_image.drop(columns=["gain", "depth", "look"]).assign(image=[_png(level) for level in levels])


def _png(image: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def _drawn(people: pd.DataFrame, side: int, random: np.random.Generator, contrast: float) -> Images:
    count = len(people)
    look = people["look"].to_numpy()[:, None, None]
    y, x = np.mgrid[:side, :side] / side
    # tissue: layers of unlike brightness that bend a little, and clouds
    bend = random.uniform(-0.06, 0.06, (count, 1, 1)) * np.sin(2 * np.pi * (x + random.random((count, 1, 1))))
    layers = np.sin((y + bend) * random.uniform(14, 22, (count, 1, 1)) + random.uniform(0, 6, (count, 1, 1)))
    clouds = gaussian_filter(random.standard_normal((count, side, side)), (0, side / 10, side / 10)) * side / 6
    tissue = 0.42 + 0.05 * layers + 0.06 * clouds + 0.25 * np.exp(-((y / 0.05) ** 2))
    lesion, below = _lesion(people, x, y, look, random)
    tissue *= 1 - contrast * 0.62 * lesion
    # sound is weakened behind a malignant lesion, and passes a benign one easily
    tissue *= 1 + contrast * (0.35 - 0.8 * look) * below
    speckle = gaussian_filter(random.rayleigh(1, (count, side, side)), (0, 0.6, 0.4))
    grain = np.where(people["device"] == "old", 0.42, 0.3) + np.where(people["site"] == "island", 0.25, 0)
    levels = tissue * (1 + grain[:, None, None] * (speckle - speckle.mean()))
    return (levels * people["gain"].to_numpy()[:, None, None]).astype(np.float32)


def _lesion(
    people: pd.DataFrame,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    look: NDArray[np.float64],
    random: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How much of each pixel is lesion, and how much lies right below it; both in [0, 1]."""
    count = len(people)
    left = x - random.uniform(0.35, 0.65, (count, 1, 1))
    down = y - people["depth"].to_numpy()[:, None, None]
    # benign ones are wider than tall and smooth, malignant ones taller than wide and ragged
    wide = random.uniform(0.15, 0.24, (count, 1, 1)) * (1 - 0.32 * look)
    tall = wide * random.uniform(0.5, 0.75, (count, 1, 1)) * (1 + 0.85 * look)
    angle = np.arctan2(down / tall, left / wide)
    rough = 0.02 + 0.14 * look
    outline = np.ones_like(angle)
    for lobes in (3, 5, 8, 12):
        strength, turn = random.normal(0, 1, (count, 1, 1)), random.uniform(0, 2 * np.pi, (count, 1, 1))
        outline += rough * strength * np.cos(lobes * angle + turn)
    far = np.hypot(left / wide, down / tall) / np.maximum(outline, 0.3)
    inside = 1 / (1 + np.exp((far - 1) / 0.12))
    below = (
        np.exp(-((left / wide) ** 2)) / (1 + np.exp(-(down - tall) / 0.03)) * np.exp(-np.maximum(down - tall, 0) * 3)
    )
    return inside, below
