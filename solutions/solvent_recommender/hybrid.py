"""The hybrid: a weighted sum of its parts' scores; the weights differ by how much is known of a user."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import scipy.sparse

from .interactions import Histories
from .part import Part
from .topk import best

__all__ = [
    "AT_ONCE",
    "CANDIDATES",
    "EDGES",
    "TIE",
    "alone",
    "bucket",
    "combined",
    "newcomers",
    "open_to",
    "standard",
    "standards",
    "with_new",
]

EDGES = (1, 5, 20, 100)  # liked items from which on more is known of a user
AT_ONCE = 256
TIE = 1e-4
NEAREST = 20
CANDIDATES = 100  # of each part for each user: what weights are chosen by, and what is ranked again


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


def open_to(histories: Histories, usable: np.ndarray, *, seen: bool) -> np.ndarray:
    """Which items each user may be recommended, shape `(users, items)`.

    Args:
        usable: by all users, shape `(items,)`.
        seen: whether also what they had.
    """
    found = np.broadcast_to(usable, (len(histories), len(usable))).copy()
    if not seen:
        found[histories.owner, histories.item] = False
    return found


def standards(
    parts: Mapping[str, Part], histories: Histories, open_items: np.ndarray, finding: Collection[str]
) -> dict[str, np.ndarray]:
    """The standard scores of each part. One that ranks again does so with the best 100 of each of the others, so that
    what it takes to score a pair doesn't grow with the catalogue; elsewhere it has none. A part that knows nothing of a
    user finds nothing for them: to it all items are equal.

    Args:
        open_items: what `open_to` gives.
        finding: the parts that it ranks again the best of: those that were there when its weight was chosen.
    """
    found = {name: standard(part.scores(histories)) for name, part in parts.items() if part.again is None}
    if len(found) == len(parts):
        return found
    tops = []
    for name in finding:
        if name in found:
            told = open_items & ~np.isnan(found[name]) & np.nan_to_num(found[name]).any(axis=1)[:, None]
            tops.append(best(np.where(told, found[name], -np.inf), CANDIDATES))
    rows = np.concatenate(tops, axis=1)
    places = [np.unique(row[row >= 0]) for row in rows]
    again = {name: standard(part.again(histories, places)) for name, part in parts.items() if part.again is not None}
    return {name: again[name] if name in again else found[name] for name in parts}


def with_new(scores: np.ndarray, histories: Histories, like: scipy.sparse.csr_array) -> np.ndarray:
    """Scores with those of the new items, of which no part knows who liked them: the mean of the known items that each
    is like, by how much. Those that the user had are left out of that mean, since what speaks for an item is never the
    item itself.

    A weighted sum of what this gives of several parts is what it gives of their weighted sum.

    Args:
        scores: shape `(users, items)`; NaN stays for a known item, and counts as 0 in a mean.
        histories: of the users.
        like: what `newcomers` gives.

    Returns:
        the same shape, NaN for a new item that is like none.
    """
    known = like.shape[1]
    if not like.shape[0]:
        return scores
    free = np.ones((known, len(histories)), np.float32)  # items first: that is how a sparse matrix multiplies
    old = histories.item < known
    free[histories.item[old], histories.owner[old]] = 0
    weight = like @ free
    mean = (like @ (free * np.nan_to_num(scores[:, :known]).T)) / np.where(weight > 0, weight, 1)
    return np.concatenate([scores[:, :known], np.where(weight > 0, mean, np.nan).T], axis=1)


def combined(
    facts: Mapping[str, Any], standards: Mapping[str, np.ndarray], histories: Histories, like: scipy.sparse.csr_array
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The hybrid's scores, and what each part brought to them.

    New items are scored by `with_new`. Where a model stands alone, it scores the new items that it knows something of.

    Args:
        facts: what `weights.learn` found.
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
    total = with_new(total, histories, like)
    if facts.get("alone"):
        own = standards[facts["parts"][0]][:, known:]
        total[:, known:] = np.where(np.isnan(own), total[:, known:], own)
    return np.nan_to_num(total, nan=-np.inf), brought


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
