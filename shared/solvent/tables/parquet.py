"""Parquet: read a file or a folder of parts as one table, and write columns with the types they were given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import Refused
from ..solution import Type
from ..wording import listed

__all__ = ["pieces", "typed"]

BATCH_ROWS = 131_072
BUFFER = 1 << 16  # bytes of a column that are read at once; without, its whole row group is: a million rows, often
EXACT_INTEGERS = 18  # decimal digits that an int64 always holds

NULLABLE = {
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}

TYPES: Mapping[Type, pa.DataType] = {
    "float": pa.float64(),
    "integer": pa.int64(),
    "string": pa.string(),
    "boolean": pa.bool_(),
    "bytes": pa.binary(),
    "time": pa.timestamp("us"),
}


# Reading


def pieces(paths: Sequence[Path], rows: int = BATCH_ROWS) -> Iterator[pd.DataFrame]:
    """Read the files as one table, piece by piece, in the order given.

    Integers and booleans are nullable, so that no column's type depends on where its missing cells are.

    Args:
        rows: at most so many in a piece; the memory taken depends on it, and on neither files nor row groups.

    Raises:
        Refused: if a file is no whole Parquet file, or its columns are not those of the first one.
    """
    files = [_open(path) for path in paths]
    schema = _common_schema(paths, [file.schema_arrow for file in files])
    names = [name for name in schema.names if not _is_pandas_index(name)]
    yield _to_pandas(schema.empty_table().select(names))
    for path, file in zip(paths, files, strict=True):
        try:
            # in this thread alone: scoring has the others, and each thread of Arrow's keeps memory of its own
            for batch in file.iter_batches(rows, columns=names, use_threads=False):
                yield _to_pandas(pa.table(batch).select(names).cast(pa.schema([schema.field(name) for name in names])))
                pa.default_memory_pool().release_unused()
        except (pa.ArrowInvalid, OSError) as error:
            raise Refused(f"{path.name} is damaged: {error}. Write or copy it again.") from error


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False)
    except pa.ArrowInvalid as error:
        raise Refused(
            f"{path.name} is no whole Parquet file (it may have been cut off while it was written). "
            "Write or copy it again."
        ) from error


def _common_schema(paths: Sequence[Path], schemas: Sequence[pa.Schema]) -> pa.Schema:
    first = schemas[0]
    repeated = sorted({name for name in first.names if first.names.count(name) > 1})
    if repeated:
        raise Refused(f"{paths[0].name}: {listed(map(repr, repeated))} is there twice. Give each column its own name.")
    for path, schema in zip(paths, schemas, strict=True):
        odd = sorted(set(first.names) ^ set(schema.names))
        if odd:
            has, lacks = (paths[0], path) if odd[0] in first.names else (path, paths[0])
            raise Refused(f"{has.name} has a column {odd[0]!r}, {lacks.name} has none. Parts need the same columns.")
        try:
            first = pa.unify_schemas([first, schema], promote_options="permissive")
        except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
            raise Refused(
                f"{path.name} and {paths[0].name} differ in the type of a column: {error}. Parts need the same types."
            ) from error
    return first


def _is_pandas_index(name: str) -> bool:
    return name.startswith("__index_level_")


def _to_pandas(table: pa.Table) -> pd.DataFrame:
    for position, field in enumerate(table.schema):
        plain = _plain(field.type)
        if plain != field.type:
            table = table.set_column(position, field.name, table.column(position).cast(plain))
    frame: pd.DataFrame = table.to_pandas(
        types_mapper=NULLABLE.get, date_as_object=False, ignore_metadata=True, use_threads=False
    )
    return frame


def _plain(kind: pa.DataType) -> pa.DataType:
    """Types that pandas would hand on as objects or categories, which are slow and differ from part to part."""
    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_decimal(kind):
        if kind.scale > 0:
            return pa.float64()
        return pa.int64() if kind.precision <= EXACT_INTEGERS else pa.string()
    return kind


# Writing


def typed(table: pd.DataFrame, types: Mapping[str, Type]) -> pa.Table:
    """The table's columns, those named in `types` with their declared type even where they hold nothing but nulls.

    A list column holds float64 where all its items are numbers, else strings. A column without a declared
    type whose cells are of several types is written as strings.

    Raises:
        Refused: if cells don't fit their declared type.
    """
    columns = {str(name): _column(table[name], types.get(str(name))) for name in table.columns}
    return pa.table(columns)


def _column(cells: pd.Series, declared: Type | None) -> pa.Array:
    if declared is None:
        return _as_it_is(cells)
    try:
        if declared == "time" and isinstance(cells.dtype, pd.DatetimeTZDtype):
            cells = cells.dt.tz_convert("UTC").dt.tz_localize(None)
        kind = _list_type(cells) if declared == "list" else TYPES[declared]
        if cells.isna().all():
            return pa.nulls(len(cells), kind)
        return pa.array(cells, type=kind, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise Refused(f"The column {cells.name} was declared as {declared}, its cells are not: {error}") from error


def _as_it_is(cells: pd.Series) -> pa.Array:
    try:
        return pa.array(cells, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return pa.array([None if missing else str(cell) for cell, missing in zip(cells, cells.isna(), strict=True)])


def _list_type(cells: pd.Series) -> pa.DataType:
    held = pa.array(cells, from_pandas=True).type
    items = held.value_type if pa.types.is_list(held) or pa.types.is_large_list(held) else pa.null()
    numbers = pa.types.is_floating(items) or pa.types.is_integer(items)
    return pa.list_(pa.float64() if numbers else pa.string())
