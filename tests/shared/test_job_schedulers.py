"""What is printed for Airflow, Kubernetes and Docker: it is what they read, and tells exit codes apart."""

import importlib.util
import json
import sys
import types
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
import yaml

from solvent.jobs import schedules
from solvent.jobs.reading import load
from solvent.jobs.schedules import definition

JOB = {"bundle": "b", "source": "in/{date}.csv", "sink": "out/{date}.csv"}
SCHEDULE = {"at": "03:05", "timezone": "Europe/Berlin", "days": ["mon", "fri"]}


@pytest.fixture
def printed(tmp_path, monkeypatch):
    """Write a job file and print what is for a scheduler; `solvent` is a program that ends with the code it is told."""
    program = tmp_path / "solvent"
    program.write_text('#!/bin/sh\necho "$@" > "$(dirname "$0")/called"\nexit "$(cat "$(dirname "$0")/code")"\n')
    program.chmod(0o755)
    monkeypatch.setattr(schedules, "_command", lambda: str(program))

    def printed(kind, name="nightly.yaml", **changes):
        (tmp_path / name).write_text(yaml.safe_dump({**JOB, "schedule": SCHEDULE, **changes}))
        return definition(load(tmp_path / name), kind)

    return printed


def test_the_cron_job_tells_drift_from_failure_by_its_rules(printed, tmp_path):
    found = yaml.safe_load(printed("kubernetes", "A 50% 'job'.yaml"))
    assert (found["apiVersion"], found["kind"]) == ("batch/v1", "CronJob")
    assert found["metadata"]["name"].endswith("a-50-job") and len(found["metadata"]["name"]) <= 52
    spec = found["spec"]
    assert (spec["schedule"], spec["timeZone"], spec["concurrencyPolicy"]) == ("5 3 * * 1,5", "Europe/Berlin", "Forbid")
    job = spec["jobTemplate"]["spec"]
    rules = job["podFailurePolicy"]["rules"]
    codes = [(rule["action"], rule["onExitCodes"]["values"]) for rule in rules if "onExitCodes" in rule]
    assert codes == [("FailJob", [3]), ("FailJob", [2, 4, 5])]  # 1, and a process that was killed, are tried again
    assert job["backoffLimit"] >= 3  # two deaths, then the row that kills is found
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    # a podFailurePolicy is refused for pods that are started anew
    assert pod["restartPolicy"] == "Never"
    assert {rule["onExitCodes"]["containerName"] for rule in rules[:2]} == {container["name"]}
    assert container["args"][-1] == str(tmp_path / "A 50% 'job'.yaml")
    assert container["volumeMounts"] == [{"name": pod["volumes"][0]["name"], "mountPath": str(tmp_path)}]
    assert "envFrom" not in container


def test_secrets_and_the_limit_of_time_change_the_cron_job(printed):
    source = {"sql": "postgresql://reader:${DB_PASSWORD}@host/shop", "query": "select 1 as a -- {date}", "key": "a"}
    text = printed("kubernetes", source=source, limits={"max_minutes": 60})
    job = yaml.safe_load(text)["spec"]["jobTemplate"]["spec"]
    assert "secretRef" in job["template"]["spec"]["containers"][0]["envFrom"][0] and "DB_PASSWORD" in text
    assert job["podFailurePolicy"]["rules"][1]["onExitCodes"]["values"] == [1, 2, 4, 5]


@pytest.mark.kubernetes
def test_the_cron_job_is_as_kubernetes_schema_has_it(printed):
    validate = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    source = {"sql": "postgresql://reader:${DB_PASSWORD}@host/shop", "query": "select 1 as a -- {date}", "key": "a"}
    for changes in ({}, {"source": source}):
        validate.validate(yaml.safe_load(printed("kubernetes", **changes)), "1.31", strict=True)


def test_the_dockerfile_runs_the_job_as_nobody_special(printed, tmp_path):
    lines = [line for line in printed("docker", schedule=None).splitlines() if line and not line.startswith(("#", " "))]
    words = [line.split(" ")[0] for line in lines]
    assert words[0] == "FROM" and words.index("USER") > words.index("RUN")
    assert set(words) <= {"FROM", "WORKDIR", "COPY", "RUN", "USER", "ENV", "ENTRYPOINT", "CMD"}
    assert json.loads(lines[-2].partition(" ")[2]) == ["solvent"]
    assert json.loads(lines[-1].partition(" ")[2])[-3:] == ["job", "run", str(tmp_path / "nightly.yaml")]
    assert "'.[all]'" in printed("docker") and "'.[all,ray]'" in printed("docker", engine="ray")


class Skip(Exception):
    """As Airflow has them."""


class Fail(Exception):
    """As Airflow has them."""


class Again(Exception):
    """As Airflow has them."""


@pytest.fixture
def pretended(monkeypatch):
    """As much of Airflow as the DAG asks for; gives what it declares."""
    declared = {"tasks": {}}
    started = datetime(2026, 1, 1, 23, 30, tzinfo=ZoneInfo("UTC"))

    def dag(**options):
        declared["dag"] = options
        return lambda function: function

    def task(function=None, **options):
        def decorate(function):
            declared["tasks"][function.__name__] = (function, options)
            return lambda *inputs: (function.__name__, inputs)

        return decorate if function is None else decorate(function)

    class Moment:
        def __init__(self, when):
            self.when = when

        def in_timezone(self, zone):
            return Moment(self.when.astimezone(ZoneInfo(zone)))

        def to_date_string(self):
            return self.when.date().isoformat()

    def module(name, **content):
        made = types.ModuleType(name)
        vars(made).update(content)
        monkeypatch.setitem(sys.modules, name, made)

    module("airflow")
    module("airflow.timetables")
    context = {"dag_run": types.SimpleNamespace(logical_date=None, run_after=started)}
    module("airflow.sdk", dag=dag, task=task, get_current_context=lambda: context)
    module("airflow.sdk.exceptions", AirflowException=Again, AirflowFailException=Fail, AirflowSkipException=Skip)
    module("airflow.timetables.trigger", CronTriggerTimetable=lambda cron, timezone: (cron, timezone))
    module("pendulum", instance=Moment, datetime=lambda *day, tz: (*day, tz))
    return declared


def imported(text, folder):
    (folder / "made_dag.py").write_text(text)
    spec = importlib.util.spec_from_file_location("made_dag", folder / "made_dag.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_dag_tells_success_drift_and_failure_apart(printed, pretended, tmp_path):
    imported(printed("airflow", "a 'b'.yaml"), tmp_path)
    assert pretended["dag"]["schedule"] == ("5 3 * * 1,5", "Europe/Berlin")
    assert pretended["dag"]["max_active_runs"] == 1
    score, options = pretended["tasks"]["score"]
    alarm, _ = pretended["tasks"]["drift_alarm"]
    assert options["retries"] >= 3
    ends = {0: 0, 3: 3, 1: Again, 137: Again, 2: Fail, 4: Fail, 5: Skip}
    for code, end in ends.items():
        (tmp_path / "code").write_text(str(code))
        if isinstance(end, int):
            assert score() == end
        else:
            with pytest.raises(end):
                score()
    # the day that it is in the schedule's zone
    assert (tmp_path / "called").read_text().split() == f"job run {tmp_path}/a 'b'.yaml --date 2026-01-02".split()
    alarm(0)
    with pytest.raises(Fail, match="drifted"):
        alarm(3)


def test_a_dag_whose_job_has_a_limit_of_time_is_not_tried_again(printed, pretended, tmp_path):
    imported(printed("airflow", limits={"max_minutes": 5}), tmp_path)
    assert pretended["tasks"]["score"][1]["retries"] == 0


@pytest.mark.airflow
def test_the_dag_imports_in_airflow(printed, tmp_path):
    pytest.importorskip("airflow", reason="pip install apache-airflow, in an environment of its own")
    module = imported(printed("airflow"), tmp_path)
    assert module.scoring().task_ids == ["score", "drift_alarm"]
