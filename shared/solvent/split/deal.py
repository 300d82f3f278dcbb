"""Deal units of rows out to parts, so that parts get their fractions of the table and of every stratum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["deal", "in_order", "quotas"]


def deal(
    units: NDArray[np.int64],
    strata: NDArray[np.int64],
    fractions: Sequence[float],
    rng: np.random.Generator,
    *,
    learn: bool = False,
) -> NDArray[np.int64]:
    """Deal units out so that each stratum, and so the table, has its fractions as nearly as units allow.

    Units of several rows go first, the largest before the others, each to a part drawn in proportion to the room
    that is left for it there; so large units are no likelier in training than their fraction. Single rows fill up.

    Args:
        learn: the first part must have a row of every stratum, as training must of every class.

    Returns:
        shape `(rows,)`: the number of each row's part.
    """
    parts = len(fractions)
    counts = np.bincount(strata)
    wanted = quotas(counts.tolist(), fractions, learn=learn)
    sizes = np.bincount(units)
    single = sizes[units] == 1
    if single.all():
        return in_order(np.lexsort((rng.random(len(units)), strata)), wanted)
    pairs, rows = np.unique(units[~single] * len(counts) + strata[~single], return_counts=True)
    makeup: dict[int, list[tuple[int, int]]] = {}
    for pair, count in zip(pairs.tolist(), rows.tolist(), strict=True):
        makeup.setdefault(pair // len(counts), []).append((pair % len(counts), count))
    large = np.array(list(makeup))
    left = np.bincount(strata[single], minlength=len(counts))
    best, least = np.zeros(len(units), dtype=np.int64), (parts + 1, np.inf)
    for _ in range(max(1, min(100, 20_000 // len(large), 2_000_000 // len(units)))):
        order = large[np.lexsort((rng.random(len(large)), -sizes[large]))].tolist()
        room = wanted.tolist()
        home = np.zeros(len(sizes), dtype=np.int64)
        for unit, chance in zip(order, rng.random(len(order)).tolist(), strict=True):
            home[unit] = chosen = _draw(room, makeup[unit], counts, chance)
            for stratum, count in makeup[unit]:
                room[stratum][chosen] -= count
        part = home[units]
        fill = np.array([_share(free, rest) for free, rest in zip(room, left.tolist(), strict=True)])
        singles = np.flatnonzero(single)
        part[singles] = in_order(np.lexsort((rng.random(len(singles)), strata[singles])), fill)
        got = np.bincount(strata * parts + part, minlength=wanted.size).reshape(wanted.shape)
        total = got.sum(axis=0)
        far = (((total - wanted.sum(axis=0)) / len(units)) ** 2).sum()
        far += (((got - wanted) / counts[:, None]) ** 2).sum(axis=1).mean()
        miss = (int((total == 0).sum()), float(far))
        if miss < least:
            best, least = part, miss
        if least < (0, 1e-6):
            break
    return best


def _draw(room: list[list[int]], makeup: list[tuple[int, int]], counts: NDArray[np.int64], chance: float) -> int:
    parts = range(len(room[0]))
    fits = [part for part in parts if all(room[stratum][part] >= count for stratum, count in makeup)]
    if not fits:
        excess = [
            sum(max(0, count - room[stratum][part]) / counts[stratum] for stratum, count in makeup) for part in parts
        ]
        return min(parts, key=excess.__getitem__)
    weights = [sum(room[stratum][part] / counts[stratum] for stratum, _ in makeup) for part in fits]
    reach = chance * sum(weights)
    for part, weight in zip(fits, weights, strict=True):
        reach -= weight
        if reach < 0:
            return part
    return fits[-1]


def quotas(counts: Sequence[int], fractions: Sequence[float], *, learn: bool = False) -> NDArray[np.int64]:
    """Rows of each stratum for each part, shape `(strata, parts)`.

    What rounding takes from a part in one stratum it gives back in the next, so the whole table has its fractions too.
    Rare strata come first, and every part has a row of each where that distorts nothing.
    """
    parts = range(len(fractions))
    found = np.zeros((len(counts), len(fractions)), dtype=np.int64)
    owed = [0.0 for _ in parts]
    for stratum in np.argsort(counts, kind="stable").tolist():
        rows = counts[stratum]
        ideal = [rows * fractions[part] + owed[part] for part in parts]
        given = [int(rows * fraction) for fraction in fractions]
        while sum(given) < rows:
            given[max(parts, key=lambda part: ideal[part] - given[part])] += 1
        wanting = parts if rows >= len(parts) and all(abs(debt) < 1 for debt in owed) else parts[: int(learn)]
        for part in wanting:
            if given[part] == 0 and sum(given) > 0:
                given[max(parts, key=given.__getitem__)] -= 1
                given[part] += 1
        owed = [ideal[part] - given[part] for part in parts]
        found[stratum] = given
    return found


def _share(room: Sequence[int], rows: int) -> list[int]:
    """Share rows out in proportion to the room that is left, which others may have overdrawn."""
    free = [max(0, item) for item in room]
    if sum(free) == rows:
        return free
    exact = [rows * item / sum(free) for item in free]
    given = [int(item) for item in exact]
    while sum(given) < rows:
        given[max(range(len(free)), key=lambda part: exact[part] - given[part])] += 1
    return given


def in_order(order: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give rows that are sorted by stratum to the parts, part after part.

    Args:
        order: the rows' numbers, sorted by stratum.
        rows: how many of each stratum each part gets, shape `(strata, parts)`.
    """
    strata, parts = rows.shape
    found = np.zeros(len(order), dtype=np.int64)
    found[order] = np.repeat(np.tile(np.arange(parts), strata), rows.ravel())
    return found
