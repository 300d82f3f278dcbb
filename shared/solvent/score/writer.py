"""The files of a run: a Parquet file for each part with the types of its own cells, then all of them with one set.

What is published is put together from the parts in one go, so that it depends on them alone, and on no earlier attempt.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .. import tables
from ..errors import Refused, SolventError
from ..files import replacing, sha256, sync_folder
from .parts import Scored

__all__ = ["OWNER_ONLY", "QUARANTINE", "Files", "PartFiles", "write_part"]

QUARANTINE = "quarantine"
OWNER_ONLY = 0o600


@dataclass(frozen=True)
class PartFiles:
    """The files of one part.

    Args:
        sums: sha256 by name in the run's folder: of the scored rows, then of the rows set aside if there are any.
        without_cells: columns of each file that hold nothing but nulls.
    """

    sums: Mapping[str, str]
    without_cells: Mapping[str, list[str]]


def write_part(folder: Path, number: int, part: Scored) -> PartFiles:
    """Write a part's rows; once this returns, they survive a power cut."""
    name = f"part-{number:05d}.parquet"
    rows, set_aside = part.scored.num_rows, part.set_aside.num_rows
    if rows + set_aside + part.joined + part.context != part.rows:
        raise SolventError(f"{name}: {part.rows} rows were read, {rows} scored and {set_aside} set aside.")
    written = {name: part.scored}
    if set_aside:
        (folder / QUARANTINE).mkdir(mode=0o700, exist_ok=True)
        written[f"{QUARANTINE}/{name}"] = part.set_aside
    for path, table in written.items():
        with replacing(folder / path) as temporary:
            _write_parquet([table], table.schema, temporary, _mode(path))
    pa.default_memory_pool().release_unused()  # else it keeps a fifth of the peak
    return PartFiles(
        {path: sha256(folder / path) for path in written},
        {path: _without_cells(table) for path, table in written.items()},
    )


def _mode(path: str) -> int:
    return OWNER_ONLY if path.startswith(QUARANTINE) else 0o666


def _without_cells(table: pa.Table) -> list[str]:
    return [name for name, column in zip(table.column_names, table.columns, strict=True) if not _has_cells(column)]


def _has_cells(column: Any) -> bool:
    if pa.types.is_list(column.type):
        column = column.combine_chunks().flatten()  # an empty list says nothing of its items' type
    return bool(column.null_count < len(column))


@dataclass(frozen=True)
class Files:
    """Files of a run that are one table: all scored rows, or all rows that were set aside.

    Args:
        names: in the run's folder, in the order of the parts.
        rows: how many were written into each.
        without_cells: columns of each that hold nothing but nulls.
    """

    folder: Path
    names: Sequence[str]
    rows: Sequence[int]
    without_cells: Sequence[Sequence[str]]

    @cached_property
    def schema(self) -> pa.Schema:
        """One type for each column: what its cells need, whichever part they lie in.

        Columns of CSV and Parquet files have one from the start. A query's cells are found part by part; where they
        agree on no type, the column is text.
        """
        with_cells: dict[str, pa.DataType] = {}
        without: dict[str, pa.DataType] = {}
        for name, empty in zip(self.names, self.without_cells, strict=True):
            for field in pq.read_schema(self.folder / name):
                without.setdefault(field.name, pa.null())  # so that its order is the columns' order
                known = without if field.name in empty else with_cells
                known[field.name] = _common(known.get(field.name, pa.null()), field.type)
        found = {**without, **with_cells}
        return pa.schema([(name, pa.string() if pa.types.is_null(kind) else kind) for name, kind in found.items()])

    def tables(self) -> Iterator[pa.Table]:
        """The parts' rows, one after the other, in the types of the schema.

        Raises:
            SolventError: if a file holds other rows than were written.
        """
        for name, rows in zip(self.names, self.rows, strict=True):
            with self._opened(name, rows) as file:
                yield as_types(file.read(use_threads=False), self.schema)
            pa.default_memory_pool().release_unused()

    @contextmanager
    def _opened(self, name: str, rows: int) -> Iterator[pq.ParquetFile]:
        with pq.ParquetFile(self.folder / name) as file:
            if file.metadata.num_rows != rows:
                raise SolventError(
                    f"{self.folder / name} holds {file.metadata.num_rows} rows, {rows} were written. "
                    "Nothing was published."
                )
            yield file

    def copy_to(self, folder: Path) -> list[dict[str, Any]]:
        """Put the parts into another folder, in the types of the schema; gives their names, rows and sums.

        A part that has these types already is linked, not copied.
        """
        entries = []
        for name, rows in zip(self.names, self.rows, strict=True):
            target = folder / name
            target.parent.mkdir(mode=0o700 if name.startswith(QUARANTINE) else 0o777, exist_ok=True)
            with self._opened(name, rows) as file:
                if file.schema_arrow.equals(self.schema):
                    _link(self.folder / name, target)
                else:
                    _write_parquet(
                        [as_types(file.read(use_threads=False), self.schema)], self.schema, target, _mode(name)
                    )
            entries.append({"name": name, "rows": rows, "sha256": sha256(target)})
        if self.names:
            sync_folder((folder / self.names[0]).parent)
        return entries

    def join_into(self, path: Path, form: str, mode: int = 0o666) -> None:
        """Put all rows into one file, whole or absent: csv, jsonl, or parquet with a row group for each part."""
        writers: Mapping[str, Callable[[Iterable[pa.Table], pa.Schema, Path, int], None]] = {
            "csv": _write_csv,
            "jsonl": _write_jsonl,
            "parquet": _write_parquet,
        }
        with replacing(path) as temporary:
            writers[form](self.tables(), self.schema, temporary, mode)
        if form == "parquet" and (found := pq.read_metadata(path).num_rows) != sum(self.rows):
            raise SolventError(f"{path} holds {found} rows, {sum(self.rows)} were written. Nothing was published.")


def _link(path: Path, target: Path) -> None:
    try:
        target.hardlink_to(path)
    except OSError:  # a file system without hard links
        with path.open("rb") as source, _file(target, path.stat().st_mode & 0o777) as file:
            shutil.copyfileobj(source, file)


def _common(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if one == other:
        return one
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
def _file(path: Path, mode: int) -> Iterator[Any]:
    """A new file to write; once the block ends, it is flushed to the disk."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _write_parquet(pieces: Iterable[pa.Table], schema: pa.Schema, path: Path, mode: int) -> None:
    with _file(path, mode) as file, pq.ParquetWriter(file, schema) as writer:
        for table in pieces:
            writer.write_table(table)


def _write_csv(pieces: Iterable[pa.Table], schema: pa.Schema, path: Path, mode: int) -> None:
    with _file(path, mode) as file:
        for number, table in enumerate(pieces):
            tables.append_csv(_to_pandas(table), file, header=number == 0)


def _write_jsonl(pieces: Iterable[pa.Table], schema: pa.Schema, path: Path, mode: int) -> None:
    with _file(path, mode) as file:
        for table in pieces:
            tables.append_jsonl(_to_pandas(table), file)


def _to_pandas(table: pa.Table) -> Any:
    for position, each in enumerate(table.schema):
        if pa.types.is_timestamp(each.type):
            form = "%Y-%m-%dT%H:%M:%S" + ("%z" if each.type.tz else "")
            table = table.set_column(position, each.name, pc.strftime(table.column(position), format=form))
    return table.to_pandas(types_mapper=tables.NULLABLE.get)
