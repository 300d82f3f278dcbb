"""The network that turns a photo into a map of patches: what a backbone's middle blocks say of each place."""

from collections.abc import Sequence
from typing import Any

import keras

from solvent import Data, finetune, transfer

from . import pasting
from .settings import Inspection

__all__ = ["patch_maps"]

READ = slice(-3, -1)  # of a backbone's blocks: deep enough to say something, not so deep that the place is lost


def patch_maps(settings: Inspection, data: Data, good: Sequence[Any]) -> keras.Model:
    """Image `(size, size, 3)` -> `(height, width, channels)`, float32: each place is the mean over itself and its eight
    neighbours, the coarser block is spread over the finer one's places.

    A backbone without weights is trained here; a run that has done so already gets the same one at once.

    Args:
        good: the cells of the good training images.

    Source: Roth et al., Towards Total Recall in Industrial Anomaly Detection, 2022 (which blocks, and their means).
    """
    backbone = transfer.build(settings.backbone, settings.weights, finetune.side(settings), seed=data.seed)
    blocks = [transfer.tensor(backbone, name) for name in transfer.backbone(settings.backbone).blocks[READ]]
    height, width = blocks[0].shape[1:3]
    means = [
        keras.layers.AveragePooling2D(3, strides=1, padding="same", dtype="float32", name=f"neighbours{number}")(block)
        for number, block in enumerate(blocks, start=1)
    ]
    spread = [means[0], *(keras.layers.Resizing(height, width, dtype="float32")(block) for block in means[1:])]
    joined = keras.layers.Concatenate(dtype="float32", name="patches")(spread)
    model = keras.Model(backbone.input, joined, name="patches")
    if settings.weights == "none":
        pasting.learn(model, settings, data, good)
    return model
