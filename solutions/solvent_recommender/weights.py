"""The hybrid's weights: chosen by the NDCG of validation users, apart for those of whom little and much is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import scipy.sparse

from .catalogue import Catalogue
from .hybrid import AT_ONCE, CANDIDATES, EDGES, TIE, bucket, open_to, standards, with_new
from .interactions import Histories
from .part import Part
from .topk import best

__all__ = ["learn"]

POPULARITY = "popularity"
FEWEST = 50  # users who choose weights of their own for their bucket
STEPS = (0.0, 0.25, 0.5, 0.8, 1.25, 2.0, 4.0)  # times the weight, and times a small one
PASSES = 3
BAGS = 8
MOST_USERS = 5_000


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
    like: scipy.sparse.csr_array,
    at: int,
    seed: int,
    *,
    seen: bool = False,
) -> dict[str, Any]:
    """Choose the weights by NDCG on validation cases: one part after the other, for all users, then from there for
    each bucket of at least 50. A little popularity is always added: it parts equal scores, and all scores are equal for
    a user of whom the other parts know nothing.

    Args:
        parts: those to weigh.
        histories: of the cases' users, as training rows have them.
        relevant: places of what each case should be given.
        missed: relevant items of each case that the catalogue doesn't have.
        like: what `hybrid.newcomers` gives.
        seen: whether what a user had may be recommended again.
        at: the length of the lists.

    Returns:
        `parts`, `edges`, `weights` (buckets, parts), `users` of each bucket, `ndcg` of each part alone and of the sum.
        That of the sum flatters: the same users chose its weights, as `ndcg_of` says.
    """
    chosen = np.arange(len(histories))
    if len(chosen) > MOST_USERS:
        chosen = np.sort(np.random.default_rng(seed).choice(len(histories), MOST_USERS, replace=False))
    asked = histories.take(chosen)
    names = list(parts)
    trial = _trial(parts, asked, [relevant[at] for at in chosen], missed[chosen], catalogue, like, seen)
    alone = {name: trial.ndcg(np.eye(len(names))[place], at) for place, name in enumerate(names)}
    random = np.random.default_rng([seed, 1])
    overall = _bagged(trial, np.full(len(names), 1 / len(names)), at, random)
    buckets = bucket(asked)
    users = np.bincount(buckets, minlength=len(EDGES) + 1)
    weights = [
        _bagged(trial.of(buckets == number), overall, at, random) if count >= FEWEST else overall
        for number, count in enumerate(users)
    ]
    served = list(dict.fromkeys([*names, POPULARITY]))
    least = [TIE if name == POPULARITY else 0.0 for name in served]
    return {
        "parts": served,
        "edges": list(EDGES),
        "weights": [
            [max(round(float(value), 4), low) for value, low in zip_longest(row, least, fillvalue=0.0)]
            for row in weights
        ],
        "users": users.tolist(),
        "ndcg": {**alone, "sum": trial.ndcg(overall, at)},
        "ndcg_of": "the validation users that chose the weights",
        "at": at,
    }


def _bagged(trial: Trial, start: np.ndarray, at: int, random: np.random.Generator) -> np.ndarray:
    """The mean of the weights that halves of the users choose: those of all users alone follow their chance too much.

    Source: Caruana et al., Ensemble selection from libraries of models, 2004 (bagged selection).
    """
    found = []
    for _ in range(BAGS):
        half = random.permutation(len(trial.count))[: -(-len(trial.count) // 2)]
        weights = _ascend(trial.of(half), start, at)
        found.append(weights / weights.sum())
    return np.asarray(np.mean(found, axis=0))


def _ascend(trial: Trial, start: np.ndarray, at: int) -> np.ndarray:
    """Change one weight after the other as long as the NDCG grows; the scale of all is that of the start."""
    weights, reached = start.astype(np.float64), trial.ndcg(start, at)
    for _ in range(PASSES):
        before = reached
        for place in range(len(weights)):
            for value_tried in [step * max(weights[place], weights.sum() / 50) for step in STEPS]:
                tried = weights.copy()
                tried[place] = value_tried
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
    like: scipy.sparse.csr_array,
    seen: bool,
) -> Trial:
    """Each user's candidates: the best of every part, by the scores that lists are made of."""
    width = CANDIDATES * len(parts)
    count = np.array([len(items) for items in relevant]) + missed
    scores = np.zeros((len(histories), width, len(parts)), np.float32)
    filled = np.zeros((len(histories), width), dtype=bool)
    hit = np.zeros((len(histories), width), dtype=bool)
    for begin in range(0, len(histories), AT_ONCE):
        rows = np.arange(begin, min(begin + AT_ONCE, len(histories)))
        asked = histories.take(rows)
        usable = open_to(asked, catalogue.offered, seen=seen)
        scored = [with_new(each, asked, like) for each in standards(parts, asked, usable, parts).values()]
        tops = [best(np.where(usable & ~np.isnan(found), found, -np.inf), CANDIDATES) for found in scored]
        for row in range(len(rows)):
            places = np.unique(np.concatenate([top[row] for top in tops]))
            places = places[places >= 0]
            target = rows[row]
            filled[target, : len(places)] = True
            hit[target, : len(places)] = np.isin(places, relevant[target])
            for number, found in enumerate(scored):
                scores[target, : len(places), number] = np.nan_to_num(found[row, places])
    return Trial(scores, hit, filled, np.maximum(count, 1))
