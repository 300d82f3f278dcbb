"""The scorecard: integer points for each bin, and for each pair of bins that act together. A score is their sum."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Scale", "Scorecard", "Term"]


@dataclass(frozen=True)
class Scale:
    """How points and probabilities of default belong together: affine in the log odds, whatever the model.

    Args:
        base_points: points at odds of 1:1.
        points_to_double_odds: points that double the odds of repayment.
    """

    base_points: int
    points_to_double_odds: float

    @property
    def factor(self) -> float:
        """Points in one unit of log odds."""
        return self.points_to_double_odds / float(np.log(2))

    def probability(self, points: np.ndarray) -> np.ndarray:
        """The probability of default of a loan with so many points, shape `(rows,)`."""
        return 1 / (1 + np.exp((np.asarray(points, np.float64) - self.base_points) / self.factor))

    def points(self, log_odds: np.ndarray) -> np.ndarray:
        """The points, not yet whole numbers, of calibrated log odds of default, shape `(rows,)`."""
        return self.base_points - self.factor * np.asarray(log_odds, np.float64)

    def highest_refused(self, cutoff: float) -> int:
        """The most points whose probability of default is still at or above the cut-off.

        Comparing whole points with it decides as comparing probabilities does, and alike in every engine.
        """
        if not SMALLEST < cutoff < 1:
            return LARGEST if cutoff < 1 else -LARGEST
        guess = int(np.floor(self.points(np.log(cutoff / (1 - cutoff)))))
        near = np.arange(guess - 2, guess + 3)
        return int(near[self.probability(near) >= cutoff].max())


SMALLEST = 1e-300  # probability that points can tell from 0
LARGEST = 2**31 - 1  # more points than any scorecard gives


@dataclass(frozen=True)
class Term:
    """A part of the sum: one column's points by its bins, or two columns' points by both.

    Args:
        columns: places of the one or two columns among the scorecard's bins.
        groups: for each of them, bin number -> place on the term's axis, int, shape `(bins of the column,)`. A pair's
            axes are coarser than the columns' own bins; neighbouring bins may share a place.
        points: whole numbers, shape `(places,)` or `(places, places)`.
        deviation: standard error of the points before rounding, same shape; 1.96 of it are the 95 % interval.
        loans: training loans there, by their weight, same shape.
        defaulted: how many of them defaulted, same shape.
    """

    columns: tuple[int, ...]
    groups: tuple[np.ndarray, ...]
    points: np.ndarray
    deviation: np.ndarray
    loans: np.ndarray
    defaulted: np.ndarray

    def place(self, bins: np.ndarray) -> np.ndarray:
        """Where each loan lies in `points.ravel()`.

        Args:
            bins: bin numbers, shape `(rows, columns of the scorecard)`.
        """
        found = self.groups[0][bins[:, self.columns[0]]]
        if len(self.columns) == 2:
            found = found * self.points.shape[1] + self.groups[1][bins[:, self.columns[1]]]
        return found


@dataclass(frozen=True)
class Scorecard:
    """All that a score depends on: it is a table.

    Args:
        bins: what `binning.learn_bins` found, one description a column.
        start: points that every loan has before any term is added.
        terms: the columns' own in the order of `bins`, then the pairs.
    """

    bins: Sequence[Mapping[str, Any]]
    start: int
    terms: tuple[Term, ...]
    scale: Scale

    @property
    def own(self) -> tuple[Term, ...]:
        """The terms of one column."""
        return tuple(term for term in self.terms if len(term.columns) == 1)

    @property
    def pairs(self) -> tuple[Term, ...]:
        return tuple(term for term in self.terms if len(term.columns) == 2)

    @property
    def values(self) -> np.ndarray:
        """All terms' points, one after the other, as the network holds them."""
        return np.concatenate([term.points.ravel() for term in self.terms])

    def points(self, bins: np.ndarray) -> np.ndarray:
        """The points of loans.

        Args:
            bins: bin numbers, shape `(rows, columns)`.

        Returns:
            int64, shape `(rows,)`.
        """
        total = np.full(len(bins), self.start, np.int64)
        for term in self.terms:
            total += term.points.ravel()[term.place(bins)]
        return total

    def to_json(self) -> dict[str, Any]:
        """What bundle.json holds of it; the bins stand in a fact of their own."""
        return {
            "start": self.start,
            "base_points": self.scale.base_points,
            "points_to_double_odds": self.scale.points_to_double_odds,
            "terms": [
                {
                    "columns": list(term.columns),
                    "groups": [group.tolist() for group in term.groups],
                    "points": term.points.tolist(),
                    "deviation": np.round(term.deviation, 3).tolist(),
                    "loans": np.round(term.loans, 3).tolist(),
                    "defaulted": np.round(term.defaulted, 3).tolist(),
                }
                for term in self.terms
            ],
        }

    @classmethod
    def from_json(cls, bins: Sequence[Mapping[str, Any]], content: Mapping[str, Any]) -> "Scorecard":
        terms = tuple(
            Term(
                columns=tuple(each["columns"]),
                groups=tuple(np.asarray(group, np.int64) for group in each["groups"]),
                points=np.asarray(each["points"], np.int64),
                deviation=np.asarray(each["deviation"], np.float64),
                loans=np.asarray(each["loans"], np.float64),
                defaulted=np.asarray(each["defaulted"], np.float64),
            )
            for each in content["terms"]
        )
        return cls(bins, content["start"], terms, Scale(content["base_points"], content["points_to_double_odds"]))
