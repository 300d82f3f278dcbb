"""A DAG for Airflow that runs a job file: a run that is done, drift, and failure end in three different ways."""

from __future__ import annotations

import re

from .job import JobFile, Schedule
from .schedules import cron_days, variables

__all__ = ["dag"]

DAG = '''\
"""solvent job run {description}. Put this file into Airflow's folder of DAGs; it needs Airflow 2.10 or newer.

Made by `solvent job schedule JOB --for airflow`. The command is run where the worker is: the program, the job file and
all that it names have to be there.{variables}

Exit codes: 0 done. 3 drift: the scores are published all the same, so `score` succeeds, and `drift_alarm` fails.
1 failed, or killed: tried again, and goes on where it ended. 2 refused, 4 too many bad rows: failed, not tried again.
5 another run is at work on the same output: skipped.
"""

import signal
import subprocess
from datetime import timedelta

import pendulum

from airflow.timetables.trigger import CronTriggerTimetable

try:
    from airflow.sdk import dag, get_current_context, task
    from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task
    from airflow.exceptions import AirflowException, AirflowFailException, AirflowSkipException
    from airflow.operators.python import get_current_context

COMMAND = [{command!r}, "job", "run", {path!r}]
ZONE = {zone!r}


@dag(
    dag_id={name!r},
    schedule=CronTriggerTimetable({cron!r}, timezone=ZONE),
    start_date=pendulum.datetime({year}, {month}, {day}, tz=ZONE),
    catchup=False,  # days that were missed: solvent job run JOB --from DAY --to DAY
    max_active_runs=1,
    tags=["solvent"],
)
def scoring():
    @task(retries={retries}, retry_delay=timedelta(minutes=2))
    def score() -> int:
        run = get_current_context()["dag_run"]
        when = getattr(run, "logical_date", None) or run.run_after  # Airflow 3 has none where it was started by hand
        day = pendulum.instance(when).in_timezone(ZONE).to_date_string()
        started = subprocess.Popen([*COMMAND, "--date", day])
        try:
            code = started.wait()
        except BaseException:  # the task is ended: the part under way is finished and entered
            started.send_signal(signal.SIGTERM)
            started.wait()
            raise
        if code in (0, 3):
            return code
        if code == 5:
            raise AirflowSkipException("Another run is at work on the same output.")
        if code in (2, 4):
            raise AirflowFailException(f"Exit {{code}}: trying again does not help. Look at the log above.")
        raise AirflowException(f"Exit {{code}}: the next try goes on where this one ended.")

    @task
    def drift_alarm(code: int) -> None:
        if code == 3:
            raise AirflowFailException("The data have drifted; the scores are published all the same.")

    drift_alarm(score())


scoring()
'''


def dag(file: JobFile, schedule: Schedule, command: str) -> str:
    """The file for Airflow's folder of DAGs.

    Args:
        command: the absolute path of the program `solvent`.
    """
    hour, minute = schedule.at.split(":")
    needed, start = variables(file), file.today()
    shown = f"\nIn the worker's environment there have to be: {', '.join(needed)}." if needed else ""
    return DAG.format(
        description=re.sub(r'["\\]', "_", file.path.name),
        variables=shown,
        command=command,
        path=str(file.path),
        zone=schedule.timezone,
        name=re.sub(
            r"[^A-Za-z0-9_.-]", "-", "-".join(filter(None, ("solvent", file.path.parent.name, file.path.stem)))
        ),
        cron=f"{int(minute)} {int(hour)} * * {cron_days(schedule)}",
        year=start.year,
        month=start.month,
        day=start.day,
        # limits.max_minutes ends with exit 1, and the next night goes on
        retries=0 if any(job.limits.max_minutes is not None for job in file.jobs.values()) else 4,
    )
