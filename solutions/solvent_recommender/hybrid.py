"""The hybrid: a weighted sum of its parts' scores; weights differ by how much is known of a user and of an item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse

from .catalogue import Catalogue
from .interactions import Histories
from .part import Part
from .topk import best

__all__ = ["alone", "bucket", "combined", "learn", "newcomers", "standard"]

EDGES = (1, 5, 20, 100)  # liked items from which on more is known of a user
FEWEST = 50  # users who choose weights of their own for their bucket
CANDIDATES = 100  # of each part for each user
STEPS = (0.0, 0.25, 0.5, 0.8, 1.25, 2.0, 4.0)  # times the weight, and times a small one
PASSES = 3
BAGS = 8
MOST_USERS = 5_000
AT_ONCE = 256
TIE = 1e-4
NEAREST = 20


def alone(part: str) -> dict[str, Any]:
    """The weights of one model: popularity parts its equal scores, and is all there is for users without a history."""
    if part == "popularity":
        return {"parts": [part], "weights": [[1.0]] * (len(EDGES) + 1)}
    rows = [[1.0, TIE]] * (len(EDGES) + 1)
    return {"parts": [part, "popularity"], "weights": rows, "alone": True}


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
    facts: Mapping[str, Any], standards: Mapping[str, np.ndarray], histories: Histories, like: scipy.sparse.csr_array
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The hybrid's scores, and what each part brought to them.

    A new item, of which no part knows who liked it, counts as much as the known items that it is like do; those that
    the user had are left out of that mean, since what speaks for an item is never the item itself. Where a model stands
    alone, it scores the new items that it knows something of.

    Args:
        facts: what `learn` found.
        standards: what `standard` gives of each part's scores.
        histories: of the users.
        like: what `newcomers` gives.

    Returns:
        shape `(users, items)`, -inf for a new item that is like none; each part's share by its name.
    """
    weights = np.asarray(facts["weights"], np.float32)[bucket(histories)]
    brought = {name: weights[:, [place]] * np.nan_to_num(standards[name]) for place, name in enumerate(facts["parts"])}
    total = np.sum(list(brought.values()), axis=0)
    known = like.shape[1]
    if like.shape[0]:
        free = np.ones((known, len(histories)), np.float32)  # items first: that is how a sparse matrix multiplies
        old = histories.item < known
        free[histories.item[old], histories.owner[old]] = 0
        weight = like @ free
        mean = (like @ (free * total[:, :known].T)) / np.where(weight > 0, weight, 1)
        total[:, known:] = np.where(weight > 0, mean, -np.inf).T
        if facts.get("alone"):
            own = standards[facts["parts"][0]][:, known:]
            total[:, known:] = np.where(np.isnan(own), total[:, known:], own)
    return total, brought


def newcomers(own: scipy.sparse.csr_array, known: int) -> scipy.sparse.csr_array:
    """How much each known item tells of each new one: its likeness, over the sum of the 20 nearest ones'.

    Args:
        own: the items' content, rows of length 1, shape `(items, features)`.
        known: items that were learnt from.

    Returns:
        shape `(new items, known items)`; an empty row for an item that is like none.
    """
    blocks = [scipy.sparse.csr_array((0, known), dtype=np.float32)]
    for begin in range(known, own.shape[0], AT_ONCE):
        found = (own[begin : begin + AT_ONCE] @ own[:known].T).toarray()
        near = best(found, NEAREST)
        value = np.take_along_axis(found, near, axis=1)
        total = value.sum(axis=1, keepdims=True)
        value = (value / np.where(total > 0, total, 1)).astype(np.float32)
        row = np.repeat(np.arange(len(found)), near.shape[1])
        block = scipy.sparse.csr_array((value.ravel(), (row, near.ravel())), shape=found.shape)
        block.eliminate_zeros()
        block.sort_indices()
        blocks.append(block)
    return scipy.sparse.vstack(blocks, format="csr")


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
        `parts`, `edges`, `weights` (buckets, parts), `users` of each bucket, `ndcg` of each part alone and of the sum.
    """
    chosen = np.arange(len(histories))
    if len(chosen) > MOST_USERS:
        chosen = np.sort(np.random.default_rng(seed).choice(len(histories), MOST_USERS, replace=False))
    asked = histories.take(chosen)
    names = list(parts)
    trial = _trial(parts, asked, [relevant[at] for at in chosen], missed[chosen], catalogue)
    alone = {name: trial.ndcg(np.eye(len(names))[place], at) for place, name in enumerate(names)}
    random = np.random.default_rng([seed, 1])
    overall = _bagged(trial, np.full(len(names), 1 / len(names)), at, random)
    buckets = bucket(asked)
    users = np.bincount(buckets, minlength=len(EDGES) + 1)
    weights = [
        _bagged(trial.of(buckets == number), overall, at, random) if count >= FEWEST else overall
        for number, count in enumerate(users)
    ]
    return {
        "parts": names,
        "edges": list(EDGES),
        "weights": [[round(float(value), 4) for value in row] for row in weights],
        "users": users.tolist(),
        "ndcg": {**alone, "sum": trial.ndcg(overall, at)},
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
) -> Trial:
    """Each user's candidates: the best of every part."""
    width = CANDIDATES * len(parts)
    count = np.array([len(items) for items in relevant]) + missed
    scores = np.zeros((len(histories), width, len(parts)), np.float32)
    filled = np.zeros((len(histories), width), dtype=bool)
    hit = np.zeros((len(histories), width), dtype=bool)
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
    return Trial(scores, hit, filled, np.maximum(count, 1))
