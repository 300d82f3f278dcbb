"""The numbers behind the curves: plain arrays in, plain arrays out."""

from __future__ import annotations

import numpy as np

from ..metrics.curve import Curve

__all__ = ["precision_recall", "roc", "thin"]


def _counts(truth: np.ndarray, score: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    true, false = Curve(truth, score, weight).counts(np.ones((1, len(truth))))
    return true[0], false[0]


def roc(truth: np.ndarray, score: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rate at every distinct threshold, from (0, 0) to (1, 1).

    Args:
        truth: 0 or 1, both present, shape `(rows,)`.
        score: higher means rather 1, shape `(rows,)`.
        weight: what each row counts, above 0, shape `(rows,)`.
    """
    true, false = _counts(truth, score, weight)
    return false / false[-1], true / true[-1]


def precision_recall(truth: np.ndarray, score: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision at every distinct threshold, the highest first.

    Args:
        truth: 0 or 1, at least one 1, shape `(rows,)`.
        score: higher means rather 1, shape `(rows,)`.
        weight: what each row counts, above 0, shape `(rows,)`.
    """
    true, false = (counts[1:] for counts in _counts(truth, score, weight))
    return true / true[-1], true / (true + false)


def thin(across: np.ndarray, up: np.ndarray, points: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """A curve through fewer of its own points, even along its length: a page must not weigh what a table weighs."""
    if len(across) <= points:
        return across, up
    length = np.append(0.0, np.cumsum(np.abs(np.diff(across)) + np.abs(np.diff(up))))
    kept = np.searchsorted(length, np.linspace(0, length[-1], points)).clip(0, len(across) - 1)
    kept = np.union1d(kept, [0, len(across) - 1])
    return across[kept], up[kept]
