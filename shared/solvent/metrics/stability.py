"""Whether a distribution has moved: the population stability index, and how much of it chance alone explains."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .inputs import numbers

__all__ = ["psi", "psi_without_shift"]

_DRAWS = 1000


def psi(reference: ArrayLike, found: ArrayLike) -> float:
    """The population stability index between two counts of the same bins: 0 where the shares are equal.

    It is the sum over bins of (share now - share then) * log(share now / share then). A bin that only one side has
    rows in counts half a row on the other, for its logarithm would be infinite; one that neither has is left out.

    Args:
        reference: rows in each bin, then; not negative, shape `(bins,)`.
        found: rows in each bin, now.

    Raises:
        ValueError: if a count is negative or missing, lengths differ, or one side has no row.

    Source: Yurdakul, Statistical Properties of Population Stability Index, 2018; by custom 0.1 to 0.25 is some shift
    and more a large one, however many rows there are.
    """
    return float(_psi(*_both(reference, found)))


def psi_without_shift(reference: ArrayLike, found: ArrayLike, quantile: float = 0.95) -> float:
    """The index that so many rows in such bins stay below with this probability although nothing has moved.

    A quantile over 1,000 pairs of samples of these two sizes from the distribution of both together, always the same
    draws. Where every bin has many rows that is the chi-square quantile of bins - 1 times 1/n + 1/m; with few rows in
    a bin that formula is wrong both ways, so it isn't used.

    Args:
        reference: rows in each bin, then; not negative, shape `(bins,)`. Weights must be scaled so that they sum to
            the number of equal rows that tell as much.
        found: rows in each bin, now.
        quantile: in (0, 1).

    Raises:
        ValueError: as `psi`.

    Source: Yurdakul, as above (that formula).
    """
    then, now = _both(reference, found)
    shares = (then + now) / (then.sum() + now.sum())
    random = np.random.default_rng(0)
    drawn = (random.multinomial(max(1, round(side.sum())), shares, _DRAWS).astype(np.float64) for side in (then, now))
    return float(np.quantile(_psi(*drawn), quantile))


def _psi(then: np.ndarray, now: np.ndarray) -> np.ndarray:
    """The index over the last axis."""
    share_then = np.maximum(then, 0.5) / then.sum(axis=-1, keepdims=True)
    share_now = np.maximum(now, 0.5) / now.sum(axis=-1, keepdims=True)
    each = np.where(then + now > 0, (share_now - share_then) * np.log(share_now / share_then), 0)
    return np.asarray(each.sum(axis=-1))


def _both(reference: ArrayLike, found: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    then = numbers("reference", reference, low=0)
    now = numbers("found", found, len(then), low=0)
    for name, counts in (("reference", then), ("found", now)):
        if not counts.sum() > 0:
            raise ValueError(f"{name} counts no row in its {len(counts)} bins: expected at least one.")
    return then, now
