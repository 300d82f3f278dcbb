"""Tables out: CSV, JSON Lines, Parquet, and cells of bytes as files of their own."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from ..errors import Refused, SolventError
from ..files import replacing
from ..solution import Type
from . import parquet

__all__ = ["append_csv", "append_jsonl", "ending", "with_files", "without_nan", "write"]

JSON_ROWS = 65_536  # that are put together at once


def ending(table: pd.DataFrame) -> str:
    """The ending of a file that keeps the table's cells as they are: .parquet for bytes and lists, else .csv."""
    first = [cells.dropna().iloc[0] for _, cells in table.items() if cells.notna().any()]
    return ".parquet" if any(isinstance(cell, bytes | list | np.ndarray) for cell in first) else ".csv"


def write(table: pd.DataFrame, path: Path, types: Mapping[str, Type] | None = None) -> None:
    """Write a table without its index, so that the file is whole or absent.

    Args:
        path: ends in .csv, .jsonl or .parquet. In CSV a list is JSON; in CSV and JSON Lines bytes are base64.
        types: declared types, which a column has even where it holds nothing but nulls.

    Raises:
        Refused: for another ending, or cells that don't fit their declared type.
        SolventError: if the file can't be written.
    """
    writers: dict[str, Callable[[Any, Path], None]] = {
        ".csv": _write_csv,
        ".jsonl": _write_jsonl,
        ".parquet": pq.write_table,
    }
    if path.suffix.lower() not in writers:
        raise Refused(f"{path}: expected a name that ends in .csv, .jsonl or .parquet.")
    columns = parquet.typed(table, types or {})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            writers[path.suffix.lower()](columns, temporary)
    except OSError as error:
        raise SolventError(f"{path} could not be written: {error.strerror or error}.") from error


def with_files(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Write cells that hold bytes, such as pictures, as files, and put their paths in their place.

    Args:
        folder: gets `COLUMN-ROW.png`, with rows counted from 1; what an earlier call left there is replaced.

    Returns:
        The table with paths relative to the folder that `folder` lies in; itself where no cell holds bytes.

    Raises:
        Refused: if `folder` holds anything else.
    """
    names = [name for name, cells in table.items() if any(isinstance(cell, bytes) for cell in cells)]
    if not names:
        return table
    ours = re.compile(rf"(?:{'|'.join(re.escape(str(name)) for name in names)})-\d+\.\w+")
    if folder.exists() and not all(ours.fullmatch(item.name) for item in folder.iterdir()):
        raise Refused(f"{folder} is there already and holds other files. Move it away, or name another output.")
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    temporary.mkdir(parents=True)
    for name in names:
        paths: list[Any] = []
        for row, cell in enumerate(table[name], start=1):
            ending = ".png" if isinstance(cell, bytes) and cell.startswith(b"\x89PNG") else ".bin"
            paths.append(f"{folder.name}/{name}-{row}{ending}" if isinstance(cell, bytes) else None)
            if isinstance(cell, bytes):
                (temporary / f"{name}-{row}{ending}").write_bytes(cell)
        table = table.assign(**{str(name): pd.array(paths, dtype="str")})
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    return table


def append_csv(table: pd.DataFrame, file: IO[bytes], *, header: bool) -> None:
    """Write rows as CSV behind those that a file has, in the form that `write` gives them."""
    _append_csv(parquet.typed(table, {}), file, header)


def append_jsonl(table: pd.DataFrame, file: IO[bytes]) -> None:
    """Write rows as JSON Lines behind those that a file has: an object a line, every column in each, in UTF-8.

    Missing cells and NaN are null, times are written as in CSV, bytes are base64.

    Raises:
        Refused: for infinite numbers, which JSON doesn't have.
    """
    _append_jsonl(parquet.typed(table, {}), file)


def _write_csv(columns: Any, path: Path) -> None:
    with path.open("wb") as file:
        _append_csv(columns, file, header=True)


def _append_csv(columns: Any, file: IO[bytes], header: bool) -> None:
    for position, field in enumerate(columns.schema):
        if pa.types.is_nested(field.type) or pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
            cells = [None if cell is None else _csv_cell(cell) for cell in columns.column(position).to_pylist()]
            columns = columns.set_column(position, field.name, pa.array(cells, type=pa.string()))
    if header:
        names = io.StringIO()
        csv.writer(names, lineterminator="\n").writerow(columns.column_names)
        file.write(names.getvalue().encode())
    # pyarrow is ten times as fast as pandas, but puts quotation marks around all names
    pa.csv.write_csv(columns, file, pa.csv.WriteOptions(include_header=False))


def _csv_cell(cell: Any) -> str:
    if isinstance(cell, bytes):
        return base64.b64encode(cell).decode("ascii")
    return json.dumps(cell, ensure_ascii=False, default=str)


def _write_jsonl(columns: Any, path: Path) -> None:
    with path.open("wb") as file:
        _append_jsonl(columns, file)


def _append_jsonl(columns: Any, file: IO[bytes]) -> None:
    if not columns.num_columns:
        file.write(b"{}\n" * columns.num_rows)
        return
    for start in range(0, columns.num_rows, JSON_ROWS):
        rows = columns.slice(start, JSON_ROWS)
        pieces: list[Any] = []
        for place, name in enumerate(rows.column_names):
            cells = _json_cells(name, rows.column(place).combine_chunks())
            pieces += [f"{',' if place else '{'}{json.dumps(name, ensure_ascii=False)}:", pc.fill_null(cells, "null")]
        lines = pc.binary_join_element_wise(*map(_large, pieces), _large("}\n"), _large(""))
        file.write(memoryview(lines.buffers()[2]) if len(lines) else b"")


def _large(text: Any) -> Any:
    return pa.scalar(text, pa.large_string()) if isinstance(text, str) else text.cast(pa.large_string())


def _json_cells(name: str, cells: Any) -> Any:
    """The cells as JSON texts, missing where they are."""
    kind = cells.type
    if pa.types.is_dictionary(kind):
        return _json_cells(name, cells.cast(kind.value_type))
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind):
        return cells.cast(pa.string())
    if pa.types.is_floating(kind):
        if pc.any(pc.is_inf(cells)).as_py():
            raise Refused(f"The column {name} holds an infinite number, which JSON doesn't have. Write Parquet or CSV.")
        known = pc.if_else(pc.is_nan(cells), None, cells).cast(pa.string())
        return pc.replace_substring_regex(known, r"^(-?\d+)$", r"\1.0")  # else it would be read as an integer
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        texts = [None if cell is None else _json_cell(name, cell) for cell in cells.to_pylist()]
        return pa.array(texts, pa.string())
    # texts mostly repeat: each is written once
    levels = cells.cast(pa.large_string()).dictionary_encode()
    texts = [json.dumps(level, ensure_ascii=False) for level in levels.dictionary.to_pylist()]
    return pa.array(texts, pa.large_string()).take(levels.indices)


def _json_cell(name: str, cell: Any) -> str:
    try:
        return json.dumps(without_nan(cell), ensure_ascii=False, allow_nan=False, default=str, separators=(",", ":"))
    except ValueError as error:
        raise Refused(
            f"The column {name} holds a list with an infinite number, which JSON doesn't have. Write Parquet or CSV."
        ) from error


def without_nan(cell: Any) -> Any:
    """A cell as JSON can have it: NaN is null, bytes are base64."""
    if isinstance(cell, list):
        return [without_nan(each) for each in cell]
    if isinstance(cell, dict):
        return {key: without_nan(each) for key, each in cell.items()}
    if isinstance(cell, bytes):
        return base64.b64encode(cell).decode("ascii")
    return None if isinstance(cell, float) and cell != cell else cell
