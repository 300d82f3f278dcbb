"""What a job leaves for its operators: metrics, log records with fields, and no more old outputs than asked for."""

import json
import logging
import re
import sys
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from solvent import Refused
from solvent.files import held
from solvent.jobs import prometheus
from solvent.jobs import run as running
from solvent.jobs.reading import load
from solvent.jobs.retention import remove_old
from solvent.logs import AsJSON

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))

import made_loans

DAY = date(2026, 1, 10)
SAMPLE = re.compile(r'([a-z_]+)\{((?:[a-z0-9_]+="(?:[^"\\\n]|\\.)*",?)*)\} (\S+)')


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Write a job file of made loans, whose source of a day may be missing."""
    made = made_loans.bundle(tmp_path)
    engine = SimpleNamespace(**vars(made), source=lambda given: given, has_changed=lambda: False, scorer=made.scorer)
    monkeypatch.setattr(running, "load_bundle", lambda *_: engine)

    def write(**changes):
        content = {"bundle": "b", "source": "in-{date}.csv", "sink": "out/{date}.csv", **changes}
        (tmp_path / "nightly.yaml").write_text(yaml.safe_dump(content))
        return load(tmp_path / "nightly.yaml")

    return write


def run_for(file, *days, incomes=(20, 30, 40)):
    for day in days:
        made_loans.loans(file.base / f"in-{day}.csv", list(incomes))
    return [outcome.exit_code for outcome in running.run(file, days)]


def samples(text):
    """What Prometheus reads: (name, labels) -> value; each name has its HELP and TYPE before its first sample."""
    found, described = {}, set()
    for line in text.splitlines():
        if line.startswith("# "):
            described.add(tuple(line.split(" ")[1:3]))
            continue
        name, labels, value = SAMPLE.fullmatch(line).groups()
        assert {("HELP", name), ("TYPE", name)} <= described, line
        assert (name, labels) not in found, "a sample stands twice"
        found[name, labels] = float(value)
    return found


def test_metrics_of_a_run_can_be_read_by_prometheus(job):
    file = job(metrics="prom/nightly.prom", limits={"max_bad": 0.5})
    assert run_for(file, DAY, incomes=[20, 30, "abc"]) == [0]
    text = (file.base / "prom" / "nightly.prom").read_text()
    assert text.endswith("\n") and text.count("# HELP") == text.count("# TYPE")
    found = samples(text)
    assert found["solvent_job_rows_read", 'job="nightly"'] == 3
    assert found["solvent_job_rows_scored", 'job="nightly"'] == 2
    assert found["solvent_job_rows_set_aside", 'job="nightly"'] == 1
    assert found["solvent_job_exit_code", 'job="nightly"'] == 0
    assert found["solvent_job_drift_alarms", 'job="nightly"'] == 0
    assert found["solvent_job_bundle_info", f'job="nightly",solution="loans",sha256="{"5" * 64}"'] == 1
    assert [path.name for path in (file.base / "prom").iterdir()] == ["nightly.prom"]
    # one that fails has no rows, and says when one last succeeded
    (outcome,) = running.run(file, [DAY + timedelta(days=1)])
    failed = samples((file.base / "prom" / "nightly.prom").read_text())
    assert failed["solvent_job_exit_code", 'job="nightly"'] == outcome.exit_code == 1
    success = ("solvent_job_last_success_timestamp_seconds", 'job="nightly"')
    assert failed[success] == found[success] <= failed["solvent_job_last_end_timestamp_seconds", 'job="nightly"']
    assert not any(name.startswith("solvent_job_rows") for name, _ in failed)


def test_the_rows_of_a_run_add_up():
    counts = {"read": 31, "scored": 16, "set_aside": 8, "joined": 4, "context": 3}
    manifest = {f"rows_{name}": count for name, count in counts.items()}
    manifest |= {"drift": {"alarms": []}, "solution": "loans", "bundle_sha256": "5" * 64}
    outcome = {"job": "nightly", "date": "2026-01-02", "exit_code": 0, "manifest": manifest}
    found = {name: value for (name, _), value in samples(prometheus.text(outcome, 1.0, 2.0)).items()}
    rows = {name: value for name, value in found.items() if name.startswith("solvent_job_rows_")}
    assert rows.pop("solvent_job_rows_read") == sum(rows.values()) == 31


def test_labels_are_escaped():
    outcome = {"job": 'a"b\\c\nd', "date": "2026-01-02", "exit_code": 1, "manifest": None}
    assert ("solvent_job_exit_code", 'job="a\\"b\\\\c\\nd"') in samples(prometheus.text(outcome, 1.0, 2.0))


def test_metrics_that_can_not_be_written_change_nothing_else(job, caplog):
    file = job(metrics="prom/nightly.prom")
    (file.base / "prom").write_text("a file")
    with caplog.at_level(logging.ERROR, "solvent"):
        assert run_for(file, DAY) == [0]
    assert "nightly 2026-01-10: metrics could not be written" in caplog.text


def test_what_can_not_be_so_is_refused(job, tmp_path):
    with pytest.raises(Refused, match=r"metrics: expected a name that ends in \.prom"):
        job(metrics="nightly.txt")
    with pytest.raises(Refused, match="metrics: no date is filled in here"):
        job(metrics="{date}.prom")
    with pytest.raises(Refused, match=r"keep_days: it needs a sink with a path that names \{date\}"):
        job(sink="out.csv", keep_days=3)


def test_the_end_of_a_run_is_a_record_with_fields(job, caplog):
    with caplog.at_level(logging.INFO, "solvent"):
        run_for(job(), DAY)
    (record,) = [each for each in caplog.records if hasattr(each, "fields")]
    said = json.loads(AsJSON().format(record))
    assert (said["job"], said["date"], said["exit_code"], said["rows_scored"]) == ("nightly", "2026-01-10", 0, 3)
    assert said["bundle_sha256"] == "5" * 64 and said["message"].startswith("nightly 2026-01-10: ended")


@pytest.mark.parametrize("sink", ["out/{date}.csv", "out/{date}"])
def test_outputs_of_days_long_past_are_removed_whole(job, sink):
    days = [DAY - timedelta(days=age) for age in (400, 5, 4, 3, 1)]
    run_for(job(sink=sink), *days)
    (job().base / "out" / "notes.txt").write_text("the user's own")
    assert run_for(job(sink=sink, keep_days=3), DAY) == [0]
    left = {re.search(r"\d{4}-\d\d-\d\d", path.name)[0] for path in (job().base / "out").iterdir() if "2" in path.name}
    assert left == {"2026-01-07", "2026-01-09", "2026-01-10"}
    assert (job().base / "out" / "notes.txt").exists()


def test_what_is_under_way_or_not_ours_is_never_removed(job):
    old = [DAY - timedelta(days=age) for age in (20, 21, 22, 23)]
    file = job()
    run_for(file, *old)
    out = file.base / "out"
    (out / f"{old[0]}.csv").write_text("changed by its owner")
    (out / f".{old[1]}.csv.runs" / "abc.work").mkdir(parents=True)
    file = job(keep_days=3)
    with held(out / f".{old[2]}.csv.runs", "held by another process"):
        assert remove_old(file.jobs["nightly"], DAY, file.base) == 1
    assert [(out / f"{day}.csv").exists() for day in old] == [True, True, True, False]
    # without a run that is published nothing is removed: the newest good one stays, however old it is
    assert [outcome.exit_code for outcome in running.run(file, [DAY])] == [1]
    assert (out / f"{old[2]}.csv").exists()


@pytest.mark.parametrize("form", ["%d", "%u", "%j", "%m-%d", "%V-%u", "%Y-%d", "%Y-%V"])
def test_keep_days_is_refused_where_names_come_round_again(job, form):
    with pytest.raises(Refused, match=r"keep_days: the sink has one name for .* and others between.* \{date:%Y%m%d\}"):
        job(sink=f"out/{{date:{form}}}.csv", keep_days=7)


@pytest.mark.parametrize("form", ["%Y%m%d", "%Y/%j", "%G-%V", "%Y-%m", "%G-%V-%u"])
def test_keep_days_is_accepted_where_they_do_not(job, form):
    assert job(sink=f"out/{{date:{form}}}.csv", keep_days=7).jobs["nightly"].keep_days == 7


def test_a_day_that_is_run_again_removes_no_newer_one(job):
    """Not even where the names come round again: of day 15, days 16 to 20 are those of a month before, too."""
    days = [date(2026, 1, number) for number in range(12, 21)]
    file = job(sink="out/{date:%d}.csv")
    run_for(file, *days)
    removed = remove_old(file.jobs["nightly"].model_copy(update={"keep_days": 2}), date(2026, 1, 15), file.base)
    assert removed == 0
    assert {path.stem for path in (file.base / "out").glob("*.csv")} == {f"{day:%d}" for day in days}
