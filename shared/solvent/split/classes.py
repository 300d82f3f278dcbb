"""Whether every fold has the classes that fitting needs. The public face is `split`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from ..errors import Refused
from ..schema import Field, Schema
from ..wording import many
from . import Parts, cutting

__all__ = ["refuse_lost_classes"]


def refuse_lost_classes(table: pd.DataFrame, cuts: Sequence[Parts], schema: Schema, seed: int) -> None:
    """What `split.refuse_lost_classes` promises."""
    targets = [field for field in schema.targets if field.kind == "category" and not field.open and field.name in table]
    for number, cut in enumerate(cuts, start=1):
        train, valid = table.iloc[cut.train], table.iloc[cut.valid]
        halves = cutting.halves(valid, schema, seed)
        for field in targets:
            for where, lost in _lost(table[field.name], field, train, halves):
                raise Refused(
                    f"data.split.folds is {len(cuts)}: in fold {number} {where} has no row of class {lost!r} of column "
                    f"{field.source}, which has {many(int((table[field.name] == lost).sum()), 'row')} in all. "
                    f"Use fewer folds{'' if cut.facts.get('by') == 'stratified' else ' or by: stratified'}, "
                    "merge the class into another, or leave its rows out."
                )


def _lost(
    cells: pd.Series, field: Field, train: pd.DataFrame, halves: tuple[pd.DataFrame, pd.DataFrame]
) -> Iterator[tuple[str, str]]:
    """What lacks a class, and which."""
    counts = cells.value_counts().sort_values()  # the rarest first: it is the one to do something about
    for lost in counts.index[~counts.index.isin(train[field.name])]:
        yield "the training part", lost
    if len(counts) < 2:
        return  # the scan refuses that
    for name, half in zip(("chooses", "calibrates"), halves, strict=True):
        # a rare one of many classes may be absent here: nothing but a single class leaves metrics undefined
        if half[field.name].nunique() < 2:
            lost = counts.index[~counts.index.isin(half[field.name])][0]
            yield f"the half of the validation rows that {name}", lost
