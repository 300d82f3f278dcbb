"""Job files: what they say, what is refused, which runs follow from them, and how those end."""

import json
import logging
import os
import random
import re
import shutil
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from solvent import BarMissed, Bundle, Refused, SolventError, TooManyBadRows
from solvent.errors import Locked
from solvent.files import sha256
from solvent.jobs import dates, notify
from solvent.jobs import run as running
from solvent.jobs.check import check
from solvent.jobs.job import JobFile, Schedule, planned
from solvent.jobs.reading import load
from solvent.jobs.run import days, run, verdict
from solvent.jobs.schedules import definition, skipped

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))

import made_loans

DAY = date(2026, 1, 2)
JOB = {"bundle": "bundle", "source": "in/{date}.csv", "sink": "out/{date}.parquet"}


@pytest.fixture
def write(tmp_path):
    """Write a job file, from a text or from its content, and give its path."""

    def write(content=None, name="nightly.yaml", **changes):
        text = content if isinstance(content, str) else yaml.safe_dump({**(content or JOB), **changes}, sort_keys=False)
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


@pytest.fixture
def refusal(write):
    """What is said about a job file that is refused."""

    def refusal(content=None, **changes):
        with pytest.raises(Refused) as refused:
            load(write(content, **changes))
        return str(refused.value)

    return refusal


# Dates


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("in/loans-{date}.csv", "in/loans-2026-01-02.csv"),
        ("{date:%Y%m%d}", "20260102"),
        ("{date:%Y/%m/%d}/x", "2026/01/02/x"),
        ("{date-1} {date-2:%Y-%m-%d} {date-365}", "2026-01-01 2025-12-31 2025-01-02"),
        ("{date:%G-%V-%u} {date:%j}", "2026-01-5 002"),
        ("""select '{"date": 1}' where day = '{date}'""", """select '{"date": 1}' where day = '2026-01-02'"""),
        ("{{date}} {name} {} %Y {dates}", "{2026-01-02} {name} {} %Y {dates}"),
    ],
)
def test_only_dates_are_filled_in(text, expected):
    assert dates.rendered({"a": [text]}, DAY) == {"a": [expected]}


@pytest.mark.parametrize("text", ["{date:%H}", "{date+1}", "{ date }", "{Date}", "{date:}", "{date:'; drop}", "{date"])
def test_a_date_in_an_unknown_form_is_refused_with_its_place(refusal, text):
    said = refusal(sink=f"out/{text}.parquet")
    assert "nightly.yaml line 3, sink.path: " in said
    assert "Expected {date}, {date-1}" in said


@pytest.mark.parametrize("text", ["2026-13-01", "20260101", "2026-1-1", "today", "0001-01-01", "٢٠٢٦-01-01", ""])
def test_what_is_no_day_is_refused(text):
    with pytest.raises(Refused, match="YYYY-MM-DD"):
        dates.day_of(text)


# The file


def test_a_short_file_says_enough(write):
    file = load(write())
    assert list(file.jobs) == ["nightly"]
    job = file.jobs["nightly"]
    assert job.source.path == "in/{date}.csv"
    assert (job.limits.max_bad, job.keep, job.retries.times, job.alarms, file.schedule) == (0.01, 3, 0, None, None)


def test_every_problem_is_said_at_once_with_its_line_and_cure(refusal):
    said = refusal(
        """\
bundle: 5
sorce: in.csv
sink: {path: out.csv}
limits:
  max_bad: 2
  min_row: 1
schedule: {at: "25:00", timezone: Europe/Berln}
sha256: abc
keep: many
"""
    ).splitlines()
    assert [line.split(": ")[0] for line in said] == [
        "nightly.yaml line 1, bundle",
        "nightly.yaml line 2, sorce",
        "nightly.yaml line 5, limits.max_bad",
        "nightly.yaml line 6, limits.min_row",
        "nightly.yaml line 7, schedule.at",
        "nightly.yaml line 7, schedule.timezone",
        "nightly.yaml line 8, sha256",
        "nightly.yaml line 9, keep",
        "nightly.yaml, source",
    ]
    assert "Did you mean 'source'?" in said[1]
    assert "Did you mean 'min_rows'?" in said[3]
    assert "Did you mean 'Europe/Berlin'?" in said[5]


def test_yaml_1_1_takes_neither_on_nor_a_time_for_something_else(write):
    job = load(
        write(
            "bundle: b\nsource: a.csv\nsink: b.csv\n"
            "notify: {command: [mail], on: [done, drift]}\nschedule: {at: 12:30, timezone: Europe/Berlin}\n"
        )
    ).jobs["nightly"]
    assert job.notify.on == ("done", "drift")
    assert job.schedule.at == "12:30"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [", "nightly.yaml is not YAML: line 1, column 5"),
        ("- 1", "found a list"),
        ("", "found nothing"),
        ("bundle: a\nbundle: b", "stands in line 1 already"),
        ("bundle: \xff", "byte 9 is not UTF-8"),
        ('bundle: "a\\0b"', "no path or name may have"),
        ('bundle: "\\ud800"', "no path or name may have"),
        ("bundle: !!timestamp x", "is not YAML"),
        ("bundle: 2026-13-45", "is not YAML"),
        ("- " * 3000, "nested too deeply"),
        (f"bundle: {'a' * 1_000_000}", "larger than 1 MB"),
        ("a: &a [*a]", "repeat one another"),
        ("jobs: []", "expected a name"),
        ("jobs: {a: 1}", "jobs.a: expected keys with values (found 1)"),
    ],
)
def test_what_is_no_job_file_is_refused(tmp_path, text, expected):
    (tmp_path / "nightly.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(Refused) as refused:
        load(tmp_path / "nightly.yaml")
    assert expected in str(refused.value)


def test_a_file_of_few_lines_that_stands_for_billions_is_refused_at_once(refusal):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    started = time.monotonic()
    assert "anchors" in refusal("\n".join(lines))
    assert time.monotonic() - started < 2


def test_a_damaged_job_file_is_read_or_refused_and_nothing_else(tmp_path):
    good = yaml.safe_dump(
        {**JOB, "limits": {"max_bad": 0.1}, "schedule": {"at": "03:30"}, "side": {"a": "b.csv"}}
    ).encode()
    chance, path = random.Random(0), tmp_path / "job.yaml"
    read = 0
    for _ in range(300):
        data = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.choice(
                b"\0\xff{}[]:,&*!|>'\"%@`#- \n\t9ez" + bytes([chance.randrange(256)])
            )
        path.write_bytes(data[: chance.choice([len(data), chance.randrange(len(data))])])
        try:
            load(path)
            read += 1
        except Refused as error:
            str(error).encode()
    assert 0 < read < 300


def test_paths_start_from_the_files_folder_and_a_link_stays_one(write, tmp_path):
    content = {
        "bundle": "../bundles/current",
        "source": {"sql": "sqlite:///shop.db", "query": "select * from loans where day = '{date-1}'"},
        "sink": {"path": "out/{date:%Y%m%d}.csv"},
        "side": {"items": "/data/items.csv"},
    }
    plan = planned(load(write(content)).jobs["nightly"], DAY, tmp_path)
    assert str(plan.bundle) == f"{tmp_path}/../bundles/current"
    assert plan.source.sql == f"sqlite:///{tmp_path}/shop.db"
    assert plan.source.query == "select * from loans where day = '2026-01-01'"
    assert plan.sink.path == f"{tmp_path}/out/20260102.csv"
    assert plan.side["items"].path == "/data/items.csv"


def test_what_a_source_does_not_name_stays_unnamed(write, tmp_path):
    """Bundle.source fills in just that."""
    plan = planned(load(write()).jobs["nightly"], DAY, tmp_path)
    assert plan.source.model_fields_set == {"path"}


def test_several_jobs_stand_in_one_file_with_one_schedule(write):
    other = {**JOB, "sink": "out/photos-{date}.csv"}
    file = load(write({"jobs": {"credit": JOB, "photos": other}, "schedule": {"at": "03:30"}}))
    assert list(file.jobs) == ["credit", "photos"]
    assert file.schedule.timezone == "UTC"


def test_two_jobs_with_one_sink_are_refused(refusal):
    same = {**JOB, "sink": "./out/{date:%Y-%m-%d}.parquet"}
    said = refusal({"jobs": {"credit": JOB, "photos": same}})
    assert "jobs.photos.sink: credit writes there too" in said


def test_two_tables_with_one_folder_are_refused(refusal):
    sink = {"sql": "sqlite:///a.db", "table": "x", "folder": "out"}
    jobs = {"a": {**JOB, "sink": sink}, "b": {**JOB, "sink": {**sink, "table": "y"}}}
    assert "jobs.b.sink: a writes there too" in refusal({"jobs": jobs})
    assert "jobs.b.sink: a writes there too" in refusal(
        {"jobs": {**jobs, "b": {**JOB, "sink": {**sink, "folder": "z"}}}}
    )


def test_jobs_of_one_file_share_threads_and_schedule(refusal):
    other = {**JOB, "sink": "b.csv"}
    assert "one number for a process" in refusal({"jobs": {"a": {**JOB, "limits": {"threads": 2}}, "b": other}})
    assert "schedule: beside jobs:" in refusal({"jobs": {"a": {**JOB, "schedule": {"at": "03:30"}}, "b": other}})
    assert "one of them" in refusal({"jobs": {"a": JOB}, "keep": 3})


def test_a_date_in_the_bundle_is_refused(refusal):
    assert "ln -sfn" in refusal(bundle="bundles/{date}")


# Days


def test_a_back_fill_is_every_day_from_the_first_to_the_last(write):
    file = load(write())
    assert days(file, None, "2024-02-28", "2024-03-01") == [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)]
    assert days(file, "2024-02-28") == [date(2024, 2, 28)]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("2026-01-01", "2026-01-01", "2026-01-02"), "one or the other"),
        ((None, "2026-01-01", None), "need each other"),
        ((None, "2026-01-02", "2026-01-01"), "in their order"),
        ((None, "1950-01-01", "2026-01-01"), "10,000"),
    ],
)
def test_what_is_no_range_of_days_is_refused(write, given, said):
    with pytest.raises(Refused, match=said):
        days(load(write()), *given)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"source": "a.csv", "sink": "b.csv"}, "every day is the same run"),
        ({"sink": "b.csv"}, "would replace those of 2026-01-01"),
        ({"sink": "out/{date:%Y%m}.csv"}, "would replace those of 2026-01-01"),
    ],
)
def test_a_back_fill_that_undoes_itself_is_refused(write, changes, said):
    with pytest.raises(Refused, match=said):
        days(load(write(**changes)), None, "2026-01-01", "2026-01-02")


def test_a_back_fill_may_merge_into_one_table(write):
    sink = {"sql": "sqlite:///shop.db", "table": "scores", "mode": "merge", "folder": "out"}
    assert len(days(load(write(sink=sink)), None, "2026-01-01", "2026-01-03")) == 3
    with pytest.raises(Refused, match="mode: merge"):
        days(load(write(sink={**sink, "mode": "replace"})), None, "2026-01-01", "2026-01-03")


def test_today_is_the_day_in_the_schedules_time_zone(write):
    east = load(write(schedule={"at": "03:30", "timezone": "Pacific/Kiritimati"})).today()
    west = load(write(schedule={"at": "03:30", "timezone": "Pacific/Pago_Pago"})).today()
    assert 1 <= (east - west).days <= 2  # 25 hours apart


# Runs, with an engine that ends as it is told


class Engine:
    """Stands in for `solvent.score.score` and for the loading of bundles."""

    def __init__(self):
        self.ends, self.calls, self.loaded, self.waited = [], [], 0, []
        self.stopped = self.timed_out = False

    def score(self, bundle, source, sink, **settings):
        self.calls.append((source, sink, settings))
        end = self.ends.pop(0) if self.ends else []
        if isinstance(end, Exception):
            raise end
        return {
            "identity": "a",
            "rows_read": 1203,
            "rows_scored": 1200,
            "rows_set_aside": 3,
            "output": sink.path,
            "drift": {"alarms": end},
        }

    def load(self, path):
        self.loaded += 1
        return SimpleNamespace(source=lambda given: given, path=path, sha256=sha256(path / "SHA256SUMS"))


@pytest.fixture
def engine(monkeypatch, tmp_path):
    made = Engine()
    monkeypatch.setattr("solvent.score.score", made.score)
    monkeypatch.setattr("solvent.bundle.Bundle.load", made.load)
    monkeypatch.setattr("solvent.score.stop.asked", lambda: made.stopped)
    monkeypatch.setattr("solvent.score.stop.timed_out", lambda: made.timed_out)
    monkeypatch.setattr(running.time, "sleep", made.waited.append)
    (tmp_path / "in").mkdir()
    for day in range(1, 6):
        (tmp_path / "in" / f"2026-01-0{day}.csv").write_text("a\n1\n")
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "SHA256SUMS").write_text(name)
    (tmp_path / "bundle").symlink_to("first")
    return made


def codes(outcomes):
    return [outcome.exit_code for outcome in outcomes]


def test_a_run_hands_the_jobs_settings_on(write, engine, tmp_path):
    changes = {"limits": {"max_bad": 0.5, "min_rows": 7, "least_share": 0.4, "max_minutes": 9}}
    changes |= {"ids": ["loan"], "passthrough": ["branch"], "mask": ["income"], "keep": 5, "alarms": {"psi": 0.4}}
    changes["engine"] = "ray"
    (outcome,) = run(load(write(**changes)), [DAY])
    ((source, sink, settings),) = engine.calls
    assert (source.path, sink.path) == (f"{tmp_path}/in/2026-01-02.csv", f"{tmp_path}/out/2026-01-02.parquet")
    assert settings.pop("alarms").psi == 0.4
    assert settings == {
        **{"chunk_rows": None, "max_bad": 0.5, "side": {}, "keep": 5, "ids": ("loan",), "passthrough": ("branch",)},
        **{"mask": ("income",), "min_rows": 7, "max_minutes": 9.0, "earlier": [], "engine": "ray"},
    }
    assert (outcome.exit_code, verdict([outcome])) == (0, None)
    assert outcome.message == f"1,200 rows scored, 3 set aside: {tmp_path}/out/2026-01-02.parquet"


def test_a_failed_run_is_gone_on_with_and_the_wait_doubles(write, engine):
    engine.ends = [SolventError("lost the database"), OSError(28, "No space left on device", "x"), []]
    assert codes(run(load(write(retries={"times": 3, "wait_seconds": 10})), [DAY])) == [0]
    assert engine.waited == [10, 20]
    assert engine.loaded == 1


def test_the_retries_end(write, engine):
    engine.ends = [SolventError("one"), SolventError("two"), SolventError("three")]
    (outcome,) = run(load(write(retries={"times": 1})), [DAY])
    assert (outcome.exit_code, outcome.message) == (1, "two")


@pytest.mark.parametrize("error", [Refused("x"), TooManyBadRows("x"), Locked("x")])
def test_what_trying_again_does_not_mend_is_not_tried_again(write, engine, error):
    engine.ends = [error]
    outcomes = run(load(write(retries={"times": 3})), [DAY])
    assert codes(outcomes) == [error.exit_code]
    assert type(verdict(outcomes)) is type(error)
    assert len(engine.calls) == 1


def test_drift_is_published_and_exits_3(write, engine):
    engine.ends = [["income: PSI 0.41 (0.25 may be)."]]
    outcomes = run(load(write(retries={"times": 3}, alarms={})), [DAY])
    assert codes(outcomes) == [3]
    assert outcomes[0].manifest["rows_scored"] == 1200
    assert isinstance(verdict(outcomes), BarMissed)
    assert "income: PSI 0.41" in str(verdict(outcomes))


def test_each_run_is_made_whatever_became_of_the_others_and_the_worst_counts(write, engine, caplog):
    engine.ends = [["drift."], Locked("held"), KeyError("a bug"), Refused("no column"), []]
    with caplog.at_level(logging.ERROR, "solvent"):
        outcomes = run(load(write(alarms={})), [date(2026, 1, day) for day in range(1, 6)])
    assert codes(outcomes) == [3, 5, 1, 2, 0]
    assert "unexpected KeyError" in outcomes[2].message
    assert verdict(outcomes).exit_code == 1
    assert "4 of 5 runs did not end well: nightly 2026-01-01 (exit 3), " in str(verdict(outcomes))
    assert "no column" in caplog.text


@pytest.mark.parametrize(
    ("ends", "worst"), [([1, 2, 3, 4, 5], 1), ([0, 2, 3, 4, 5], 2), ([3, 5, 4], 4), ([3, 0, 5], 5), ([0, 3], 3)]
)
def test_the_order_of_badness_is_1_2_4_5_3(ends, worst):
    assert verdict([running.Outcome("a", DAY, code, "") for code in ends]).exit_code == worst


def test_after_sigterm_no_further_run_and_no_retry_is_started(write, engine):
    engine.ends = [SolventError("SIGTERM: resume by the same command")]
    engine.stopped = True
    outcomes = run(load(write(retries={"times": 3})), [date(2026, 1, day) for day in (1, 2, 3)])
    assert codes(outcomes) == [1, 1, 1]
    assert len(engine.calls) == 1
    assert "not started" in outcomes[1].message


def test_a_run_that_its_clock_ended_is_not_tried_again(write, engine):
    engine.ends = [SolventError("the limit of 60 minutes: resume by the same command")]
    engine.timed_out = True
    (outcome,) = run(load(write(retries={"times": 3}, limits={"max_minutes": 60})), [DAY])
    assert (outcome.exit_code, len(engine.calls), engine.waited) == (1, 1, [])
    # the clock of an earlier run says nothing of one that has not begun to score
    assert codes(run(load(write(retries={"times": 2, "wait_seconds": 5})), [date(2026, 1, 9)])) == [1]
    assert engine.waited == [5, 10]
    engine.ends = [Locked("held")]
    assert codes(run(load(write()), [DAY])) == [5]


def test_a_bundle_is_loaded_once_and_again_when_the_link_is_promoted(write, engine, tmp_path, monkeypatch):
    file = load(write())
    asked = []

    def promoted_meanwhile(bundle, source, sink, **_):
        asked.append(bundle.sha256)
        if len(asked) == 2:
            (tmp_path / "next").symlink_to("second")
            (tmp_path / "next").replace(tmp_path / "bundle")
        return engine.score(bundle, source, sink)

    monkeypatch.setattr("solvent.score.score", promoted_meanwhile)
    run(file, [date(2026, 1, day) for day in (1, 2, 3)])
    assert asked == [sha256(tmp_path / name / "SHA256SUMS") for name in ("first", "first", "second")]
    assert engine.loaded == 2


def test_another_bundle_than_the_expected_one_is_refused_before_it_is_loaded(write, engine, tmp_path):
    expected = sha256(tmp_path / "second" / "SHA256SUMS")
    (outcome,) = run(load(write(sha256=expected)), [DAY])
    assert outcome.exit_code == 2
    assert sha256(tmp_path / "first" / "SHA256SUMS") in outcome.message
    assert engine.loaded == 0
    assert codes(run(load(write(sha256=sha256(tmp_path / "first" / "SHA256SUMS"))), [DAY])) == [0]


def test_a_source_that_was_just_written_to_is_not_read_yet(write, engine, tmp_path, monkeypatch):
    source = tmp_path / "in" / "2026-01-02.csv"
    monkeypatch.setattr("solvent.tables.files", lambda given: [Path(given.path)], raising=False)
    file = load(write(limits={"quiet_seconds": 60}))
    (outcome,) = run(file, [DAY])
    assert outcome.exit_code == 1
    assert "still being written?" in outcome.message
    os.utime(source, (time.time() - 61,) * 2)
    assert codes(run(file, [DAY])) == [0]


@pytest.mark.parametrize("source", ["in/{date}.csv", "in/*-{date:%d}.csv"])
def test_a_days_source_that_is_not_there_yet_is_waited_for(write, engine, monkeypatch, tmp_path, source):
    (tmp_path / "in" / "2026-01-02.csv").rename(tmp_path / "late")
    file = load(write(source=source, retries={"times": 2, "wait_seconds": 5}))

    def arrives(seconds):
        engine.waited.append(seconds)
        if len(engine.waited) == 2:
            (tmp_path / "late").rename(tmp_path / "in" / "2026-01-02.csv")

    monkeypatch.setattr(running.time, "sleep", arrives)
    assert codes(run(file, [DAY])) == [0]
    assert engine.waited == [5, 10]


@pytest.mark.parametrize("source", ["in/{date}", "in/{date}/*.csv", "in/{date}/**/*.csv", "in/{date}/*"])
def test_a_days_folder_that_holds_no_table_yet_is_waited_for(write, engine, monkeypatch, tmp_path, source):
    folder = tmp_path / "in" / "2026-01-02"
    file = load(write(source=source, retries={"times": 3, "wait_seconds": 5}))

    def goes_on(seconds):
        engine.waited.append(seconds)
        if len(engine.waited) == 1:
            folder.mkdir()
        elif len(engine.waited) == 2:
            (folder / "_temporary").mkdir()
            (folder / "_temporary" / "a.csv").write_text("a\n1\n")
            (folder / "a.csv.tmp").write_text("a\n")
        else:
            (folder / "a.csv.tmp").rename(folder / "a.csv")

    monkeypatch.setattr(running.time, "sleep", goes_on)
    assert codes(run(file, [DAY])) == [0]
    assert engine.waited == [5, 10, 20]


@pytest.mark.parametrize("source", ["in/{date}", "in/{date}/*"])
def test_a_days_folder_that_is_no_one_table_is_refused(write, engine, tmp_path, source):
    (tmp_path / "in" / "2026-01-02").mkdir()
    for name in ("a.csv", "b.jsonl"):
        (tmp_path / "in" / "2026-01-02" / name).write_text("a\n1\n")
    (outcome,) = run(load(write(source=source, retries={"times": 2})), [DAY])
    assert (outcome.exit_code, engine.waited) == (2, [])
    assert "several kinds" in outcome.message


def test_a_pattern_means_nothing_in_the_names_of_the_folders_above_it(write, engine, tmp_path):
    (tmp_path / "[x]").mkdir()
    path = write(name="[x]/nightly.yaml", bundle="../bundle", source="../in/*-{date:%d}.csv")
    assert codes(run(load(path), [DAY])) == [0]


def test_threads_are_set_or_refused(monkeypatch):
    import pyarrow

    before = pyarrow.cpu_count()
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "7")
    monkeypatch.delitem(running.sys.modules, "tensorflow", raising=False)
    try:
        running.set_threads(3)
        assert (os.environ["TF_NUM_INTRAOP_THREADS"], os.environ["OMP_NUM_THREADS"], pyarrow.cpu_count()) == (
            "3",
            "3",
            3,
        )
        monkeypatch.setitem(running.sys.modules, "tensorflow", SimpleNamespace())
        running.set_threads(3)
        with pytest.raises(Refused, match="process of its own"):
            running.set_threads(2)
    finally:
        pyarrow.set_cpu_count(before)


# Checks, with a bundle whose scores are known


@pytest.fixture
def first_rows(write, tmp_path, monkeypatch):
    """What a check of a job says of the first rows and the names; the machines' incomes of 13 can't be scored."""
    made = made_loans.bundle(tmp_path, {"entity": "machine"})
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "SHA256SUMS").write_text("made")
    loaded = SimpleNamespace(**vars(made), scorer=made.scorer, source=lambda given: given)
    monkeypatch.setattr("solvent.bundle.Bundle.load", lambda path: loaded)

    def first_rows(incomes, **changes):
        lines = [f"m{number // 2},{income}" for number, income in enumerate(incomes)]
        (tmp_path / "loans.csv").write_text("\n".join(["machine,income", *lines]))
        findings = check(load(write(source="loans.csv", **changes)), DAY)
        return {each.what: each.said for each in findings if not each.good}

    return first_rows


def test_a_check_sets_the_whole_entity_aside_as_the_run_does(first_rows):
    (said,) = first_rows([20] * 51 + [13] + [20] * 48).values()
    assert said.startswith("2 of the first 100 rows can't be scored; limits.max_bad allows 1.00%.")
    assert "The first is row 51." in said


def test_a_check_gives_each_entity_one_row_where_the_run_does(first_rows, write, monkeypatch):
    first_rows([20] * 10)
    loaded = Bundle.load(Path("bundle"))
    for joins, rows in ((False, 10), (True, 5)):
        monkeypatch.setattr(loaded, "joins", joins)
        (said,) = (each.said for each in check(load(write(source="loans.csv")), DAY) if "scored" in each.said)
        assert said.startswith(f"{rows} of 10 rows scored")


def test_a_check_says_whether_the_engine_is_there(first_rows, monkeypatch):
    asked = SimpleNamespace(is_initialized=lambda: True, cluster_resources=lambda: {"CPU": 6.0}, __version__="2.60.0")
    monkeypatch.setitem(sys.modules, "ray", asked)
    assert "engine" not in first_rows([20], engine="ray")
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "pip install 'solvent-suite[ray]'" in first_rows([20], engine="ray")["engine"]
    assert first_rows([20]) == {}


def test_a_check_shows_no_cell(first_rows):
    (said,) = first_rows([20, "SECRET 4711", "SECRET 4712"], mask=["income"]).values()
    assert "Most often: income: … is not a number (2)" in said
    assert "SECRET" not in said


def test_a_check_says_of_every_name_that_no_column_has_it(first_rows):
    said = first_rows([20], mask=["incme", "income"], alarms={"ignore": ["points", "pionts"]})
    assert list(said) == ["names"]
    assert said["names"] == (
        "mask: there is no column 'incme'. Did you mean 'income'? Known: machine, income. "
        "alarms.ignore: there is no column 'pionts'. Did you mean 'points'? "
        "Known: income, probability, decision, points."
    )
    assert first_rows([20], mask=["machine"], alarms={"ignore": ["income"]}) == {}


# Notify


@pytest.fixture
def mail(tmp_path):
    """A program beside the job file that writes down what it is told, and ends with the number in `code`."""
    program = tmp_path / "mail it.sh"
    program.write_text(
        '#!/bin/sh\n{ printf "%s|" "$@"; env | grep ^SOLVENT_; cat; } > told\necho sorry; exit "$(cat code)"\n'
    )
    program.chmod(0o755)
    (tmp_path / "code").write_text("0")
    return tmp_path


def test_a_command_is_told_how_a_run_ended(write, engine, mail):
    engine.ends = [["income has moved."]]
    command = ["mail it.sh", "{job} of {date-1}", "$(touch made) '; %"]
    assert codes(run(load(write(alarms={}, notify={"command": command})), [DAY])) == [3]
    told = (mail / "told").read_text()
    assert told.startswith("nightly of 2026-01-01|$(touch made) '; %|")
    assert not (mail / "made").exists()
    assert {"SOLVENT_JOB=nightly", "SOLVENT_DATE=2026-01-02", "SOLVENT_EXIT=3"} <= set(
        told.replace("|", "|\n").splitlines()
    )
    assert json.loads(told[told.index("{") :])["drift"] == {"alarms": ["income has moved."]}


def test_a_command_is_told_only_what_it_asked_for(write, engine, mail):
    notify = {"command": ["./mail it.sh"], "on": ["failed"]}
    engine.ends = [Refused("x")]
    run(load(write(notify=notify)), [DAY])
    assert not (mail / "told").exists()
    engine.ends = [SolventError("the disk is full")]
    run(load(write(notify=notify)), [DAY])
    assert "SOLVENT_MESSAGE=the disk is full" in (mail / "told").read_text()


@pytest.mark.parametrize(("name", "folder"), [("./mail-it.sh", "jobs"), ("mail-it.sh", "jobs"), ("../mail-it.sh", ".")])
def test_a_command_starts_from_the_job_files_folder_wherever_the_job_is_started(
    write, engine, tmp_path, monkeypatch, name, folder
):
    for each in ("jobs", ".", "elsewhere"):
        (tmp_path / each).mkdir(exist_ok=True)
        (tmp_path / each / "mail-it.sh").write_text(f"#!/bin/sh\necho {each} $PWD > {tmp_path}/told\n")
        (tmp_path / each / "mail-it.sh").chmod(0o755)
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("PATH", f"{tmp_path}/elsewhere:{os.environ['PATH']}")
    told = {"command": [name, "{job}"], "on": ["done"]}
    write(name="jobs/nightly.yaml", bundle="../bundle", source="../in/{date}.csv", notify=told)
    file = load("../jobs/nightly.yaml")
    assert codes(run(file, [DAY])) == [0]
    assert (tmp_path / "told").read_text() == f"{folder} {tmp_path}/jobs\n"
    # as a check shows it
    assert notify.program(file.jobs["nightly"].notify, file.base) == f"{tmp_path}/jobs/{name.removeprefix('./')}"


def test_a_command_that_fails_is_logged_and_changes_no_exit_code(write, engine, mail, caplog):
    (mail / "code").write_text("9")
    with caplog.at_level(logging.ERROR, "solvent"):
        assert codes(run(load(write(notify={"command": ["mail it.sh"], "on": ["done"]})), [DAY])) == [0]
        assert "notify failed: mail it.sh ended with 9. sorry" in caplog.text
        assert codes(run(load(write(notify={"command": ["no-such-program"], "on": ["done"]})), [DAY])) == [0]
        assert "no executable program 'no-such-program'" in caplog.text


def test_a_command_that_hangs_is_ended(write, engine, mail, caplog, monkeypatch):
    monkeypatch.setattr("solvent.jobs.notify.MOST_SECONDS", 0.2)
    (mail / "mail it.sh").write_text("#!/bin/sh\nsleep 5 &\nsleep 5\n")
    started = time.monotonic()
    with caplog.at_level(logging.ERROR, "solvent"):
        assert codes(run(load(write(notify={"command": ["mail it.sh"], "on": ["done"]})), [DAY])) == [0]
    assert time.monotonic() - started < 3
    assert "timed out" in caplog.text


# Schedules


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A `solvent` whose path has all that needs quoting; it prints its arguments."""
    path = tmp_path / "all 100% $HOME" / "solvent"
    path.parent.mkdir()
    path.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    path.chmod(0o755)
    monkeypatch.setattr("solvent.jobs.schedules.sys.executable", str(path.with_name("python")))
    return path


def test_crons_line_runs_the_job_whatever_its_path(write, program, tmp_path):
    schedule = {"at": "02:05", "timezone": "Europe/Berlin", "days": ["fri", "sun", "mon"]}
    path = write(schedule=schedule, name='a "50%" $x job.yaml')
    *comments, zone, line = definition(load(path), "cron").splitlines()
    assert all(each.startswith("# ") for each in comments)
    assert zone == "CRON_TZ=Europe/Berlin"
    assert line.startswith("5 2 * * 0,1,5 ")
    command = line.removeprefix("5 2 * * 0,1,5 ")
    assert not re.search(r"(?<!\\)%", command)  # to cron that would be a line break
    subprocess.run(["/bin/sh", "-c", command.replace("\\%", "%")], check=True, cwd="/")
    assert path.with_suffix(".log").read_text() == f"job\nrun\n{path}\n"


def test_systemd_takes_the_service_and_the_timer(write, program, tmp_path):
    schedule = {"at": "03:30", "timezone": "Europe/Berlin", "days": ["fri", "mon"]}
    path = write(schedule=schedule, name='a "50%" $x\'s job.yaml')
    text = definition(load(path), "systemd")
    name = f"solvent-{tmp_path.name}-a--50----x-s-job"
    assert "OnCalendar=Mon,Fri *-*-* 03:30:00 Europe/Berlin\n" in text
    folder = str(tmp_path).replace("%", "%%")
    assert f'ExecStart="{folder}/all 100%% $HOME/solvent" job run "{folder}/a \\"50%%\\" $$x\'s job.yaml"\n' in text
    files = dict(re.findall(r"^# /etc/systemd/system/(\S+)\n(.*?)(?=^# /etc|\Z)", text, re.MULTILINE | re.DOTALL))
    assert list(files) == [f"{name}.service", f"{name}.timer"]
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here: apt-get install systemd")
    units = tmp_path / "units"
    units.mkdir()
    for each, content in files.items():
        (units / each).write_text(content)
    done = subprocess.run(
        ["systemd-analyze", "verify", *(str(units / each) for each in files)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_says_which_programs_are_not_there(tmp_path):
    """So that the test above can fail."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here: apt-get install systemd")
    (tmp_path / "a.service").write_text('[Service]\nType=oneshot\nExecStart="/no such/solvent" job\n')
    done = subprocess.run(["systemd-analyze", "verify", tmp_path / "a.service"], capture_output=True, check=False)
    assert done.returncode != 0


def test_secrets_are_named_and_where_to_put_them(write, tmp_path):
    source = {"sql": "postgresql://reader:${DB_PASSWORD}@${DB_HOST}/shop", "query": "select 1"}
    file = load(write(source=source, schedule={"at": "03:30"}))
    assert f"EnvironmentFile=/etc/solvent-{tmp_path.name}-nightly.env\n" in definition(file, "systemd")
    assert "DB_HOST=... DB_PASSWORD=...\n" in definition(file, "cron")
    assert "EnvironmentFile" not in definition(load(write(schedule={"at": "03:30"})), "systemd")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/srv/credit/nightly.yaml", "solvent-credit-nightly"),
        ("/srv/photos 2/nightly.yaml", "solvent-photos-2-nightly"),
        ("/nightly.yaml", "solvent-nightly"),
    ],
)
def test_units_are_called_by_the_job_files_folder_and_name(path, name):
    text = definition(JobFile(Path(path), {}, Schedule(at="03:30")), "systemd")
    assert re.findall(r"^# /etc/systemd/system/(\S+)\.", text, re.MULTILINE) == [name, name]
    assert f"Another job whose units are called {name} too" in text


def test_a_run_that_its_clock_ends_is_not_started_again_by_systemd(write):
    file = load(write(schedule={"at": "03:30"}, limits={"max_minutes": 60}))
    assert "\nRestart=on-abnormal\n" in definition(file, "systemd")
    text = definition(load(write(schedule={"at": "03:30"})), "systemd")
    assert "\nRestart=on-failure\n" in text
    # else the first child that runs out of memory, where a deadly row is looked for, would end its parent too
    assert "\nOOMPolicy=continue\n" in text[text.index("[Service]") : text.index("[Timer]")]


def test_a_time_that_the_clocks_jump_over_is_noted(write):
    berlin = {"at": "02:30", "timezone": "Europe/Berlin"}
    assert skipped(load(write(schedule=berlin)).schedule, date(2026, 1, 1)) == date(2026, 3, 29)
    for at, zone in (("03:30", "Europe/Berlin"), ("02:30", "UTC"), ("01:59", "Europe/Berlin")):
        assert skipped(load(write(schedule={"at": at, "timezone": zone})).schedule, date(2026, 1, 1)) is None
    assert "systemd skips that day" in definition(load(write(schedule=berlin)), "systemd")


def test_what_a_scheduler_can_not_name_is_refused(write, monkeypatch, tmp_path):
    file = load(write(schedule={"at": "03:30"}, name="back\\slash.yaml"))
    with pytest.raises(Refused, match="Rename the folder"):
        definition(file, "cron")
    program = tmp_path / "it's" / "solvent"
    program.parent.mkdir()
    program.touch()
    monkeypatch.setattr("solvent.jobs.schedules.sys.executable", str(program.with_name("python")))
    with pytest.raises(Refused, match="systemd"):
        definition(load(write(schedule={"at": "03:30"})), "systemd")


def test_a_file_without_a_schedule_has_no_definition(write):
    with pytest.raises(Refused, match="Add such as schedule"):
        definition(load(write()), "cron")
