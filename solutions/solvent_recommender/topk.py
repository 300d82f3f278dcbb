"""The k highest of many scores, exactly, equal ones in the order of their places."""

import numpy as np

__all__ = ["best"]


def best(scores: np.ndarray, count: int) -> np.ndarray:
    """The places of the highest scores of each row, the highest first.

    Args:
        scores: shape `(rows, items)`; -inf is never among the best.

    Returns:
        shape `(rows, min(count, items))`, -1 where a row has no more.
    """
    count = min(count, scores.shape[1])
    if not count or not len(scores):
        return np.zeros((len(scores), count), np.int64)
    # argpartition leaves it open which of equal ones come in, so the bar is set by value and ties go by place
    bar = np.partition(scores, scores.shape[1] - count, axis=1)[:, -count]
    above = scores > bar[:, None]
    level = scores == bar[:, None]
    kept = above | (level & (level.cumsum(axis=1) <= (count - above.sum(axis=1))[:, None]))
    places = np.nonzero(kept)[1].reshape(len(scores), count)
    values = np.take_along_axis(scores, places, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    found = np.take_along_axis(places, order, axis=1)
    return np.where(np.isneginf(np.take_along_axis(values, order, axis=1)), -1, found)
