"""One part of a source: read it, and turn it into scored rows, rows set aside with their reasons, and counts."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Generator, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from .. import images, tables
from ..errors import Refused, SolventError
from ..promises import is_context
from ..schema import kinds, reason_kinds, without_cells
from ..solution import Output, Score, Type
from .repeats import Seen

if TYPE_CHECKING:
    import pyarrow as pa

    from ..schema import Schema

__all__ = ["UNWRITABLE", "Layout", "Part", "Scored", "entity_keys", "read_parts", "score_part"]

ROW, REASONS, ERROR, NOTE = "row", "reasons", "error", "note"
MASKED = "***"
HIDDEN = "the scorer can't take it; why is hidden, since columns are masked"
MOST_UNGROUPED = 500_000  # rows that may be one part, for their entities don't lie together
OTHERS = re.compile(r": [\d,]+ other unseen categories$")


@dataclass(frozen=True)
class Layout:
    """The columns of the output: those carried over from the source, then the declared outputs.

    Args:
        ids: what tells the rows apart, under the user's own names.
        carried: ids, features that are ids and pass-through columns, under the user's own names.
        entity: the column, in the house's name, whose values get one row each; None where each row is its own.
    """

    ids: tuple[str, ...]
    carried: tuple[str, ...]
    outputs: tuple[Output, ...]
    entity: str | None = None

    @classmethod
    def of(
        cls,
        schema: Schema,
        outputs: Sequence[Output],
        rows: pd.DataFrame,
        passthrough: Sequence[str] = (),
        *,
        joins: bool = False,
    ) -> Layout:
        """The layout for a source.

        Rows that belong to an entity and have no id of their own are known by their entity and time; images without an
        id by their path. A feature that is an id, such as whom a list is for, is copied too; it may repeat.

        Args:
            rows: some of the source, as they were read.
            passthrough: further columns to copy, under the user's own names.
            joins: whether the rows of an entity share one score, and so one row, which is known by the entity alone.

        Raises:
            Refused: if two columns would have one name.
        """
        entities = schema.by_role("entity")
        keys = [*([] if joins and entities else schema.by_role("id")), *entities]
        if entities and not joins and not schema.by_role("id"):
            keys += schema.by_role("time")
        if not keys:
            keys += [each for each in schema.features if each.kind == "image" and _holds_paths(rows, each.source)]
        named = [each for each in schema.features if each.kind == "id"]
        own = (each.source for each in (*keys, *named, *schema.by_role("passthrough")))
        sources = dict.fromkeys([*own, *passthrough])
        carried = tuple(name for name in sources if name in rows)
        if both := [output.name for output in outputs if output.name in carried]:
            raise Refused(
                f"The source's column {both[0]!r} would be passed through, and scoring adds one of that name. "
                "Rename it in the source and in data.columns, and train again."
            )
        ids = tuple(name for name in dict.fromkeys(each.source for each in keys) if name in carried)
        return cls(ids, carried, tuple(outputs), entities[0].name if joins and entities else None)

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
        deadly: why rows are bad that must not be looked at, by index.
    """

    raw: pd.DataFrame
    repeated: Mapping[Hashable, str] = field(default_factory=dict)
    deadly: Mapping[Hashable, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Scored:
    """What became of a part.

    Args:
        rows: how many it had.
        scored: a row for each row that could be scored, in the source's order.
        set_aside: `row` (from 1, in the source), `reasons`, and the cells as they were; of images that are bytes, what
            tells them.
        reasons: rows by kind of reason, the cells' own values left out.
        notes: rows by what was noticed about them, though they were scored.
        inputs: the scored rows as they were checked, in the house's names.
        outputs: what the scorer said of them.
        joined: rows that another row of their entity stands for; they are in none of the tables.
        context: rows that were read for others' sake only; they are in none either.
    """

    rows: int
    scored: pa.Table
    set_aside: pa.Table
    reasons: Counter[str]
    notes: Counter[str]
    inputs: pd.DataFrame
    outputs: pd.DataFrame
    joined: int = 0
    context: int = 0


def read_parts(source: Any, rows: int, schema: Schema) -> Generator[Part, None, None]:
    """Read a source part by part, the same parts each time; an empty one is one empty part.

    An entity is never cut: a part ends where its last entity does. Where entities don't lie together, a table of up to
    `MOST_UNGROUPED` rows is one part.

    Raises:
        Refused: if there are more rows whose entities don't lie together.
    """
    seen = {each.name: Seen() for each in schema.by_role("id")}
    for raw in _cut(source, rows, schema):
        yield Part(raw, _repeated(raw, schema, seen))


def _cut(source: Any, rows: int, schema: Schema) -> Iterator[pd.DataFrame]:
    entities = [each.source for each in schema.by_role("entity")]
    if not entities:
        yield from tables.chunks(source, rows)
    elif _lie_together(source, rows, entities):
        yield from _whole_entities(tables.chunks(source, rows), rows, entities)
    else:
        yield tables.read(source)


def _lie_together(source: Any, rows: int, entities: Sequence[str]) -> bool:
    """Whether all rows of each entity follow each other."""
    seen, last, count, together = Seen(), None, 0, True
    for raw in tables.chunks(source, rows):
        if not len(raw) or any(name not in raw for name in entities):
            continue  # Schema.rename refuses it
        keys = entity_keys(raw, entities, last)
        starts = _starts(keys, last)
        together &= not (starts.duplicated().any() or seen.add(starts).any())
        last, count = keys.iloc[-1], count + len(raw)
        if not together and count > MOST_UNGROUPED:
            raise Refused(
                f"The rows of one {entities[0]} don't follow each other in {tables.label(source)}, and there are more "
                f"than {MOST_UNGROUPED:,} rows: too many to be taken as one part. Sort it by {entities[0]}, then by "
                f"time; in a query: ORDER BY {entities[0]}, ...; an entity must not be cut."
            )
    return together


def _whole_entities(chunks: Iterator[pd.DataFrame], rows: int, entities: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Parts of at least `rows` rows that end where an entity does.

    Raises:
        SolventError: if an entity comes back: a query may give another order each time.
    """
    held: pd.DataFrame | None = None
    seen, last = Seen(), None
    for raw in chunks:
        if len(raw) and all(name in raw for name in entities):
            keys = entity_keys(raw, entities, last)
            starts = _starts(keys, last)
            if starts.duplicated().any() or seen.add(starts).any():
                raise SolventError(
                    f"The rows of one {entities[0]} followed each other when they were read first, and do not now. "
                    f"Give the query an ORDER BY {entities[0]}, ..., then try again."
                )
            end = int(starts.index[-1] - raw.index[0]) if len(starts) else None  # where the last entity begins
            last = keys.iloc[-1]
            if end is not None and (len(held) if held is not None else 0) + end >= rows:
                yield pd.concat([held, raw.iloc[:end]]) if held is not None else raw.iloc[:end]
                held, raw = None, raw.iloc[end:]
        held = raw if held is None else pd.concat([held, raw])
    if held is not None:
        yield held


def entity_keys(raw: pd.DataFrame, entities: Sequence[str], last: Any = None) -> pd.Series:
    """What tells the entity of each row; one that is missing, and so a bad row, goes with the entity before it."""
    cells = [kinds.read(raw[name], "category").values for name in entities]
    joined = cells[0].astype(object)
    for more in cells[1:]:
        joined = joined + "\0" + more
    return joined.ffill().fillna("" if last is None else last).astype("str")


def _starts(keys: pd.Series, last: Any) -> pd.Series:
    """The keys of rows where another entity begins than that of the row before."""
    return keys[(keys != keys.shift(fill_value=last)).to_numpy()]


def _repeated(raw: pd.DataFrame, schema: Schema, seen: Mapping[str, Seen]) -> dict[Hashable, str]:
    """Rows with an id that was seen in an earlier part; adds this part's ids."""
    return _there_already(raw, schema, lambda name, ids: seen[name].add(ids))


def _there_already(raw: pd.DataFrame, schema: Schema, known: Callable[[str, pd.Series], Any]) -> dict[Hashable, str]:
    """Why rows are bad whose id is known.

    Args:
        known: gives for the name of a field and its ids, none missing, which of them are, shape `(rows,)`.
    """
    found: dict[Hashable, str] = {}
    for each in schema.by_role("id"):
        if each.source not in raw:
            continue  # Schema.rename refuses it
        cells = kinds.read(raw[each.source], each.kind or "category")
        ids = cells.values[~(cells.missing | cells.unreadable)]
        for index in ids.index[known(each.name, ids)]:
            found[index] = f"{each.source}: {kinds.shown(raw[each.source][index])} is there already, further up"
    return found


def score_part(
    part: Part,
    schema: Schema,
    score: Score,
    layout: Layout,
    *,
    label: str,
    folder: Path,
    mask: Collection[str] = (),
    unwritable: Callable[[pd.Series], pd.Series] | None = None,
) -> Scored:
    """Score one part: a pure function of its rows, and of the files that they name.

    Args:
        folder: what relative paths in its cells start from.
        label: the source's short name, for messages.
        mask: columns, under the user's own names, whose cells are hidden where a row is set aside.
        unwritable: which cells of a column that is carried over the output can't hold.

    Raises:
        Refused: if a column is missing.
        SolventError: if the scorer doesn't give each row back, once and in order.
    """
    raw = part.raw
    safe, repeated = raw, part.repeated
    if part.deadly:
        safe = raw[~raw.index.isin(list(part.deadly))]
        # the check sees no deadly row, and what repeats its id is as bad as if it did
        repeated = _there_already(raw, schema, lambda _, ids: ids.duplicated()) | dict(repeated)
    renamed = schema.rename(safe, table_name=label, targets=False, folder=folder)
    checked = schema.check(renamed, targets=False)
    reasons: dict[Hashable, str] = dict(zip(checked.bad.index, checked.bad[REASONS], strict=True)) | dict(part.deadly)
    for index, why in repeated.items():
        known = reasons.get(index, why)
        reasons[index] = known if why in known else f"{known}; {why}"
    good = checked.good
    if len(reasons) > len(checked.bad) + len(part.deadly):
        good = good[~good.index.isin(list(repeated))]
    names = [output.name for output in layout.outputs]
    outputs = pd.DataFrame(columns=names, index=good.index, dtype=object)
    if len(good):
        outputs = score(good)
        _refuse_other_rows(outputs, good)
        errors = outputs[ERROR].dropna()
        reasons |= zip(errors.index, [HIDDEN if mask else error for error in errors], strict=True)
        reasons |= _unwritable(raw.loc[good.index, list(layout.carried)], unwritable, reasons)
        reasons |= schema.torn(renamed, reasons)
    failed = raw.index.isin(list(reasons))
    if len(reasons) > len(raw) - len(good):
        outputs = outputs[~outputs.index.isin(list(reasons))]
        good = good.loc[outputs.index]
    bad = raw.index[failed]
    if not outputs.index.equals(raw.index[~failed]):
        raise SolventError(f"{label}: of {len(raw)} rows, {len(outputs)} were scored and {len(bad)} set aside.")
    joined, read = 0, is_context(outputs)
    good, outputs = good[~read], outputs[~read]
    if layout.entity is not None:
        first = ~good[layout.entity].duplicated()
        good, outputs, joined = good[first], outputs[first.to_numpy()], int((~first).sum())
    scored = pd.concat([raw.loc[good.index, list(layout.carried)], outputs[names]], axis=1)
    sources = [each.source for each in schema.fields if each.name in renamed]
    return Scored(
        rows=len(raw),
        scored=tables.typed(scored, layout.types),
        set_aside=_set_aside(_without_files(raw.loc[bad, sources], schema), [reasons[index] for index in bad], mask),
        reasons=Counter(kind for index in bad for kind in reason_kinds(reasons[index])),
        notes=_notes(checked.notes, mask) + _scorers_notes(outputs, names),
        inputs=good,
        outputs=outputs[names],
        joined=joined,
        context=int(read.sum()),
    )


def _refuse_other_rows(found: pd.DataFrame, good: pd.DataFrame) -> None:
    if not found.index.equals(good.index):
        raise SolventError(
            f"The scorer returned {len(found)} rows for {len(good)}, or in another order. Expected the same index."
        )


def _without_files(cells: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """The cells, with the size and sha256 of image files in the place of their bytes, which may say whose they are."""

    def told(cell: Any) -> Any:
        return f"{len(cell):,} bytes, sha256 {images.content_hash(cell)}" if isinstance(cell, bytes) else cell

    held = [each.source for each in schema.features if each.kind == "image" and each.source in cells]
    return cells.assign(**{name: cells[name].astype(object).map(told) for name in held})


def _set_aside(cells: pd.DataFrame, reasons: Sequence[str], mask: Collection[str]) -> pa.Table:
    hidden = [str(name) for name in cells if name in mask]
    if hidden:  # a reason may hold the cell
        reasons = [without_cells(reason, hidden) for reason in reasons]
        cells = cells.assign(**{name: cells[name].astype(object).mask(cells[name].notna(), MASKED) for name in hidden})
    own = {name: f"column {name}" for name in (ROW, REASONS) if name in cells}
    cells = cells.rename(columns=own)
    cells.insert(0, ROW, cells.index + 1)
    cells.insert(1, REASONS, list(reasons))
    types: dict[str, Type] = {ROW: "integer", REASONS: "string", **dict.fromkeys(hidden, "string")}
    return tables.typed(cells, types)


def _unwritable(
    carried: pd.DataFrame, unwritable: Callable[[pd.Series], pd.Series] | None, known: Collection[Hashable]
) -> dict[Hashable, str]:
    if unwritable is None:
        return {}
    return {
        index: f"{name}: holds what the output can't: infinity in JSON, a zero byte in a database"
        for name, cells in carried.items()
        for index in cells.index[unwritable(cells)]
        if index not in known
    }


def _infinite(cells: pd.Series) -> pd.Series:
    return cells.map(lambda cell: isinstance(cell, float) and math.isinf(cell)).astype(bool)


def _with_zero_byte(cells: pd.Series) -> pd.Series:
    return cells.map(lambda cell: isinstance(cell, str) and "\0" in cell).astype(bool)


UNWRITABLE: Mapping[str, Callable[[pd.Series], pd.Series]] = {"jsonl": _infinite, "sql": _with_zero_byte}


def _scorers_notes(outputs: pd.DataFrame, names: Collection[str]) -> Counter[str]:
    """What the scorer noticed about rows that it scored, without their cells."""
    if NOTE not in outputs or NOTE in names:
        return Counter()
    return Counter(kind for note in outputs[NOTE].dropna() for kind in reason_kinds(note))


def _notes(found: Mapping[str, int], mask: Collection[str]) -> Counter[str]:
    """Notes that can be added up over parts: how many levels were left out of one part's notes can't be."""
    notes: Counter[str] = Counter()
    for note, count in found.items():
        shown = note if note.partition(": ")[0] not in mask else next(iter(reason_kinds(note)))
        notes[OTHERS.sub(": other unseen categories", shown)] += count
    return notes
