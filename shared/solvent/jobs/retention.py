"""What becomes of old outputs: those of days long past are removed, whole, and never the newest or one under way."""

from __future__ import annotations

import logging
import os
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from ..errors import Locked, Refused
from ..files import held
from ..score.publish import Destination
from . import dates
from .job import Job

__all__ = ["remove_old"]

log = logging.getLogger("solvent")
LOOKED_BACK = 3660  # days


def remove_old(job: Job, day: date, base: Path) -> int:
    """Remove what earlier runs have published for days that lie more than `keep_days` before `day`.

    It is called once the run of `day` is published, so that this one, or a later one, is the newest. What another
    process holds, what is to be gone on with, and what is not ours or was changed since, stays. What goes wrong is
    logged: the scores are published all the same.

    Returns:
        The number of days whose output was removed.
    """
    if job.keep_days is None or job.sink.path is None:
        return 0
    # a day before newer ones may be run again, and these stay whatever the sink's names have in common
    newer = max((datetime.now(UTC).date() - day).days + 1, 0)  # today may be tomorrow by the job's own clock
    kept = {_path(job, day + timedelta(days=each), base) for each in range(-job.keep_days, newer + 1)}
    removed = 0
    for age in range(job.keep_days + 1, LOOKED_BACK):
        old = day - timedelta(days=age)
        if old.year < dates.EARLIEST:
            break
        path = _path(job, old, base)
        if path not in kept:
            try:
                removed += _remove(Destination(path))
            except OSError as error:
                log.warning("%s could not be removed: %s", path, error)
    if removed:
        log.info("Removed what was published for %d days up to %s.", removed, day - timedelta(days=job.keep_days + 1))
    return removed


def _path(job: Job, day: date, base: Path) -> Path:
    # `planned` would check the whole job anew for each of thousands of days
    path = base / os.path.expanduser(dates.rendered(job.sink.path, day))  # noqa: PTH111
    return Path(os.path.abspath(path))  # noqa: PTH100  (links stay links)


def _remove(destination: Destination) -> bool:
    there = [path for path in destination.places if os.path.lexists(path)]
    if not there and not destination.runs.exists():
        return False
    try:
        with held(destination.runs, ""):
            if destination.unfinished():
                return False
            destination.refuse_what_is_not_ours()
            if destination.form != "folder" and there and destination.manifest not in there:
                return False  # without its manifest nothing says that it is ours
            # the manifest last: what is left of a removal that was killed is known by it
            for path in there:
                path.unlink()
            shutil.rmtree(destination.runs)
    except (Locked, Refused):
        return False
    return True
