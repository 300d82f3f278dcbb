"""Parquet: read a file or a folder of parts as one table, and write columns with the types they were given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import Refused
from ..solution import Type
from ..wording import listed
from .delimited import BAD_ROW

__all__ = ["NULLABLE", "common_schema", "pieces", "row_count", "schema_of", "typed"]

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


def schema_of(path: Path) -> pa.Schema:
    """The columns of a file.

    Raises:
        Refused: if it is no whole Parquet file, or a column is there twice or can't be called so.
    """
    with _opened(path) as file:
        schema: pa.Schema = file.schema_arrow
        schema = pa.schema([field.remove_metadata() for field in schema if not _is_pandas_index(field.name)])
    repeated = sorted(name for name, count in Counter(schema.names).items() if count > 1)
    if repeated:
        raise Refused(f"{path.name}: {listed(map(repr, repeated))} is there twice. Give each column its own name.")
    if BAD_ROW in schema.names:
        raise Refused(f"{path.name}: the name {BAD_ROW} is Solvent's own. Give the column another name.")
    return schema


def common_schema(paths: Sequence[Path], schemas: Sequence[pa.Schema]) -> pa.Schema:
    """The columns of files that are one table, each with a type that holds those of all of them.

    Raises:
        Refused: if there is no such type.
    """
    common = schemas[0]
    for path, schema in zip(paths, schemas, strict=True):
        try:
            common = pa.unify_schemas([common, schema], promote_options="permissive")
        except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
            raise Refused(
                f"{path.name} and {paths[0].name} differ in the type of a column: {error}. Parts need the same types."
            ) from error
    return common


def pieces(path: Path, schema: pa.Schema, rows: int = BATCH_ROWS) -> Iterator[pd.DataFrame]:
    """Read a file piece by piece, in order, with the columns of `common_schema`.

    Integers and booleans are nullable, so that no column's type depends on where its missing cells are.

    Args:
        rows: at most so many in a piece; the memory taken depends on it, and on neither files nor row groups.

    Raises:
        Refused: if the file is damaged.
    """
    with _opened(path) as file:
        yield _to_pandas(schema.empty_table())
        read = 0
        # in this thread alone: scoring has the others, and each thread of Arrow's keeps memory of its own
        for batch in file.iter_batches(rows, columns=schema.names, use_threads=False):
            _refuse_damage(batch)
            read += batch.num_rows
            yield _to_pandas(pa.table(batch).select(schema.names).cast(schema))
            pa.default_memory_pool().release_unused()
        if read != file.metadata.num_rows:
            raise Refused(
                f"{path.name} is damaged: it says that it has {file.metadata.num_rows} rows, {read} are there. "
                "Write or copy it again."
            )


def row_count(path: Path) -> int:
    """How many rows a file says that it has."""
    with _opened(path) as file:
        return int(file.metadata.num_rows)


def _refuse_damage(batch: pa.RecordBatch) -> None:
    """Else texts that are no UTF-8 get on, and fail later. Any bytes are a number."""
    for column in batch.columns:
        if not (pa.types.is_primitive(column.type) or _is_ascii(column)):
            column.validate(full=True)


def _is_ascii(column: pa.Array) -> bool:
    """Whether all cells are ASCII texts; this is ten times as fast as looking at each."""
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return False
    texts = column.buffers()[2]
    return texts is None or not len(texts) or bool(np.frombuffer(texts, dtype=np.uint8).max() < 128)


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """What Arrow and pandas raise over damaged files becomes Refused."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:  # the disk, not the content
            raise
        raise Refused(f"{path.name} is damaged: {error}. Write or copy it again.") from error
    except (pa.ArrowException, UnicodeDecodeError, OverflowError, ValueError, LookupError) as error:
        raise Refused(f"{path.name} is damaged: {error}. Write or copy it again.") from error


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        file = pq.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False, page_checksum_verification=True)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise Refused(
            f"{path.name} is no whole Parquet file (it may have been cut off while it was written). "
            "Write or copy it again."
        ) from error
    with file, _damage_named(path):
        yield file


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
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
        raise Refused(f"The column {cells.name} was declared as {declared}, its cells are not: {error}") from error


def _as_it_is(cells: pd.Series) -> pa.Array:
    try:
        return pa.array(cells, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return pa.array([None if missing else str(cell) for cell, missing in zip(cells, cells.isna(), strict=True)])


def _list_type(cells: pd.Series) -> pa.DataType:
    held = pa.array(cells, from_pandas=True).type
    items = held.value_type if pa.types.is_list(held) or pa.types.is_large_list(held) else pa.null()
    numbers = pa.types.is_floating(items) or pa.types.is_integer(items)
    return pa.list_(pa.float64() if numbers else pa.string())
