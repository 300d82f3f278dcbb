"""From a database into a database: a run whose connection is cut goes on, and each row is there once."""

import sqlite3
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from solvent import Refused, SolventError
from solvent.score import score, sql
from solvent.tables import database

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from made_loans import bundle, by_income

import postgres as pg
from postgres import postgres, server  # noqa: F401

ROWS = 3_000


def fill(address: str) -> None:
    """Loans whose ids come in no order; of 100 one is bad, and one id is there twice."""
    pg.run(
        address,
        "CREATE TABLE loans (loan text, branch text, income text)",
        f"INSERT INTO loans SELECT 'L' || lpad(((n * 7919) % {ROWS})::text, 6, '0'), (n % 7)::text, "
        f"CASE WHEN n % 100 = 0 THEN 'abc' ELSE (n + 20)::text END FROM generate_series(0, {ROWS - 1}) AS n",
        "INSERT INTO loans VALUES ('L000005', '9', '77')",
    )


def source(address: str, key: str | None) -> dict[str, Any]:
    return {"sql": address, "query": "SELECT * FROM loans ORDER BY loan, branch", "key": key}


def sink(address: str, tmp_path: Path, mode: str) -> dict[str, Any]:
    return {"sql": address, "table": "scores", "mode": mode, "folder": str(tmp_path / "out")}


def scores(address: str) -> list[tuple[Any, ...]]:
    return pg.rows(address, "SELECT loan, branch, probability, decision, points FROM scores ORDER BY loan")


@pytest.mark.postgres
@pytest.mark.parametrize("mode", ["replace", "merge"])
@pytest.mark.parametrize("key", [None, "loan"])
def test_a_connection_that_is_cut_while_it_is_read_loses_and_doubles_nothing(
    postgres: str,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    key: str | None,
    mode: str,
) -> None:
    monkeypatch.setattr(database, "FETCH_ROWS", 100)
    monkeypatch.setattr("solvent.tables.source.LEAST_ROWS", 1)
    fill(postgres)
    calls: list[int] = []

    def cuts(rows: pd.DataFrame) -> pd.DataFrame:
        calls.append(len(rows))
        if len(calls) in (3, 9):
            assert pg.cut_others(postgres) >= 1
        return by_income(rows)

    made = bundle(tmp_path, function=cuts)
    attempts = 0
    while True:
        attempts += 1
        try:
            manifest = score(made, source(postgres, key), sink(postgres, tmp_path, mode), chunk_rows=200, max_bad=0.5)
            break
        except SolventError as failure:
            assert failure.exit_code == 1 and attempts < 5
    assert attempts == 3 or key is not None  # reading by key takes a new connection by itself
    assert len(calls) <= 16 + attempts  # finished parts are not scored again
    expected = sorted(
        (f"L{(n * 7919) % ROWS:06d}", str(n % 7), 1 / (n + 20), "accept", n + 20) for n in range(ROWS) if n % 100
    )
    assert scores(postgres) == expected
    assert manifest["rows_set_aside"] == 31 and manifest["rows_read"] == ROWS + 1


@pytest.mark.postgres
@pytest.mark.parametrize("mode", ["replace", "merge"])
def test_a_connection_that_is_cut_while_it_is_written_leaves_the_old_rows(
    postgres: str,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
) -> None:
    fill(postgres)
    pg.run(
        postgres,
        "CREATE TABLE scores (loan text, branch text, probability double precision, decision text, points bigint, "
        "reviewed timestamp)",
        "INSERT INTO scores VALUES ('L000001', 'old', 0, 'old', 0, NULL), ('M1', 'old', 0, 'old', 0, NULL)",
    )
    calls: list[int] = []
    made = bundle(tmp_path, function=lambda rows: (calls.append(len(rows)), by_income(rows))[1])
    into = sink(postgres, tmp_path, mode)

    with pytest.raises(Refused, match="scores has rows, and solvent_runs tells of no run") as refused:
        score(made, source(postgres, "loan"), into, chunk_rows=1000, max_bad=0.5)
    assert not calls
    pg.run(postgres, *str(refused.value).partition("enter it:\n")[2].split("\n"))

    def cut(*arguments: Any) -> None:
        pg.cut_others(postgres)
        take_over(*arguments)

    take_over = sql._take_over
    with monkeypatch.context() as patch:
        patch.setattr(sql, "_take_over", cut)
        with pytest.raises(SolventError, match="resume by the same command"):
            score(made, source(postgres, "loan"), into, chunk_rows=1000, max_bad=0.5)
    assert [row[0] for row in scores(postgres)] == ["L000001", "M1"]
    assert not (tmp_path / "out").exists()
    before = len(calls)
    manifest = score(made, source(postgres, "loan"), into, chunk_rows=1000, max_bad=0.5)
    assert len(calls) == before
    found = scores(postgres)
    assert len(found) == manifest["rows_scored"] + (mode == "merge")
    assert [row for row in found if row[1] == "old"] == ([("M1", "old", 0, "old", 0)] if mode == "merge" else [])


def test_a_table_is_left_alone_by_a_second_call_and_given_its_rows_back_after_another_run(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'shop.db'}"
    into = {"sql": address, "table": "scores", "folder": str(tmp_path / "out")}
    (tmp_path / "loans.csv").write_text("loan,branch,income\nL1,01,20\nL2,02,abc\nL3,03,40\n")
    made = bundle(tmp_path)

    def rows() -> list[Any]:
        with sqlite3.connect(tmp_path / "shop.db") as connection:
            return connection.execute("SELECT loan, points FROM scores").fetchall()

    first = score(made, tmp_path / "loans.csv", into, max_bad=0.5)
    assert rows() == [("L1", 20), ("L3", 40)]
    assert first["output"] == "scores" and first["parts"] == [] and len(first["quarantine"]) == 1
    assert score(made, tmp_path / "loans.csv", into, max_bad=0.5)["token"] == first["token"]
    (tmp_path / "other.csv").write_text("loan,branch,income\nL9,01,90\n")
    score(made, tmp_path / "other.csv", {**into, "folder": str(tmp_path / "elsewhere")})
    assert rows() == [("L9", 90)]
    again = score(made, tmp_path / "loans.csv", into, max_bad=0.5)
    assert rows() == [("L1", 20), ("L3", 40)] and again["token"] != first["token"]


def test_a_table_that_can_not_take_the_rows_is_refused_before_a_row_is_scored(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("CREATE TABLE scores (loan TEXT)")
    into = {"sql": f"sqlite:///{tmp_path / 'shop.db'}", "table": "scores", "folder": str(tmp_path / "out")}
    (tmp_path / "loans.csv").write_text("loan,branch,income\nL1,01,20\n")
    made = bundle(tmp_path, function=lambda rows: pytest.fail("scored"))
    with pytest.raises(Refused, match="scores is there, but it lacks branch, probability"):
        score(made, tmp_path / "loans.csv", into)
