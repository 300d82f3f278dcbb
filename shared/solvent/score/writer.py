"""The one writer of parts: Parquet files with one set of types, flushed to the disk, counted again from the disk."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .. import tables
from ..errors import Refused, SolventError
from ..files import sha256, sync_folder
from .parts import Scored

__all__ = ["OWNER_ONLY", "QUARANTINE", "Parts", "Types", "write_parquet"]

QUARANTINE = "quarantine"
OWNER_ONLY = 0o600


@dataclass
class Types:
    """One type for each column over all parts: what its cells need, whichever part they lie in.

    Columns of CSV and Parquet files have theirs from the start. A query's cells are found part by part; where
    they agree on no type, the column is text.
    """

    with_cells: dict[str, pa.DataType] = field(default_factory=dict)
    without: dict[str, pa.DataType] = field(default_factory=dict)

    def add(self, table: pa.Table) -> pa.Schema:
        """Take a part's types in; gives the types of all parts so far."""
        for name, column in zip(table.column_names, table.columns, strict=True):
            self.without.setdefault(name, pa.null())  # so that its order is the columns' order
            known = self.with_cells if _has_cells(column) else self.without
            known[name] = _common(known.get(name, pa.null()), column.type)
        return self.schema()

    def schema(self) -> pa.Schema:
        found = {**self.without, **self.with_cells}
        return pa.schema([(name, pa.string() if pa.types.is_null(kind) else kind) for name, kind in found.items()])


def _has_cells(column: Any) -> bool:
    if pa.types.is_list(column.type):
        column = column.combine_chunks().flatten()  # an empty list says nothing of its items' type
    return bool(column.null_count < len(column))


def _common(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if pa.types.is_list(one) and pa.types.is_list(other):
        return pa.list_(_common(one.value_type, other.value_type))
    try:
        both = [pa.schema([("cell", kind)]) for kind in (one, other)]
        found = pa.unify_schemas(both, promote_options="permissive").field("cell").type
    except pa.ArrowTypeError:
        return pa.string()
    return pa.string() if pa.types.is_large_string(found) else found


def as_types(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with its columns in the types of the schema.

    Raises:
        Refused: if a cell has no equal in the column's type.
    """
    columns = {}
    for name in table.column_names:
        try:
            columns[name] = table[name].cast(schema.field(name).type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise Refused(
                f"The column {name} holds cells of several types ({error}). "
                f"Give it one in the query: CAST({name} AS ...)."
            ) from error
    return pa.table(columns)


def write_parquet(pieces: Iterable[pa.Table], schema: pa.Schema, path: Path, mode: int = 0o666) -> None:
    """Write tables one after the other into one Parquet file, and flush it to the disk."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        with pq.ParquetWriter(file, schema) as writer:
            for table in pieces:
                writer.write_table(as_types(table, schema))
        file.flush()
        os.fsync(file.fileno())


class Parts:
    """The parts of a run in a folder: `part-00000.parquet` ..., and `quarantine/` for rows that were set aside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.types, self.bad_types = Types(), Types()
        self.entries: list[dict[str, Any]] = []

    def write(self, part: Scored) -> None:
        name = f"part-{len(self.entries):05d}.parquet"
        write_parquet([part.scored], self.types.add(part.scored), self.folder / name)
        if part.set_aside.num_rows:
            quarantine = self.folder / QUARANTINE
            quarantine.mkdir(mode=0o700, exist_ok=True)
            write_parquet([part.set_aside], self.bad_types.add(part.set_aside), quarantine / name, OWNER_ONLY)
        rows, set_aside = part.scored.num_rows, part.set_aside.num_rows
        if rows + set_aside != part.rows:
            raise SolventError(f"{name}: {part.rows} rows were read, {rows} scored and {set_aside} set aside.")
        self.entries.append({"name": name, "rows": rows, "set_aside": set_aside})

    def settle(self) -> None:
        """Give every part the same types, and count and hash what is on the disk."""
        quarantine = self.folder / QUARANTINE
        for entry in self.entries:
            path = self.folder / entry["name"]
            entry["rows"] = _settled(path, self.types.schema(), expected=entry["rows"])
            if entry["set_aside"]:
                _settled(
                    quarantine / entry["name"], self.bad_types.schema(), expected=entry["set_aside"], mode=OWNER_ONLY
                )
            entry["sha256"] = sha256(path)
        if quarantine.is_dir():
            sync_folder(quarantine)
        sync_folder(self.folder)

    def columns(self) -> list[dict[str, str]]:
        """Names and types of the scored columns."""
        return [{"name": each.name, "type": str(each.type)} for each in self.types.schema()]

    def drop_scored(self) -> None:
        """Leave nothing but the rows that were set aside."""
        for entry in self.entries:
            (self.folder / entry["name"]).unlink()

    def joined(self, form: Literal["csv", "parquet"]) -> tuple[Path, Path | None]:
        """All parts as one file, and all rows set aside as another if there are any."""
        data = self.folder / f"output.{form}"
        if form == "parquet":
            write_parquet(map(self._scored, self.entries), self.types.schema(), data)
        else:
            _write_csv(pa.concat_tables(map(self._scored, self.entries)), data)
        if not self.bad_types.without:
            return data, None
        quarantine = self.folder / "quarantine.parquet"
        bad = (_read(self.folder / QUARANTINE / entry["name"]) for entry in self.entries if entry["set_aside"])
        write_parquet(bad, self.bad_types.schema(), quarantine, OWNER_ONLY)
        return data, quarantine

    def _scored(self, entry: dict[str, Any]) -> pa.Table:
        return _read(self.folder / entry["name"])


def _write_csv(table: pa.Table, path: Path) -> None:
    for position, each in enumerate(table.schema):
        if pa.types.is_timestamp(each.type):
            form = "%Y-%m-%dT%H:%M:%S" + ("%z" if each.type.tz else "")
            table = table.set_column(position, each.name, pc.strftime(table.column(position), format=form))
    tables.write(table.to_pandas(types_mapper=tables.NULLABLE.get), path)


def _settled(path: Path, schema: pa.Schema, *, expected: int, mode: int = 0o666) -> int:
    with pq.ParquetFile(path) as file:
        rows, written = int(file.metadata.num_rows), file.schema_arrow
    if rows != expected:
        raise SolventError(f"{path} holds {rows} rows, {expected} were written. Nothing was published.")
    if written != schema:
        write_parquet([_read(path)], schema, path, mode)
    return rows


def _read(path: Path) -> pa.Table:
    with pq.ParquetFile(path) as file:
        return file.read()
