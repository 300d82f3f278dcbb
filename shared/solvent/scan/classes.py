"""Classes of a target that no training row has, or that are called as the parts of a split are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import pandas as pd

from ..schema import Schema, kinds
from ..solution import Finding
from ..split import Parts
from ..tables.image_folders import PARTS
from ..wording import listed, many

__all__ = ["named_as_parts", "untaught"]

MOST_CLASSES = 20
NUMBERS = (
    "These are numbers, each a class of its own here: this solution learns classes and no amounts. Take a column of "
    "classes, or make one in your table, such as whether the number is above a limit."
)


def untaught(table: pd.DataFrame, cut: Parts, schema: Schema, allow: Collection[str] = ()) -> Iterator[Finding]:
    """Classes that validation or test rows have and no good training row has: a refusal.

    Such rows can't be scored rightly, so they would have to be set aside; whoever reads the metrics would take them
    for those of all classes.

    Args:
        table: all rows, in the house's names, as they were read.
        schema: with the training rows' classes.
        allow: names of findings that the user accepts.
    """
    for field in schema.targets:
        if field.kind not in ("category", "list") or field.open or not field.levels or field.name not in table:
            continue
        cells = kinds.read(table[field.name], field.kind).values.reset_index(drop=True)
        if field.kind == "list":  # a cell for each of a row's classes
            cells = cells.explode().map(kinds.canonical, na_action="ignore")
        lacking = cells[cells.notna() & ~cells.isin([*field.levels, *field.states])]
        rows = {part: lacking[lacking.index.isin(getattr(cut, part))] for part in ("valid", "test")}
        classes = sorted({name for part in rows.values() for name in part})
        if not classes:
            continue
        counts = {name: part.index.nunique() for name, part in rows.items()}
        where = " and ".join(many(count, f"{name} row") for name, count in counts.items() if count)
        yield Finding(
            name="untaught_class",
            severity="refusal",
            message=f"Column {field.source}: {where} with {many(len(classes), 'class', 'classes')} that no usable "
            f"training row has: {listed(map(kinds.shown, classes), 5)}. No model can learn that, and the figures "
            "would be those of the other classes only.",
            cure=NUMBERS
            if len(classes) > MOST_CLASSES and _are_numbers(classes)
            else "Mend these cells, split so that training has such rows (data.split: {by: stratified}), or merge the "
            "class into another.",
            columns=(field.source,),
            count=sum(counts.values()),
            allowed="untaught_class" in allow,
        )


def named_as_parts(parts: Mapping[str, pd.DataFrame], schema: Schema) -> Iterator[Finding]:
    """Images whose classes are called `test` or the like, as are folders of a data set that was cut: `part_as_class`.

    It is a refusal where no class is called otherwise.
    """
    if not any(field.kind == "image" for field in schema.features):
        return
    for field in schema.targets:
        if field.kind != "category":
            continue
        cells = pd.concat([table[field.name] for table in parts.values() if field.name in table] or [pd.Series()])
        counts = cells.astype("str").value_counts().sort_index()
        odd = [name for name in counts.index if name.lower() in PARTS]
        if not odd:
            continue
        count = int(counts[odd].sum())
        yield Finding(
            name="part_as_class",
            severity="refusal" if len(odd) == len(counts) else "warning",
            message=f"Column {field.source}: {many(count, 'image')} of {many(len(odd), 'class', 'classes')} named like "
            f"a part of a split: {listed(odd)}.",
            cure="If these are folders of a data set that is cut already, name its parts, data: {train: FOLDER, "
            "test: FOLDER}, or the one folder that holds the classes, data: {rows: FOLDER}.",
            columns=(field.source,),
            count=count,
        )


def _are_numbers(classes: Collection[str]) -> bool:
    return bool(pd.to_numeric(pd.Series(list(classes)), errors="coerce").notna().all())
