"""The loans as the networks see them: bin numbers, weights, who learns from whom, and which way risk may go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from solvent import Data, training
from solvent.split import Bags

from .binning import bin_numbers, first_in_order, learn_bins, sizes
from .decision import truth
from .pairs import axes
from .settings import Credit

__all__ = ["Design"]


@dataclass(frozen=True)
class Design:
    """The loans as the network sees them.

    Args:
        numbers: bin numbers of all rows, shape `(rows, columns)`.
        defaulted: 0 or 1, shape `(rows,)`.
        weight: what each row counts in training, with mean 1, its class's weight included; shape `(rows,)`.
        counts: what each row that is learnt from counts as a loan, 0 for other rows; shape `(rows,)`.
        trends: by place of a column, 1 for risk that only rises and -1 for one that only falls.
        groups: for each column, bin number -> place on a pair's axis.
    """

    bins: Sequence[Mapping[str, Any]]
    numbers: np.ndarray
    defaulted: np.ndarray
    weight: np.ndarray
    counts: np.ndarray
    bags: Bags
    trends: Mapping[int, int]
    groups: Sequence[np.ndarray]

    @cached_property
    def in_bag(self) -> np.ndarray:
        """What each row that is learnt from weighs for each model, 0 where it is left out, shape `(rows, models)`."""
        seen = self.bags.seen[self.bags.learnt]
        return (seen / seen.mean(axis=0) * self.weight[self.bags.learnt, None]).astype("float32")

    @classmethod
    def of(cls, settings: Credit, data: Data, dealt: Bags) -> "Design":
        """Learn bins, and what each row weighs, on the rows that are learnt from."""
        learnt = dealt.rows.iloc[dealt.learnt]
        bins = learn_bins(learnt, data.schema, settings.bins, settings.rare)
        numbers = bin_numbers(dealt.rows, bins)
        defaulted, levels = truth(settings, dealt.rows), list(data.schema.targets[0].levels)
        weight, counts = np.zeros(len(dealt.rows)), np.zeros(len(dealt.rows))
        counts[dealt.learnt] = learnt.get("weight", 1.0)
        codes = pd.Index(levels).get_indexer(learnt["target"])
        weight[dealt.learnt] = training.row_weights(learnt, codes, levels, settings.training)
        loans = [np.bincount(numbers[:, place], counts, size) for place, size in enumerate(sizes(bins))]
        sources = {field.source: field.name for field in data.schema.features}
        places = {bin_["name"]: place for place, bin_ in enumerate(bins)}
        trends = {}
        for name, trend in settings.monotone.items():
            place = places[sources[name]]
            ranges = numbers[:, place] >= first_in_order(bins)[place]
            trends[place] = _direction(trend, numbers[ranges, place], defaulted[ranges], counts[ranges])
        return cls(bins, numbers, defaulted, weight, counts, dealt, trends, axes(bins, loans))


def _direction(trend: str, numbers: np.ndarray, defaulted: np.ndarray, counts: np.ndarray) -> int:
    """1 where risk rises with the bins, -1 where it falls; `auto` goes by the correlation of rank and default."""
    if trend != "auto":
        return 1 if trend == "rising" else -1
    if not counts.any():
        return 1
    ranks = pd.Series(numbers).rank().to_numpy()
    apart = ranks - np.average(ranks, weights=counts)
    return 1 if np.sum(counts * apart * defaulted) >= 0 else -1
