"""Why a loan has its score: the points that its columns lose against a reference, as reasons in words."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from solvent import Fitted

from .binning import bin_numbers, names_of_bins
from .changes import changeable, smallest_changes
from .decision import chosen_words
from .scorecard import Scorecard
from .settings import DECISIONS, Credit

__all__ = ["Reasons", "explain", "reference_bins"]

IN_CACHE = 8192  # rows in one step: its arrays stay in the processor's cache


class Reasons:
    """The columns that cost loans most points, in words. Made once a process.

    A column's loss: the points that the loan would have with the column's reference bin in place of its own and all
    else as it is, less the points that it has. It is exact, and holds what the column does in pairs.

    Args:
        words: a reason for each column of the scorecard.
        most: reasons that a loan gets at most.
        reference: `average` or `best`, as `reference_bins` has it.
    """

    def __init__(self, card: Scorecard, words: Sequence[str], most: int, reference: str) -> None:
        # A key is a loss and, in its low bits, the column: the greatest key is the greatest loss, of equal ones the
        # first column's, and finding it takes no more than a maximum.
        self.most, self.last = most, len(card.bins) - 1
        self.bits = max(self.last, 1).bit_length()
        losses = _losses(card, reference_bins(card, reference))
        greatest = sum(int(np.abs(each).max()) for lost in losses for each in lost) + 1
        self.kind = np.int32 if greatest << self.bits < 2**31 else np.int64
        self.own, self.pairs = [], []
        for term, lost in zip(card.terms, losses, strict=True):
            keys = [(each << self.bits).astype(self.kind) for each in lost]
            if len(term.columns) == 1:
                self.own.append(keys[0][term.groups[0]] | (self.last - term.columns[0]))
            else:
                self.pairs.append((*term.columns, term.groups[0] * term.points.shape[1], term.groups[1], *keys))
        self.words = [*words, None]

    def __call__(self, bins: np.ndarray) -> list[Any]:
        """The reasons of loans: as many arrays of words as there are reasons at most, null where there are fewer.

        Args:
            bins: bin numbers, shape `(rows, columns)`.
        """
        columns, lost = self.top(bins)
        return [self.in_words(column, points) for column, points in zip(columns, lost, strict=True)]

    def top(self, bins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The columns that lose most, and the points that they lose: both of shape `(most, rows)`, most points first.

        Where the points are not above 0 there is no reason, and the column means nothing.
        """
        top = np.full((self.most, len(bins)), np.iinfo(self.kind).min, self.kind)
        for start in range(0, len(bins), IN_CACHE):
            part = slice(start, start + IN_CACHE)
            for key in self._keys(bins[part]):
                for place in top[:, part]:  # the greater one stays, the other one goes down
                    less = np.minimum(place, key)
                    np.maximum(place, key, out=place)
                    key = less
        return self.last - (top & ((1 << self.bits) - 1)), top >> self.bits

    def in_words(self, columns: np.ndarray, lost: np.ndarray) -> Any:
        """One row of what `top` gives, as words; null where no points are lost."""
        return chosen_words(self.words, np.where(lost > 0, columns, len(self.words) - 1))

    def _keys(self, bins: np.ndarray) -> np.ndarray:
        of = np.ascontiguousarray(bins.T, dtype=np.intp)  # numpy gathers by intp, anything else it copies each time
        keys = np.empty(of.shape, self.kind)
        for column, own in enumerate(self.own):
            keys[column] = own[of[column]]
        for first, second, rows, places, lost_first, lost_second in self.pairs:
            place = rows[of[first]] + places[of[second]]
            keys[first] += lost_first[place]
            keys[second] += lost_second[place]
        return keys


def _losses(card: Scorecard, reference: np.ndarray) -> list[list[np.ndarray]]:
    """The points that each term loses by each of its columns, by the place in the term's `points.ravel()`."""
    return [
        [
            (np.take(term.points, [group[reference[column]]], axis) - term.points).ravel()
            for axis, (column, group) in enumerate(zip(term.columns, term.groups, strict=True))
        ]
        for term in card.terms
    ]


def reference_bins(card: Scorecard, reference: str) -> np.ndarray:
    """The bin of each column that points are lost against, among those that training loans lie in.

    Args:
        reference: `average`: the bin whose own points are nearest to the training loans' mean own points; `best`: the
            one of most own points. Of several such bins the one of most training loans.

    Returns:
        Bin numbers, shape `(columns,)`.
    """
    found = []
    for term in card.own:
        mean = np.average(term.points, weights=term.loans)
        distance = -term.points if reference == "best" else np.abs(term.points - mean)
        place = np.lexsort((-term.loans, np.where(term.loans > 0, distance, np.inf)))[0]
        found.append(int(np.flatnonzero(term.groups[0] == place)[0]))
    return np.array(found)


def explain(settings: Credit, fitted: Fitted, table: pd.DataFrame) -> pd.DataFrame:
    """Say where each loan loses points, and what the smallest change is with which a refused one would pass.

    Args:
        table: checked loans.

    Returns:
        With the table's index: `points`, `decision`; for each reason its words, `_points` lost and the loan's `_value`;
        for refused loans `change` in words, or that none would pass, and `points_after` it, null then.

    Raises:
        Refused: if `settings.changeable` gives a category an order.
    """
    facts = fitted.facts
    card, columns = Scorecard.from_json(facts["bins"], facts["scorecard"]), facts["columns"]
    given = settings.scoring.cutoff
    highest = card.scale.highest_refused(facts["operating_point"]["value"] if given is None else given)
    bins = bin_numbers(table, facts["bins"])
    points = card.points(bins)
    refused = points <= highest
    found: dict[str, Any] = {"points": points, "decision": chosen_words(DECISIONS, refused)}
    reasons = Reasons(card, [each["words"] for each in columns], settings.reasons, settings.reference)
    names = [_bins_in_words(bin_, each["unit"]) for bin_, each in zip(facts["bins"], columns, strict=True)]
    starts = np.cumsum([1, *(len(each) for each in names)])
    values = [None, *(name for each in names for name in each)]
    for number, (column, lost) in enumerate(zip(*reasons.top(bins), strict=True), start=1):
        own = bins[np.arange(len(bins)), column]
        found[f"reason_{number}"] = reasons.in_words(column, lost)
        found[f"reason_{number}_points"] = pd.Series(lost, dtype="Int64").where(lost > 0).array
        found[f"reason_{number}_value"] = chosen_words(values, np.where(lost > 0, starts[column] + own, 0))
    free = changeable(settings, facts["bins"], columns)
    change, after = pd.Series(None, range(len(table)), dtype="str"), pd.Series(None, range(len(table)), dtype="Int64")
    change[refused], after[refused] = smallest_changes(card, free, bins[refused], table[refused], highest)
    found |= {"change": change.array, "points_after": after.array}
    return pd.DataFrame(found, index=table.index)


def _bins_in_words(bin_: Mapping[str, Any], unit: str | None) -> list[str]:
    first = 2 + len(bin_["codes"])
    with_unit = unit is not None and bool(bin_.get("edges"))
    return [f"{name} {unit}" if with_unit and k >= first else name for k, name in enumerate(names_of_bins(bin_))]
