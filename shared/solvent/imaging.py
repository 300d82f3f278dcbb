"""A trained network for images at work: what its bundle says of it, its logits, where it looked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from . import augment, finetune, images, saliency, transfer
from .recipe import Reader, Recipe
from .solution import JSON, Data, Fitted
from .transfer import BACKBONES

__all__ = ["facts", "heat_maps", "logits", "loss", "outside", "pixels", "reasons", "stream"]

PATCH = 4  # an image's side holds so many patches of occlusion


def outside(recipe: Reader) -> dict[str, str]:
    """The hash of the backbone's weights, which have to be had, and to fit; nothing where it has none."""
    if recipe.weights == "none":
        return {}
    network = transfer.build(recipe.backbone, recipe.weights, finetune.side(recipe), seed=0)
    return {"weights": transfer.weights_hash(network)}


def loss(recipe: Recipe, *, several: bool) -> keras.losses.Loss:
    """Cross-entropy of logits, or its focal form; of each class for itself where an image may have several."""
    focal, smooth = recipe.loss == "focal", {"from_logits": True, "label_smoothing": recipe.label_smoothing}
    if several:
        return keras.losses.BinaryFocalCrossentropy(**smooth) if focal else keras.losses.BinaryCrossentropy(**smooth)
    if focal:
        return keras.losses.CategoricalFocalCrossentropy(alpha=1.0, **smooth)
    return keras.losses.CategoricalCrossentropy(**smooth)


def facts(recipe: Reader, data: Data, choices: list[JSON], meaning: str) -> dict[str, JSON]:
    """The facts that scoring needs of a network for images.

    Args:
        choices: what was tried on validation rows, and what won.
        meaning: what its outputs are, for whoever runs it in another program.
    """
    method = images.method(recipe.decoder)
    return {
        "column": data.schema.field("image").source,
        "size": finetune.side(recipe),
        "decoder": method,
        "seed": data.seed,
        "choices": choices,
        "meaning": {
            "model": {
                "image": "pixels of 0 to 255, whole or not, channels last in the order R, G, B; the backbone's "
                f"preprocessing is in the network. Photos are brought to this size by {recipe.resize} "
                f"({method}).",
                "output_0": meaning,
            }
        },
    }


def logits(recipe: Recipe, fitted: Fitted, cells: Sequence[Any], views: int) -> tuple[np.ndarray, list[str | None]]:
    """The logits of images and of their augmented views; of several networks, an ensemble, their mean.

    Args:
        views: augmented views of each image, beside itself.

    Returns:
        Logits of shape `(1 + views, images, outputs)`, the image itself first; and for each image why it could not be
        read, or None. The logits of one that could not are of no account.
    """
    members, errors = [], []
    for name in fitted.models:
        read = stream(recipe, fitted, cells)
        found = [fitted.predict(iter(read), name)]
        for view in range(1, views + 1):
            again = iter(stream(recipe, fitted, cells))
            seen = augment.view_batches(again, cells, view, recipe.augmentation.alone, fitted.facts["seed"])
            found.append(fitted.predict(seen, name))
        members.append(np.stack(found))
        errors = read.errors
    return np.mean(members, axis=0), errors


def reasons(fitted: Fitted, cells: Sequence[Any], errors: Sequence[str | None]) -> list[str | None]:
    """Why images could not be read, as the `error` of a row says it: which column, which image."""
    column = fitted.facts["column"]
    return [reason and f"{column}: {images.shown(cell)} {reason}" for cell, reason in zip(cells, errors, strict=True)]


def pixels(recipe: Reader, fitted: Fitted, cells: Sequence[Any]) -> np.ndarray:
    """Images as the network reads them, uint8, shape `(images, size, size, 3)`; at least one, and all readable."""
    return stream(recipe, fitted, cells).array()


def heat_maps(
    recipe: Recipe, fitted: Fitted, shown: np.ndarray, classes: np.ndarray, *, several: bool, occluded: bool = False
) -> np.ndarray:
    """The evidence for one class in each image: Grad-CAM++, or occlusion where a network has no convolutions.

    Of several networks, an ensemble, the first is asked.

    Args:
        shown: uint8, shape `(images, size, size, 3)`.
        classes: the number of the class that is explained, shape `(images,)`.
        several: whether an image may have several classes, each with a probability of its own.
        occluded: by occlusion also where the network has convolutions.

    Returns:
        float32, shape `(images, height, width)`.
    """
    layer = BACKBONES[recipe.backbone].convolution
    if layer is not None and not occluded:
        return saliency.grad_cam(fitted.models["model"], shown, classes, layer=layer, plus_plus=True)
    side = max(1, shown.shape[1] // PATCH)

    def probability(covered: np.ndarray) -> np.ndarray:
        found = fitted.predict(covered)
        chance: np.ndarray = (keras.ops.sigmoid(found) if several else keras.ops.softmax(found)).numpy()
        return chance

    return saliency.occlusion(probability, shown, classes, patch=side, stride=max(1, side // 2))


def stream(recipe: Reader, fitted: Fitted, cells: Sequence[Any]) -> images.Stream:
    """Images as the network reads them, batch by batch; once it has run through, it knows which could not be read."""
    return images.Stream(cells, fitted.facts["size"], recipe.resize, fitted.batch_rows, recipe.decoder)
