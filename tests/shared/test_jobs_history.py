"""What is usual: how many rows the published runs of a job had, by day."""

import logging
from datetime import date
from pathlib import Path

import pytest

from solvent import Refused, SolventError
from solvent.jobs.history import enter, fewest, refuse_unwritable
from solvent.jobs.job import JobFile


def test_the_least_is_a_share_of_the_median_of_the_ten_latest_days_before(tmp_path: Path) -> None:
    file = JobFile(tmp_path / "nightly.yaml", {}, None)
    assert fewest(file, "loans", date(2026, 1, 1), 0.5) == 0
    for day in range(1, 15):
        enter(file, "loans", date(2026, 1, day), {"rows_read": 10 * day, "identity": "a"})
        enter(file, "photos", date(2026, 1, day), {"rows_read": 1, "identity": "b"})
    # days 5 to 14: 50 ... 140, whose median is 95
    assert fewest(file, "loans", date(2026, 1, 15), 0.5) == 48
    # without day 14: days 4 to 13, median 85
    assert fewest(file, "loans", date(2026, 1, 14), 1) == 85
    assert fewest(file, "photos", date(2026, 1, 15), 1) == 1
    # days 1 and 2
    assert fewest(file, "loans", date(2026, 1, 3), 1) == 15


def test_what_is_usual_goes_by_the_day_and_not_by_when_it_was_run(tmp_path: Path) -> None:
    file = JobFile(tmp_path / "nightly.yaml", {}, None)
    for day in range(1, 13):
        enter(file, "loans", date(2026, 2, day), {"rows_read": 1000, "identity": "a"})
    for day in range(12, 0, -1):  # back-filled later, from small years
        enter(file, "loans", date(2024, 2, day), {"rows_read": day, "identity": "a"})
    assert fewest(file, "loans", date(2026, 2, 13), 0.5) == 500
    # days 3 to 12 of 2024
    assert fewest(file, "loans", date(2025, 1, 1), 1) == 8


def test_rows_that_are_only_read_as_context_are_not_usual(tmp_path: Path) -> None:
    file = JobFile(tmp_path / "nightly.yaml", {}, None)
    enter(file, "pumps", date(2026, 1, 1), {"rows_read": 180, "rows_context": 174, "identity": "a"})
    assert fewest(file, "pumps", date(2026, 1, 2), 0.5) == 3


def test_a_day_that_is_run_again_counts_once_and_a_torn_line_not_at_all(tmp_path: Path) -> None:
    file = JobFile(tmp_path / "nightly.yaml", {}, None)
    for rows in (100, 100, 8):
        enter(file, "loans", date(2026, 1, 1), {"rows_read": rows, "identity": "a"})
    path = tmp_path / ".nightly.yaml.history.jsonl"
    path.write_bytes(path.read_bytes() + b'{"job": "loans", "date": "2026-01-02", "ro')
    enter(file, "loans", date(2026, 1, 3), {"rows_read": 10, "identity": "a"})
    assert fewest(file, "loans", date(2026, 1, 4), 1) == 9


def test_a_history_that_can_not_be_written_is_a_warning_and_found_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = JobFile(tmp_path / "nightly.yaml", {}, None)
    refuse_unwritable(file)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".nightly.yaml.history.jsonl").symlink_to("nowhere/x")
    with caplog.at_level(logging.WARNING, "solvent"):
        enter(file, "loans", date(2026, 1, 1), {"rows_read": 1, "identity": "a"})
    assert "loans 2026-01-01: published, but " in caplog.text
    assert "No such file or directory" in caplog.text
    with pytest.raises(Refused, match="least_share"):
        refuse_unwritable(file)


def test_a_history_that_can_not_be_read_lets_no_run_begin(tmp_path: Path) -> None:
    file = JobFile(tmp_path / "nightly.yaml", {}, None)
    (tmp_path / ".nightly.yaml.history.jsonl").mkdir()
    with pytest.raises(SolventError, match="Is a directory"):
        fewest(file, "loans", date(2026, 1, 1), 0.5)
    with pytest.raises(Refused, match="Is a directory"):
        refuse_unwritable(file)


def test_trying_whether_it_can_be_written_changes_nothing(tmp_path: Path) -> None:
    file = JobFile(tmp_path / "nightly.yaml", {}, None)
    enter(file, "loans", date(2026, 1, 1), {"rows_read": 1, "identity": "a"})
    path = tmp_path / ".nightly.yaml.history.jsonl"
    before = path.read_bytes(), path.stat().st_mtime_ns
    refuse_unwritable(file)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
