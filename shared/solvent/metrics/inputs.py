"""What comes in: checked, and turned into float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["codes", "flags", "numbers", "probabilities", "row_weights", "rows_as_telling"]

_ROUNDING = 1e-6  # a float32 softmax may leave [0, 1] by this much


def numbers(
    name: str, values: ArrayLike, rows: int | None = None, low: float = -np.inf, high: float = np.inf
) -> np.ndarray:
    """Finite numbers from `low` to `high`, shape `(rows,)`.

    Raises:
        ValueError: naming the first value that is missing, infinite or out of range, or the wrong shape.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or rows not in (None, len(array)):
        raise ValueError(f"{name}: expected shape ({'rows' if rows is None else rows},), got {array.shape}.")
    wrong = ~(np.isfinite(array) & (array >= low) & (array <= high))
    if wrong.any():
        first = int(np.argmax(wrong))
        raise ValueError(
            f"{name}[{first}] is {array[first]}: expected a finite number from {low:g} to {high:g} "
            f"({wrong.sum()} of {len(array)} are not). Leave out the rows that have no score."
        )
    return array


def flags(name: str, values: ArrayLike, rows: int | None = None) -> np.ndarray:
    """Zeros and ones (or booleans), shape `(rows,)`.

    Raises:
        ValueError: if there is any other value.
    """
    array = numbers(name, values, rows, 0, 1)
    other = array[(array != 0) & (array != 1)]
    if other.size:
        raise ValueError(f"{name} holds {other[0]:g}: expected 0 and 1 only.")
    return array


def codes(name: str, values: ArrayLike, classes: int, rows: int | None = None) -> np.ndarray:
    """Class codes from 0 to `classes - 1`, shape `(rows,)`, integer.

    Raises:
        ValueError: if there is any other value.
    """
    array = numbers(name, values, rows, 0, classes - 1)
    whole = array.astype(np.int64)
    if (whole != array).any():
        raise ValueError(f"{name} holds {array[whole != array][0]:g}: expected whole class codes below {classes}.")
    return whole


def probabilities(name: str, values: ArrayLike, rows: int | None = None) -> np.ndarray:
    """Probabilities in [0, 1], shape `(rows,)`; what rounding put outside is put back.

    Raises:
        ValueError: if one lies outside by more than rounding.
    """
    return np.asarray(np.clip(numbers(name, values, rows, -_ROUNDING, 1 + _ROUNDING), 0, 1))


def row_weights(weight: ArrayLike | None, rows: int) -> np.ndarray:
    """The weight of every row, all 1 if there are none; shape `(rows,)`.

    Raises:
        ValueError: if one is negative, missing or infinite.
    """
    return np.ones(rows) if weight is None else numbers("weight", weight, rows, 0)


def rows_as_telling(weight: np.ndarray) -> float:
    """How many rows of equal weight tell as much as these, shape `(rows,)`, do.

    Source: Kish, Survey Sampling, 1965.
    """
    return float(weight.sum() ** 2 / (weight @ weight))
