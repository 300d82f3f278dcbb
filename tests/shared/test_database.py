"""Queries as tables: page by page behind a key, from SQLite and from a real PostgreSQL."""

import sqlite3
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from postgres import cut_others, postgres, rows, run, server  # noqa: F401
from solvent.errors import Refused, SolventError
from solvent.tables import database


@pytest.fixture(autouse=True)
def pages_of_three(monkeypatch):
    monkeypatch.setattr(database, "FETCH_ROWS", 3)


@pytest.fixture
def shop(tmp_path):
    """Makes an SQLite database of one table `t`, and gives its address."""

    def made(columns, cells):
        with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
            connection.execute(f"CREATE TABLE t ({columns})")
            marks = ", ".join("?" * len(cells[0]))
            connection.executemany(f"INSERT INTO t VALUES ({marks})", cells)
        return f"sqlite:///{tmp_path}/shop.db"

    return made


def read(address, query="SELECT * FROM t", key=None):
    """The rows as tuples, and how many lie in each piece."""
    pieces = list(database.pieces(address, query, Path(), key))
    assert list(pieces[0].columns) == list(pieces[-1].columns)
    whole = pd.concat(pieces)
    assert all(kind.kind == "O" for kind in whole.dtypes)
    return list(whole.itertuples(index=False, name=None)), [len(piece) for piece in pieces]


def test_pages_follow_the_key(shop):
    address = shop("id INTEGER, home TEXT", [(n, f"home {n}") for n in (5, 3, 8, 1, 9, 2, 7)])
    found, pieces = read(address, key="id")
    assert found == [(n, f"home {n}") for n in (1, 2, 3, 5, 7, 8, 9)]
    assert pieces == [0, 3, 3, 1]


def test_a_query_without_rows_has_its_columns(shop):
    found, pieces = read(shop("id INTEGER, home TEXT", [(1, "own")]), "SELECT * FROM t WHERE id > 1", "id")
    assert (found, pieces) == ([], [0])


@pytest.mark.parametrize("keys", [[1, 1, 2, 2, 2, 2, 2, 3], [1] * 7, [1, 2, 3, 3], [1, 2, 3], [3, 3, 3, 4, 4, 4]])
def test_repeated_keys_are_neither_lost_nor_doubled(shop, keys):
    rows = [(key, number) for number, key in enumerate(keys)]
    found, _ = read(shop("id INTEGER, number INTEGER", rows), key="id")
    assert sorted(found) == sorted(rows)
    assert [key for key, _ in found] == sorted(keys)


def test_rows_without_a_key_come_last_and_all_of_them(shop):
    rows = [(None if n % 2 else n, n) for n in range(12)]
    found, _ = read(shop("id INTEGER, number INTEGER", rows), key="id")
    assert [number for _, number in found[:6]] == [0, 2, 4, 6, 8, 10]
    assert sorted(number for _, number in found[6:]) == [1, 3, 5, 7, 9, 11]
    assert [key for key, _ in found[6:]] == [None] * 6


def test_all_keys_may_be_missing(shop):
    assert len(read(shop("id INTEGER, number INTEGER", [(None, n) for n in range(7)]), key="id")[0]) == 7


@pytest.mark.parametrize(
    ("collation", "names"),
    [
        ("NOCASE", ["a", "A", "b", "B", "b", "B", "c", "C", "a", "A"]),
        ("RTRIM", ["a ", "a", "a  ", "a", "b  ", "b", ""]),
    ],
)
def test_keys_that_only_the_database_takes_for_equal_stay_together(shop, collation, names):
    rows = [(name, number) for number, name in enumerate(names)]
    found, _ = read(shop(f"name TEXT COLLATE {collation}, number INTEGER", rows), key="name")
    assert sorted(found) == sorted(rows)
    assert [name.lower().rstrip() for name, _ in found] == sorted(name.lower().rstrip() for name in names)


def test_text_keys_and_keys_of_several_types_and_awkward_names(shop, tmp_path):
    rows = [("it's", 1), (7, 2), (b"\x00", 3), ("%s :x", 4), (2**60 + 1, 5), ("", 6), (0.5, 7), ("ä", 8)]
    for key in ('a "quoted" %(name)s', "order", "x.y", ":id"):
        (tmp_path / "shop.db").unlink(missing_ok=True)
        quoted = '"' + key.replace('"', '""') + '"'
        found, _ = read(shop(f"{quoted}, number INTEGER", rows), key=key)
        assert [number for _, number in found] == [7, 2, 5, 6, 4, 1, 8, 3]  # numbers, texts by their bytes, bytes


def test_the_query_means_what_it_says(shop):
    address = shop("id INTEGER, home TEXT", [(n, "10%:x" if n % 2 else "own") for n in range(8)])
    query = r"SELECT id, ':home \:x %(id)s ?' AS what FROM t WHERE home LIKE '%:x' ; ; -- odd ones"
    found, _ = read(address, query.replace("; ; -- odd ones", "-- odd ones"), "id")
    assert found == [(n, r":home \:x %(id)s ?") for n in (1, 3, 5, 7)]
    found, _ = read(address, query.replace("-- odd ones", "\n"), "id")
    assert found == [(n, r":home \:x %(id)s ?") for n in (1, 3, 5, 7)]


def test_with_a_key_and_without_one_cells_are_the_same(shop):
    rows = [(n, 2**62 + n, n / 7, f"t{n}", b"\xff\x00", None) for n in range(10)]
    address = shop("id INTEGER, large INTEGER, real REAL, words TEXT, bytes BLOB, missing", rows)
    assert read(address, key="id")[0] == read(address)[0] == rows


@pytest.mark.parametrize(
    ("query", "key", "message"),
    [
        ("SELECT * FROM t", "ID", r"key: the query has no column 'ID'\. It has: id, home"),
        ("SELECT * FROM u", "id", "refuses the query: no such table: u"),
        ("SELECT id FROM t WHERE", "id", "refuses the query"),
        ("DELETE FROM t", "id", "refuses the query"),
    ],
)
def test_an_unknown_key_and_a_bad_query_are_refused(shop, query, key, message):
    address = shop("id INTEGER, home TEXT", [(1, "own")])
    with pytest.raises(Refused, match=message):
        read(address, query, key)
    assert len(read(address)[0]) == 1


def test_between_two_pages_the_database_is_free(shop):
    address = shop("id INTEGER, number INTEGER", [(n, n) for n in range(10)])
    pieces = database.pieces(address, "SELECT * FROM t", Path(), "id")
    seen = [next(pieces), next(pieces)]
    with closing(sqlite3.connect(address.removeprefix("sqlite:///"), timeout=0)) as connection, connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("DELETE FROM t WHERE id = 9")
    assert [*pd.concat([*seen, *pieces])["id"]] == list(range(9))


def test_a_text_that_is_no_utf8_is_told_by_its_column_and_never_shown(shop):
    address = shop("id INTEGER, home TEXT", [(1, "own")])
    with closing(sqlite3.connect(address.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("INSERT INTO t VALUES (2, CAST(x'534543524554ff' AS TEXT))")
    for key in (None, "id"):
        with pytest.raises(Refused, match=r"Could not decode to UTF-8 column 'home'\. Correct") as caught:
            read(address, key=key)
        assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_missing_driver_is_named_with_what_brings_it(monkeypatch, driver):
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(Refused, match=r"its driver is missing\. pip install 'solvent-suite\[postgres\]'"):
        read(f"postgresql+{driver}://me@nowhere.invalid/shop")


MADE = """CREATE TABLE t AS SELECT n AS id, md5(n::text) AS name, n::numeric / 7 AS amount, n % 3 = 0 AS yes,
    now()::timestamptz AS at, ARRAY[n, n + 1] AS pair, json_build_object('n', n) AS facts, (n, 'x')::twin AS both,
    md5(n::text)::uuid AS uuid, '2026-01-01'::date + n AS day, decode('ff00', 'hex') AS bytes, NULL::int AS nothing
    FROM generate_series(1, 20) AS n"""


@pytest.mark.postgres
@pytest.mark.parametrize("key", ["id", "name", "amount", "uuid", "day", "yes", "at", "bytes", "nothing"])
def test_postgres_gives_the_same_cells_page_by_page(postgres, key):  # noqa: F811
    run(postgres, "CREATE TYPE twin AS (number int, name text)", MADE)
    query = "SELECT * FROM t WHERE name NOT LIKE '%zz%' AND ':x'::text <> '%s'"
    whole = [repr(row) for row in read(postgres, query)[0]]
    assert len(whole) == 20
    assert sorted(repr(row) for row in read(postgres, query, key)[0]) == sorted(whole)


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("double precision", ["0.1", "0.3", "1e300", "-1e-300", "2", "NaN", "NaN", "NaN", "NaN", "Infinity", "5"]),
        ("real", ["0.1", "0.2", "0.3", "0.7", "0.9", "1.1", "2", "3.3", "NaN", "NaN", "NaN", "NaN"]),
        ("numeric", ["0.1", "0.10", "0.100", "0.1000", "1", "NaN", "NaN", "NaN", "NaN", "2", "-3"]),
        ("char(4)", ["a", "ab", "a", "a", "a", "b", "Z", "z", ""]),
        ("timestamp", [f"2026-01-01 00:00:00.00000{n % 4}" for n in range(9)]),
        ("interval", ["1 day", "24 hours", "1 day", "2 days", "1 hour", "3 days", "4 days"]),
    ],
)
def test_postgres_keys_that_are_hard_to_compare(postgres, kind, values):  # noqa: F811
    cells = ", ".join(f"('{value}', {n})" for n, value in enumerate(values))
    run(postgres, f"CREATE TABLE t (k {kind}, n int)", f"INSERT INTO t VALUES {cells}")
    assert sorted(n for _, n in read(postgres, key="k")[0]) == list(range(len(values)))


@pytest.mark.postgres
def test_a_key_with_more_digits_than_the_driver_gives_is_refused_rather_than_wrong(postgres, monkeypatch):  # noqa: F811
    monkeypatch.setattr(database, "FETCH_ROWS", 1)
    run(postgres, "CREATE TABLE t (k real)", "INSERT INTO t VALUES (0.1), (0.2)")
    with pytest.raises(Refused, match=r"key: 'k' has more digits in the database than here"):
        read(postgres, key="k")


@pytest.mark.postgres
def test_a_page_costs_a_range_of_the_index(postgres):  # noqa: F811
    run(
        postgres,
        "CREATE TABLE t AS SELECT n AS id, repeat('x', 100) AS words FROM generate_series(1, 20000) AS n",
        "ALTER TABLE t ADD PRIMARY KEY (id)",
        "ANALYZE t",
    )
    pieces = database.pieces(postgres, "SELECT * FROM t WHERE words <> ''", Path(), "id")
    for _ in range(20):
        next(pieces)
    run(postgres, "SELECT pg_stat_force_next_flush()")
    pieces.close()
    ((scans, read_rows),) = rows(postgres, "SELECT seq_scan, seq_tup_read FROM pg_stat_user_tables")
    assert read_rows <= 20_000 * 2, scans  # ALTER and ANALYZE


@pytest.mark.postgres
def test_a_connection_cut_between_pages_is_replaced(postgres):  # noqa: F811
    run(postgres, "CREATE TABLE t AS SELECT n AS id FROM generate_series(1, 10) AS n")
    pieces = database.pieces(postgres, "SELECT * FROM t", Path(), "id")
    seen = [next(pieces), next(pieces)]
    assert cut_others(postgres) == 1
    assert Counter(pd.concat([*seen, *pieces])["id"]) == Counter(range(1, 11))


@pytest.mark.postgres
def test_a_connection_cut_while_one_cursor_is_read_breaks_off_and_may_be_tried_again(postgres, monkeypatch):  # noqa: F811
    monkeypatch.setattr(database, "FETCH_ROWS", 1000)
    run(postgres, "CREATE TABLE t AS SELECT n AS id, repeat('x', 1000) AS words FROM generate_series(1, 30000) AS n")
    pieces = database.pieces(postgres, "SELECT * FROM t", Path())
    next(pieces), next(pieces)
    assert cut_others(postgres) == 1
    with pytest.raises(SolventError, match=r"query on postgres broke off: .*Try again") as caught:
        list(pieces)
    assert not isinstance(caught.value, Refused)
    assert sorted(n for n, _ in read(postgres)[0]) == list(range(1, 30001))


@pytest.mark.postgres
def test_a_connection_cut_in_the_middle_of_a_page_breaks_off_and_may_be_tried_again(postgres):  # noqa: F811
    run(postgres, "CREATE TABLE t AS SELECT n AS id FROM generate_series(1, 10) AS n")
    slow = "SELECT id, CASE WHEN id < 6 THEN 'x' ELSE pg_sleep(0.4)::text END AS slept FROM t"

    def cut():
        while not rows(postgres, "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"):
            time.sleep(0.02)
        cut_others(postgres)

    other = threading.Thread(target=cut)
    other.start()
    with pytest.raises(SolventError, match=r"broke off: .*Try again") as caught:
        read(postgres, slow, "id")
    other.join()
    assert not isinstance(caught.value, Refused)
    assert [n for n, _ in read(postgres, slow.replace("0.4", "0"), "id")[0]] == list(range(1, 11))


@pytest.mark.postgres
def test_a_query_that_is_refused_for_a_cell_does_not_show_it(postgres):  # noqa: F811
    run(postgres, "CREATE TABLE t AS SELECT 1 AS id, 'SECRET' AS income")
    for key in (None, "id"):
        with pytest.raises(Refused, match="query on postgres fails at a cell: invalid text rep") as caught:
            read(postgres, "SELECT id, income::int FROM t", key)
        assert "SECRET" not in str(caught.value)
    with pytest.raises(Refused, match='refuses the query: column "incom" does not exist\nPerhaps you meant') as caught:
        read(postgres, "SELECT incom FROM t")


@pytest.mark.postgres
def test_a_date_that_python_does_not_have_is_not_shown(postgres):  # noqa: F811
    run(postgres, "CREATE TABLE t AS SELECT 1 AS id, '12345-06-07'::date AS day")
    with pytest.raises(
        Refused, match=r"query on postgres fails at a cell: data error\. Correct the cell, or query:"
    ) as caught:
        read(postgres)
    assert "12345" not in str(caught.value)
