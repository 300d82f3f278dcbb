"""What a solution's functions promise, checked at the seam: who returned what, and what was expected."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pandas as pd

from .errors import Refused, SolventError
from .schedule import refits
from .schema import Schema
from .schema.kinds import shown
from .solution import (
    JSON,
    Column,
    Columns,
    Figure,
    Finding,
    Fitted,
    Goal,
    Kind,
    Marked,
    Output,
    Score,
    Series,
    Sums,
    Table,
    Texts,
    Type,
    Weighted,
)
from .wording import listed, suggestion

__all__ = [
    "CONTEXT",
    "BrokenPromise",
    "checked_cases",
    "checked_columns",
    "checked_explained",
    "checked_facts",
    "checked_figures",
    "checked_findings",
    "checked_fitted",
    "checked_goal",
    "checked_metrics",
    "checked_outside",
    "checked_score",
    "checked_slices",
    "checked_unseen",
    "empty",
    "expanded",
    "is_context",
    "typed",
]

ERROR, NOTE, CONTEXT = "error", "note", "context"
REPORT, TEST_SCORES = "report.html", "test_scores.parquet"
IN_A_BUNDLE = (  # what a bundle's folder holds already
    "MODEL_CARD.md",
    "SHA256SUMS",
    "assets",
    "bundle.json",
    "models",
    "reference.json",
    REPORT,
    "runtime",
    TEST_SCORES,
)
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
    named = hasattr(function, "__qualname__")
    name = f"{function.__module__}:{function.__qualname__}" if named else repr(function)
    return BrokenPromise(f"{name} returned {found}; expected {expected}.")


def _kind(value: Any) -> str:
    if value is None:
        return "None (is a return missing?)"
    if callable(value) and hasattr(value, "__qualname__"):
        return f"the function {value.__qualname__} (is a call missing?)"
    name = type(value).__name__
    return f"{'an' if name.lower().startswith(('a', 'e', 'i', 'o', 'nd')) else 'a'} {name}"


def checked_columns(function: Any, value: Any) -> Columns:
    """The columns that a solution declares."""
    if not isinstance(value, Columns):
        raise _broken(function, _kind(value), "solvent.Columns")
    kinds: dict[str, type] = {"inputs": Column, "targets": Column, "outputs": Output}
    for part, kind in kinds.items():
        items = getattr(value, part)
        if not isinstance(items, (tuple, list)):
            raise _broken(function, f"{part} as {_kind(items)}", f"a tuple, such as ({kind.__name__}(...),)")
        if wrong := [each for each in items if not isinstance(each, kind)]:
            raise _broken(function, f"{part} with {_kind(wrong[0])}", f"solvent.{kind.__name__} in it")
    if not value.outputs:
        raise _broken(function, "no outputs", "at least one solvent.Output")
    for column in (*value.inputs, *value.targets):
        if column.kind not in get_args(Kind):
            raise _broken(function, f"{column.name} of kind {column.kind!r}", f"one of {', '.join(get_args(Kind))}")
    targets = [item.name for item in value.targets]
    for output in value.outputs:
        if output.type not in _DTYPES:
            raise _broken(function, f"{output.name} of type {output.type!r}", f"one of {', '.join(_DTYPES)}")
        if output.each is not None and output.each not in targets:
            known = f"the name of a target ({', '.join(targets) or 'there is none'})"
            raise _broken(function, f"{output.name} for each {output.each!r}", known)
        if output.adverse is not None and output.predicts not in targets:
            expected = f"predicts to name the target ({', '.join(targets) or 'there is none'}) that has this class"
            raise _broken(function, f"{output.name} with the adverse class {output.adverse!r}", expected)
    _check_chances(function, value.outputs, targets)
    names = [*(item.name for item in (*value.inputs, *value.targets)), *(item.name for item in value.outputs)]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise _broken(function, f"the name {doubled[0]!r} twice", "each name once among inputs, targets and outputs")
    if ERROR in names:
        raise _broken(function, "a column named 'error'", "another name: the runner adds that column itself")
    return value


def _check_chances(function: Any, outputs: Sequence[Output], targets: Sequence[str]) -> None:
    for output in outputs:
        if output.chance_of is None:
            continue
        what = f"{output.name} as a chance of {output.chance_of!r}"
        if output.chance_of not in targets or output.each not in (None, output.chance_of):
            raise _broken(function, what, f"the name of a target ({', '.join(targets) or 'there is none'})")
        if (output.positive is None) != (output.each is not None):
            raise _broken(function, what, "positive to name the class, or each to name the target")
        if _decider(output, outputs) is None:
            raise _broken(function, what, "decided_by to name an output, or one that predicts the target")


def _decider(chance: Output, outputs: Sequence[Output]) -> str | None:
    """The name of the output that decides by a probability; None where there is none."""
    if chance.decided_by is not None:
        return next((item.name for item in outputs if item.name == chance.decided_by), None)
    return next((item.name for item in outputs if item.predicts == chance.chance_of), None)


def expanded(columns: Columns, schema: Schema) -> tuple[Output, ...]:
    """The outputs of a run: those that stand for each class of a target, and what decides by a chance, are spelt out.

    Raises:
        Refused: if a class makes the name of another output, or an adverse class is none of the target's.
    """
    found: list[Output] = []
    for item in columns.outputs:
        if item.chance_of is not None:
            item = replace(item, decided_by=_decider(item, columns.outputs))
        if item.each is None:
            found.append(item)
        else:
            levels = schema.field(item.each).levels or ()
            for level in levels:
                one = replace(item, name=f"{item.name}_{level}", meaning=f"{item.meaning}: {level}", each=None)
                last_of_two = len(levels) == 2 and level == levels[-1]
                found.append(
                    replace(one, positive=level)
                    if last_of_two and item.chance_of is not None
                    else replace(one, chance_of=None, decided_by=None)
                )
    for item in found:
        if item.adverse is None or item.predicts is None:
            continue
        target = schema.field(item.predicts)
        if target.levels and item.adverse not in target.levels:
            raise Refused(
                f"{item.name} counts {item.adverse!r} as adverse, and {target.source} has the classes "
                f"{listed(target.levels)}.{suggestion(item.adverse, target.levels)} Name one of them in the settings."
            )
    names = [item.name for item in found]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise Refused(f"The classes of the target give two outputs the name {doubled[0]!r}. Rename a class.")
    return tuple(found)


def checked_goal(function: Any, value: Any) -> Goal:
    """The headline of a solution."""
    if not isinstance(value, Goal):
        raise _broken(function, _kind(value), "solvent.Goal, such as Goal('auc')")
    return value


def checked_outside(function: Any, value: Any) -> dict[str, str]:
    """The hashes of what training takes from outside."""
    if not isinstance(value, Mapping):
        raise _broken(function, _kind(value), "a dictionary of hashes, by the setting that names each thing")
    if wrong := [name for name, item in value.items() if not (isinstance(name, str) and isinstance(item, str))]:
        raise _broken(function, f"{wrong[0]!r} with {_kind(value[wrong[0]])}", "a text for each name")
    return dict(value)


def checked_facts(function: Any, value: Any) -> dict[str, JSON]:
    """The facts that a solution sets anew."""
    if not isinstance(value, Mapping):
        raise _broken(function, _kind(value), "a dictionary of facts")
    return dict(value)


def checked_findings(function: Any, value: Any) -> list[Finding]:
    """What a solution's `checks` found."""
    return _items(function, value, Finding, "a list of solvent.Finding, empty where there is nothing to say")


def checked_figures(function: Any, value: Any) -> list[Figure | Texts]:
    """The figures that a solution draws, and the texts that it marks, in its order."""
    found = _items(function, value, (Figure, Texts), "solvent.Figure or solvent.Texts, none or several")
    for texts in found:
        if isinstance(texts, Texts):
            expected = f"solvent.Marked as the items of {texts.title!r}"
            for item in _items(function, texts.items, Marked, expected):
                _check_pieces(function, texts.title, item.pieces)
    return found


def _check_pieces(function: Any, title: str, pieces: Any) -> None:
    expected = f"a text and its weight in [-1, 1] for each piece of {title!r}, such as (('bad', -0.4), (' film', 0.0))"
    if not isinstance(pieces, (tuple, list)):
        raise _broken(function, f"pieces as {_kind(pieces)}", expected)
    for piece in pieces:
        match piece:
            case (str(), int() | float() | np.integer() | np.floating() as weight) if -1 <= weight <= 1:
                pass
            case _:
                raise _broken(function, f"the piece {shown(piece)}", expected)


def checked_slices(function: Any, value: Any, rows: Table) -> dict[str, Series]:
    """The levels that a solution tells its cases apart by.

    Returns:
        For each name a categorical, the levels of others sorted; numbers stay numbers.
    """
    expected = "a mapping of names to Series, each with the level of every case"
    if not isinstance(value, Mapping):
        raise _broken(function, _kind(value), expected)
    found = {}
    for name, levels in value.items():
        if not isinstance(name, str) or not isinstance(levels, pd.Series):
            raise _broken(function, f"{name!r} with {_kind(levels)}", expected)
        if not levels.index.equals(rows.index):
            other = f"{len(levels)} cells{' with another index' if len(levels) == len(rows) else ''}"
            raise _broken(function, f"{name!r} with {other}", f"the same index as the {len(rows)} cases it got")
        if pd.api.types.is_numeric_dtype(levels) and not pd.api.types.is_bool_dtype(levels):
            found[name] = levels
            continue
        try:
            found[name] = levels.astype("category")
        except TypeError as error:  # lists, arrays, dictionaries
            found_instead = f"{name!r} with cells that can't be levels ({error})"
            raise _broken(function, found_instead, "texts, numbers, booleans or a categorical") from error
    return found


def _items(function: Any, value: Any, kind: Any, expected: str) -> list[Any]:
    if not isinstance(value, Iterable) or isinstance(value, (str, bytes, Mapping)):
        raise _broken(function, _kind(value), expected)
    items = list(value)
    if wrong := [item for item in items if not isinstance(item, kind)]:
        raise _broken(function, f"{_kind(wrong[0])} among others", expected)
    return items


def checked_cases(function: Any, value: Any) -> Table:
    """The rows that a solution wants scored and measured: a table whose index names each row once."""
    if not isinstance(value, pd.DataFrame):
        raise _broken(function, _kind(value), "a DataFrame")
    if not value.index.is_unique:
        repeated = value.index[value.index.duplicated()][0]
        raise _broken(function, f"the index {repeated} twice", "an index that names each case once")
    return value


def checked_fitted(function: Any, value: Any) -> Fitted:
    """What a solution's `fit` left."""
    import keras

    if not isinstance(value, Fitted):
        raise _broken(function, _kind(value), "solvent.Fitted")
    for part in ("models", "facts", "assets", "files"):
        items = getattr(value, part)
        if not isinstance(items, Mapping):
            raise _broken(function, f"{part} as {_kind(items)}", "a mapping of names, such as {'model': ...}")
        if wrong := [name for name in items if part in ("models", "assets") and not _is_file_name(name)]:
            expected = "a name of letters, digits, - and _, since it becomes a file's name"
            raise _broken(function, f"{part} named {wrong[0]!r}", expected)
    for name, model in value.models.items():
        if not isinstance(model, keras.Model):
            raise _broken(function, f"models[{name!r}] as {_kind(model)}", "a keras.Model")
    for name, asset in value.assets.items():
        if not isinstance(asset, (pd.DataFrame, np.ndarray, bytes)):
            raise _broken(function, f"assets[{name!r}] as {_kind(asset)}", "a DataFrame, an array or bytes")
    _check_files(function, value.files)
    if not isinstance(value.findings, (tuple, list)):
        raise _broken(function, f"findings as {_kind(value.findings)}", "a tuple of solvent.Finding")
    for item in _items(function, value.findings, Finding, "findings that are solvent.Finding"):
        if item.severity == "refusal":
            expected = "a note or a warning: rows are refused before they are fitted, by `checks`"
            raise _broken(function, f"the finding {item.name!r} as a refusal", expected)
    if value.valid is not None and not (isinstance(value.valid, pd.DataFrame) and value.valid.index.is_unique):
        raise _broken(function, f"valid as {_kind(value.valid)}", "a DataFrame that has each validation case once")
    if isinstance(value.personal, str) or not isinstance(value.personal, (Set, Sequence)):
        raise _broken(function, f"personal as {_kind(value.personal)}", "a frozenset of names of assets")
    known = {*value.assets, *value.files, REPORT, TEST_SCORES}
    if unknown := sorted(set(value.personal) - known):
        raise _broken(function, f"personal {unknown[0]!r} that is no asset or file", f"names among {sorted(known)}")
    if not isinstance(value.batch_rows, int) or value.batch_rows < 1:
        raise _broken(function, f"batch_rows={value.batch_rows!r}", "a whole number of rows, 1 or more")
    return value


def _check_files(function: Any, files: Mapping[str, bytes]) -> None:
    taken = {name.casefold() for name in IN_A_BUNDLE}  # some file systems don't tell case apart
    for name, data in files.items():
        if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]*", name):
            expected = "letters, digits, ., - and _, since it lies in the bundle's folder under this name"
            raise _broken(function, f"files named {name!r}", expected)
        if name.casefold() in taken:
            raise _broken(function, f"files named {name!r}, which the bundle has already", "a name of its own")
        taken.add(name.casefold())
        if not isinstance(data, bytes):
            raise _broken(function, f"files[{name!r}] as {_kind(data)}", "bytes")


def _is_file_name(name: Any) -> bool:
    return isinstance(name, str) and re.fullmatch(r"\w[\w-]*", name) is not None


def checked_metrics(function: Any, value: Any, goal: Goal, rows: int) -> dict[str, float | Sums | Weighted]:
    """What a solution's `metrics` found."""
    if not isinstance(value, Mapping):
        raise _broken(function, _kind(value), "a mapping of metric names to numbers, Sums or Weighted")
    if goal.metric not in value:
        raise _broken(function, f"the metrics {sorted(value)}", f"the headline {goal.metric!r} among them")
    for name, metric in value.items():
        if not isinstance(metric, (int, float, np.integer, np.floating, Sums, Weighted)):
            raise _broken(function, f"{name} as {_kind(metric)}", "a number, Sums or Weighted")
        if isinstance(metric, Sums) and np.ndim(metric.rows) != 2:
            raise _broken(function, f"{name} with Sums.rows of shape {np.shape(metric.rows)}", f"shape ({rows}, k)")
        count = len(metric.rows) if isinstance(metric, Sums) else metric.rows if isinstance(metric, Weighted) else rows
        if count != rows:
            raise _broken(function, f"{name} over {count} rows", f"one entry for each of the {rows} rows")
    return dict(value)


def checked_score(function: Any, score: Any, outputs: Sequence[Output]) -> Score:
    """A scorer whose every table is checked and has the declared columns and types, and `error`."""
    if not callable(score):
        raise _broken(function, _kind(score), "a function from table to table")

    def run(table: pd.DataFrame) -> pd.DataFrame:
        if table.empty:
            return empty(outputs, table.index)
        found = score(table)
        if not isinstance(found, pd.DataFrame):
            raise _broken(function, f"a scorer that returned {_kind(found)}", "a DataFrame")
        if not found.index.equals(table.index):
            rows = f"{len(found)} rows{' with another index' if len(found) == len(table) else ''}"
            raise _broken(function, f"a scorer that returned {rows}", f"the same index as the {len(table)} rows it got")
        names = {item.name for item in outputs}
        if doubled := sorted(map(str, found.columns[found.columns.duplicated()])):
            raise _broken(function, f"a scorer whose table has {doubled[0]!r} twice", "each declared output once")
        extra = sorted(map(str, set(found.columns) - names - {ERROR, NOTE, CONTEXT}))
        if lacking := sorted(names - set(found.columns)):
            instead = f", and has {extra}, which columns() does not declare: was one renamed" if extra else ""
            raise _broken(
                function, f"a scorer whose table lacks {lacking}{instead}", f"the declared outputs {sorted(names)}"
            )
        if extra:
            raise _broken(
                function, f"a scorer whose table also has {extra}", "only what columns() declares; add solvent.Output"
            )
        return typed(function, found, outputs)

    return run


def checked_explained(function: Any, value: Any, rows: Table) -> Table:
    """What a solution's `explain` says of rows: a table with their index.

    Returns:
        The same with `error` as its last column, and whole numbers and booleans in types that hold nulls, so that no
        type depends on which rows could be explained.
    """
    if not isinstance(value, pd.DataFrame):
        raise _broken(function, _kind(value), "a DataFrame")
    if not value.index.equals(rows.index):
        found = f"{len(value)} rows{' with another index' if len(value) == len(rows) else ''}"
        raise _broken(function, found, f"the same index as the {len(rows)} rows it got")
    if doubled := sorted(map(str, value.columns[value.columns.duplicated()])):
        raise _broken(function, f"{doubled[0]!r} twice", "each column once")
    if CONTEXT in value:
        _check_context(function, value[CONTEXT])
    errors = value[ERROR].astype("str") if ERROR in value else pd.Series(None, index=value.index, dtype="str")
    kinds = {name: value[name].dtype.kind for name in value.columns.drop(ERROR, errors="ignore")}
    nullable = {name: "boolean" if kind == "b" else "Int64" for name, kind in kinds.items() if kind in "biu"}
    return value[list(kinds)].astype(nullable).assign(**{ERROR: errors})


def checked_unseen(function: Any, score: Score, valid: Table | None, settings: Any, outputs: Sequence[Output]) -> Score:
    """The scores of validation rows by models that had not seen them: the scorer itself, unless it was refitted.

    Args:
        valid: what `Fitted.valid` or `Refitted.valid` holds.
    """
    if valid is None and refits(settings):
        raise _broken(function, "no scores of the validation rows", "`valid`, since settings.training.refit is true")
    if valid is None:
        return score

    def held(rows: pd.DataFrame) -> pd.DataFrame:
        if missing := len(rows.index.difference(valid.index)):
            raise _broken(function, f"`valid` without {missing} of {len(rows)} validation rows", "a row for each")
        found: pd.DataFrame = valid.loc[rows.index]
        return found

    return checked_score(function, held, outputs)


def checked_usual(function: Any, fitted: Fitted, valid: Table, outputs: Sequence[Output]) -> Table:
    """The scores that drift is measured from: `Fitted.usual`, or else those of the validation rows."""
    if fitted.usual is None:
        return valid
    if not isinstance(fitted.usual, pd.DataFrame) or fitted.usual.empty:
        raise _broken(function, f"usual as {_kind(fitted.usual)}", "a DataFrame with at least one scored row, or None")
    usual = fitted.usual
    return checked_score(function, lambda rows: usual, outputs)(usual)


def typed(function: Any, table: pd.DataFrame, outputs: Sequence[Output]) -> pd.DataFrame:
    """The outputs in their declared order and types, `error`, and `note` and `context` if there are any; rows with an
    error are null elsewhere, and so is context.

    A row without an error whose cell is null where the output is not `nullable`, or is no finite number, gets one.
    """
    errors = table[ERROR].astype("str") if ERROR in table else pd.Series(None, index=table.index, dtype="str")
    told = CONTEXT in table and CONTEXT not in {item.name for item in outputs}
    if told:
        _check_context(function, table[CONTEXT])
    context = table[CONTEXT].to_numpy(bool) & errors.isna().to_numpy() if told else np.zeros(len(table), dtype=bool)
    columns: dict[str, pd.Series] = {}
    for item in outputs:
        try:
            columns[item.name] = table[item.name].astype(_DTYPES[item.type])
        except (TypeError, ValueError) as error:
            raise _broken(
                function,
                f"{item.name} as {table[item.name].dtype}",
                f"cells of the declared type {item.type} ({error})",
            ) from error
    for item in outputs:
        nothing = _nothing(columns[item.name], item) & ~context
        if nothing.any():
            what = "number" if item.type in ("float", "integer") else "value"
            errors = errors.mask(nothing & errors.isna(), f"the model gave no {what} for {item.name}")
    unanswered = errors.notna() | context
    if unanswered.any():
        columns = {name: column.mask(unanswered) for name, column in columns.items()}
    notes = {NOTE: table[NOTE].astype("str")} if NOTE in table and NOTE not in columns else {}
    read = {CONTEXT: context} if told else {}
    return pd.DataFrame({**columns, ERROR: errors, **notes, **read}, index=table.index)


def _check_context(function: Any, context: pd.Series[Any]) -> None:
    if context.dtype.kind != "b" or context.isna().any():  # NaN would be read as true
        kind = f"{CONTEXT} as {context.dtype} with {int(context.isna().sum())} nulls"
        raise _broken(function, kind, "booleans: true for a row that was read for others' sake only, false for others")


def is_context(scored: Table) -> np.ndarray:
    """Which rows were read for other rows' sake only, shape `(rows,)`.

    Args:
        scored: what a checked scorer, or `Bundle.explain`, returned.
    """
    return np.asarray(scored[CONTEXT], dtype=bool) if CONTEXT in scored else np.zeros(len(scored), dtype=bool)


def _nothing(column: pd.Series, output: Output) -> np.ndarray:
    """Which cells are no finite number, or missing where they may not be, shape `(rows,)`."""
    numbers = output.type == "float"
    infinite = np.isinf(column.to_numpy()) if numbers else np.zeros(len(column), dtype=bool)
    return infinite if output.nullable else infinite | column.isna().to_numpy(dtype=bool)


def empty(outputs: Sequence[Output], index: pd.Index, errors: Any = None) -> pd.DataFrame:
    """A table of nulls in the declared types, for rows that could not be scored."""
    blank = {item.name: pd.Series(None, index=index, dtype="object") for item in outputs}
    return typed(empty, pd.DataFrame({**blank, ERROR: pd.Series(errors, index=index, dtype="str")}), outputs)
