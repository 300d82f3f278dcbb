"""`solvent job`: from a trained bundle to scores every night, its exit codes, and what `check` finds before."""

import json
import logging
import os
import shutil
import sqlite3
import subprocess
import sys

import pandas as pd
import pytest
import yaml

from solvent.logs import AsJSON


@pytest.fixture
def nightly(tmp_path, bundle, rows):
    """A folder with a link to a bundle, the loans of two days, and a way to write the job file."""
    (tmp_path / "current").symlink_to(bundle)
    (tmp_path / "in").mkdir()
    for day, part in (("2026-01-01", rows.iloc[:120]), ("2026-01-02", rows.iloc[120:300])):
        part.drop(columns="status").assign(branch="north").to_csv(tmp_path / "in" / f"{day}.csv", index=False)

    def write(**changes):
        content = {"bundle": "current", "source": "in/{date}.csv", "sink": "out/{date}.csv", **changes}
        (tmp_path / "job.yaml").write_text(yaml.safe_dump(content))
        return tmp_path / "job.yaml"

    return write


def test_a_back_fill_scores_each_day(nightly, solvent, rows, tmp_path):
    done = solvent("job", "run", nightly(), "--from", "2026-01-01", "--to", "2026-01-02")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        f"job 2026-01-01: 120 rows scored, 0 set aside: {tmp_path}/out/2026-01-01.csv",
        f"job 2026-01-02: 180 rows scored, 0 set aside: {tmp_path}/out/2026-01-02.csv",
    ]
    scored = pd.read_csv(tmp_path / "out" / "2026-01-02.csv")
    assert list(scored["loan"]) == list(rows["loan"].iloc[120:300])


def test_json_is_one_object_with_the_manifests_and_exit_codes(nightly, solvent):
    done = solvent("job", "run", nightly(), "--from", "2026-01-02", "--to", "2026-01-03", "--json")
    assert done.exit_code == 1  # no rows of the 3rd yet
    first, second = json.loads(done.stdout)["runs"]
    assert (first["exit_code"], first["date"], first["manifest"]["rows_scored"]) == (0, "2026-01-02", 180)
    assert (second["exit_code"], second["manifest"]) == (1, None)
    assert "2026-01-03.csv" in second["message"]
    assert "1 of 2 runs did not end well" in done.stderr


def test_each_day_is_merged_into_a_table_whether_scored_once_or_twice(nightly, solvent, rows, tmp_path):
    sink = {"sql": "sqlite:///scores.db", "table": "scores", "mode": "merge", "folder": "out"}
    path = nightly(sink=sink, passthrough=["branch"])
    checked = solvent("job", "check", path, "--date", "2026-01-01")
    assert "ok      job, database: the table scores can take the scores (merge)" in checked.stdout
    assert not (tmp_path / "out").exists()
    for _ in range(2):
        done = solvent("job", "run", path, "--from", "2026-01-01", "--to", "2026-01-02")
        assert done.exit_code == 0, done.output
    with sqlite3.connect(tmp_path / "scores.db") as database:
        found = database.execute("select loan, branch from scores order by loan").fetchall()
    assert found == [(loan, "north") for loan in sorted(rows["loan"].iloc[:300])]


def test_data_that_have_drifted_are_published_and_exit_3(nightly, solvent, tmp_path):
    table = tmp_path / "in" / "2026-01-02.csv"
    rows = pd.read_csv(table)
    rows.assign(income=rows["income"] * 5).to_csv(table, index=False)
    # a short fit on few rows: only what is asked for here
    path = nightly(alarms={"psi": 1.0, "missing": 1.0, "unseen": 1.0})
    assert solvent("job", "run", path, "--date", "2026-01-01").exit_code == 0
    done = solvent("job", "run", path, "--date", "2026-01-02")
    assert done.exit_code == 3, done.output
    assert "income" in done.stderr
    assert (tmp_path / "out" / "2026-01-02.csv").is_file()
    unasked = nightly(sink="calm/{date}.csv")
    assert solvent("job", "run", unasked, "--date", "2026-01-02").exit_code == 0


def test_a_job_runs_though_the_one_before_it_was_refused(nightly, solvent, tmp_path):
    good = {"bundle": "current", "source": "in/{date}.csv", "sink": "out/{date}.csv"}
    (tmp_path / "job.yaml").write_text(
        yaml.safe_dump(
            {"jobs": {"first": {**good, "bundle": "none", "sink": "other.csv"}, "second": good}}, sort_keys=False
        )
    )
    done = solvent("job", "run", tmp_path / "job.yaml", "--date", "2026-01-01")
    assert done.exit_code == 2
    assert done.stdout.splitlines() == [
        "first 2026-01-01: exit 2",
        f"second 2026-01-01: 120 rows scored, 0 set aside: {tmp_path}/out/2026-01-01.csv",
    ]


def test_fewer_rows_than_expected_publish_nothing(nightly, solvent, tmp_path):
    done = solvent("job", "run", nightly(limits={"min_rows": 121}), "--date", "2026-01-01")
    assert done.exit_code == 1
    assert done.stderr.count("Error: ") == 1
    assert not (tmp_path / "out" / "2026-01-01.csv").exists()


def test_a_limit_of_minutes_is_not_undone_by_retries(nightly, solvent, tmp_path):
    path = nightly(chunk_rows=50, limits={"max_minutes": 1e-9}, retries={"times": 5, "wait_seconds": 0})
    for parts in (1, 2):
        done = solvent("job", "run", path, "--date", "2026-01-01")
        assert done.exit_code == 1
        assert f"ended after {parts} parts" in done.stderr
        assert not (tmp_path / "out" / "2026-01-01.csv").exists()
    assert solvent("job", "run", path, "--date", "2026-01-01").exit_code == 0


def test_scores_are_published_though_their_number_can_not_be_written_down(nightly, solvent, tmp_path):
    path = nightly(limits={"least_share": 0.5})
    (tmp_path / ".job.yaml.history.jsonl").symlink_to("nowhere/x")
    checked = solvent("job", "check", path, "--date", "2026-01-01")
    assert checked.exit_code == 2
    assert "PROBLEM job, history: " in checked.stdout
    done = solvent("job", "run", path, "--date", "2026-01-01")
    assert done.exit_code == 0
    assert "published, but " in done.stderr
    assert (tmp_path / "out" / "2026-01-01.csv").is_file()


def test_too_many_bad_rows_exit_4(nightly, solvent, tmp_path):
    table = tmp_path / "in" / "2026-01-01.csv"
    table.write_text(table.read_text() + "ragged\n" * 60)
    done = solvent("job", "run", nightly(), "--date", "2026-01-01")
    assert done.exit_code == 4, done.output
    assert "Traceback" not in done.stderr


def test_other_scoring_settings_and_hashes_are_refused(nightly, solvent):
    done = solvent("job", "run", nightly(scoring={"no_such": 1}), "--date", "2026-01-01")
    assert done.exit_code == 2
    assert "no_such" in done.stderr
    done = solvent("job", "run", nightly(sha256="0" * 64), "--date", "2026-01-01")
    assert done.exit_code == 2
    assert "another bundle" in done.stderr


def test_a_check_scores_the_first_rows_and_leaves_nothing_behind(nightly, solvent, tmp_path):
    path = nightly(
        passthrough=["branch"],
        notify={"command": [sys.executable], "on": ["failed"]},
        schedule={"at": "02:30", "timezone": "Europe/Berlin"},
        limits={"least_share": 0.5},
    )
    before = sorted(tmp_path.rglob("*"))
    done = solvent("job", "check", path, "--date", "2026-01-01")
    assert done.exit_code == 0, done.output
    said = done.stdout.splitlines()
    assert [line.split(": ")[0] for line in said] == [
        f"ok      job, {what}"
        for what in ("bundle", "source", "first rows", "names", "output", "history", "notify", "schedule")
    ]
    assert "120 of 120 rows scored; columns loan, branch, probability" in said[2]
    assert "GB are needed" in said[4]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_check_finds_every_problem_at_once(nightly, solvent, tmp_path):
    table = tmp_path / "in" / "2026-01-01.csv"
    table.write_text(table.read_text() + "ragged\n" * 60)
    (tmp_path / "file").write_text("")
    path = nightly(sink="file/scores.csv", notify={"command": ["no-such-program"], "on": ["failed"]}, ids=["loan"])
    done = solvent("job", "check", path, "--date", "2026-01-01")
    assert done.exit_code == 2
    problems = [line for line in done.stdout.splitlines() if line.startswith("PROBLEM")]
    assert len(problems) == 3, done.stdout
    assert "60 of the first 180 rows can't be scored" in problems[0]
    assert "file is a file" in problems[1]
    assert "no-such-program" in problems[2]
    assert "3 problems" in done.stderr


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"passthrough": ["brunch"]}, "no column 'brunch'"),
        ({"mask": ["incme"]}, "no column 'incme'"),
        ({"ids": ["lone"]}, "lone"),
        ({"alarms": {"ignore": ["incme"]}}, "alarms.ignore: there is no column 'incme'. Did you mean 'income'?"),
        ({"side": {"items": "in/2026-01-01.csv"}}, "no side table 'items'"),
        ({"bundle": "elsewhere"}, "is no bundle"),
        ({"source": "in/none.csv"}, "none.csv"),
        ({"limits": {"min_rows": 1000}}, "120 rows, and limits.min_rows expects 1,000"),
        ({"scoring": {"no_such": 1}}, "no_such"),
        ({"sink": "in/2026-01-01.csv"}, "is no output of solvent score"),
    ],
)
def test_a_check_names_the_problem(nightly, solvent, changes, said):
    done = solvent("job", "check", nightly(**changes), "--date", "2026-01-01")
    assert done.exit_code == 2
    assert any(line.startswith("PROBLEM") and said in line for line in done.stdout.splitlines()), done.stdout


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may write everywhere")
def test_a_check_finds_a_folder_that_can_not_be_written_to(nightly, solvent, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(0o500)
    program = (
        "import sys; from pathlib import Path; from datetime import date\n"
        "from solvent.jobs.check import _Checks; from solvent.jobs.reading import load\n"
        "file = load(sys.argv[1]); (name, job), = file.jobs.items()\n"
        "try: print(_Checks(name, job, date(2026, 1, 1), file)._write())\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    # without the power of root to write everywhere
    as_anyone = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*as_anyone, sys.executable, "-c", program, str(nightly())], capture_output=True, text=True, check=False
    )
    assert f"Refused {tmp_path}/out can't be written to by this user" in done.stdout, done.stderr


def test_the_schedule_is_printed_alone(nightly, solvent):
    done = solvent("job", "schedule", nightly(schedule={"at": "03:30", "timezone": "Europe/Berlin"}), "--for", "cron")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1].startswith("30 3 * * * ")
    assert done.stderr == ""


def test_a_broken_job_file_is_refused_without_a_traceback(nightly, solvent):
    path = nightly(limits={"max_bda": 1})
    for arguments in (["run", path], ["check", path], ["schedule", path, "--for", "cron"]):
        done = solvent("job", *arguments)
        assert done.exit_code == 2
        assert done.stdout == ""
        assert "limits.max_bda: unknown key. Did you mean 'max_bad'?" in done.stderr


def test_logs_are_json_lines_by_option(nightly, solvent):
    done = solvent("--json-logs", "job", "run", nightly(), "--date", "2026-01-01")
    assert done.exit_code == 0, done.output
    records = [json.loads(line) for line in done.stderr.splitlines()]
    assert {"time", "level", "logger", "message"} <= set(records[0])
    assert records[0]["message"] == "job 2026-01-01: started"


def test_a_traceback_stays_in_its_line():
    try:
        raise ValueError("a\nb")
    except ValueError:
        record = logging.LogRecord("solvent", logging.ERROR, "x", 1, "%s\n%d", ("é", 5), sys.exc_info())
    text = AsJSON().format(record)
    assert "\n" not in text
    said = json.loads(text)
    assert (said["level"], said["message"]) == ("error", "é\n5")
    assert said["traceback"].endswith("ValueError: a\nb")


def test_the_help_of_job_imports_nothing_heavy():
    program = (
        "import sys\nfrom solvent.cli import main\nmain(['job', 'run', '--help'], standalone_mode=False)\n"
        "print(sorted({'pandas', 'numpy', 'keras', 'pyarrow', 'sqlalchemy', 'yaml'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
