"""CSV files: which encoding, which delimiter, and the rows that don't fit the header.

Cells are text or missing. Missing are the cells of `NULLS`, quoted or not; `None` is text. Blank lines are no rows.
A row with too many or too few fields keeps its place: its cells are missing and `BAD_ROW` says why.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from ..errors import Refused
from ..wording import listed
from . import encodings
from .opening import opened, streamed

__all__ = ["BAD_ROW", "DELIMITERS", "NULLS", "Layout", "layout", "pieces"]

BAD_ROW = "__bad_row__"
NULLS = ("", "NA", "N/A", "NaN", "nan", "NULL", "null")
DELIMITERS = (",", ";", "\t", "|")

BLOCK = 32 << 20  # bytes; no row can be longer
SAMPLE = 1 << 20  # bytes that the delimiter is found in
SAMPLE_ROWS = 50


@dataclass(frozen=True)
class Layout:
    """How a file's bytes become rows."""

    path: Path
    encoding: str
    delimiter: str
    names: tuple[str, ...]
    header_only: bool


def pieces(layout: Layout, *, decimal: str) -> Iterator[pd.DataFrame]:
    """Read a CSV file piece by piece, in order.

    Args:
        decimal: with ",", a cell such as "1,5" is read as "1.5".

    Raises:
        Refused: if the file can't be read as a table, with the row and the cure.
    """
    yield _no_rows(layout).to_pandas()
    for table in [] if layout.header_only else _tables(layout):
        yield (_with_points(table) if decimal == "," else table).to_pandas()


# The layout: encoding, delimiter, header


def layout(path: Path, *, encoding: str | None, delimiter: str | None) -> Layout:
    """See how a CSV file is written.

    Args:
        encoding: found where it is None: a byte order mark, UTF-8, or a guess that is logged.
        delimiter: found among `DELIMITERS` where it is None.

    Raises:
        Refused: if it has no header, or could be read in two ways.
    """
    encoding = encodings.known(path, encoding) if encoding else encodings.found(path)
    with opened(path) as file:
        head = file.read(SAMPLE)
    whole = len(head) < SAMPLE
    try:
        sample = codecs.getincrementaldecoder(encoding)().decode(head, final=whole).lstrip("\ufeff")
    except UnicodeError as error:
        raise _undecodable(path, encoding, error) from error
    if "\0" in sample:
        raise Refused(
            f"{path.name} holds zero bytes, so it is no CSV file, or UTF-16 without a byte order mark. "
            "Save it as UTF-8, or name its encoding: utf-16-le."
        )
    csv.field_size_limit(BLOCK)
    delimiter = delimiter or _found_delimiter(path, sample, whole)
    rows = _sample_rows(sample, delimiter, whole)
    if not rows:
        raise Refused(f"{path.name} is empty. Expected a header line with the names of the columns, then the rows.")
    _check_header(path, rows[0], delimiter)
    return Layout(path, encoding, delimiter, tuple(rows[0]), header_only=whole and len(rows) == 1)


def _undecodable(path: Path, encoding: str, error: UnicodeError) -> Refused:
    said = f"{error.reason}, near byte {error.start + 1}" if isinstance(error, UnicodeDecodeError) else str(error)
    return Refused(
        f"{path.name} can't be read as {encoding}: {said}. "
        "Name the encoding it was saved in (encoding: cp1252), or save it as UTF-8."
    )


def _sample_rows(sample: str, delimiter: str, whole: bool) -> list[list[str]]:
    """The first rows, without the last one where the sample's end may have cut it."""
    reader = (row for row in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter) if row)
    rows = list(islice(reader, SAMPLE_ROWS))
    return rows if whole or len(rows) < 2 or len(rows) == SAMPLE_ROWS else rows[:-1]


def _found_delimiter(path: Path, sample: str, whole: bool) -> str:
    """The delimiter that gives most rows as many fields as the header has, then the most fields."""
    fits: dict[str, tuple[float, int]] = {}
    for delimiter in DELIMITERS:
        rows = _sample_rows(sample, delimiter, whole)
        fields = len(rows[0]) if rows else 0
        if fields > 1:
            fits[delimiter] = (sum(len(row) == fields for row in rows) / len(rows), fields)
    if not fits:
        return ","
    best = [delimiter for delimiter, fit in fits.items() if fit == max(fits.values())]
    if len(best) > 1:
        raise Refused(
            f"{path.name}: both {' and '.join(map(repr, best))} could separate its columns. Name the delimiter."
        )
    return best[0]


def _check_header(path: Path, names: list[str], delimiter: str) -> None:
    repeated = sorted(name for name, count in Counter(names).items() if count > 1 and name)
    if repeated:
        raise Refused(
            f"{path.name}, header: {listed(map(repr, repeated))} is there twice. Give each column its own name."
        )
    empty = [position + 1 for position, name in enumerate(names) if not name.strip()]
    if empty:
        raise Refused(
            f"{path.name}, header: column {listed(map(str, empty))} of {len(names)} (delimiter {delimiter!r}) has no "
            "name. Name it, or write the file without the index (pandas: to_csv(index=False))."
        )
    if BAD_ROW in names:
        raise Refused(f"{path.name}, header: the name {BAD_ROW} is Solvent's own. Give the column another name.")


# The rows


@dataclass(frozen=True)
class Ragged:
    """A row that doesn't fit the header; its position counts from 0 and includes such rows."""

    position: int
    reason: str


def _tables(layout: Layout) -> Iterator[pa.Table]:
    ragged: list[Ragged] = []
    start = 0
    quotes_checked = False
    try:
        reader = _open(layout, ragged)
        if tuple(reader.schema.names) != layout.names:
            raise Refused(
                f"{layout.path.name}, header: its names can be read in several ways. Inside a name, write a quotation "
                'mark (") twice, and one before and one behind the name.'
            )
        for batch in reader:
            if not quotes_checked and (_spans_lines(batch) or any("lines" in row.reason for row in ragged)):
                _check_quotes(layout)
                quotes_checked = True
            table = _with_ragged(pa.table(batch), ragged, start)
            start += table.num_rows
            yield table
        if ragged:
            yield _with_ragged(_no_rows(layout), ragged, start)
    except pa.ArrowInvalid as error:
        _check_quotes(layout)
        raise Refused(f"{layout.path.name} can't be read as CSV: {error}. Write or copy it again.") from error
    except UnicodeError as error:
        raise _undecodable(layout.path, layout.encoding, error) from error


def _no_rows(layout: Layout) -> pa.Table:
    return pa.schema([(name, pa.string()) for name in layout.names]).empty_table()


def _open(layout: Layout, ragged: list[Ragged]) -> pa.csv.CSVStreamingReader:
    def set_aside(row: pa.csv.InvalidRow) -> str:
        lines = row.text.count("\n") + 1
        spans = f", over {lines:,} lines: is a quotation mark left open?" if lines > 1 else ""
        fields = f"{row.actual_columns} field{'' if row.actual_columns == 1 else 's'}"
        # pyarrow counts the header as row 1
        ragged.append(Ragged(row.number - 2, f"{fields}, expected {row.expected_columns}{spans}"))
        return "skip"

    return pa.csv.open_csv(
        streamed(layout.path),
        # pyarrow numbers its rows only without threads
        pa.csv.ReadOptions(use_threads=False, encoding=layout.encoding, block_size=BLOCK),
        pa.csv.ParseOptions(delimiter=layout.delimiter, newlines_in_values=True, invalid_row_handler=set_aside),
        pa.csv.ConvertOptions(
            column_types={name: pa.string() for name in layout.names},
            null_values=NULLS,
            strings_can_be_null=True,
        ),
    )


def _with_ragged(table: pa.Table, ragged: list[Ragged], start: int) -> pa.Table:
    """Give the ragged rows their places back; takes from `ragged` those that belong to this table."""
    here = 0
    while here < len(ragged) and ragged[here].position <= start + table.num_rows + here:
        here += 1
    if not here:
        return table
    rows, ragged[:] = ragged[:here], ragged[here:]
    bad = np.zeros(table.num_rows + here, dtype=bool)
    bad[[row.position - start for row in rows]] = True
    reasons = np.full(len(bad), None, dtype=object)
    reasons[bad] = [row.reason for row in rows]
    spread = table.take(pa.array(np.cumsum(~bad) - 1, mask=bad))
    return spread.append_column(BAD_ROW, pa.array(reasons, type=pa.string()))


def _with_points(table: pa.Table) -> pa.Table:
    for position, name in enumerate(table.column_names):
        if name != BAD_ROW:
            cells = pc.replace_substring_regex(table.column(position), r"^(\s*[+-]?\d*),(\d+\s*)$", r"\1.\2")
            table = table.set_column(position, name, cells)
    return table


def _spans_lines(batch: pa.RecordBatch) -> bool:
    return any(pc.any(pc.match_substring(column, "\n")).as_py() for column in batch.columns)


def _check_quotes(layout: Layout) -> None:
    """Refuse a quotation mark that is left open: pyarrow takes all rows up to the next one for one cell."""
    row, line, held = -1, 1, 0

    def lines() -> Iterator[str]:
        nonlocal held
        text = io.TextIOWrapper(
            io.BufferedReader(cast(io.RawIOBase, _Unblanked(file)), SAMPLE),
            layout.encoding,
            errors="replace",
            newline="",
        )
        while part := text.readline(BLOCK):
            held += len(part)
            if held > BLOCK or len(part) == BLOCK:
                raise Refused(
                    f"{layout.path.name} row {row + 1} (line {line}) is longer than {BLOCK >> 20} MiB: a quotation "
                    'mark (") is left open, or this is no CSV file. Close it; inside a cell, write it twice.'
                )
            yield part

    with opened(layout.path) as file:
        reader = csv.reader(lines(), delimiter=layout.delimiter, strict=True)
        try:
            for record in reader:
                row, line, held = row + bool(record), reader.line_num + 1, 0
        except csv.Error as error:
            raise Refused(
                f'{layout.path.name} row {row + 1} (line {line}): a quotation mark (") is left open or stands alone '
                f"in a cell, which ends at line {reader.line_num} ({error}). Close it; inside a cell, write it twice."
            ) from error


class _Unblanked(io.RawIOBase):
    """A file without its blocks of nothing but blank lines: gigabytes of them may be few bytes when compressed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        while (block := self._file.read(len(view))) and len(block) == len(view) and not block.strip(b"\r\n"):
            pass
        view[: len(block)] = block
        return len(block)
