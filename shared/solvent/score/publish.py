"""The one publisher: a run's files become the output in one step, or the old output stays as it was.

A folder output is a link to `.NAME.runs/<identity>`, swapped in one step. A file output is renamed into its place.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..errors import Refused
from ..files import sha256, sync_folder

__all__ = ["MANIFEST", "SUCCESS", "Destination", "write_json"]

log = logging.getLogger("solvent")
MANIFEST, SUCCESS = "manifest.json", "_SUCCESS"
STAGED, REFUSED = ".tmp", ".refused"
FORMS: Mapping[str, Literal["csv", "parquet"]] = {".csv": "csv", ".parquet": "parquet"}


@dataclass(frozen=True)
class Destination:
    """Where scores go: a file for a name that ends in .csv or .parquet, else a folder."""

    path: Path

    @property
    def form(self) -> Literal["csv", "parquet", "folder"]:
        return FORMS.get(self.path.suffix.lower(), "folder")

    @property
    def runs(self) -> Path:
        return self.path.with_name(f".{self.path.name}.runs")

    @property
    def manifest(self) -> Path:
        """The manifest beside a file output."""
        return self.path.with_name(f"{self.path.name}.{MANIFEST}")

    @property
    def quarantine(self) -> Path:
        """The rows set aside, beside a file output."""
        return self.path.with_name(f"{self.path.name}.quarantine.parquet")

    def refuse_what_is_not_ours(self) -> None:
        """Raise Refused if something is in the way that scoring didn't put there, or that was changed since."""
        if not os.path.lexists(self.path):
            return
        if self.form == "folder":
            ours = self.path.is_symlink() and self.path.readlink().parent == Path(self.runs.name)
            what = "is no output of solvent score"
        else:
            ours = self.path.is_file() and not self.path.is_symlink() and sha256(self.path) in self._known_sums()
            what = "is no output of solvent score, or was changed since"
        if not ours:
            raise Refused(f"{self.path} {what}. Move it away, or name another output. It was left as it is.")

    def _known_sums(self) -> set[str]:
        # a run that was killed between its two renames has left its manifest in its staging folder
        manifests = [self.manifest, *self.runs.glob(f"*{STAGED}/{MANIFEST}")]
        known: set[str] = set()
        for path in manifests:
            try:
                known.update(part["sha256"] for part in json.loads(path.read_text(encoding="utf-8"))["parts"])
            except (OSError, ValueError, LookupError, TypeError):
                continue  # not a manifest of ours
        return known

    @contextmanager
    def staging(self, identity: str) -> Iterator[Path]:
        """A folder to work in, beside the output; what is left in it is removed."""
        folder = self.runs / f"{identity}.{os.getpid()}{STAGED}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)  # says that its process lives
            yield folder
        finally:
            os.close(handle)
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):  # not empty, most often
                self.runs.rmdir()

    def publish_folder(self, staged: Path, identity: str, keep: int) -> Path:
        """Make a whole staged folder the output; give its lasting place. Older runs beyond `keep` are removed."""
        self.refuse_what_is_not_ours()  # it may have come while the rows were scored
        sync_folder(staged)
        final = _renamed(staged, self.runs / identity)
        sync_folder(self.runs)
        link = self.path.with_name(f".{self.path.name}.{os.getpid()}.link")
        link.unlink(missing_ok=True)
        try:
            link.symlink_to(Path(self.runs.name, final.name))
            link.replace(self.path)
        finally:
            link.unlink(missing_ok=True)
        sync_folder(self.path.parent)
        self._prune(keep)
        return final

    def publish_file(self, data: Path, manifest: Path, quarantine: Path | None, keep: int) -> None:
        """Make staged files the output. The manifest comes last: it is there for readers that wait for it."""
        self.refuse_what_is_not_ours()
        data.replace(self.path)
        if quarantine is None:
            self.quarantine.unlink(missing_ok=True)
        else:
            quarantine.replace(self.quarantine)
        manifest.replace(self.manifest)
        sync_folder(self.path.parent)
        self._prune(keep)

    def keep_refused(self, staged: Path, identity: str) -> Path:
        """Keep a run that must not be published, for its quarantine; gives the folder."""
        final = self.runs / f"{identity}{REFUSED}"
        shutil.rmtree(final, ignore_errors=True)
        return _renamed(staged, final)

    def _prune(self, keep: int) -> None:
        """Remove old runs, and what killed runs left. The output is published: failing here is only worth a warning."""
        try:
            current = self.path.resolve()
            whole = [path.parent for path in self.runs.glob(f"*/{SUCCESS}") if path.parent.suffix != STAGED]
            others = sorted((path for path in whole if path != current), key=_age, reverse=True)
            refused = sorted(self.runs.glob(f"*{REFUSED}"), key=_age, reverse=True)
            abandoned = [path for path in self.runs.glob(f"*{STAGED}") if not _lives(path)]
            for path in (*others[keep - 1 :], *refused[keep:], *abandoned):
                shutil.rmtree(path)
        except OSError as error:
            log.warning("%s: old runs could not be removed: %s", self.runs, error)


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write JSON and flush it to the disk."""
    with path.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=1, ensure_ascii=False, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())


def _renamed(folder: Path, wanted: Path) -> Path:
    """Rename a folder; where an earlier run has the name, readers may be in it, and a number is added."""
    final, number = wanted, 1
    while final.exists():
        number += 1
        final = wanted.with_name(f"{wanted.name}-{number}")
    return folder.rename(final)


def _age(path: Path) -> int:
    return path.stat().st_mtime_ns


def _lives(staged: Path) -> bool:
    handle = os.open(staged, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(handle)
