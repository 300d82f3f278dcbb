"""Look for what would fail in the night: score the first rows in memory, try every place and program."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from .. import fetched, stores, tables
from ..errors import Refused, SolventError
from ..wording import listed, many, suggestion
from . import history
from .job import Job, JobFile, Planned, planned
from .notify import program
from .run import load_bundle, metrics_file, set_threads, wait_for
from .schedules import skipped

if TYPE_CHECKING:
    from ..bundle import Bundle
    from ..score.parts import Scored

__all__ = ["Finding", "check"]

FIRST_ROWS, FIRST_IMAGES = 1_000, 50
COPIES = 2  # of the scores on the disk at once: the parts, and the one file that they are joined into


@dataclass(frozen=True)
class Finding:
    """What was looked at, and what came of it.

    Args:
        what: such as "output".
        said: the problem and its cure, or what is well.
    """

    job: str
    what: str
    good: bool
    said: str


def check(file: JobFile, day: date) -> list[Finding]:
    """Check every job of the file as it would run for that day. Nothing is published, and nothing is left behind."""
    set_threads({job.limits.threads for job in file.jobs.values()}.pop())
    return [finding for name, job in file.jobs.items() for finding in _Checks(name, job, day, file).all()]


@dataclass(frozen=True)
class First:
    """The first rows of a source, and what became of them.

    Args:
        whole: whether these are all rows that there are.
        ids: the columns of the output that tell the rows apart.
    """

    whole: bool
    scored: Scored
    ids: tuple[str, ...]


class _Checks:
    """The checks of one job; those that build on one that failed are left out."""

    def __init__(self, name: str, job: Job, day: date, file: JobFile) -> None:
        self.name, self.job, self.file = name, job, file
        self.plan: Planned = planned(job, day, file.base)
        self.findings: list[Finding] = []
        self._bundle: Bundle | None = None
        self._columns: list[str] = []
        self._first: First | None = None

    def all(self) -> list[Finding]:
        self._try("bundle", self._load)
        self._try("source", self._source)
        if self._bundle is not None:
            self._try("first rows", self._score)
        if self._columns:
            self._try("names", self._names)
        if self.plan.sink.path is not None or self.plan.sink.folder is not None:
            self._try("output", self._write)
        if self.plan.sink.sql is not None and self._first is not None:
            self._try("database", self._database)
        if self.job.engine == "ray":
            self._try("engine", self._engine)
        if self.job.limits.least_share is not None:
            self._try("history", self._history)
        if self.job.metrics is not None:
            self._try("metrics", self._metrics)
        if self.job.notify is not None:
            self._try("notify", self._notify)
        if self.file.schedule is not None:
            self._try("schedule", self._schedule)
        return self.findings

    def _try(self, what: str, step: Callable[[], str]) -> None:
        try:
            good, said = True, step()
        except SolventError as error:
            good, said = False, str(error)
        except OSError as error:
            good, said = False, f"{error.filename or 'a file'}: {error.strerror or error}."
        self.findings.append(Finding(self.name, what, good, said))

    def _load(self) -> str:
        self._bundle = load_bundle(self.job, self.plan, {})
        pinned = "the expected one" if self.job.sha256 else f"sha256 {self._bundle.sha256}"
        return f"{self.plan.bundle}: {self._bundle.facts['solution']}, {pinned}"

    def _source(self) -> str:
        # as the bundle reads it, if there is one
        source = self._bundle.source(self.plan.source) if self._bundle is not None else self.plan.source
        wait_for(self.job, source)
        label, files = tables.label(source), tables.files(source)
        return f"{label}: {many(len(files), 'file')}" if files else label

    def _score(self) -> str:
        from ..score.parts import UNWRITABLE, Layout, Part, score_part

        assert self._bundle is not None
        bundle, source = self._bundle, self._bundle.source(self.plan.source)
        schema = bundle.schema.carrying(self.job.ids, self.job.passthrough)
        most = FIRST_IMAGES if any(field.kind == "image" for field in schema.features) else FIRST_ROWS
        pieces = tables.chunks(source, most)
        raw = next(pieces)
        self._columns = [str(name) for name in raw.columns if name != tables.BAD_ROW]
        layout = Layout.of(schema, bundle.outputs, raw, self.job.passthrough, joins=bundle.joins)
        scored = score_part(
            Part(raw),
            schema,
            bundle.scorer({name: tables.read(side) for name, side in self.plan.side.items()}),
            layout,
            label=tables.label(source),
            folder=tables.folder(source),
            mask=self.job.mask,
            unwritable=UNWRITABLE.get(Path(self.plan.sink.path or "x.sql").suffix[1:].lower()),
        )
        self._first = First(next(pieces, None) is None, scored, layout.ids)
        self._refuse_bad(scored)
        self._refuse_few(source)
        table = scored.scored
        return f"{table.num_rows:,} of {many(scored.rows, 'row')} scored; columns {listed(table.column_names)}"

    def _refuse_bad(self, scored: Scored) -> None:
        bad, rows = scored.set_aside.num_rows, scored.rows
        if rows and bad / rows > self.job.limits.max_bad:
            usual = "; ".join(f"{kind} ({count})" for kind, count in scored.reasons.most_common(3))
            raise Refused(
                f"{bad} of the first {many(rows, 'row')} can't be scored; limits.max_bad allows "
                f"{self.job.limits.max_bad:.2%}. Most often: {usual}. The first is row "
                f"{scored.set_aside['row'][0]}. Mend the rows, or allow more."
            )

    def _refuse_few(self, source: tables.Source) -> None:
        rows, least = self._rows(source), self.job.limits.min_rows
        if rows is not None and rows < least:
            about = "" if self._first and self._first.whole else "about "
            raise Refused(
                f"{about}{many(rows, 'row')}, and limits.min_rows expects {least:,}. Look at where the source comes "
                "from, or expect fewer."
            )

    def _rows(self, source: tables.Source) -> int | None:
        """How many rows the source has, about, as far as that is known without reading it."""
        if self._first is not None and self._first.whole:
            return self._first.scored.rows
        return tables.rows(source)

    def _names(self) -> str:
        """Names that no column has; those in ids and passthrough scoring the first rows has refused itself."""
        assert self._bundle is not None
        watched = [*self._bundle.reference["inputs"], *self._bundle.reference["outputs"]]
        ignored = self.job.alarms.ignore if self.job.alarms is not None else ()
        said = [
            f"{key}: there is no column {name!r}.{suggestion(name, known)} Known: {listed(known)}."
            for key, names, known in (("mask", self.job.mask, self._columns), ("alarms.ignore", ignored, watched))
            for name in names
            if name not in known
        ]
        if said:
            raise Refused(" ".join(said))
        return "mask and alarms.ignore name columns that are there"

    def _write(self) -> str:
        from ..score.publish import Destination
        from ..score.remote import Remote

        if self.plan.sink.path is not None and stores.is_address(self.plan.sink.path):
            address = self.plan.sink.path.rstrip("/")
            remote = Remote(address, Destination(fetched.out(address)))
            remote.refuse_what_is_not_ours()
            remote.try_to_write()
            return f"{address} can be written to"
        path = Path(self.plan.sink.path or self.plan.sink.folder or "")
        Destination(path).refuse_what_is_not_ours()
        folder = next(each for each in path.parents if each.exists())
        if not folder.is_dir():
            raise Refused(f"{folder} is a file, so that nothing can be written below it. Name another sink.")
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
        except PermissionError as error:
            raise Refused(
                f"{folder} can't be written to by this user. Change its owner, or name another sink."
            ) from error
        free = shutil.disk_usage(folder).free
        rows = self._rows(self.plan.source) if self._first is not None else None
        table = self._first.scored.scored if self._first is not None else None
        if rows is None or table is None or not table.num_rows:
            return f"{folder} can be written to; {free / 1e9:,.1f} GB are free"
        width = len(table.to_pandas().to_csv(index=False).encode()) / table.num_rows
        need = COPIES * rows * width
        said = f"about {need / 1e9:,.2f} GB are needed ({COPIES} x {rows:,} rows x {width:.0f} bytes)"
        said += f", {free / 1e9:,.2f} GB are free"
        if need > free:
            raise Refused(f"{folder}: {said}. Make room, or name another disk.")
        return f"{folder} can be written to; {said}"

    def _database(self) -> str:
        from ..score.sql import check as check_table

        assert self._first is not None
        check_table(self.plan.sink, self._first.scored.scored.column_names, self._first.ids)
        return f"the table {self.plan.sink.table} can take the scores ({self.plan.sink.mode})"

    def _engine(self) -> str:
        from ..score.actors import connected, ray_itself

        ray = ray_itself()
        with connected(ray):
            return f"Ray {ray.__version__}: {many(int(ray.cluster_resources().get('CPU', 0)), 'processor')}"

    def _history(self) -> str:
        history.refuse_unwritable(self.file)
        return "how many rows are usual can be read and written down"

    def _metrics(self) -> str:
        path = metrics_file(self.job, self.file.base)
        folder = next(each for each in path.parents if each.exists())
        with tempfile.TemporaryFile(dir=folder):
            pass
        return f"{path} can be written"

    def _notify(self) -> str:
        assert self.job.notify is not None
        return f"{program(self.job.notify, self.file.base)} on {', '.join(self.job.notify.on)}"

    def _schedule(self) -> str:
        assert self.file.schedule is not None
        schedule = self.file.schedule
        said = f"{schedule.at} {schedule.timezone}, {', '.join(schedule.days or ('every day',))}"
        gap = skipped(schedule, self.file.today())
        return f"{said}; there is no such time on {gap}, and systemd skips that day" if gap else said
