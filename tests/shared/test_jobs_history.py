from datetime import date
from pathlib import Path

from solvent.jobs.history import enter, fewest
from solvent.jobs.job import JobFile


def test_the_least_is_a_share_of_the_median_of_the_last_ten_other_days(tmp_path: Path) -> None:
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


def test_a_day_that_is_run_again_counts_once_and_a_torn_line_not_at_all(tmp_path: Path) -> None:
    file = JobFile(tmp_path / "nightly.yaml", {}, None)
    for rows in (100, 100, 8):
        enter(file, "loans", date(2026, 1, 1), {"rows_read": rows, "identity": "a"})
    path = tmp_path / ".nightly.yaml.history.jsonl"
    path.write_bytes(path.read_bytes() + b'{"job": "loans", "date": "2026-01-02", "ro')
    enter(file, "loans", date(2026, 1, 3), {"rows_read": 10, "identity": "a"})
    assert fewest(file, "loans", date(2026, 1, 4), 1) == 9
