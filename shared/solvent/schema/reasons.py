"""Why rows are bad: the reasons of each row, and the kinds of reasons, which can be counted."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

import numpy as np
import pandas as pd

from . import kinds

__all__ = ["Reasons", "reason_kinds", "rows_of_torn", "without_cells"]

QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
END = re.compile(rf"({QUOTED.pattern})|; ")
NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?(?!\w)")


class Reasons:
    """Why rows are bad. A reason is only made for a bad row."""

    def __init__(self, rows: int) -> None:
        self.bad = np.zeros(rows, dtype=bool)
        self._texts: dict[int, list[str]] = {}

    def add(self, failing: np.ndarray, reason: Callable[[int], str]) -> None:
        """Args: failing: shape `(rows,)`; reason: a row's position -> why it is bad."""
        if failing.any():
            self.bad |= failing
            for position in np.flatnonzero(failing).tolist():
                self._texts.setdefault(position, []).append(reason(position))

    def texts(self) -> list[str]:
        return ["; ".join(self._texts[position]) for position in np.flatnonzero(self.bad).tolist()]


def rows_of_torn(source: str, cells: pd.Series, bad: np.ndarray, rows: np.ndarray) -> dict[int, str]:
    """Why the other rows of an entity with a bad row are bad too: what is left of it would be another series.

    Args:
        source: the user's own name of the entity's column.
        cells: the entity of each row; rows where it is missing belong to none.
        bad: which rows are bad, shape `(rows,)`.
        rows: what messages call the rows, from 1, shape `(rows,)`.

    Returns:
        The reasons by the rows' positions.
    """
    if not bad.any():
        return {}
    codes = pd.factorize(cells)[0]
    first: dict[int, int] = {}
    for position in np.flatnonzero(bad & (codes >= 0)).tolist():
        first.setdefault(int(codes[position]), position)
    also = np.flatnonzero(~bad & np.isin(codes, list(first)))
    return {  # quoted even where it is a number, so that its kind of reason doesn't tell who it is
        position: f"another row of {source} {kinds.shown(str(cells.iloc[position]))} is bad: "
        f"row {rows[first[codes[position]]]}"
        for position in also.tolist()
    }


def reason_kinds(reasons: str) -> set[str]:
    """The reasons of one row without their cells: a million different bad cells are one kind."""
    found = set()
    for reason in QUOTED.sub("…", reasons).split("; "):
        column, colon, why = reason.rpartition(": ")
        found.add(f"{column}{colon}{NUMBER.sub('…', why)}")
    return found


def without_cells(reasons: str, columns: Collection[str]) -> str:
    """The reasons of one row, those that name one of the columns without its cells."""
    ends = [found.start() for found in END.finditer(reasons) if found[1] is None]
    pieces = [reasons[start:end] for start, end in zip([0, *(end + 2 for end in ends)], [*ends, None], strict=True)]
    return "; ".join(
        "; ".join(sorted(reason_kinds(piece))) if any(name in piece for name in columns) else piece for piece in pieces
    )
