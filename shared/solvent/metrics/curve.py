"""The counts above every threshold, of which AUC, average precision and KS are functions."""

from __future__ import annotations

import numpy as np

from .sums import ratio

__all__ = ["Curve"]


class Curve:
    """Rows sorted once by score; then counted for as many resamples as one likes. Equal scores stand and fall together.

    Args:
        truth: 0 or 1, shape `(rows,)`.
        score: higher means rather 1, shape `(rows,)`.
        weight: shape `(rows,)`, not negative.

    Attributes:
        scores: the distinct scores, falling, shape `(thresholds,)`.
        classes: the weight of each row where it is 0 and where it is 1, shape `(rows, 2)`.
    """

    def __init__(self, truth: np.ndarray, score: np.ndarray, weight: np.ndarray) -> None:
        falling = np.argsort(-score, kind="stable")
        last = np.flatnonzero(np.diff(score[falling], append=np.nan) != 0)  # of each run of equal scores
        is_positive = truth[falling] == 1
        self.scores: np.ndarray = score[falling][last]
        self.classes: np.ndarray = np.column_stack([truth != 1, truth == 1]) * weight[:, None]
        self._weight = weight
        self._positives, self._negatives = falling[is_positive], falling[~is_positive]
        self._positives_above = np.append(0, np.cumsum(is_positive)[last])
        self._negatives_above = np.append(0, np.cumsum(~is_positive)[last])

    def counts(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """True and false positives if the first 0, 1, 2, ... distinct scores are called positive.

        Args:
            weights: how often each row was drawn, shape `(resamples, rows)`.

        Returns:
            Two arrays of shape `(resamples, thresholds + 1)`; the last column is all positives, all negatives.
        """
        return (
            _running(weights, self._weight, self._positives)[:, self._positives_above],
            _running(weights, self._weight, self._negatives)[:, self._negatives_above],
        )

    def auc(self, weights: np.ndarray) -> np.ndarray:
        """The area under the ROC curve; NaN where a class is missing. Shape `(resamples,)`."""
        true, false = self.counts(weights)
        area = np.einsum("rt,rt->r", np.diff(false), true[:, 1:] + true[:, :-1]) / 2
        return ratio(area, true[:, -1] * false[:, -1])

    def gini(self, weights: np.ndarray) -> np.ndarray:
        """2 AUC - 1: 0 is chance, 1 is perfect."""
        return 2 * self.auc(weights) - 1

    def average_precision(self, weights: np.ndarray) -> np.ndarray:
        """Precision, averaged over the steps of recall; NaN where there is no positive. Shape `(resamples,)`."""
        true, false = self.counts(weights)
        called = true + false
        # Where nothing has been called positive yet, nothing is gained either: precision is of no account there.
        precision = np.divide(true, called, out=np.zeros_like(true), where=called > 0)
        return ratio(np.einsum("rt,rt->r", np.diff(true), precision[:, 1:]), true[:, -1])

    def ks(self, weights: np.ndarray) -> np.ndarray:
        """The largest distance between the two classes' score distributions; NaN where a class is missing."""
        true, false = self.counts(weights)
        return np.asarray(np.abs(ratio(true, true[:, -1:]) - ratio(false, false[:, -1:])).max(axis=1))


def _running(weights: np.ndarray, weight: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The weight of the first 0, 1, 2, ... of `rows`, shape `(resamples, len(rows) + 1)`."""
    running = np.zeros((len(weights), len(rows) + 1))
    np.cumsum(weights[:, rows] * weight[rows], axis=1, out=running[:, 1:])
    return running
