"""The values that the network learns: what they are drawn to while it learns, and how sure they are afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import spsolve
from scipy.special import expit
from scipy.stats import t as student

from solvent.metrics.calibration import NORMAL_975

from .binning import first_in_order, sizes
from .design import Design
from .network import Additive, Pull, Rising
from .pairs import purified
from .settings import Credit

__all__ = ["centred", "held_back", "structure"]

REFERENCE_STEPS = 31  # a column of 32 ranges has the smoothness that the settings say
RANGE_SHRINKAGE = 0.05  # of a range's value, which its neighbours hold too, against a level's
PAIR_SHRINKAGE = 0.15
PAIR_STEPS = 0.75
OWN_SHARE = 0.75  # of what a column says alone, that its values are drawn to
NEWTON_STEPS = 10


def structure(
    settings: Credit, design: Design, smoothness: float, pairs: list[tuple[int, int]]
) -> tuple[dict[str, Any], Pull]:
    """Where the network's values lie, and what they are drawn to.

    A step between neighbouring ranges weighs as many times as the column has steps, so that a curve costs the same
    whether it is drawn with few bins or with many. Values are also drawn to most of what the column
    says alone.
    """
    own_sizes, groups, rows = sizes(design.bins), design.groups, len(design.bags.learnt)
    first = first_in_order(design.bins)
    starts = np.cumsum([0, *own_sizes])
    ordered = [start + np.arange(low, size) for start, low, size in zip(starts, first, own_sizes, strict=False)]
    steps = Steps()
    for places in ordered:
        steps.add(places, 1.0)
    end = int(starts[-1])
    for i, j in pairs:
        shape = groups[i].max() + 1, groups[j].max() + 1
        cells = end + np.arange(shape[0] * shape[1]).reshape(shape)
        end += cells.size
        for column, along in ((i, cells), (j, cells.T)):
            steps.add(along[np.unique(groups[column][first[column] :])], PAIR_STEPS)
    begin = np.zeros((end, design.bags.seen.shape[1]))
    shrinkage = np.full(end, PAIR_SHRINKAGE * settings.shrinkage)
    for column, size in enumerate(own_sizes):
        place = slice(starts[column], starts[column] + size)
        shrinkage[place] = settings.shrinkage * np.where(np.arange(size) < first[column], 1.0, RANGE_SHRINKAGE)
        begin[place] = OWN_SHARE * _alone(design, column, size, first[column], smoothness)
    rising, falling = ([ordered[c] for c, trend in design.trends.items() if trend == sign] for sign in (1, -1))
    if rising or falling:
        begin = np.asarray(Rising(rising, falling)(begin))
    share = np.average(design.defaulted, weights=design.weight)
    layout = {"sizes": own_sizes, "groups": [group.tolist() for group in groups], "pairs": [list(p) for p in pairs]}
    lower, upper, weight = steps.joined()
    return {**layout, "models": begin.shape[1]}, Pull(
        steps=(lower, upper, smoothness * weight / (2 * rows)),
        shrinkage=shrinkage / (2 * rows),
        begin=begin,
        bias=float(np.log(share / (1 - share))),
        rising=rising,
        falling=falling,
    )


class Steps:
    """Places of neighbouring values, and what each step between them weighs."""

    def __init__(self) -> None:
        self.parts = [(np.array([], np.int64), np.array([], np.int64), np.array([]))]

    def add(self, places: np.ndarray, weight: float) -> None:
        """Neighbours along the first axis of `places`."""
        lower, upper = places[:-1].ravel(), places[1:].ravel()
        weighs = np.full(len(lower), weight * (len(places) - 1) / REFERENCE_STEPS)
        self.parts.append((lower, upper, weighs))

    def joined(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        lower, upper, weight = (np.concatenate(each) for each in zip(*self.parts, strict=True))
        return lower, upper, weight


def _alone(design: Design, column: int, size: int, first: int, smoothness: float) -> np.ndarray:
    """What one column says of the log odds of default if it is the only one, for each model by its own rows.

    Returns:
        shape `(bins, models)`, relative to the log odds of all rows.
    """
    rows, bins = design.in_bag, design.numbers[design.bags.learnt, column]
    defaulted = design.defaulted[design.bags.learnt]
    models = rows.shape[1]
    loans = np.stack([np.bincount(bins, rows[:, model], size) for model in range(models)])
    bad = np.stack([np.bincount(bins, rows[:, model] * defaulted, size) for model in range(models)])
    rate = (bad.sum(1) / loans.sum(1))[:, None]
    base = np.log(rate / (1 - rate))
    difference = np.diff(np.eye(size - first), axis=0)  # only ranges have neighbours
    penalty = np.eye(size - first) + smoothness * len(difference) / REFERENCE_STEPS * difference.T @ difference
    values = np.zeros((models, size))
    for _ in range(NEWTON_STEPS):
        chance = expit(base + values)
        slope, curvature = loans * chance - bad, loans * chance * (1 - chance)
        values[:, :first] -= ((slope + values) / (curvature + 1))[:, :first]
        towards = slope[:, first:] + values[:, first:] @ penalty
        both = penalty + curvature[:, first:, None] * np.eye(size - first)
        values[:, first:] -= np.linalg.solve(both, towards[..., None])[..., 0]
    return values.T


@dataclass(frozen=True)
class Shape:
    """A term's average values in log odds of default, with mean 0 over the training loans.

    Args:
        error: how far off they are: standard error and what holds them back, squared and added. All but `columns` and
            `groups` have one shape.
    """

    columns: tuple[int, ...]
    groups: tuple[np.ndarray, ...]
    values: np.ndarray
    error: np.ndarray
    loans: np.ndarray
    defaulted: np.ndarray


def centred(
    design: Design, values: np.ndarray, held: np.ndarray, pairs: list[tuple[int, int]], folds: int
) -> tuple[float, list[Shape]]:
    """Average the models, and move into the start what a term gives all loans alike.

    Args:
        values: of the network, shape `(values, models)`.
        held: how far values are held back, shape `(values,)`.

    Returns:
        What the start has to take over, and a shape for each term.
    """
    own = [(column,) for column in range(len(design.bins))]
    columns = [*own, *map(tuple, pairs)]
    groups = [(np.arange(size),) for size in sizes(design.bins)]
    groups += [tuple(design.groups[column] for column in pair) for pair in pairs]
    shapes = [tuple(int(group.max()) + 1 for group in axes) for axes in groups]
    loans, bad = (
        [_count(design, counted, *term) for term in zip(columns, groups, shapes, strict=True)]
        for counted in (design.counts, design.counts * design.defaulted)
    )
    ends = np.cumsum([np.prod(shape) for shape in shapes])[:-1]
    parts = np.split(np.column_stack([values, held]), ends)
    learnt = [part.reshape(*shape, -1) for part, shape in zip(parts, shapes, strict=True)]
    alone, together = purified(learnt[: len(own)], learnt[len(own) :], pairs, design.groups, loans[len(own) :])
    start, found = 0.0, []
    for term, each in enumerate([*alone, *together]):
        mean = np.tensordot(loans[term], each, loans[term].ndim) / loans[term].sum()
        each, back = np.split(each - mean, [-1], axis=-1)
        start += float(mean[:-1].mean())
        error = np.hypot(_error(each, folds), back[..., 0])
        found.append(Shape(columns[term], groups[term], each.mean(-1), error, loans[term], bad[term]))
    return start, found


def held_back(layer: Additive, design: Design, log_odds: np.ndarray) -> np.ndarray:
    """How far neighbours and shrinkage hold each value from what the loans say, shape `(values,)`.

    To first order: one step of Newton's method, each term by itself, that goes as far as the penalty lets it. Leaving
    out folds does not show it, since all models are held alike: little for a column, much for a strong pair's cells.

    Args:
        log_odds: of all rows, by the average network.
    """
    chance, rows = expit(log_odds), len(design.bags.learnt)
    places = np.asarray(layer.places(design.numbers)).T
    left_over, information = (
        sum(np.bincount(term, counted, layer.total) for term in places)
        for counted in (design.weight * (design.defaulted - chance), design.weight * chance * (1 - chance))
    )
    lower, upper, stiffness = layer.pull.steps
    step, one = np.arange(len(lower)), np.ones(len(lower))
    along = np.concatenate([upper, lower])
    steps = csr_array((np.concatenate([one, -one]), (np.tile(step, 2), along)), (len(step), layer.total))
    held = diags_array(information + 2 * rows * layer.pull.shrinkage)
    return spsolve((held + steps.T @ diags_array(2 * rows * stiffness) @ steps).tocsc(), left_over)


def _count(
    design: Design, counted: np.ndarray, columns: Sequence[int], groups: Sequence[np.ndarray], shape: tuple[int, ...]
) -> np.ndarray:
    """What the rows count in each place of a term."""
    placed = [group[design.numbers[:, column]] for column, group in zip(columns, groups, strict=True)]
    return np.bincount(np.ravel_multi_index(placed, shape), counted, np.prod(shape)).reshape(shape)


def _error(values: np.ndarray, folds: int) -> np.ndarray:
    """The standard error of the models' mean, by what leaving out each fold changes, made larger for few folds.

    1.96 of it are the 95 % interval of t with `folds - 1` degrees of freedom.

    Args:
        values: of models that each leave out one fold, dealt out several times: the last axis is `repeats x folds`.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 11 (the jackknife), over groups.
    """
    dealt = values.reshape(*values.shape[:-1], -1, folds)
    apart = dealt - dealt.mean(-1, keepdims=True)
    error = np.sqrt(((folds - 1) / folds * (apart**2).sum(-1)).mean(-1))
    return error * student.ppf(0.975, folds - 1) / NORMAL_975
