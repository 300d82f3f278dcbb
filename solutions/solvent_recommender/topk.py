"""The k highest of many scores, exactly, equal ones in the order of their places."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

__all__ = ["best", "block_rows", "searcher"]

Search = Callable[[np.ndarray, tuple[np.ndarray, np.ndarray] | None], tuple[np.ndarray, np.ndarray]]

CELLS = 2**25  # scores that are held at once, 128 MB
MOST_QUERIES = 1024
GROUP = 128  # columns whose maximum is looked at first
NOTHING = np.float32(-1e30)  # a product under this is none


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


def block_rows(items: int) -> int:
    """How many queries are searched at once; fewer cost as much."""
    return max(1, min(MOST_QUERIES, CELLS // max(items, 1)))


def searcher(items: np.ndarray, count: int) -> Search:
    """Make the function that finds the items whose vectors have the largest product with each query's, exactly.

    One product of a block of queries with all items at a time, in blocks of one shape, so that memory is bounded and no
    score depends on who else is asked for.

    Args:
        items: float32, shape `(items, dimensions)`.

    Returns:
        A function of queries, float32, shape `(rows, dimensions)`, and of what they have seen: places of a query and of
        an item each, which don't go together, sorted by query; or None. It gives places, -1 where a row has no more,
        and products, both of shape `(rows, min(count, items))`.
    """
    import tensorflow as tf

    count = min(count, len(items))
    rows = block_rows(len(items))
    grouped = len(items) > 2 * GROUP * count
    columns = tf.constant(_columns(items, GROUP if grouped else 1))

    def search(queries: np.ndarray, seen: tuple[np.ndarray, np.ndarray] | None = None) -> tuple[np.ndarray, np.ndarray]:
        places = np.empty((len(queries), count), np.int64)
        products = np.empty((len(queries), count), np.float32)
        for begin in range(0, len(queries), rows):
            some = queries[begin : begin + rows]
            block = np.ones((rows, queries.shape[1] + 1), np.float32)
            block[: len(some), :-1] = some
            first, last = (0, 0) if seen is None else np.searchsorted(seen[0], (begin, begin + len(some)))
            pairs = np.zeros((0, 2), np.int64)
            if seen is not None:
                pairs = np.stack([seen[0][first:last] - begin, seen[1][first:last]], axis=1).astype(np.int64)
            found = _searched(count, grouped, last > first)(tf.constant(block), columns, tf.constant(pairs))
            products[begin : begin + rows], places[begin : begin + rows] = (each.numpy()[: len(some)] for each in found)
        return np.where(products <= NOTHING, -1, places), np.where(products <= NOTHING, -np.inf, products)

    return search


def _columns(items: np.ndarray, multiple: int) -> np.ndarray:
    """The items as columns, and more columns that none wants up to a multiple: queries have a 1 for the last row."""
    width = -(-len(items) // multiple) * multiple
    found = np.zeros((items.shape[1] + 1, width), np.float32)
    found[:-1, : len(items)] = items.T
    found[-1, len(items) :] = 2 * NOTHING
    return found


@cache
def _searched(count: int, grouped: bool, without: bool) -> Callable[..., Any]:
    """The product of a block, pairs of a row and a column left out, and the best of each row.

    Of many columns, `tf.math.top_k` costs three times the product. So neighbouring columns are grouped: the best ones
    lie in the groups with the largest maxima, and only these are searched.
    """
    import tensorflow as tf

    @tf.function(autograph=False, input_signature=[_spec(tf.float32), _spec(tf.float32), _spec(tf.int64)])
    def found(block: Any, columns: Any, pairs: Any) -> Any:
        scores = block @ columns
        if without:
            nothing = tf.fill(tf.shape(pairs)[:1], np.float32(2 * NOTHING))
            scores = tf.tensor_scatter_nd_update(scores, pairs, nothing)
        if not grouped:
            return tf.math.top_k(scores, count)
        groups = tf.reshape(scores, (tf.shape(scores)[0], -1, GROUP))
        near = tf.sort(tf.math.top_k(tf.reduce_max(groups, axis=2), count).indices, axis=1)
        candidates = tf.reshape(tf.gather(groups, near, batch_dims=1), (-1, count * GROUP))
        values, at = tf.math.top_k(candidates, count)
        return values, tf.gather(near, at // GROUP, batch_dims=1) * GROUP + at % GROUP

    return found


def _spec(kind: Any) -> Any:
    import tensorflow as tf

    return tf.TensorSpec((None, None), kind)
