"""Windows over series by entity: what each row's entity has been through up to that row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

__all__ = ["Series"]


@dataclass(frozen=True)
class Series:
    """The rows of a table as series: entity after entity, each one's rows in their order.

    Args:
        rows: positions in the table, in the order of the series, shape `(rows,)`.
        begins: for each place in that order, the place where its entity begins, shape `(rows,)`.
        places: for each row of the table, its place in that order, shape `(rows,)`.
    """

    rows: NDArray[np.int64]
    begins: NDArray[np.int64]
    places: NDArray[np.int64]

    @classmethod
    def of(cls, entity: ArrayLike, order: ArrayLike) -> Self:
        """Put rows in order.

        Args:
            entity: whose row it is, shape `(rows,)`.
            order: numbers or times by which an entity's rows follow each other, shape `(rows,)`; rows of one entity
                with equal ones stay as they lie in the table.
        """
        codes = pd.factorize(np.asarray(entity))[0]
        rows = np.lexsort((np.asarray(order), codes)).astype(np.int64)
        starts = np.flatnonzero(np.diff(codes[rows], prepend=-1))
        lengths = np.diff(starts, append=len(rows))
        places = np.empty(len(rows), np.int64)
        places[rows] = np.arange(len(rows))
        return cls(rows, np.repeat(starts, lengths), places)

    def filled(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Numbers with gaps closed by the entity's last known number before; 0 where there is none.

        Args:
            values: NaN where there is a gap, rows as in the table, shape `(rows, columns)`.
        """
        ordered = values[self.rows]
        if not np.isnan(ordered).any():
            return values
        own = np.arange(len(ordered))[:, None]
        known = np.maximum.accumulate(np.where(np.isnan(ordered), -1, own), axis=0)
        found = np.take_along_axis(ordered, np.maximum(known, 0), axis=0)
        return np.where(known >= self.begins[:, None], found, np.float32(0))[self.places]

    def windows(self, values: NDArray[np.float32], ends: ArrayLike, length: int) -> NDArray[np.float32]:
        """The last `length` rows of an entity up to and with each of some rows.

        Args:
            values: rows as in the table, shape `(rows, columns)`.
            ends: positions in the table of the rows that windows end with, shape `(windows,)`.

        Returns:
            shape `(windows, length, columns + 1)`. The last column is 1 where a row is there; a series that is shorter
            stands at the end, with 0 in all columns before.
        """
        last = self.places[np.asarray(ends, np.int64)]
        places = last[:, None] + np.arange(1 - length, 1)
        there = places >= self.begins[last][:, None]
        found = np.zeros((len(last), length, values.shape[1] + 1), np.float32)
        found[..., :-1] = values[self.rows[np.maximum(places, 0)]] * there[..., None]
        found[..., -1] = there
        return found

    def batches(
        self, values: NDArray[np.float32], ends: ArrayLike, length: int, rows: int
    ) -> Iterator[NDArray[np.float32]]:
        """The same windows, so many at a time: those of a large table don't fit in memory at once."""
        positions = np.asarray(ends, np.int64)
        for start in range(0, len(positions), rows):
            yield self.windows(values, positions[start : start + rows], length)
