"""What stands on top of a backbone: averages over its feature maps, and the layers that are trained on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from . import transfer
from .recipe import Head

__all__ = ["Layers", "averages"]


class Layers:
    """The layers behind the averages: the same ones in the small model that is trained and in the whole network.

    Args:
        outputs: how many logits.
        features: what they read in training, `(images, channels)`, to scale it by; None where that is not known yet.
        seed: of the random start.
    """

    def __init__(self, head: Head, outputs: int, dropout: float, features: np.ndarray | None, seed: int) -> None:
        keras.utils.set_random_seed(seed)
        self.layers: list[keras.layers.Layer] = []
        if features is not None:
            mean, variance = features.mean(axis=0, dtype=np.float64), features.var(axis=0, dtype=np.float64)
            # A channel that hardly varies would be scaled up to noise.
            variance = np.maximum(variance, 1e-4 * max(float(variance.mean()), 1e-12))
            scaled = keras.layers.Normalization(mean=mean.tolist(), variance=variance.tolist(), dtype="float32")
            self.layers.append(scaled)
        self.layers.append(keras.layers.Dropout(dropout))
        if head.units:
            self.layers += [keras.layers.Dense(head.units, activation="relu"), keras.layers.Dropout(dropout)]
        self.layers.append(keras.layers.Dense(outputs, dtype="float32", name="logits"))

    def __call__(self, tensor: Any) -> Any:
        for layer in self.layers:
            tensor = layer(tensor)
        return tensor

    def alone(self, shape: Sequence[int]) -> keras.Model:
        """Averages -> logits."""
        tensor = keras.Input(tuple(shape), name="averages")
        return keras.Model(tensor, self(tensor), name="head")


def averages(backbone: keras.Model, name: str, blocks: int) -> keras.Model:
    """Image -> the averages over the feature maps of the last blocks, float32, side by side, `(channels,)`.

    Args:
        name: of the backbone.
    """
    means = [
        keras.layers.GlobalAveragePooling2D(dtype="float32", name=f"{end}_average")(transfer.tensor(backbone, end))
        for end in transfer.backbone(name).blocks[-blocks:]
    ]
    joined = keras.layers.Concatenate(dtype="float32", name="averages")(means) if len(means) > 1 else means[0]
    return keras.Model(backbone.input, joined, name="averages")
