"""Cells to bin numbers, once, in float64, outside the network: what a bin is can be read in bundle.json."""

from typing import Any

import numpy as np
import pandas as pd

from solvent.schema import Field, Schema

__all__ = ["bin_numbers", "first_in_order", "learn_bins", "names_of_bins", "sizes"]

MOST_DIGITS = 15  # of an edge
MISSING, UNSEEN = 0, 1  # every column has these two bins first, then its codes, then its ranges or levels


def learn_bins(train: pd.DataFrame, schema: Schema, most: int, rare: int) -> list[dict[str, Any]]:
    """Find the bins of every feature on training rows; one that weighs 0 is left out.

    Args:
        most: ranges of a number, cut at quantiles of the rows' weights, at decimals of few digits between two cells.
        rare: a level of a category needs so many rows, whatever they weigh, to be a bin of its own.

    Returns:
        One description a feature: its `name`, `codes`, and `edges` (bin k holds edges[k-1] < x <= edges[k])
        or `levels`.
    """
    weight = train.get("weight", pd.Series(1.0, train.index))
    train, weight = train[weight > 0], weight[weight > 0]
    return [_learn(train[field.name], weight, field, most, rare) for field in schema.features]


def _learn(column: pd.Series, weight: pd.Series, field: Field, most: int, rare: int) -> dict[str, Any]:
    found: dict[str, Any] = {"name": field.name, "codes": field.states}
    known = column.notna() & ~column.isin(field.states)
    informed, weight = column[known], weight[known]
    if field.kind == "category":
        counts = informed.value_counts()
        return {**found, "levels": sorted(counts.index[counts >= rare])}
    if informed.empty:
        return {**found, "edges": []}
    numbers, shares = informed.to_numpy(np.float64), np.linspace(0, 1, most + 1)[1:-1]
    cuts = np.unique(np.quantile(numbers, shares, weights=weight, method="inverted_cdf"))
    values = np.unique(numbers)
    cuts = cuts[cuts < values[-1]]
    above = values[np.searchsorted(values, cuts, side="right")]
    edges = (_short(low, high) for low, high in zip(cuts.tolist(), above.tolist(), strict=True))
    return {**found, "edges": sorted({edge for edge in edges if edge is not None})}


def _short(low: float, high: float) -> float | None:
    """The decimal of fewest digits in [low, high): people read it, and every engine reads it as the same number.

    None where it takes more than 15 digits: then SQL can't tell the two bins apart.
    """
    for digits in range(1, MOST_DIGITS + 1):
        for number in (low, low / 2 + high / 2):
            edge = float(f"{number:.{digits}g}") + 0.0  # no negative zero
            if low <= edge < high:
                return edge
    return None


def bin_numbers(table: pd.DataFrame, bins: list[dict[str, Any]]) -> np.ndarray:
    """The bin of every cell.

    Returns:
        int32, shape `(rows, features)`: 0 missing, 1 unseen or rare, then codes, then ranges or levels.
    """
    found = np.empty((len(table), len(bins)), np.int32)
    for place, bin_ in enumerate(bins):
        column, first = table[bin_["name"]], 2 + len(bin_["codes"])
        if "levels" in bin_:
            own = {level: 2 + index for index, level in enumerate([*bin_["codes"], *bin_["levels"]])}
            codes, levels = pd.factorize(column)  # a missing cell's code is -1: the last one
            found[:, place] = np.array([*(own.get(level, UNSEEN) for level in levels), MISSING], np.int32)[codes]
            continue
        numbers = column.to_numpy(np.float64)
        codes = (first + np.searchsorted(bin_["edges"], numbers, side="left")).astype(np.int32)
        for index, code in enumerate(bin_["codes"]):
            codes[numbers == code] = 2 + index
        codes[np.isnan(numbers)] = MISSING
        found[:, place] = codes
    return found


def sizes(bins: list[dict[str, Any]]) -> list[int]:
    """How many bins each feature has."""
    return [2 + len(b["codes"]) + (len(b["levels"]) if "levels" in b else len(b["edges"]) + 1) for b in bins]


def first_in_order(bins: list[dict[str, Any]]) -> list[int]:
    """Each feature's first bin that is a range with neighbours; for a category, the number of its bins."""
    return [size if "levels" in b else 2 + len(b["codes"]) for b, size in zip(bins, sizes(bins), strict=True)]


def names_of_bins(bin_: dict[str, Any]) -> list[str]:
    """The bins of one feature in words, in their order."""
    first = ["missing", "unseen or rare", *(f"code {_plain(code)}" for code in bin_["codes"])]
    if "levels" in bin_:
        return [*first, *bin_["levels"]]
    ends = [f"{edge:.15g}" for edge in bin_["edges"]]
    return [*first, *(f"≤ {end}" for end in ends), f"> {ends[-1]}" if ends else "any number"]


def _plain(code: Any) -> str:
    return code if isinstance(code, str) else f"{code:.15g}"
