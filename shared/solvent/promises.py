"""What a solution's functions promise, checked at the seam: who returned what, and what was expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .errors import SolventError
from .schema import Schema
from .solution import Columns, Fitted, Goal, Output, Score, Sums, Type, Weighted

__all__ = [
    "BrokenPromise",
    "checked_columns",
    "checked_fitted",
    "checked_metrics",
    "checked_score",
    "empty",
    "expanded",
    "typed",
]

ERROR = "error"
_DTYPES: dict[Type, Any] = {
    "float": "float64",
    "integer": "Int64",
    "string": "str",
    "boolean": "boolean",
    "bytes": "object",
    "list": "object",
    "time": "datetime64[us]",
}


class BrokenPromise(SolventError):
    """A function of a solution returned something else than the contract says."""


def _broken(function: Any, found: str, expected: str) -> BrokenPromise:
    name = repr(function) if not hasattr(function, "__qualname__") else f"{function.__module__}:{function.__qualname__}"
    return BrokenPromise(f"{name} returned {found}; expected {expected}.")


def _kind(value: Any) -> str:
    return "None (is a return missing?)" if value is None else f"a {type(value).__name__}"


def checked_columns(function: Any, value: Any) -> Columns:
    """The columns that a solution declares."""
    if not isinstance(value, Columns):
        raise _broken(function, _kind(value), "solvent.Columns")
    if not value.outputs:
        raise _broken(function, "no outputs", "at least one solvent.Output")
    names = [item.name for item in (*value.inputs, *value.targets, *value.outputs)]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise _broken(function, f"the name {doubled[0]!r} twice", "each name once among inputs, targets and outputs")
    if ERROR in names:
        raise _broken(function, "a column named 'error'", "another name: the runner adds that column itself")
    return value


def expanded(columns: Columns, schema: Schema) -> tuple[Output, ...]:
    """The outputs of a run: those that stand for each class of a target are spelt out."""
    found: list[Output] = []
    for item in columns.outputs:
        if item.each is None:
            found.append(item)
        else:
            for level in schema.field(item.each).levels or ():
                found.append(Output(name=f"{item.name}_{level}", type=item.type, meaning=f"{item.meaning}: {level}"))
    return tuple(found)


def checked_fitted(function: Any, value: Any) -> Fitted:
    """What a solution's `fit` left."""
    import keras

    if not isinstance(value, Fitted):
        raise _broken(function, _kind(value), "solvent.Fitted")
    for name, model in value.models.items():
        if not isinstance(model, keras.Model):
            raise _broken(function, f"models[{name!r}] as {_kind(model)}", "a keras.Model")
    for name, asset in value.assets.items():
        if not isinstance(asset, (pd.DataFrame, np.ndarray, bytes)):
            raise _broken(function, f"assets[{name!r}] as {_kind(asset)}", "a DataFrame, an array or bytes")
    if unknown := sorted(value.personal - set(value.assets)):
        raise _broken(
            function, f"personal asset {unknown[0]!r} that is no asset", f"names among {sorted(value.assets)}"
        )
    return value


def checked_metrics(function: Any, value: Any, goal: Goal, rows: int) -> dict[str, float | Sums | Weighted]:
    """What a solution's `metrics` found."""
    if not isinstance(value, Mapping):
        raise _broken(function, _kind(value), "a mapping of metric names to numbers, Sums or Weighted")
    if goal.metric not in value:
        raise _broken(function, f"the metrics {sorted(value)}", f"the headline {goal.metric!r} among them")
    for name, metric in value.items():
        count = len(metric.rows) if isinstance(metric, Sums) else metric.rows if isinstance(metric, Weighted) else rows
        if not isinstance(metric, (int, float, np.floating, Sums, Weighted)):
            raise _broken(function, f"{name} as {_kind(metric)}", "a number, Sums or Weighted")
        if count != rows:
            raise _broken(function, f"{name} over {count} rows", f"one entry for each of the {rows} rows")
    return dict(value)


def checked_score(function: Any, score: Any, outputs: Sequence[Output]) -> Score:
    """A scorer whose every table is checked and has the declared columns and types, and `error`."""
    if not callable(score):
        raise _broken(function, _kind(score), "a function from table to table")

    def run(table: pd.DataFrame) -> pd.DataFrame:
        found = score(table)
        if not isinstance(found, pd.DataFrame):
            raise _broken(function, f"a scorer that returned {_kind(found)}", "a DataFrame")
        if not found.index.equals(table.index):
            raise _broken(
                function, f"a scorer that returned {len(found)} rows", f"the same index as the {len(table)} rows it got"
            )
        names = {item.name for item in outputs}
        if lacking := sorted(names - set(found.columns)):
            raise _broken(function, f"a scorer whose table lacks {lacking}", f"the declared outputs {sorted(names)}")
        if extra := sorted(map(str, set(found.columns) - names - {ERROR})):
            raise _broken(
                function, f"a scorer whose table also has {extra}", "only what columns() declares; add solvent.Output"
            )
        return typed(function, found, outputs)

    return run


def typed(function: Any, table: pd.DataFrame, outputs: Sequence[Output]) -> pd.DataFrame:
    """The outputs in their declared order and types, and `error`; rows with an error are null elsewhere."""
    errors = table[ERROR].astype("str") if ERROR in table else pd.Series(None, index=table.index, dtype="str")
    columns: dict[str, Any] = {}
    for item in outputs:
        try:
            column = table[item.name].astype(_DTYPES[item.type])
        except (TypeError, ValueError) as error:
            raise _broken(
                function,
                f"{item.name} as {table[item.name].dtype}",
                f"cells of the declared type {item.type} ({error})",
            ) from error
        columns[item.name] = column.mask(errors.notna()) if errors.notna().any() else column
    return pd.DataFrame({**columns, ERROR: errors}, index=table.index)


def empty(outputs: Sequence[Output], index: pd.Index, errors: Any = None) -> pd.DataFrame:
    """A table of nulls in the declared types, for rows that could not be scored."""
    blank = {item.name: pd.Series(None, index=index, dtype="object") for item in outputs}
    return typed(empty, pd.DataFrame({**blank, ERROR: pd.Series(errors, index=index, dtype="str")}), outputs)
