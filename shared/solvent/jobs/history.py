"""What a job's published runs had, in a file beside the job file: how many rows, what their decisions were expected to
reach, and what labels that came later said of them."""

from __future__ import annotations

import json
import logging
import math
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TypeVar

from ..errors import Refused, SolventError
from ..solution import JSON
from .job import JobFile

__all__ = ["earlier", "enter", "enter_labels", "fewest", "refuse_unwritable", "runs"]

T = TypeVar("T")
log = logging.getLogger("solvent")
LAST_DAYS, SHOWN_DAYS = 10, 30


def fewest(file: JobFile, job: str, day: date, share: float) -> int:
    """The least that a source must have: a share of the median of the rows of the ten latest days before, or 0.

    Raises:
        SolventError: if what is usual can't be read.
    """
    try:
        rows = dict(_entries(_path(file), job, _rows, before=day))
    except OSError as error:
        raise SolventError(_unusable(file, error)) from error
    last = [rows[each] for each in sorted(rows)[-LAST_DAYS:]]
    return math.ceil(share * statistics.median(last)) if last else 0


def enter(file: JobFile, job: str, day: date, manifest: Mapping[str, JSON]) -> None:
    """Append a published run, unless the last one of its day was the same.

    What goes wrong with that is logged: the scores are published all the same.
    """
    expected = (manifest.get("drift") or {}).get("expected") or {}
    entry = {
        "job": job,
        "date": day.isoformat(),
        # those of which a score was wanted; a manifest of before there was context names none
        "rows": manifest["rows_read"] - manifest.get("rows_context", 0),
        "identity": manifest["identity"],
        "expected": {name: each["measures"] for name, each in expected.items()},
    }
    try:
        _append(file, entry)
    except OSError as error:
        log.warning("%s %s: published, but %s", job, day, _unusable(file, error))


def enter_labels(file: JobFile, job: str, day: date, identity: str, labels: Mapping[str, JSON]) -> None:
    """Append what labels said of a run, unless it is known; a later entry takes the place of an earlier one.

    Args:
        labels: by the output: `labelled`, `expected`, `realised`, `outside`.

    Raises:
        SolventError: if that can't be written.
    """
    try:
        _append(file, {"job": job, "date": day.isoformat(), "identity": identity, "labels": labels})
    except OSError as error:
        raise SolventError(_unusable(file, error)) from error


def runs(file: JobFile, job: str) -> dict[date, str]:
    """The identity of the last run of each day of which something was expected."""
    try:
        found = dict(_entries(_path(file), job, lambda entry: str(entry["identity"] if entry["expected"] else "")))
    except OSError as error:
        raise SolventError(_unusable(file, error)) from error
    return {day: identity for day, identity in sorted(found.items()) if identity}


def earlier(file: JobFile, job: str, day: date) -> list[dict[str, JSON]]:
    """What the runs of the 30 latest days before were expected to reach, and reached; the last day first.

    Returns:
        `date`, `rows`, and `outputs`: by name `labelled`, `expected`, `realised`, `outside`.
    """
    found: dict[date, dict[str, JSON]] = {}
    try:
        entries = list(_entries(_path(file), job, lambda entry: entry, before=day))
    except OSError as error:
        log.warning("%s %s: earlier runs are not shown: %s", job, day, _unusable(file, error))
        return []
    for when, entry in entries:
        if entry.get("expected"):
            outputs = {
                name: {"labelled": 0, "expected": measures, "realised": {}, "outside": []}
                for name, measures in entry["expected"].items()
            }
            # the same run may be entered again, and its labels stay what they are
            if found.get(when, {}).get("identity") != entry["identity"]:
                found[when] = {"date": when.isoformat(), **entry, "outputs": outputs}
        elif "labels" in entry and found.get(when, {}).get("identity") == entry["identity"]:
            found[when]["outputs"] |= entry["labels"]
    last = sorted(found, reverse=True)[:SHOWN_DAYS]
    return [{key: found[each][key] for key in ("date", "rows", "outputs")} for each in last]


def _append(file: JobFile, entry: Mapping[str, JSON]) -> None:
    if _last(file, entry) == json.loads(json.dumps(entry)):
        return  # the same run started again, or the same labels: the file would grow with each
    with _path(file).open("ab") as lines:
        # a line of its own, whatever a killed run has left of the last one
        lines.write(b"\n" + json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        lines.flush()
        os.fsync(lines.fileno())


def _last(file: JobFile, entry: Mapping[str, JSON]) -> Mapping[str, JSON] | None:
    """The last entry of the same job, day and sort; None if one of another run stands behind it."""
    last: Mapping[str, JSON] | None = None
    for day, each in _entries(_path(file), str(entry["job"]), lambda found: found):
        if day.isoformat() == entry["date"]:
            if ("labels" in each) == ("labels" in entry):
                last = each
            elif each.get("identity") != entry["identity"]:
                last = None
    return last


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
        f"{_path(file)} can't be read and written ({error.strerror or error}), and it keeps what earlier runs had: "
        "limits.least_share takes from it how many rows are usual, job labels what was expected. Make room and let "
        "this user write it and its folder, or leave least_share out."
    )


def _path(file: JobFile) -> Path:
    return file.path.with_name(f".{file.path.name}.history.jsonl")


def _rows(entry: Mapping[str, JSON]) -> int:
    return int(entry["rows"])


def _entries(
    path: Path, job: str, take: Callable[[Mapping[str, JSON]], T], before: date = date.max
) -> Iterator[tuple[date, T]]:
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            entry = json.loads(line)
            if entry["job"] == job and (day := date.fromisoformat(entry["date"])) < before:
                yield day, take(entry)
        except (ValueError, LookupError, TypeError):
            continue  # torn, or blank
