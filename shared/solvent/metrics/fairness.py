"""How decisions fall on the levels of a protected column: each level against a reference level.

Sources: Hardt, Price and Srebro, Equality of Opportunity in Supervised Learning, 2016 (true-positive rates); Uniform
Guidelines on Employee Selection Procedures, 29 CFR 1607.4 D (four fifths of the highest rate).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..solution import Sums
from .inputs import flags, row_weights
from .intervals import Estimate, Resampling, estimate, point
from .sums import Metric, quotient, ratio

__all__ = ["FOUR_FIFTHS", "Level", "against", "bands", "by_level"]

FOUR_FIFTHS = 0.8
_NOTHING = Estimate(np.nan)


@dataclass(frozen=True)
class Level:
    """How decisions fall on one level; NaN where there are too few rows, or nothing to compare with.

    Args:
        deserving: how many of the rows it would have been right to decide favourably on.
        rate: of favourable decisions among the rows.
        ratio: that rate over the reference's.
        true_positive_rate: of favourable decisions among the deserving rows.
        difference: that rate less the reference's.
    """

    rows: int
    deserving: int
    rate: Estimate
    ratio: Estimate
    true_positive_rate: Estimate
    difference: Estimate


def against(
    level: ArrayLike, reference: ArrayLike, favourable: ArrayLike, deserving: ArrayLike, weight: ArrayLike | None = None
) -> dict[str, Sums]:
    """Compare the decisions on one level with those on another; over all rows, so that both are resampled together.

    Args:
        level: whether a row is of the level, shape `(rows,)`.
        reference: whether a row is of the level that it is compared with, shape `(rows,)`.
        favourable: whether the decision is to the person's advantage, shape `(rows,)`.
        deserving: whether it would have been right to decide so, shape `(rows,)`.
        weight: of the rows, shape `(rows,)`, not negative.

    Returns:
        The rates of `Level` by name. NaN where a rate has no row; the ratio also where the reference's rate is 0.

    Raises:
        ValueError: if a value is neither 0 nor 1, a weight is negative, or lengths differ.
    """
    level = flags("level", level)
    rows = len(level)
    reference, favourable = flags("reference", reference, rows), flags("favourable", favourable, rows)
    deserving, weight = flags("deserving", deserving, rows), row_weights(weight, rows)
    both = np.column_stack([level * favourable, level, reference * favourable, reference]) * weight[:, None]
    return {
        "rate": quotient(level * favourable, level, weight),
        "ratio": Sums(both, lambda sums: ratio(_first(sums), _second(sums))),
        "true_positive_rate": quotient(level * favourable, level, weight * deserving),
        "difference": Sums(both * deserving[:, None], lambda sums: _first(sums) - _second(sums)),
    }


def by_level(
    levels: np.ndarray,
    reference: int | None,
    *,
    favourable: np.ndarray,
    deserving: np.ndarray,
    resampling: Resampling,
    weight: ArrayLike | None = None,
    fewest: int,
) -> dict[int, Level]:
    """Compare the decisions on every level with those on the reference.

    A rate over fewer rows than `fewest` is not measured, and one over fewer groups than an interval needs has none.

    Args:
        levels: the code of each row's level, shape `(rows,)`; a negative one takes no part.
        reference: the code that the others are compared with; None compares nothing.
        favourable, deserving: as in `against`, boolean.
    """
    others = np.zeros(len(levels), dtype=bool) if reference is None else levels == reference
    metrics: dict[str, Metric] = {}
    codes = [int(code) for code in np.unique(levels) if code >= 0]
    for code in codes:
        level = levels == code
        found = against(level, others, favourable, deserving, weight)
        parts = {"rate": [level], "true_positive_rate": [level & deserving]}
        if code != reference:
            parts |= {"ratio": [level, others], "difference": [level & deserving, others & deserving]}
        for name, over in parts.items():
            if min(part.sum() for part in over) >= fewest:
                enough = all(_printable(resampling, part) for part in over)
                metrics[f"{name} {code}"] = found[name] if enough else point(found[name])
    estimates = estimate(metrics, resampling)
    return {
        code: Level(
            int((levels == code).sum()),
            int(((levels == code) & deserving).sum()),
            *(
                estimates.get(f"{name} {code}", _NOTHING)
                for name in ("rate", "ratio", "true_positive_rate", "difference")
            ),
        )
        for code in codes
    }


def _printable(resampling: Resampling, part: np.ndarray) -> bool:
    """Whether some of the rows hold enough units for an interval of their own."""
    groups = None if resampling.groups is None else resampling.groups[part]
    return Resampling(int(part.sum()), groups).printable


def _first(sums: np.ndarray) -> np.ndarray:
    return ratio(sums[..., 0], sums[..., 1])


def _second(sums: np.ndarray) -> np.ndarray:
    return ratio(sums[..., 2], sums[..., 3])


def bands(values: np.ndarray, weight: ArrayLike | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Cut ordered values into at most four bands of about equal weight.

    Args:
        values: numbers or times, at least one and none missing, shape `(rows,)`.
        weight: of the rows, shape `(rows,)`, not negative.

    Returns:
        The upper ends of all bands but the last, each one of the values; and the band of every row, from 0, shape
        `(rows,)`: band k holds ends[k-1] < value <= ends[k].
    """
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(row_weights(weight, len(values))[order])
    ends = np.unique(values[order][np.searchsorted(reached, np.array([0.25, 0.5, 0.75]) * reached[-1])])
    ends = ends[ends < values.max()]
    return ends, np.searchsorted(ends, values, side="left")
