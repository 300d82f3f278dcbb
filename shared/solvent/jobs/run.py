"""Run the jobs of a file: day by day, with retries, whatever became of the ones before; and tell how it ended."""

from __future__ import annotations

import glob
import logging
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import fetched, stores, tables
from ..errors import BarMissed, Locked, Refused, SolventError, TooManyBadRows
from ..solution import JSON
from ..tables import folders, image_folders
from ..wording import listed, many
from . import dates, history, prometheus
from .job import Job, JobFile, Planned, planned
from .notify import tell
from .retention import remove_old

if TYPE_CHECKING:
    from ..bundle import Bundle

__all__ = ["Outcome", "days", "load_bundle", "metrics_file", "run", "set_threads", "verdict", "wait_for"]

log = logging.getLogger("solvent")
MOST_DAYS = 10_000
WORST_FIRST: tuple[type[SolventError], ...] = (SolventError, Refused, TooManyBadRows, Locked, BarMissed)
NOT_STARTED = "not started, since this process was told to end (SIGTERM). Run the same command again."


class OutOfTime(SolventError):
    """limits.max_minutes ended the run, so that going on at once would undo the limit."""


@dataclass(frozen=True)
class Outcome:
    """How one run ended.

    Args:
        exit_code: as the command line has them.
        message: one sentence or more, for people.
        manifest: what was published, or None.
        may_retry: whether it may go better at once.
    """

    job: str
    day: date
    exit_code: int
    message: str
    manifest: dict[str, JSON] | None = None
    may_retry: bool = False

    def to_json(self) -> dict[str, JSON]:
        return {
            "job": self.job,
            "date": self.day.isoformat(),
            "exit_code": self.exit_code,
            "message": self.message,
            "manifest": self.manifest,
        }


def days(file: JobFile, day: str | None = None, first: str | None = None, last: str | None = None) -> list[date]:
    """The days to run for: the one given, today in the schedule's time zone, or each from `first` to `last`.

    Raises:
        Refused: for what is no day or no range; for several days, if a job would do the same on each of them, or
            replace the scores of the day before.
    """
    if day is not None and (first is not None or last is not None):
        raise Refused("--date names one day, --from and --to name several. Give one or the other.")
    if (first is None) != (last is None):
        raise Refused("--from and --to need each other: both days are run, and all between them.")
    if first is None or last is None:
        return [dates.day_of(day) if day is not None else file.today()]
    start, end = dates.day_of(first), dates.day_of(last)
    count = (end - start).days + 1
    if not 1 <= count <= MOST_DAYS:
        raise Refused(f"--from {first} --to {last}: expected 1 to {MOST_DAYS:,} days, in their order.")
    found = [start + timedelta(days=number) for number in range(count)]
    for name, job in file.jobs.items():
        _refuse_repetition(name, job, found, file)
    return found


def _refuse_repetition(name: str, job: Job, found: Sequence[date], file: JobFile) -> None:
    if not dates.named(job.dated):
        raise Refused(f"{name}: no text of its source, sink or side names {{date}}, so that every day is the same run.")
    if job.sink.sql is not None and job.sink.mode == "merge":
        return
    seen: dict[tuple[str, ...], date] = {}
    for day in found:
        before = seen.setdefault(planned(job, day, file.base).places[0], day)
        if before != day:
            raise Refused(
                f"{name}: the scores of {day} would replace those of {before}. Name {{date}} in the sink"
                f"{', or merge: mode: merge' if job.sink.sql is not None else ''}."
            )


def run(file: JobFile, on: Sequence[date]) -> list[Outcome]:
    """Run every job of the file for every day, one after the other; after SIGTERM no further one is started.

    Raises:
        Refused: if the number of threads can't be set any more.
    """
    set_threads({job.limits.threads for job in file.jobs.values()}.pop())
    outcomes: list[Outcome] = []
    for name, job in file.jobs.items():
        bundles: dict[str, Bundle] = {}
        for day in on:
            if outcomes and _stopped():
                outcomes.append(Outcome(name, day, SolventError.exit_code, NOT_STARTED))
                continue
            started = time.monotonic()
            outcome = _with_retries(name, job, day, file, bundles)
            outcomes.append(outcome)
            seconds = time.monotonic() - started
            _tell_log(outcome, seconds)
            if job.metrics is not None:
                prometheus.write(metrics_file(job, file.base), outcome.to_json(), seconds)
            if outcome.exit_code and (len(on) > 1 or len(file.jobs) > 1):  # of a single one the verdict says it
                log.error("%s %s: %s", name, day, outcome.message)
            if job.notify is not None:
                tell(job.notify, outcome.to_json(), file.base)
    return outcomes


def metrics_file(job: Job, base: Path) -> Path:
    """Where a job's metrics go."""
    return base / os.path.expanduser(job.metrics or "")  # noqa: PTH111  (raises where the name is nobody's)


def _tell_log(outcome: Outcome, seconds: float) -> None:
    """One record of how a run ended, whose fields a system that collects logs can search."""
    manifest: dict[str, JSON] = outcome.manifest or {}
    fields: dict[str, JSON] = {"job": outcome.job, "date": outcome.day.isoformat(), "exit_code": outcome.exit_code}
    fields |= {name: manifest[name] for name in ("rows_read", "rows_scored", "rows_set_aside") if name in manifest}
    log.info(
        "%s %s: ended with exit code %d after %.1f s",
        *(outcome.job, outcome.day, outcome.exit_code, seconds),
        extra={"fields": {**fields, "seconds": round(seconds, 3), "bundle_sha256": manifest.get("bundle_sha256")}},
    )


def verdict(outcomes: Sequence[Outcome]) -> SolventError | None:
    """The error to end with: of the worst kind, failed, refused, too many bad rows, locked, drift in this order."""
    bad = [outcome for outcome in outcomes if outcome.exit_code]
    if not bad:
        return None
    codes = {outcome.exit_code for outcome in bad}
    kind = next(kind for kind in WORST_FIRST if kind.exit_code in codes)
    if len(outcomes) == 1:
        return kind(bad[0].message)
    said = listed((f"{each.job} {each.day} (exit {each.exit_code})" for each in bad), most=10)
    return kind(f"{len(bad)} of {many(len(outcomes), 'run')} did not end well: {said}.")


def _with_retries(name: str, job: Job, day: date, file: JobFile, bundles: dict[str, Bundle]) -> Outcome:
    wait = job.retries.wait_seconds
    for left in range(job.retries.times, -1, -1):
        outcome = _once(name, job, day, file, bundles)
        if not outcome.may_retry or _stopped() or not left:
            return outcome
        log.warning(
            "%s %s: %s Trying again in %g s (%s left).",
            name,
            day,
            outcome.message,
            wait,
            many(left, "retry", "retries"),
        )
        time.sleep(wait)
        wait *= 2
    raise AssertionError("the last try returns")


def _once(name: str, job: Job, day: date, file: JobFile, bundles: dict[str, Bundle]) -> Outcome:
    log.info("%s %s: started", name, day)
    try:
        manifest = _scored(name, job, day, file, bundles)
    except SolventError as error:
        may_retry = error.exit_code == SolventError.exit_code and not isinstance(error, OutOfTime)
        outcome = Outcome(name, day, error.exit_code, str(error), may_retry=may_retry)
    except OSError as error:
        said = f"{error.filename or 'a file'}: {error.strerror or error}."
        outcome = Outcome(name, day, SolventError.exit_code, said, may_retry=True)
    except Exception as error:  # whatever it is, the operator is told, and the other jobs are run
        log.exception("%s %s: a mistake of Solvent's, or of the solution's; please report it", name, day)
        said = f"unexpected {type(error).__name__}: {error}. Please report it, with the log."
        outcome = Outcome(name, day, SolventError.exit_code, said, may_retry=True)
    else:
        outcome = _ended(name, day, manifest)
    return outcome


def _ended(name: str, day: date, manifest: dict[str, Any]) -> Outcome:
    said = (
        f"{many(manifest['rows_scored'], 'row')} scored, {manifest['rows_set_aside']:,} set aside: {manifest['output']}"
    )
    alarms = (manifest.get("drift") or {}).get("alarms")
    if alarms:
        said = f"the data have drifted: {' '.join(alarms)} Published all the same: {said}"
    return Outcome(name, day, BarMissed.exit_code if alarms else 0, said, manifest)


def _scored(name: str, job: Job, day: date, file: JobFile, bundles: dict[str, Bundle]) -> dict[str, JSON]:
    from ..score import score, stop

    plan, limits = planned(job, day, file.base), job.limits
    bundle = load_bundle(job, plan, bundles)
    source = bundle.source(plan.source)
    wait_for(job, source)
    usual = history.fewest(file, name, day, limits.least_share) if limits.least_share is not None else 0
    side = {name: tables.read(source) for name, source in plan.side.items()}
    try:
        manifest = score(
            bundle,
            source,
            plan.sink,
            engine=job.engine,
            chunk_rows=job.chunk_rows,
            max_bad=limits.max_bad,
            side=side,
            keep=job.keep,
            ids=job.ids,
            passthrough=job.passthrough,
            mask=job.mask,
            min_rows=max(limits.min_rows, usual),
            max_minutes=limits.max_minutes,
            alarms=job.alarms,
            earlier=history.earlier(file, name, day),
        )
    except SolventError as error:
        # asked here alone, since it holds until the next scoring begins
        if error.exit_code == SolventError.exit_code and stop.timed_out():
            raise OutOfTime(str(error)) from error
        raise
    if limits.least_share is not None or (manifest.get("drift") or {}).get("expected"):
        history.enter(file, name, day, manifest)
    remove_old(job, day, file.base)
    return manifest


def wait_for(job: Job, source: tables.Source) -> None:
    """Raise SolventError, so that it is tried again, if the day's source isn't there yet, or not long enough.

    Nor is a folder or a pattern there yet that holds no table file and no image. A source without `{date}` is expected
    to be there: reading refuses a missing one.

    Args:
        source: the day's, as the bundle reads it.
    """
    path, quiet_seconds = source.path, job.limits.quiet_seconds
    dated = dates.named(job.source.path)
    if not dated and not quiet_seconds:
        return
    try:
        files = tables.files(source)
    except Refused as error:
        if path is None or not dated or _is_there(path, every=source.every):
            raise
        said = str(error) if Path(path).is_dir() else f"There is no {path} (yet)."
        raise SolventError(f"{said} It may come: try again later.") from error
    if not quiet_seconds:
        return
    newest = max(((file.stat().st_mtime, file) for file in files), default=None)
    if newest is not None and (age := time.time() - newest[0]) < quiet_seconds:
        raise SolventError(
            f"{newest[1]} was written to {max(age, 0):.0f} s ago: still being written? Expected {quiet_seconds:g} s "
            "without a change (limits.quiet_seconds). Try again later."
        )


def _is_there(path: str, *, every: bool) -> bool:
    """Whether there is a file, or a table file or an image in the folder or the pattern, whatever is wrong with it."""
    if stores.is_address(path):
        try:
            path = str(fetched.fetched(path))
        except Refused:
            return False
    if Path(path).is_dir():
        return not folders.holds_images(Path(path)) or image_folders.any_in(Path(path), every=every)
    named = set(Path(path).parts)
    fitting = map(Path, glob.glob(path, recursive=True))  # noqa: PTH207
    shown = (file for file in fitting if not any(part.startswith("_") for part in {*file.parts} - named))
    return Path(path).exists() or any(map(tables.is_table, shown))


def load_bundle(job: Job, plan: Planned, loaded: dict[str, Bundle]) -> Bundle:
    """Load the job's bundle, or take the loaded one while the folder, or the link, still gives the same.

    Args:
        loaded: bundles by their sha256; gets this one.

    Raises:
        Refused: if it is no bundle, or not the one that the job expects.
    """
    from ..bundle import SUMS, Bundle
    from ..files import sha256

    folder = fetched.local(plan.bundle)  # the one that is meant, whatever lies at its address a moment later
    sums = folder / SUMS
    there = sha256(sums) if sums.is_file() else None
    if there is not None and job.sha256 not in (None, there):
        raise Refused(
            f"{plan.bundle} is another bundle than the job expects: its SHA256SUMS have the sha256 {there}, and "
            f"sha256: says {job.sha256}. Put the expected one back, or write the new one's into the job."
        )
    if there is None or there not in loaded:
        loaded.clear()  # two in memory are one too many
        bundle = Bundle.load(folder)
        with fetched.named():
            bundle = bundle.with_scoring(job.scoring) if job.scoring else bundle
        if job.sha256 not in (None, bundle.sha256):
            raise SolventError(f"{plan.bundle} was changed while it was loaded. Try again.")
        loaded[bundle.sha256] = bundle
        return bundle
    return loaded[there]


def set_threads(threads: int | None) -> None:
    """Set how many threads TensorFlow, OpenMP and pyarrow use in this process; None leaves them as they are.

    Raises:
        Refused: if TensorFlow runs already, with another number.
    """
    if threads is None:
        return
    import pyarrow

    if "tensorflow" in sys.modules and os.environ.get("TF_NUM_INTRAOP_THREADS") != str(threads):
        raise Refused(
            f"limits.threads: {threads} can't be set any more, since TensorFlow runs already in this process. Run the "
            "job in a process of its own: solvent job run."
        )
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = str(threads)
    pyarrow.set_cpu_count(threads)


def _stopped() -> bool:
    from ..score.stop import asked

    return asked()
