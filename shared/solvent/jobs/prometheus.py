"""How the last run of a job ended, in a file that Prometheus's node exporter reads (its textfile collector)."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..files import replacing
from ..solution import JSON

__all__ = ["text", "write"]

log = logging.getLogger("solvent")
SUCCESS = "solvent_job_last_success_timestamp_seconds"
PUBLISHED = (0, 3)  # exit codes
GAUGES: Mapping[str, str] = {
    "solvent_job_exit_code": "How the last run ended: 0 done, 1 failed, 2 refused, 3 drift, 4 bad rows, 5 locked.",
    "solvent_job_last_end_timestamp_seconds": "When the last run ended, however it did.",
    SUCCESS: "When a run last published its scores.",
    "solvent_job_seconds": "How long the last run took, with its retries.",
    "solvent_job_rows_read": "Rows that the source of the last run had.",
    "solvent_job_rows_scored": "Rows that the last run scored.",
    "solvent_job_rows_set_aside": "Rows that the last run put into quarantine.",
    "solvent_job_rows_joined": "Rows of the last run that another row of their entity stands for.",
    "solvent_job_rows_context": "Rows of the last run that were read for others' sake only.",
    "solvent_job_drift_alarms": "Columns that raised a drift alarm in the last run.",
    "solvent_job_expected": "What the decisions of the last run may be expected to reach, before labels are known.",
    "solvent_job_bundle_info": "1, with the sha256 of the bundle that the last run scored with.",
}


def write(path: Path, outcome: Mapping[str, Any], seconds: float) -> None:
    """Write the file whole, in one step. What goes wrong with that is logged, and changes nothing else.

    Args:
        outcome: as `Outcome.to_json` gives it.
        seconds: that the run took.
    """
    try:
        before = path.read_text(encoding="utf-8") if path.is_file() else ""
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(text(outcome, seconds, time.time(), before), encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        log.error("%s %s: metrics could not be written: %s", outcome["job"], outcome["date"], error)


def text(outcome: Mapping[str, Any], seconds: float, now: float, before: str = "") -> str:
    """The file's content: rows, drift and bundle only of a run that has published.

    Args:
        now: seconds since 1970.
        before: what the file held; a run that fails takes over from it when one last succeeded.
    """
    found: dict[str, list[tuple[dict[str, str], float]]] = {name: [] for name in GAUGES}
    for name, labels, value in _samples(outcome, seconds, now, before):
        found[name].append(({"job": outcome["job"], **labels}, value))
    lines = []
    for name, samples in found.items():
        if samples:
            lines += [f"# HELP {name} {GAUGES[name]}", f"# TYPE {name} gauge"]
            lines += [f"{name}{{{_labels(labels)}}} {value!r}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _samples(
    outcome: Mapping[str, Any], seconds: float, now: float, before: str
) -> Iterator[tuple[str, dict[str, str], float]]:
    manifest: Mapping[str, JSON] | None = outcome["manifest"]
    yield "solvent_job_exit_code", {}, outcome["exit_code"]
    yield "solvent_job_last_end_timestamp_seconds", {}, round(now, 3)
    yield "solvent_job_seconds", {}, round(seconds, 3)
    success = re.search(rf"^{SUCCESS}\{{.*\}} ([0-9.]+)$", before, re.MULTILINE)
    if outcome["exit_code"] in PUBLISHED:
        yield SUCCESS, {}, round(now, 3)
    elif success:
        yield SUCCESS, {}, float(success[1])
    if manifest is None:
        return
    for name in ("read", "scored", "set_aside", "joined", "context"):
        yield f"solvent_job_rows_{name}", {}, manifest[f"rows_{name}"]
    drift = manifest["drift"]
    yield "solvent_job_drift_alarms", {}, len(drift["alarms"])
    for output, expected in drift.get("expected", {}).items():
        for measure, found in expected["measures"].items():
            if found["value"] is not None:
                yield "solvent_job_expected", {"output": output, "metric": measure}, found["value"]
    bundle = {"solution": manifest["solution"], "sha256": manifest["bundle_sha256"]}
    yield "solvent_job_bundle_info", bundle, 1


def _labels(labels: Mapping[str, str]) -> str:
    def quoted(value: str) -> str:
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'

    return ",".join(f"{name}={quoted(value)}" for name, value in labels.items())
