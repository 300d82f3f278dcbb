"""Definitions that a scheduler takes as they are printed: cron and systemd here, others by modules of their own."""

from __future__ import annotations

import getpass
import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import get_args
from zoneinfo import ZoneInfo

from ..errors import Refused
from .job import Day, JobFile, Schedule

__all__ = ["cron_days", "definition", "skipped", "variables"]


VARIABLE = re.compile(r"\$\{(\w+)\}")
CRON_DAYS: Mapping[Day, int] = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
EXITS = """\
# Exit codes: 0 done. 1 failed: the next start goes on where it ended. 2 refused: correct the job, bundle or data.
# 3 drift: the scores are published all the same, look at the report. 4 too many bad rows: nothing is published.
# 5 another run is at work on the same output: two never overlap, and this one has done nothing."""

CRON = """\
# Add these lines to your crontab:   crontab -e
# or at once:   (crontab -l; {command} job schedule {job} --for cron) | crontab -
{exits}
# Cron starts nothing again: after a kill the next start is tomorrow's, for its own day. Run that day by hand:
#   {command} job run {job} --date DAY
# The log is {log}. Cron's PATH is short: give notify.command an absolute path, or put it beside the job file.
{variables}\
# cronie reads CRON_TZ, for all lines below it. Debian's and Ubuntu's cron ignores it and takes the system's time zone:
# set that (timedatectl set-timezone {zone}), or write the time in it.
CRON_TZ={zone}
{minute} {hour} * * {days} {line}
"""

SYSTEMD = """\
# Write the two parts into the files that their headings name, then, as root:
#   systemctl daemon-reload && systemctl enable --now {name}.timer
# Now, by hand:   systemctl start {name}.service        The log:   journalctl -u {name}
# The next times: systemctl list-timers {name}.timer
# The name is made of the job file's folder and name. Another job whose units are called {name} too
# would replace these: rename its file.
{exits}

# /etc/systemd/system/{name}.service
[Unit]
Description=solvent job {description}
Wants=network-online.target
After=network-online.target
# Five starts in six hours, then systemd gives up until the next night.
StartLimitIntervalSec=6h
StartLimitBurst=5

[Service]
# systemd starts no second one while this one runs.
Type=oneshot
User={user}
{variables}\
ExecStart={line}
# SIGTERM lets the part under way be finished and entered; the next start goes on behind it.
KillMode=mixed
# Where memory runs out, only the process that took it ends: a row that does so is looked for in processes of their own,
# and systemd would end the whole service with the first of them.
OOMPolicy=continue
TimeoutStopSec=15min
{restart}
RestartSec=2min
# Trying again does not help with these. SuccessExitStatus=3 would make drift no failure of the unit.
RestartPreventExitStatus=2 3 4 5
StandardOutput=journal
StandardError=journal

# /etc/systemd/system/{name}.timer
[Unit]
Description=solvent job {description}, by the clock

[Timer]
{clocks}\
OnCalendar={days}*-*-* {at}:00 {zone}
# A night that the machine was off is made up for once it is on again, with that day's date; the days that it missed
# are run by: solvent job run JOB --from DAY --to DAY
Persistent=true

[Install]
WantedBy=timers.target
"""


def definition(file: JobFile, kind: str) -> str:
    """The text to paste: absolute paths, quoted as the scheduler reads them.

    Args:
        kind: cron, systemd, airflow, kubernetes or docker; docker is no scheduler, but the image for one.

    Raises:
        Refused: if the file has no schedule, or lies where the scheduler can't name it.
    """
    from . import containers, dag  # they build upon this module

    if kind == "docker":
        _refuse_names(kind, file, "")
        return containers.dockerfile(file)
    if file.schedule is None:
        raise Refused(
            f'{file.path.name} has no schedule. Add such as schedule: {{at: "03:30", timezone: Europe/Berlin}}.'
        )
    if kind == "kubernetes":
        _refuse_names(kind, file, "")
        return containers.cron_job(file, file.schedule)
    command = _command()
    _refuse_names(kind, file, command)
    if kind == "airflow":
        return dag.dag(file, file.schedule, command)
    return (_cron if kind == "cron" else _systemd)(file, file.schedule, command)


def _refuse_names(kind: str, file: JobFile, command: str) -> None:
    if re.search(r"[\x00-\x1f\x7f\\]", command + str(file.path)) or (kind == "systemd" and re.search("[\"']", command)):
        raise Refused(
            f"{kind} can't name {command!r} or {str(file.path)!r}: no control characters and backslashes may be in "
            "paths, and for systemd no quotes in that of the program. Rename the folder."
        )


def cron_days(schedule: Schedule) -> str:
    """The last field of a line for cron, in numbers: names of days are allowed alone, but not in lists."""
    return ",".join(str(number) for day, number in CRON_DAYS.items() if day in (schedule.days or ())) or "*"


def skipped(schedule: Schedule, start: date) -> date | None:
    """The day within a year from `start` on which the clocks are put forward over the schedule's time, or None."""
    zone, at = ZoneInfo(schedule.timezone), time.fromisoformat(schedule.at)
    for number in range(366):
        local = datetime.combine(start + timedelta(days=number), at, zone)
        if local.astimezone(UTC).astimezone(zone).time() != at:
            return local.date()
    return None


def _cron(file: JobFile, schedule: Schedule, command: str) -> str:
    hour, minute = schedule.at.split(":")
    log = file.path.with_suffix(".log")
    shown = " ".join(f"{each}=..." for each in variables(file))
    quoted = {name: shlex.quote(text) for name, text in {"command": command, "job": str(file.path)}.items()}
    line = f"{quoted['command']} job run {quoted['job']} >> {shlex.quote(str(log))} 2>&1"
    return CRON.format(
        **quoted,
        exits=EXITS,
        log=log,
        variables=f"# Write these above the last line, with their values: {shown}\n" if shown else "",
        zone=schedule.timezone,
        minute=int(minute),
        hour=int(hour),
        days=cron_days(schedule),
        line=line.replace("%", "\\%"),
    )


def _systemd(file: JobFile, schedule: Schedule, command: str) -> str:
    names = filter(None, ("solvent", file.path.parent.name, file.path.stem))  # in the root there is no folder's name
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", "-".join(names))
    notes = dict.fromkeys(("variables", "clocks"), "")
    if shown := " ".join(f"{each}=..." for each in variables(file)):
        notes["variables"] = (
            f"# A file that only root reads (chmod 600), with a line for each of: {shown}\n"
            f"EnvironmentFile=/etc/{name}.env\n"
        )
    if gap := skipped(schedule, file.today()):
        notes["clocks"] = (
            f"# There is no {schedule.at} on {gap}, when the clocks are put forward: systemd skips that day. "
            "Choose another time.\n"
        )
    restart = "Restart=on-failure"
    if any(job.limits.max_minutes is not None for job in file.jobs.values()):
        restart = (
            "# limits.max_minutes ends with exit 1, and the next night goes on: started again only after a crash.\n"
            "Restart=on-abnormal"
        )
    days = ",".join(day.title() for day in get_args(Day) if day in (schedule.days or ()))
    return SYSTEMD.format(
        name=name,
        exits=EXITS,
        description=file.path.stem.replace("%", "%%"),
        user=getpass.getuser(),
        line=f"{_systemd_word(command, program=True)} job run {_systemd_word(str(file.path))}",
        restart=restart,
        days=f"{days} " if days else "",
        at=schedule.at,
        zone=schedule.timezone,
        **notes,
    )


def variables(file: JobFile) -> list[str]:
    """The names of the environment's variables that the jobs' databases need."""
    jobs = file.jobs.values()
    addresses = [part.sql or "" for job in jobs for part in (job.source, *job.side.values())]
    addresses += [job.sink.sql or "" for job in jobs]
    return sorted({name for address in addresses for name in VARIABLE.findall(address)})


def _systemd_word(text: str, *, program: bool = False) -> str:
    """A word of ExecStart; in the program's own path a dollar sign means itself."""
    escaped = text.replace("%", "%%").replace('"', '\\"')
    return f'"{escaped if program else escaped.replace("$", "$$")}"'


def _command() -> str:
    """The absolute path of the `solvent` that belongs to this interpreter."""
    beside = Path(sys.executable).with_name("solvent")
    found = str(beside) if beside.is_file() else shutil.which("solvent")
    if found is None:
        raise Refused(f"There is no program `solvent` beside {sys.executable}. pip install solvent-suite.")
    return str(Path(found).absolute())
