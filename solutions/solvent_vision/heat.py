"""Where the network looked: heat maps laid over the images."""

import keras
import numpy as np
import pandas as pd

from solvent import Fitted, images, saliency
from solvent.transfer import BACKBONES

from .model import scorer
from .settings import Vision

__all__ = ["explain", "heat_maps"]

PATCH = 4  # an image's side holds so many patches of occlusion


def heat_maps(settings: Vision, fitted: Fitted, pixels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The evidence for one class in each image: Grad-CAM++, or occlusion where a network has no convolutions.

    Args:
        pixels: uint8, shape `(images, size, size, 3)`.
        classes: the number of the class that is explained, shape `(images,)`.

    Returns:
        float32, shape `(images, height, width)`.
    """
    layer = BACKBONES[settings.backbone].convolution
    if layer is not None:
        return saliency.grad_cam(fitted.models["model"], pixels, classes, layer=layer, plus_plus=True)
    several, side = settings.labels == "several", max(1, pixels.shape[1] // PATCH)

    def probability(covered: np.ndarray) -> np.ndarray:
        logits = fitted.predict(covered)
        return (keras.ops.sigmoid(logits) if several else keras.ops.softmax(logits)).numpy()

    return saliency.occlusion(probability, pixels, classes, patch=side, stride=max(1, side // 2))


def explain(settings: Vision, fitted: Fitted, table: pd.DataFrame) -> pd.DataFrame:
    """Lay over each image where the evidence for its most probable class lies.

    Returns:
        `explained_class`, its `probability`, and `heat_map`: a PNG in the size that the network reads.
    """
    classes = list(fitted.facts["classes"])
    scored = scorer(settings, fitted)(table)
    chance = scored[[f"probability_{name}" for name in classes]].to_numpy(np.float64)
    read = np.flatnonzero(scored["error"].isna())
    found = pd.DataFrame(
        {"explained_class": None, "probability": np.nan, "heat_map": None, "error": scored["error"]}, index=table.index
    ).astype({"explained_class": object, "heat_map": object})
    for start in range(0, len(read), fitted.batch_rows):
        rows = read[start : start + fitted.batch_rows]
        cells = list(table["image"].iloc[rows])
        pixels = images.Stream(cells, fitted.facts["size"], settings.resize, len(cells)).array()
        best = chance[rows].argmax(axis=1)
        maps = heat_maps(settings, fitted, pixels, best)
        for row, image, heat, number in zip(rows, pixels, maps, best, strict=True):
            drawn = saliency.png(saliency.overlay(image, heat))
            found.iloc[row, :3] = [classes[number], chance[row, number], drawn]
    return found
