import csv
import json
import os
import signal
import sqlite3
import stat
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from solvent import Column, Columns, Output, Refused, SolventError, TooManyBadRows
from solvent.errors import Locked
from solvent.files import held
from solvent.promises import checked_score
from solvent.schema import Schema
from solvent.score import finish, ledger, parts, publish, run, score, writer

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))

from made_loans import OUTPUTS, Fake, bundle, by_income, content_of, loans

EVERYWHERE = ("out", "out.csv", "out.jsonl", "out.parquet")
FILES = EVERYWHERE[1:]


def data_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("part-*.parquet"))}


def rows_of(folder: Path) -> pa.Table:
    return pa.concat_tables(pq.read_table(part) for part in sorted(folder.glob("part-*.parquet")))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# What comes out


def test_each_good_row_comes_out_once_in_order_with_its_score(tmp_path: Path) -> None:
    source = loans(tmp_path / "loans.csv", list(range(20, 45)))
    manifest = score(bundle(tmp_path), source, tmp_path / "out", chunk_rows=10)
    parts = [pq.read_table(tmp_path / "out" / f"part-{i:05d}.parquet").to_pandas() for i in range(3)]
    assert [len(part) for part in parts] == [10, 10, 5]
    scored = pd.concat(parts)
    assert list(scored.columns) == ["loan", "branch", "probability", "decision", "points", "reviewed"]
    assert scored["loan"].tolist() == [f"L{i:04d}" for i in range(25)]
    assert scored["branch"].tolist() == [f"{i % 3:02d}" for i in range(25)]
    assert scored["probability"].tolist() == [1 / income for income in range(20, 45)]
    assert scored["points"].tolist() == list(range(20, 45))
    assert (manifest["rows_read"], manifest["rows_scored"], manifest["rows_set_aside"]) == (25, 25, 0)
    assert manifest == json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (tmp_path / "out" / "_SUCCESS").exists()
    assert not (tmp_path / "out" / "quarantine").exists()
    assert (manifest["solution"], manifest["personal"], manifest["source"]) == ("loans", ["histories"], str(source))


def test_the_scores_do_not_depend_on_the_parts(tmp_path: Path) -> None:
    incomes = [*range(20, 60), "abc", 13, *range(60, 80)]
    source = loans(tmp_path / "loans.csv", incomes)
    tables, texts = [], []
    for rows in (1, 7, 1000):
        score(bundle(tmp_path), source, tmp_path / "out.parquet", chunk_rows=rows, max_bad=0.5)
        tables.append(pq.read_table(tmp_path / "out.parquet"))
        tables.append(pq.read_table(tmp_path / "out.parquet.quarantine.parquet"))
        score(bundle(tmp_path), source, tmp_path / "out.csv", chunk_rows=rows, max_bad=0.5)
        texts.append((tmp_path / "out.csv").read_text())
    assert texts[0] == texts[1] == texts[2] and texts[0].count("\n") == 61
    assert tables[0].equals(tables[2]) and tables[0].equals(tables[4])
    assert tables[1].equals(tables[3]) and tables[1].equals(tables[5])
    assert (tables[0].num_rows, tables[1].num_rows) == (60, 2)


def test_bad_rows_are_set_aside_with_their_reasons_and_their_cells(tmp_path: Path) -> None:
    source = loans(tmp_path / "loans.csv", [20, "abc", 30, 13, "", "x; y", 40])
    manifest = score(bundle(tmp_path), source, tmp_path / "out", chunk_rows=3, max_bad=0.6)
    scored = rows_of(tmp_path / "out").to_pandas()
    assert scored["points"].tolist() == [20, 30, 40]
    folder = tmp_path / "out" / "quarantine"
    assert names(folder) == ["part-00000.parquet", "part-00001.parquet"]
    bad = rows_of(folder).to_pandas()
    assert list(bad.columns) == ["row", "reasons", "loan", "branch", "income"]
    assert bad["row"].tolist() == [2, 4, 5, 6]
    assert bad["income"].fillna("missing").tolist() == ["abc", "13", "missing", "x; y"]
    assert bad["reasons"][0] == "income: 'abc' is not a number"
    assert bad["reasons"][1] == "the scorer can't take 13"
    assert manifest["reasons"]["income: … is not a number"] == 2
    assert manifest["reasons"]["income: is missing"] == 1
    assert sum(manifest["reasons"].values()) == manifest["rows_set_aside"] == 4
    assert [part["rows"] for part in manifest["parts"]] == [2, 0, 1]
    assert [part["rows"] for part in manifest["quarantine"]] == [1, 3]


def test_quarantine_is_for_its_owner_only(tmp_path: Path) -> None:
    source = loans(tmp_path / "loans.csv", [20, "abc"])
    score(bundle(tmp_path), source, tmp_path / "out", max_bad=0.5)
    score(bundle(tmp_path), source, tmp_path / "out.csv", max_bad=0.5)
    for path in (tmp_path / "out/quarantine/part-00000.parquet", tmp_path / "out.csv.quarantine.parquet"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_ragged_row_is_set_aside(tmp_path: Path) -> None:
    source = tmp_path / "loans.csv"
    source.write_text("loan,branch,income\nL1,01,20\nL2,01\nL3,01,30\n")
    score(bundle(tmp_path), source, tmp_path / "out", max_bad=0.5)
    assert rows_of(tmp_path / "out").to_pandas()["loan"].tolist() == ["L1", "L3"]
    assert rows_of(tmp_path / "out" / "quarantine")["row"].to_pylist() == [2]


@pytest.mark.parametrize("rows", [1, 2, 100])
def test_the_later_row_of_a_repeated_id_is_set_aside_in_whichever_part(tmp_path: Path, rows: int) -> None:
    source = tmp_path / "loans.csv"
    source.write_text("loan,branch,income\nL1,01,20\nL2,01,30\nL1,01,40\nL3,01,50\nL1,01,abc\n")
    score(bundle(tmp_path), source, tmp_path / "out", chunk_rows=rows, max_bad=0.5)
    assert rows_of(tmp_path / "out").to_pandas()["points"].tolist() == [20, 30, 50]
    bad = rows_of(tmp_path / "out" / "quarantine").to_pandas()
    assert bad["row"].tolist() == [3, 5]
    assert bad["reasons"][0] == "loan: 'L1' is there already, further up"
    assert set(bad["reasons"][1].split("; ")) == {"income: 'abc' is not a number", bad["reasons"][0]}


def test_declared_types_hold_where_a_part_is_all_null(tmp_path: Path) -> None:
    def scorer(rows: pd.DataFrame) -> pd.DataFrame:
        found = by_income(rows)
        # parts of two rows: all null, then not
        return found.mask(rows["income"] < 30).assign(error=None).astype({"error": "str"})

    manifest = score(
        bundle(tmp_path, function=scorer),
        loans(tmp_path / "loans.csv", [20, 21, 30, 31]),
        tmp_path / "out",
        chunk_rows=2,
    )
    wanted = [pa.string(), pa.string(), pa.float64(), pa.string(), pa.int64(), pa.timestamp("us")]
    for part in sorted((tmp_path / "out").glob("part-*")):
        assert pq.read_schema(part).types == wanted
    assert [column["type"] for column in manifest["columns"]] == [str(kind) for kind in wanted]


def test_an_empty_source_gives_an_empty_output_with_the_declared_columns(tmp_path: Path) -> None:
    source = loans(tmp_path / "loans.csv", [])
    for output in ("out", "out.parquet", "out.csv"):
        manifest = score(bundle(tmp_path), source, tmp_path / output)
        assert (manifest["rows_read"], manifest["rows_scored"], manifest["rows_set_aside"]) == (0, 0, 0)
    for output in ("out/part-00000.parquet", "out.parquet"):
        table = pq.read_table(tmp_path / output)
        assert table.num_rows == 0
        assert table.schema.types == [
            pa.string(),
            pa.string(),
            pa.float64(),
            pa.string(),
            pa.int64(),
            pa.timestamp("us"),
        ]
    assert (tmp_path / "out.csv").read_text() == "loan,branch,probability,decision,points,reviewed\n"


def test_a_csv_output_is_utf8_with_shortest_round_trip_floats_and_iso_times(tmp_path: Path) -> None:
    def scorer(rows: pd.DataFrame) -> pd.DataFrame:
        times = pd.Series(pd.to_datetime(["2024-05-31", "2024-05-31T10:00:00.5", None], format="ISO8601"), rows.index)
        return by_income(rows).assign(reviewed=times, decision=['größer, "ja"', "", None])

    source = loans(tmp_path / "loans.csv", [3, 10, 0.3])
    score(bundle(tmp_path, function=scorer), source, tmp_path / "out.csv", chunk_rows=100)
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["loan", "branch", "probability", "decision", "points", "reviewed"],
            ["L0000", "00", "0.3333333333333333", 'größer, "ja"', "3", "2024-05-31T00:00:00.000000"],
            ["L0001", "01", "0.1", "", "10", "2024-05-31T10:00:00.500000"],
            ["L0002", "02", "3.3333333333333335", "", "0", ""],
        ]


def test_the_ids_of_a_parquet_source_keep_their_type(tmp_path: Path) -> None:
    big = 2**53 + 1  # no float64 holds it
    rows = pd.DataFrame(
        {"loan": [big, 2, 3], "branch": pd.array([None, None, 7], "Int64"), "income": [20.0, 30.0, 40.0]}
    )
    rows.to_parquet(tmp_path / "loans.parquet")
    score(bundle(tmp_path), tmp_path / "loans.parquet", tmp_path / "out", chunk_rows=2)
    table = rows_of(tmp_path / "out")
    assert table.schema.types[:2] == [pa.int64(), pa.int64()]
    assert table["loan"].to_pylist() == [big, 2, 3]
    assert table["branch"].to_pylist() == [None, None, 7]


def test_the_parts_of_a_query_have_one_type_though_its_cells_differ(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as base:
        base.execute("create table loans (loan, branch, income)")
        base.executemany("insert into loans values (?, ?, ?)", [(1, None, 20), (2, None, 30), ("three", 7, 40)])
    base.close()
    query = {"sql": f"sqlite:///{tmp_path / 'shop.db'}", "query": "select * from loans order by income"}
    manifest = score(bundle(tmp_path), query, tmp_path / "out", chunk_rows=1)
    for part in sorted((tmp_path / "out").glob("part-*")):
        assert pq.read_schema(part).types[:2] == [pa.string(), pa.int64()]
    assert rows_of(tmp_path / "out")["loan"].to_pylist() == ["1", "2", "three"]
    assert manifest["source"] == "query on shop.db"
    assert [part["sha256"] for part in manifest["parts"]] == [
        writer.sha256(path) for path in sorted((tmp_path / "out").glob("part-*"))
    ]


def test_one_file_has_one_type_though_the_cells_of_its_parts_differ(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as base:
        base.execute("create table loans (loan, branch, income)")
        cells = [(1, None, 20), (2, None, "abc"), (3, None, 30), ("four", 7, 40), (5, 8, 50), (6, "x", "def")]
        base.executemany("insert into loans values (?, ?, ?)", cells)
    base.close()
    query = {"sql": f"sqlite:///{tmp_path / 'shop.db'}", "query": "select * from loans order by rowid"}
    for rows in (1, 2, 100):
        for output in ("out.parquet", "out.csv"):
            score(bundle(tmp_path), query, tmp_path / output, chunk_rows=rows, max_bad=0.5)
        table = pq.read_table(tmp_path / "out.parquet")
        assert table.schema.types[:2] == [pa.string(), pa.int64()]
        assert table.select([0, 1]).to_pylist() == [
            {"loan": "1", "branch": None},
            {"loan": "3", "branch": None},
            {"loan": "four", "branch": 7},
            {"loan": "5", "branch": 8},
        ]
        with (tmp_path / "out.csv").open(newline="") as file:
            lines = list(csv.reader(file))
        assert [line[:2] for line in lines[1:]] == [["1", ""], ["3", ""], ["four", "7"], ["5", "8"]]
        bad = pq.read_table(tmp_path / "out.parquet.quarantine.parquet")
        assert bad.select(["row", "loan", "branch"]).to_pylist() == [
            {"row": 2, "loan": 2, "branch": None},
            {"row": 6, "loan": 6, "branch": "x"},
        ]
        assert not list(tmp_path.glob(".*.runs"))


def test_lists_have_one_type_though_a_part_has_only_empty_ones(tmp_path: Path) -> None:
    def scorer(rows: pd.DataFrame) -> pd.DataFrame:
        lists = {20: [], 30: None, 40: [1.5, 2.0]}
        return pd.DataFrame({"items": [lists[i] for i in rows["income"]], "error": None}, index=rows.index)

    made = bundle(tmp_path, function=scorer, outputs=(Output(name="items", type="list"),))
    source = loans(tmp_path / "loans.csv", [20, 30, 40])
    score(made, source, tmp_path / "out", chunk_rows=1)
    assert {pq.read_schema(part).field("items").type.value_type for part in (tmp_path / "out").glob("part-*")} == {
        pa.float64()
    }
    assert rows_of(tmp_path / "out")["items"].to_pylist() == [[], None, [1.5, 2.0]]


def test_an_entity_with_a_bad_row_is_set_aside_whole_and_never_cut(tmp_path: Path) -> None:
    sizes = []

    def scorer(rows: pd.DataFrame) -> pd.DataFrame:
        sizes.append(len(rows))
        return by_income(rows)

    source = tmp_path / "cycles.csv"
    source.write_text("machine,income\na,20\nb,30\na,abc\nc,13\nb,31\nc,32\nd,40\n")
    made = bundle(tmp_path, {"entity": "machine"}, function=scorer)
    manifest = score(made, source, tmp_path / "out", chunk_rows=2, max_bad=0.9)
    assert sizes == [5]
    scored = rows_of(tmp_path / "out").to_pandas()
    assert scored[["machine", "points"]].values.tolist() == [["b", 30], ["b", 31], ["d", 40]]
    bad = rows_of(tmp_path / "out" / "quarantine").to_pandas()
    assert bad["row"].tolist() == [1, 3, 4, 6]
    assert bad["reasons"].tolist() == [
        "another row of machine 'a' is bad: row 3",
        "income: 'abc' is not a number",
        "the scorer can't take 13",
        "another row of machine 'c' is bad: row 4",
    ]
    assert manifest["reasons"]["another row of machine … is bad: row …"] == 2


def test_notes_are_added_up_over_the_parts(tmp_path: Path) -> None:
    source = loans(tmp_path / "loans.csv", [20, 200_000, 300_000, 30, 0.5])
    manifest = score(bundle(tmp_path), source, tmp_path / "out", chunk_rows=2)
    assert manifest["notes"] == {"income: outside the training range": 3}
    assert manifest["rows_scored"] == 5


# What is refused


def test_an_output_with_the_name_of_a_carried_column_is_refused(tmp_path: Path) -> None:
    source = loans(tmp_path / "loans.csv", [20])
    for name in ("branch", "loan"):
        made = bundle(tmp_path, outputs=(*OUTPUTS, Output(name=name, type="string")))
        with pytest.raises(Refused, match=f"'{name}' would be passed through"):
            score(made, source, tmp_path / "out")
    assert names(tmp_path) == ["loans.csv"]


def test_the_users_columns_may_be_called_as_the_quarantines_own(tmp_path: Path) -> None:
    source = loans(tmp_path / "loans.csv", [20, "abc"])
    source.write_text(source.read_text().replace("loan,branch", "row,reasons"))
    training = pd.DataFrame({"row": ["x"], "reasons": ["y"], "income": ["1"]})
    inputs = (Column(name="income", kind="number"),)
    schema = Schema.declare(
        Columns(inputs=inputs, outputs=OUTPUTS),
        {"id": "row", "passthrough": ["reasons"]},
        list(training),
        table="training",
    )
    schema = schema.learn(schema.rename(training, table_name="training", targets=True))
    score(Fake(tmp_path, schema), source, tmp_path / "out", max_bad=0.5)
    assert rows_of(tmp_path / "out").select(["row", "reasons"]).to_pylist() == [{"row": "L0000", "reasons": "00"}]
    assert rows_of(tmp_path / "out" / "quarantine").to_pylist() == [
        {
            "row": 2,
            "reasons": "income: 'abc' is not a number",
            "column row": "L0001",
            "column reasons": "01",
            "income": "abc",
        }
    ]


def test_a_missing_column_or_source_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    source = loans(tmp_path / "loans.csv", [20])
    source.write_text(source.read_text().replace("income", "incme"))
    with pytest.raises(Refused, match=r"loans.csv has no column 'income'.*Did you mean 'incme'"):
        score(bundle(tmp_path), source, tmp_path / "out")
    with pytest.raises(Refused, match="nowhere"):
        score(bundle(tmp_path), tmp_path / "nowhere.csv", tmp_path / "out")
    assert names(tmp_path) == ["loans.csv"]


@pytest.mark.parametrize("change", [{"chunk_rows": 0}, {"max_bad": 1.5}, {"max_bad": float("nan")}, {"keep": 0}])
def test_arguments_out_of_range_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="expected"):
        score(bundle(tmp_path), loans(tmp_path / "loans.csv", [20]), tmp_path / "out", **change)


def test_the_users_own_files_and_folders_are_never_replaced(tmp_path: Path) -> None:
    source = loans(tmp_path / "loans.csv", [20])
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "file.csv").write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("elsewhere")
    before = names(tmp_path)
    for name in ("folder", "file", "file.csv", "link"):
        with pytest.raises(Refused, match="no output of solvent score"):
            score(bundle(tmp_path), source, tmp_path / name)
    with pytest.raises(Refused, match="never overwritten"):
        score(bundle(tmp_path), source, source)
    assert names(tmp_path) == before
    assert (tmp_path / "file.csv").read_text() == "mine"


def test_an_output_file_that_was_changed_since_is_not_replaced(tmp_path: Path) -> None:
    source = loans(tmp_path / "loans.csv", [20])
    score(bundle(tmp_path), source, tmp_path / "out.csv")
    score(bundle(tmp_path), source, tmp_path / "out.csv")
    (tmp_path / "out.csv").write_text("with remarks of the branch")
    with pytest.raises(Refused, match="was changed since"):
        score(bundle(tmp_path), source, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "with remarks of the branch"


@pytest.mark.parametrize("output", ["out", "out.csv"])
def test_too_many_bad_rows_publish_nothing_and_say_where_they_are(tmp_path: Path, output: str) -> None:
    made = bundle(tmp_path)
    score(made, loans(tmp_path / "first.csv", [20, 30]), tmp_path / output)
    before = (tmp_path / output).resolve()
    content = data_files(before) if before.is_dir() else before.read_bytes()
    bad = loans(tmp_path / "second.csv", [20, "abc", 30, "def"], start=10)
    for _ in range(2):
        with pytest.raises(TooManyBadRows) as refusal:
            score(made, bad, tmp_path / output, max_bad=0.49)
    assert refusal.value.exit_code == 4
    message = str(refusal.value)
    assert "2 of second.csv's 4 rows" in message and "income: … is not a number (2)" in message
    folder = Path(message.split("The rows and why: ")[1].splitlines()[0])
    assert rows_of(folder)["row"].to_pylist() == [2, 4]
    assert (tmp_path / output).resolve() == before
    assert (data_files(before) if before.is_dir() else before.read_bytes()) == content
    calls: list[int] = []
    unused = replace(made, function=lambda rows: calls.append(len(rows)))
    assert score(unused, bad, tmp_path / output, max_bad=0.5)["rows_scored"] == 2  # what was scored is still there
    assert calls == []


def test_the_share_that_is_allowed_may_be_reached(tmp_path: Path) -> None:
    source = loans(tmp_path / "loans.csv", [*["abc"] * 29, *range(20, 91)])
    assert score(bundle(tmp_path), source, tmp_path / "out", max_bad=0.29)["rows_set_aside"] == 29
    with pytest.raises(TooManyBadRows):
        score(bundle(tmp_path), source, tmp_path / "other", max_bad=0.28)


# Again and again


@pytest.mark.parametrize("name", EVERYWHERE)
def test_the_same_run_gives_the_same_bytes(tmp_path: Path, name: str) -> None:
    source = loans(tmp_path / "loans.csv", [*range(20, 40), "abc"])
    found = []
    for place in ("first", "second"):
        manifest = score(bundle(tmp_path), source, tmp_path / place / name, chunk_rows=6, max_bad=0.1)
        found.append((content_of(tmp_path / place, name), manifest["identity"], manifest["parts"]))
    assert found[0] == found[1]
    assert len(found[0][0]) == (7 if name == "out" else 3)


@pytest.mark.parametrize("name", EVERYWHERE)
def test_what_is_published_already_is_left_as_it_is(tmp_path: Path, name: str) -> None:
    calls = []

    def scorer(rows: pd.DataFrame) -> pd.DataFrame:
        calls.append(len(rows))
        return by_income(rows)

    made, source = bundle(tmp_path, function=scorer), loans(tmp_path / "loans.csv", [20, 30])
    first = score(made, source, tmp_path / name)
    place = (tmp_path / name).resolve()
    assert score(made, source, tmp_path / name) == first
    assert (tmp_path / name).resolve() == place and calls == [2]
    if name != "out":
        (tmp_path / name).unlink()
        score(made, source, tmp_path / name)
        assert (tmp_path / name).exists() and calls == [2, 2]


@pytest.mark.parametrize("slow", ["reading", "scoring", "writing"])
@pytest.mark.parametrize("name", ["out", "out.parquet", "out.csv"])
def test_no_byte_depends_on_what_is_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, slow: str) -> None:
    def slowly(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments: (time.sleep(0.01), function(*arguments))[1]

    source = loans(tmp_path / "loans.csv", [*range(20, 40), "abc"])
    score(bundle(tmp_path), source, tmp_path / "quick" / name, chunk_rows=2, max_bad=0.5)
    before = content_of(tmp_path / "quick", name)
    with monkeypatch.context() as patch:
        if slow == "reading":
            patch.setattr(parts, "_repeated", slowly(parts._repeated))
        if slow == "writing":
            patch.setattr(run, "write_part", slowly(run.write_part))
        scorer = slowly(by_income) if slow == "scoring" else by_income
        score(bundle(tmp_path, function=scorer), source, tmp_path / name, chunk_rows=2, max_bad=0.5)
    assert content_of(tmp_path, name) == before and len(before) >= 2


def test_a_scorer_may_use_its_arrays_again_while_the_last_part_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array, again = np.zeros(2), threading.Event()

    def scorer(rows: pd.DataFrame) -> pd.DataFrame:
        array[:] = rows["income"]
        again.set()
        return pd.DataFrame({"probability": pd.Series(array, rows.index, copy=False)}, copy=False)

    write = run.write_part

    def late(folder: Path, number: int, part: parts.Scored) -> writer.PartFiles:
        again.clear()
        again.wait(0.2)
        return write(folder, number, part)

    outputs = (Output(name="probability", type="float"),)
    monkeypatch.setattr(run, "write_part", late)
    made = bundle(tmp_path, function=checked_score(scorer, scorer, outputs), outputs=outputs)
    score(made, loans(tmp_path / "loans.csv", [20, 30, 40, 50, 60, 70]), tmp_path / "out.parquet", chunk_rows=2)
    assert pq.read_table(tmp_path / "out.parquet")["probability"].to_pylist() == [20, 30, 40, 50, 60, 70]


def test_another_source_bundle_or_side_table_is_another_run(tmp_path: Path) -> None:
    made, source = bundle(tmp_path), loans(tmp_path / "loans.csv", [20])
    items = pd.DataFrame({"item": ["a", "b"], "price": [1.0, 2.0]})
    runs = [
        score(made, source, tmp_path / "out"),
        score(replace(made, sha256="6" * 64), source, tmp_path / "out"),
        score(made, source, tmp_path / "out", side={"items": items}),
        score(made, source, tmp_path / "out", side={"items": items.assign(price=[1.0, 3.0])}),
        score(made, loans(tmp_path / "loans.csv", [21]), tmp_path / "out"),
    ]
    assert len({run["identity"] for run in runs}) == 5


def test_a_folder_output_is_a_relative_link_and_old_runs_are_removed(tmp_path: Path) -> None:
    made = bundle(tmp_path)
    for income in range(20, 26):
        source = loans(tmp_path / "loans.csv", [income])
        manifest = score(made, source, tmp_path / "deep" / "out", keep=2)
    assert (tmp_path / "deep" / "out").readlink() == Path(".out.runs", manifest["identity"])
    assert len(names(tmp_path / "deep" / ".out.runs")) == 2
    assert names(tmp_path / "deep") == [".out.runs", "out"]
    (tmp_path / "deep").rename(tmp_path / "moved")
    assert rows_of(tmp_path / "moved" / "out")["points"].to_pylist() == [25]


def test_a_reader_in_the_old_run_is_not_disturbed(tmp_path: Path) -> None:
    made = bundle(tmp_path)
    score(made, loans(tmp_path / "loans.csv", [20]), tmp_path / "out")
    reader = (tmp_path / "out").resolve()
    score(made, loans(tmp_path / "loans.csv", [30]), tmp_path / "out")
    assert (tmp_path / "out").resolve() != reader
    assert rows_of(reader)["points"].to_pylist() == [20]


def test_a_file_output_leaves_only_itself_its_manifest_and_its_quarantine(tmp_path: Path) -> None:
    made = bundle(tmp_path)
    manifest = score(made, loans(tmp_path / "loans.csv", [20, "abc"]), tmp_path / "out.csv", max_bad=0.5)
    beside = ["out.csv.drift.html", "out.csv.manifest.json", "out.csv.quarantine.parquet"]
    assert names(tmp_path) == ["loans.csv", "out.csv", *beside]
    assert json.loads((tmp_path / "out.csv.manifest.json").read_text()) == manifest
    for what, name in (("parts", "out.csv"), ("quarantine", "out.csv.quarantine.parquet")):
        assert manifest[what] == [{"name": name, "rows": 1, "sha256": writer.sha256(tmp_path / name)}]
    score(made, loans(tmp_path / "loans.csv", [20]), tmp_path / "out.csv")
    assert names(tmp_path) == ["loans.csv", "out.csv", *beside[:2]]


# What fails


class BrokenError(Exception):
    """Stands for whatever may go wrong."""


MOMENTS = [
    *((run, "write_part", name) for name in EVERYWHERE),
    *((ledger.Ledger, "add", name) for name in EVERYWHERE),
    *((finish, "write_json", name) for name in EVERYWHERE),
    *((publish, "sync_folder", name) for name in EVERYWHERE),
    *((publish.Destination, "_replace", name) for name in FILES),
    *((writer.Files, "join_into", name) for name in FILES),
    (writer.Files, "copy_to", "out"),
    (publish, "_free", "out"),
    (Path, "symlink_to", "out"),
]


@pytest.mark.parametrize(("owner", "what", "name"), MOMENTS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_failure_at_any_moment_leaves_the_old_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, what: str, name: str
) -> None:
    made, output = bundle(tmp_path), tmp_path / name
    score(made, loans(tmp_path / "loans.csv", [20, 30]), output)
    place = output.resolve()
    before = {path: path.read_bytes() for path in (*place.parent.glob(f"{name}*"), *place.rglob("*")) if path.is_file()}
    loans(tmp_path / "loans.csv", [20, 30, 40, "abc"])

    def breaks(*_: Any, **__: Any) -> Any:
        raise BrokenError

    threads = threading.active_count()
    with monkeypatch.context() as patch:
        patch.setattr(owner, what, breaks)
        with pytest.raises(BrokenError):
            score(made, tmp_path / "loans.csv", output, chunk_rows=1, max_bad=0.5)
    assert output.resolve() == place
    assert len(before) >= 2
    assert {path: path.read_bytes() for path in before} == before
    assert threading.active_count() == threads
    again = score(made, tmp_path / "loans.csv", output, chunk_rows=1, max_bad=0.5)  # nothing is in the way
    assert again["rows_scored"] == 3
    assert not list((tmp_path / f".{name}.runs").glob("*.work")) and not list(tmp_path.rglob("*.tmp"))


def test_a_run_that_is_killed_between_its_renames_is_ended_by_the_same_command(tmp_path: Path) -> None:
    made = bundle(tmp_path)
    score(made, loans(tmp_path / "loans.csv", [20]), tmp_path / "out.csv")
    source = loans(tmp_path / "loans.csv", [30])

    def killed(self: Path, target: Path) -> Path:
        if target == tmp_path / "out.csv.manifest.json":
            os._exit(7)
        return rename(self, target)

    rename = Path.replace
    child = os.fork()
    if not child:
        Path.replace = killed  # type: ignore[assignment,method-assign]
        score(made, source, tmp_path / "out.csv")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert (tmp_path / "out.csv").read_text().count(",30,") == 1  # whole, and the new one
    assert "out.csv" in names(tmp_path) and ".out.csv.runs" in names(tmp_path)
    score(made, source, tmp_path / "out.csv")
    assert names(tmp_path) == ["loans.csv", "out.csv", "out.csv.drift.html", "out.csv.manifest.json"]


def test_what_killed_runs_left_is_removed_once_another_one_is_published(tmp_path: Path) -> None:
    made, source = bundle(tmp_path), loans(tmp_path / "loans.csv", [20])
    dead = [tmp_path / ".out.runs" / name for name in ("0123456789abcdef.tmp", "0123456789abcdef.work")]
    for path in dead:
        path.mkdir(parents=True)
    score(made, source, tmp_path / "out")
    assert not any(path.exists() for path in dead)


def test_two_runs_on_one_output_are_refused_at_once_and_a_dead_one_holds_nothing(tmp_path: Path) -> None:
    made, source = bundle(tmp_path), loans(tmp_path / "loans.csv", [20])
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        with held(tmp_path / ".out.runs", "never"):
            os.write(writing, b"held")
            time.sleep(60)
        os._exit(0)
    os.read(reading, 4)
    with pytest.raises(Locked, match="Another run is scoring into") as refusal:
        score(made, source, tmp_path / "out")
    assert refusal.value.exit_code == 5
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert score(made, source, tmp_path / "out")["rows_scored"] == 1


@pytest.mark.parametrize(
    "function",
    [
        lambda rows: by_income(rows).iloc[:-1],
        lambda rows: by_income(rows).iloc[::-1],
        lambda rows: pd.concat([by_income(rows), by_income(rows)]),
        lambda rows: by_income(rows).reset_index(drop=True),
    ],
    ids=["lost", "reordered", "doubled", "renumbered"],
)
def test_a_scorer_that_loses_doubles_or_reorders_rows_publishes_nothing(
    tmp_path: Path, function: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    source = loans(tmp_path / "loans.csv", ["abc", 20, 30])
    with pytest.raises(SolventError, match="same index"):
        score(bundle(tmp_path, function=function), source, tmp_path / "out", max_bad=0.5)
    assert names(tmp_path) == ["loans.csv"]


@pytest.mark.parametrize("name", EVERYWHERE)
def test_a_row_that_is_lost_on_the_disk_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def loses(run: Any, *rest: Any) -> Any:
        path = run.work / "part-00001.parquet"
        pq.write_table(pq.read_table(path).slice(1), path)
        return ends(run, *rest)

    ends = run.finish
    source = loans(tmp_path / "loans.csv", [20, 30, 40, 50])
    with monkeypatch.context() as patch:
        patch.setattr(run, "finish", loses)
        with pytest.raises(SolventError, match=r"holds 1 rows, 2 were written"):
            score(bundle(tmp_path), source, tmp_path / name, chunk_rows=2)
    assert names(tmp_path) == [f".{name}.runs", "loans.csv"]
    assert score(bundle(tmp_path), source, tmp_path / name, chunk_rows=2)["rows_scored"] == 4  # that part again


@pytest.mark.parametrize("output", ["out.parquet", "out.csv"])
def test_a_row_that_is_lost_from_the_one_file_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    write = pq.ParquetWriter.write_table

    def loses(writer: pq.ParquetWriter, table: pa.Table) -> None:
        write(writer, table.slice(1) if table.num_rows == 2 and "probability" in table.column_names else table)

    monkeypatch.setattr(pq.ParquetWriter, "write_table", loses)
    with pytest.raises(SolventError, match=r"holds 1 rows, 2 were written"):
        score(bundle(tmp_path), loans(tmp_path / "loans.csv", [20, 30, 40, 50, 60]), tmp_path / output, chunk_rows=2)
    assert not (tmp_path / output).exists()


def test_a_source_that_changes_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    source = loans(tmp_path / "loans.csv", [20, 30])

    def scorer(rows: pd.DataFrame) -> pd.DataFrame:
        with source.open("a") as file:
            file.write("L9999,01,40\n")
        return by_income(rows)

    with pytest.raises(SolventError, match="was changed while it was read"):
        score(bundle(tmp_path, function=scorer), source, tmp_path / "out", chunk_rows=1)
    assert names(tmp_path) == [".out.runs", "loans.csv"]


def test_a_full_disk_is_a_failure_that_may_be_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(SolventError, match="No space left on device") as failure:
            score(bundle(tmp_path), loans(tmp_path / "loans.csv", [20]), tmp_path / "out")
    assert failure.value.exit_code == 1
    assert names(tmp_path) == ["loans.csv"]
