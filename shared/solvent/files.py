"""Files and folders that are whole or absent, or held by one process; their hashes."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import Locked

__all__ = ["digest", "held", "replacing", "sha256", "sync_folder"]


@contextmanager
def held(folder: Path, message: str) -> Iterator[None]:
    """Hold a folder by a file `lock` in it; the folder is made if need be, and removed at the end if it is empty.

    The system lets go of what a killed process held.

    Raises:
        Locked: with `message`, if another process holds it.
    """
    lock = folder / "lock"
    handle = _lock(lock, message)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        with suppress(OSError):  # not empty
            folder.rmdir()
        os.close(handle)


def _lock(lock: Path, message: str) -> int:
    while True:
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:
            continue  # the other one has just ended and removed the folder
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise Locked(message) from error
        except BaseException:
            os.close(handle)
            raise
        with suppress(FileNotFoundError):
            if os.fstat(handle).st_ino == lock.stat().st_ino:
                return handle
        os.close(handle)  # of a file that the other one has removed


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; once the block ends well, the file there becomes `path` in one step.

    If the block fails, `path` is as it was and nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path: Path) -> str:
    """The hexadecimal sha256 of a file."""
    return digest(path, "sha256")


def digest(path: Path, kind: str) -> str:
    """The hexadecimal sum of a file, by the name of its algorithm: sha256, md5."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()
