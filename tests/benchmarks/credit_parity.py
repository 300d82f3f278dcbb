"""Whether a credit bundle gives each loan the same points as network, as table, in SQLite and in DuckDB.

    python tests/benchmarks/credit_parity.py BUNDLE TABLE [--extremes 20000] [--out credit_parity.json]

BUNDLE is the folder of a trained bundle, TABLE what `solvent score` takes. Four ways to points, for every row of the
table and for as many made rows of extremes (ends of bins and their neighbouring doubles, codes, unseen levels, other
spellings, missing, infinite, out of range):

- network: `Bundle.score`
- csv: a reader in plain Python (`PlainScorecard`), which knows scorecard.csv and nothing else
- SQLite, DuckDB: scorecard.sql over a table with the cells as they are

Counted are rows whose points or decision differ from the network's; a row that is set aside has none, everywhere.
Exits with 3 where there is a difference, or where two probabilities are more than 1e-6 apart.
"""

import argparse
import csv
import io
import json
import math
import re
import sqlite3
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

TOLERANCE = 1e-6
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
WHOLE = re.compile(r"([+-]*\d+)\.0*")


class PlainScorecard:
    """Scores by scorecard.csv alone, as a stranger would who reads what its columns say.

    Args:
        content: the file.
    """

    def __init__(self, content: bytes) -> None:
        rows = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
        alone = {row["part"]: row["points"] for row in rows if not row["column"]}
        self.start, self.highest_refused = int(alone["start"]), int(alone["highest refused"])
        self.base, self.double = float(alone["base points"]), float(alone["points to double the odds"])
        self.words = _by_column(row for row in rows if row["part"] == "reads as missing")
        self.rules = _by_column(row for row in rows if row["part"] == "set aside")
        self.columns = _by_column(row for row in rows if row["part"] == "column")
        self.groups = {
            key: _by_kind(group)
            for key, group in _by_column((r for r in rows if r["part"] == "group"), "term", "column").items()
        }
        self.bins = {column: _by_kind(found) for column, found in self.columns.items()}
        self.pairs: dict[tuple[str, str, str], dict[tuple[str, str], int]] = {}
        for row in rows:
            if row["part"] == "pair":
                cells = self.pairs.setdefault((row["term"], row["column"], row["second_column"]), {})
                cells[row["place"], row["second_place"]] = int(row["points"])

    def points(self, loan: Mapping[str, Any]) -> int | None:
        """Args: loan: column -> cell as it was read; None and NaN are missing. Returns None where it is set aside."""
        values = {column: self._read(column, loan[column]) for column in {*self.bins, *self.rules}}
        if any(self._is_set_aside(column, value) for column, value in values.items()):
            return None
        own = (int(_place(bins, values[column], "points")) for column, bins in self.bins.items())
        together = (
            cells[tuple(_place(self.groups[term, name], values[name], "place") for name in (first, second))]
            for (term, first, second), cells in self.pairs.items()
        )
        return self.start + sum(own) + sum(together)

    def probability(self, points: int | None) -> float:
        if points is None:
            return math.nan
        return 1 / (1 + math.exp((points - self.base) / self.double * math.log(2)))

    def decision(self, points: int | None) -> str | None:
        return None if points is None else "refuse" if points <= self.highest_refused else "approve"

    def _read(self, column: str, cell: Any) -> Any:
        kinds = {rule["kind"] for rule in self.rules.get(column, ())}
        words = {word["value"] for word in self.words.get(column, ())}
        return _number(cell, words) if "unreadable" in kinds else _category(cell)

    def _is_set_aside(self, column: str, value: Any) -> bool:
        codes = [
            float(row["value"]) for row in self.columns.get(column, ()) if row["kind"] == "code" and _is(value, float)
        ]
        for rule in self.rules.get(column, ()):
            if rule["kind"] in ("missing", "unreadable"):
                if value == rule["kind"]:
                    return True
            elif _is(value, float) and value not in codes:
                limit = float(rule["value"])
                if value < limit if rule["kind"] == "less than" else value > limit:
                    return True
        return False


def _is(value: Any, kind: type) -> bool:
    return isinstance(value, kind)


def _by_column(rows: Iterable[Mapping[str, str]], *keys: str) -> dict[Any, list[Mapping[str, str]]]:
    found: dict[Any, list[Mapping[str, str]]] = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in keys) if keys else row["column"], []).append(row)
    return found


def _by_kind(rows: Sequence[Mapping[str, str]]) -> dict[str, list[Mapping[str, str]]]:
    return {
        kind: [row for row in rows if row["kind"] == kind]
        for kind in ("missing", "unseen or rare", "code", "level", "range")
    }


def _place(bins: Mapping[str, Sequence[Mapping[str, str]]], value: Any, wanted: str) -> str:
    """What the bin that a value lies in says under `wanted`."""
    if value in ("missing", "word"):
        return bins["missing"][0][wanted]
    if isinstance(value, float):
        for row in bins["code"]:
            if float(row["value"]) == value:
                return row[wanted]
        for row in bins["range"]:
            if (not row["above"] or float(row["above"]) < value) and (not row["up_to"] or value <= float(row["up_to"])):
                return row[wanted]
    for row in (*bins["code"], *bins["level"]):
        if (row["value"],) == value:
            return row[wanted]
    return bins["unseen or rare"][0][wanted]


def _number(cell: Any, words: set[str]) -> Any:
    """A float, or "missing", "word", "unreadable"."""
    if cell is None or cell != cell:
        return "missing"
    if not isinstance(cell, str):
        return float(cell) if math.isfinite(cell) else "unreadable"
    text = cell.strip()
    if text.lower() in ("", "nan", "+nan", "-nan"):
        return "missing"
    if NUMBER.fullmatch(text):
        return float(text) if math.isfinite(float(text)) else "unreadable"
    return "word" if cell in words else "unreadable"


def _category(cell: Any) -> Any:
    """The level, in a tuple of its own so that none is taken for the word "missing"; or "missing"."""
    if cell is None or cell != cell:
        return "missing"
    text = str(cell)
    if not text.strip():
        return "missing"
    if text.lower() in ("true", "false"):
        return (text.lower(),)
    whole = WHOLE.fullmatch(text)
    return (whole[1] if whole else text,)


# Engines


def plain(content: bytes, frame: pd.DataFrame) -> pd.DataFrame:
    """Score a table by scorecard.csv alone."""
    card = PlainScorecard(content)
    columns = {str(name): _cells(frame[name]) for name in frame}
    points = [card.points(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]
    return _scored([(each, card.probability(each), card.decision(each)) for each in points])


def in_sqlite(statement: str, frame: pd.DataFrame, types: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Run scorecard.sql in SQLite over a table with the frame's cells.

    Args:
        types: declared types of columns, in place of those that fit their cells.
    """
    with sqlite3.connect(":memory:") as base:
        declared = {str(name): _sqlite_type(frame[name]) for name in frame} | dict(types or {})
        base.execute(f"CREATE TABLE loans ({', '.join(f'{_quoted(name)} {kind}' for name, kind in declared.items())})")
        rows = zip(*([_for_sqlite(cell) for cell in _cells(frame[name])] for name in frame), strict=True)
        base.executemany(f"INSERT INTO loans VALUES ({', '.join('?' * len(declared))})", rows)
        found = base.execute(statement)
        return _in_order(found.fetchall(), [name for name, *_ in found.description], frame)


def in_duckdb(statement: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Run scorecard.sql in DuckDB over a table with the frame's types; NaN stays NaN."""
    arrays = {str(name): _for_duckdb(frame[name]) for name in frame}
    with duckdb.connect() as base:
        base.register("given", pa.table(arrays))
        base.execute("CREATE TABLE loans AS SELECT * FROM given")
        found = base.execute(statement)
        return _in_order(found.fetchall(), [name for name, *_ in found.description], frame)


def _cells(column: pd.Series) -> list[Any]:
    return [None if cell is pd.NA or cell is None else cell for cell in column.tolist()]


def _sqlite_type(column: pd.Series) -> str:
    if pd.api.types.is_bool_dtype(column.dtype):
        return "TEXT"
    if pd.api.types.is_integer_dtype(column.dtype):
        return "INTEGER"
    return "REAL" if pd.api.types.is_float_dtype(column.dtype) else ""


def _for_sqlite(cell: Any) -> Any:
    return str(cell).lower() if isinstance(cell, bool) else cell


def _for_duckdb(column: pd.Series) -> pa.Array:
    if column.dtype == object:  # a column has one type
        cells = _cells(column)
        kinds = {type(cell) for cell in cells} - {type(None)}
        return pa.array([None if cell is None else str(cell) for cell in cells] if len(kinds) > 1 else cells)
    if isinstance(column.dtype, np.dtype) and column.dtype.kind == "f":
        return pa.array(column.to_numpy(), from_pandas=False)
    return pa.Array.from_pandas(column)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _in_order(rows: Sequence[tuple[Any, ...]], names: Sequence[str], frame: pd.DataFrame) -> pd.DataFrame:
    """The points, probabilities and decisions in the frame's order: by the id where each loan has its own."""
    if len(names) == 4 and frame[names[0]].is_unique and frame[names[0]].notna().all():
        places = {cell: place for place, cell in enumerate(_cells(frame[names[0]]))}
        rows = sorted(rows, key=lambda row: places[row[0]])
    return _scored([row[-3:] for row in rows])


def _scored(rows: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    points, probability, decision = zip(*rows, strict=True) if rows else ((), (), ())
    return pd.DataFrame(
        {
            "points": pd.array(points, dtype="Int64"),
            "probability": pd.array(probability, dtype="float64"),
            "decision": pd.array(decision, dtype="str"),
        }
    )


# Extremes

BLANK = ("", " ", "\t", "\r", "\n", "\x1f", "\x85", "\u00a0", "\u2003\u3000")
NO_NUMBERS = (
    "abc",
    "1_000",
    "0x1A",
    "1e",
    "e5",
    "--1",
    "1-2",
    "1.2.3",
    ".",
    "+",
    "1 2",
    "inf",
    "-Infinity",
    "1,5",
    "\u0661",
)
SPELLED_NUMBERS = (
    "+5",
    "5.",
    ".5",
    " 12 ",
    "\u00a012",
    "1e2",
    "1E+2",
    "-0",
    "007",
    "1" + "0" * 40,
    *BLANK,
    "nan",
    "NaN",
    "-nan",
)
UNSEEN = (
    "NULL",
    "missing",
    "unseen or rare",
    "'; DROP TABLE loans;--",
    '"',
    "=1+1",
    "ﬀ",
    "e\u0301",
    "\u00e9",
    "%",
    "_",
    "a\\",
)


def extremes(schema: Any, bins: Sequence[Mapping[str, Any]], like: pd.DataFrame, rows: int, seed: int) -> pd.DataFrame:
    """Made loans, in the table's columns and types, with cells as awkward as a column of its type can hold.

    Args:
        schema: the bundle's.
        like: some rows of the table; usual cells are taken from them, so that not each made loan is set aside.
    """
    random = np.random.default_rng(seed)
    described = {schema.source(bin_["name"]): (schema.field(bin_["name"]), bin_) for bin_ in bins}
    share = min(0.5, 2 / len(described))
    found = {}
    for name in like:
        usual = like[name].iloc[random.integers(len(like), size=rows)].tolist()
        if name in described:
            cells = awkward(*described[name], like[name].dtype)
            chosen = random.integers(len(cells), size=rows)
            odd = random.random(rows) < share
            usual = [cells[place] if is_odd else cell for place, is_odd, cell in zip(chosen, odd, usual, strict=True)]
        found[name] = pd.Series(usual, dtype=like[name].dtype)
    for field in schema.by_role("id"):
        found[field.source] = pd.Series(np.arange(rows))
    return pd.DataFrame(found)


def awkward(field: Any, bin_: Mapping[str, Any], dtype: Any) -> list[Any]:
    """Cells of one column that are easily put into the wrong bin."""
    none = [] if isinstance(dtype, np.dtype) and dtype.kind in "iub" else [None]
    if pd.api.types.is_bool_dtype(dtype):
        return [True, False, *none]
    if field.kind == "number":
        numbers = _awkward_numbers(field, bin_)
        if pd.api.types.is_float_dtype(dtype):
            return [*numbers, *none]
        if pd.api.types.is_integer_dtype(dtype):
            finite = [each for each in numbers if abs(each) < 2**62]
            ends = [2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)]
            return [*map(math.floor, finite), *map(math.ceil, finite), *ends, *none]
        fewer = [each for each in numbers if float(f"{each:.15g}") == each]  # SQLite writes no more digits of them
        return [
            *map(repr, fewer),
            *NO_NUMBERS,
            *SPELLED_NUMBERS,
            *field.words,
            *(f" {word}" for word in field.words),
            None,
        ]
    levels = [*bin_["codes"], *bin_["levels"], *(field.levels or ())]
    if pd.api.types.is_float_dtype(dtype):
        return [*map(float, levels), -1.0, 0.5, 1234.5, math.nan]
    if pd.api.types.is_integer_dtype(dtype):
        return [*map(int, levels), -1, 12345, 2**53 + 1, *none]
    text = isinstance(levels[0], str) and not all(re.fullmatch(NUMBER, level) for level in levels)
    spelled = [
        each for level in levels for each in (level, f"{level}.0", f"{level}.", f" {level}", level.upper(), f"+{level}")
    ]
    return [*spelled, *UNSEEN, *BLANK, *(("nan", "NaN") if text else ()), "True", "FALSE", "0", "1.0", "1.", ".0", None]


def _awkward_numbers(field: Any, bin_: Mapping[str, Any]) -> list[float]:
    ends = [
        *bin_["edges"],
        *field.states,
        *(field.allowed or ()),
        *(each for each in (field.low, field.high) if each is not None),
    ]
    near = [each for end in ends for each in (end, math.nextafter(end, -math.inf), math.nextafter(end, math.inf))]
    large = sys.float_info.max
    return [*near, 0.0, -0.0, 0.1, -1.5, 5e-324, 1e-300, 1e300, -1e300, large, -large, math.inf, -math.inf, math.nan]


# The command


def typed(table: pd.DataFrame, schema: Any) -> pd.DataFrame:
    """The table as a database holds it: a column of numbers holds numbers, unless words stand among them."""
    texts = [
        field.source
        for field in schema.fields
        if field.kind == "number"
        and not field.words
        and field.source in table
        and not _holds_numbers(table[field.source])
    ]
    return table.assign(**{name: pd.to_numeric(table[name]) for name in texts})


def _holds_numbers(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column.dtype)


def differences(bundle: Any, frame: pd.DataFrame) -> dict[str, Any]:
    """How often each way differs from the network, over all rows."""
    files = Path(bundle.path)
    statement = (files / "scorecard.sql").read_bytes().decode()
    network = bundle.score(frame).reset_index(drop=True)
    ways: dict[str, Callable[[], pd.DataFrame]] = {
        "csv": lambda: plain((files / "scorecard.csv").read_bytes(), frame),
        "sqlite": lambda: in_sqlite(statement, frame),
        "duckdb": lambda: in_duckdb(statement, frame),
    }
    found: dict[str, Any] = {"rows": len(frame), "set_aside": int(network["points"].isna().sum())}
    for way, score in ways.items():
        other = score()
        found[way] = {
            "points": int((network["points"].fillna(-(2**62)) != other["points"].fillna(-(2**62))).sum()),
            "decision": int((network["decision"].fillna("") != other["decision"].fillna("")).sum()),
            "probability": float((network["probability"] - other["probability"]).abs().fillna(0).max()),
        }
    return found


def main() -> int:
    from solvent import Bundle, tables

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("table")
    parser.add_argument("--extremes", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    bundle = Bundle.load(given.bundle)
    bins, schema = bundle.fitted.facts["bins"], bundle.schema
    table = typed(tables.read(bundle.source(given.table)), schema)
    read = [field.source for field in schema.fields if field.is_read(targets=False)]
    table = table[[name for name in table if name in read]]
    made = extremes(schema, bins, table, given.extremes, given.seed)
    found = {given.table: differences(bundle, table), "made extremes": differences(bundle, made)}
    print(f"{'rows':34} {'number':>9} {'set aside':>9}   way      points  decision  probability")
    for name, result in found.items():
        for way in ("csv", "sqlite", "duckdb"):
            counts = f"{result['rows']:9,} {result['set_aside']:9,}"
            apart = f"{result[way]['points']:6,}  {result[way]['decision']:8,}  {result[way]['probability']:11.1e}"
            print(f"{Path(name).name:34} {counts}   {way:7}  {apart}")
    if given.out:
        given.out.write_text(json.dumps(found, indent=1))
    results = [result[way] for result in found.values() for way in ("csv", "sqlite", "duckdb")]
    same = all(each["points"] == each["decision"] == 0 and not each["probability"] > TOLERANCE for each in results)
    return 0 if same else 3


if __name__ == "__main__":
    sys.exit(main())
