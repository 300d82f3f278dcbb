"""The k highest of many scores, exactly, equal ones in the order of their places."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import ThreadpoolController

from solvent.runtime.processor import threads

__all__ = ["BLOCK", "best", "searcher"]

Search = Callable[[np.ndarray, tuple[np.ndarray, np.ndarray] | None], tuple[np.ndarray, np.ndarray]]

BLOCK = 256  # queries that are searched at once; fewer cost as much
TILE = 1024  # items whose products with a block are made at once, and looked at while they are in the processor's cache
SLAB = 2**17  # items whose products with a block are held, 128 MB for each processor
GROUP = 32  # items whose largest product is looked at first
NOTHING = np.float32(-np.inf)


def best(scores: np.ndarray, count: int) -> np.ndarray:
    """The places of the highest scores of each row, the highest first.

    Args:
        scores: shape `(rows, items)`; -inf is never among the best.

    Returns:
        shape `(rows, min(count, items))`, -1 where a row has no more.
    """
    places = _highest(scores, count)
    values = np.take_along_axis(scores, places, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    found = np.take_along_axis(places, order, axis=1)
    return np.where(np.isneginf(np.take_along_axis(values, order, axis=1)), -1, found)


def _highest(scores: np.ndarray, count: int) -> np.ndarray:
    """The places of the highest scores of each row in rising order, shape `(rows, min(count, items))`."""
    count = min(count, scores.shape[1])
    if not count or not len(scores):
        return np.zeros((len(scores), count), np.int64)
    # argpartition leaves it open which of equal ones come in, so the bar is set by value and ties go by place
    bar = np.partition(scores, scores.shape[1] - count, axis=1)[:, -count]
    kept = scores >= bar[:, None]
    found = np.flatnonzero(kept)
    if len(found) > count * len(scores):
        more = kept.sum(axis=1) > count
        above, level = (compare(scores[more], bar[more, None]) for compare in (np.greater, np.equal))
        kept[more] = above | (level & (level.cumsum(axis=1) <= (count - above.sum(axis=1))[:, None]))
        found = np.flatnonzero(kept)
    return found.reshape(len(scores), count) - np.arange(len(scores))[:, None] * scores.shape[1]


def searcher(items: np.ndarray, count: int) -> Search:
    """Make the function that finds the items whose vectors have the largest product with each query's, exactly.

    The products of a block of queries with all items are made tile by tile, and each processor takes a block of its
    own. All blocks and tiles are of one shape, so that memory is bounded and no score depends on who else is asked for.

    Args:
        items: float32, shape `(items, dimensions)`.

    Returns:
        A function of queries, float32, shape `(rows, dimensions)`, and of what they have seen: places of a query and of
        an item each, which don't go together, sorted by query; or None. It gives places, -1 where a row has no more,
        and products, both of shape `(rows, min(count, items))`.
    """
    count, blas = min(count, len(items)), ThreadpoolController()
    filled = np.zeros((-(-len(items) // TILE) * TILE, items.shape[1]), np.float32)
    filled[: len(items)] = items
    unused: list[np.ndarray] = []  # memory that was written to before: the first time costs as much as the product

    def search(queries: np.ndarray, seen: tuple[np.ndarray, np.ndarray] | None = None) -> tuple[np.ndarray, np.ndarray]:
        query, item = (np.zeros(0, np.int64), np.zeros(0, np.int64)) if seen is None else seen

        def block(begin: int) -> tuple[np.ndarray, np.ndarray]:
            some = queries[begin : begin + BLOCK]
            first, last = np.searchsorted(query, (begin, begin + len(some)))
            try:
                scores = unused.pop()
            except IndexError:
                scores = np.empty((min(len(filled), SLAB), BLOCK), np.float32)
            found = _searched(filled, len(items), count, some, (query[first:last] - begin, item[first:last]), scores)
            unused.append(scores)
            return found

        with blas.limit(limits=1, user_api="blas"), ThreadPoolExecutor(threads(), "solvent-search") as pool:
            found = list(pool.map(block, range(0, len(queries), BLOCK)))
        none = (np.zeros((0, count), np.int64), np.zeros((0, count), np.float32))
        places, products = (np.concatenate(parts) for parts in zip(none, *found, strict=True))
        return places, products

    return search


def _searched(
    items: np.ndarray,
    known: int,
    count: int,
    queries: np.ndarray,
    seen: tuple[np.ndarray, np.ndarray],
    scores: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The best items of a block, and their products.

    Args:
        items: so many that all tiles are full.
        known: from here on `items` are none.
        scores: the memory for the products of a slab, shape `(items, BLOCK)`.
    """
    columns = np.zeros((items.shape[1], BLOCK), np.float32)
    columns[:, : len(queries)] = queries.T
    left_out = np.sort(seen[1] * BLOCK + seen[0])  # of all products
    ends = np.searchsorted(left_out, np.arange(TILE, len(items) + 1, TILE) * BLOCK).tolist()
    flat, done = scores.reshape(-1), 0
    places, products = [], []
    for begin in range(0, len(items), SLAB):
        slab = items[begin : begin + SLAB]
        in_group = np.empty((len(slab) // GROUP, BLOCK), np.float32)  # the largest product of each
        for first in range(0, len(slab), TILE):
            tile, end = scores[first : first + TILE], ends[(begin + first) // TILE]
            np.matmul(slab[first : first + TILE], columns, out=tile)
            if end > done:
                flat[left_out[done:end] - begin * BLOCK] = NOTHING
                done = end
            if begin + first + TILE > known:
                tile[known - begin - first :] = NOTHING
            groups = in_group[first // GROUP : (first + TILE) // GROUP]
            np.max(tile.reshape(-1, GROUP, BLOCK), axis=1, out=groups)
        in_tile = in_group.reshape(-1, TILE // GROUP, BLOCK).max(axis=1)
        # The best items lie in the groups with the largest products, and these in the tiles with the largest ones.
        place = np.zeros((len(queries), 1), np.int64)
        for level, each in ((in_tile, len(in_tile)), (in_group, TILE // GROUP), (scores, GROUP)):
            place, product = _narrowed(place, each, level, count)
        places.append(begin + place)
        products.append(product)
    place, product = np.concatenate(places, axis=1), np.concatenate(products, axis=1)
    order = best(product, count)
    return (
        np.where(order < 0, -1, np.take_along_axis(place, order, axis=1)),
        np.where(order < 0, NOTHING, np.take_along_axis(product, order, axis=1)),
    )


def _narrowed(places: np.ndarray, each: int, level: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The highest of what some places are divided into, and their values.

    Args:
        places: of each query, rising, shape `(queries, places)`.
        each: into so many a place is divided.
        level: the values of all, shape `(places * each, BLOCK)`.
    """
    within = (places[:, :, None] * each + np.arange(each)).reshape(len(places), -1)
    values = level.reshape(-1).take(within * BLOCK + np.arange(len(places))[:, None])
    chosen = _highest(values, count)
    return np.take_along_axis(within, chosen, axis=1), np.take_along_axis(values, chosen, axis=1)
