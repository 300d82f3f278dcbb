"""Ids that were there already: exact over any number of rows, in 12 bytes a row."""

from __future__ import annotations

import mmap
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

__all__ = ["Seen"]

KEYS = ("solvent id mark,", "its second half.")  # of 16 characters each
SHARES = 16  # parted by their first bits, runs are merged in pieces, which needs little memory beside them
OWN_PAGES = 1 << 15  # bytes


class Marks(NamedTuple):
    """Marks of ids, 96 bits each, ordered by the first 64 of them.

    Args:
        first: uint64, shape `(ids,)`.
        second: uint32, shape `(ids,)`.
    """

    first: np.ndarray
    second: np.ndarray

    def take(self, places: Any) -> Marks:
        return Marks(self.first[places], self.second[places])


class Seen:
    """The ids of earlier rows, known by their marks.

    A number's mark is the number, mixed: no two share one. A text's mark is from its SipHash under two keys: the
    chance that any two of a billion ids share one is (10^9)^2 / 2^97, 1 in 10^11. A bit of memory that flips unnoticed
    in such a run is likelier by far, so equal marks are taken for equal ids.

    Marks are kept in sorted runs, each more than twice as long as the next one, so that there are few to look
    through and each mark is merged few times.
    """

    def __init__(self) -> None:
        self._shares: list[list[Marks]] = [[] for _ in range(SHARES)]

    def add(self, ids: pd.Series) -> np.ndarray:
        """Add ids, none of them missing; gives which of them an earlier call has added, shape `(rows,)`."""
        marks = _marks(ids)
        order = np.argsort(marks.first)
        marks = marks.take(order)
        known = np.zeros(len(ids), dtype=bool)
        other = np.ones(len(ids), dtype=bool)  # than the one before
        other[1:] = (marks.first[1:] != marks.first[:-1]) | (marks.second[1:] != marks.second[:-1])
        edges = np.arange(SHARES, dtype=np.uint64) << np.uint64(60)
        starts = np.searchsorted(marks.first, edges).tolist()
        for runs, start, end in zip(self._shares, starts, [*starts[1:], len(ids)], strict=True):
            share = slice(start, end)
            here = marks.take(share)
            for run in runs:
                known[share] |= _are_in(run, here)
            _push(runs, here.take(other[share] & ~known[share]))
        found = np.empty(len(ids), dtype=bool)
        found[order] = known
        return found


def _push(runs: list[Marks], new: Marks) -> None:
    while runs and len(runs[-1].first) <= 2 * len(new.first):
        both = Marks(*map(np.concatenate, zip(runs.pop(), new, strict=True)))
        new = both.take(np.argsort(both.first, kind="stable"))  # the stable one merges sorted runs in linear time
    if len(new.first):
        runs.append(Marks(*map(_kept, new)))


def _kept(array: np.ndarray) -> np.ndarray:
    """The array in memory of its own, which the system has back once it is merged: malloc would keep the hole."""
    if array.nbytes < OWN_PAGES:
        return array
    kept = np.frombuffer(mmap.mmap(-1, array.nbytes), array.dtype)
    kept[:] = array
    return kept


def _are_in(run: Marks, marks: Marks) -> np.ndarray:
    """Which marks are in a run, shape `(marks,)`. Those of a run with one first half lie side by side."""
    found = np.zeros(len(marks.first), dtype=bool)
    places = np.searchsorted(run.first, marks.first)
    left = np.arange(len(marks.first))
    while len(left := left[places[left] < len(run.first)]):
        left = left[run.first[places[left]] == marks.first[left]]
        found[left] |= run.second[places[left]] == marks.second[left]
        places[left] += 1
    return found


def _marks(ids: pd.Series) -> Marks:
    """The marks in the ids' own order; equal ones for equal ids, whichever part they lie in."""
    cells: Any = ids.to_numpy()
    if cells.dtype == object and not isinstance(ids.dtype, pd.StringDtype):
        cells = np.array([_spelled(cell) for cell in cells], dtype=object)
    elif cells.dtype.kind == "f":
        cells = cells + 0.0  # -0.0 is 0.0
    first, second = (pd.util.hash_array(cells, hash_key=key, categorize=False) for key in KEYS)
    return Marks(first, (second >> np.uint64(32)).astype(np.uint32))


def _spelled(cell: Any) -> str:
    """A query's cell as text: 7, 7.0 and Decimal(7) are one id, "7" is another."""
    if isinstance(cell, str):
        return f"'{cell}"
    try:
        return "{}/{}".format(*cell.as_integer_ratio())
    except (AttributeError, OverflowError):  # no number, or no finite one
        return repr(bytes(cell) if isinstance(cell, memoryview) else cell)
