"""JSON Lines: one object a line is a row. Cells keep their types; an object inside a row is JSON text.

Missing are null and keys that a row lacks. Blank lines are no rows. A line that is no object, or that has a key which
is no column, keeps its place: its cells are missing and `BAD_ROW` says why.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import Refused
from . import delimited
from .delimited import BAD_ROW
from .opening import opened

__all__ = ["columns", "pieces"]

READ = 4 << 20  # bytes that become rows at once
SAMPLE = 1 << 20  # bytes that the columns are found in
MARK = b"\xef\xbb\xbf"
BLANK = b" \t\r\n"
DEEPEST = 8  # lists in lists
LEAST, MOST = -(2**63), 2**64 - 1  # integers that a table holds


class _BadLine(Exception):
    """Why a line is no row."""


TOO_LARGE = "a JSON object with an integer of more than 64 bits; write it as a text"


def columns(path: Path) -> tuple[str, ...]:
    """The keys of the file's first rows, in the order in which they appear; none where it has no rows.

    Raises:
        Refused: if no line there is a JSON object, or a key can't be a column.
    """
    names: dict[str, None] = {}
    bad: _BadLine | None = None
    rows = read = 0
    for line in _lines(path, SAMPLE):
        try:
            names.update(dict.fromkeys(_row(line)))
            rows += 1
        except _BadLine as error:
            bad = bad or error
        read += len(line)
        if read >= SAMPLE:
            break
    if bad and not names:
        raise Refused(f"{path.name}: expected JSON Lines, a JSON object in each line; the first line is {bad}.")
    if rows and not names:
        raise Refused(f"{path.name}: the objects in its first lines have no keys, so there are no columns.")
    odd = next((name for name in names if not name.strip() or name == BAD_ROW), None)
    if odd is not None:
        raise Refused(f"{path.name}: the key {odd!r} can't be a column's name. Give it another.")
    return tuple(names)


def pieces(path: Path, names: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Read a file piece by piece, in order.

    Args:
        names: of the columns.

    Raises:
        Refused: if a line is not UTF-8, or longer than a row can be.
    """
    known = frozenset(names)
    yield _table([], names, known)
    lines: list[str] = []
    read = 0
    for line in _lines(path, READ):
        lines.append(line)
        read += len(line)
        if read >= READ:
            yield _table(lines, names, known)
            lines, read = [], 0
    if lines:
        yield _table(lines, names, known)


def _table(lines: Sequence[str], names: Sequence[str], known: frozenset[str]) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    reasons: dict[int, str] = {}
    for place, line in enumerate(lines):
        try:
            row = _row(line)
            if not row.keys() <= known:
                odd = next(name for name in row if name not in known)
                raise _BadLine(f"the key {odd!r} is none of the file's columns")
            rows.append(row)
        except _BadLine as error:
            rows.append({})
            reasons[place] = str(error)
    table = pd.DataFrame({name: _cells([row.get(name) for row in rows]) for name in names}, dtype=object)
    if reasons:
        table[BAD_ROW] = pd.array([reasons.get(place) for place in range(len(rows))], dtype="str")
    return table


def _cells(values: list[Any]) -> np.ndarray:
    cells = np.empty(len(values), dtype=object)  # np.array would make a matrix of lists of one length
    cells[:] = values
    return cells


# One line


def _row(line: str) -> dict[str, Any]:
    try:
        row = DECODER.decode(line)
        if type(row) is not dict:
            raise _BadLine(f"no JSON object but {_kind(row)}")
        if "\\u" in line:
            _refuse_half_characters(row)
        for name, cell in row.items():
            kind = type(cell)
            if kind is dict or kind is list:
                row[name] = _nested(cell)
            elif kind is int and not LEAST <= cell <= MOST:
                raise _BadLine(TOO_LARGE)
    except _BadLine:
        raise
    except json.JSONDecodeError as error:
        raise _BadLine(f"no JSON object ({error.msg})") from error
    except RecursionError as error:
        raise _BadLine("a JSON object that is nested too deeply") from error
    except ValueError as error:  # an integer of thousands of digits
        raise _BadLine(f"no JSON object that can be read ({error})") from error
    return row


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        keys = [name for name, _ in pairs]
        twice = next(name for name in keys if keys.count(name) > 1)
        raise _BadLine(f"a JSON object with the key {twice!r} twice")
    return row


def _kind(value: Any) -> str:
    return {list: "a list", str: "a text", bool: "true or false", type(None): "null"}.get(type(value), "a number")


def _nested(cell: Any, depth: int = 0) -> Any:
    if isinstance(cell, dict):
        return json.dumps(cell, ensure_ascii=False)
    if isinstance(cell, list):
        if depth == DEEPEST:
            raise _BadLine("a JSON object that is nested too deeply")
        return [_nested(each, depth + 1) for each in cell]
    if isinstance(cell, int) and not LEAST <= cell <= MOST:
        raise _BadLine(TOO_LARGE)
    return cell


def _refuse_half_characters(row: dict[str, Any]) -> None:
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise _BadLine("a JSON object with half a character (a lone surrogate)") from error


DECODER = json.JSONDecoder(object_pairs_hook=_object)


# The lines


def _lines(path: Path, size: int) -> Iterator[str]:
    """Lines that are not blank.

    Args:
        size: bytes that are read at once.
    """
    number, held = 0, b""
    with opened(path) as file:
        while block := file.read(size):
            block = held + block
            if not block.strip(BLANK):  # line by line, a small compressed file of nothing else would take hours
                number += block.count(b"\n")
                held = b""  # kept, blanks before an object would be looked at again with each block
                continue
            *whole, held = block.split(b"\n")
            for line in whole:
                number += 1
                if text := _text(path, number, line):
                    yield text
            if len(held) > delimited.BLOCK:
                break
    if text := _text(path, number + 1, held):
        yield text


def _text(path: Path, number: int, line: bytes) -> str:
    if len(line) > delimited.BLOCK and len(line.strip(BLANK)) > delimited.BLOCK:
        raise Refused(
            f"{path.name} line {number} is longer than {delimited.BLOCK >> 20} MiB. Expected JSON Lines: each object "
            "in a line of its own."
        )
    try:
        return (line.removeprefix(MARK) if number == 1 else line).decode().strip(BLANK.decode())
    except UnicodeDecodeError as error:
        raise Refused(
            f"{path.name} line {number}: byte {error.start + 1} is not UTF-8. Save the file as UTF-8."
        ) from error
