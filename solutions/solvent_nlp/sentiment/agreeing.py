"""A training text is read twice, each time with other parts of the network dropped, and both answers are to agree.

Source: Wu et al., R-Drop: Regularized Dropout for Neural Networks, 2021.
"""

import dataclasses

import keras
import numpy as np

from solvent import training

__all__ = ["Agreeing", "twice"]


def twice(rows: training.Rows) -> training.Rows:
    """Each row of a batch twice, side by side, so that both are on one device."""
    return dataclasses.replace(rows, take=lambda places: rows.take(np.repeat(places, 2)))


class Agreeing(keras.losses.Loss):
    """Cross-entropy of (the number of the class, logits), rows twice, plus how far a row's two answers are apart.

    Args:
        strength: what the distance counts: the mean of both Kullback-Leibler divergences, in nats.
    """

    def __init__(self, strength: float) -> None:
        super().__init__(name="agreeing")
        self.strength = strength

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        error = keras.losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)
        answers = keras.ops.log_softmax(y_pred)
        one, other = answers[0::2], answers[1::2]
        apart = keras.ops.sum((keras.ops.exp(one) - keras.ops.exp(other)) * (one - other), axis=-1) / 2
        return error + self.strength * keras.ops.repeat(apart, 2)
