"""Cells and columns as databases have them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sql

from ..errors import Refused
from ..tables.writing import without_nan

__all__ = ["column_type", "lines", "plain"]

TYPES: list[tuple[Any, Any]] = [
    (pa.types.is_boolean, sql.Boolean()),
    (pa.types.is_integer, sql.BigInteger()),
    (pa.types.is_floating, sql.Double()),
    (pa.types.is_date, sql.Date()),
    (pa.types.is_time, sql.Time()),
    (pa.types.is_binary, sql.LargeBinary()),
    (pa.types.is_large_binary, sql.LargeBinary()),
    (pa.types.is_string, sql.Text()),
    (pa.types.is_large_string, sql.Text()),
    (pa.types.is_nested, sql.Text()),
    (pa.types.is_null, sql.Text()),
]


def column_type(field: pa.Field, table: str | None) -> Any:
    """The type of the column that takes a field's cells.

    Args:
        table: its name, for the message.

    Raises:
        Refused: if a database has none such.
    """
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if pa.types.is_timestamp(kind):
        return sql.DateTime(timezone=kind.tz is not None)
    if pa.types.is_decimal(kind):
        return sql.Numeric(kind.precision, kind.scale)
    for fits, known in TYPES:
        if fits(kind):
            return known
    raise Refused(f"{table}, column {field.name}: {kind} is no type of a database's column.")


def plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Cells as a database has them: no NaN, times to the microsecond, lists as JSON."""
    return pa.record_batch([_plain_cells(cells) for cells in batch.columns], names=batch.schema.names)


def _plain_cells(cells: pa.Array) -> pa.Array:
    kind = cells.type
    if pa.types.is_dictionary(kind):
        return _plain_cells(cells.dictionary_decode())
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_nan(cells), None, cells).cast(pa.float64())
    if pa.types.is_timestamp(kind):
        return cells.cast(pa.timestamp("us", "UTC" if kind.tz else None), safe=False)
    if pa.types.is_nested(kind):
        texts = [
            None if cell is None else json.dumps(without_nan(cell), ensure_ascii=False, default=str)
            for cell in cells.to_pylist()
        ]
        return pa.array(texts, pa.large_string())
    if pa.types.is_string(kind) or pa.types.is_null(kind):
        return cells.cast(pa.large_string())
    return cells.cast(pa.binary()) if pa.types.is_large_binary(kind) else cells


def lines(batch: pa.RecordBatch) -> memoryview:
    """A batch as PostgreSQL's COPY reads it: a line for each row, a tab between cells, a backslash for all that is odd.

    Source: PostgreSQL's manual, COPY, "Text Format".
    """
    columns = []
    for cells in batch.columns:
        if pa.types.is_binary(cells.type):
            text = pa.array([None if cell is None else f"\\\\x{cell.hex()}" for cell in cells.to_pylist()])
        else:
            text = cells.cast(pa.large_string())
            if pa.types.is_large_string(cells.type):
                for odd, written in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
                    text = pc.replace_substring(text, odd, written)
        columns.append(pc.fill_null(text.cast(pa.large_string()), "\\N"))
    tab, end, nothing = (pa.scalar(text, pa.large_string()) for text in ("\t", "\n", ""))
    lines = pc.binary_join_element_wise(pc.binary_join_element_wise(*columns, tab), nothing, end)
    _, ends, text = lines.buffers()
    return memoryview(text)[: np.frombuffer(ends, np.int64)[len(lines)]]
