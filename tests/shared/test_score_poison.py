"""A row that kills whoever scores it is found and set aside; a process that was killed by hand is no such row."""

import faulthandler
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from solvent import SolventError
from solvent.score import poison, score
from solvent.score.parts import Layout, Part, score_part

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))

from made_loans import aborting, bundle, by_income, content_of, loans

INCOMES = [20, 30, 40, 13, 50, 60, "abc", 70]


def run(folder: Path, function: Callable[[pd.DataFrame], pd.DataFrame], **more: Any) -> dict[str, Any]:
    return score(
        bundle(folder, function=function), folder / "loans.csv", folder / "out", chunk_rows=3, max_bad=0.5, **more
    )


def dies(folder: Path, function: Callable[[pd.DataFrame], pd.DataFrame]) -> int:
    """Run in a child of the test; gives the signal that killed it, or 0."""
    child = os.fork()
    if not child:
        faulthandler.disable()
        try:
            run(folder, function)
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1] & 0x7F


def test_a_row_that_kills_is_set_aside_and_all_else_is_as_undisturbed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for folder in ("a", "b"):
        loans(tmp_path / folder / "loans.csv", INCOMES)
    run(tmp_path / "a", by_income)  # the same row is set aside for another reason
    for _ in range(2):
        assert dies(tmp_path / "b", aborting) == signal.SIGABRT
    with caplog.at_level(logging.WARNING, "solvent"):
        manifest = run(tmp_path / "b", aborting)
    assert "1 rows kill the process and are set aside: 4" in caplog.text
    assert (manifest["rows_read"], manifest["rows_scored"], manifest["rows_set_aside"]) == (8, 6, 2)
    assert manifest["reasons"]["scoring it kills the process (SIGABRT), alone and once more"] == 1
    expected, found = (content_of(tmp_path / folder, "out") for folder in "ab")
    scored = {name for name in expected if name.startswith("part-")}
    assert len(scored) == 3 and {name: found[name] for name in scored} == {name: expected[name] for name in scored}
    assert found["drift.html"] == expected["drift.html"]
    aside = [pq.read_table(tmp_path / folder / "out" / "quarantine").drop_columns("reasons") for folder in "ab"]
    assert aside[0].equals(aside[1]) and aside[0]["row"].to_pylist() == [4, 7]


def test_a_single_kill_sets_nothing_aside_and_starts_no_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loans(tmp_path / "loans.csv", INCOMES)
    monkeypatch.setattr(poison.Children, "score", lambda *_: pytest.fail("a child was asked"))

    def killed_by_hand(rows: pd.DataFrame) -> pd.DataFrame:
        if rows["income"].eq(50).any():
            os.kill(os.getpid(), signal.SIGKILL)
        return by_income(rows)

    assert dies(tmp_path, killed_by_hand) == signal.SIGKILL
    assert run(tmp_path, by_income)["rows_set_aside"] == 2


def test_a_part_that_was_killed_by_hand_again_and_again_loses_no_row(tmp_path: Path) -> None:
    loans(tmp_path / "loans.csv", INCOMES)

    def killed_by_hand(rows: pd.DataFrame) -> pd.DataFrame:
        os.kill(os.getpid(), signal.SIGKILL)
        return by_income(rows)

    for _ in range(2):
        assert dies(tmp_path, killed_by_hand) == signal.SIGKILL
    manifest = run(tmp_path, by_income)
    assert manifest["rows_set_aside"] == 2 and "the scorer can't take …" in manifest["reasons"]


def test_only_deaths_are_marked(tmp_path: Path) -> None:
    """What ends in an orderly way takes its mark away; another part begins its count anew."""
    for _ in range(3):
        with pytest.raises(SolventError, match="x"), poison.marked(tmp_path) as mark:
            assert mark.begin(4) == 0
            raise SolventError("x")
    left = []
    for part in (4, 4, 5, 5, 5):
        handle = os.open(tmp_path / "scoring", os.O_RDWR | os.O_CREAT)
        left.append(poison.Mark(handle).begin(part))
        os.close(handle)
    assert left == [0, 1, 0, 1, 2]
    handle = os.open(tmp_path / "scoring", os.O_RDWR | os.O_CREAT)
    poison.Mark(handle).begin(6, beside=[4, 7])  # where several are under way, each may have been the one
    died = poison.Mark(handle)
    assert [died.begin(part) for part in (4, 5, 6, 7, 8)] == [3, 3, 1, 1, 0]
    os.close(handle)
    (tmp_path / "scoring").write_text("  torn")
    with poison.marked(tmp_path) as mark:
        assert mark.begin(5) == 0
    assert not (tmp_path / "scoring").exists()


def test_a_row_that_repeats_the_id_of_one_that_kills_is_bad_as_ever() -> None:
    """So that no healthy row's fate hangs on another's death, wherever the two stand."""
    raw = pd.DataFrame({"loan": ["L1", "L2", "L2", "L3", "L3"], "branch": "01", "income": [20, 30, 40, 50, 60]})
    made = bundle(Path())
    layout = Layout.of(made.schema, made.outputs, raw)

    def fate(deadly: dict[Any, str]) -> tuple[list[str], list[int]]:
        part = Part(raw, deadly=deadly)
        found = score_part(part, made.schema, by_income, layout, label="loans", folder=Path())
        return found.scored["loan"].to_pylist(), found.set_aside["row"].to_pylist()

    assert fate({}) == (["L1", "L2", "L3"], [3, 5])
    assert fate({1: "kills"}) == (["L1", "L3"], [2, 3, 5])
    assert fate({4: "kills"}) == (["L1", "L2", "L3"], [3, 5])


class Pretended:
    """Children that die of some rows, without a process."""

    def __init__(self, kills: Callable[[list[int]], bool]) -> None:
        self.kills, self.asked = kills, 0

    def score(self, part: Part) -> str | None:
        self.asked += 1
        return "SIGKILL" if self.kills(part.raw.index.tolist()) else None


def look(
    rows: int, kills: Callable[[list[int]], bool], machines: Sequence[Any] = "", before: pd.DataFrame | None = None
) -> tuple[list[Any], int]:
    raw = pd.DataFrame({"loan": range(rows), "income": 20, **({"machine": list(machines)} if machines else {})})
    children = Pretended(kills)
    columns = {"entity": "machine"} if machines else {"id": "loan"}
    schema = bundle(Path(), columns).schema
    with tempfile.TemporaryDirectory() as folder:
        asked = poison.Asked(Path(folder), "part 0")
        found = poison.deadly(Part(raw), schema, children, lambda: None, asked, before)  # type: ignore[arg-type]
    return sorted(found), children.asked


def test_bisection_finds_each_row_that_kills_and_asks_few_children() -> None:
    assert look(1000, lambda rows: bool({17, 500, 999} & set(rows)))[0] == [17, 500, 999]
    found, asked = look(4096, lambda rows: 1234 in rows)
    assert found == [1234] and asked <= 2 * 12 + 3
    assert look(1000, lambda rows: False) == ([], 1)


def test_an_entity_is_never_cut() -> None:
    assert look(6, lambda rows: 3 in rows, "aabbcc")[0] == [2, 3]
    assert look(6, lambda rows: 3 in rows, [1, 1, 2, "2.0", "2", None])[0] == [2, 3, 4, 5]  # one, however it is spelled


def test_rows_that_kill_only_together_and_a_scorer_that_always_dies_are_no_rows_to_set_aside() -> None:
    with pytest.raises(SolventError, match=r"none of them does alone: is the memory too small\? .*chunk_rows"):
        look(100, lambda rows: len(rows) > 60)
    with pytest.raises(SolventError, match="More than 20 rows kill"):
        look(100, lambda rows: True)
    for rows in (2, 12, 20):
        with pytest.raises(SolventError, match=f"All of {rows} rows kill whoever scores them: that is not the rows"):
            look(rows, lambda rows: True)
    once = iter([True] * 7)  # of 64, 32, 16, 8, 4, 2 rows and then of the one: asked once more, it survives
    assert look(64, lambda rows: 5 in rows and next(once, False))[0] == []


def test_a_single_row_of_a_part_is_set_aside_only_if_others_are_survived() -> None:
    before = pd.DataFrame({"loan": range(90, 93), "income": 20}, index=range(90, 93))
    assert look(1, lambda rows: rows != [91], before=before[1:2])[0] == [0]
    assert look(1, lambda rows: rows != [91], before=before)[0] == [0]  # a row of these may be a deadly one itself
    assert look(1, lambda rows: rows == [0])[0] == [0]  # nothing before it: the scorer lives through no row
    for others in (before, None):
        with pytest.raises(SolventError, match="All of 1 row kill whoever scores them: that is not the rows"):
            look(1, lambda rows: True, before=others)


class Gone(BaseException):
    """The whole process, as the test sees it: nothing below tidies up."""


def test_bisection_goes_on_where_a_child_takes_its_parent_with_it(tmp_path: Path) -> None:
    """As where memory runs out in a cgroup that is killed as a whole: each process asks on behind the ones before."""
    raw = pd.DataFrame({"loan": range(64), "income": 20})
    seen: list[list[int]] = []

    def kills(rows: list[int]) -> bool:
        seen.append(rows)
        if 5 in rows:
            raise Gone
        return False

    def start(about: str = "part 3") -> dict[Any, str]:
        asked = poison.Asked(tmp_path, about)
        children: Any = Pretended(kills)
        return poison.deadly(Part(raw), bundle(Path()).schema, children, lambda: None, asked)

    for _ in range(8):  # 64, 32, 16, 8, 4, 2 rows, and the one twice
        with pytest.raises(Gone):
            start()
    assert start() == {5: "scoring it kills the process (with its parent), alone and once more"}
    assert seen.count([5]) == 2 and len([rows for rows in seen if 5 in rows]) == 8
    assert len({tuple(rows) for rows in seen}) == len(seen) - 1  # nothing else was asked twice
    assert not (tmp_path / "asked").exists()  # who dies at the part from here on has it asked anew
    with pytest.raises(Gone):
        start()
    with pytest.raises(Gone):
        start("part 3 of other rows")
    assert seen[-1] == seen[-2] == list(range(64))
    with pytest.raises(SolventError, match="x"), poison.marked(tmp_path):
        raise SolventError("x")  # an orderly end
    assert not (tmp_path / "asked").exists()
