"""Sets of classes that hold the true one as often as promised, whatever the model: split conformal prediction.

The promise is over draws of calibrating rows and new ones, if they are exchangeable: one row for each patient, not for
each image. It holds on average over such draws; of one fitted model the coverage varies around it.
Source: Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005; by class: its
chapter 4.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..errors import Refused
from .inputs import codes

__all__ = ["fit", "members", "rows_for"]


def fit(truth: ArrayLike, probability: ArrayLike, coverage: float, *, by_class: bool) -> dict[str, Any]:
    """How improbable a class may be and still be in the set.

    Args:
        truth: codes from 0 to `classes - 1`, shape `(rows,)`; rows that chose nothing of the model.
        probability: in [0, 1], shape `(rows, classes)`.
        coverage: the share of rows, in (0, 1), whose set is to hold the true class.
        by_class: promise it of the rows of each class, which needs rows of each; else of all rows together.

    Returns:
        `limits`: for each class the largest 1 - probability that is in the set. With too few rows for the promise it is
        1, and the class is in every set.

    Raises:
        Refused: if there is no row.
    """
    if not 0 < coverage < 1:
        raise ValueError(f"coverage is {coverage}: expected a number between 0 and 1.")
    table = np.asarray(probability, np.float64)
    rows, classes = table.shape
    if not rows:
        raise Refused("Prediction sets need rows to be fitted on, and there are none. Make the validation part larger.")
    truth = codes("truth", truth, classes, rows)
    strange = 1 - table[np.arange(rows), truth]
    groups = [strange[truth == code] for code in range(classes)] if by_class else [strange] * classes
    return {
        "coverage": coverage,
        "by_class": by_class,
        "limits": [_limit(own, coverage) for own in groups],
        "rows": [len(own) for own in groups] if by_class else rows,
    }


def members(fitted: Mapping[str, Any], probability: ArrayLike, otherwise: ArrayLike | None = None) -> np.ndarray:
    """Which classes are in the set of each row, bool, shape `(rows, classes)`; none may be.

    A model that is better than was promised leaves sets empty, the more the less is promised: an empty set is no sign
    that a row is strange. What it is filled with only makes it hold the true class more often.

    Args:
        fitted: what `fit` returned.
        probability: shape `(rows, classes)`.
        otherwise: the class that a set holds if no other is in it, shape `(rows,)`.
    """
    found = np.asarray(1 - np.asarray(probability, np.float64) <= np.array(fitted["limits"]))
    if otherwise is not None:
        found[np.arange(len(found)), np.asarray(otherwise)] |= ~found.any(axis=1)
    return found


def rows_for(coverage: float) -> int:
    """How many rows (of a class) it takes at least, so that the set is not simply all classes."""
    return int(np.ceil(round(coverage / (1 - coverage), 9)))


def _limit(strange: np.ndarray, coverage: float) -> float:
    place = int(np.ceil(round((len(strange) + 1) * coverage, 9)))
    return float(np.sort(strange)[place - 1]) if place <= len(strange) else 1.0
