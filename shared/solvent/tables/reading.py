"""The files of a table, read piece by piece with the same columns, whatever their form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import Refused, SolventError
from . import delimited, json_lines, parquet
from .delimited import BAD_ROW
from .folders import Part

__all__ = ["failures_named", "pieces"]


@dataclass(frozen=True)
class Opened:
    """A file that is known to be one of the table's.

    Args:
        names: of its columns, in its own order.
        pieces: reads it.
    """

    part: Part
    names: tuple[str, ...]
    pieces: Callable[[], Iterator[pd.DataFrame]]


def pieces(
    parts: Sequence[Part], rows: int, *, encoding: str | None, delimiter: str | None, decimal: str
) -> Iterator[pd.DataFrame]:
    """Read the files as one table, piece by piece, in the order given. All headers are read before the first row.

    Args:
        parts: of one kind, with the same keys.
        rows: at most so many of a Parquet file in a piece.
        encoding, delimiter, decimal: of CSV files.

    Raises:
        Refused: if a file can't be read, or its columns are not those of the first one.
        SolventError: if the disk fails.
    """
    opened = {
        "CSV": lambda: _delimited(parts, encoding, delimiter, decimal),
        "JSON Lines": lambda: _json_lines(parts),
        "Parquet": lambda: _parquet(parts, rows),
    }[parts[0].kind]()
    first = opened[0]
    for each in opened:
        _refuse_other_columns(first.part.path, first.names, each.part.path, each.names)
        _refuse_keys_that_are_columns(each)
    for each in opened:
        with failures_named(each.part.path):
            shaped = partial(_shaped, names=first.names, keys=each.part.keys)
            yield from map(shaped, each.pieces())  # a variable would keep a piece in memory


def _delimited(parts: Sequence[Part], encoding: str | None, delimiter: str | None, decimal: str) -> list[Opened]:
    opened: list[Opened] = []
    for part in parts:
        with failures_named(part.path):
            layout = delimited.layout(part.path, encoding=encoding, delimiter=delimiter)
        opened.append(Opened(part, layout.names, partial(delimited.pieces, layout, decimal=decimal)))
    return opened


def _json_lines(parts: Sequence[Part]) -> list[Opened]:
    """All files have the keys of any: writers leave out what is null, so that a file may lack a key."""
    names: dict[str, None] = {}
    for part in parts:
        with failures_named(part.path):
            names |= dict.fromkeys(json_lines.columns(part.path))
    if not names:
        raise Refused(
            f"{parts[0].path.name} holds no row, so it has no columns. Expected JSON Lines: an object in each line."
        )
    return [Opened(part, tuple(names), partial(json_lines.pieces, part.path, tuple(names))) for part in parts]


def _parquet(parts: Sequence[Part], rows: int) -> list[Opened]:
    paths = [part.path for part in parts]
    schemas = []
    for path in paths:
        with failures_named(path):
            schemas.append(parquet.schema_of(path))
        _refuse_other_columns(paths[0], schemas[0].names, path, schemas[-1].names)
    common = parquet.common_schema(paths, schemas)
    return [Opened(part, tuple(common.names), partial(parquet.pieces, part.path, common, rows)) for part in parts]


def _refuse_other_columns(first: Path, names: Sequence[str], path: Path, others: Sequence[str]) -> None:
    odd = sorted(set(names) ^ set(others))
    if odd:
        has, lacks = (first, path) if odd[0] in names else (path, first)
        raise Refused(f"{has.name} has a column {odd[0]!r}, {lacks.name} has none. Parts need the same columns.")


def _refuse_keys_that_are_columns(opened: Opened) -> None:
    both = next((key for key in opened.part.keys if key in opened.names), None)
    if both is not None:
        raise Refused(
            f"{opened.part.path} has a column {both!r}, and lies in a folder {both}=... too. Rename one of them."
        )


def _shaped(piece: pd.DataFrame, names: Sequence[str], keys: Mapping[str, str | None]) -> pd.DataFrame:
    """The piece with its columns in the first file's order, and those of its folders' names."""
    wanted = [*names, BAD_ROW] if BAD_ROW in piece.columns else list(names)
    piece = piece if list(piece.columns) == wanted else piece[wanted]
    if not keys:
        return piece
    said = {
        key: pd.array([value], dtype="str").take(np.zeros(len(piece), dtype=np.intp)) for key, value in keys.items()
    }
    return piece.assign(**said)


@contextmanager
def failures_named(path: Path) -> Iterator[None]:
    """What is damaged becomes Refused, a disk that fails SolventError."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # of a decompressor
            raise Refused(f"{path.name} is damaged or cut off: {error}. Write or copy it again.") from error
        raise SolventError(f"{path} could not be read: {error.strerror or error}.") from error
