"""Training rows, and how they reach the network batch by batch, in an order that depends on the epoch alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import workers
from ..errors import Refused

__all__ = ["Feed", "Rows", "arrays"]

POOL = 32  # batches whose rows are sorted by length together


@dataclass(frozen=True)
class Rows:
    """Training rows that are taken batch by batch.

    Args:
        count: how many there are.
        take: positions `(batch,)` -> (inputs, targets, weights `(batch,)`), trees of arrays. It is called in a thread
            of its own, a few batches ahead; what it draws at random must follow from the positions.
        lengths: of sequences, shape `(count,)`: then `take` may pad each batch to a length of its own, and rows of like
            lengths come into one batch. None where all batches have one shape.
        by_length: `batch_size` counts rows times their length, so that a step costs the same whether its sequences are
            short or long. Rows of one length are then in one batch, so there should be few lengths: those of buckets.
            `take` may pad to others.
        counted: targets of a batch -> of how many things its loss is a mean, such as tokens; None for its rows. Only
            asked where the gradients of several batches are averaged.
    """

    count: int
    take: Callable[[np.ndarray], tuple[Any, Any, np.ndarray]]
    lengths: np.ndarray | None = None
    by_length: bool = False
    counted: Callable[[Any], float] | None = None


def arrays(inputs: Any, targets: Any, weights: np.ndarray | None = None) -> Rows:
    """Rows that lie in memory: trees of arrays with one leading axis."""
    import keras

    count = len(keras.tree.flatten(inputs)[0])
    weighed = np.ones(count, np.float32) if weights is None else np.asarray(weights, np.float32)

    def take(positions: np.ndarray) -> tuple[Any, Any, np.ndarray]:
        pick = lambda array: array[positions]  # noqa: E731
        return keras.tree.map_structure(pick, inputs), keras.tree.map_structure(pick, targets), weighed[positions]

    return Rows(count, take)


class Feed:
    """The batches of one epoch after the other, split among the replicas.

    Of several workers each takes its own part of every batch, and no other rows.

    Args:
        batch_size: rows in a step, over all replicas; fewer where there are fewer rows. Where the rows go `by_length`,
            rows times their length.
        orders: the seed of each epoch's order.
        accumulate: batches whose gradients make a step together: their weights are what each of them counts beside the
            others, with mean 1.
    """

    def __init__(self, rows: Rows, batch_size: int, orders: Iterable[Any], accumulate: int = 1) -> None:
        import keras
        import tensorflow as tf

        strategy = tf.distribute.get_strategy()
        replicas = strategy.num_replicas_in_sync
        self.rows: Rows | None = rows
        self.orders = orders
        self.batch, self.batches = shape(rows, batch_size, replicas)
        self.accumulate, self.steps = accumulate, math.ceil(self.batches / accumulate)
        self.shares, self.mine = workers.shares()
        self.rows_of = _rows_of_lengths(rows, batch_size, replicas)
        self.error: Exception | None = None
        signature = keras.tree.map_structure(
            lambda *arrays: tf.TensorSpec(_common([array.shape for array in arrays], rows.by_length), arrays[0].dtype),
            *(rows.take(self._share(places, 0)) for places in _extremes(rows, self.batch, self.rows_of)),
        )
        options = tf.data.Options()
        options.autotune.enabled = (
            False  # nothing here to tune, and its thread holds up the end of the process by a minute
        )
        dataset = tf.data.Dataset.from_generator(self._batches, output_signature=signature).prefetch(2)
        dataset = dataset.with_options(options)
        if self.shares > 1:
            # Of a dataset that might end, workers would tell each other in every step whether theirs has.
            endless = dataset.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
            dataset = strategy.distribute_datasets_from_function(lambda _: endless)
        elif replicas > 1:
            dataset = strategy.experimental_distribute_dataset(dataset)
        self.iterator = iter(dataset)

    def close(self) -> None:
        """Let go of the rows: TensorFlow never lets go of a generator, nor of what it holds."""
        self.rows = None

    def _batches(self) -> Iterator[Any]:
        count = 0 if self.rows is None else self.rows.count
        try:
            for seed in self.orders:
                random = np.random.default_rng(seed)
                order = random.permutation(count)
                cut = self._cut(order, random)
                while together := list(itertools.islice(cut, self.accumulate)):
                    if self.rows is None:
                        return
                    yield from self._taken(together)
        except Exception as error:
            self.error = error  # TensorFlow would show it as a page of its own
            raise

    def _taken(self, together: Sequence[np.ndarray]) -> list[Any]:
        """The batches of a step. No generator: one that waits would hold the rows."""
        rows = self.rows
        assert rows is not None
        taken = [[rows.take(self._share(places, share)) for share in self.mine] for places in together]
        if len(taken) == 1:
            return taken[0]
        # What a batch counts follows from the whole of it, also where only a part of it is ours.
        whole = taken if self.shares == 1 or not rows.counted else [[rows.take(places)] for places in together]
        held = [rows.counted(parts[0][1]) for parts in whole] if rows.counted else [len(places) for places in together]
        counts = np.array(held, np.float64)
        return [
            (inputs, targets, (weights * count).astype(weights.dtype))
            for parts, count in zip(taken, counts / counts.mean(), strict=True)
            for inputs, targets, weights in parts
        ]

    def _share(self, places: np.ndarray, number: int) -> np.ndarray:
        """One of the equal shares that a batch is cut into; the whole where it is cut by TensorFlow or not at all."""
        size = len(places) // self.shares
        return places[number * size : (number + 1) * size]

    def _cut(self, order: np.ndarray, random: np.random.Generator) -> Iterator[np.ndarray]:
        """The positions of each batch of an epoch. A last batch is filled up from the start: no row is left out."""
        lengths = None if self.rows is None else self.rows.lengths
        if lengths is not None and self.rows_of:
            found: list[np.ndarray] = []
            for length, batch in self.rows_of.items():
                same = order[lengths[order] == length]
                found += list(np.resize(same, (math.ceil(len(same) / batch), batch)))
            yield from (found[place] for place in random.permutation(len(found)))
            return
        padded = np.resize(order, self.batches * self.batch)
        if lengths is not None:
            padded = _alike(padded, lengths, self.batch, random)
        yield from padded.reshape(self.batches, self.batch)


def shape(rows: Rows, batch_size: int, replicas: int = 1) -> tuple[int, int]:
    """Rows in a batch (each replica gets equally many), the most where they go `by_length`, and batches in an epoch.

    Raises:
        Refused: if there are no rows.
    """
    if rows.count == 0:
        raise Refused("There are no training rows.")
    if rows_of := _rows_of_lengths(rows, batch_size, replicas):
        steps = (math.ceil(np.count_nonzero(rows.lengths == length) / batch) for length, batch in rows_of.items())
        return max(rows_of.values()), sum(steps)
    batch = math.ceil(min(batch_size, rows.count) / replicas) * replicas
    return batch, math.ceil(rows.count / batch)


def _rows_of_lengths(rows: Rows, batch_size: int, replicas: int) -> dict[int, int]:
    """Rows in a batch of each length; none where batches are cut by rows alone."""
    if not rows.by_length or rows.lengths is None:
        return {}
    found = {}
    for length, count in zip(*np.unique(rows.lengths, return_counts=True), strict=True):
        most = min(max(1, batch_size // int(length)), int(count))
        found[int(length)] = math.ceil(most / replicas) * replicas
    return found


def _alike(order: np.ndarray, lengths: np.ndarray, batch: int, random: np.random.Generator) -> np.ndarray:
    """The same positions, like lengths side by side: sorted within pools of some batches, the batches then shuffled.

    A pool is small enough for a row to meet others in each epoch.
    """
    pool = POOL * batch
    pools = [order[start : start + pool] for start in range(0, len(order), pool)]
    batches = np.concatenate([part[np.argsort(lengths[part], kind="stable")] for part in pools]).reshape(-1, batch)
    return np.asarray(batches[random.permutation(len(batches))].reshape(-1))


def _extremes(rows: Rows, batch: int, rows_of: Mapping[int, int]) -> list[np.ndarray]:
    """Positions of a batch of the first rows; where lengths differ, of the shortest and of the longest ones."""
    if rows.lengths is not None and rows_of:
        return [np.resize(np.flatnonzero(rows.lengths == length), count) for length, count in rows_of.items()]
    if rows.lengths is None:
        return [np.resize(np.arange(rows.count), batch)]
    by_length = np.argsort(rows.lengths, kind="stable")
    return [np.resize(by_length, batch), np.resize(by_length[::-1], batch)]


def _common(shapes: Sequence[tuple[int, ...]], by_length: bool) -> tuple[int | None, ...]:
    """What shapes have in common; open where they differ, and in rows and lengths where batches are cut `by_length`."""
    found = [sizes[0] if len(set(sizes)) == 1 else None for sizes in zip(*shapes, strict=True)]
    return tuple(None if by_length and axis < 2 else size for axis, size in enumerate(found))


def example(rows: Rows, batch: int) -> tuple[Any, Any, np.ndarray]:
    """A batch of the first rows."""
    return rows.take(np.resize(np.arange(rows.count), batch))
