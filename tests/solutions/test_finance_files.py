"""scorecard.csv, .xlsx and .sql give each loan the points that Solvent gives it, whatever its cells hold."""

import csv
import io
import math
import sqlite3
import sys
from pathlib import Path

import duckdb
import numpy as np
import openpyxl
import pandas as pd
import pytest

from solvent import Columns, Fitted, Refused, bundle
from solvent.bundle import Bundle
from solvent.schema import Schema
from solvent_finance import sheets, sql
from solvent_finance.binning import bin_numbers, learn_bins, sizes
from solvent_finance.scorecard import Scale, Scorecard, Term

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import credit_parity

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # the deviation of 1e300

ROWS = 600
HOSTILE = [
    "own",
    "O'Brien; --",
    'say "hi"',
    "NULL",
    "missing",
    "code 1",
    "=1+2",
    "two\nlines",
    "tab\there",
    "größe",
    "a, b",
]
HOSTILE += ["ﬀ", "é", "e\u0301", "unseen or rare", "_x0041_", "\\", "%", " own", "OWN"]


def table(seed: int) -> pd.DataFrame:
    """Loans with columns of all types that a database may have, under names that are awkward to quote."""
    random = np.random.default_rng(seed)

    def gaps(cells, share=0.1):
        return cells.mask(pd.Series(random.random(ROWS) < share))

    frame = {
        "loan": pd.Series(np.arange(ROWS)),
        "income": gaps(pd.Series(random.lognormal(7, 1, ROWS).round(2))),
        'the "rate"': pd.Series(random.choice([0.1, 0.2, 0.3, 0.30000000000000004, 1 / 3], ROWS)),
        "size\n; DROP TABLE loans; --": gaps(pd.Series(random.choice([-1e300, -1e-300, 1e-300, 0.0, 1e300], ROWS))),
        "age": pd.Series(random.integers(18, 90, ROWS)),
        "months": gaps(pd.Series(random.integers(-9, 60, ROWS)).astype("Int64")),
        "large": gaps(pd.Series(random.integers(-(2**62), 2**62, ROWS)).astype("Int64")),
        "debts": pd.Series([random.choice(["12", "7.5", "1e3", "none", "unknown", "-3", ""]) for _ in range(ROWS)]),
        "home": gaps(pd.Series(random.choice(HOSTILE, ROWS))),
        "select": pd.Series(random.choice([1, 2, 3, 10], ROWS)),
        "number'1": gaps(pd.Series(random.choice([1.0, 2.0, 2.5, 30.0, 100.0], ROWS))),
        "digits": pd.Series(random.choice(["1", "01", "1.0", "2", "-1", "+1", "x1", "١"], ROWS)),
        "größe": pd.Series(random.choice([True, False], ROWS)),
        "maybe": gaps(pd.Series(random.choice([True, False], ROWS)).astype("boolean")),
        "words": pd.Series(random.choice(["TRUE", "false", "yes", "-7", "no information"], ROWS)),
    }
    return pd.DataFrame(frame)


DECLARED = {
    "id": "loan",
    "income": {"codes": [-7, -8.5], "range": [0, 100_000]},
    "age": {"required": True, "range": [18, 120]},
    "months": {"codes": [-9, -9.0]},
    "debts": {"kind": "number", "codes": ["unknown", "none", "-3", -3], "required": True, "range": [-10, 5000]},
    "select": {"kind": "category", "codes": [10]},
    "number'1": {"kind": "category"},
    "digits": {"kind": "category"},
    "home": {"required": True},
    "words": {"codes": [-7, "no information"]},
}


def learnt(frame: pd.DataFrame, declared: dict) -> Schema:
    schema = Schema.declare(Columns(features=("number", "category")), declared, list(frame), table="loans")
    return schema.learn(schema.rename(frame, table_name="loans", targets=True))


def scorecard(schema: Schema, frame: pd.DataFrame, seed: int, pairs: int = 6) -> Scorecard:
    """Points drawn at random, so that no two bins agree by chance for long."""
    random = np.random.default_rng(seed)
    good = schema.check(schema.rename(frame, table_name="loans", targets=False), targets=False).good
    bins = learn_bins(good, schema, most=6, rare=20)
    counts = sizes(bins)

    def term(columns, groups):
        shape = tuple(int(group.max()) + 1 for group in groups)
        loans = random.integers(0, 50, shape).astype(float)
        points = random.integers(-99, 99, shape)
        return Term(columns, groups, points, random.random(shape) * 9, loans, np.floor(loans * random.random(shape)))

    def group(size):
        return np.sort(random.integers(0, min(size, 5), size))

    own = [term((place,), (np.arange(size),)) for place, size in enumerate(counts)]
    couples = [sorted(random.choice(len(bins), 2, replace=False).tolist()) for _ in range(pairs)]
    both = [term((first, second), (group(counts[first]), group(counts[second]))) for first, second in couples]
    return Scorecard(bins, 412, (*own, *both), Scale(500, 50.0))


def by_table(card: Scorecard, schema: Schema, frame: pd.DataFrame) -> pd.DataFrame:
    """What Solvent gives: nothing where a row is set aside."""
    checked = schema.check(schema.rename(frame, table_name="loans", targets=False), targets=False)
    points = pd.Series(card.points(bin_numbers(checked.good, card.bins)), index=checked.good.index, dtype="Int64")
    points = points.reindex(frame.index)
    refused = points <= 470
    return pd.DataFrame(
        {
            "points": points,
            "probability": points.map(card.scale.probability, na_action="ignore").astype("float64"),
            "decision": refused.map({True: "refuse", False: "approve"}).astype("str"),
        }
    )


def assert_same(ours: pd.DataFrame, theirs: pd.DataFrame, frame: pd.DataFrame) -> None:
    differ = (ours["points"].fillna(-(10**9)) != theirs["points"].fillna(-(10**9))).to_numpy()
    shown = frame[differ].assign(ours=ours["points"][differ], theirs=theirs["points"][differ])
    assert not differ.any(), shown.head(3).T.to_string()
    pd.testing.assert_series_equal(ours["decision"], theirs["decision"])
    np.testing.assert_allclose(ours["probability"], theirs["probability"], atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_every_loan_has_the_same_points_in_table_csv_sqlite_and_duckdb(seed):
    frame = table(seed)
    schema = learnt(frame, DECLARED)
    card = scorecard(schema, frame, seed)
    statement = sql.statement(card, schema, 470)
    for loans in (frame, credit_parity.extremes(schema, card.bins, frame, 3000, seed)):
        ours = by_table(card, schema, loans)
        assert 0.05 < ours["points"].isna().mean() < 0.8
        assert_same(ours, credit_parity.plain(sheets.csv_file(card, schema, 470), loans), loans)
        assert_same(ours, credit_parity.in_sqlite(statement, loans), loans)
        assert_same(ours, credit_parity.in_duckdb(statement, loans), loans)


# A scorecard small enough to add up by hand


@pytest.fixture(scope="module")
def small():
    """Income: missing 1, code −9 2, ≤ 100 −30, ≤ 200 0, above 40. Home: missing 3, unseen −7, own 5, rent −5.

    Together: an income above 200 or missing, and a home that is not rented, get 11 more. Start 500, refused up to 490.
    """
    frame = pd.DataFrame(
        {
            "loan": np.arange(80),
            "income": [50.0, 150.0, 250.0, -9.0] * 20,
            "home": ["own"] * 40 + ["rent"] * 40,
        }
    )
    schema = learnt(frame, {"id": "loan", "income": {"codes": [-9], "range": [0, 1000]}})
    bins = [
        {"name": "income", "codes": [-9.0], "edges": [100.0, 200.5]},
        {"name": "home", "codes": [], "levels": ["own", "rent"]},
    ]

    def term(columns, groups, points):
        points = np.array(points)
        arrays = tuple(np.array(group) for group in groups)
        return Term(columns, arrays, points, points * 0 + 0.5, points * 0 + 8.0, points * 0 + 2.0)

    income = term((0,), (range(6),), [1, 0, 2, -30, 0, 40])
    home = term((1,), (range(4),), [3, -7, 5, -5])
    both = term((0, 1), ([1, 0, 0, 0, 0, 1], [0, 0, 0, 1]), [[0, 0], [11, 0]])
    return Scorecard(bins, 500, (income, home, both), Scale(500, 50.0)), schema


LOANS = pd.DataFrame(
    {
        "loan": range(1, 9),
        "income": [50, 100.5, 200.5, 250, None, -9, 1001, 250],
        "home": ["own", "rent", "castle", "own", "own", "rent", "own", " "],
    }
)
POINTS = [475, 495, 493, 556, 517, 497, None, 554]


def test_points_are_those_that_were_added_up_by_hand(small):
    card, schema = small
    statement = sql.statement(card, schema, 490)
    decisions = ["refuse", *["approve"] * 5, None, "approve"]
    for found in (
        credit_parity.plain(sheets.csv_file(card, schema, 490), LOANS),
        credit_parity.in_sqlite(statement, LOANS),
        credit_parity.in_duckdb(statement, LOANS),
    ):
        assert found["points"].tolist() == [pd.NA if each is None else each for each in POINTS]
        assert [None if each != each else each for each in found["decision"]] == decisions
        assert found["probability"][0] == pytest.approx(1 / (1 + 2 ** (-25 / 50)))


def test_the_csv_says_all_of_it(small):
    text = sheets.csv_file(*small, 490).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert tuple(rows[0]) == sheets.HEADER
    told = [
        tuple(row[name] for name in ("part", "column", "kind", "above", "up_to", "value", "bin", "points"))
        for row in rows
    ]
    assert told[:18] == [
        ("start", "", "", "", "", "", "", "500"),
        ("base points", "", "", "", "", "", "", "500"),
        ("points to double the odds", "", "", "", "", "", "", "50.0"),
        ("highest refused", "", "", "", "", "", "", "490"),
        ("set aside", "income", "unreadable", "", "", "", "", ""),
        ("set aside", "income", "less than", "", "", "0.0", "", ""),
        ("set aside", "income", "more than", "", "", "1000.0", "", ""),
        ("set aside", "loan", "missing", "", "", "", "", ""),
        ("column", "income", "missing", "", "", "", "missing", "1"),
        ("column", "income", "code", "", "", "-9.0", "code -9", "2"),
        ("column", "income", "range", "", "100.0", "", "≤ 100", "-30"),
        ("column", "income", "range", "100.0", "200.5", "", "> 100 and ≤ 200.5", "0"),
        ("column", "income", "range", "200.5", "", "", "> 200.5", "40"),
        ("column", "home", "missing", "", "", "", "missing", "3"),
        ("column", "home", "unseen or rare", "", "", "", "unseen or rare", "-7"),
        ("column", "home", "level", "", "", "own", "own", "5"),
        ("column", "home", "level", "", "", "rent", "rent", "-5"),
        ("group", "income", "code", "", "", "-9.0", "code -9", ""),
    ]
    assert {row["low"] for row in rows if row["points"] == "40"} == {repr(40 - 1.96 * 0.5)}
    assert {row["default_rate"] for row in rows if row["part"] == "column"} == {"0.25"}


def test_a_pair_s_places_are_told_as_unions(small):
    rows = list(csv.DictReader(io.StringIO(sheets.csv_file(*small, 490).decode(), newline="")))
    pairs = [(row["bin"], row["second_bin"], row["points"]) for row in rows if row["part"] == "pair"]
    assert pairs == [
        ("code -9, ≤ 200.5", "missing, unseen or rare, own", "0"),
        ("code -9, ≤ 200.5", "rent", "0"),
        ("missing, > 200.5", "missing, unseen or rare, own", "11"),
        ("missing, > 200.5", "rent", "0"),
    ]


# Where engines differ


def test_numbers_in_the_statement_are_the_same_doubles_in_every_engine():
    random = np.random.default_rng(0)
    decimals = [
        float(f"{digits}e{power}")
        for digits, power in zip(random.integers(1, 10**15, 4000), random.integers(-300, 290, 4000), strict=True)
    ]
    usual = (random.integers(1, 10**15, 4000) / 10.0 ** random.integers(0, 15, 4000)).tolist()
    awkward = [
        0.1,
        0.3,
        1 / 3,
        1e300,
        1e-300,
        5e-324,
        2.2250738585072014e-308,
        sys.float_info.max,
        2.0**53 + 2,
        0.0,
        -0.0,
    ]
    numbers = [sign * each for each in (*decimals, *usual, *awkward) for sign in (1.0, -1.0)]
    values = ", ".join(f"({place}, {sql._number(each)})" for place, each in enumerate(numbers))
    query = (
        f"SELECT number FROM (WITH made (place, number) AS (VALUES {values}) SELECT * FROM made) AS m ORDER BY place"
    )
    for base in (sqlite3.connect(":memory:"), duckdb.connect()):
        assert [row[0] for row in base.execute(query).fetchall()] == numbers
        base.close()
    assert (sql._number(12.5), sql._number(-9.0), sql._number(1e-7)) == ("12.5e0", "-9e0", "1e-07")


def test_texts_in_a_column_of_numbers_are_read_or_set_aside_in_sqlite(small):
    card, schema = small
    cells = [
        "50",
        " 100.5 ",
        "2.505e2",
        "",
        "\u00a0",
        "NaN",
        "abc",
        "12abc",
        "inf",
        "1_0",
        "0x10",
        "1e999",
        "1001",
        "-9",
        None,
    ]
    loans = pd.DataFrame({"loan": range(len(cells)), "income": cells, "home": "own"})
    ours = by_table(card, schema, loans)
    assert ours["points"].isna().sum() == 7
    for kind in ("TEXT", "REAL", "INTEGER", ""):
        assert_same(ours, credit_parity.in_sqlite(sql.statement(card, schema, 470), loans, {"income": kind}), loans)


def test_a_column_that_ignores_case_or_blanks_does_not_blur_levels(small):
    card, schema = small
    homes = ["own", "OWN", "Rent", "rent", "rent ", "own "]
    loans = pd.DataFrame({"loan": range(len(homes)), "income": 250.0, "home": homes})
    ours = by_table(card, schema, loans)
    assert ours["points"].nunique() == 3
    for collation in ("NOCASE", "RTRIM"):
        types = {"home": f"TEXT COLLATE {collation}"}
        assert_same(ours, credit_parity.in_sqlite(sql.statement(card, schema, 470), loans, types), loans)


def test_a_column_that_is_not_there_stops_the_statement(small):
    statement = sql.statement(*small, 470)
    with pytest.raises(sqlite3.OperationalError, match="home"):
        credit_parity.in_sqlite(statement, LOANS.drop(columns="home"))
    with pytest.raises(duckdb.Error, match="home"):
        credit_parity.in_duckdb(statement, LOANS.drop(columns="home"))


def test_many_terms_and_large_pairs_are_no_deeper_than_sqlite_allows():
    random = np.random.default_rng(0)
    frame = pd.DataFrame({f"x{place}": random.normal(size=300) for place in range(40)})
    frame["town"] = [f"town {place}" for place in random.integers(0, 1200, 300)]
    schema = learnt(frame, {"town": {"kind": "category"}})
    card = scorecard(schema, frame, 0, pairs=1100)
    towns = {"name": "town", "codes": [], "levels": [f"town {place}" for place in range(1200)]}
    group = np.arange(1202)
    large = Term((40,), (group,), random.integers(-99, 99, 1202), group * 0.0, group * 0.0, group * 0.0)
    places = np.arange(1202) % 60
    points = random.integers(-99, 99, (60, 60))
    pair = Term((0, 40), (np.arange(8) % 60, places), points, points * 0.0, points * 0.0, points * 0.0)
    card = Scorecard(
        [*card.bins[:40], towns],
        0,
        (*card.terms[:40], large, *(t for t in card.pairs if 40 not in t.columns), pair),
        card.scale,
    )
    assert len(card.terms) > 1000
    statement = sql.statement(card, schema, 470)
    ours = by_table(card, schema, frame)
    assert_same(ours, credit_parity.in_sqlite(statement, frame), frame)
    assert_same(ours, credit_parity.in_duckdb(statement, frame), frame)


# Rows that Solvent sets aside


def engines(card, schema, loans):
    statement = sql.statement(card, schema, 470)
    yield credit_parity.in_sqlite(statement, loans)
    yield credit_parity.in_duckdb(statement, loans)


def test_columns_that_are_no_features_set_loans_aside_too():
    frame = table(0)[["loan", "income", "age", "home"]].astype({"loan": "Int64"})
    declared = {
        "id": "loan",
        "protected": ["age", "home"],
        "age": {"required": True, "range": [20, 80]},
        "home": {"required": True},
    }
    schema = learnt(frame, declared)
    card = scorecard(schema, frame, 0, pairs=0)
    assert len(card.bins) == 1
    loans = pd.concat(
        [frame, frame.head(2).assign(loan=[None, 7777]), frame.head(1).assign(loan=8888, age=15)]
    ).reset_index(drop=True)
    ours = by_table(card, schema, loans)
    assert ours["points"].isna().tolist()[-3:-2] == [True]
    for found in engines(card, schema, loans):
        assert_same(ours, found, loans)
    assert_same(ours, credit_parity.plain(sheets.csv_file(card, schema, 470), loans), loans)


def test_a_column_that_no_term_uses_sets_loans_aside_too(small):
    card, schema = small
    only_home = Scorecard(card.bins, 500, card.terms[1:2], card.scale)
    for found in engines(only_home, schema, LOANS):
        assert found["points"].isna().tolist() == [points is None for points in POINTS]


def test_all_loans_of_an_entity_are_set_aside_with_one_of_them(small):
    card, _ = small
    frame = pd.DataFrame(
        {
            "loan": range(80),
            "income": [50.0, 150.0, 250.0, -9.0] * 20,
            "home": ["own", "rent"] * 40,
            "firm": [f"firm {n % 9}" for n in range(80)],
        }
    )
    schema = learnt(frame, {"id": "loan", "entity": "firm", "income": {"codes": [-9], "range": [0, 1000]}})
    loans = frame.assign(
        income=frame["income"].mask(frame["loan"] == 12, 5000), firm=frame["firm"].mask(frame["loan"] == 40)
    )
    ours = by_table(card, schema, loans)
    assert ours["points"].isna().sum() == 10
    for found in engines(card, schema, loans):
        assert_same(ours, found, loans)


def test_a_level_that_sql_can_not_hold_leaves_the_statement_whole(small):
    card, schema = small
    odd = [card.bins[0], {"name": "home", "codes": [], "levels": ["own", "r\0nt"]}]
    for found in engines(Scorecard(odd, 500, card.terms, card.scale), schema, LOANS.head(1)):
        assert found["points"].tolist() == POINTS[:1]


# The workbook


@pytest.fixture(scope="module")
def opened():
    frame = table(1)
    schema = learnt(frame, DECLARED)
    card = scorecard(schema, frame, 1)
    book = openpyxl.load_workbook(io.BytesIO(sheets.xlsx_file(card, schema, 470)))
    return book, list(csv.DictReader(io.StringIO(sheets.csv_file(card, schema, 470).decode(), newline="")))


def test_the_workbook_holds_the_numbers_of_the_csv(opened):
    book, rows = opened
    assert book.sheetnames == ["Scorecard", "Pairs", "How to read it"]
    names = ("term", "above", "up_to", "points", "loans", "default_rate", "low", "high")
    rounded = ("default_rate", "low", "high")  # openpyxl writes 16 digits
    for part, sheet, layout in (("column", "Scorecard", sheets.COLUMN_SHEET), ("pair", "Pairs", sheets.PAIR_SHEET)):
        cells = [dict(zip(layout, row, strict=True)) for row in book[sheet].iter_rows(min_row=2, values_only=True)]
        cells = cells[1:] if part == "column" else cells
        expected = [row for row in rows if row["part"] == part]
        assert len(cells) == len(expected) > 20
        for name in set(names) & set(layout):
            told = [float(row[name]) if row[name] else math.nan for row in expected]
            found = np.array([cell[name] for cell in cells], float)
            np.testing.assert_allclose(found, told, rtol=1e-15 if name in rounded else 0)
    assert book["Scorecard"]["C2"].value == 412
    told = {row[0]: row[1] for row in book["How to read it"].iter_rows(max_row=4, values_only=True)}
    assert told == {"start": 412, "base points": 500, "points to double the odds": 50, "highest refused": 470}


def test_no_cell_of_the_workbook_is_a_formula_and_what_can_not_be_seen_is_spelt_out(opened):
    book, _ = opened
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if isinstance(cell.value, str)]
    assert {cell.data_type for cell in cells} == {"s"}
    values = {cell.value for cell in cells}
    assert {"=1+2", "two\\nlines", "size\\n; DROP TABLE loans; --", "_x005F_x0041_", "größe"} <= values
    assert all(cell.quotePrefix for cell in cells if cell.value == "=1+2")
    assert all(value.isprintable() for value in values)


def test_the_workbook_is_made_to_be_read(opened):
    sheet = opened[0]["Scorecard"]
    assert sheet.freeze_panes == "A2"
    assert [cell.value for cell in sheet[1]][:4] == ["Column", "Bin", "Points", "Loans"]
    assert all(cell.font.bold for cell in sheet[1])
    assert sheet["E3"].number_format == "0.0%"


# In the bundle


def test_a_bundle_s_folder_holds_the_files_and_their_checksums(tmp_path):
    files = {"scorecard.csv": b"part\r\n", "scorecard.sql": b"SELECT 1"}
    bundle.save(tmp_path / "bundle", fitted=Fitted({}, files=files), facts={}, texts={}, tables={})
    assert {name: (tmp_path / "bundle" / name).read_bytes() for name in files} == files
    listed = (tmp_path / "bundle" / "SHA256SUMS").read_text()
    assert all(f"  {name}\n" in listed for name in files)
    (tmp_path / "bundle" / "scorecard.csv").write_bytes(b"other")
    with pytest.raises(Refused, match=r"changed: scorecard\.csv"):
        Bundle.load(tmp_path / "bundle")
