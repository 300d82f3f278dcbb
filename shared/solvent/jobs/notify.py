"""Tell a command how a run ended. What goes wrong with that is logged, and changes nothing else."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from ..errors import Refused
from . import dates
from .job import Event, Notify

__all__ = ["program", "tell"]

log = logging.getLogger("solvent")
EVENTS: Mapping[int, Event] = {0: "done", 1: "failed", 2: "refused", 3: "drift", 4: "bad_rows", 5: "locked"}
MOST_SECONDS = 60
MOST_LETTERS = 10_000  # of a message; the system limits what an environment may hold


def tell(notify: Notify, outcome: Mapping[str, Any], base: Path) -> None:
    """Start the command if the job asks for it, and wait for its end, a minute at most.

    Args:
        outcome: as `Outcome.to_json` gives it.
        base: the job file's folder.
    """
    if EVENTS[outcome["exit_code"]] not in notify.on:
        return
    values = {
        "SOLVENT_JOB": outcome["job"],
        "SOLVENT_DATE": outcome["date"],
        "SOLVENT_EXIT": str(outcome["exit_code"]),
        "SOLVENT_MESSAGE": outcome["message"].replace("\0", " ")[:MOST_LETTERS],
    }
    manifest = outcome["manifest"]
    # files, since a pipe would be waited for as long as a child of the command has it open
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(b"" if manifest is None else json.dumps(manifest, ensure_ascii=False).encode())
        given.seek(0)
        try:
            done = subprocess.run(
                _argv(notify, outcome, base),
                env={**os.environ, **values},
                cwd=base,
                stdin=given,
                stdout=said,
                stderr=subprocess.STDOUT,
                timeout=MOST_SECONDS,
                check=False,
            )
        except (Refused, OSError, subprocess.SubprocessError) as error:
            log.error("%s %s: notify failed: %s", outcome["job"], outcome["date"], error)
            return
        if done.returncode:
            said.seek(0)
            text = said.read(MOST_LETTERS).decode("utf-8", "replace").strip()
            log.error(
                "%s %s: notify failed: %s ended with %d. %s",
                *(outcome["job"], outcome["date"], notify.command[0], done.returncode, text),
            )


def program(notify: Notify, base: Path) -> str:
    """Where the command's program is: beside the job file, else in PATH, for a name without a slash.

    Raises:
        Refused: if it is not there, or not executable.
    """
    name = str(Path(notify.command[0]).expanduser()) if notify.command[0].startswith("~/") else notify.command[0]
    if "/" in name:
        found = shutil.which(base / name)
    else:
        found = shutil.which(name, path=os.pathsep.join([str(base), os.environ.get("PATH", os.defpath)]))
    if found is None:
        raise Refused(
            f"there is no executable program {notify.command[0]!r}, beside the job file or in PATH. Correct "
            "notify.command, or chmod +x it."
        )
    return str(found)


def _argv(notify: Notify, outcome: Mapping[str, Any], base: Path) -> list[str]:
    day = date.fromisoformat(outcome["date"])
    arguments = (dates.rendered(each, day).replace("{job}", outcome["job"]) for each in notify.command[1:])
    return [program(notify, base), *arguments]
