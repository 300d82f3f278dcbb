"""The Job file: one or several jobs, checked whole, with every problem at once; and what one is on one day."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field

from .. import stores
from ..drift import Alarms
from ..score.engine import Name
from ..score.sink import Sink
from ..solution import JSON, Section
from ..tables import Source
from ..wording import suggestion
from . import dates

__all__ = ["Job", "JobFile", "Limits", "Notify", "Planned", "Retries", "Schedule", "planned"]

Part = TypeVar("Part", bound=Section)
Event = Literal["done", "failed", "refused", "drift", "bad_rows", "locked"]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
SQLITE_FILE = re.compile(r"(sqlite(?:\+\w+)?:///)(?![/$]|:memory:)(.+)", re.DOTALL)


def _hash(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ValueError("expected the 64 digits that `sha256sum SHA256SUMS` prints in the bundle's folder")
    return text


def _clock(given: Any) -> Any:
    # YAML 1.1 reads an unquoted 12:30 as a number of base 60, but 02:30 as a text
    return f"{given // 60:02}:{given % 60:02}" if type(given) is int else given


def _time(text: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text, re.ASCII):
        raise ValueError('expected a time from "00:00" to "23:59"')
    return text


def _zone(name: str) -> str:
    known = available_timezones()
    if not known:
        raise ValueError("this system knows no time zones: pip install tzdata")
    if name not in known:
        raise ValueError(f"expected a time zone such as Europe/Berlin.{suggestion(name, known)}")
    return name


def _prom(path: str) -> str:
    if not path.endswith(".prom"):
        raise ValueError("expected a name that ends in .prom: the node exporter reads no other")
    return path


def _place(text: str) -> str:
    if stores.is_address(text) and (wrong := stores.problem(text)):
        raise ValueError(wrong)
    return text


class Limits(Section):
    """What a run must keep within.

    Args:
        max_bad: the share of rows that may be set aside, else exit 4.
        min_rows: fewer rows publish nothing, exit 1; what is only read as context counts in neither limit.
        least_share: so does less than this share of the median of the rows of the ten latest days before, which are
            kept in `.JOB.history.jsonl` beside the job file.
        max_minutes: the run ends after the part under way, exit 1, and is resumed by the same command, not by retries.
        threads: of TensorFlow and of reading; all processors without.
        quiet_seconds: a source file that was written to within that time may not be whole, exit 1.
    """

    max_bad: float = Field(default=0.01, ge=0, le=1)
    min_rows: int = Field(default=0, ge=0)
    least_share: float | None = Field(default=None, ge=0, le=1)
    max_minutes: float | None = Field(default=None, gt=0)
    threads: int | None = Field(default=None, ge=1, le=1024)
    quiet_seconds: float = Field(default=0, ge=0)


class Retries(Section):
    """How often a run that failed with exit 1 is gone on with; one that max_minutes ended is not.

    Args:
        wait_seconds: before the first retry; it doubles with each.
    """

    times: int = Field(default=0, ge=0, le=20)
    wait_seconds: float = Field(default=60, ge=0, le=86_400)


class Notify(Section):
    """A command that is told how a run ended.

    Args:
        command: the program and its arguments; no shell reads them. `{job}` and `{date}` are replaced.
        on: how a run has to end for that.
    """

    command: tuple[str, ...] = Field(min_length=1)
    on: tuple[Event, ...] = ("failed", "refused", "drift", "bad_rows", "locked")


class Schedule(Section):
    """When a scheduler starts the file's jobs.

    Args:
        at: hours and minutes, such as "03:30".
        timezone: of `at`, and of the day that a run is for.
        days: every day without.
    """

    at: Annotated[str, BeforeValidator(_clock), AfterValidator(_time)]
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    days: tuple[Day, ...] | None = Field(default=None, min_length=1)


class Job(Section):
    """Score this source with this bundle into that sink. Relative paths start from the job file's folder.

    Args:
        bundle: its folder, a link to it, or its address in an object store.
        sha256: of the bundle's SHA256SUMS; another bundle is refused.
        ids, passthrough: columns of the source that are copied to the scores, beside those that the bundle knows.
        mask: columns that quarantine shows as ***.
        side: side tables that replace the bundle's own.
        engine: what scores: this process, or with `ray` the cluster at RAY_ADDRESS, else one on this machine.
        chunk_rows: rows of a part; as `solvent score` takes them where it is not given.
        alarms: without, drift is reported, and raises no alarm.
        scoring: replaces values of the solution's `scoring` settings.
        keep: runs of a folder output that stay on the disk.
        keep_days: outputs of days that lie further back than this are removed once a run is published; without, none.
        metrics: a file `*.prom` for Prometheus's node exporter, written after each run.
    """

    bundle: Annotated[str, Field(min_length=1), AfterValidator(_place)]
    sha256: Annotated[str, AfterValidator(_hash)] | None = None
    source: Source
    sink: Sink
    ids: tuple[str, ...] = ()
    passthrough: tuple[str, ...] = ()
    mask: tuple[str, ...] = ()
    side: dict[str, Source] = Field(default_factory=dict)
    engine: Name = "local"
    chunk_rows: int | None = Field(default=None, ge=1)
    limits: Limits = Limits()
    alarms: Alarms | None = None
    scoring: dict[str, JSON] = Field(default_factory=dict)
    keep: int = Field(default=3, ge=1)
    keep_days: int | None = Field(default=None, ge=1, le=3650)
    metrics: Annotated[str, AfterValidator(_prom)] | None = None
    retries: Retries = Retries()
    notify: Notify | None = None
    schedule: Schedule | None = None

    @property
    def dated(self) -> dict[str, JSON]:
        """The parts that may name `{date}`, as they were given."""
        return {
            "source": self.source.model_dump(exclude_unset=True),
            "sink": self.sink.model_dump(exclude_unset=True),
            "side": {name: source.model_dump(exclude_unset=True) for name, source in self.side.items()},
        }


@dataclass(frozen=True)
class JobFile:
    """A job file that has been read and checked.

    Args:
        path: absolute; a link stays one.
        jobs: by their names; one that stands alone is called as the file is.
    """

    path: Path
    jobs: Mapping[str, Job]
    schedule: Schedule | None

    @property
    def base(self) -> Path:
        """The folder that relative paths start from."""
        return self.path.parent

    def today(self) -> date:
        """The day that it is now in the schedule's time zone."""
        return datetime.now(ZoneInfo(self.schedule.timezone if self.schedule else "UTC")).date()


@dataclass(frozen=True)
class Planned:
    """What a job reads and writes on one day: dates are written out, paths are absolute.

    Args:
        bundle: a path, or an address in an object store.
    """

    bundle: str
    source: Source
    sink: Sink
    side: Mapping[str, Source]

    @property
    def places(self) -> tuple[tuple[str, ...], ...]:
        """Where the scores go, then where what belongs to them goes: two jobs may share none of it."""
        written = self.sink.path or self.sink.folder or ""
        if stores.is_address(written):
            return ((written.rstrip("/"),),)
        folder = (os.path.realpath(Path(written).parent), Path(written).name)  # an output may itself be a link
        return (folder,) if self.sink.sql is None else ((self.sink.sql, self.sink.table or ""), folder)


def planned(job: Job, day: date, base: Path) -> Planned:
    """What the job reads and writes on that day.

    Args:
        base: the job file's folder.
    """
    return Planned(
        bundle=_absolute(job.bundle, base),
        source=_on(job.source, day, base),
        sink=_on(job.sink, day, base),
        side={name: _on(source, day, base) for name, source in job.side.items()},
    )


def _on(part: Part, day: date, base: Path) -> Part:
    given = dates.rendered(part.model_dump(exclude_unset=True), day)
    for key in ("path", "folder"):
        if given.get(key) is not None:
            given[key] = _absolute(given[key], base)
    if given.get("sql") is not None:
        given["sql"] = SQLITE_FILE.sub(lambda found: found[1] + _absolute(found[2], base), given["sql"])
    return type(part).model_validate(given)


def _absolute(path: str, base: Path) -> str:
    if stores.is_address(path):
        return path
    # Path.expanduser raises where a name after ~ is nobody's; such a path is one that isn't there
    return str(base / os.path.expanduser(path))  # noqa: PTH111
