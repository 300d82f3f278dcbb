"""Metrics of a number that was predicted."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..solution import Sums
from .inputs import numbers, row_weights
from .sums import Metric, mean, ratio

__all__ = ["regression"]


def regression(truth: ArrayLike, prediction: ArrayLike, weight: ArrayLike | None = None) -> dict[str, Metric]:
    """Metrics of a predicted number.

    Args:
        truth: shape `(rows,)`, in any unit.
        prediction: shape `(rows,)`, in the same unit.
        weight: of the rows, shape `(rows,)`, not negative.

    Returns:
        rmse and mae, in the unit of the truth; r2, the share of the variance that is explained (NaN where the truth
        does not vary).

    Raises:
        ValueError: if a value is missing or infinite, or lengths differ.
    """
    truth = numbers("truth", truth)
    prediction, weight = numbers("prediction", prediction, len(truth)), row_weights(weight, len(truth))
    error = truth - prediction
    mean_square = mean(error**2, weight)
    return {
        "rmse": Sums(mean_square.rows, lambda sums: np.sqrt(mean_square.value(sums))),
        "mae": mean(np.abs(error), weight),
        "r2": _explained(truth, error, weight),
    }


def _explained(truth: np.ndarray, error: np.ndarray, weight: np.ndarray) -> Sums:
    # Centred, so that the variance from sums of squares loses no digits to a large mean.
    centred = truth - (truth.mean() if len(truth) else 0)
    rows = np.column_stack([np.ones(len(truth)), centred, centred**2, error**2]) * weight[:, None]

    def value(sums: np.ndarray) -> np.ndarray:
        count, total, squares, errors = np.moveaxis(sums, -1, 0)
        variation = squares - total * np.nan_to_num(ratio(total, count))
        return 1 - ratio(errors, np.where(variation > 1e-12 * squares, variation, 0))

    return Sums(rows, value)
