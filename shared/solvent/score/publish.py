"""The one publisher: a run's files become the output in one step, or the old output stays as it was.

A folder output is a link to `.NAME.runs/<identity>`, swapped in one step. A file output is renamed into its place.
In `.NAME.runs` also lie the unfinished run (`*.work`) and what is being published (`*.tmp`).
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..errors import Refused
from ..fetched import MANIFEST
from ..files import replacing, sha256, sync_folder
from ..solution import JSON
from .writer import QUARANTINE

__all__ = ["DRIFT", "MANIFEST", "STAGED", "SUCCESS", "Destination", "Fill", "write_json", "write_text"]

log = logging.getLogger("solvent")
DRIFT, SUCCESS = "drift.html", "_SUCCESS"
STAGED, WORK = ".tmp", ".work"
Form = Literal["csv", "jsonl", "parquet"]
Fill = Callable[[Path], dict[str, JSON]]
FORMS: Mapping[str, Form] = {".csv": "csv", ".jsonl": "jsonl", ".parquet": "parquet"}


@dataclass(frozen=True)
class Destination:
    """Where a run's files go: a file for a name that ends in .csv, .jsonl or .parquet, else a folder."""

    path: Path

    @property
    def local(self) -> Destination:
        """Where on this machine a run is put together: here itself."""
        return self

    @property
    def shown(self) -> str:
        """What messages and the manifest call it."""
        return str(self.path)

    @property
    def form(self) -> Form | Literal["folder"]:
        return FORMS.get(self.path.suffix.lower(), "folder")

    @property
    def runs(self) -> Path:
        return self.path.with_name(f".{self.path.name}.runs")

    def beside(self, what: str) -> Path:
        """What lies beside a file output: its manifest, the rows set aside, the drift report."""
        return self.path.with_name(f"{self.path.name}.{what}")

    @property
    def places(self) -> list[Path]:
        """All that is written: a folder, or a file with what lies beside it, the manifest last."""
        beside = [] if self.form == "folder" else [f"{QUARANTINE}.parquet", DRIFT, MANIFEST]
        return [self.path, *map(self.beside, beside)]

    def work(self, identity: str) -> Path:
        """The folder of a run that is not published yet."""
        return self.runs / f"{identity}{WORK}"

    def unfinished(self) -> list[Path]:
        return sorted(self.runs.glob(f"*{WORK}"))

    def refuse_what_is_not_ours(self) -> None:
        """Raise Refused if something is in the way that scoring didn't put there, or that was changed since."""
        there = [path for path in self.places if os.path.lexists(path)]
        known = self._known_sums() if there and self.form != "folder" else set()
        for path in there:
            if self.form == "folder":
                ours = path.is_symlink() and path.readlink().parent == Path(self.runs.name)
                what = "is no output of solvent score"
            else:
                page = path == self.page and known  # it is written anew where other alarms are asked for
                ours = path.is_file() and not path.is_symlink() and (bool(page) or sha256(path) in known)
                what = "is no output of solvent score, or was changed since"
            if not ours:
                raise Refused(f"{path} {what}. Move it away, or name another output. It was left as it is.")

    def _known_sums(self) -> set[str]:
        """The sums of all files that this output has had, or was about to have."""
        # a run that was killed between its renames has left its manifest where it was put together
        known: set[str] = set()
        for path in (self.manifest, *(staged / self.manifest.name for staged in self.runs.glob(f"*{STAGED}"))):
            try:
                manifest = json.loads(path.read_text(encoding="utf-8"))
                known.update(each["sha256"] for each in (*manifest["parts"], *manifest["quarantine"]))
                known.add(sha256(path))
            except (OSError, ValueError, LookupError, TypeError):
                continue  # not a manifest of ours
        return known

    @property
    def manifest(self) -> Path:
        return self.path / MANIFEST if self.form == "folder" else self.beside(MANIFEST)

    @property
    def page(self) -> Path:
        """The drift report."""
        return self.path / DRIFT if self.form == "folder" else self.beside(DRIFT)

    def published(self, identity: str) -> dict[str, JSON] | None:
        """The manifest of the published run, if it is this one and its files are whole."""
        folder = self.form == "folder"
        try:
            manifest: dict[str, JSON] = json.loads(self.manifest.read_text(encoding="utf-8"))
            if manifest["identity"] != identity:
                return None
            files = {
                self.path / each["name"] if folder else self.path.with_name(each["name"]): each["sha256"]
                for each in (*manifest["parts"], *manifest["quarantine"])
            }
            whole = all(sha256(path) == expected for path, expected in files.items())
        except (OSError, ValueError, LookupError, TypeError):
            return None
        return manifest if whole else None

    def marks(self) -> dict[str, str]:
        """The marks of what the published run is known by; nothing where there is none."""
        try:
            found: dict[str, str] = json.loads(self.manifest.read_text(encoding="utf-8"))["marks"]
        except (OSError, ValueError, LookupError, TypeError):
            return {}
        return found

    def publish(self, identity: str, fill: Fill, keep: int) -> dict[str, JSON]:
        """Put a run's files together in a new folder, then make them the output in one step.

        Args:
            fill: writes the files into the folder that it is given, flushes them to the disk, and gives the manifest.
                A folder output is this folder; of a file output the file has its name in it, and what lies beside it
                its own.
            keep: runs of a folder output that stay, the new one included; older ones are removed.

        Returns:
            The manifest.
        """
        staged, manifest = self.staged(identity, fill)
        self.refuse_what_is_not_ours()  # it may have come while the rows were scored
        if self.form == "folder":
            self._swap(staged, identity)
        else:
            self._replace(staged)
        sync_folder(self.path.parent)
        self.prune(keep)
        return manifest

    def staged(self, identity: str, fill: Fill) -> tuple[Path, dict[str, JSON]]:
        """Put a run's files together in a new folder; gives it, and the manifest."""
        # a new one: what a killed run has left here says which files beside the output are ours
        staged = _free(self.runs / f"{identity}{STAGED}")
        staged.mkdir(parents=True)
        manifest = fill(staged)
        sync_folder(staged)
        return staged, manifest

    def write_anew(self, page: str, manifest: Mapping[str, JSON] | None) -> None:
        """Give the published run another drift report, and another manifest unless that is None."""
        if not self.page.is_file() or self.page.read_text(encoding="utf-8") != page:
            with replacing(self.page) as temporary:
                write_text(page, temporary)
        if manifest is not None:
            with replacing(self.manifest) as temporary:
                write_json(manifest, temporary)

    def _swap(self, staged: Path, identity: str) -> None:
        final = staged.rename(_free(self.runs / identity))  # readers may be in an earlier run of that name
        sync_folder(self.runs)
        link = self.runs / f"{final.name}.link"
        link.unlink(missing_ok=True)
        link.symlink_to(Path(self.runs.name, final.name))
        link.replace(self.path)

    def _replace(self, staged: Path) -> None:
        """The data first and the manifest last: it is there for readers that wait for it."""
        for path in self.places:
            if (staged / path.name).exists():
                (staged / path.name).replace(path)
            else:
                path.unlink(missing_ok=True)

    def prune(self, keep: int) -> None:
        """Remove old runs, and what killed runs left. The output is published: failing here is only worth a warning."""
        try:
            current = self.path.resolve()
            whole = [path.parent for path in self.runs.glob(f"*/{SUCCESS}") if path.parent.suffix != STAGED]
            others = sorted((path for path in whole if path != current), key=_age, reverse=True)
            for path in (*others[keep - 1 :], *self.runs.glob(f"*{STAGED}"), *self.unfinished()):
                shutil.rmtree(path)
            for path in self.runs.glob("*.link"):
                path.unlink()
        except OSError as error:
            log.warning("%s: old runs could not be removed: %s", self.runs, error)


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write JSON and flush it to the disk."""
    write_text(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False), path)


def write_text(text: str, path: Path) -> None:
    """Write a text and flush it to the disk."""
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _free(wanted: Path) -> Path:
    """The name, or where it is taken one with a number."""
    free, number = wanted, 1
    while free.exists():
        number += 1
        free = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
    return free


def _age(path: Path) -> int:
    return path.stat().st_mtime_ns
