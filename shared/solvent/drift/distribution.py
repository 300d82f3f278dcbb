"""The training distribution that a bundle keeps, and how cells are counted, then and now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..schema import Field, Schema
from ..solution import JSON

__all__ = [
    "binned",
    "code_names",
    "columns",
    "commonest",
    "holds_lists",
    "level_counts",
    "reference",
    "seen_levels",
    "watched",
]

BINS = 10
MOST_LEVELS = 50
FEWEST_ROWS = 5  # a level that fewer rows have could tell who they are
MOST_SEEN = 11  # as many rows, or more, count as this


def watched(schema: Schema) -> list[Field]:
    """The inputs whose drift is measured: numbers and categories that the model reads, and those that the solution
    names and keeps from it, such as a site or a device: its promises may end with them all the same. What training
    never had can't be compared."""
    kept = [field for field in schema.fields if field.role == "feature" or (field.role == "protected" and field.named)]
    return [field for field in kept if field.kind in ("number", "category") and not field.scored_only]


def reference(train: pd.DataFrame, schema: Schema, scored: pd.DataFrame) -> dict[str, JSON]:
    """The distribution of the inputs in training and of the scores by then; it holds no row.

    Args:
        train: good rows in the house's names; one of each entity where scoring writes one.
        scored: scores of the validation rows, or of others like those that will be scored; those with an `error` count
            for nothing, for scoring sets them aside.

    Returns:
        For each column: for numbers the inner edges of ten bins of equal share and their shares, for categories
        the shares of the commonest levels that at least five rows have; always the share missing. Declared codes of
        a number column are `states`, with their share of all rows, and count among neither numbers nor missing. Of
        lists, `levels` are the shares of rows that have each item: they need not sum to 1. Where levels are left out,
        those kept are chosen in a random half of the rows and their shares counted in the other half, of `counted`
        rows: the commonest of one sample owe a part of their rows to chance, and would seem rarer in the next one.
        `rows` stand behind the inputs, `output_rows` behind the outputs. `floors` are the number columns whose
        smallest number is their first edge, as with many zeros, or one number alone: what lies under it is new.
        `seen` is, of each category column of the inputs, how many levels have one row, two, ..., ten, and more: it
        tells which share of unseen levels is to be expected although nothing has moved.
    """
    if "error" in scored:
        scored = scored.loc[scored["error"].isna()].drop(columns="error")
    features = watched(schema)
    inputs = {
        field.source: _numbers(train[field.name], field) if field.kind == "number" else _column(train[field.name])
        for field in features
    }
    # what these say nothing of, such as reasons that only scoring gives, can't be compared
    said = scored.loc[:, scored.notna().any()]
    outputs = {str(name): _column(column) for name, column in said.items() if _countable(column)}
    uncoded = {field.source: train[field.name][~train[field.name].isin(field.states)] for field in features}
    return {
        "rows": len(train),
        "output_rows": len(scored),
        "inputs": inputs,
        "outputs": outputs,
        "floors": {"inputs": _floors(inputs, uncoded), "outputs": _floors(outputs, dict(scored.items()))},
        "seen": {field.source: _seen(train[field.name]) for field in features if field.kind == "category"},
    }


def columns(reference: Mapping[str, JSON], kind: str) -> dict[str, JSON]:
    """The `inputs` or `outputs` of a reference; one with a floor has one bin more, the empty one under its floor."""
    floors = reference.get("floors", {}).get(kind, ())
    return {name: _floored(facts) if name in floors else facts for name, facts in reference[kind].items()}


def seen_levels(reference: Mapping[str, JSON], name: str) -> list[int]:
    """How many levels of an input have one row, two, ..., ten, and more.

    An older reference holds the share of cells whose level is `once` there, or not even that. What it doesn't tell is
    taken as it lets the most unseen levels be expected: the rows of levels that it doesn't keep are of levels with two
    rows each, without `once` with one.
    """
    if name in reference.get("seen", {}):
        return list(reference["seen"][name])
    facts = reference["inputs"][name]
    present = reference["rows"] - round(facts["missing"] * reference["rows"])
    kept = [round(share * present) for share in facts["levels"].values()]
    rest = max(0, present - sum(kept))
    once = min(rest, round(reference["once"][name] * present)) if name in reference.get("once", {}) else rest
    _, _, *more = _levels_by_rows(kept)  # five rows at least
    return [once, (rest - once + 1) // 2, *more]


def holds_lists(column: pd.Series[Any]) -> bool:
    if column.dtype != object:
        return False
    present = column.dropna()
    return len(present) > 0 and all(isinstance(cell, list) for cell in present)


def binned(numbers: np.ndarray, edges: Sequence[float]) -> np.ndarray:
    """How many numbers lie in each bin; an edge belongs to the bin under it.

    Args:
        numbers: float64, shape `(rows,)`; NaN lies in no bin.
        edges: ascending, shape `(bins - 1,)`.

    Returns:
        Shape `(bins,)`.
    """
    # nine comparisons of a whole column cost a seventh of a search for each number, and they all release the GIL
    up_to = [np.count_nonzero(numbers <= edge) for edge in edges]
    return np.diff([0, *up_to, len(numbers) - np.count_nonzero(np.isnan(numbers))])


def level_counts(present: pd.Series[Any]) -> pa.Table:
    """How many rows have each level; for lists each item.

    Args:
        present: cells of which none is missing.

    Returns:
        `name` and `rows`, in no order.
    """
    if holds_lists(present):
        return _item_counts(present.to_list())
    if present.dtype != "str":
        return _by_name(present.value_counts(sort=False).to_dict())
    counted = pc.value_counts(pa.array(present).cast(pa.large_string()))
    return pa.table({"name": counted.field("values"), "rows": counted.field("counts")})


def _item_counts(lists: Sequence[Sequence[Any]]) -> pa.Table:
    """In how many lists each item is."""
    row = np.repeat(np.arange(len(lists)), np.fromiter(map(len, lists), np.int64, len(lists)))
    codes, items = pd.factorize(np.fromiter(chain.from_iterable(lists), object, len(row)))  # -1 is a missing one
    once = np.unique(row[codes >= 0] * len(items) + codes[codes >= 0])
    rows = np.bincount(once % max(len(items), 1), minlength=len(items))
    if all(isinstance(item, str) for item in items):
        return pa.table({"name": pa.array(items, pa.large_string()), "rows": pa.array(rows, pa.int64())})
    return _by_name(dict(zip(items.tolist(), rows.tolist(), strict=True)))


def commonest(levels: pa.Table, most: int) -> dict[str, int]:
    """The levels that most rows have, of equal ones the first by name."""
    order = [("rows", "descending"), ("name", "ascending")]
    first = levels.take(pc.select_k_unstable(levels, k=most, sort_keys=order))  # names differ, so the order is fixed
    return dict(zip(first["name"].to_pylist(), first["rows"].to_pylist(), strict=True))


def _by_name(found: Mapping[Any, int]) -> pa.Table:
    rows: Counter[str] = Counter()
    for level, count in found.items():  # 1 and "1" have one name
        rows[str(level)] += count
    return pa.table(
        {"name": pa.array(list(rows), pa.large_string()), "rows": pa.array(list(rows.values()), pa.int64())}
    )


def code_names(field: Field) -> dict[str, list[float]]:
    """The declared codes of a number column by the name that the reference gives them."""
    names: dict[str, list[float]] = {}
    for code in field.states:
        names.setdefault(f"{code:g}", []).append(float(code))
    return names


def _floors(kept: Mapping[str, JSON], cells: Mapping[Any, pd.Series[Any]]) -> list[str]:
    return [name for name, facts in kept.items() if facts.get("edges") and not (cells[name] < facts["edges"][0]).any()]


def _floored(facts: Mapping[str, JSON]) -> dict[str, JSON]:
    under = float(np.nextafter(facts["edges"][0], -np.inf))
    return {**facts, "edges": [under, *facts["edges"]], "shares": [0.0, *facts["shares"]]}


def _seen(column: pd.Series[Any]) -> list[int]:
    return _levels_by_rows(level_counts(column.dropna())["rows"].to_numpy())


def _levels_by_rows(rows: Sequence[int] | np.ndarray) -> list[int]:
    most = np.minimum(np.asarray(rows, dtype=np.int64), MOST_SEEN)
    return [int(levels) for levels in np.bincount(most, minlength=MOST_SEEN + 1)[1:]]


def _countable(column: pd.Series[Any]) -> bool:
    plain = bool(pd.api.types.is_numeric_dtype(column)) or str(column.dtype) in ("str", "boolean")
    return plain or holds_lists(column)


def _numbers(column: pd.Series[Any], field: Field) -> dict[str, JSON]:
    """A number column of the inputs, whose declared codes are no numbers."""
    if not field.states or not len(column):
        return _column(column)
    states = {name: float(column.isin(codes).mean()) for name, codes in code_names(field).items()}
    numbers = _column(column[~column.isin(field.states)])
    return {**numbers, "missing": float(column.isna().mean()), "states": states}


def _column(column: pd.Series[Any]) -> dict[str, JSON]:
    present = column.dropna()
    facts: dict[str, JSON] = {"missing": float(column.isna().mean()) if len(column) else 0.0}
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        numbers = present.to_numpy(np.float64)
        finite = numbers[np.isfinite(numbers)]  # JSON has no infinite edges
        edges = np.unique(np.quantile(finite, np.linspace(0, 1, BINS + 1)[1:-1])) if len(finite) else np.array([])
        shares = binned(numbers, edges.tolist()) / max(len(numbers), 1)
        return {**facts, "edges": edges.tolist(), "shares": shares.tolist()}
    found = level_counts(present)
    kept = _kept(found)
    if len(kept) == len(found):
        return {**facts, "levels": {level: rows / len(present) for level, rows in kept.items()}}
    chosen = np.random.default_rng(0).permutation(len(present)) < len(present) // 2
    kept, others = _kept(level_counts(present[chosen])), present[~chosen]
    counted = level_counts(others)
    rows_of = dict(zip(counted["name"].to_pylist(), counted["rows"].to_pylist(), strict=True))
    return {
        **facts,
        "levels": {level: rows_of.get(level, 0) / len(others) for level in kept},
        "counted": len(others),
    }


def _kept(levels: pa.Table) -> dict[str, int]:
    return {level: rows for level, rows in commonest(levels, MOST_LEVELS).items() if rows >= FEWEST_ROWS}
