"""Metrics that are ratios of sums over rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from ..solution import Sums, Weighted
from .inputs import numbers, row_weights

__all__ = ["Metric", "mean", "quotient", "ratio", "share"]

Metric = float | Sums | Weighted


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide, elementwise; NaN where the denominator is not positive, for there the metric is undefined."""
    numerator, denominator = np.broadcast_arrays(np.asarray(numerator, np.float64), denominator)
    quotients = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=quotients, where=denominator > 0)
    return quotients


def quotient(numerator: ArrayLike, denominator: ArrayLike, weight: ArrayLike | None = None) -> Sums:
    """The sum of one number over the sum of another; NaN where the latter is not positive.

    Args:
        numerator: shape `(rows,)`, finite.
        denominator: shape `(rows,)`, finite.
        weight: of the rows, shape `(rows,)`, not negative.

    Raises:
        ValueError: if a value is missing or infinite, or lengths differ.
    """
    above = numbers("numerator", numerator)
    below, weight = numbers("denominator", denominator, len(above)), row_weights(weight, len(above))
    rows = np.column_stack([above * weight, below * weight])
    return Sums(rows, lambda sums: ratio(sums[..., 0], sums[..., 1]))


def share(counted: ArrayLike, of: ArrayLike, weight: ArrayLike | None = None) -> Sums:
    """The share of rows that are counted, such as the ill that are flagged; NaN where there are none.

    Its interval is not a point where it is 0 or 1.

    Args:
        counted: which of them are, 0 or 1, shape `(rows,)`.
        of: the rows that it is of, 0 or 1, shape `(rows,)`.
        weight: of the rows, shape `(rows,)`, not negative.

    Raises:
        ValueError: if a value is missing or infinite, or lengths differ.
    """
    return replace(quotient(counted, of, weight), shares=((0, 1),))


def mean(values: ArrayLike, weight: ArrayLike | None = None) -> Sums:
    """The mean of a number over the rows; for a domain's own metrics, such as profit for each loan.

    Args:
        values: shape `(rows,)`, finite.
        weight: of the rows, shape `(rows,)`, not negative.

    Raises:
        ValueError: if a value is missing or infinite, or lengths differ.
    """
    array = numbers("values", values)
    return quotient(array, np.ones(len(array)), weight)
