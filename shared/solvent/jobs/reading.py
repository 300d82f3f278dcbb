"""Read a job file: every problem at once, each with its line, its path in the file and the cure."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from .. import documents, stores
from ..documents import Place
from ..errors import Refused
from ..wording import listed
from . import dates
from .job import Job, JobFile, Schedule, planned

__all__ = ["load"]

SEVERAL = ("jobs", "schedule")  # the keys at the top of a file with several jobs
SOME_DAY = date(2026, 1, 2)
SOME_DAYS = tuple(SOME_DAY + timedelta(days=number) for number in range(4000))  # years of 52 and of 53 weeks


def load(path: str | Path) -> JobFile:
    """Read a job file and check it; nothing that it names is opened.

    Raises:
        Refused: with everything that is wrong.
    """
    path = Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100  (links stay links)
    given, lines = documents.read(path, kind="job", keys=list(Job.model_fields))
    problems: list[tuple[float, str]] = []

    def say(place: Place, message: str) -> None:
        line = next((lines[place[:end]] for end in range(len(place), 0, -1) if place[:end] in lines), None)
        where = f"{path.name}{f' line {line}' if line else ''}"
        problems.append((line or math.inf, f"{where}, {'.'.join(map(str, place)) or 'the file'}: {message}"))

    several = "jobs" in given
    if several:
        for key in set(given) - set(SEVERAL):
            say((key,), f"{documents.unknown(key, SEVERAL)} With jobs:, everything else stands in one of them.")
    contents = given["jobs"] if several else {path.stem: given}
    if not isinstance(contents, dict) or not contents:
        say(
            ("jobs",), "expected a name and what it does for each job: {credit: {bundle: ..., source: ..., sink: ...}}."
        )
        contents = {}
    places: dict[str, Place] = {name: ("jobs", name) if several else () for name in contents}
    jobs = {name: _valid(Job, content, places[name], say) for name, content in contents.items()}
    schedule = None
    if several and given.get("schedule") is not None:
        schedule = _valid(Schedule, given["schedule"], ("schedule",), say)
    whole = {name: job for name, job in jobs.items() if job is not None}
    for name, job in whole.items():
        for place, message in _dates(job):
            say((*places[name], *place), message)
        if several and job.schedule is not None:
            say((*places[name], "schedule"), "the jobs of one file start together. Write schedule: beside jobs:.")
    if not problems:
        for place, message in _together(whole, path.parent):
            say(place, message)
    if problems:
        raise Refused("\n".join(message for _, message in sorted(problems, key=lambda problem: problem[0])))
    return JobFile(path, whole, schedule if several else whole[path.stem].schedule)


def _valid(kind: Any, content: Any, place: Place, say: Callable[[Place, str], None]) -> Any:
    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        for inner, message in documents.messages(error, content, kind):
            say((*place, *inner), message)
    return None


def _dates(job: Job) -> Iterator[tuple[Place, str]]:
    """Dates that are written wrongly, and those where none is filled in."""
    yield from dates.mistakes(job.dated)
    notify = {"notify": {"command": list(job.notify.command)}} if job.notify else {}
    yield from dates.mistakes(notify)
    if job.metrics is not None and dates.named(job.metrics):
        yield ("metrics",), "no date is filled in here: the file tells of the last run. Name one file."
    if job.keep_days is not None:
        if job.sink.path is None or not dates.named(job.sink.path):
            yield (
                ("keep_days",),
                "it needs a sink with a path that names {date}. Of a folder without, keep says how many runs stay.",
            )
        elif stores.is_address(job.sink.path):
            yield ("keep_days",), "it removes files of this machine. Let the bucket do it: give it a lifecycle rule."
        elif again := dates.comes_again(job.sink.path, SOME_DAYS):
            yield (
                ("keep_days",),
                f"the sink has one name for {again[0]} and for {again[1]}, and others between, so that what is old "
                "can't be told from what is new. Name the year, the month and the day: {date}, or {date:%Y%m%d}.",
            )
    if dates.named(job.bundle):
        yield ("bundle",), "no date is filled in here. Name a link, and promote a bundle by ln -sfn."


def _together(jobs: Mapping[str, Job], base: Path) -> Iterator[tuple[Place, str]]:
    """What is wrong with jobs only because the others stand in the same file."""
    taken: dict[tuple[str, ...], str] = {}
    for name, job in jobs.items():
        owners = [taken.setdefault(place, name) for place in planned(job, SOME_DAY, base).places]
        if first := next((owner for owner in owners if owner != name), None):
            yield ("jobs", name, "sink"), f"{first} writes there too. Give each job a sink of its own."
    files: dict[str, str] = {}
    for name, job in jobs.items():
        if job.metrics is not None and (first := files.setdefault(os.path.realpath(base / job.metrics), name)) != name:
            yield ("jobs", name, "metrics"), f"{first} writes there too. Give each job a file of its own."
    threads = {job.limits.threads for job in jobs.values()}
    if len(threads) > 1:
        shown = listed(f"{name}: {job.limits.threads or 'not given'}" for name, job in jobs.items())
        yield ("jobs",), f"limits.threads is one number for a process, and here are several ({shown}). Make them equal."
