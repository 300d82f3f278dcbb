"""Pairs of columns that act together: which they are, and the coarse axes that they are drawn on."""

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["axes", "purified", "strongest"]

PLACES = 8  # on the axis of a pair
PRIOR = 20.0  # what a cell of a pair must outweigh, in loans of an even chance
DRAWS = 20  # of residuals dealt out at random: what no pair exceeds in any of them, chance exceeds once in twenty times
ROUNDS, PURE = 2000, 1e-13  # of purifying at most; it is done once a round changes less


def axes(bins: Sequence[dict[str, Any]], loans: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Bin number -> place on a pair's axis, for each column: neighbouring ranges of a number share a place.

    Args:
        loans: training loans in each bin, one array a column.
    """
    found = []
    for bin_, counts in zip(bins, loans, strict=True):
        size = len(counts)
        apart = size if "levels" in bin_ else 2 + len(bin_["codes"])  # missing, unseen, codes and levels stay apart
        below = np.cumsum(counts[apart:]) - counts[apart:] / 2
        shared = (below / max(counts[apart:].sum(), 1e-12) * PLACES).astype(np.int64).clip(0, PLACES - 1)
        if size - apart <= PLACES:
            shared = np.arange(size - apart)
        found.append(np.concatenate([np.arange(apart), apart + np.unique(shared, return_inverse=True)[1]]))
    return found


def strongest(
    numbers: np.ndarray,
    groups: Sequence[np.ndarray],
    residual: np.ndarray,
    curvature: np.ndarray,
    columns: Sequence[int],
    most: int,
    seed: int,
) -> list[tuple[int, int]]:
    """The pairs that explain most of what the columns alone leave over, beyond chance, strongest first.

    Args:
        numbers: bin numbers, shape `(rows, columns)`.
        groups: the axes.
        residual: default less its probability by models that have not seen the loan, times the loan's weight.
        curvature: p (1 - p) times the weight, shape `(rows,)`.
        columns: places of the columns that may be in a pair.
        most: how many are given at most. Chance is what pairs show once residuals are dealt out at random; a pair must
            exceed its own mean strength by more than any pair then does.

    Source: Lou, Caruana, Gehrke and Hooker, Accurate Intelligible Models with Pairwise Interactions, 2013.
    """
    placed = {column: groups[column][numbers[:, column]] for column in columns}
    couples = [(i, j) for at, i in enumerate(columns) for j in columns[at + 1 :]]
    if not couples or not most:
        return []

    random = np.random.default_rng(seed)
    orders = [random.permutation(len(residual)) for _ in range(DRAWS)]
    draws = [(residual, curvature), *((residual[order], curvature[order]) for order in orders)]
    real, *chance = np.array([_strengths(placed[i], placed[j], draws) for i, j in couples]).T
    chance = np.array(chance)
    excess, largest = real - chance.mean(0), (chance - chance.mean(0)).max()
    return [couples[at] for at in np.argsort(-excess, kind="stable") if excess[at] > largest][:most]


def _strengths(first: np.ndarray, second: np.ndarray, draws: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[float]:
    """About twice the gain in log likelihood of a pair's cells over the columns' own values, for each draw.

    Args:
        first, second: places of the rows on the pair's axes.
        draws: residuals and curvatures of the rows.
    """
    shape = first.max() + 1, second.max() + 1
    cells, size, found = first * shape[1] + second, shape[0] * shape[1], []
    for residual, curvature in draws:
        pull = np.bincount(cells, residual, size).reshape(shape)
        weight = np.bincount(cells, curvature, size).reshape(shape) + 1e-12
        for _ in range(3):  # what one column alone could take over
            pull = pull - weight * (pull.sum(1) / weight.sum(1))[:, None]
            pull = pull - weight * (pull.sum(0) / weight.sum(0))
        found.append(float((pull**2 / (weight + PRIOR / 4)).sum()))
    return found


def purified(
    own: list[np.ndarray],
    pairs: list[np.ndarray],
    couples: Sequence[tuple[int, int]],
    groups: Sequence[np.ndarray],
    loans: Sequence[np.ndarray],
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Move what a pair says of one column alone into that column's own values: every sum stays as it is.

    Args:
        own: values of each column's bins, shape `(bins, models)`.
        pairs: values of each pair's cells, shape `(places, places, models)`.
        loans: training loans in each pair's cells, shape `(places, places)`.

    Source: Lengerich, Tan, Chang, Hooker and Caruana, Purifying Interaction Effects with the Functional ANOVA, 2020.
    """
    own, pairs = [each.copy() for each in own], [each.copy() for each in pairs]
    for (i, j), values, weight in zip(couples, pairs, loans, strict=True):
        for _ in range(ROUNDS):
            before = values.copy()
            for axis, column in ((1, i), (0, j)):
                total = weight.sum(axis)
                mean = (weight[..., None] * values).sum(axis) / np.where(total > 0, total, 1)[:, None]
                values -= np.expand_dims(mean, axis)
                own[column] += mean[groups[column]]
            if np.abs(values - before).max(initial=0) < PURE:
                break
    return own, pairs
