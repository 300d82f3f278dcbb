"""Whether two samples may be of one distribution, told from their counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["Test", "chi_square", "holm", "kolmogorov_smirnov", "more_unseen", "proportions"]

FEWEST_EXPECTED = 5.0

Test = tuple[float, float]  # the statistic and its p-value


def kolmogorov_smirnov(then: np.ndarray, now: np.ndarray) -> Test:
    """The two-sample Kolmogorov-Smirnov test on the counts of ordered bins.

    The largest distance between the cumulative shares is looked for at the edges of the bins alone. So it is a lower
    bound of the distance between the samples, and the p-value an upper bound: the test is conservative, and sees no
    move inside a bin. The p-value is that of the limit for many rows, which is conservative too where values repeat.

    Args:
        then, now: rows in each bin, shape `(bins,)`; each side has at least one.

    Source: Smirnov, Table for estimating the goodness of fit of empirical distributions, 1948.
    """
    from scipy.special import kolmogorov

    rows_then, rows_now = then.sum(), now.sum()
    distance = float(np.abs(then.cumsum() / rows_then - now.cumsum() / rows_now).max())
    return distance, float(kolmogorov(np.sqrt(rows_then * rows_now / (rows_then + rows_now)) * distance))


def chi_square(then: np.ndarray, now: np.ndarray) -> Test:
    """Pearson's chi-square test that two samples have the same shares, without a correction for continuity.

    Cells of which fewer than five rows are to be expected in the smaller sample are pooled: the smallest with the next
    ones until five are, then again from there; which ones depends on both samples together, so chance is not favoured.
    If one cell is left it tells nothing: the p-value is 1.

    Args:
        then, now: rows in each cell, shape `(cells,)`; each side has at least one.

    Source: Pearson, 1900; Cochran, Some methods for strengthening the common chi-square tests, 1954 (five rows).
    """
    from scipy.special import chdtrc

    table = _pooled(np.stack([then, now]).astype(np.float64))
    if table.shape[1] < 2:
        return 0.0, 1.0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return statistic, float(chdtrc(table.shape[1] - 1, statistic))


def proportions(then: int, rows_then: int, now: int, rows_now: int) -> Test:
    """Whether two shares of rows are equal: by the chi-square test, with few rows by Fisher's exact one.

    Few means that fewer than five of a kind are to be expected in a sample. The exact p-value is twice that of the
    smaller tail. One kind of rows alone tells nothing: the p-value is 1.

    Args:
        then, now: rows of the kind that is counted.
        rows_then, rows_now: all; at least one.

    Returns:
        The statistic is the chi-square of the table.

    Source: Fisher, 1935; Cochran, as above (five rows).
    """
    from scipy.special import chdtrc

    table = np.array([[then, rows_then - then], [now, rows_now - now]], dtype=np.float64)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    if not expected.all():
        return 0.0, 1.0
    statistic = float(((table - expected) ** 2 / expected).sum())
    if expected.min() >= FEWEST_EXPECTED:
        return statistic, float(chdtrc(1, statistic))
    return statistic, _exact(then, rows_then, now, rows_now)


def more_unseen(seen: Sequence[int], rows_then: int, unseen: int, rows_now: int) -> Test:
    """Whether more rows have a level that the first sample never had than is to be expected.

    Expected is the share of the first sample's rows whose level no other row has (Good, 1953). It misses the true one:
    with n rows, of levels that have one row or two, by a standard error near sqrt(once + 2 twice) / n (Robbins, 1968;
    Esty, 1983). That is the second term of a series in the numbers of levels with one row, two, three ... Few levels
    make the miss skew - one level that chance left out may be large - so the whole series is taken: with Poisson
    numbers of rows it bounds the logarithm of the moment-generating function, with the observed numbers of levels in
    the place of their means, and Chernoff's bound of the upper tail is the p-value. It is conservative.

    Args:
        seen: levels with one row, two, ..., and with as many as its length or more.
        rows_then: at least one.
        unseen: rows of `rows_now` (at least one) with a level that the first sample never had.

    Returns:
        The statistic is minus the logarithm of the p-value.

    Source: Good, The population frequencies of species and the estimation of population parameters, 1953; Robbins,
    Estimating the total probability of the unobserved outcomes of an experiment, 1968; Esty, A normal limit law for a
    nonparametric estimator of the coverage of a random sample, 1983.
    """
    levels, ratio = np.asarray(seen, dtype=np.float64), rows_now / rows_then
    excess = unseen / ratio - levels[0]
    powers = np.geomspace(1e-6, 1, 500)  # up to one, so that more rows than `seen` tells apart can only count less
    slope = ratio * np.log1p(powers / ratio)
    series = np.polyval([*levels[::-1], 0.0], powers)
    bound = max(0.0, float((slope * excess - series - levels[0] * np.expm1(-slope)).max()))
    return bound, float(np.exp(-bound))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for the number of tests: the chance that any true hypothesis is rejected stays under the level.

    Source: Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(np.asarray(p_values, dtype=np.float64)[order] * factors))
    return [float(each) for each in adjusted]


def _pooled(table: np.ndarray) -> np.ndarray:
    """The table without empty cells, small ones pooled."""
    totals = table.sum(axis=0)
    order = [cell for cell in np.argsort(totals, kind="stable") if totals[cell]]
    smaller = table.sum(axis=1).min() / table.sum()
    starts, held = [0], 0.0
    for place, cell in enumerate(order):
        if held >= FEWEST_EXPECTED:
            starts.append(place)
            held = 0.0
        held += totals[cell] * smaller
    if held < FEWEST_EXPECTED and len(starts) > 1:
        starts.pop()
    return np.asarray(np.add.reduceat(table[:, order], starts, axis=1))


def _exact(then: int, rows_then: int, now: int, rows_now: int) -> float:
    from scipy.special import gammaln

    def ways(of: int, taken: np.ndarray) -> np.ndarray:
        return np.asarray(gammaln(of + 1) - gammaln(taken + 1) - gammaln(of - taken + 1))

    kind, rows = then + now, rows_then + rows_now
    if kind > rows - kind:  # the rarer kind, so that there are few terms
        then, now, kind = rows_then - then, rows_now - now, rows - kind
    possible = np.arange(max(0, kind - rows_then), min(kind, rows_now) + 1)
    chance = np.exp(ways(rows_now, possible) + ways(rows_then, kind - possible) - ways(rows, np.array(kind)))
    tails = chance[possible <= now].sum(), chance[possible >= now].sum()
    return float(min(1.0, 2 * min(tails)))
