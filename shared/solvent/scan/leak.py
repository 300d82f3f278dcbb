"""Columns that alone decide the target: copies of it, recodings of it, what is known only afterwards.

A column is held against the target in three ways, from the most exact to the most general:

- *levels*: does each of its values that occurs more than once go with one target? Each row is told from the others with
  its value, so a value that occurs once tells nothing;
- *order*: do its numbers, sorted, put the classes one after another, or the target's numbers in order?
- *tree*: does a shallow tree of scikit-learn tell the rows that it was not fitted on?

A strong feature makes errors. So the bar is 1 error in 10,000 rows (and in 100 rows outside the commonest class), or R2
0.9999 on ranks, which neither an outlier nor a skewed target can lift. A small table may be told without error by
luck: a column counts only if far fewer targets can be told so than there are arrangements of the target's values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaln

from ..schema import Field, Schema
from ..split.together import keys

__all__ = ["Leak", "leaks"]

ERRORS = 1e-4  # of all rows
MINORITY_ERRORS = 1e-2  # of the rows outside the commonest class
SEEN = 0.8  # of the rows must have a value that other rows have too
FILLED = 0.2  # of the rows must have a cell at all
LEVELS_EVIDENCE, ORDER_EVIDENCE = 25.0, 40.0  # in nats; more for numbers, as a good feature may sort a small table
MOST_ROWS, PROBE_ROWS = 50_000, 2_000

Codes = NDArray[np.int64]
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Leak:
    """A column from which the target can be told.

    Args:
        rows: training rows that were compared.
        filled: not its values decide, but whether there is one.
    """

    column: Field
    target: Field
    rows: int
    filled: bool


def leaks(train: pd.DataFrame, schema: Schema) -> Iterator[Leak]:
    """Find the features that alone decide a target, in the training rows.

    Args:
        train: typed rows; of more than 50,000, as many are drawn by a fixed seed.
    """
    if len(train) > MOST_ROWS:
        train = train.iloc[np.sort(np.random.default_rng(0).choice(len(train), MOST_ROWS, replace=False))]
    features = [item for item in schema.features if item.kind in ("number", "category", "time") and item.name in train]
    for target in schema.targets:
        if target.name not in train or target.kind not in ("number", "category"):
            continue
        rows = train[train[target.name].notna()]
        truth = _Truth.of(rows[target.name], number=target.kind == "number", columns=len(features))
        for feature in features:
            has = rows[feature.name].notna().to_numpy()
            if has.mean() >= FILLED and _decides(rows[feature.name][has], feature, truth.of_rows(has)):
                yield Leak(feature, target, int(has.sum()), filled=False)
            elif not has.all() and _by_levels(has.astype(np.int64), truth):
                yield Leak(feature, target, len(rows), filled=True)


@dataclass(frozen=True)
class _Truth:
    """The target of some rows: codes of its values, their ranks in 0..1 where it is a number.

    Args:
        luck: nats that many columns add to the evidence that one of them needs.
    """

    codes: Codes
    ranks: Numbers | None
    luck: float

    @classmethod
    def of(cls, cells: pd.Series[Any], *, number: bool, columns: int) -> _Truth:
        if not number:
            return cls(_compact(pd.factorize(keys(cells))[0]), None, float(np.log(max(columns, 1))))
        return cls(_compact(pd.factorize(cells)[0]), _ranks(cells.to_numpy()), float(np.log(max(columns, 1))))

    def of_rows(self, rows: NDArray[Any]) -> _Truth:
        return _Truth(_compact(self.codes[rows]), None if self.ranks is None else self.ranks[rows], self.luck)

    @property
    def values(self) -> int:
        return int(self.codes.max(initial=-1)) + 1

    def evident(self, description: float, needed: float) -> bool:
        """Whether luck explains too little: of all arrangements of the targets, few can be described so shortly."""
        counts = np.bincount(self.codes)
        arrangements = float(gammaln(len(self.codes) + 1) - gammaln(counts + 1).sum())
        return arrangements - description >= needed + self.luck

    def told(self, right: NDArray[np.bool_]) -> bool:
        """Whether so few rows are told wrong that the column decides."""
        wrong = int((~right).sum())
        minority = len(self.codes) - int(np.bincount(self.codes).max(initial=0))
        return wrong <= ERRORS * len(self.codes) and wrong <= MINORITY_ERRORS * minority


def _compact(codes: NDArray[Any]) -> Codes:
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def _ranks(values: NDArray[Any]) -> Numbers:
    return np.asarray(pd.Series(values).rank(pct=True), dtype=np.float64)


def _fit(truth: Numbers, told: Numbers) -> bool:
    spread = float(((truth - truth.mean()) ** 2).sum())
    return spread > 0 and float(((truth - told) ** 2).sum()) <= ERRORS * spread


def _decides(cells: pd.Series[Any], feature: Field, truth: _Truth) -> bool:
    if truth.values < 2:
        return False
    if feature.kind == "category":
        return _by_levels(_compact(pd.factorize(keys(cells))[0]), truth)
    values = np.asarray(cells.astype("int64") if feature.kind == "time" else cells, dtype=np.float64)
    if _by_levels(_compact(values), truth):
        return True
    if truth.ranks is None:
        return _by_order(values, truth) or _by_tree(values, truth)
    return _by_rank(values, truth) or _by_tree(values, truth)


def _by_levels(levels: Codes, truth: _Truth) -> bool:
    """Whether the other rows with the same value tell each row's target."""
    sizes = np.bincount(levels)
    seen = sizes[levels] > 1
    if (sizes > 1).sum() < 2 or seen.mean() < SEEN:
        return False
    levels, truth = _compact(levels[seen]), truth.of_rows(seen)
    sizes = np.bincount(levels)
    if truth.values < 2 or not truth.evident(len(sizes) * np.log(truth.values), LEVELS_EVIDENCE):
        return False
    if truth.ranks is not None:
        others = (np.bincount(levels, truth.ranks)[levels] - truth.ranks) / (sizes[levels] - 1)
        return _fit(truth.ranks, others)
    pairs, counts = np.unique(levels * truth.values + truth.codes, return_counts=True)
    by_count = np.lexsort((-counts, pairs // truth.values))
    level, first = np.unique((pairs // truth.values)[by_count], return_index=True)
    most = counts[by_count][first]
    second = np.zeros(len(level), dtype=np.int64)
    several = first + 1 < np.append(first[1:], len(pairs))
    second[several] = counts[by_count][first[several] + 1]
    top = (pairs % truth.values)[by_count][first]
    return truth.told((truth.codes == top[levels]) & (most - 1 > second)[levels])


def _by_order(values: Numbers, truth: _Truth) -> bool:
    """Whether the numbers, sorted, put one class after another."""
    rows, classes = len(values), truth.values
    description = gammaln(classes + 1) + gammaln(rows + 1) - gammaln(classes) - gammaln(rows - classes + 2)
    order = np.lexsort((truth.codes, values))
    changes = np.diff(truth.codes[order]) != 0
    if changes.sum() != classes - 1 or (changes & (np.diff(values[order]) == 0)).any():
        return False
    return truth.evident(float(description), ORDER_EVIDENCE)


def _by_rank(values: Numbers, truth: _Truth) -> bool:
    """Whether the numbers put the target's numbers in order: shifted, scaled, or bent."""
    assert truth.ranks is not None
    ranks, target = _ranks(values), _ranks(truth.ranks)
    if not truth.evident(np.log(2), ORDER_EVIDENCE) or ranks.std() == 0:
        return False
    return bool(np.corrcoef(ranks, target)[0, 1] ** 2 >= 1 - ERRORS)


def _by_tree(values: Numbers, truth: _Truth) -> bool:
    """Whether a shallow tree tells the rows of each of three folds from the two others."""
    from sklearn.model_selection import KFold
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    tree: Any
    target: NDArray[Any]
    if truth.ranks is None:
        leaves = max(8, 2 * truth.values)
        if truth.values > 50 or not truth.evident(_partitions(len(values), leaves, truth.values), LEVELS_EVIDENCE):
            return False
        tree, target = DecisionTreeClassifier(max_leaf_nodes=leaves, random_state=0), truth.codes
    else:
        if len(values) < PROBE_ROWS:  # fewer have gaps between them that no tree can bridge to 0.9999
            return False
        tree, target = DecisionTreeRegressor(max_depth=8, random_state=0), truth.ranks
    probe = np.linspace(0, len(values) - 1, min(len(values), PROBE_ROWS)).astype(np.int64)
    if tree.fit(values[probe, None], target[probe]).score(values[probe, None], target[probe]) < 0.99:
        return False
    told: NDArray[Any] = np.empty_like(target)
    for fit, held_out in KFold(3, shuffle=True, random_state=0).split(values):
        told[held_out] = tree.fit(values[fit, None], target[fit]).predict(values[held_out, None])
    return truth.told(np.asarray(told == target)) if truth.ranks is None else _fit(truth.ranks, told)


def _partitions(rows: int, leaves: int, classes: int) -> float:
    """The logarithm of how many ways a tree with so many leaves can tell so many rows."""
    leaves = min(leaves, rows)
    ways = gammaln(rows + 1) - gammaln(leaves) - gammaln(rows - leaves + 2)
    return float(ways + leaves * np.log(classes))
