"""Intervals by the bootstrap, and the paired comparison of two models on the same rows.

They hold the model fixed: what another seed or other training rows would change is not in them.
Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13 (percentile intervals); for shares of 0
and 1, which no resample leaves, Wilson, Probable Inference, 1927; and for orders of few rows or without a mistake, as
an AUC of A varies no more than A (1 - A) / n, n the rows of the rarer class (Birnbaum and Klose, Bounds for the
Variance of the Mann-Whitney Statistic, 1957).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..solution import Sums, Weighted
from .calibration import wilson
from .inputs import rows_as_telling
from .sums import Metric

__all__ = ["Estimate", "Resampling", "compare", "draws", "estimate", "point"]

_FEWEST_GROUPS = 20
_MOST_UNDEFINED = 0.05  # share of resamples
_ROUNDING = 1e-9
_CHUNK = 2**20  # weights at a time, 8 MB: with the metrics' own arrays it stays under 64 MB


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval.

    Args:
        value: NaN where the metric is undefined.
        low: None, like `high`, where no interval can be given.
    """

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, eq=False)
class Resampling:
    """Which rows, or whole groups of rows, are drawn again with replacement. The same seed draws the same.

    Args:
        rows: how many there are.
        groups: the patient, user or machine of every row, shape `(rows,)`; rows without one are a group together.
    """

    rows: int
    groups: np.ndarray | None = None
    resamples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.groups is not None and len(self.groups) != self.rows:
            raise ValueError(f"groups: expected one for each of {self.rows} rows, got {len(self.groups)}.")

    @cached_property
    def _group_codes(self) -> np.ndarray | None:
        if self.groups is None:
            return None
        import pandas as pd

        return pd.factorize(np.asarray(self.groups), use_na_sentinel=False)[0]

    @property
    def units(self) -> int:
        """How many rows, or groups where there are any, are drawn from."""
        codes = self._group_codes
        return self.rows if codes is None else int(codes.max(initial=-1)) + 1

    @property
    def printable(self) -> bool:
        """Whether there are enough units for an interval."""
        return self.units >= _FEWEST_GROUPS

    @property
    def protocol(self) -> str:
        """One sentence that says where the intervals come from."""
        over = f"{self.rows:,} rows" if self.groups is None else f"{self.units:,} groups ({self.rows:,} rows)"
        if not self.printable:
            return f"No interval: {over} are fewer than {_FEWEST_GROUPS}."
        how = f"95 % percentile bootstrap, {self.resamples:,} resamples over {over}, the model held fixed"
        return f"{how}; shares of 0 and 1, and orders of few rows or without a mistake, by Wilson."

    def telling(self, weight: np.ndarray) -> float:
        """How many units of equal weight tell as much as rows of these weights, shape `(rows,)`, do."""
        codes = self._group_codes
        return rows_as_telling(weight if codes is None else np.bincount(codes, weight))

    def weights(self) -> Iterator[np.ndarray]:
        """How often each row is drawn: float64 arrays `(some resamples, rows)`, together `(resamples, rows)`."""
        generator = np.random.default_rng(self.seed)
        units, codes = self.units, self._group_codes
        at_once = max(1, _CHUNK // max(self.rows, units, 1))
        for start in range(0, self.resamples, at_once):
            count = min(at_once, self.resamples - start)
            drawn = generator.integers(units, size=(count, units)) if units else np.zeros((count, 0), np.int64)
            drawn += units * np.arange(count)[:, None]
            times = np.bincount(drawn.ravel(), minlength=count * units).reshape(count, units).astype(np.float64)
            yield times if codes is None else times[:, codes]


def point(metric: Metric) -> float:
    """The value over all rows, each counted once; NaN if it is undefined."""
    if isinstance(metric, Sums):
        return float(metric.value(metric.rows.sum(axis=0, dtype=np.float64)))
    if isinstance(metric, Weighted):
        return float(metric.value(np.ones((1, metric.rows)))[0])
    return float(metric)


def draws(metric: Sums | Weighted, resampling: Resampling) -> np.ndarray:
    """The value in every resample, shape `(resamples,)`; NaN where it is undefined.

    Raises:
        ValueError: if the metric and the resampling are over different numbers of rows.
    """
    _check_rows({"metric": metric}, resampling)
    return _all_draws({"metric": metric}, resampling)["metric"]


def estimate(metrics: Mapping[str, Metric], resampling: Resampling) -> dict[str, Estimate]:
    """Every metric with its interval, all on the same resamples.

    A plain number has none, nor has a metric that is undefined as a whole or in more than 5 % of the resamples; under
    that, those are left out. Under 20 rows or groups there is no interval at all. All of them count for that, however
    few a share is of: it is wide then, and reaches to Wilson's bound where the share is 0 or 1. That of AUC and its
    like does so where it reaches the best value or a class has under 20 rows or groups.

    Raises:
        ValueError: if a metric and the resampling are over different numbers of rows.
    """
    resampled = {name: metric for name, metric in metrics.items() if isinstance(metric, Sums | Weighted)}
    _check_rows(resampled, resampling)
    values = _all_draws(resampled, resampling) if resampling.printable else {}
    found = {name: _interval(point(metric), values.get(name)) for name, metric in metrics.items()}
    return {name: _off_the_edges(metrics[name], each, resampling) for name, each in found.items()}


def compare(ours: Metric, theirs: Metric, resampling: Resampling) -> Estimate:
    """Ours minus theirs, with the interval of that difference on the same resamples of the same rows.

    Raises:
        ValueError: if one of them is over another number of rows.
    """
    difference = point(ours) - point(theirs)
    if not isinstance(ours, Sums | Weighted) or not isinstance(theirs, Sums | Weighted):
        return Estimate(difference)
    both = {"ours": ours, "theirs": theirs}
    _check_rows(both, resampling)
    if not resampling.printable:
        return Estimate(difference)
    values = _all_draws(both, resampling)
    return _interval(difference, values["ours"] - values["theirs"])


def _check_rows(metrics: Mapping[str, Sums | Weighted], resampling: Resampling) -> None:
    for name, metric in metrics.items():
        rows = len(metric.rows) if isinstance(metric, Sums) else metric.rows
        if rows != resampling.rows:
            raise ValueError(f"{name} is over {rows} rows, the resampling over {resampling.rows}: give both the same.")


def _all_draws(metrics: Mapping[str, Sums | Weighted], resampling: Resampling) -> dict[str, np.ndarray]:
    """The draws of several metrics in one pass over the weights."""
    values: dict[str, list[np.ndarray]] = {name: [] for name in metrics}
    for weights in resampling.weights() if metrics else ():
        for name, metric in metrics.items():
            counted = weights @ metric.rows if isinstance(metric, Sums) else weights
            values[name].append(metric.value(counted))
    return {name: np.concatenate(parts) for name, parts in values.items()}


def _interval(value: float, values: np.ndarray | None) -> Estimate:
    if values is None or np.isnan(value):
        return Estimate(value)
    defined = values[~np.isnan(values)]
    if len(defined) < (1 - _MOST_UNDEFINED) * len(values):
        return Estimate(value)
    low, high = np.quantile(defined, [0.025, 0.975])
    return Estimate(value, float(low), float(high))


def _off_the_edges(metric: Metric, found: Estimate, resampling: Resampling) -> Estimate:
    """Widen an interval by what a metric would be, were its shares of 0 or 1 at Wilson's bound: each, and all of them.

    12 of 12 are 12 of 12 in every resample; yet a share of 0.76 gives as many in one sample of 27.
    """
    if found.low is None or found.high is None:
        return found
    if isinstance(metric, Weighted):
        least, most = _of_orders(metric, found, resampling)
        return Estimate(found.value, min(found.low, least), max(found.high, most))
    if not isinstance(metric, Sums):
        return found
    sums = metric.rows.sum(axis=0, dtype=np.float64)
    bounds = {}
    for counted, of in metric.shares:
        if sums[of] > 0 and sums[counted] in (0, sums[of]):
            at_edge = sums[counted] / sums[of]
            low, high = wilson(at_edge, resampling.telling(metric.rows[:, of]))
            bounds[counted] = sums[of] * float(low if at_edge else high)
    moved = np.tile(sums, (len(bounds) + 1, 1))
    for place, (column, bound) in enumerate(bounds.items()):
        moved[[place, -1], column] = bound
    reached = metric.value(moved)
    reached = reached[~np.isnan(reached)]
    return Estimate(found.value, float(min([found.low, *reached])), float(max([found.high, *reached])))


def _of_orders(metric: Weighted, found: Estimate, resampling: Resampling) -> tuple[float, float]:
    """Wilson's interval of a share of the rarer class's rows or groups, where the bootstrap's can't be enough.

    Of a mean over several pairs of classes the standard error is at most the mean of theirs.
    """
    classes = [pair.T for pair in metric.orders if pair.any(axis=0).all()]
    rarer = np.array([min(resampling.telling(weight) for weight in pair) for pair in classes])
    telling = np.mean(rarer**-0.5) ** -2 if classes else np.inf
    at_best = found.high is not None and found.high >= 1 - _ROUNDING
    if np.isinf(telling) or not (at_best or telling < _FEWEST_GROUPS):
        return found.value, found.value
    size = 1 - metric.worst
    low, high = wilson((found.value - metric.worst) / size, telling)
    return float(metric.worst + size * low), float(metric.worst + size * high)
