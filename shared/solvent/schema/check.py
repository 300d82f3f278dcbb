"""Check a table row by row: typed good rows, bad rows with their reasons, and what is worth a note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .. import images
from ..tables import BAD_ROW
from . import kinds
from .field import Field
from .reasons import Reasons, rows_of_torn

__all__ = ["Checked", "check", "is_code"]

NOTED_LEVELS = 10
NEEDED_IN_TRAINING = ("entity", "group", "time", "weight")


@dataclass(frozen=True)
class Checked:
    """A table's rows after the check.

    Args:
        good: typed: numbers float64, categories and texts str, times datetime64[us]; the table's index.
        bad: `row` (counted from 1), `reasons` (joined by "; "), then the cells as they were; the table's index.
        notes: what was kept but is unusual -> how often.
    """

    good: pd.DataFrame
    bad: pd.DataFrame
    notes: dict[str, int]


def check(fields: Sequence[Field], table: pd.DataFrame, targets: bool, unique_ids: bool = True) -> Checked:
    """Read the fields' cells and part the rows.

    Args:
        table: a column for each field, and perhaps `BAD_ROW`.
        targets: whether this is a table for training, whose groups, times and weights matter.
        unique_ids: whether a repeated id makes the later row bad.
    """
    reasons = Reasons(len(table))
    notes: dict[str, int] = {}
    ragged = table[BAD_ROW].notna().to_numpy() if BAD_ROW in table.columns else np.zeros(len(table), dtype=bool)
    reasons.add(ragged, lambda row: str(table[BAD_ROW].iloc[row]))
    read = {field.name: _read(field, table[field.name], targets, ragged, reasons, notes) for field in fields}
    if unique_ids:
        for field in fields:
            if field.role == "id":
                _check_repeated(field, read[field.name], table[field.name], reasons)
    for field in fields:
        if field.role == "entity":
            torn = rows_of_torn(field.source, read[field.name], reasons.bad, numbered(table))
            reasons.add(np.isin(np.arange(len(table)), list(torn)), torn.__getitem__)
    for field in fields:
        if field.role == "entity":
            _set_whole_entities_aside(field, pd.Series(read[field.name].array), reasons)
    columns = {name: cells.array for name, cells in read.items()}
    typed = pd.DataFrame(columns, index=table.index, copy=False)
    bad = _bad_rows(table.drop(columns=BAD_ROW, errors="ignore"), reasons)
    return Checked(typed[~reasons.bad] if len(bad) else typed, bad, notes)


def _set_whole_entities_aside(field: Field, entities: pd.Series, reasons: Reasons) -> None:
    """What is left of an entity with a bad row is another series: all its rows are bad."""
    torn = entities[reasons.bad].dropna().unique()
    also = entities.isin(torn).to_numpy() & ~reasons.bad
    reasons.add(also, lambda row: f"{field.source}: another row of {entities.iloc[row]!r} was set aside")


def is_code(field: Field, values: pd.Series) -> pd.Series:
    """Which typed values are declared codes, shape `(rows,)`."""
    return values.isin(field.states)


def numbered(table: pd.DataFrame) -> np.ndarray:
    """What messages call the rows, from 1: their places in the source, where the index knows them."""
    known = isinstance(table.index, pd.RangeIndex)
    return (table.index.to_numpy() if known else np.arange(len(table))).astype(np.int64) + 1


def _bad_rows(table: pd.DataFrame, reasons: Reasons) -> pd.DataFrame:
    cells = table[reasons.bad]
    found = pd.DataFrame(
        {"row": numbered(table)[reasons.bad], "reasons": pd.Series(reasons.texts(), dtype="str").to_numpy()}
    )
    return pd.concat([found.astype({"reasons": "str"}).set_axis(cells.index), cells], axis=1)


def _read(
    field: Field, raw: pd.Series, targets: bool, skipped: np.ndarray, reasons: Reasons, notes: dict[str, int]
) -> pd.Series:
    """Read a column's cells; a row that is `skipped` is bad already and gets no further reason."""
    if field.role == "passthrough":
        return raw
    kind = field.kind or "category"
    as_strings = kind == "id" and field.role != "id"
    cells = kinds.read(raw, "category" if as_strings else kind, field.unit)
    unreadable = cells.unreadable & ~skipped
    if kind == "number" and field.words:
        unreadable &= ~raw.isin(field.words).to_numpy()
    reasons.add(
        unreadable, lambda row: f"{field.source}: {kinds.shown(raw.iloc[row])} {_unreadable(kind, raw.iloc[row])}"
    )
    if field.required or (targets and field.role in NEEDED_IN_TRAINING):
        reasons.add(cells.missing & ~skipped, lambda row: f"{field.source}: is missing")
    values = cells.values
    if kind == "number":
        _check_numbers(field, values, reasons, notes)
    elif kind == "image" and targets:
        _check_images(field, values, reasons)
    elif kind == "list" and field.role == "target":
        values = _checked_labels(field, values, reasons)
    elif field.levels is not None:
        _check_levels(field, cells, reasons, notes)
    return values


def _check_repeated(field: Field, ids: pd.Series, raw: pd.Series, reasons: Reasons) -> None:
    repeated = ids.duplicated().to_numpy() & ids.notna().to_numpy()
    reasons.add(repeated, lambda row: f"{field.source}: {kinds.shown(raw.iloc[row])} is there already, further up")


def _unreadable(kind: str, cell: object) -> str:
    return kinds.UNREADABLE[kind] + kinds.cure(kind, cell)


def _check_numbers(field: Field, values: pd.Series, reasons: Reasons, notes: dict[str, int]) -> None:
    numbers = values.to_numpy()
    infinite = np.isinf(numbers)
    reasons.add(infinite, lambda row: f"{field.source}: is infinite")
    ordinary = ~infinite & ~is_code(field, values).to_numpy() if field.codes else ~infinite
    if field.role == "weight":
        reasons.add(
            ordinary & (numbers < 0), lambda row: f"{field.source}: {numbers[row]:g} is no weight, expected 0 or more"
        )
    if field.allowed is not None:
        low, high = field.allowed
        outside = ordinary & ((numbers < low) | (numbers > high))
        reasons.add(
            outside, lambda row: f"{field.source}: {numbers[row]:g} is outside the declared range {low:g} to {high:g}"
        )
        ordinary = ordinary & ~outside
    if field.role == "feature" and field.low is not None and field.high is not None:
        beyond = int((ordinary & ((numbers < field.low) | (numbers > field.high))).sum())
        if beyond:
            notes[f"{field.source}: outside the training range"] = beyond


def _check_images(field: Field, values: pd.Series, reasons: Reasons) -> None:
    """Decode every image: training is the wrong time to find a damaged one."""
    there = np.flatnonzero(values.notna())
    looks = images.looks(values.iloc[there].tolist(), field.decoder)
    errors = {
        position: look.error for position, look in zip(there.tolist(), looks, strict=True) if look.error is not None
    }
    failing = np.isin(np.arange(len(values)), list(errors))
    reasons.add(failing, lambda row: f"{field.source}: {images.shown(values.iloc[row])} {errors[row]}")


def _checked_labels(field: Field, values: pd.Series, reasons: Reasons) -> pd.Series:
    """Lists of classes, each class spelled as categories are, once in its row."""
    found = values.map(lambda cell: list(dict.fromkeys(map(kinds.canonical, cell))), na_action="ignore")
    empty = np.fromiter((isinstance(cell, list) and None in cell for cell in found), bool, len(found))
    reasons.add(empty, lambda row: f"{field.source}: {kinds.shown(values.iloc[row])} holds an empty class")
    if field.levels is not None:
        known = set(field.levels)
        unseen = np.fromiter(
            (isinstance(cell, list) and not known.issuperset(cell) for cell in found), bool, len(found)
        )
        reasons.add(unseen & ~empty, lambda row: f"{field.source}: unknown class in {kinds.shown(values.iloc[row])}")
    return found


def _check_levels(field: Field, cells: kinds.Cells, reasons: Reasons, notes: dict[str, int]) -> None:
    values, known = cells.values, {*(field.levels or ()), *field.states}
    if field.open or known.issuperset(cells.levels):
        return
    unseen = ~(values.isna() | values.isin(list(known))).to_numpy()
    if field.role == "target":
        reasons.add(unseen, lambda row: f"{field.source}: unknown class {kinds.shown(values.iloc[row])}")
    elif field.role == "feature" and unseen.any():
        counts = values[unseen].value_counts()
        for level, count in counts.iloc[:NOTED_LEVELS].items():
            notes[f"{field.source}: unseen category {level!r}"] = int(count)
        if len(counts) > NOTED_LEVELS:
            rest = f"{field.source}: {len(counts) - NOTED_LEVELS:,} other unseen categories"
            notes[rest] = int(counts.iloc[NOTED_LEVELS:].sum())
