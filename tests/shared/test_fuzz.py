"""A small share of tests/benchmarks/fuzz.py, always the same: hostile inputs of every kind, scored."""

import signal
import sys
from functools import cache
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))

import hostile

from solvent import record

SECONDS = 60
SHARES = {"absurd sizes": [], "zip bombs": [], "image bombs": [0, 11], "job files": range(10), "odd places": range(12)}


@pytest.fixture(autouse=True)
def versions_looked_up_once(monkeypatch):
    monkeypatch.setattr(record, "versions", cache(record.versions))


@pytest.fixture(autouse=True)
def in_time():
    """A hang fails its own test; the alarm doesn't reach into a call of C, and those end."""

    def over(*_: object) -> None:
        raise TimeoutError(f"no end after {SECONDS} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("kind", hostile.KINDS)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
def test_hostile_inputs_are_scored_or_refused_and_no_row_is_wrong(kind, tmp_path):
    for number in SHARES.get(kind, range(3)):
        folder = tmp_path / str(number)
        folder.mkdir()
        found = hostile.run(kind, number, folder)
        assert (found.end != "traceback", found.wrong, found.outside) == (True, None, []), found
        assert found.end == "published" or found.said


def test_a_file_written_elsewhere_and_a_wrong_row_are_seen(tmp_path):
    def case(chance, folder):
        with hostile.hostile_tables.scoring():
            (folder / "in" / "elsewhere").touch()
        rows = [{"loan": "a", "branch": "", "given": "4", "income": "4"}]
        counts = {"rows_read": 1, "rows_scored": 1, "rows_set_aside": 0}
        return hostile.hostile_tables.wrong_rows([{**rows[0], "probability": 0.5}], rows, counts)

    hostile.KINDS["made"] = case
    found = hostile.run("made", 0, tmp_path)
    del hostile.KINDS["made"]
    assert found.wrong is not None
    assert "no row of the source" in found.wrong
    assert found.outside == [f"open {tmp_path}/in/elsewhere"]
