"""A run that is killed, fails or is told to end goes on where it was, and leaves what an undisturbed one leaves."""

import json
import logging
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from solvent import Column, Columns, Refused, SolventError
from solvent.drift import Alarms
from solvent.schema import Schema, without_cells
from solvent.score import score, stop
from solvent.score.ledger import LEDGER, Entry, Ledger

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))

from made_loans import OUTPUTS, bundle, by_income, content_of, loans

INCOMES = [20, 30, "abc", 40, 50, 13, 60]
NAMES = ("out", "out.csv", "out.jsonl", "out.parquet")
CHANGES = {"os.rename", "os.link", "os.symlink", "os.truncate", "os.remove", "os.rmdir", "os.mkdir"}


def in_parts(
    tmp_path: Path, name: str, function: Callable[[pd.DataFrame], pd.DataFrame] = by_income, **more: Any
) -> Any:
    made = bundle(tmp_path, function=function)
    return score(made, tmp_path / "loans.csv", tmp_path / name, chunk_rows=2, max_bad=0.5, **more)


def clear(tmp_path: Path, name: str) -> None:
    for path in tmp_path.glob(f"*{name}*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def undisturbed(tmp_path: Path, name: str) -> dict[str, bytes]:
    in_parts(tmp_path, name)
    found = content_of(tmp_path, name)
    assert len(found) >= 3
    clear(tmp_path, name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["loans.csv"]
    return found


def killed_at(event: int, work: Callable[[], Any]) -> bool:
    """Run `work` in a child that is killed at its n-th change of the disk; says whether it came so far."""
    left = [event]

    def now(name: str, arguments: tuple[Any, ...]) -> bool:
        writes = name == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if not (name in CHANGES or writes):
            return False
        left[0] -= 1
        return left[0] < 0

    return killed_when(now, work)


def killed_when(now: Callable[[str, tuple[Any, ...]], bool], work: Callable[[], Any]) -> bool:
    """Run `work` in a child that is killed at the first audit event of which `now` is true; says whether it was."""
    child = os.fork()
    if child:
        return bool(os.waitpid(child, 0)[1])

    def hook(name: str, arguments: tuple[Any, ...]) -> None:
        if now(name, arguments):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    try:
        work()
    finally:
        os._exit(0)


@pytest.mark.parametrize(("name", "event"), [(name, first) for first, name in enumerate(NAMES)])
def test_a_run_that_is_killed_at_a_change_of_the_disk_ends_with_the_same_bytes(
    tmp_path: Path, name: str, event: int
) -> None:
    """Every fourth change for each output, another one for each; tests/benchmarks/kills.py draws more of them."""
    loans(tmp_path / "loans.csv", INCOMES)
    expected = undisturbed(tmp_path, name)
    while killed_at(event, lambda: in_parts(tmp_path, name)):
        assert in_parts(tmp_path, name)["rows_read"] == 7
        assert content_of(tmp_path, name) == expected, event
        assert not [path for path in tmp_path.rglob("*") if path.name.endswith((".tmp", ".work", ".link"))], event
        clear(tmp_path, name)
        event += 4
    assert event > 40


@pytest.mark.parametrize("name", NAMES)
def test_the_old_output_is_whole_whenever_a_run_is_killed(tmp_path: Path, name: str) -> None:
    source = loans(tmp_path / "loans.csv", INCOMES)
    new = undisturbed(tmp_path, name)[name if name != "out" else "part-00000.parquet"]
    event, seen = 0, set()
    while True:
        loans(source, [70, 80, 90])
        in_parts(tmp_path, name)
        data = tmp_path / name if name != "out" else tmp_path / "out" / "part-00000.parquet"
        old = data.read_bytes()
        loans(source, INCOMES)
        if not killed_at(event, lambda: in_parts(tmp_path, name)):
            break
        assert data.read_bytes() in (old, new), event
        seen.add(data.read_bytes() == new)
        event += 7
    assert seen == {True, False}


def test_finished_parts_are_not_scored_again(tmp_path: Path) -> None:
    loans(tmp_path / "loans.csv", INCOMES)
    expected = undisturbed(tmp_path, "out")
    calls: list[list[float]] = []

    def fails_once(rows: pd.DataFrame) -> pd.DataFrame:
        calls.append(rows["income"].tolist())
        if len(calls) == 3:
            raise OSError(5, "the disk is gone")
        return by_income(rows)

    with pytest.raises(SolventError, match=r"the disk is gone.*resume by the same command") as failure:
        in_parts(tmp_path, "out", fails_once)
    assert failure.value.exit_code == 1
    in_parts(tmp_path, "out", fails_once)
    assert calls == [[20, 30], [40], [50, 13], [50, 13], [60]]
    assert content_of(tmp_path, "out") == expected


def test_sigterm_ends_after_the_part_and_the_same_command_goes_on(tmp_path: Path) -> None:
    loans(tmp_path / "loans.csv", INCOMES)
    expected = undisturbed(tmp_path, "out.csv")
    calls: list[int] = []

    def told(rows: pd.DataFrame) -> pd.DataFrame:
        calls.append(len(rows))
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return by_income(rows)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SolventError, match=r"SIGTERM: ended after 2 parts.*resume by the same command") as failure:
        in_parts(tmp_path, "out.csv", told)
    assert failure.value.exit_code == 1 and stop.asked()
    assert signal.getsignal(signal.SIGTERM) == before
    in_parts(tmp_path, "out.csv", told)
    assert len(calls) == 4 and not stop.asked()
    assert content_of(tmp_path, "out.csv") == expected


def test_a_limit_of_time_lets_each_attempt_do_a_part(tmp_path: Path) -> None:
    loans(tmp_path / "loans.csv", INCOMES)
    attempts = 0
    while attempts < 10:
        attempts += 1
        try:
            in_parts(tmp_path, "out", max_minutes=0)
        except SolventError as failure:
            assert f"ended after {attempts} parts" in str(failure)
        else:
            break
    assert attempts == 4


@pytest.mark.parametrize("tail", [b'{"rows": 2, "sco', b"\0\0\0\0", b'{"rows": 2}\n', b"\xff\n"])
def test_a_torn_line_of_the_ledger_is_cut_off(tmp_path: Path, tail: bytes) -> None:
    entry = Entry(
        rows=1, scored=1, set_aside=0, files={}, without_cells={}, digest=None, reasons={}, notes={"é": 1}, drift={}
    )
    written = Ledger(tmp_path, {"bundle": "b"})
    written.add(entry)
    whole = (tmp_path / LEDGER).read_bytes()
    with (tmp_path / LEDGER).open("ab") as file:
        file.write(tail)
    read = Ledger(tmp_path, {"bundle": "b"})
    assert read.entries == [entry] and read.token == written.token
    assert (tmp_path / LEDGER).read_bytes() == whole
    read.add(entry)
    assert len(Ledger(tmp_path, {"bundle": "b"}).entries) == 2


def test_a_last_line_without_its_end_does_not_count(tmp_path: Path) -> None:
    written = Ledger(tmp_path, {})
    entry = Entry(
        rows=0, scored=0, set_aside=0, files={}, without_cells={}, digest=None, reasons={}, notes={}, drift=None
    )
    written.add(entry)
    written.add(entry)
    os.truncate(tmp_path / LEDGER, (tmp_path / LEDGER).stat().st_size - 1)
    assert len(Ledger(tmp_path, {}).entries) == 1


@pytest.mark.parametrize("damage", ["changed", "lost"])
def test_a_part_that_was_damaged_meanwhile_is_scored_again(tmp_path: Path, damage: str) -> None:
    loans(tmp_path / "loans.csv", INCOMES)
    expected = undisturbed(tmp_path, "out")
    with pytest.raises(SolventError):
        in_parts(tmp_path, "out", fails_at(4))
    (work,) = (tmp_path / ".out.runs").glob("*.work")
    part = work / "part-00001.parquet"
    part.unlink() if damage == "lost" else part.write_bytes(part.read_bytes()[:-1] + b"x")
    calls: list[int] = []

    def counts(rows: pd.DataFrame) -> pd.DataFrame:
        calls.append(len(rows))
        return by_income(rows)

    in_parts(tmp_path, "out", counts)
    assert calls == [1, 2, 1]
    assert content_of(tmp_path, "out") == expected


def fails_at(call: int) -> Callable[[pd.DataFrame], pd.DataFrame]:
    calls: list[int] = []

    def function(rows: pd.DataFrame) -> pd.DataFrame:
        calls.append(1)
        if len(calls) == call:
            raise OSError(28, "No space left on device")
        return by_income(rows)

    return function


def test_another_bundle_begins_anew_and_says_why(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = loans(tmp_path / "loans.csv", INCOMES)
    with pytest.raises(SolventError):
        in_parts(tmp_path, "out", fails_at(3))
    other = replace(bundle(tmp_path), sha256="6" * 64)
    with caplog.at_level(logging.WARNING, "solvent"):
        manifest = score(other, source, tmp_path / "out", chunk_rows=2, max_bad=0.5)
    assert "begins anew" in caplog.text and "since these differ: the bundle." in caplog.text
    assert manifest["rows_per_second"] is not None and manifest["rows_read"] == 7
    assert not list((tmp_path / ".out.runs").glob("*.work"))


def test_a_bundle_that_is_swapped_while_it_scores_publishes_nothing(tmp_path: Path) -> None:
    class Swapped(type(bundle(tmp_path))):  # type: ignore[misc]
        def has_changed(self) -> bool:
            return True

    made = bundle(tmp_path)
    swapped = Swapped(made.path, made.schema)
    with pytest.raises(SolventError, match="was changed while it scored"):
        score(swapped, loans(tmp_path / "loans.csv", [20]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def table(path: Path, incomes: list[Any]) -> dict[str, str]:
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE IF EXISTS loans")
        connection.execute("CREATE TABLE loans (loan TEXT, branch TEXT, income REAL)")
        rows = [(f"L{i:04d}", f"{i % 3:02d}", income) for i, income in enumerate(incomes)]
        connection.executemany("INSERT INTO loans VALUES (?, ?, ?)", rows)
    return {"sql": f"sqlite:///{path}", "query": "SELECT * FROM loans ORDER BY loan"}


def points(tmp_path: Path) -> list[int]:
    parts = sorted((tmp_path / "out").glob("part-*"))
    return [cell for path in parts for cell in pq.read_table(path)["points"].to_pylist()]


def test_a_query_whose_rows_have_changed_is_scored_anew_from_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    query = table(tmp_path / "shop.db", [20, 30, 40, 50, 60, 70, 80])
    made = bundle(tmp_path, function=fails_at(4))
    with pytest.raises(SolventError):
        score(made, query, tmp_path / "out", chunk_rows=2)
    table(tmp_path / "shop.db", [20, 30, 40, 55, 60, 70])
    calls: list[list[float]] = []

    def counts(rows: pd.DataFrame) -> pd.DataFrame:
        calls.append(rows["income"].tolist())
        return by_income(rows)

    with caplog.at_level(logging.WARNING, "solvent"):
        score(replace(made, function=counts), query, tmp_path / "out", chunk_rows=2)
    assert calls == [[40, 55], [60, 70]]
    assert "has changed since: part 1 and those behind it are scored anew" in caplog.text
    assert points(tmp_path) == [20, 30, 40, 55, 60, 70]


def test_a_query_that_is_published_is_scored_again(tmp_path: Path) -> None:
    query = table(tmp_path / "shop.db", [20, 30])
    score(bundle(tmp_path), query, tmp_path / "out")
    table(tmp_path / "shop.db", [20, 31])
    score(bundle(tmp_path), query, tmp_path / "out")
    assert points(tmp_path) == [20, 31]


# Which rows are one part


def machines(path: Path, entities: str) -> Path:
    rows = [f"{machine},{20 + i}" for i, machine in enumerate(entities)]
    path.write_text("\n".join(["machine,income", *rows]) + "\n")
    return path


def parts_of(tmp_path: Path, source: Path) -> list[str]:
    made = bundle(tmp_path, {"entity": "machine"})
    manifest = score(made, source, tmp_path / "out", chunk_rows=2)
    parts = [pq.read_table(tmp_path / "out" / each["name"])["machine"].to_pylist() for each in manifest["parts"]]
    return ["".join(part) for part in parts]


def test_a_part_ends_where_its_last_entity_does(tmp_path: Path) -> None:
    assert parts_of(tmp_path, machines(tmp_path / "m.csv", "aaabbcddddddef")) == ["aaa", "bb", "cdddddde", "f"]


def test_rows_whose_entities_do_not_lie_together_are_one_part(tmp_path: Path) -> None:
    assert parts_of(tmp_path, machines(tmp_path / "m.csv", "aabbccaad")) == ["aabbccaad"]


def test_too_many_of_them_are_refused_with_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("solvent.score.parts.MOST_UNGROUPED", 8)
    assert parts_of(tmp_path, machines(tmp_path / "m.csv", "aabbccda")) == ["aabbccda"]
    with pytest.raises(Refused, match=r"The rows of one machine don't follow each other .* ORDER BY machine"):
        parts_of(tmp_path, machines(tmp_path / "m.csv", "aabbccdda"))


@pytest.mark.parametrize("chunk_rows", [1, 2, 100])
def test_a_solution_that_joins_gives_each_entity_one_row_and_counts_the_others(tmp_path: Path, chunk_rows: int) -> None:
    source = machines(tmp_path / "m.csv", "aaabbcddd")
    source.write_text(source.read_text().replace("b,24", "b,unknown"))
    made = bundle(tmp_path, {"entity": "machine"}, joins=True)
    manifest = score(made, source, tmp_path / "out.parquet", chunk_rows=chunk_rows, max_bad=0.5)
    assert pq.read_table(tmp_path / "out.parquet").select(["machine", "points"]).to_pylist() == [
        {"machine": "a", "points": 20},
        {"machine": "c", "points": 25},
        {"machine": "d", "points": 26},
    ]
    counted = {name: manifest[f"rows_{name}"] for name in ("read", "scored", "set_aside", "joined")}
    assert counted == {"read": 9, "scored": 3, "set_aside": 2, "joined": 4}


# What a job adds


def test_further_ids_and_columns_are_carried_over_and_ids_checked(tmp_path: Path) -> None:
    rows = ["number,region,loan,branch,income", "7,EU,L1,01,20", "8,US,L2,01,30", "7,EU,L3,02,40", ",EU,L4,02,50"]
    (tmp_path / "loans.csv").write_text("\n".join(rows) + "\n")
    made = bundle(tmp_path)
    score(made, tmp_path / "loans.csv", tmp_path / "out", max_bad=0.5, ids=["number"], passthrough=["region"])
    found = pq.read_table(tmp_path / "out" / "part-00000.parquet").to_pandas()
    assert found[["loan", "number", "branch", "region"]].values.tolist() == [
        ["L1", "7", "01", "EU"],
        ["L2", "8", "01", "US"],
    ]
    aside = pq.read_table(tmp_path / "out" / "quarantine")["reasons"].to_pylist()
    assert aside == ["number: '7' is there already, further up", "number: is missing"]
    with pytest.raises(Refused, match="'income' can't be an id: the bundle reads it as feature"):
        score(made, tmp_path / "loans.csv", tmp_path / "out", ids=["income"])
    with pytest.raises(Refused, match="has no column 'nowhere'"):
        score(made, tmp_path / "loans.csv", tmp_path / "out", passthrough=["nowhere"])


def test_masked_cells_are_in_no_file_of_the_run(tmp_path: Path) -> None:
    source = loans(tmp_path / "loans.csv", [20, "secret-5551", 30])
    score(bundle(tmp_path), source, tmp_path / "out", max_bad=0.5, mask=["income", "branch"])
    (row,) = pq.read_table(tmp_path / "out" / "quarantine").to_pylist()
    assert row == {"row": 2, "reasons": "income: … is not a number", "loan": "L0001", "branch": "***", "income": "***"}


def test_reasons_of_other_columns_keep_their_cells(tmp_path: Path) -> None:
    reasons = r"""age: '?; income: 3' is not a number; income: 'a\'; b' is not a number; loan: 'L1' is there already"""
    assert without_cells(reasons, ["income"]) == (
        "age: … is not a number; income: … is not a number; loan: 'L1' is there already"
    )
    assert without_cells(reasons, ["loan"]).startswith("age: '?; income: 3' is not a number; income: 'a")
    assert without_cells(reasons, []) == reasons


def test_a_feature_may_be_passed_through_too(tmp_path: Path) -> None:
    score(bundle(tmp_path), loans(tmp_path / "loans.csv", [20]), tmp_path / "out.csv", passthrough=["income"])
    assert pd.read_csv(tmp_path / "out.csv")["income"].tolist() == [20]


def test_what_is_replaced_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made, source = bundle(tmp_path), loans(tmp_path / "loans.csv", [20])
    score(made, source, tmp_path / "out.csv")
    with caplog.at_level(logging.INFO, "solvent"):
        score(replace(made, sha256="6" * 64), source, tmp_path / "out.csv")
    assert "what is published will be replaced. Since then have changed: the bundle" in caplog.text


def test_masked_cells_are_nowhere(tmp_path: Path) -> None:
    source = loans(tmp_path / "loans.csv", [20, "secret-5551", 30])
    score(bundle(tmp_path), source, tmp_path / "out", max_bad=0.5, mask=["income", "branch"])
    files = [path for path in (tmp_path / "out").resolve().rglob("*") if path.is_file()]
    assert len(files) == 5 and not any(b"secret" in path.read_bytes() for path in files)


def test_fewer_rows_than_expected_publish_nothing(tmp_path: Path) -> None:
    source = loans(tmp_path / "loans.csv", [20, 30])
    with pytest.raises(SolventError, match="has 2 rows, at least 3 are expected") as failure:
        score(bundle(tmp_path), source, tmp_path / "out", min_rows=3)
    assert failure.value.exit_code == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["loans.csv"]
    assert score(bundle(tmp_path), source, tmp_path / "out", min_rows=2)["rows_scored"] == 2


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    incomes=some.lists(
        some.one_of(some.integers(-5, 60), some.sampled_from(["abc", "", "inf", "1e400", "13"])), max_size=30
    ),
    rows=some.integers(1, 12),
    doubled=some.sets(some.integers(0, 29), max_size=4),
)
def test_each_row_is_scored_or_set_aside_once_in_order_whatever_the_parts(
    tmp_path: Path, incomes: list[Any], rows: int, doubled: set[int]
) -> None:
    lines = [f"L{(0 if i in doubled else i):04d},b,{income}" for i, income in enumerate(incomes)]
    (tmp_path / "loans.csv").write_text("\n".join(["loan,branch,income", *lines]) + "\n")
    found = []
    for size in (rows, 1000):
        made = bundle(tmp_path)
        manifest = score(made, tmp_path / "loans.csv", tmp_path / f"out-{size}.parquet", chunk_rows=size, max_bad=1)
        scored = pq.read_table(tmp_path / f"out-{size}.parquet")
        path = tmp_path / f"out-{size}.parquet.quarantine.parquet"
        aside = pq.read_table(path).to_pylist() if path.exists() else []
        assert manifest["rows_read"] == len(incomes) == scored.num_rows + len(aside)
        bad = {row["row"] - 1 for row in aside}
        ids = [line.split(",")[0] for line in lines]
        assert scored["loan"].to_pylist() == [each for i, each in enumerate(ids) if i not in bad]
        found.append((scored.to_pylist(), aside, manifest["reasons"]))
    assert found[0] == found[1]


# What a review has found


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_a_run_that_is_killed_twice_while_it_publishes_still_ends(tmp_path: Path, name: str) -> None:
    source = loans(tmp_path / "loans.csv", INCOMES)
    expected = undisturbed(tmp_path, name)
    loans(source, [70, 80, 90])
    in_parts(tmp_path, name)
    loans(source, INCOMES)
    for target in (f"{name}.manifest.json", f"{name}.quarantine.parquet"):
        killed_before_rename_to(tmp_path / target, lambda: in_parts(tmp_path, name))
    in_parts(tmp_path, name)
    assert content_of(tmp_path, name) == expected


def killed_before_rename_to(target: Path, work: Callable[[], Any]) -> None:
    assert killed_when(lambda name, given: name == "os.rename" and os.fspath(given[1]) == os.fspath(target), work)


def test_the_name_of_a_folder_is_part_of_the_source(tmp_path: Path) -> None:
    (tmp_path / "in" / "branch=01").mkdir(parents=True)
    (tmp_path / "in" / "branch=01" / "a.csv").write_text("loan,income\nL1,20\n")
    first = score(bundle(tmp_path), tmp_path / "in", tmp_path / "out.csv")
    (tmp_path / "in" / "branch=01").rename(tmp_path / "in" / "branch=02")
    second = score(bundle(tmp_path), tmp_path / "in", tmp_path / "out.csv")
    assert second["identity"] != first["identity"]
    assert pd.read_csv(tmp_path / "out.csv", dtype=str)["branch"].tolist() == ["02"]
    (tmp_path / "in").rename(tmp_path / "elsewhere")
    assert score(bundle(tmp_path), tmp_path / "elsewhere", tmp_path / "new.csv")["identity"] == second["identity"]


@pytest.mark.parametrize("what", ["quarantine.parquet", "drift.html", "manifest.json"])
def test_the_users_own_files_beside_an_output_are_left_alone(tmp_path: Path, what: str) -> None:
    source = loans(tmp_path / "loans.csv", [20, 30])
    (tmp_path / f"out.csv.{what}").write_text("the user's own")
    with pytest.raises(Refused, match="is no output of solvent score"):
        score(bundle(tmp_path), source, tmp_path / "out.csv")
    assert (tmp_path / f"out.csv.{what}").read_text() == "the user's own"


def test_the_rows_set_aside_may_be_scored_again_but_not_into_the_same_output(tmp_path: Path) -> None:
    score(bundle(tmp_path), loans(tmp_path / "loans.csv", [20, "abc"]), tmp_path / "out.csv", max_bad=0.5)
    with pytest.raises(Refused, match=r"would replace .*quarantine\.parquet, which is read"):
        score(bundle(tmp_path), tmp_path / "out.csv.quarantine.parquet", tmp_path / "out.csv", max_bad=1)


def test_an_entity_that_comes_back_when_it_is_read_again_is_never_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("solvent.score.parts._lie_together", lambda *_: True)
    with pytest.raises(SolventError, match=r"The rows of one machine followed each other .* and do not now"):
        parts_of(tmp_path, machines(tmp_path / "m.csv", "aabbaccdd"))


def test_rows_without_an_entity_go_with_the_one_before(tmp_path: Path) -> None:
    source = machines(tmp_path / "m.csv", "aabcc")
    source.write_text(source.read_text().replace("b,", ",").replace("a,21", ",21"))
    made = bundle(tmp_path, {"entity": "machine"})
    manifest = score(made, source, tmp_path / "out", chunk_rows=1, max_bad=1)
    assert [each["rows"] for each in manifest["parts"]] == [1, 2]
    assert manifest["rows_set_aside"] == 2


def test_masked_categories_and_what_the_scorer_says_are_hidden(tmp_path: Path) -> None:
    def scorer(rows: pd.DataFrame) -> pd.DataFrame:
        scored = by_income(rows)
        scored.loc[rows["income"] == 30, "probability":"reviewed"] = None
        return scored.assign(error=scored["error"].mask(rows["income"] == 30, "what is S3CRET-City?"))

    source = tmp_path / "loans.csv"
    source.write_text("loan,branch,machine,income\nL1,01,S3CRET-City,20\nL2,02,S3CRET-City,30\n")
    solution = Columns(inputs=(Column(name="income", kind="number"),), outputs=OUTPUTS, features=("category",))
    training = pd.DataFrame({"loan": ["x"], "branch": ["01"], "machine": ["a"], "income": ["1"]})
    schema = Schema.declare(solution, {"id": "loan"}, list(training), table="training")
    schema = schema.learn(schema.rename(training, table_name="training", targets=True))
    made = replace(bundle(tmp_path, function=scorer), schema=schema)
    manifest = score(made, source, tmp_path / "out", max_bad=0.5, mask=["machine"])
    assert manifest["notes"]["machine: unseen category …"] == 2 and manifest["rows_set_aside"] == 1
    files = [path for path in (tmp_path / "out").resolve().rglob("*") if path.is_file()]
    assert not any(b"S3CRET" in path.read_bytes() for path in files)
    with pytest.raises(Refused, match=r"loans.csv has no column 'machin' to mask. Did you mean 'machine'"):
        score(made, source, tmp_path / "out", mask=["machin"])


def test_a_cell_that_the_output_can_not_hold_sets_its_row_aside(tmp_path: Path) -> None:
    frame = pd.DataFrame({"loan": ["a", "b"], "branch": [1.5, float("inf")], "income": [20, 30]})
    frame.to_parquet(tmp_path / "loans.parquet")
    manifest = score(bundle(tmp_path), tmp_path / "loans.parquet", tmp_path / "out.jsonl", max_bad=0.5)
    assert manifest["rows_set_aside"] == 1
    assert next(iter(manifest["reasons"])).startswith("branch: holds what the output can't: infinity in JSON")


def test_alarms_that_are_asked_for_later_are_judged_without_scoring_again(tmp_path: Path) -> None:
    source = loans(tmp_path / "loans.csv", list(range(20, 420)))
    made = bundle(tmp_path)
    made = replace(made, reference={**made.reference, "rows": 5000, "output_rows": 5000})
    assert score(made, source, tmp_path / "out.csv")["drift"]["alarms"] == []
    unused = replace(made, function=lambda rows: pytest.fail("scored again"))
    judged = score(unused, source, tmp_path / "out.csv", alarms=Alarms())
    assert judged["drift"]["alarms"]
    assert json.loads((tmp_path / "out.csv.manifest.json").read_text()) == judged
    assert "income" in (tmp_path / "out.csv.drift.html").read_text()
    score(made, loans(source, [20, 30]), tmp_path / "out.csv")  # what was written anew is still known as ours


def test_an_alarm_that_no_column_can_raise_is_refused_before_a_row_is_scored(tmp_path: Path) -> None:
    made = bundle(tmp_path, function=lambda rows: pytest.fail("scored"))
    with pytest.raises(Refused, match="incom"):
        score(made, loans(tmp_path / "loans.csv", [20]), tmp_path / "out", alarms=Alarms(ignore=("incom",)))


def test_a_file_that_is_added_while_a_folder_is_read_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    loans(tmp_path / "in" / "a.csv", [20, 30])

    def adds(rows: pd.DataFrame) -> pd.DataFrame:
        loans(tmp_path / "in" / "b.csv", [40], start=10)
        return by_income(rows)

    with pytest.raises(SolventError, match="was changed while it was read"):
        score(bundle(tmp_path, function=adds), tmp_path / "in", tmp_path / "out")
