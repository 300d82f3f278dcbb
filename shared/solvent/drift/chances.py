"""Calibrated probabilities of a part, counted by their log odds and by the decision; such counts can be added up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pandas as pd

from ..metrics.calibration import logit
from ..solution import JSON

__all__ = ["FURTHEST", "ChanceCounts", "decided", "log_odds"]

FURTHEST = 10.0  # log odds; what lies beyond counts as this
CELLS_OF_ONE = 10  # cells in one unit of the log odds
PARTS_OF_ONE = 2**30  # probabilities are added up as whole numbers, so that no sum depends on its order


@dataclass(frozen=True)
class ChanceCounts:
    """Rows by the log odds of their probability, in cells a tenth wide, apart by the decision.

    Args:
        cells: by a cell's number: rows taken for negative, the sum of their probabilities in units of 2**-30; rows
            taken for positive, the sum of theirs.
    """

    cells: Mapping[int, tuple[int, int, int, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, facts: Mapping[str, JSON], scored: pd.DataFrame, name: str) -> Self:
        """Count a part; rows without a probability or a decision count for nothing, nor do rows without the column.

        Args:
            facts: of this output in the reference.
            scored: the declared outputs.
        """
        if name not in scored or facts["decided_by"] not in scored:
            return cls()
        known = (scored[name].notna() & scored[facts["decided_by"]].notna()).to_numpy()
        probability = np.clip(scored[name].to_numpy(np.float64, na_value=np.nan)[known], 0, 1)
        positive = decided(scored.loc[known, facts["decided_by"]], facts["positive"])
        place = np.floor(CELLS_OF_ONE * log_odds(probability)).astype(np.int64)
        low = int(place.min(initial=0))
        both = 2 * (place - low) + positive
        size = int(2 * (place.max(initial=low) - low + 1))
        # float64 adds whole numbers under 2**53 exactly: 8 million rows of a part
        sums = np.bincount(both, np.rint(probability * PARTS_OF_ONE), size).reshape(-1, 2).astype(np.int64).tolist()
        rows = np.bincount(both, minlength=size).reshape(-1, 2).tolist()
        cells = {
            low + number: (no, no_sum, yes, yes_sum)
            for number, ((no, yes), (no_sum, yes_sum)) in enumerate(zip(rows, sums, strict=True))
            if no or yes
        }
        return cls(cells)

    def __add__(self, more: Self) -> Self:
        nothing = (0, 0, 0, 0)
        found = {}
        for number in sorted({*self.cells, *more.cells}):
            ours, theirs = self.cells.get(number, nothing), more.cells.get(number, nothing)
            found[number] = (ours[0] + theirs[0], ours[1] + theirs[1], ours[2] + theirs[2], ours[3] + theirs[3])
        return type(self)(found)

    def table(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and mean probability of each cell, in the order of the probability, each of shape `(2, cells)`.

        The first line are the rows taken for negative. The mean of no row is a half.
        """
        found = np.array([self.cells[number] for number in sorted(self.cells)], dtype=np.float64).reshape(-1, 4).T
        rows, sums = found[[0, 2]], found[[1, 3]] / PARTS_OF_ONE
        return rows, np.divide(sums, rows, out=np.full_like(sums, 0.5), where=rows > 0)

    def to_json(self) -> JSON:
        return {str(number): list(cell) for number, cell in self.cells.items()}

    @classmethod
    def from_json(cls, content: Mapping[str, JSON]) -> Self:
        return cls({int(number): (cell[0], cell[1], cell[2], cell[3]) for number, cell in content.items()})


def log_odds(probability: np.ndarray) -> np.ndarray:
    """The log odds of probabilities of any shape, at most 10 from 0."""
    found = np.clip(logit(probability.ravel()), -FURTHEST, FURTHEST)
    return np.asarray(found.reshape(probability.shape))


def decided(cells: pd.Series[Any], positive: str) -> np.ndarray:
    """Whether rows were taken for positive: a boolean, or the class; no cell is missing."""
    if pd.api.types.is_bool_dtype(cells):
        return cells.to_numpy(bool)
    return np.asarray((cells == positive).to_numpy(bool))
