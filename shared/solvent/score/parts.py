"""One part of a source: read it, and turn it into scored rows, rows set aside with their reasons, and counts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from .. import tables
from ..errors import Refused, SolventError
from ..schema import kinds, reason_kinds
from ..solution import Output, Score, Type
from .repeats import Seen

if TYPE_CHECKING:
    import pyarrow as pa

    from ..schema import Schema

__all__ = ["Layout", "Part", "Scored", "read_parts", "score_part"]

ROW, REASONS, ERROR = "row", "reasons", "error"
OTHERS = re.compile(r": [\d,]+ other unseen categories$")


@dataclass(frozen=True)
class Layout:
    """The columns of the output: those carried over from the source, then the declared outputs.

    Args:
        carried: ids and pass-through columns, under the user's own names.
    """

    carried: tuple[str, ...]
    outputs: tuple[Output, ...]

    @classmethod
    def of(cls, schema: Schema, outputs: Sequence[Output], rows: pd.DataFrame) -> Layout:
        """The layout for a source.

        Rows that belong to an entity and have no id of their own are known by their entity and time; images without an
        id by their path.

        Args:
            rows: some of the source, as they were read.

        Raises:
            Refused: if two columns would have one name.
        """
        keys = [*schema.by_role("id"), *schema.by_role("entity")]
        if schema.by_role("entity") and not schema.by_role("id"):
            keys += schema.by_role("time")
        if not keys:
            keys += [each for each in schema.features if each.kind == "image" and _holds_paths(rows, each.source)]
        sources = dict.fromkeys(each.source for each in (*keys, *schema.by_role("passthrough")))
        carried = tuple(name for name in sources if name in rows)
        if both := [output.name for output in outputs if output.name in carried]:
            raise Refused(
                f"The source's column {both[0]!r} would be passed through, and scoring adds one of that name. "
                "Rename it in the source and in data.columns, and train again."
            )
        return cls(carried, tuple(outputs))

    @property
    def types(self) -> dict[str, Type]:
        return {output.name: output.type for output in self.outputs}


def _holds_paths(rows: pd.DataFrame, name: str) -> bool:
    return name in rows and not any(isinstance(cell, bytes) for cell in rows[name])


@dataclass(frozen=True)
class Part:
    """Rows as they were read.

    Args:
        raw: under the user's own names; the index is the place in the source, from 0.
        repeated: why rows are bad that have an id of an earlier part, by index.
    """

    raw: pd.DataFrame
    repeated: Mapping[Hashable, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Scored:
    """What became of a part.

    Args:
        rows: how many it had.
        scored: a row for each row that could be scored, in the source's order.
        set_aside: `row` (from 1, in the source), `reasons`, and the cells as they were.
        reasons: rows by kind of reason, the cells' own values left out.
        notes: rows by what was noticed about them, though they were scored.
    """

    rows: int
    scored: pa.Table
    set_aside: pa.Table
    reasons: Counter[str]
    notes: Counter[str]


def read_parts(source: Any, rows: int, schema: Schema) -> Generator[Part, None, None]:
    """Read a source part by part; an empty one is one empty part.

    A table with an entity is one part: an entity must not be cut, and its rows may lie anywhere.
    """
    if schema.by_role("entity"):
        yield Part(tables.read(source))
        return
    seen = {each.name: Seen() for each in schema.by_role("id")}
    for raw in tables.chunks(source, rows):
        yield Part(raw, _repeated(raw, schema, seen))


def _repeated(raw: pd.DataFrame, schema: Schema, seen: Mapping[str, Seen]) -> dict[Hashable, str]:
    """Rows with an id that was seen in an earlier part; adds this part's ids."""
    found: dict[Hashable, str] = {}
    for each in schema.by_role("id"):
        if each.source not in raw:
            continue  # Schema.rename refuses it
        cells = kinds.read(raw[each.source], each.kind or "category")
        ids = cells.values[~(cells.missing | cells.unreadable)]
        for index in ids.index[seen[each.name].add(ids)]:
            found[index] = f"{each.source}: {kinds.shown(raw[each.source][index])} is there already, further up"
    return found


def score_part(part: Part, schema: Schema, score: Score, layout: Layout, *, label: str, folder: Path) -> Scored:
    """Score one part: a pure function of its rows, and of the files that they name.

    Args:
        folder: what relative paths in its cells start from.
        label: the source's short name, for messages.

    Raises:
        Refused: if a column is missing.
        SolventError: if the scorer doesn't give each row back, once and in order.
    """
    raw = part.raw
    renamed = schema.rename(raw, table_name=label, targets=False, folder=folder)
    checked = schema.check(renamed, targets=False)
    reasons: dict[Hashable, str] = dict(zip(checked.bad.index, checked.bad[REASONS], strict=True))
    for index, why in part.repeated.items():
        known = reasons.get(index, why)
        reasons[index] = known if why in known else f"{known}; {why}"
    good = checked.good
    if len(reasons) > len(checked.bad):
        good = good[~good.index.isin(list(part.repeated))]
    names = [output.name for output in layout.outputs]
    outputs = pd.DataFrame(columns=names, index=good.index, dtype=object)
    if len(good):
        outputs = score(good)
        _refuse_other_rows(outputs, good)
        errors = outputs[ERROR].dropna()
        reasons |= zip(errors.index, errors, strict=True)
        reasons |= schema.torn(renamed, reasons)
    failed = raw.index.isin(list(reasons))
    if len(reasons) > len(raw) - len(good):
        outputs = outputs[~outputs.index.isin(list(reasons))]
    bad = raw.index[failed]
    if not outputs.index.equals(raw.index[~failed]):
        raise SolventError(f"{label}: of {len(raw)} rows, {len(outputs)} were scored and {len(bad)} set aside.")
    scored = pd.concat([raw.loc[~failed, list(layout.carried)], outputs[names]], axis=1)
    sources = [each.source for each in schema.fields if each.name in renamed]
    return Scored(
        rows=len(raw),
        scored=tables.typed(scored, layout.types),
        set_aside=_set_aside(raw.loc[bad, sources], [reasons[index] for index in bad]),
        reasons=Counter(kind for index in bad for kind in reason_kinds(reasons[index])),
        notes=_notes(checked.notes),
    )


def _refuse_other_rows(found: pd.DataFrame, good: pd.DataFrame) -> None:
    if not found.index.equals(good.index):
        raise SolventError(
            f"The scorer returned {len(found)} rows for {len(good)}, or in another order. Expected the same index."
        )


def _set_aside(cells: pd.DataFrame, reasons: Sequence[str]) -> pa.Table:
    own = {name: f"column {name}" for name in (ROW, REASONS) if name in cells}
    cells = cells.rename(columns=own)
    cells.insert(0, ROW, cells.index + 1)
    cells.insert(1, REASONS, list(reasons))
    return tables.typed(cells, {ROW: "integer", REASONS: "string"})


def _notes(found: Mapping[str, int]) -> Counter[str]:
    """Notes that can be added up over parts: how many levels were left out of one part's notes can't be."""
    notes: Counter[str] = Counter()
    for note, count in found.items():
        notes[OTHERS.sub(": other unseen categories", note)] += count
    return notes
