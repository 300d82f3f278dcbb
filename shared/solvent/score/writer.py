"""The one writer of parts: Parquet files with one set of types, flushed to the disk, counted again from the disk.

A folder gets a file for each part. Where one file is wanted, each part becomes a row group of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
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


@contextmanager
def parquet_file(path: Path, schema: pa.Schema, mode: int = 0o666) -> Iterator[pq.ParquetWriter]:
    """A Parquet file to write tables into; once the block ends, it is flushed to the disk."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        with pq.ParquetWriter(file, schema) as writer:
            yield writer
        file.flush()
        os.fsync(file.fileno())


def write_parquet(pieces: Iterable[pa.Table], schema: pa.Schema, path: Path, mode: int = 0o666) -> None:
    """Write tables one after the other into one Parquet file, and flush it to the disk."""
    with parquet_file(path, schema, mode) as writer:
        for table in pieces:
            writer.write_table(as_types(table, schema))


class Parts:
    """The parts of a run in a folder: `part-00000.parquet` ..., and `quarantine/` for rows that were set aside.

    Use it as a context: it closes what is open where a run breaks off.

    Args:
        one_file: put all scored parts into one file; another one is begun only where a column's type changes.
    """

    def __init__(self, folder: Path, one_file: bool = False) -> None:
        self.folder, self.one_file = folder, one_file
        self.types, self.bad_types = Types(), Types()
        self.entries: list[dict[str, Any]] = []  # of the files with scored rows
        self.bad: dict[str, int] = {}  # the quarantine's files and their rows
        self._open = ExitStack()
        self._writer: pq.ParquetWriter | None = None
        self._count = 0

    def __enter__(self) -> Parts:
        return self

    def __exit__(self, *failure: object) -> None:
        self._open.close()

    def write(self, part: Scored) -> None:
        name = f"part-{self._count:05d}.parquet"
        rows, set_aside = part.scored.num_rows, part.set_aside.num_rows
        if rows + set_aside != part.rows:
            raise SolventError(f"{name}: {part.rows} rows were read, {rows} scored and {set_aside} set aside.")
        self._count += 1
        self._write_scored(part.scored, name)
        self.entries[-1]["rows"] += rows
        self.entries[-1]["set_aside"] += set_aside
        if set_aside:
            quarantine = self.folder / QUARANTINE
            quarantine.mkdir(mode=0o700, exist_ok=True)
            write_parquet([part.set_aside], self.bad_types.add(part.set_aside), quarantine / name, OWNER_ONLY)
            self.bad[name] = set_aside
        pa.default_memory_pool().release_unused()  # else it keeps a fifth of the peak

    def _write_scored(self, table: pa.Table, name: str) -> None:
        schema = self.types.add(table)
        if self._writer is None or schema != self._writer.schema:
            self._open.close()
            self._writer = self._open.enter_context(parquet_file(self.folder / name, schema))
            self.entries.append({"name": name, "rows": 0, "set_aside": 0})
        self._writer.write_table(as_types(table, schema))
        if not self.one_file:
            self._close()

    def _close(self) -> None:
        self._writer = None
        self._open.close()

    def settle(self) -> None:
        """Give every part the same types, and count and hash what is on the disk."""
        self._close()
        quarantine = self.folder / QUARANTINE
        for entry in self.entries:
            path = self.folder / entry["name"]
            entry["rows"] = _settled(path, self.types.schema(), expected=entry["rows"])
            entry["sha256"] = sha256(path)
        for name, rows in self.bad.items():
            _settled(quarantine / name, self.bad_types.schema(), expected=rows, mode=OWNER_ONLY)
        if self.bad:
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
        files = [self.folder / entry["name"] for entry in self.entries]
        data = self.folder / f"output.{form}"
        if form == "csv":
            _write_csv(_pieces(files), data)
        elif len(files) == 1:
            data = files[0]
        else:
            write_parquet(_pieces(files), self.types.schema(), data)
        if not self.bad:
            return data, None
        quarantine = self.folder / "quarantine.parquet"
        bad = [self.folder / QUARANTINE / name for name in self.bad]
        write_parquet(_pieces(bad), self.bad_types.schema(), quarantine, OWNER_ONLY)
        return data, quarantine


def _write_csv(pieces: Iterable[pa.Table], path: Path) -> None:
    with path.open("wb") as file:
        for number, piece in enumerate(pieces):
            table = piece
            for position, each in enumerate(table.schema):
                if pa.types.is_timestamp(each.type):
                    form = "%Y-%m-%dT%H:%M:%S" + ("%z" if each.type.tz else "")
                    times = pc.strftime(table.column(position), format=form)
                    table = table.set_column(position, each.name, times)
            tables.append_csv(table.to_pandas(types_mapper=tables.NULLABLE.get), file, header=number == 0)
        file.flush()
        os.fsync(file.fileno())


def _settled(path: Path, schema: pa.Schema, *, expected: int, mode: int = 0o666) -> int:
    with pq.ParquetFile(path) as file:
        rows, written = int(file.metadata.num_rows), file.schema_arrow
    if rows != expected:
        raise SolventError(f"{path} holds {rows} rows, {expected} were written. Nothing was published.")
    if written != schema:
        changed = path.with_suffix(".changed")
        write_parquet(_pieces([path]), schema, changed, mode)
        changed.rename(path)
    return rows


def _pieces(paths: Iterable[Path]) -> Iterator[pa.Table]:
    """The parts that files hold, one after the other."""
    for path in paths:
        with pq.ParquetFile(path) as file:
            for place in range(file.num_row_groups):
                yield file.read_row_group(place)
