"""Cells and their kinds: read a column's cells as numbers, categories, times, ...; find the kind of undeclared ones.

A cell is read the same way whatever else its column holds and whichever file it came from: 1, 1.0, "1" and "1.0"
are one category; "" and blanks are missing. Values are missing where a cell is missing or can't be read.
"""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..solution import Kind

__all__ = [
    "UNREADABLE",
    "Cells",
    "absolute",
    "canonical",
    "cure",
    "decimal_commas",
    "found_kind",
    "missing",
    "read",
    "shown",
]

UNREADABLE = {
    "number": "is not a number",
    "time": "is not a date or time (expected as 2024-05-31 or 2024-05-31T10:00:00)",
    "image": "is neither a path nor the bytes of an image",
    "list": "is not a list (expected as a|b, or as a JSON list)",  # no quotes: where reasons are counted, they go
}

NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(?i:inf|infinity|nan)$"
PLAIN = r"^[\w-]*\d[\w-]*$"  # as most ids are: a word with a digit is spelled in one way only
DECIMAL_COMMA = r"^\s*[+-]?\d*,\d+\s*$"
DATE = r"^\s*\d{4}-?\d{2}|^\s*\d{4}\s*$"  # without it pandas reads "now" and "today" as times
UnixUnit = Literal["s", "ms", "us", "ns"]

MOSTLY = 0.95
FEW_ROWS = 50  # fewer unique strings than this may be categories
WORDS_OF_A_TEXT = 4
LOOKED_AT = 1000

TEXT = pd.StringDtype(na_value=np.nan)


@dataclass(frozen=True)
class Cells:
    """A column's cells, read as a kind.

    Args:
        values: a missing one for each cell that is missing or unreadable.
        missing: shape `(rows,)`.
        unreadable: shape `(rows,)`; none of these is missing.
        levels: of categories, each that is there: what is true of all of them needs no look at the rows.
    """

    values: pd.Series
    missing: np.ndarray
    unreadable: np.ndarray
    levels: frozenset[str] = frozenset()


def read(cells: pd.Series, kind: Kind, unit: str | None = None) -> Cells:
    """Read cells as a kind; the index is kept.

    Args:
        unit: for times given as numbers since 1970: s, ms, us or ns.
    """
    cells = _unwrapped(cells)
    if kind == "time":
        return _times(cells, unit)
    return READERS[kind](cells)


def absolute(cells: pd.Series, folder: Path) -> pd.Series:
    """Cells of images, paths among them made absolute.

    Args:
        folder: what a relative path starts from.
    """

    def path(cell: Any) -> Any:
        if not isinstance(cell, str) or not cell.strip() or "\0" in cell:
            return cell
        blank = cell != cell.strip() and not (folder / cell).exists()  # a name may begin or end with one
        return os.path.abspath(folder / (cell.strip() if blank else cell))  # noqa: PTH100

    found = np.fromiter((path(cell) for cell in cells), object, len(cells))
    return pd.Series(found, index=cells.index, name=cells.name, dtype=object)


def cure(kind: str, cell: Any) -> str:
    """What to do about an unreadable cell, where that is known: " (write 1.5, or ...)", or nothing."""
    if kind == "number" and isinstance(cell, str) and re.match(DECIMAL_COMMA, cell):
        return f' (write {cell.strip().replace(",", ".")}, or read the file with decimal: ",")'
    if kind == "time" and str(cell).replace(".", "").isdigit():
        return ", or set its unit to s or ms for seconds or milliseconds since 1970"
    return ""


def shown(cell: Any) -> str:
    """A cell as a message shows it: 'abc', 1.5; a long one is cut."""
    text = repr(cell.item() if isinstance(cell, np.generic) else cell)
    return text if len(text) <= 60 else f"{text[:50]}...{text[-1]}"


# Reading, kind by kind


def _numbers(cells: pd.Series) -> Cells:
    if _is_number(cells.dtype):
        values = cells.to_numpy(dtype=np.float64, na_value=np.nan)
        return _cells(cells, values, np.isnan(values), np.zeros(len(cells), dtype=bool))
    text = pc.utf8_trim_whitespace(_text(cells))
    try:
        numbers = pc.cast(text, pa.float64())
    except pa.ArrowInvalid:
        numbers = pc.cast(pc.if_else(pc.match_substring_regex(text, NUMBER), text, None), pa.float64())
    values = numbers.to_numpy(zero_copy_only=False)
    spelled_nan = _mask(pc.is_nan(numbers))
    absent = _mask(pc.equal(text, "")) | _mask(pc.is_null(text)) | spelled_nan
    return _cells(cells, values, absent, np.isnan(values) & ~absent)


def _categories(cells: pd.Series) -> Cells:
    text = _text(cells)
    coded = text.dictionary_encode()
    found = coded.dictionary.to_pylist()
    spelled = list(found)
    for place in np.flatnonzero(~_mask(pc.match_substring_regex(coded.dictionary, PLAIN))):
        spelled[place] = canonical(found[place])
    if spelled != found:
        text = pa.array(spelled, type=coded.dictionary.type).take(coded.indices)
    return replace(_from_text(cells, text), levels=frozenset(level for level in spelled if level is not None))


def _texts(cells: pd.Series) -> Cells:
    text = _text(cells)
    blank = pc.equal(pc.utf8_trim_whitespace(text), "")
    return _from_text(cells, pc.if_else(blank, None, text) if pc.any(blank).as_py() else text)


def _ids(cells: pd.Series) -> Cells:
    """As categories, but the cells keep their type: an id is joined with the user's own tables."""
    absent = missing(cells)
    return Cells(cells, absent, np.zeros(len(cells), dtype=bool))


def _times(cells: pd.Series, unit: str | None) -> Cells:
    """Times without a zone, in UTC where the cells name a zone."""
    absent = missing(cells)
    if unit in get_args(UnixUnit):
        numbers = _numbers(cells)
        times = pd.to_datetime(numbers.values, unit=cast(UnixUnit, unit), errors="coerce", utc=True)
        absent = numbers.missing
    elif pd.api.types.is_datetime64_any_dtype(cells.dtype):
        times = pd.to_datetime(cells, utc=True)
    else:
        text = _text(cells)
        dated = pc.if_else(pc.match_substring_regex(text, DATE), text, None)
        times = pd.to_datetime(_series(cells, dated), errors="coerce", format="ISO8601", utc=True)
    values = times.dt.tz_localize(None).dt.as_unit("us")
    return Cells(values, absent, values.isna().to_numpy() & ~absent)


def _images(cells: pd.Series) -> Cells:
    absent = missing(cells)
    if isinstance(cells.dtype, pd.StringDtype):
        return Cells(cells.astype(TEXT), absent, np.zeros(len(cells), dtype=bool))
    return _by_cell(cells, absent, _image)


def _lists(cells: pd.Series) -> Cells:
    return _by_cell(cells, missing(cells), _list)


def _declared_lists(cells: pd.Series) -> Cells:
    """As `_lists`, but a plain text is a list too, its items stand between |, and a number is a list of one: files of
    text hold lists so, and those of one number each come as numbers."""
    return _by_cell(cells, missing(cells), _list_or_bars)


READERS: dict[Kind, Callable[[pd.Series], Cells]] = {
    "number": _numbers,
    "category": _categories,
    "text": _texts,
    "image": _images,
    "id": _ids,
    "list": _declared_lists,
}


# The kind of undeclared cells


def found_kind(cells: pd.Series) -> Kind:
    """Find the kind of training cells that nobody declared; missing ones don't count.

    95 % numbers are a number column, 95 % ISO dates a time column: the others are then bad cells. Unique strings
    without blanks are ids, mostly unique ones of four words and more are texts.
    """
    cells = cells[~missing(cells)]
    if isinstance(cells.dtype, pd.CategoricalDtype) or pd.api.types.is_bool_dtype(cells.dtype):
        return "category"
    if _is_number(cells.dtype):
        return "number"
    cells = _unwrapped(cells)
    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        return "time"
    first = cells.iloc[:LOOKED_AT]
    if cells.dtype == object and not _is_plain(first):
        return "list" if isinstance(first.iloc[0], list | tuple | np.ndarray) else "image"
    if _spells_number(cells).mean() >= MOSTLY:
        return "number"
    if _share(_times(first, None)) >= MOSTLY and _share(_times(cells, None)) >= MOSTLY:
        return "time"
    if _share(_lists(first)) == 1:
        return "list"
    return _kind_of_strings(_series(cells, _text(cells)))


def decimal_commas(cells: pd.Series) -> str | None:
    """An example of a number with a decimal comma, if undeclared cells are mostly such numbers."""
    cells = cells[~missing(cells)]
    if not (isinstance(cells.dtype, pd.StringDtype) or cells.dtype == object) or not _is_plain(cells):
        return None
    text = _text(cells)
    commas = _mask(pc.match_substring_regex(text, DECIMAL_COMMA))
    if commas.any() and (commas | _spells_number(cells)).mean() >= MOSTLY:
        return str(cells.iloc[int(commas.argmax())])
    return None


def _kind_of_strings(text: pd.Series) -> Kind:
    unique = text.nunique() / len(text)
    if unique == 1 and len(text) > FEW_ROWS and not text.str.contains(r"\s").any():
        return "id"
    words = text.iloc[:LOOKED_AT].str.count(r"\S+").mean()
    return "text" if words >= WORDS_OF_A_TEXT and unique > 0.5 else "category"


def _spells_number(cells: pd.Series) -> np.ndarray:
    return _mask(pc.match_substring_regex(pc.utf8_trim_whitespace(_text(cells)), NUMBER))


def _share(read: Cells) -> float:
    return 1 - float(read.unreadable.mean())


# Between pandas and arrow


def _unwrapped(cells: pd.Series) -> pd.Series:
    """The cells themselves, where they are kept as codes of categories or as arrow lists."""
    if isinstance(cells.dtype, pd.CategoricalDtype):
        levels = cells.cat.categories.to_series().convert_dtypes().array  # nullable: integers can't be missing
        return pd.Series(levels.take(cells.cat.codes.to_numpy(), allow_fill=True), index=cells.index, name=cells.name)
    if isinstance(cells.dtype, pd.ArrowDtype) and pa.types.is_nested(cells.dtype.pyarrow_dtype):
        return cells.astype(object)
    return cells


def _is_number(dtype: Any) -> bool:
    """Numbers and booleans, of numpy, nullable or arrow; no complex ones, no times."""
    kind = getattr(dtype, "kind", "O")
    if isinstance(dtype, pd.ArrowDtype) and pa.types.is_decimal(dtype.pyarrow_dtype):
        return True
    return kind in "iufb"


def _is_plain(cells: pd.Series) -> bool:
    """Whether cells are text or numbers, not lists or bytes."""
    return not any(isinstance(cell, list | tuple | np.ndarray | bytes | dict) for cell in cells.iloc[:LOOKED_AT])


def missing(cells: pd.Series) -> np.ndarray:
    """Which cells are missing, shape `(rows,)`; a blank one is."""
    absent = np.asarray(cells.isna(), dtype=bool)
    if isinstance(cells.dtype, pd.StringDtype):
        absent = absent | _mask(pc.equal(pc.utf8_trim_whitespace(_text(cells)), ""))
    elif cells.dtype == object:
        absent = absent | np.fromiter((isinstance(cell, str) and not cell.strip() for cell in cells), bool, len(cells))
    return absent


def _text(cells: pd.Series) -> Any:
    """The cells as an arrow array of strings."""
    if cells.dtype == object:  # 1 and True are equal, so each cell is spelled on its own
        cells = cells.map(_spelled, na_action="ignore").astype(TEXT)
    elif not isinstance(cells.dtype, pd.StringDtype):
        codes, levels = pd.factorize(cells)
        spelled = pa.array([_spelled(level) for level in levels], type=pa.large_string())
        return spelled.take(pa.array(codes, mask=codes < 0))
    array = pa.array(cells, type=pa.large_string(), from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _spelled(cell: Any) -> str:
    if isinstance(cell, bool | np.bool_):
        return "true" if cell else "false"
    if isinstance(cell, bytes):
        return cell.decode("utf-8", errors="replace")
    text = str(cell)
    return text if text.isascii() else text.encode("utf-8", errors="replace").decode()  # arrow takes no lone surrogate


def canonical(level: Any) -> str | None:
    """One spelling for a category, whether it was a number, a boolean or text in its file."""
    text = "" if level is None else _spelled(level)
    if not text.strip():
        return None
    if text.lower() in ("true", "false"):
        return text.lower()
    whole, point, decimals = text.partition(".")
    return whole if point and not decimals.strip("0") and whole.lstrip("+-").isdecimal() else text


def _series(like: pd.Series, text: Any) -> pd.Series:
    return pd.Series(pd.array(text, dtype=TEXT), index=like.index, name=like.name)


def _from_text(cells: pd.Series, text: Any) -> Cells:
    return Cells(_series(cells, text), _mask(pc.is_null(text)), np.zeros(len(cells), dtype=bool))


def _mask(condition: Any) -> np.ndarray:
    return np.asarray(pc.fill_null(condition, False).to_numpy(zero_copy_only=False), dtype=bool)


def _cells(like: pd.Series, values: np.ndarray, missing: np.ndarray, unreadable: np.ndarray) -> Cells:
    return Cells(pd.Series(values, index=like.index, name=like.name), missing, unreadable)


def _by_cell(cells: pd.Series, missing: np.ndarray, convert: Callable[[Any], Any]) -> Cells:
    values = np.empty(len(cells), dtype=object)
    for position, (cell, gone) in enumerate(zip(cells, missing, strict=True)):
        values[position] = None if gone else convert(cell)
    unreadable = np.fromiter((value is None for value in values), bool, len(values)) & ~missing
    return Cells(pd.Series(values, index=cells.index, name=cells.name, dtype=object), missing, unreadable)


def _image(cell: Any) -> str | bytes | None:
    return bytes(cell) if isinstance(cell, bytes | bytearray | memoryview) else cell if isinstance(cell, str) else None


def _list_or_bars(cell: Any) -> list[Any] | None:
    if isinstance(cell, int | float | np.integer | np.floating):
        return [cell]
    plain = isinstance(cell, str) and not cell.lstrip().startswith("[")
    return [item.strip() for item in cell.split("|") if item.strip()] if plain else _list(cell)


def _spelled_list(text: str) -> Any:
    """A list that was written as JSON, or as Python shows it, which is what pandas writes into a CSV file."""
    if not text.lstrip().startswith("["):
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        pass
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _list(cell: Any) -> list[Any] | None:
    if isinstance(cell, str):
        cell = _spelled_list(cell)
    if isinstance(cell, np.ndarray):
        return cell.tolist()  # type: ignore[no-any-return]
    return list(cell) if isinstance(cell, list | tuple) else None
