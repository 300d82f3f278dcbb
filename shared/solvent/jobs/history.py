"""How many rows a job's published runs had, in a file beside the job file: what is usual, and what is far less."""

from __future__ import annotations

import json
import math
import os
import statistics
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

from ..solution import JSON
from .job import JobFile

__all__ = ["enter", "fewest"]

LAST_RUNS = 10


def fewest(file: JobFile, job: str, day: date, share: float) -> int:
    """The least that a source must have: a share of the median of the last ten other days' rows; 0 without any."""
    rows = {found_day: rows for found_day, rows in _entries(_path(file), job) if found_day != day.isoformat()}
    last = list(rows.values())[-LAST_RUNS:]
    return math.ceil(share * statistics.median(last)) if last else 0


def enter(file: JobFile, job: str, day: date, manifest: Mapping[str, JSON]) -> None:
    """Append a published run."""
    entry = {"job": job, "date": day.isoformat(), "rows": manifest["rows_read"], "identity": manifest["identity"]}
    with _path(file).open("ab") as lines:
        # a line of its own, whatever a killed run has left of the last one
        lines.write(b"\n" + json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        lines.flush()
        os.fsync(lines.fileno())


def _path(file: JobFile) -> Path:
    return file.path.with_name(f".{file.path.name}.history.jsonl")


def _entries(path: Path, job: str) -> Iterator[tuple[str, int]]:
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            entry = json.loads(line)
            if entry["job"] == job:
                yield entry["date"], int(entry["rows"])
        except (ValueError, LookupError, TypeError):
            continue  # torn, or blank
