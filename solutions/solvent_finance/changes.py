"""The smallest change of the columns that an applicant can change with which a refused loan would pass."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from solvent import Refused

from .binning import names_of_bins
from .scorecard import Scorecard
from .settings import Credit

__all__ = ["Changeable", "changeable", "smallest_changes"]

LOANS = 1000  # in one step of the search
COMBINATIONS = 2**20  # of bins, looked at in one step
MOST_CHANGED = 3  # columns in a change
NOTHING_PASSES = "no change of at most three columns among {} would pass"
NOTHING_CHANGEABLE = "no column is declared changeable"


@dataclass(frozen=True)
class Changeable:
    """A column that an applicant can change.

    Args:
        place: among the scorecard's columns.
        bin_: its description, as in the scorecard's bins.
        source: the user's own name of it.
        deviation: standard deviation over the training loans, by which changes of different columns are compared.
    """

    place: int
    bin_: Mapping[str, Any]
    source: str
    unit: str | None
    deviation: float
    direction: str

    @property
    def first(self) -> int:
        """Its first bin that a change may lead to: no loan is asked to become a missing cell or a code."""
        return 2 + len(self.bin_["codes"])

    @property
    def targets(self) -> np.ndarray:
        """The bins that a change may lead to."""
        count = len(self.bin_["levels"]) if "levels" in self.bin_ else len(self.bin_["edges"]) + 1
        return np.arange(self.first, self.first + count)

    def lengths(self, bins: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """How far it is from each loan's cell to each of the targets, infinite where it may not go.

        A range is as far as its nearest value, in standard deviations; a category is 1 away from any other, and so
        is a missing cell or a code from any range.

        Args:
            bins: the loans' bins of this column, shape `(rows,)`.
            cells: their cells.

        Returns:
            Shape `(rows, targets)`.
        """
        here, targets = bins[:, None], self.targets
        found = np.ones((len(bins), len(targets)))
        if "edges" in self.bin_:
            value, edges = cells.astype(np.float64)[:, None], np.array(self.bin_["edges"], np.float64)
            up, down = np.r_[-np.inf, edges] - value, value - np.r_[edges, np.inf]
            found = np.where(here < self.first, found, np.where(targets > here, up, down) / self.deviation)
        found[targets == here] = np.inf
        if self.direction != "any":
            back = targets < here if self.direction == "rising" else targets > here
            found[back | (here < self.first)] = np.inf
        return found

    def in_words(self, here: int, cell: Any, target: int, closed: np.ndarray) -> str:
        """The change from a loan's cell to its nearest value in the range of the bin `target`.

        What is said holds of every value that it names: before a bin that is closed the other end is named too.

        Args:
            here: the loan's bin.
            closed: which targets a loan that has changed so may not go on to, shape `(targets,)`.
        """
        names = names_of_bins(self.bin_)
        if "levels" in self.bin_:
            return f"{self.source}: from {names[here] if pd.isna(cell) else cell} to {names[target]}"
        edges, low = self.bin_["edges"], target - self.first
        high = low
        if target > here >= self.first:
            high += int(np.argmax([*closed[low + 1 :], True]))
        elif here >= self.first:
            low -= int(np.argmax([*closed[:low][::-1], True]))
        ends = [f"above {edges[low - 1]:.15g}"] if low > 0 else []
        ends += [f"at most {edges[high]:.15g}"] if high < len(edges) else []
        unit = f" {self.unit}" if self.unit and ends else ""
        start = names[here] if here < self.first else f"{cell:.15g}"
        return f"{self.source}: from {start} to {' and '.join(ends) or 'any number'}{unit}"


def changeable(
    settings: Credit, bins: Sequence[Mapping[str, Any]], columns: Sequence[Mapping[str, Any]]
) -> list[Changeable]:
    """The columns that `settings.changeable` names, in the scorecard's order.

    Args:
        columns: the fact of that name, one a bin.

    Raises:
        Refused: if a category is to rise or fall.
    """
    sources = [each["source"] for each in columns]
    for name, direction in settings.changeable.items():
        if direction != "any" and "levels" in bins[sources.index(name)]:
            raise Refused(
                f"settings.changeable: {name} is a category, which has no order and can't be {direction}. "
                f"Write {name}: any, or set columns.{name}.kind to number."
            )
    return [
        Changeable(
            place=place,
            bin_=bins[place],
            source=source,
            unit=columns[place]["unit"],
            deviation=columns[place]["deviation"] or 1.0,
            direction=settings.changeable[source],
        )
        for place, source in enumerate(sources)
        if source in settings.changeable
    ]


def smallest_changes(
    card: Scorecard, free: Sequence[Changeable], bins: np.ndarray, table: pd.DataFrame, highest: int
) -> tuple[np.ndarray, Any]:
    """What refused loans would have to change to pass: as few columns as may be, and these as little as may be.

    Args:
        bins: the refused loans' bins, shape `(rows, columns)`.
        table: the refused loans.
        highest: the most points with which a loan is refused.

    Returns:
        The changes in words, shape `(rows,)`, and the points after them: nullable integers, null where no change of
        at most three columns would pass.
    """
    words, after = np.empty(len(bins), object), bins.copy()
    nothing = NOTHING_PASSES.format(", ".join(each.source for each in free)) if free else NOTHING_CHANGEABLE
    for start in range(0, len(bins), LOANS):
        part = slice(start, start + LOANS)
        cells = [table[each.bin_["name"]].iloc[part].to_numpy() for each in free]
        after[part] = _changed(card, free, bins[part], cells, highest)
        words[part] = [each or nothing for each in _in_words(card, free, bins[part], after[part], cells, highest)]
    points = pd.Series(card.points(after), dtype="Int64").where((after != bins).any(axis=1))
    return words, points.array


def _changed(
    card: Scorecard, free: Sequence[Changeable], bins: np.ndarray, cells: Sequence[np.ndarray], highest: int
) -> np.ndarray:
    """The bins of refused loans after their smallest changes; as they are where no change suffices."""
    lengths = [each.lengths(bins[:, each.place], own) for each, own in zip(free, cells, strict=True)]
    gains = [_gains(card, bins, each) for each in free]
    needed, after = highest + 1 - card.points(bins), bins.copy()
    for row in range(len(bins)):
        ways = [(length[row], gain[row]) for length, gain in zip(lengths, gains, strict=True)]
        for column, step in _smallest(ways, _together(card, free, bins[row]), int(needed[row])):
            after[row, free[column].place] = free[column].first + step
    return after


def _gains(card: Scorecard, bins: np.ndarray, each: Changeable) -> np.ndarray:
    """The points that loans gain in each of a column's targets, all else as it is, shape `(rows, targets)`."""
    found = np.zeros((len(bins), len(each.targets)), np.int64)
    for term in card.terms:
        if each.place in term.columns:
            axis = term.columns.index(each.place)
            group, points = term.groups[axis], np.moveaxis(term.points, axis, 0)
            if len(term.columns) == 1:
                found += points[group[each.targets]] - points[group[bins[:, each.place]]][:, None]
            else:
                other = term.groups[1 - axis][bins[:, term.columns[1 - axis]]]
                found += points[np.ix_(group[each.targets], other)].T
                found -= points[group[bins[:, each.place]], other][:, None]
    return found


def _together(card: Scorecard, free: Sequence[Changeable], bins: np.ndarray) -> dict[tuple[int, int], np.ndarray]:
    """What one loan gains beyond the sum of both gains when two columns of a pair change.

    Args:
        bins: the loan's, shape `(columns,)`.

    Returns:
        By two places in `free`, the first one lower: shape `(targets of the first, targets of the second)`.
    """
    places, found = [each.place for each in free], {}
    for term in card.pairs:
        if set(term.columns) <= set(places):
            both = sorted((places.index(column), axis) for axis, column in enumerate(term.columns))
            points = np.transpose(term.points, [axis for _, axis in both])
            groups = [(free[place], term.groups[axis]) for place, axis in both]
            to, here = zip(*((group[each.targets], group[bins[each.place]]) for each, group in groups), strict=True)
            beyond = points[np.ix_(*to)] - points[to[0], here[1]][:, None] - points[here[0], to[1]] + points[here]
            key = (both[0][0], both[1][0])
            found[key] = found.get(key, 0) + beyond
    return found


Way = tuple[np.ndarray, np.ndarray]  # how long it is to each target, and how many points are gained there


def _smallest(
    ways: Sequence[Way], together: Mapping[tuple[int, int], np.ndarray], needed: int
) -> list[tuple[int, int]]:
    """The smallest change of one loan that gains the points needed: fewest columns, then the shortest way.

    Of equally short ones the one of most points, then the first. What is left out could not win.

    Args:
        ways: of each changeable column.
        together: as `_together` gives it.

    Returns:
        Changeable columns, each with the place among its targets; none where no change suffices.
    """
    steps = {column: np.flatnonzero(np.isfinite(length)) for column, (length, _) in enumerate(ways)}
    steps = {column: own for column, own in steps.items() if len(own)}
    nearest = {column: ways[column][0][own].min() for column, own in steps.items()}
    most = {column: ways[column][1][own].max() for column, own in steps.items()}
    for size in range(1, MOST_CHANGED + 1):
        best, found = (np.inf, -np.inf), []
        for columns in combinations(steps, size):
            beyond = sum(together[pair].max() for pair in combinations(columns, 2) if pair in together)
            spare = sum(most[column] for column in columns) + beyond - needed
            left = best[0] - sum(nearest[column] for column in columns)
            if spare < 0 or left < 0:
                continue
            kept = []
            for column in columns:
                length, gain = (values[steps[column]] for values in ways[column])
                kept.append(steps[column][(gain >= most[column] - spare) & (length <= nearest[column] + left)])
            count = int(np.prod([len(own) for own in kept]))
            parts = min(len(kept[0]), -(-count // COMBINATIONS))
            for part in np.array_split(kept[0], parts) if count else ():
                at = dict(zip(columns, np.ix_(part, *kept[1:]), strict=True))
                size_, change = _shortest(ways, together, at, needed)
                if size_ < best:
                    best, found = size_, change
        if found:
            return found
    return []


def _shortest(
    ways: Sequence[Way], together: Mapping[tuple[int, int], np.ndarray], at: Mapping[int, np.ndarray], needed: int
) -> tuple[tuple[float, float], list[tuple[int, int]]]:
    """The shortest of the changes of all columns in `at` to all targets there; its length is infinite if none suffices.

    Returns:
        Length and points lost (less is better), and the change.
    """
    gain = sum(ways[column][1][own] for column, own in at.items())
    for one, other in combinations(at, 2):
        if (one, other) in together:
            gain = gain + together[one, other][at[one], at[other]]
    length = np.where(gain >= needed, sum(ways[column][0][own] for column, own in at.items()), np.inf)
    pick = np.argmax(np.where(length == length.min(), gain, -np.inf))
    places = np.unravel_index(pick, length.shape)
    change = [(column, int(own.flat[place])) for (column, own), place in zip(at.items(), places, strict=True)]
    return (float(length.flat[pick]), -float(gain.flat[pick])), change


def _in_words(
    card: Scorecard,
    free: Sequence[Changeable],
    bins: np.ndarray,
    after: np.ndarray,
    cells: Sequence[np.ndarray],
    highest: int,
) -> list[str]:
    """The changes from bins to bins, one text a loan, empty where it has none."""
    found: list[list[str]] = [[] for _ in bins]
    changed = after != bins
    spare = (card.points(after) - highest - 1) / np.maximum(changed.sum(axis=1), 1)  # that each change may lose again
    for each, own in zip(free, cells, strict=True):
        closed = _gains(card, after, each) < -spare[:, None]
        for term in card.pairs:  # with the other column changed too, what is farther on was not looked at for both
            for other in set(term.columns) - {each.place} if each.place in term.columns else ():
                closed[changed[:, other]] = True
        for row in np.flatnonzero(changed[:, each.place]):
            place = (row, each.place)
            found[row].append(each.in_words(int(bins[place]), own[row], int(after[place]), closed[row]))
    return ["; ".join(each) for each in found]
