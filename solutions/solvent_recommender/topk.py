"""The k highest of many scores, exactly, equal ones in the order of their places."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

__all__ = ["best", "search"]

CELLS = 2**25  # scores that are held at once, 128 MB
MOST_QUERIES = 1024


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


def search(
    queries: np.ndarray, items: np.ndarray, count: int, seen: tuple[np.ndarray, np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The items whose vectors have the largest product with each query's, exactly.

    One product of a block of queries with all items at a time, in blocks of one shape, so that memory is bounded and no
    score depends on who else is asked for.

    Args:
        queries: float32, shape `(rows, dimensions)`.
        items: float32, shape `(items, dimensions)`.
        seen: places of a query and of an item each, which don't go together; sorted by query.

    Returns:
        places, -1 where a row has no more, and products, both of shape `(rows, min(count, items))`.
    """
    import tensorflow as tf

    count = min(count, len(items))
    rows = max(1, min(MOST_QUERIES, CELLS // max(len(items), 1)))
    columns = tf.constant(np.ascontiguousarray(items.T))
    places = np.empty((len(queries), count), np.int64)
    products = np.empty((len(queries), count), np.float32)
    for begin in range(0, len(queries), rows):
        some = queries[begin : begin + rows]
        block = np.zeros((rows, queries.shape[1]), np.float32)
        block[: len(some)] = some
        if seen is None:
            found = _product(count)(tf.constant(block), columns)
        else:
            first, last = np.searchsorted(seen[0], (begin, begin + len(some)))
            pairs = np.stack([seen[0][first:last] - begin, seen[1][first:last]], axis=1)
            found = _without(count)(tf.constant(block), columns, tf.constant(pairs, tf.int64))
        products[begin : begin + rows], places[begin : begin + rows] = (each.numpy()[: len(some)] for each in found)
    return np.where(np.isneginf(products), -1, places), products


@cache
def _product(count: int) -> Callable[..., Any]:
    import tensorflow as tf

    return tf.function(lambda block, columns: tf.math.top_k(block @ columns, count), reduce_retracing=True)


@cache
def _without(count: int) -> Callable[..., Any]:
    """The same, where pairs of a row and a column are left out."""
    import tensorflow as tf

    @tf.function(input_signature=[_spec(tf.float32), _spec(tf.float32), _spec(tf.int64)])
    def found(block: Any, columns: Any, pairs: Any) -> Any:
        nothing = tf.fill(tf.shape(pairs)[:1], -np.inf)
        return tf.math.top_k(tf.tensor_scatter_nd_update(block @ columns, pairs, nothing), count)

    return found


def _spec(kind: Any) -> Any:
    import tensorflow as tf

    return tf.TensorSpec((None, None), kind)
