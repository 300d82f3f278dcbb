"""Metrics of lists that were ranked, such as recommendations or search results."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence

import numpy as np

from .sums import Metric, quotient

__all__ = ["hits", "ranking"]


def hits(relevant: Sequence[Collection[Hashable]], ranked: Sequence[Sequence[Hashable]], length: int) -> np.ndarray:
    """Which places of each list hold something relevant, bool, shape `(rows, length)`; a short list ends in misses."""
    found = np.zeros((len(ranked), length), dtype=bool)
    for row, (wanted, given) in enumerate(zip(relevant, ranked, strict=True)):
        known = frozenset(wanted)
        for place, item in enumerate(given[:length]):
            found[row, place] = item in known
    return found


def ranking(
    relevant: Sequence[Collection[Hashable]], ranked: Sequence[Sequence[Hashable]], at: Sequence[int]
) -> dict[str, Metric]:
    """Metrics of ranked lists, each the mean over the rows that have something relevant.

    Args:
        relevant: what each row's list should hold.
        ranked: each row's list, the best first, nothing twice.
        at: the lengths at which lists are cut.

    Returns:
        For each length k: ndcg@k (gain 1, discount log2 of the rank plus 1, over that of the best list of k), recall@k,
        precision@k (of k places, also where a list is shorter), map@k (precision at each hit, summed and divided by
        all that is relevant), mrr@k, hit_rate@k.

    Source: Jarvelin and Kekalainen, Cumulated gain-based evaluation of IR techniques, 2002; trec_eval 9
    (ndcg_cut, map_cut).
    """
    longest = max(at)
    found = hits(relevant, ranked, longest)
    count = np.array([len(frozenset(wanted)) for wanted in relevant], dtype=np.int64)
    places = np.arange(1, longest + 1)
    gains = 1 / np.log2(places + 1)
    best = np.concatenate([[0.0], np.cumsum(gains)])
    up_to = np.cumsum(found, axis=1)
    counted = (count > 0).astype(np.float64)
    some = np.maximum(count, 1)
    metrics: dict[str, Metric] = {}
    for k in at:
        cut = found[:, :k]
        first = np.where(cut.any(axis=1), 1 / (cut.argmax(axis=1) + 1), 0.0)
        values = {
            "ndcg": cut @ gains[:k] / best[np.minimum(some, k)],
            "recall": up_to[:, k - 1] / some,
            "precision": up_to[:, k - 1] / k,
            "map": (cut * up_to[:, :k] / places[:k]).sum(axis=1) / some,
            "mrr": first,
            "hit_rate": cut.any(axis=1).astype(np.float64),
        }
        metrics |= {f"{name}@{k}": quotient(value * counted, counted) for name, value in values.items()}
    return metrics
