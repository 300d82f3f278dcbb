"""Scores into a table: exactly once, the old rows or the new ones, on SQLite and on a real PostgreSQL."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parents[1]))

import postgres as pg
from postgres import postgres, server  # noqa: F401
from solvent.errors import Refused, SolventError
from solvent.score import sql
from solvent.score.sink import Sink

SCHEMA = pa.schema({"id": pa.int64(), "probability": pa.float64(), "decision": pa.string()})


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def shop(request, tmp_path):
    return Shop(f"sqlite:///{tmp_path}/shop.db" if request.param == "sqlite" else request.getfixturevalue("postgres"))


@pytest.fixture
def lite(tmp_path):
    return Shop(f"sqlite:///{tmp_path}/shop.db")


class Shop:
    """A database that scores are put into."""

    def __init__(self, address):
        self.address = address
        self.file = address.removeprefix("sqlite:///") if address.startswith("sqlite") else None

    def sink(self, **given):
        return Sink.of({"sql": self.address, "table": "scores", "folder": "out", **given})

    def run(self, *statements):
        if self.file is None:
            return pg.run(self.address, *statements)
        with closing(sqlite3.connect(self.file)) as connection, connection:
            for statement in statements:
                connection.execute(statement)
        return None

    def rows(self, query="SELECT id, probability, decision FROM scores ORDER BY id"):
        if self.file is None:
            return pg.rows(self.address, query)
        with closing(sqlite3.connect(self.file, timeout=1)) as connection:
            return connection.execute(query).fetchall()

    def tables(self):
        system = "sqlite_master WHERE type = 'table'" if self.file else "pg_tables WHERE schemaname = 'public'"
        return {name for (name,) in self.rows(f"SELECT {'name' if self.file else 'tablename'} FROM {system}")}


def rows(first, last, decision="accept"):
    return [(n, n / 64, decision) for n in range(first, last + 1)]


def parts(given, each=3, schema=SCHEMA):
    for start in range(0, len(given), each):
        yield pa.table(list(map(list, zip(*given[start : start + each], strict=True))), schema=schema)


def load(sink, given, token, ids=("id",)):
    sql.load(sink, parts(given), SCHEMA, ids=ids, token=token, identity="abc")


def test_a_new_table_is_made_with_all_rows_and_no_other_table_stays(shop):
    assert not sql.is_in(shop.sink(), "first", 10)
    load(shop.sink(), rows(1, 10), "first")
    assert shop.rows() == rows(1, 10)
    assert shop.tables() == {"scores", "solvent_runs"}
    assert sql.is_in(shop.sink(), "first", 10)
    assert shop.rows('SELECT "table", token, "number", identity, "rows" FROM solvent_runs') == [
        ("scores", "first", 1, "abc", 10)
    ]


def test_no_rows_make_an_empty_table(shop):
    load(shop.sink(), rows(1, 3), "first")
    sql.load(shop.sink(), [SCHEMA.empty_table()], SCHEMA, ids=["id"], token="second", identity="abc")
    assert shop.rows() == []
    sql.load(shop.sink(), [], SCHEMA, ids=["id"], token="third", identity="abc")
    assert sql.is_in(shop.sink(), "third", 0)


def test_replace_takes_all_old_rows_away(shop):
    load(shop.sink(), rows(1, 10), "first")
    load(shop.sink(), rows(5, 7, "reject"), "second")
    assert shop.rows() == rows(5, 7, "reject")
    assert sql.is_in(shop.sink(), "second", 3)


def test_merge_takes_away_the_rows_that_come_again(shop):
    sink = shop.sink(mode="merge")
    load(sink, rows(1, 10), "first")
    load(sink, rows(8, 12, "reject"), "second")
    assert shop.rows() == rows(1, 7) + rows(8, 12, "reject")


def test_merge_by_two_ids(shop):
    sink = shop.sink(mode="merge")
    load(sink, [(1, 0.5, "a"), (1, 0.25, "b"), (2, 0.5, "a")], "first", ids=("id", "decision"))
    load(sink, [(1, 0.75, "b"), (2, 0.75, "c")], "second", ids=("id", "decision"))
    query = "SELECT id, probability, decision FROM scores ORDER BY id, decision"
    assert shop.rows(query) == [(1, 0.5, "a"), (1, 0.75, "b"), (2, 0.5, "a"), (2, 0.75, "c")]


@pytest.mark.parametrize("mode", ["replace", "merge"])
def test_a_run_that_is_in_already_is_not_put_there_again(shop, mode):
    sink = shop.sink(mode=mode)
    load(sink, rows(1, 3), "first")
    load(sink, rows(4, 6), "first")  # a token stands for its rows
    assert shop.rows() == rows(1, 3)
    assert len(shop.rows("SELECT * FROM solvent_runs")) == 1


def test_a_run_that_was_merged_before_others_is_not_merged_over_them(shop):
    sink = shop.sink(mode="merge")
    load(sink, rows(1, 3), "first")
    load(sink, rows(1, 5, "reject"), "second")
    load(sink, rows(1, 3), "first")
    assert shop.rows() == rows(1, 5, "reject")
    assert sql.is_in(sink, "first", 3)
    assert sql.is_in(sink, "second", 5)


def test_a_run_whose_rows_were_replaced_by_others_is_put_there_again(shop):
    load(shop.sink(), rows(1, 3), "first")
    load(shop.sink(), rows(1, 5, "reject"), "second")
    assert not sql.is_in(shop.sink(), "first", 3)
    load(shop.sink(), rows(1, 3), "first")
    assert shop.rows() == rows(1, 3)
    assert sql.is_in(shop.sink(), "first", 3)
    assert not sql.is_in(shop.sink(), "second", 5)
    numbers = 'SELECT token, "number" FROM solvent_runs ORDER BY "number"'
    assert shop.rows(numbers) == [("second", 2), ("first", 3)]


@pytest.mark.parametrize("mode", ["replace", "merge"])
@pytest.mark.parametrize("statement", ["DELETE FROM scores", "DROP TABLE scores", "DROP TABLE solvent_runs"])
def test_a_run_whose_rows_or_entry_somebody_took_away_is_not_in(shop, mode, statement):
    sink = shop.sink(mode=mode)
    load(sink, rows(1, 3), "first")
    assert sql.is_in(sink, "first", 3)
    assert not sql.is_in(sink, "first", 2)
    shop.run(statement)
    assert not sql.is_in(sink, "first", 3)
    if "runs" not in statement:
        load(sink, rows(1, 3), "first")
        assert shop.rows() == rows(1, 3)
        assert sql.is_in(sink, "first", 3)


def test_rows_that_somebody_adds_or_takes_away_are_noticed_where_the_table_is_the_runs_own(shop):
    for statement in ("DELETE FROM scores WHERE id = 2", "INSERT INTO scores VALUES (9, 0.5, 'by hand')"):
        load(shop.sink(), rows(1, 3), "first")
        load(shop.sink(mode="merge"), rows(1, 3), "merged")
        shop.run(statement)
        assert not sql.is_in(shop.sink(), "first", 3)
        assert sql.is_in(shop.sink(mode="merge"), "merged", 3)
        shop.run("DROP TABLE scores", "DROP TABLE solvent_runs")


def test_a_run_without_rows_is_in_an_empty_table(shop):
    for mode in ("replace", "merge"):
        sink = shop.sink(mode=mode)
        assert not sql.is_in(sink, mode, 0)
        load(sink, [], mode)
        assert sql.is_in(sink, mode, 0)


@pytest.mark.parametrize(("mode", "others"), [("replace", False), ("merge", True)])
def test_a_table_with_rows_that_no_run_put_there_is_refused_and_left_as_it_is(shop, mode, others):
    shop.run("CREATE TABLE scores (id bigint, probability double precision, decision text)")
    sink = shop.sink(mode=mode)
    sql.check(sink, SCHEMA.names, ["id"])  # empty, as an administrator makes it
    shop.run("INSERT INTO scores VALUES (1, 0.5, 'by hand')")
    message = r"scores has rows, and solvent_runs tells of no run that put them there.* Name another table:, or empty"
    for _ in range(2):
        with pytest.raises(Refused, match=message):
            sql.check(sink, SCHEMA.names, ["id"])
        with pytest.raises(Refused, match=message) as caught:
            load(sink, rows(1, 3), "first")
        assert shop.rows() == [(1, 0.5, "by hand")]
        if others:
            load(shop.sink(table="others"), rows(1, 3), "first")  # an entry of another table is none of this one
    shop.run(*str(caught.value).partition(" enter it:\n")[2].split("\n"))
    sql.check(sink, SCHEMA.names, ["id"])
    load(sink, rows(1, 3), "first")
    assert shop.rows() == rows(1, 3)


def test_merge_refuses_a_table_whose_further_columns_would_be_emptied(shop):
    shop.run("CREATE TABLE scores (id bigint, probability double precision, decision text, note text, seen date)")
    message = r"scores is there, but mode: merge would empty its note, seen in rows that it replaces"
    with pytest.raises(Refused, match=message):
        sql.check(shop.sink(mode="merge"), SCHEMA.names, ["id"])
    sql.check(shop.sink(), SCHEMA.names, ["id"])
    load(shop.sink(), rows(1, 3), "first")
    shop.run("UPDATE scores SET note = 'mine'")
    with pytest.raises(Refused, match=message):
        load(shop.sink(mode="merge"), rows(2, 3), "second")
    assert shop.rows("SELECT note FROM scores") == [("mine",)] * 3


def test_merge_takes_a_table_whose_further_columns_fill_themselves(shop):
    own = "nr INTEGER PRIMARY KEY" if shop.file else "nr bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"
    shop.run(
        f"CREATE TABLE scores ({own}, id bigint, probability double precision, decision text, "
        "twice double precision GENERATED ALWAYS AS (probability * 2) STORED, "
        "at timestamp DEFAULT CURRENT_TIMESTAMP, region text DEFAULT 'EU')"
    )
    sink = shop.sink(mode="merge")
    sql.check(sink, SCHEMA.names, ["id"])
    load(sink, rows(1, 3), "first")
    load(sink, rows(2, 4, "reject"), "second")
    assert shop.rows() == rows(1, 1) + rows(2, 4, "reject")
    assert shop.rows("SELECT DISTINCT region, twice / probability FROM scores") == [("EU", 2)]


def test_merge_takes_a_missing_id_for_equal_to_a_missing_one(shop):
    schema = pa.schema({"machine": pa.string(), "at": pa.timestamp("us"), "probability": pa.float64()})
    one, two = datetime(2026, 1, 1), datetime(2026, 1, 2)

    def merge(given, token):
        sink = shop.sink(mode="merge")
        sql.load(sink, parts(given, schema=schema), schema, ids=["machine", "at"], token=token, identity="abc")

    merge([("a", one, 0.1), ("a", None, 0.2), (None, one, 0.3), (None, None, 0.4), ("b", None, 0.5)], "first")
    merge([("a", None, 1.2), ("b", two, 1.1), (None, two, 1.3), (None, None, 1.4), ("c", None, 1.5)], "second")
    found = shop.rows("SELECT machine, probability FROM scores ORDER BY probability")
    assert found == [
        ("a", 0.1),
        (None, 0.3),
        ("b", 0.5),
        ("b", 1.1),
        ("a", 1.2),
        (None, 1.3),
        (None, 1.4),
        ("c", 1.5),
    ]


def test_merge_takes_a_missing_id_for_equal_where_there_is_one_id(shop):
    for token in ("first", "second"):
        load(shop.sink(mode="merge"), [(1, 0.5, token), (None, 0.25, token)], token)
    assert shop.rows("SELECT id, decision FROM scores ORDER BY id IS NULL") == [(1, "second"), (None, "second")]


def test_two_tables_of_one_database_know_their_own_runs(shop):
    load(shop.sink(), rows(1, 3), "same")
    load(shop.sink(table="others"), rows(1, 2), "same")
    assert len(shop.rows()) == 3
    assert len(shop.rows("SELECT * FROM others")) == 2


def test_old_rows_stay_when_the_rows_given_break_off(shop):
    load(shop.sink(), rows(1, 3), "first")

    def broken():
        yield from parts(rows(10, 20))
        raise SolventError("part-00004.parquet is damaged.")

    with pytest.raises(SolventError, match="is damaged"):
        sql.load(shop.sink(), broken(), SCHEMA, ids=["id"], token="second", identity="abc")
    assert shop.rows() == rows(1, 3)
    assert sql.is_in(shop.sink(), "first", 3)
    assert shop.tables() == {"scores", "solvent_runs"}
    load(shop.sink(), rows(10, 20), "second")
    assert shop.rows() == rows(10, 20)


def test_old_rows_stay_when_a_new_one_breaks_a_constraint(shop):
    shop.run("CREATE TABLE scores (id bigint, probability double precision CHECK (probability < 0.1), decision text)")
    load(shop.sink(), rows(1, 3), "first")
    with pytest.raises(
        Refused, match=r"(?s)scores: the database refuses the scores: .*Its rows are as they were\. Alter"
    ):
        load(shop.sink(), rows(1, 30), "second")
    assert shop.rows() == rows(1, 3)
    assert sql.is_in(shop.sink(), "first", 3)


def test_a_count_that_is_wrong_takes_all_back(shop):
    load(shop.sink(), rows(1, 3), "first")
    if shop.file:
        shop.run("CREATE TRIGGER t AFTER INSERT ON scores WHEN new.id = 5 BEGIN DELETE FROM scores WHERE id = 5; END")
    else:
        shop.run("CREATE RULE r AS ON INSERT TO scores WHERE new.id = 5 DO INSTEAD NOTHING")
    with pytest.raises(SolventError, match=r"10 rows were written, but it has 9 rows.* trigger or a rule") as caught:
        load(shop.sink(), rows(1, 10), "second")
    assert not isinstance(caught.value, Refused)
    assert shop.rows() == rows(1, 3)


def test_all_types_of_cells(shop):
    at = datetime(2026, 3, 29, 1, 30, 0, 123456)
    columns = {
        "whole": pa.array([2**62 + 1, None], pa.int64()),
        "real": pa.array([0.1, float("nan")], pa.float64()),
        "large": pa.array([float("inf"), None], pa.float64()),
        "words": pa.array(["tab\t line\n return\r back\\slash \\N 'q' \"q\" %s :x ä€😀", ""], pa.string()),
        "yes": pa.array([True, None], pa.bool_()),
        "at": pa.array([at, None], pa.timestamp("ns")),
        "zoned": pa.array([at.replace(tzinfo=UTC), None], pa.timestamp("us", "Europe/Berlin")),
        "day": pa.array([date(2026, 1, 2), None], pa.date32()),
        "bytes": pa.array([b"\x00\\\xff", b""], pa.binary()),
        "reasons": pa.array([["a", None, "ü"], []], pa.list_(pa.string())),
        "shares": pa.array([[0.5, float("nan")], None], pa.list_(pa.float64())),
        "level": pa.array(["x", None]).dictionary_encode(),
        "nothing": pa.nulls(2),
        'odd "name" %s': pa.array([1, 2], pa.int32()),
    }
    table = pa.table(columns)
    sql.load(shop.sink(), [table], table.schema, ids=["whole"], token="first", identity="abc")
    first, second = (list(row) for row in shop.rows("SELECT * FROM scores ORDER BY yes IS NULL"))
    assert first[:5] == [2**62 + 1, 0.1, float("inf"), columns["words"][0].as_py(), True]
    times = [at, at.replace(tzinfo=UTC), date(2026, 1, 2)]
    assert first[5:8] == (["2026-03-29 01:30:00.123456"] * 2 + ["2026-01-02"] if shop.file else times)
    assert first[8] == b"\x00\\\xff"
    assert json.loads(first[9]) == ["a", None, "ü"]
    assert json.loads(first[10]) == [0.5, None]
    assert first[11:] == ["x", None, 1]
    assert second == [None, None, None, "", None, None, None, None, b"", "[]", None, None, None, 2]


def test_a_type_that_no_database_has_is_refused(lite):
    table = pa.table({"id": [1], "took": pa.array([1], pa.duration("s"))})
    with pytest.raises(Refused, match=r"scores, column took: duration\[s\] is no type of a database's column"):
        sql.load(lite.sink(), [table], table.schema, ids=["id"], token="first", identity="abc")


def test_a_whole_number_that_no_database_has_is_refused_and_not_shown(shop):
    table = pa.table({"id": pa.array([2**63], pa.uint64())})
    with pytest.raises(
        Refused, match=r"scores: the database refuses the scores: .* Its rows are as they were"
    ) as caught:
        sql.load(shop.sink(), [table], table.schema, ids=["id"], token="first", identity="abc")
    assert str(2**63) not in str(caught.value)
    assert shop.tables() == set()


def test_readers_see_the_old_rows_until_all_new_ones_are_there(shop):
    load(shop.sink(), rows(1, 3), "first")
    seen = []

    def watched():
        for part in parts(rows(10, 20)):
            seen.append(shop.rows())
            yield part

    sql.load(shop.sink(), watched(), SCHEMA, ids=["id"], token="second", identity="abc")
    assert seen == [rows(1, 3)] * 4
    assert shop.rows() == rows(10, 20)


def test_others_may_write_while_rows_are_staged(shop):
    load(shop.sink(mode="merge"), rows(1, 3), "first")

    def beside():
        yield from parts(rows(2, 4, "reject"))
        shop.run("INSERT INTO scores VALUES (100, 0.5, 'by hand')")

    sql.load(shop.sink(mode="merge"), beside(), SCHEMA, ids=["id"], token="second", identity="abc")
    assert shop.rows() == rows(1, 1) + rows(2, 4, "reject") + [(100, 0.5, "by hand")]


def test_two_loads_at_once_leave_the_rows_of_one(shop):
    load(shop.sink(), rows(1, 3), "first")

    def other():
        yield from parts(rows(10, 14))
        load(shop.sink(), rows(20, 22), "third")

    sql.load(shop.sink(), other(), SCHEMA, ids=["id"], token="second", identity="abc")
    assert shop.rows() == rows(10, 14)
    assert [token for (token,) in shop.rows('SELECT token FROM solvent_runs ORDER BY "number"')] == [
        "first",
        "third",
        "second",
    ]


def test_check_leaves_the_database_as_it_was(shop):
    sql.check(shop.sink(), SCHEMA.names, ["id"])
    assert shop.tables() == set()
    load(shop.sink(), rows(1, 3), "first")
    sql.check(shop.sink(), SCHEMA.names, ["id"])
    sql.check(shop.sink(mode="merge"), SCHEMA.names, ["id"])
    assert shop.rows() == rows(1, 3)
    assert sql.is_in(shop.sink(), "first", 3)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            "id bigint",
            r"scores is there, but it lacks probability, decision\. Alter the table, or name another: table:",
        ),
        (
            "id bigint, probability float, decision text, region text NOT NULL",
            "its region must not be null, has no def",
        ),
    ],
)
def test_a_table_that_will_not_take_the_rows_is_refused_before_the_first_one(shop, columns, message):
    shop.run(f"CREATE TABLE scores ({columns})")
    with pytest.raises(Refused, match=message):
        sql.check(shop.sink(), SCHEMA.names, ["id"])


def test_columns_of_the_table_that_fill_themselves_are_fine(shop):
    own = "nr INTEGER PRIMARY KEY" if shop.file else "nr bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
    shop.run(
        f"CREATE TABLE scores ({own}, id bigint, region text NOT NULL DEFAULT 'EU', probability double precision, "
        "at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, decision text, note text)"
    )
    sql.check(shop.sink(), SCHEMA.names, ["id"])
    load(shop.sink(), rows(1, 4), "first")
    assert shop.rows() == rows(1, 4)
    assert shop.rows("SELECT DISTINCT region, note FROM scores") == [("EU", None)]


def test_merge_needs_ids_and_a_schema_must_be_there(shop):
    with pytest.raises(Refused, match="mode: merge needs ids"):
        sql.check(shop.sink(mode="merge"), SCHEMA.names, [])
    with pytest.raises(Refused, match="mode: merge needs ids"):
        load(shop.sink(mode="merge"), rows(1, 1), "first", ids=())
    with pytest.raises(
        Refused, match=r"nowhere\.scores: the database has no schema 'nowhere'\. It has: .*(main|public)"
    ):
        sql.check(shop.sink(table="nowhere.scores"), SCHEMA.names, ["id"])


def test_a_database_that_can_not_be_opened_may_be_tried_again(tmp_path):
    shop = Shop(f"sqlite:///{tmp_path}/none/shop.db")
    with pytest.raises(SolventError, match=r"no connection: unable to open .*try again") as caught:
        sql.check(shop.sink(), SCHEMA.names, ["id"])
    assert not isinstance(caught.value, Refused)


def test_sqlite_that_another_holds_may_be_tried_again_and_one_that_is_no_database_not(lite, tmp_path):
    load(lite.sink(), rows(1, 3), "first")
    with closing(sqlite3.connect(lite.file)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SolventError, match=r"database is locked.*resume by the same command") as caught:
            load(Sink.of({**lite.sink().model_dump(), "sql": f"{lite.address}?timeout=0.1"}), rows(4, 5), "second")
    assert not isinstance(caught.value, Refused)
    assert lite.rows() == rows(1, 3)
    (tmp_path / "text.db").write_text("no database " * 100)
    with pytest.raises(Refused, match="file is not a database"):
        load(Shop(f"sqlite:///{tmp_path}/text.db").sink(), rows(4, 5), "second")


# One process that forks, since the start of Python takes a second: each child dies at one statement more.
KILLS = """
import os, signal, sys
import pyarrow as pa
import sqlalchemy as sa
from solvent.score import sql
from solvent.score.sink import Sink

address, left = sys.argv[1], [0]

@sa.event.listens_for(sa.Engine, "before_cursor_execute")
@sa.event.listens_for(sa.Engine, "commit")
def count(*_):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def load():
    table = pa.table({"id": range(10, 20), "probability": [n / 64 for n in range(10, 20)], "decision": ["accept"] * 10})
    sink = Sink.of({"sql": address, "table": "scores", "folder": "out"})
    sql.load(sink, [table], table.schema, ids=["id"], token="second", identity="abc")

for die in range(1, 100):
    child = os.fork()
    if child == 0:
        left[0] = die
        load()
        os._exit(0)
    killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
    engine = sa.create_engine(address, poolclass=sa.NullPool)
    with engine.connect() as connection:
        print(killed, *connection.exec_driver_sql("SELECT count(*), min(id) FROM scores").one(), flush=True)
    if not killed:
        break
"""


def test_kills_at_any_statement_leave_the_old_rows_and_the_same_call_ends_it(shop):
    load(shop.sink(), rows(1, 3), "first")
    arguments = [sys.executable, "-c", KILLS, shop.address]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)
    lines = done.stdout.splitlines()
    assert len(lines) > 10, done.stderr
    assert lines == ["True 3 1"] * (len(lines) - 1) + ["False 10 10"]
    load(shop.sink(), rows(10, 19), "second")
    assert shop.rows() == rows(10, 19)
    assert shop.tables() == {"scores", "solvent_runs"}


@pytest.mark.postgres
def test_a_connection_cut_while_rows_are_loaded_leaves_the_old_ones(postgres):  # noqa: F811
    shop = Shop(postgres)
    load(shop.sink(), rows(1, 3), "first")

    def cut():
        for number, part in enumerate(parts(rows(10, 30))):
            if number == 2:
                assert pg.cut_others(postgres) == 1
            yield part

    with pytest.raises(
        SolventError, match=r"(?s)scores: the database broke off: .*resume by the same command"
    ) as caught:
        sql.load(shop.sink(), cut(), SCHEMA, ids=["id"], token="second", identity="abc")
    assert not isinstance(caught.value, Refused)
    assert shop.rows() == rows(1, 3)
    assert sql.is_in(shop.sink(), "first", 3)
    load(shop.sink(), rows(10, 30), "second")
    assert shop.rows() == rows(10, 30)


@pytest.mark.postgres
def test_postgres_keeps_the_types_of_a_table_that_is_there_and_never_rounds(postgres):  # noqa: F811
    shop = Shop(postgres)
    shop.run(
        "CREATE SCHEMA risk",
        "CREATE TYPE answer AS ENUM ('accept', 'reject')",
        "CREATE TABLE risk.scores (id int PRIMARY KEY, probability numeric(8, 6), decision answer, facts jsonb)",
    )
    table = pa.table({"id": [1], "probability": [0.25], "decision": ["accept"], "facts": [[1, None]]})
    sink = shop.sink(table="risk.scores")
    sql.check(sink, table.column_names, ["id"])
    sql.load(sink, [table], table.schema, ids=["id"], token="first", identity="abc")
    assert [(int(a), float(b), c, d) for a, b, c, d in shop.rows("SELECT * FROM risk.scores")] == [
        (1, 0.25, "accept", [1, None])
    ]
    assert sql.is_in(sink, "first", 1)
    shop.run("CREATE TABLE whole (id int, probability int, decision text)")
    with pytest.raises(
        Refused, match=r"refuses the scores: invalid text representation, column probability\. Its rows"
    ):
        load(shop.sink(table="whole"), rows(1, 1), "first")


@pytest.mark.postgres
def test_a_message_shows_no_row(postgres):  # noqa: F811
    shop = Shop(postgres)
    shop.run("CREATE TABLE scores (id bigint PRIMARY KEY, probability float CHECK (probability < 0.1), decision text)")
    for given in (rows(1, 1) + rows(1, 1, "secret"), [(1, 0.5, "secret\nHINT")]):
        with pytest.raises(Refused, match=r"violates (unique|check) constraint") as caught:
            load(shop.sink(), given, "first")
        assert "secret" not in str(caught.value)
        assert "(id)=" not in str(caught.value)


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("bigint", "invalid text representation, column decision"),
        ("varchar(2)", "string data right truncation, column decision"),
        ("date", "(invalid datetime format|datetime field overflow), column decision"),
        ("jsonb", "invalid text representation, column decision"),
        ("numeric(3, 1)", "invalid text representation, column decision"),
    ],
)
def test_a_cell_of_the_wrong_type_is_told_by_its_column_and_never_shown(postgres, kind, message):  # noqa: F811
    shop = Shop(postgres)
    shop.run(f"CREATE TABLE scores (id bigint, probability float, decision {kind})")
    for cell in ("SECRET", 'a "SECRET"', "SECRET\nHINT: SECRET", "0000-SECRET", "column id: SECRET"):
        with pytest.raises(Refused, match=rf"refuses the scores: {message}\. Its rows are as they were") as caught:
            load(shop.sink(), [(1, 0.5, cell)], "first")
        assert "SECRET" not in str(caught.value)


@pytest.mark.postgres
def test_a_number_out_of_range_and_a_text_no_postgres_takes_are_not_shown(postgres):  # noqa: F811
    shop = Shop(postgres)
    shop.run("CREATE TABLE scores (id smallint, probability float, decision text)")
    with pytest.raises(Refused, match="numeric value out of range, column id") as caught:
        load(shop.sink(), [(77777, 0.5, "a")], "first")
    assert "77777" not in str(caught.value)
    with pytest.raises(Refused, match="refuses the scores: character not in repertoire") as caught:
        load(shop.sink(), [(1, 0.5, "SECRET\0SECRET")], "first")
    assert "SECRET" not in str(caught.value)


@pytest.mark.postgres
@pytest.mark.parametrize("mode", ["replace", "merge"])
def test_a_lost_answer_to_the_last_step_is_not_called_a_failure_and_doubles_nothing(
    postgres,  # noqa: F811
    monkeypatch,
    mode,
):
    shop = Shop(postgres)
    psycopg = pytest.importorskip("psycopg")
    commit = sa.engine.default.DefaultDialect.do_commit

    def lost(dialect, connection):
        commit(dialect, connection)
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patch:
        patch.setattr(sa.engine.default.DefaultDialect, "do_commit", lost)
        with pytest.raises(SolventError, match="old rows, or all the new ones: resume by the same command") as caught:
            load(shop.sink(mode=mode), rows(1, 3), "first")
    assert not isinstance(caught.value, Refused)
    assert "othing was" not in str(caught.value)
    assert shop.rows() == rows(1, 3)
    load(shop.sink(mode=mode), rows(1, 3), "first")
    assert shop.rows() == rows(1, 3)
    assert len(shop.rows("SELECT * FROM solvent_runs")) == 1


@pytest.mark.postgres
def test_missing_rights_are_noticed_before_the_first_row(postgres):  # noqa: F811
    shop = Shop(postgres)
    load(shop.sink(), rows(1, 3), "first")
    shop.run("DROP ROLE IF EXISTS reader", "CREATE ROLE reader LOGIN", "GRANT SELECT, INSERT ON scores TO reader")
    reader = Shop(postgres.replace("//postgres:", "//reader:"))
    with pytest.raises(Refused, match="permission denied for table scores"):
        sql.check(reader.sink(), SCHEMA.names, ["id"])
    with pytest.raises(Refused, match="permission denied for schema public"):
        sql.check(reader.sink(table="others"), SCHEMA.names, ["id"])
    shop.run("GRANT DELETE ON scores TO reader")
    with pytest.raises(Refused, match="permission denied for table solvent_runs"):
        sql.check(reader.sink(), SCHEMA.names, ["id"])
    shop.run("GRANT SELECT, INSERT, DELETE ON solvent_runs TO reader")
    sql.check(reader.sink(), SCHEMA.names, ["id"])
    load(reader.sink(), rows(4, 5), "second")
    assert shop.rows() == rows(4, 5)
    shop.run("DROP OWNED BY reader", "DROP ROLE reader")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "expected one of path:"),
        ({"path": "a", "sql": "sqlite:///x", "table": "t", "folder": "f"}, "expected one of path:"),
        ({"sql": "sqlite:///x"}, r"sql: needs table:; sql: needs folder:"),
        ({"path": "a", "table": "t", "mode": "merge"}, r"table: needs sql:; mode: merge is for a table"),
        ({"sql": "sqlite:///x", "table": "a.b.c", "folder": "f"}, "expected a name such as scores or schema.scores"),
        ({"sql": "sqlite:///x", "table": "a.solvent_runs", "folder": "f"}, "is a name of Solvent's own"),
        ({"path": "a", "mode": "append", "colour": 1}, r"mode: Input should be 'replace' or 'merge'; colour: Extra"),
    ],
)
def test_a_sink_that_is_not_understood_is_refused(given, message):
    with pytest.raises(Refused, match=message):
        Sink.of(given)


def test_a_path_is_a_sink():
    assert Sink.of(Path("out/scores.csv")).path == os.path.join("out", "scores.csv")  # noqa: PTH118
    assert Sink.of({"path": Path("out")}) == Sink.of("out")
