"""The ledger of a run: a line for each finished part, appended once the part is on the disk.

A run that was killed is gone on with from here. A line counts if it is whole, and its part's files are as it says.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..files import sha256, sync_folder
from ..solution import JSON

__all__ = ["LEDGER", "Entry", "Ledger"]

log = logging.getLogger("solvent")
LEDGER = "ledger.jsonl"
SHORT = 32  # hexadecimal digits


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A finished part.

    Args:
        rows: how many were read; `scored`, `set_aside`, `joined` and `context` add up to it.
        files: sha256 by name in the run's folder: of the scored rows, then of the rows set aside if there are any.
        without_cells: columns of each file that hold nothing but nulls.
        digest: of the rows as they were read, where the source's files don't tell whether it has changed.
        reasons, notes: rows by kind of reason, and by what was noticed about them.
        drift: what the part adds to the counts of inputs and scores.
    """

    rows: int
    scored: int
    set_aside: int
    files: Mapping[str, str]
    without_cells: Mapping[str, list[str]]
    digest: str | None
    reasons: Mapping[str, int]
    notes: Mapping[str, int]
    drift: JSON
    joined: int = 0
    context: int = 0


class Ledger:
    """The finished parts of the run whose folder this is, in the source's order.

    Args:
        folder: is made if need be. Lines behind the first one that doesn't count are cut off.
        run: the marks of what it is known by; kept in the ledger's first line.
    """

    def __init__(self, folder: Path, run: Mapping[str, str]) -> None:
        self.folder, self._path = folder, folder / LEDGER
        self.token = secrets.token_hex(8)
        self.entries: list[Entry] = []
        self._ends: list[int] = []  # of the lines, the first one's too
        if self._path.exists():
            self._read()
        if not self._ends:
            self._begin(run)
        os.truncate(self._path, self._ends[-1])

    def _begin(self, run: Mapping[str, str]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._path.write_bytes(b"")
            self._append({"run": run, "token": self.token})
            sync_folder(self.folder)
            sync_folder(self.folder.parent)
        except OSError:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    @classmethod
    def run_of(cls, folder: Path) -> Mapping[str, str]:
        """The marks of the run in a folder; nothing where that can't be read."""
        try:
            with (folder / LEDGER).open("rb") as file:
                found: Mapping[str, str] = json.loads(file.readline())["run"]
                return found
        except (OSError, ValueError, LookupError, TypeError):
            return {}

    def add(self, entry: Entry) -> None:
        self._append(asdict(entry))
        self.entries.append(entry)

    @property
    def state(self) -> str:
        """What the run has come to: another name for other parts. A database knows by it what it has taken."""
        sums = [sorted(entry.files.items()) for entry in self.entries]
        return hashlib.sha256(json.dumps([self.token, sums]).encode()).hexdigest()[:SHORT]

    def forget(self, parts: int) -> None:
        """Keep only so many parts."""
        del self.entries[parts:], self._ends[parts + 1 :]
        os.truncate(self._path, self._ends[-1])

    def _append(self, line: Mapping[str, Any]) -> None:
        with self._path.open("ab") as file:
            file.write(json.dumps(line, ensure_ascii=False, allow_nan=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
            self._ends.append(file.tell())

    def _read(self) -> None:
        end = 0
        for line in self._path.read_bytes().splitlines(keepends=True):
            end += len(line)
            try:
                if not line.endswith(b"\n"):
                    raise ValueError("its line has no end")
                found = json.loads(line)
                if not self._ends:
                    self.token = str(found["token"])
                else:
                    self.entries.append(self._checked(Entry(**found)))
            except (ValueError, LookupError, TypeError, FileNotFoundError) as error:  # torn, or its files are not there
                log.warning("%s: part %d and those behind it do not count (%s)", self._path, len(self.entries), error)
                break
            self._ends.append(end)

    def _checked(self, entry: Entry) -> Entry:
        if changed := [name for name, expected in entry.files.items() if sha256(self.folder / name) != expected]:
            raise ValueError(f"{changed[0]} has changed")
        return entry
