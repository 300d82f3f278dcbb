"""The publisher for object stores, which rename nothing: the manifest is written last, and readers follow it.

A folder output is `manifest.json`, which names the files of one run below `_runs/`, and `_SUCCESS`. The run is put
together on this machine as ever; its folder is named for its content, so that what is uploaded already is left there,
and no scores that a manifest names are ever written over. A file output is an object, its manifest beside it, last.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from .. import stores
from ..errors import Refused, SolventError
from ..solution import JSON
from ..stores import Entry
from .publish import DRIFT, MANIFEST, STAGED, SUCCESS, Destination, Fill

__all__ = ["RUNS", "Remote"]

log = logging.getLogger("solvent")
RUNS = "_runs"  # readers that list a folder leave out what begins so
OURS = re.compile(rf"{re.escape(MANIFEST)}|{SUCCESS}|{RUNS}/[0-9a-f]{{16}}-[0-9a-f]{{8}}/.+")
PROBE = ".solvent-check"
ABANDONED_SECONDS = 24 * 3600  # another machine may be uploading what is younger


class Remote:
    """Where a run's files go: an address in an object store.

    Args:
        address: without a slash at its end.
        local: where the run is put together on this machine.
    """

    def __init__(self, address: str, local: Destination) -> None:
        self.address, self.local = address, local
        self._looked = False
        self._mark: str | None = None  # of the manifest, as this run has found or written it

    @property
    def shown(self) -> str:
        """What messages and the manifest call it."""
        return self.address

    @property
    def places(self) -> list[Path]:
        """None of this machine."""
        return []

    @property
    def manifest(self) -> str:
        return self._at(MANIFEST) if self._is_folder else f"{self.address}.{MANIFEST}"

    @property
    def _is_folder(self) -> bool:
        return self.local.form == "folder"

    def _at(self, name: str) -> str:
        """The address of a file: of a folder's by its name in there, else of what lies beside the output."""
        return stores.join(self.address if self._is_folder else stores.split(self.address)[0], name)

    def refuse_what_is_not_ours(self) -> None:
        """Raise Refused if something is in the way that scoring didn't put there, or that was changed since."""
        if not self._looked:
            found = stores.entry(self.manifest)
            self._looked, self._mark = True, found.mark if found else None
        if self._mark is not None and not self._read():
            self._refuse(self.manifest)
        if self._is_folder:
            if stores.entry(self.address) is not None:
                self._refuse(self.address)
            if foreign := [name for name in stores.below(self.address) if not OURS.fullmatch(name)]:
                self._refuse(self._at(foreign[0]))
            return
        for name, there in self._files().items():
            if not self._is_ours(name, there):
                self._refuse(there.address)

    def _refuse(self, address: str) -> None:
        raise Refused(
            f"{address} is no output of solvent score, or was changed since. Move it away, or name another output. "
            "It was left as it is."
        )

    def _files(self) -> dict[str, Entry]:
        """What is there of a file output, but its manifest."""
        names = [path.name for path in self.local.places if path.name != self.local.manifest.name]
        found = {name: stores.entry(self._at(name)) for name in names}
        return {name: there for name, there in found.items() if there is not None}

    def _is_ours(self, name: str, there: Entry) -> bool:
        manifest = self._read()
        page = name == self.local.page.name and bool(manifest)  # it is written anew where other alarms are asked for
        known = {each["name"]: each.get("mark") for each in _named(manifest)}
        # a run that was killed before its manifest was written has left on this machine what it has put there
        left = (staged / name for staged in self.local.runs.glob(f"*{STAGED}"))
        return page or known.get(name) == there.mark or any(stores.is_equal(there, each) for each in left)

    def _read(self) -> dict[str, Any]:
        """The manifest that is there; nothing where there is none of ours."""
        try:
            found = json.loads(stores.read(self.manifest) or b"")
            ours = all(key in found for key in ("identity", "marks")) and all("name" in each for each in _named(found))
        except (ValueError, LookupError, TypeError):
            return {}
        return found if ours else {}

    def published(self, identity: str) -> dict[str, JSON] | None:
        """The manifest of the published run, if it is this one and its files are there as they were written."""
        manifest = self._read()
        if manifest.get("identity") != identity:
            return None
        there = stores.below(self.address) if self._is_folder else self._files()
        for each in _named(manifest):
            found = there.get(each["name"])
            if found is None or (found.size, found.mark) != (each.get("bytes"), each.get("mark")):
                return None
        if self._is_folder and SUCCESS not in there:
            self._mark_success()
        return manifest

    def marks(self) -> dict[str, str]:
        """The marks of what the published run is known by; nothing where there is none."""
        return dict(self._read().get("marks", {}))

    def publish(self, identity: str, fill: Fill, keep: int) -> dict[str, JSON]:
        """Put a run's files together on this machine, upload them, then write the manifest that names them.

        Args:
            fill, keep: as `Destination.publish` has them.

        Returns:
            The manifest: the names in it start from where it lies itself.

        Raises:
            Locked: if another run has published meanwhile.
            SolventError: if the store fails again and again; what is uploaded is left there by the same command.
        """
        staged, manifest = self.local.staged(identity, fill)
        self.refuse_what_is_not_ours()  # it may have come while the rows were scored
        if self._is_folder:
            self._upload_run(staged, manifest, identity)
        else:
            self._upload_files(staged, manifest)
        self._write_manifest(manifest)
        if self._is_folder:
            self._mark_success()
        self.prune(keep)
        return manifest

    def _upload_run(self, staged: Path, manifest: dict[str, Any], identity: str) -> None:
        sums = hashlib.sha256(json.dumps([[each["name"], each["sha256"]] for each in _named(manifest)]).encode())
        run = f"{RUNS}/{identity}-{sums.hexdigest()[:8]}"
        names = sorted(path.relative_to(staged).as_posix() for path in staged.rglob("*") if path.is_file())
        last = [MANIFEST, SUCCESS]  # they say of the run's folder that it is whole
        there = {name: each for name, each in stores.below(self.address).items() if name.startswith(run)}
        found: dict[str, Entry] = {}
        for batch in ([name for name in names if name not in last], last):
            targets = [f"{run}/{name}" for name in batch]
            pairs = zip(batch, targets, strict=True)
            put = [partial(stores.upload, staged / name, self._at(to), there.get(to)) for name, to in pairs]
            found |= zip(batch, stores.at_once(put), strict=True)
        manifest["run"] = run
        for each in _named(manifest):
            entry = found[each["name"]]
            each |= {"name": f"{run}/{each['name']}", "bytes": entry.size, "mark": entry.mark}

    def _upload_files(self, staged: Path, manifest: dict[str, Any]) -> None:
        there, known = self._files(), {each["name"]: each for each in _named(manifest)}
        for path in self.local.places[:-1]:
            if (staged / path.name).exists():
                entry = stores.upload(staged / path.name, self._at(path.name), there.get(path.name))
                known.get(path.name, {}).update({"bytes": entry.size, "mark": entry.mark})
            elif path.name in there:
                stores.remove(self._at(path.name))

    def _write_manifest(self, manifest: Mapping[str, JSON]) -> None:
        text = json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False)
        self._mark = stores.write(self.manifest, text.encode(), self._mark).mark

    def _mark_success(self) -> None:
        found = stores.entry(self._at(SUCCESS))
        if found is None:
            stores.write(self._at(SUCCESS), b"", None)

    def write_anew(self, page: str, manifest: Mapping[str, JSON] | None) -> None:
        """Give the published run another drift report, and another manifest unless that is None."""
        name = f"{self._read()['run']}/{DRIFT}" if self._is_folder else self.local.page.name
        if stores.read(self._at(name)) != page.encode():
            found = stores.entry(self._at(name))
            stores.write(self._at(name), page.encode(), found.mark if found else None)
        if manifest is not None:
            self._write_manifest(manifest)

    def prune(self, keep: int) -> None:
        """Remove old runs, and what killed runs left. The output is published: failing here is only worth a warning."""
        self.local.prune(1)
        if not self._is_folder:
            return
        try:
            current = self._read()["run"]
            runs: dict[str, dict[str, Entry]] = defaultdict(dict)
            for name, entry in stores.below(self.address).items():
                if name.startswith(f"{RUNS}/"):
                    runs["/".join(name.split("/")[:2])][name] = entry
            whole = sorted(
                (run for run, there in runs.items() if f"{run}/{SUCCESS}" in there and run != current),
                key=lambda run: runs[run][f"{run}/{SUCCESS}"].modified or 0,
                reverse=True,
            )
            left = [run for run in runs if run not in whole and run != current and _age(runs[run]) > ABANDONED_SECONDS]
            gone = [entry.address for run in (*whole[keep - 1 :], *left) for entry in runs[run].values()]
            stores.at_once(partial(stores.remove, address) for address in gone)
        except (SolventError, LookupError) as error:
            log.warning("%s: old runs could not be removed: %s", self.address, error)

    def try_to_write(self) -> None:
        """Put an object there and remove it: raises Refused or SolventError where that can't be done."""
        address = stores.join(self.address, PROBE) if self._is_folder else f"{self.address}{PROBE}"
        found = stores.entry(address)
        stores.write(address, b"", found.mark if found else None)
        stores.remove(address)


def _named(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The files that a manifest names."""
    return [*manifest.get("parts", ()), *manifest.get("quarantine", ())]


def _age(entries: Mapping[str, Entry]) -> float:
    """Seconds since the last object of a run was written; none where the store doesn't tell."""
    return time.time() - max((entry.modified or time.time() for entry in entries.values()), default=time.time())
