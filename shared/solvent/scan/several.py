"""Targets whose rows may have several classes: the cells are lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from ..schema import Field, Schema
from ..solution import Finding
from ..wording import listed, many

__all__ = ["rows_by_class", "several_classes"]

RARE, VERY_RARE = 10, 100  # so many times as many rows without the class as with it


def rows_by_class(cells: pd.Series[Any], field: Field) -> pd.Series[int]:
    """How many rows have each class, the most frequent first; a known class that none has is among them."""
    counts = cells.explode().value_counts()
    absent = [level for level in field.levels or () if level not in counts.index]
    return counts.reindex([*counts.index, *absent], fill_value=0)


def several_classes(parts: Mapping[str, pd.DataFrame], schema: Schema) -> Iterator[Finding]:
    """What is remarkable about the classes of such a target: all alike, always there, rare, none."""
    for field in schema.targets:
        if field.kind != "list":
            continue
        for part, table in parts.items():
            yield from _all_alike(part, table, field)
        if "train" in parts:
            yield from _classes(parts["train"][field.name], field)


def _all_alike(part: str, table: pd.DataFrame, field: Field) -> Iterator[Finding]:
    combinations = table[field.name].map(lambda classes: ", ".join(sorted(classes)) or "none")
    if combinations.nunique() == 1:
        yield Finding(
            name="one_class",
            severity="warning" if part == "valid" else "refusal",
            message=f"Column {field.source}: all {many(len(table), f'{part} row')} have the same classes "
            f"({combinations.iloc[0]}); nothing can be {'learnt' if part == 'train' else 'measured'} from that.",
            cure="Give rows with other classes, or use data.split: {by: stratified}.",
            columns=(field.source,),
            count=len(table),
        )


def _classes(cells: pd.Series[Any], field: Field) -> Iterator[Finding]:
    """What is remarkable about the classes of the training rows."""
    rows, counts = len(cells), rows_by_class(cells, field)
    empty = int((cells.str.len() == 0).sum())
    single, always = (sorted(counts.index[counts == count]) for count in (1, rows))
    rare, fewest = (counts.index[-1], int(counts.iloc[-1])) if len(counts) else ("", 0)
    yield from _found(
        field,
        "one_class",
        "warning",
        len(single),
        f"{many(len(single), 'class', 'classes')} with a single training row: {listed(single, 5)}.",
        "Merge rare classes into others, or give more rows of them.",
    )
    yield from _found(
        field,
        "ever_present_class",
        "warning",
        len(always),
        f"every training row has {listed(always, 5)}, so nothing can be learnt of it.",
        "Give rows without it, or leave it out of the lists.",
    )
    yield from _found(
        field,
        "imbalance",
        "warning" if rows - fewest > VERY_RARE * fewest else "note",
        fewest if rows - fewest > RARE * fewest else 0,
        f"{rare!r} has only {fewest:,} of {rows:,} training rows. Always answering that it is not there is right in "
        f"{1 - fewest / rows:.1%} of the rows.",
        "Judge a rare class by its average precision or recall rather than by accuracy.",
    )
    yield from _found(
        field,
        "no_class",
        "note",
        empty,
        f"{empty:,} of {many(rows, 'training row')} have no class.",
        "They teach that nothing is there. Leave out the rows that nobody has looked at.",
    )


def _found(field: Field, name: str, severity: Any, count: int, message: str, cure: str) -> Iterator[Finding]:
    """The finding, where anything was counted."""
    if count:
        yield Finding(
            name=name,
            severity=severity,
            message=f"Column {field.source}: {message}",
            cure=cure,
            columns=(field.source,),
            count=count,
        )
