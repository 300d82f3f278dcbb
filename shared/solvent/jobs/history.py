"""How many rows a job's published runs had, in a file beside the job file: what is usual, and what is far less."""

from __future__ import annotations

import json
import logging
import math
import os
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

from ..errors import Refused, SolventError
from ..solution import JSON
from .job import JobFile

__all__ = ["enter", "fewest", "refuse_unwritable"]

log = logging.getLogger("solvent")
LAST_DAYS = 10


def fewest(file: JobFile, job: str, day: date, share: float) -> int:
    """The least that a source must have: a share of the median of the rows of the ten latest days before, or 0.

    Raises:
        SolventError: if what is usual can't be read.
    """
    try:
        rows = {found: rows for found, rows in _entries(_path(file), job) if found < day}
    except OSError as error:
        raise SolventError(_unusable(file, error)) from error
    last = [rows[each] for each in sorted(rows)[-LAST_DAYS:]]
    return math.ceil(share * statistics.median(last)) if last else 0


def enter(file: JobFile, job: str, day: date, manifest: Mapping[str, JSON]) -> None:
    """Append a published run. What goes wrong with that is logged: the scores are published all the same."""
    entry = {"job": job, "date": day.isoformat(), "rows": manifest["rows_read"], "identity": manifest["identity"]}
    try:
        with _path(file).open("ab") as lines:
            # a line of its own, whatever a killed run has left of the last one
            lines.write(b"\n" + json.dumps(entry, ensure_ascii=False).encode() + b"\n")
            lines.flush()
            os.fsync(lines.fileno())
    except OSError as error:
        log.warning("%s %s: published, but %s", job, day, _unusable(file, error))


def refuse_unwritable(file: JobFile) -> None:
    """Raise Refused if the file can't be read and appended to, or made; it stays as it is."""
    path = Path(os.path.realpath(_path(file)))
    try:
        if path.exists():
            path.open("r+b").close()
        else:
            tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise Refused(_unusable(file, error)) from error


def _unusable(file: JobFile, error: OSError) -> str:
    return (
        f"{_path(file)} can't be read and written ({error.strerror or error}), and limits.least_share takes from it "
        "how many rows are usual. Make room and let this user write it and its folder, or leave least_share out."
    )


def _path(file: JobFile) -> Path:
    return file.path.with_name(f".{file.path.name}.history.jsonl")


def _entries(path: Path, job: str) -> Iterator[tuple[date, int]]:
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            entry = json.loads(line)
            if entry["job"] == job:
                yield date.fromisoformat(entry["date"]), int(entry["rows"])
        except (ValueError, LookupError, TypeError):
            continue  # torn, or blank
