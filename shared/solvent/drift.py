"""The scored data beside the training data. For now: the training distribution that a bundle keeps for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .schema import Field, Schema
from .solution import JSON

__all__ = ["reference"]

BINS = 10
MOST_LEVELS = 50
FEWEST_ROWS = 5  # a level that fewer rows have could tell who they are


def reference(train: pd.DataFrame, schema: Schema, scored: pd.DataFrame) -> dict[str, JSON]:
    """The distribution of the inputs in training and of the scores on validation rows; it holds no row.

    Returns:
        For each column: for numbers the inner edges of ten bins of equal share and their shares, for categories
        the shares of the commonest levels that at least five rows have; always the share missing. Declared codes of
        a number column are `states`, with their share of all rows, and count among neither numbers nor missing. Of
        lists, `levels` are the shares of rows that have each item: they need not sum to 1.
    """
    inputs = {
        field.source: _numbers(train[field.name], field) if field.kind == "number" else _column(train[field.name])
        for field in schema.features
        if field.kind in ("number", "category")
    }
    outputs = {name: _column(scored[name]) for name in scored if name != "error" and _countable(scored[name])}
    return {"rows": len(train), "inputs": inputs, "outputs": outputs}


def _countable(column: pd.Series[Any]) -> bool:
    plain = bool(pd.api.types.is_numeric_dtype(column)) or str(column.dtype) in ("str", "boolean")
    return plain or _holds_lists(column)


def _holds_lists(column: pd.Series[Any]) -> bool:
    present = column.dropna()
    return column.dtype == object and len(present) > 0 and all(isinstance(cell, list) for cell in present)


def _numbers(column: pd.Series[Any], field: Field) -> dict[str, JSON]:
    """A number column of the inputs, whose declared codes are no numbers."""
    if not field.states or not len(column):
        return _column(column)
    states = {f"{code:g}": float((column == code).mean()) for code in field.states}
    numbers = _column(column[~column.isin(field.states)])
    return {**numbers, "missing": float(column.isna().mean()), "states": states}


def _column(column: pd.Series[Any]) -> dict[str, JSON]:
    present = column.dropna()
    facts: dict[str, JSON] = {"missing": float(column.isna().mean()) if len(column) else 0.0}
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        numbers = present.to_numpy(np.float64)
        edges = np.unique(np.quantile(numbers, np.linspace(0, 1, BINS + 1)[1:-1])) if len(numbers) else np.array([])
        counts = np.bincount(np.searchsorted(edges, numbers, side="left"), minlength=len(edges) + 1)
        return {**facts, "edges": edges.tolist(), "shares": (counts / max(len(numbers), 1)).tolist()}
    items = present.map(set).explode().dropna() if _holds_lists(column) else present
    found = items.astype("str").value_counts().head(MOST_LEVELS)
    common = found[found >= FEWEST_ROWS]
    return {**facts, "levels": {str(level): float(count / len(present)) for level, count in common.items()}}
