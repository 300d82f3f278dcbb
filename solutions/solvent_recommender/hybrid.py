"""The hybrid: a weighted sum of its parts' scores; weights differ by how much is known of a user and of an item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .catalogue import Catalogue
from .interactions import Histories
from .part import Part
from .topk import best

__all__ = ["alone", "bucket", "combined", "learn", "standard"]

EDGES = (1, 5, 20, 100)  # liked items from which on more is known of a user
FEWEST = 50  # users who choose weights of their own for their bucket
CANDIDATES = 100  # of each part for each user
STEPS = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0)
PASSES = 4
MOST_USERS = 5_000
AT_ONCE = 256
TIE = 1e-4


def alone(part: str) -> dict[str, Any]:
    """The weights of one model: popularity parts its equal scores, and is all there is for users without a history."""
    if part == "popularity":
        return {"parts": [part], "weights": [[1.0]] * (len(EDGES) + 1)}
    rows = [[1.0, TIE]] * (len(EDGES) + 1)
    return {"parts": [part, "popularity"], "weights": rows, "new": [[0.0, 1.0]] * len(rows)}


def bucket(histories: Histories) -> np.ndarray:
    """How much is known of each user, from 0 (nothing), shape `(users,)`."""
    return np.searchsorted(EDGES, histories.counts(), side="right")


def standard(scores: np.ndarray) -> np.ndarray:
    """Each user's scores less their mean, over their deviation; 0 where all are equal, NaN stays."""
    there = ~np.isnan(scores)
    filled = np.where(there, scores, 0).astype(np.float64)
    count = np.maximum(there.sum(axis=1), 1)
    mean = filled.sum(axis=1) / count
    centred = np.where(there, filled - mean[:, None], 0)
    deviation = np.sqrt((centred**2).sum(axis=1) / count)
    usable = deviation > 1e-9 * (1 + np.abs(mean))
    scaled = centred / np.where(usable, deviation, 1)[:, None] * usable[:, None]
    return np.where(there, scaled, np.nan).astype(np.float32)


def combined(
    facts: Mapping[str, Any], standards: Mapping[str, np.ndarray], buckets: np.ndarray, known: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The hybrid's scores, and what each part brought to them.

    An item that no part but the content knows counts as much as known items of such content do.

    Args:
        facts: what `learn` found.
        standards: what `standard` gives of each part's scores.
        buckets: of the users.
        known: items that were learnt from.

    Returns:
        shape `(users, items)`, -inf where no part knows an item; each part's share by its name.
    """
    weights = np.asarray(facts["weights"], np.float32)[buckets]
    brought = {
        name: weights[:, [place]] * np.nan_to_num(standards[name]) for place, name in enumerate(facts["parts"])
    }
    total = np.sum(list(brought.values()), axis=0)
    total[:, known:] = -np.inf
    if "content" in standards and "new" in facts:
        offset, slope = np.asarray(facts["new"], np.float32)[buckets].T[:, :, None]
        new = standards["content"][:, known:]
        total[:, known:] = np.where(np.isnan(new), -np.inf, offset + slope * np.nan_to_num(new))
        brought["content"][:, known:] = np.nan_to_num(new)
    return total, brought


@dataclass(frozen=True)
class Trial:
    """Candidates of users who choose.

    Args:
        scores: standard scores of each part, shape `(users, candidates, parts)`; 0 where a part doesn't know an item.
        relevant: shape `(users, candidates)`; none where a place is empty.
        filled: which places hold a candidate.
        count: relevant items of each user, candidates or not.
    """

    scores: np.ndarray
    relevant: np.ndarray
    filled: np.ndarray
    count: np.ndarray

    def of(self, rows: np.ndarray) -> Trial:
        return Trial(self.scores[rows], self.relevant[rows], self.filled[rows], self.count[rows])

    def ndcg(self, weights: np.ndarray, at: int) -> float:
        """The mean over the users, for one weight a part."""
        scores = np.where(self.filled, self.scores @ weights, -np.inf)
        places = best(scores, at)
        hit = np.take_along_axis(self.relevant, np.maximum(places, 0), axis=1) & (places >= 0)
        gains = 1 / np.log2(np.arange(2, places.shape[1] + 2))
        ideal = np.cumsum(1 / np.log2(np.arange(2, at + 2)))
        return float(np.mean(hit @ gains / ideal[np.minimum(self.count, at) - 1]))


def learn(
    parts: Mapping[str, Part],
    histories: Histories,
    relevant: Sequence[np.ndarray],
    missed: np.ndarray,
    catalogue: Catalogue,
    at: int,
    seed: int,
) -> dict[str, Any]:
    """Choose the weights by NDCG on validation cases: one part after the other, for all users, then from there for
    each bucket of at least 50.

    Args:
        histories: of the cases' users, as training rows have them.
        relevant: places of what each case should be given.
        missed: relevant items of each case that the catalogue doesn't have.
        at: the length of the lists.

    Returns:
        `parts`, `edges`, `weights` (buckets, parts), `users` of each bucket, `ndcg` of each part alone and of the sum;
        with content also `new`: what a new item counts, by bucket, as [offset, slope] of its content's score.
    """
    chosen = np.arange(len(histories))
    if len(chosen) > MOST_USERS:
        chosen = np.sort(np.random.default_rng(seed).choice(len(histories), MOST_USERS, replace=False))
    asked = histories.take(chosen)
    names = list(parts)
    trial, lines = _trial(parts, asked, [relevant[at] for at in chosen], missed[chosen], catalogue)
    alone = {name: trial.ndcg(np.eye(len(names))[place], at) for place, name in enumerate(names)}
    start = np.eye(len(names))[int(np.argmax(list(alone.values())))]
    overall = _ascend(trial, start, at)
    buckets = bucket(asked)
    users = np.bincount(buckets, minlength=len(EDGES) + 1)
    weights = [
        _ascend(trial.of(buckets == number), overall, at) if count >= FEWEST else overall
        for number, count in enumerate(users)
    ]
    weights = [row / row.sum() for row in weights]
    found: dict[str, Any] = {
        "parts": names,
        "edges": list(EDGES),
        "weights": [[round(float(value), 4) for value in row] for row in weights],
        "users": users.tolist(),
        "ndcg": {**alone, "sum": trial.ndcg(overall, at)},
        "at": at,
    }
    if "content" in names:
        found["new"] = _new(lines, np.array(weights), buckets)
    return found


def _ascend(trial: Trial, start: np.ndarray, at: int) -> np.ndarray:
    """Change one weight after the other as long as the NDCG grows; the scale of all is that of the start."""
    weights, reached = start.astype(np.float64), trial.ndcg(start, at)
    for _ in range(PASSES):
        before = reached
        for place in range(len(weights)):
            for step in STEPS:
                tried = weights.copy()
                tried[place] = step
                if tried.any() and (value := trial.ndcg(tried, at)) > reached + 1e-6:
                    weights, reached = tried, value
        if reached <= before:
            break
    return weights


def _trial(
    parts: Mapping[str, Part],
    histories: Histories,
    relevant: Sequence[np.ndarray],
    missed: np.ndarray,
    catalogue: Catalogue,
) -> tuple[Trial, np.ndarray]:
    """Each user's candidates; and sums for lines from the content's score to every part's, shape `(users, parts, 5)`."""
    width = CANDIDATES * len(parts)
    count = np.array([len(items) for items in relevant]) + missed
    scores = np.zeros((len(histories), width, len(parts)), np.float32)
    filled = np.zeros((len(histories), width), dtype=bool)
    hit = np.zeros((len(histories), width), dtype=bool)
    lines = np.zeros((len(histories), len(parts), 5))
    names = list(parts)
    for begin in range(0, len(histories), AT_ONCE):
        rows = np.arange(begin, min(begin + AT_ONCE, len(histories)))
        asked = histories.take(rows)
        seen = asked.matrix(len(catalogue), liked=False).toarray() > 0
        standards = [standard(part.scores(asked)) for part in parts.values()]
        usable = ~seen & catalogue.offered[None, :]
        tops = [best(np.where(usable & ~np.isnan(found), found, -np.inf), CANDIDATES) for found in standards]
        for row in range(len(rows)):
            places = np.unique(np.concatenate([top[row] for top in tops]))
            places = places[places >= 0]
            target = rows[row]
            filled[target, : len(places)] = True
            hit[target, : len(places)] = np.isin(places, relevant[target])
            for number, found in enumerate(standards):
                scores[target, : len(places), number] = np.nan_to_num(found[row, places])
        if "content" in names:
            x = standards[names.index("content")]
            for number, found in enumerate(standards):
                both = usable & ~np.isnan(x) & ~np.isnan(found)
                a, b = np.where(both, x, 0).astype(np.float64), np.where(both, found, 0).astype(np.float64)
                lines[rows, number] = np.stack(
                    [both.sum(axis=1), a.sum(axis=1), b.sum(axis=1), (a * a).sum(axis=1), (a * b).sum(axis=1)], axis=1
                )
    return Trial(scores, hit, filled, np.maximum(count, 1)), lines


def _new(lines: np.ndarray, weights: np.ndarray, buckets: np.ndarray) -> list[list[float]]:
    """The line from the content's score to the sum of all, by bucket; that of all users where a bucket has none."""
    found = []
    for number in range(len(EDGES) + 1):
        rows = buckets == number if (buckets == number).any() else np.ones(len(buckets), dtype=bool)
        count, x, y, xx, xy = np.einsum("upk,p->uk", lines[rows], weights[number]).sum(axis=0)
        total = weights[number].sum()
        count, x, xx = count / total, x / total, xx / total
        spread = xx - x * x / count if count else 0.0
        slope = (xy - x * y / count) / spread if spread > 1e-9 else 0.0
        offset = (y - slope * x) / count if count else 0.0
        found.append([round(float(offset), 6), round(float(slope), 6)])
    return found
