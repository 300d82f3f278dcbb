"""What a table's columns are: roles, kinds, units, ranges; which of its rows are good.

Inside the house a column has its role's name, or its own; messages use the user's name. What becomes of a cell:

| kind | missing | unreadable | other |
|---|---|---|---|
| number | NaN | row bad | infinite or outside the declared range: row bad; outside the training range: kept, noted |
| category | missing | - | unseen in training: kept, noted; 1, 1.0 and "1" are one category |
| text, image, list | missing | row bad | a blank text is a missing one; before training every image is decoded |
| time | missing | row bad | without a zone, in UTC where the cell names a zone |
| id | row bad | - | role id: a repeated one makes the later row bad, and it keeps its type; others are strings |

A missing cell makes its row bad where the field is `required`. A target that is missing, or that is not
`open` and of a class that training did not have, makes its row bad. One bad row makes all rows of its `entity` bad:
what is left of a machine's series or a patient's images would be another one. Declared codes ("no information") are
exempt from ranges and statistics; a code that is a word reads as missing in a number column.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from ..errors import Refused
from ..solution import JSON, Columns, Decoder, Kind, Role
from ..tables import BAD_ROW
from ..wording import listed, suggestion
from . import check, declare, kinds
from .check import Checked
from .field import Field
from .reasons import reason_kinds, rows_of_torn

__all__ = ["Checked", "Field", "Schema"]


@dataclass(frozen=True)
class Schema:
    """The columns of a table, and which kinds its unnamed columns may have.

    Args:
        ignored: the user's names of the columns that are left out, and why.
    """

    fields: tuple[Field, ...]
    ignored: tuple[tuple[str, str], ...] = ()
    kinds: tuple[Kind, ...] = ()

    @classmethod
    def declare(cls, columns: Columns, declared: Mapping[str, JSON], names: Sequence[str], *, table: str) -> Self:
        """Give each column its role, before any cell is read.

        Args:
            declared: `data.columns` of the config: a role or a name of the solution's columns -> the user's column
                (a list for protected, passthrough, ignore), or the user's column -> its kind, unit, range, codes, ...
            names: the table's columns.
            table: what messages call the table.

        Raises:
            Refused: with every problem at once.
        """
        declared_fields, ignored = declare.declared_fields(columns, declared, names, table)
        return cls(declared_fields, ignored, columns.features)

    def learn(self, table: pd.DataFrame) -> Self:
        """Find the kinds that were not declared, drop what is no feature, and keep the training rows' statistics.

        Args:
            table: the renamed training rows, as they were read.

        Raises:
            Refused: if a column's numbers have decimal commas, or no row is good.
        """
        found = [field if field.scored_only else _with_kind(field, table[field.name]) for field in self.fields]
        dropped = {
            field.name: why
            for field in found
            if not field.scored_only and (why := self._not_a_feature(field, table[field.name]))
        }
        kept = replace(
            self,
            fields=tuple(field for field in found if field.name not in dropped),
            ignored=(*self.ignored, *((self.source(name), why) for name, why in dropped.items())),
        )
        checked = kept.check(table, targets=True, unique_ids=False)
        if not len(table):
            raise Refused(
                "There are no training rows: the table has a header and nothing else, or the split left none."
            )
        if not len(checked.good):
            kinds_of = checked.bad["reasons"].map(lambda why: "; ".join(sorted(reason_kinds(why))))
            usual = kinds_of.value_counts().index[:3]
            reasons = [checked.bad["reasons"][kinds_of == kind].iloc[0] for kind in usual]
            raise Refused(f"None of the {len(table):,} training rows is good. The usual reasons: {'; '.join(reasons)}.")
        return kept.with_statistics(checked.good)

    def with_statistics(self, good: pd.DataFrame) -> Self:
        """The same columns with the statistics of other training rows, as each fold needs; known classes stay.

        Args:
            good: typed good rows.
        """
        return replace(
            self,
            fields=tuple(
                field
                if field.scored_only or (field.role == "target" and field.levels)
                else _with_statistics(field, good[field.name])
                for field in self.fields
            ),
        )

    def _not_a_feature(self, field: Field, cells: pd.Series) -> str | None:
        if field.named or field.role != "feature":
            return None
        if kinds.missing(cells).all():
            return "all its cells are missing in the training rows"
        if field.kind not in self.kinds:
            return (
                f"it looks like a column of kind {field.kind}; this solution reads {' and '.join(self.kinds)} columns"
            )
        return None

    def rename(self, table: pd.DataFrame, *, table_name: str, targets: bool, folder: Path = Path()) -> pd.DataFrame:
        """Give the columns their names inside the house, and leave out the others. Paths of images become absolute.

        Args:
            targets: whether the columns that only training needs have to be there too; without, targets are left out.
            folder: what relative paths in the table's cells start from.

        Raises:
            Refused: if a column is missing.
        """
        table = table.set_axis([str(name) for name in table.columns], axis=1)
        repeated = table.columns[table.columns.duplicated()]
        if len(repeated):
            raise Refused(f"{table_name} has the column {repeated[0]!r} twice. Give each column its own name.")
        missing = [field for field in self.fields if field.is_needed(targets) and field.source not in table.columns]
        if missing:
            raise Refused(
                "\n".join(_missing_column(field, table_name, table.columns) for field in missing)
                + f"\nIts columns: {listed(table.columns)}."
            )
        kept = {field.source: field.name for field in self.fields if field.is_read(targets)}
        chosen = [name for name in table.columns if name in kept or name == BAD_ROW]
        renamed = table[chosen].rename(columns=kept)
        paths = {field.name for field in self.fields if field.kind == "image"} & set(renamed.columns)
        return renamed.assign(**{name: kinds.absolute(renamed[name], folder) for name in paths})

    def check(self, table: pd.DataFrame, *, targets: bool, unique_ids: bool = True) -> Checked:
        """Read every cell, and part the good rows from the bad ones.

        Args:
            table: in the house's names; its index is kept.
            targets: whether targets are there and have to be good.
            unique_ids: whether a repeated id makes the later row bad; before training the scan refuses it instead.

        Raises:
            Refused: if a column is missing.
        """
        missing = [
            field.source for field in self.fields if field.is_needed(targets) and field.name not in table.columns
        ]
        if missing:
            raise Refused(f"The table lacks the column {listed(missing)}. Its columns: {listed(table.columns)}.")
        there = [field for field in self.fields if field.name in table.columns and field.is_read(targets)]
        return check.check(there, table, targets, unique_ids)

    def torn(self, table: pd.DataFrame, bad: Collection[Hashable]) -> dict[Hashable, str]:
        """Why other rows are bad too, once rows have failed after the check: they are of the same entity.

        Args:
            table: in the house's names.
            bad: the index of the rows that failed, for whatever reason.

        Returns:
            The reasons by the rows' index.
        """
        found: dict[Hashable, str] = {}
        for field in self.by_role("entity") if bad else ():
            cells = kinds.read(table[field.name], "category").values
            failed = table.index.isin([*bad, *found])
            torn = rows_of_torn(field.source, cells, failed, check.numbered(table))
            found |= {table.index[position]: why for position, why in torn.items()}
        return found

    def carrying(self, ids: Collection[str], passthrough: Collection[str]) -> Self:
        """The schema for a table of which further columns are copied into the output.

        Args:
            ids: the user's own names of columns that have to be there and to be unique.
            passthrough: those of columns that only have to be there; one that the bundle reads stays what it is.

        Raises:
            Refused: if an id is read as something else already.
        """
        wanted: dict[str, Role] = {**dict.fromkeys(passthrough, "passthrough"), **dict.fromkeys(ids, "id")}
        kept = [each for each in self.fields if not (each.role == "passthrough" and each.source in ids)]
        for each in kept:
            if each.source in ids and each.role != "id":
                raise Refused(
                    f"The column {each.source!r} can't be an id: the bundle reads it as {each.role}. Copy it under "
                    "another name in the source."
                )
        known = {each.source for each in kept}
        new = (
            Field(
                name=f"carried {source}",
                source=source,
                role=role,
                kind="id" if role == "id" else None,
                required=role == "id",
            )
            for source, role in wanted.items()
            if source not in known
        )
        return replace(self, fields=(*kept, *new))

    @property
    def features(self) -> tuple[Field, ...]:
        return self.by_role("feature")

    @property
    def targets(self) -> tuple[Field, ...]:
        return self.by_role("target")

    def by_role(self, role: Role) -> tuple[Field, ...]:
        return tuple(field for field in self.fields if field.role == role)

    def field(self, name: str) -> Field:
        """The field of that name inside the house.

        Raises:
            Refused: if there is none; the message lists the known ones.
        """
        for field in self.fields:
            if field.name == name:
                return field
        known = [field.name for field in self.fields]
        raise Refused(f"The schema has no field {name!r}.{suggestion(name, known)} Known: {listed(known)}.")

    def source(self, name: str) -> str:
        """The user's own name of a column; a name that the schema doesn't know is the user's already."""
        return next((field.source for field in self.fields if field.name == name), name)

    def restore(self, names: Collection[str]) -> list[str]:
        """The user's own names of columns."""
        return [self.source(name) for name in names]

    def to_json(self) -> dict[str, JSON]:
        return {
            "fields": [asdict(field) for field in self.fields],
            "ignored": [list(each) for each in self.ignored],
            "kinds": list(self.kinds),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, JSON]) -> Self:
        known = {each.name for each in fields(Field)}
        return cls(
            tuple(
                Field(**{key: _of_json(key, value) for key, value in each.items() if key in known})
                for each in content["fields"]
            ),
            tuple((source, why) for source, why in content["ignored"]),
            tuple(content["kinds"]),
        )


def _of_json(name: str, value: Any) -> Any:
    if name == "decoder" and value is not None:
        return Decoder(**value)
    return tuple(value) if isinstance(value, list) else value


def _missing_column(field: Field, table_name: str, names: Collection[str]) -> str:
    what = field.role if field.role == field.name else f"{field.role} {field.name}"
    if not field.named and field.role == "feature":
        what = "feature of the training table"
    return (
        f"{table_name} has no column {field.source!r} ({what}).{suggestion(field.source, names)} "
        "Add it, an empty one where a cell may be missing, or rename the column that holds it."
    )


def _with_kind(field: Field, cells: pd.Series) -> Field:
    """The field with the kind of its cells, if nobody declared it. What only passes through needs none."""
    if field.kind or field.role == "passthrough":
        return field
    cells = cells[~kinds.missing(cells) & ~cells.isin(field.words).to_numpy()]
    if not len(cells):
        return replace(field, kind="category")
    comma = kinds.decimal_commas(cells)
    if comma:
        raise Refused(
            f"The column {field.source} holds numbers with a decimal comma, such as '{comma}'. Write them with a "
            f'point, read the file with decimal: ",", or, if they are no numbers, set columns.{field.source}.kind to '
            "category."
        )
    kind = kinds.found_kind(cells)
    # an order in time may be counted in cycles or days
    return replace(field, kind="time" if field.role == "time" and kind != "number" else kind)


def _with_statistics(field: Field, good: pd.Series) -> Field:
    """The field with what the good training rows say about it."""
    field = replace(field, missing=float(good.isna().mean()))
    if field.role == "passthrough":
        return field
    if field.kind == "number":
        values = good[np.isfinite(good) & ~check.is_code(field, good)].to_numpy()
        if not len(values):
            return field
        low, high, mean, deviation = map(float, (values.min(), values.max(), values.mean(), values.std()))
        return replace(field, low=low, high=high, mean=mean, deviation=deviation)
    if field.kind == "category":
        levels = good[~check.is_code(field, good)].dropna().unique()
        return replace(field, levels=tuple(sorted(levels)))
    if field.kind == "list" and field.role == "target":
        return replace(field, levels=tuple(sorted({level for cell in good for level in cell})))
    if field.kind == "text":
        longest = good.str.len().max()
        return replace(field, longest=int(longest) if longest == longest else 0)
    return field
