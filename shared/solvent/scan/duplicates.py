"""Copies: equal and nearly equal texts and images, equal rows; within the parts of a split and across them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import pandas as pd

from ..schema import Field, Schema
from ..solution import Finding, Severity
from ..split.together import content
from ..wording import listed, many
from . import images

__all__ = ["contradictions", "copied_rows", "equal_rows", "repeated_contents"]

Frames = Mapping[str, pd.DataFrame]

GIVEN_COPIES = 0.01  # of test rows; more of them refuse parts that the user gave
BEFORE: Mapping[str, tuple[str, ...]] = {"train": (), "valid": ("train",), "test": ("train", "valid")}


def repeated_contents(parts: Frames, schema: Schema, *, given: bool, near_copies: Severity) -> Iterator[Finding]:
    """Texts and images that occur more than once: findings `copies`, `copies_across` and `near_copies`."""
    for field in schema.features:
        tables = {part: table for part, table in parts.items() if field.name in table}
        if field.kind not in ("text", "image") or field.shared or not tables:
            continue
        cells = pd.concat(
            [
                pd.DataFrame(
                    {
                        "part": part,
                        "key": content(table[field.name], field.kind),
                        "cell": list(table[field.name]),
                        "row": table.index,
                    }
                )
                for part, table in tables.items()
            ],
            ignore_index=True,
        ).dropna(subset="key")
        cells["key"] = cells["key"].astype(object)
        yield from _equal_contents(cells, field, given, {part: len(table) for part, table in tables.items()})
        yield from _nearly_equal(cells, field, near_copies)


def contradictions(parts: Frames, schema: Schema) -> Iterator[Finding]:
    """One image with several labels: finding `contradictions`. A text may well mean two things; a photo shows one."""
    classes = [field for field in schema.targets if field.kind in ("category", "list")]
    for image, target in product((field for field in schema.features if field.kind == "image"), classes):
        rows = pd.concat(
            [table[[image.name, target.name]] for table in parts.values() if {image.name, target.name} <= set(table)]
            or [pd.DataFrame(columns=[image.name, target.name])]
        ).dropna()
        rows = rows.assign(key=content(rows[image.name], "image"))
        rows = rows[rows["key"].duplicated(keep=False)]
        rows = rows.assign(label=[_label(cell) for cell in rows[target.name]])
        rows = rows[rows.groupby("key")["label"].transform("nunique") > 1]
        if rows.empty:
            continue
        groups = rows.groupby("key", sort=False)
        told = (
            " and ".join(f"{images.named(cell, row)} ({label})" for row, cell, label in first.itertuples())
            for first in (group.drop_duplicates("label")[[image.name, "label"]] for _, group in groups)
        )
        yield Finding(
            name="contradictions",
            severity="warning",
            message=f"Column {target.source}: {many(groups.ngroups, 'image')} with copies under another label, in "
            f"{many(len(rows), 'row')}: {listed(told, 5)}.",
            cure="Keep the row whose label is right; where an image may be of several classes, give them in one row.",
            columns=(image.source, target.source),
            count=len(rows),
        )


def _label(cell: Any) -> str:
    return str(cell) if isinstance(cell, str) else ", ".join(sorted(cell)) or "none"


def equal_rows(parts: Frames, schema: Schema) -> Iterator[Finding]:
    """Rows of numbers and categories that are equal; silent where texts or images tell rows apart."""
    if any(item.kind in ("text", "image") for item in schema.features):
        return
    rows = pd.concat([table.assign(**{"part of the split": part}) for part, table in parts.items()]) if parts else None
    names = [item.name for item in schema.features if item.kind in ("number", "category")]
    if rows is None or not names or not set(names) <= set(rows.columns):
        return
    told = []
    for columns in (names, [*names, *(item.name for item in schema.targets if item.name in rows)]):
        marks = pd.DataFrame(
            {
                "part": rows["part of the split"].to_numpy(),
                "key": pd.util.hash_pandas_object(rows[columns], index=False).to_numpy(),
            }
        )
        repeated = marks[marks["key"].duplicated(keep=False)]
        told.append((len(repeated), _across(repeated)[0]))
    (features, test), (targets, test_with_target) = told
    if features:
        yield Finding(
            name="equal_rows",
            severity="note",
            message=f"{many(features, 'row')} equal another in all features; {targets:,} of them in the target too. "
            f"{many(test, 'test row')} equal a train or valid row ({test_with_target:,} in the target too).",
            cure="This is ordinary where columns are few; check that no row was entered twice.",
            count=features,
        )


def _equal_contents(cells: pd.DataFrame, field: Field, given: bool, sizes: Mapping[str, int]) -> Iterator[Finding]:
    repeated = cells[cells["key"].duplicated(keep=False)]
    if repeated.empty:
        return
    within = cells[cells.duplicated(["part", "key"], keep=False)].groupby("part", sort=False).size()
    inside = ", ".join(f"{count:,} in {part}" for part, count in within.items()) or "none within one part"
    test, other = _across(repeated)
    yield Finding(
        name="copies",
        severity="note",
        message=f"Column {field.source}: {many(repeated['key'].nunique(), str(field.kind))} with copies, in "
        f"{many(len(repeated), 'row')} (copies within a part: {inside}).",
        cure="Remove rows that were entered twice.",
        columns=(field.source,),
        count=len(repeated),
    )
    if not test + other:
        return
    share = test / sizes.get("test", 1) if test else 0.0
    yield Finding(
        name="copies_across",
        severity="refusal" if given and share > GIVEN_COPIES else "warning" if test else "note",
        message=f"Column {field.source}: {many(test, 'test row')} ({share:.1%} of them) are copies of train or valid "
        f"rows, and {many(other, 'valid row')} of train rows.",
        cure="Remove them from one side, or give one table (data.rows) and let the splitter keep copies together.",
        columns=(field.source,),
        count=test or other,
    )


def _nearly_equal(cells: pd.DataFrame, field: Field, severity: Severity) -> Iterator[Finding]:
    if field.kind == "image":
        cells = cells.assign(loose=images.near_groups(cells["cell"].tolist(), cells["key"].tolist(), field.decoder))
    else:
        cells = cells.assign(loose=[re.sub(r"[\W_]+", "", str(text).casefold()) for text in cells["key"]])
        cells = cells[cells["loose"] != ""]
    near = cells[cells.groupby("loose")["key"].transform("nunique") > 1]
    if near.empty:
        return
    # Exact copies have a finding of their own: a test row counts here only if its very text is not on the other side.
    seen = {part: set(table["key"]) for part, table in near.groupby("part")}
    loose = {part: set(table["loose"]) for part, table in near.groupby("part")}
    near = near.assign(
        across=[
            any(low in loose.get(other, ()) for other in BEFORE[part])
            and not any(key in seen.get(other, ()) for other in BEFORE[part])
            for part, key, low in near[["part", "key", "loose"]].itertuples(index=False)
        ]
    )
    across = int(near["across"].sum())
    how, picture = "texts that differ from another only in case, punctuation or white space", b""
    if field.kind == "image":
        pairs = images.pairs(near, BEFORE)
        example = " and ".join(f"{name} in {part}" for _, part, name in pairs[0])
        how = f"images that look like another's (such as {example}: saved anew, brighter, of another size)"
        groups = [[(cell, f"{part}\n{name}") for cell, part, name in pair] for pair in pairs]
        picture = images.sheet(groups, field.decoder)
    yield Finding(
        name="near_copies",
        severity=severity if across else "note",
        message=f"Column {field.source}: {many(len(near), 'row')} have {how}; {across:,} of them have theirs on "
        "another side of the split.",
        cure="Keep one of each, or map a column that names what belongs together to the role group.",
        columns=(field.source,),
        count=len(near),
        picture=picture,
    )


def _across(repeated: pd.DataFrame) -> tuple[int, int]:
    """Test rows whose key is in train or valid, and valid rows whose key is in train."""
    having = {part: set(table["key"]) for part, table in repeated.groupby("part")}
    train, valid = having.get("train", set()), having.get("valid", set())
    in_test, in_valid = (repeated.loc[repeated["part"] == part, "key"] for part in ("test", "valid"))
    return int(in_test.isin(train | valid).sum()), int(in_valid.isin(train).sum())


def copied_rows(parts: Frames, schema: Schema) -> pd.Index:
    """The index of the test rows whose text or image stands in the train or valid part too."""
    copied = pd.Series(False, index=parts["test"].index)
    for field in schema.features:
        if field.kind in ("text", "image") and not field.shared:
            keys = {part: pd.Series(content(parts[part][field.name], field.kind)) for part in BEFORE}
            seen = pd.concat([keys[part] for part in BEFORE["test"]]).dropna()
            copied |= keys["test"].isin(seen).to_numpy()
    return copied.index[copied]
