"""The scorecard as files that people open: scorecard.csv holds all that a score depends on, scorecard.xlsx is to read.

Rows of scorecard.csv, by `part`:

| part | what it says |
|---|---|
| start, base points, points to double the odds | the number, in `points` |
| highest refused | a loan with so many points, or fewer, is refused |
| reads as missing | a word that stands for "missing" in a column of numbers |
| set aside | a loan gets no points where a cell is `missing`, `unreadable`, `less than` or `more than` the value |
| column | points of a column's bin |
| group | for a pair (`term`): which `place` a column's bin has in it |
| pair | points of two places |

A cell lies in the bin of its kind: `missing`; a `code` or a `level` equals `value`; a `range` is above < x ≤ up to,
empty where it has no end; `unseen or rare` is any other category. Codes come before `less than` and `more than`; a
word that reads as missing is not set aside as `missing`; infinity is unreadable. A score is the start plus the points
of every column's bin and of every pair's place.
"""

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pandas as pd
from openpyxl import Workbook
from openpyxl.cell import Cell
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from solvent.schema import Field, Schema, kinds

from .binning import MISSING, UNSEEN
from .scorecard import Scorecard, Term

__all__ = ["Bin", "cells_checked", "csv_file", "limits", "reachable", "words_for_missing", "xlsx_file"]

HEADER = (
    *("part", "term", "column", "kind", "above", "up_to", "value", "bin", "place"),
    *("second_column", "second_bin", "second_place", "points", "loans", "default_rate", "low", "high"),
)
NORMAL = 1.96  # deviations to either side of the 95 % interval
LONGEST = 32_000  # characters; Excel's cells take 32,767
MOST_ROWS = 100_000  # of a sheet; Excel's take 1,048,576, and nobody reads them


@dataclass(frozen=True)
class Bin:
    """A bin that a checked cell can lie in.

    Args:
        number: as `binning.bin_numbers` gives it.
        kind: missing, unseen or rare, code, level, range.
        value: of a code or a level.
        above, up_to: the ends of a range, None where it has none.
    """

    number: int
    kind: str
    value: str | float | None = None
    above: float | None = None
    up_to: float | None = None


def reachable(bin_: Mapping[str, Any]) -> list[Bin]:
    """The bins of one column; where a value stands among its codes twice, the last one counts, as in scoring."""
    codes, first = bin_["codes"], 2 + len(bin_["codes"])
    if "levels" in bin_:
        own = {value: number for number, value in enumerate([*codes, *bin_["levels"]], start=2) if value is not None}
        named = [Bin(number, "code" if number < first else "level", value) for value, number in own.items()]
        return [Bin(MISSING, "missing"), Bin(UNSEEN, "unseen or rare"), *named]
    own = {float(value) + 0.0: number for number, value in enumerate(codes, start=2) if math.isfinite(value)}
    named = [Bin(number, "code", value) for value, number in own.items()]
    ends = [None, *bin_["edges"], None]
    ranges = [
        Bin(first + place, "range", above=above, up_to=up_to) for place, (above, up_to) in enumerate(pairwise(ends))
    ]
    return [Bin(MISSING, "missing"), *named, *ranges]


def cells_checked(card: Scorecard, schema: Schema) -> list[Field]:
    """The columns whose cells can set a loan aside: the features in the order of the bins, then others."""
    features = [schema.field(bin_["name"]) for bin_ in card.bins]
    read = [field for field in schema.fields if field.is_read(targets=False) and field.role != "passthrough"]
    others = [field for field in read if field not in features and (field.required or field.kind == "number")]
    return [*features, *others]


def limits(field: Field) -> tuple[float | None, float | None]:
    """The least and the largest number that a cell may have; None where there is no limit."""
    low, high = field.allowed or (-math.inf, math.inf)
    if field.role == "weight":
        low = max(low, 0.0)
    return (low if math.isfinite(low) else None), (high if math.isfinite(high) else None)


def words_for_missing(field: Field) -> list[str]:
    """The words that read as missing among numbers; a word that spells a number is one."""
    found = kinds.read(pd.Series(field.words, dtype="str"), "number")
    return [word for word, read in zip(field.words, found.unreadable, strict=True) if read]


def csv_file(card: Scorecard, schema: Schema, highest_refused: int) -> bytes:
    """All that a score depends on, in UTF-8: a program can score by this file alone. Numbers are not rounded."""
    text = io.StringIO()
    writer = csv.DictWriter(text, HEADER, restval="", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(_rows(card, schema, highest_refused))
    return text.getvalue().encode()


def _rows(card: Scorecard, schema: Schema, highest_refused: int) -> Iterator[dict[str, Any]]:
    yield {"part": "start", "points": card.start}
    yield {"part": "base points", "points": card.scale.base_points}
    yield {"part": "points to double the odds", "points": card.scale.points_to_double_odds}
    yield {"part": "highest refused", "points": highest_refused}
    for field in cells_checked(card, schema):
        yield from _rules(field)
    sources = [schema.field(bin_["name"]).source for bin_ in card.bins]
    for number, term in enumerate(card.terms, start=1):
        described = _rows_of_column if len(term.columns) == 1 else _rows_of_pair
        yield from described(card, sources, number, term)


def _rules(field: Field) -> Iterator[dict[str, Any]]:
    about = {"part": "set aside", "column": field.source}
    if field.required:
        yield {**about, "kind": "missing"}
    if field.kind != "number":
        return
    for word in words_for_missing(field):
        yield {**about, "part": "reads as missing", "kind": "word", "value": word}
    yield {**about, "kind": "unreadable"}
    for kind, limit in zip(("less than", "more than"), limits(field), strict=True):
        if limit is not None:
            yield {**about, "kind": kind, "value": limit}


def _rows_of_column(card: Scorecard, sources: Sequence[str], number: int, term: Term) -> Iterator[dict[str, Any]]:
    (column,), (group,) = term.columns, term.groups
    for bin_ in reachable(card.bins[column]):
        place = int(group[bin_.number])
        yield {**_cell("column", number, sources[column], bin_, place), **_figures(term, place)}


def _rows_of_pair(card: Scorecard, sources: Sequence[str], number: int, term: Term) -> Iterator[dict[str, Any]]:
    first, second = axes = [_places(card, term, axis) for axis in (0, 1)]
    for column, places in zip(term.columns, axes, strict=True):
        for place, bins in places.items():
            for bin_ in bins:
                yield _cell("group", number, sources[column], bin_, place)
    for place, bins in first.items():
        for second_place, second_bins in second.items():
            yield {
                **{"part": "pair", "term": number, "column": sources[term.columns[0]]},
                **{"bin": _words(bins), "place": place, "second_column": sources[term.columns[1]]},
                **{"second_bin": _words(second_bins), "second_place": second_place},
                **_figures(term, (place, second_place)),
            }


def _cell(part: str, number: int, source: str, bin_: Bin, place: int) -> dict[str, Any]:
    found = {"part": part, "term": number, "column": source, "kind": bin_.kind, "bin": _words([bin_]), "place": place}
    ends = {"above": bin_.above, "up_to": bin_.up_to, "value": bin_.value}
    return {**found, **{name: end for name, end in ends.items() if end is not None}}


def _places(card: Scorecard, term: Term, axis: int) -> dict[int, list[Bin]]:
    """The places of a pair's axis that a loan can have, each with its bins."""
    found: dict[int, list[Bin]] = {}
    for bin_ in reachable(card.bins[term.columns[axis]]):
        found.setdefault(int(term.groups[axis][bin_.number]), []).append(bin_)
    return dict(sorted(found.items()))


def _figures(term: Term, place: Any) -> dict[str, Any]:
    points, loans = int(term.points[place]), float(term.loans[place])
    if not loans:  # nothing was learnt there, so there is no interval
        return {"points": points, "loans": loans}
    apart, rate = NORMAL * float(term.deviation[place]), float(term.defaulted[place]) / loans
    return {"points": points, "loans": loans, "default_rate": rate, "low": points - apart, "high": points + apart}


def _words(bins: Sequence[Bin]) -> str:
    """Several bins as one phrase; ranges that touch are one."""
    said, above = [], None
    for place, bin_ in enumerate(bins):
        if bin_.kind != "range":
            said.append(_word(bin_))
            continue
        follows = place and bins[place - 1].kind == "range" and bins[place - 1].up_to == bin_.above
        if follows:
            said.pop()
        else:
            above = bin_.above
        said.append(_range(above, bin_.up_to))
    return ", ".join(said)


def _word(bin_: Bin) -> str:
    if bin_.value is None:
        return bin_.kind
    value = _number(bin_.value) if isinstance(bin_.value, float) else _shown(bin_.value)
    return f"code {value}" if bin_.kind == "code" else value


def _range(above: float | None, up_to: float | None) -> str:
    ends = [f"> {_number(above)}"] if above is not None else []
    ends += [f"≤ {_number(up_to)}"] if up_to is not None else []
    return " and ".join(ends) or "any number"


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")


def _shown(level: str) -> str:
    """A level as a phrase shows it: quoted where it could be taken for something else, or can't be seen."""
    ours = level in ("missing", "unseen or rare") or level.startswith(("code ", "≤ ", "> "))
    return repr(level) if ours or "," in level or not level.isprintable() else level


# The workbook

COLUMN_SHEET = {
    "column": ("Column", 28),
    "bin": ("Bin", 32),
    "points": ("Points", 10),
    "loans": ("Loans", 12),
    "default_rate": ("Default rate", 13),
    "low": ("Points, low", 12),
    "high": ("Points, high", 12),
    "term": ("Term", 8),
    "kind": ("Kind", 15),
    "above": ("Above", 14),
    "up_to": ("Up to", 14),
    "value": ("Value", 24),
}
PAIR_SHEET = {
    "column": ("Column", 24),
    "bin": ("Bin", 32),
    "second_column": ("And column", 24),
    "second_bin": ("And bin", 32),
    **{name: COLUMN_SHEET[name] for name in ("points", "loans", "default_rate", "low", "high", "term")},
}
FORMATS = {"points": "0", "loans": "#,##0.##", "default_rate": "0.0%", "low": "0.0", "high": "0.0"}
RULES = {"set aside": "the loan is set aside, without points", "reads as missing": "is a missing cell"}
PLAIN, BOLD = Font(), Font(bold=True)
HOW = (
    "A score is the start, plus the points of the bin that each column's cell lies in, plus the points of each pair.",
    "More points are better. A loan with as many points as 'highest refused', or fewer, is refused.",
    "Probability of default = 1 / (1 + 2 ^ ((points − base points) / points to double the odds)).",
    "A range such as '> 10 and ≤ 20' holds its upper end. A code is a cell that means 'no information'.",
    "'unseen or rare' is any category that no other row names; 1, 1.0 and \"1\" are one category, TRUE is true, "
    "a blank cell is missing.",
    "Loans and default rate are those of the training loans in the bin, by their weight. "
    "Low and high are the ends of the 95 % interval of the points.",
    "scorecard.csv, beside this file, holds the same for programs, and scorecard.sql as one SQL statement.",
)


def xlsx_file(card: Scorecard, schema: Schema, highest_refused: int) -> bytes:
    """The scorecard as an Excel workbook for people: the columns' points, the pairs' points, and how to read them."""
    rows = list(_rows(card, schema, highest_refused))
    book = Workbook()
    scale = [row for row in rows if "column" not in row]
    started = [{"column": "start", "bin": "every loan", "points": card.start}]
    columns = [row for row in rows if row["part"] == "column"]
    _table(book.active, "Scorecard", COLUMN_SHEET, [*started, *columns])
    _table(book.create_sheet(), "Pairs", PAIR_SHEET, [row for row in rows if row["part"] == "pair"])
    _how_to_read(book.create_sheet(), scale, [row for row in rows if row["part"] in RULES])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def _table(
    sheet: Worksheet, title: str, layout: Mapping[str, tuple[str, int]], rows: Sequence[Mapping[str, Any]]
) -> None:
    sheet.title = title
    if len(rows) > MOST_ROWS:
        rows = [*rows[:MOST_ROWS], {"column": f"{len(rows) - MOST_ROWS:,} more rows are in scorecard.csv"}]
    for place, (name, (label, width)) in enumerate(layout.items(), start=1):
        _write(sheet.cell(1, place), label, bold=True)
        sheet.cell(1, place).fill = PatternFill("solid", fgColor="DDE3EA")
        sheet.column_dimensions[get_column_letter(place)].width = width
        for number, row in enumerate(rows, start=2):
            cell = sheet.cell(number, place)
            before = rows[number - 3].get("term") if number > 2 else None
            _write(cell, row.get(name), bold=name == "points" or (name == "column" and row.get("term") != before))
            cell.number_format = FORMATS.get(name, "General")
    sheet.freeze_panes = "A2"
    sheet.auto_filter.ref = sheet.dimensions


def _how_to_read(sheet: Worksheet, scale: Sequence[Mapping[str, Any]], rules: Sequence[Mapping[str, Any]]) -> None:
    sheet.title = "How to read it"
    sheet.column_dimensions["A"].width, sheet.column_dimensions["B"].width = 34, 90
    lines: list[tuple[str, Any]] = [(row["part"], row["points"]) for row in scale]
    lines += [("", text) for text in HOW]
    for row in rules:
        value = row.get("value", "")
        cell = f"{row['kind']} {_number(value) if isinstance(value, float) else value}".strip()
        lines.append((row["column"], f"{cell}: {RULES[row['part']]}"))
    for number, (name, said) in enumerate(lines, start=1):
        _write(sheet.cell(number, 1), name, bold=True)
        _write(sheet.cell(number, 2), said)
        sheet.cell(number, 2).alignment = Alignment(wrap_text=True, vertical="top", horizontal="left")


def _write(cell: Cell, value: Any, bold: bool = False) -> None:
    """A cell with just this value: a text is never a formula, and what can't be seen is spelt out."""
    if isinstance(value, str):
        cell.value = _visible(value)[:LONGEST]
        cell.data_type = "s"
        cell.quotePrefix = value.startswith(("=", "+", "-", "@"))  # or typing into the cell makes it a formula
    else:
        cell.value = value
    cell.font = BOLD if bold else PLAIN


def _visible(text: str) -> str:
    seen = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
    return re.sub(r"_(?=x[0-9A-Fa-f]{4}_)", "_x005F_", seen)  # Excel reads _x0041_ as A
