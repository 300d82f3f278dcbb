"""Object stores such as S3 by fsspec: what an address is; what lies there; to bring and to put objects, checked.

Where the store is and who asks come from the environment, in the way of the store's own library (AWS_ENDPOINT_URL,
AWS_ACCESS_KEY_ID, ...). What fails is tried again, with waits that double.
"""

from __future__ import annotations

import base64
import errno
import functools
import hashlib
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from .errors import Locked, Refused, SolventError
from .files import digest, sha256

__all__ = [
    "Entry",
    "at_once",
    "below",
    "download",
    "entry",
    "fitting",
    "is_address",
    "is_equal",
    "join",
    "problem",
    "read",
    "remove",
    "split",
    "upload",
    "write",
]

log = logging.getLogger("solvent")
T = TypeVar("T")
ATTEMPTS = 5
SECONDS_BEFORE_RETRY = 0.5  # doubled after each
AT_ONCE = 8
PIECE_BYTES = 50 << 20  # of a large object, as s3fs sends it
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
SUMS = ("ETag", "etag", "md5Hash", "content_md5")  # what stores call the mark of an object's content
TIMES = ("LastModified", "last_modified", "updated", "mtime", "created")
SECRET = re.compile(r"(?i)^[^/]*:[^/]*@|[?&](x-amz-(signature|credential|security-token)|sig|signature|token|secret)=")
NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError", "ProfileNotFound")


@dataclass(frozen=True)
class Entry:
    """An object as a store's listing has it.

    Args:
        mark: another one says that the content has changed: its sum as the store tells it, else size and time.
        modified: seconds since 1970, where the store tells.
    """

    address: str
    size: int
    mark: str
    modified: float | None


def is_address(text: object) -> bool:
    """Whether a text is an address such as s3://bucket/loans.parquet, and no path of this machine."""
    return isinstance(text, str) and re.match(r"[a-z][a-z0-9+.-]*://", text) is not None


def problem(address: str) -> str | None:
    """Why an address can't be taken as it is written; it is not shown then, since a secret stands in it."""
    protocol, _, rest = address.partition("://")
    if SECRET.search(rest):
        return (
            f"this {protocol}:// address holds a password, a key or a signature, and would be written into manifests "
            "and logs. Give credentials by the environment, as the store's library reads them"
        )
    if not rest.strip("/"):
        return f"{address} names no bucket. Expected such as {protocol}://bucket/folder/loans.parquet"
    return None


def split(address: str) -> tuple[str, str]:
    """What an address lies in, and its last name: "s3://in/may" and "loans.csv", "s3://" and "in"."""
    protocol, _, rest = address.partition("://")
    folder, _, name = rest.rstrip("/").rpartition("/")
    return f"{protocol}://{folder}", name


def join(address: str, name: str) -> str:
    return f"{address}{'' if address.endswith('/') else '/'}{name}"


def entry(address: str) -> Entry | None:
    """The object at an address; None where there is none, or a folder."""
    files, path = _opened(address)

    def ask() -> Entry | None:
        try:
            found = files.info(path)
        except FileNotFoundError:
            return None
        return _entry(address, found) if found["type"] == "file" else None

    return _tried(address, "looked at", ask)


def below(address: str) -> dict[str, Entry]:
    """All objects below an address, by their names from there."""
    files, path = _opened(address)
    return _named(address, path, _tried(address, "listed", functools.partial(_none_where_missing, files.find, path)))


def fitting(address: str, pattern: str) -> dict[str, Entry]:
    """The objects below an address that fit a pattern such as `day=*/loans-*.csv`, by their names from there."""
    files, path = _opened(address)
    wanted = join(path, pattern)
    return _named(address, path, _tried(address, "listed", functools.partial(_none_where_missing, files.glob, wanted)))


def read(address: str) -> bytes | None:
    """The content of a small object; None where there is none."""
    files, path = _opened(address)

    def ask() -> bytes | None:
        try:
            return bytes(files.cat_file(path))
        except FileNotFoundError:
            return None

    return _tried(address, "read", ask)


def download(there: Entry, path: Path) -> None:
    """Bring an object into a new file, flushed to the disk and with the object's time.

    Raises:
        SolventError: if that fails again and again, or the object is no longer what the entry says.
    """
    files, source = _opened(there.address)

    def bring() -> None:
        try:
            files.get_file(source, str(path))
        except FileNotFoundError as error:
            raise SolventError(f"{there.address} was removed while it was read. Try again.") from error
        if (size := path.stat().st_size) != there.size:
            raise ConnectionError(f"{size} bytes have come, {there.size} were announced")
        with path.open("rb") as file:
            os.fsync(file.fileno())

    _tried(there.address, "fetched", bring)
    if there.modified is not None:
        os.utime(path, (there.modified, there.modified))


def upload(path: Path, address: str, there: Entry | None = None) -> Entry:
    """Put a file at an address, and compare what the store has then with what was sent.

    Args:
        there: what lies there already, if anything: a file that is equal to it is not sent again.

    Raises:
        SolventError: if that fails again and again.
    """
    files, target = _opened(address)
    if there is not None and is_equal(there, path):
        return there

    def put() -> Entry:
        files.put_file(str(path), target)
        found = entry(address)
        if found is None or not is_equal(found, path):
            raise ConnectionError("the store holds other bytes than were sent")
        return found

    return _tried(address, "written", put)


def write(address: str, content: bytes, expected: str | None) -> Entry:
    """Put a small object at an address where the one of the mark `expected` lies, or none for None.

    On S3 the store itself sees to that (If-Match); elsewhere it is looked at right before.

    Raises:
        Locked: if another one lies there.
        SolventError: if that fails again and again.
    """
    files, target = _opened(address)
    protocols = (files.protocol,) if isinstance(files.protocol, str) else files.protocol
    conditions: dict[str, str] = {}
    if "s3" in protocols:
        conditions = {"IfNoneMatch": "*"} if expected is None else {"IfMatch": f'"{expected}"'}

    def put() -> Entry:
        found = entry(address)
        if (found and found.mark) != expected:
            if found is not None and read(address) == content:  # an earlier try got through, its answer did not
                return found
            raise Locked(
                f"Another run has written {address} since this one began. What it published is left as it is; if "
                "both are to run, let one wait for the other. The same command would replace it."
            )
        try:
            files.pipe_file(target, content, **conditions)
        except OSError as error:
            if error.errno != errno.ENOSYS or not conditions:
                raise
            conditions.clear()  # a store that speaks S3, but knows no conditions
            files.pipe_file(target, content)
        found = entry(address)
        if found is None or read(address) != content:
            raise ConnectionError("the store holds other bytes than were sent")
        return found

    return _tried(address, "written", put)


def remove(address: str) -> None:
    """Remove an object, if it is there."""
    files, path = _opened(address)

    def ask() -> None:
        try:
            files.rm_file(path)
        except FileNotFoundError:
            return

    _tried(address, "removed", ask)


def at_once(work: Iterable[Callable[[], T]]) -> list[T]:
    """What several pieces of work give, in their order; a few are done at the same time. The first failure ends all."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = [pool.submit(each) for each in work]
        try:
            return [each.result() for each in futures]
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _opened(address: str) -> tuple[Any, str]:
    """The file system of an address, and its path there."""
    if wrong := problem(address):
        raise Refused(f"{wrong[0].upper()}{wrong[1:]}.")
    protocol = address.partition("://")[0]
    try:
        files = _files(protocol, os.getpid())
    except ImportError as error:
        extra = EXTRAS.get(protocol)
        cure = f"pip install 'solvent-suite[{extra}]'" if extra else str(error)
        raise Refused(f"{address} needs a package that is not installed: {cure}") from error
    except ValueError as error:
        raise Refused(
            f"{address}: no store is known by {protocol}://. Expected s3://bucket/..., gs://bucket/..., or another "
            "protocol of fsspec."
        ) from error
    return files, str(files._strip_protocol(address)).rstrip("/")


@functools.cache
def _files(protocol: str, process: int) -> Any:
    """One file system for all threads of a process: fsspec would make one for each, which takes S3's a second."""
    import fsspec

    return fsspec.get_filesystem_class(protocol)(use_listings_cache=False, skip_instance_cache=True)


def _none_where_missing(list_them: Callable[..., Any], path: str) -> dict[str, Any]:
    try:
        return dict(list_them(path, detail=True))
    except FileNotFoundError:
        return {}


def _named(address: str, path: str, found: Mapping[str, Mapping[str, Any]]) -> dict[str, Entry]:
    top = address.rstrip("/") if address.rstrip("/") != address.partition("://")[0] + ":" else address
    names = {
        str(name)[len(path) :].lstrip("/") if path else str(name): info
        for name, info in found.items()
        if info["type"] == "file" and not str(name).endswith("/")  # what stands for a folder holds nothing
    }
    return {name: _entry(join(top, name), info) for name, info in sorted(names.items()) if name}


def _entry(address: str, info: Mapping[str, Any]) -> Entry:
    said = next((str(info[name]).strip('"') for name in SUMS if info.get(name)), None)
    when = next((info[name] for name in TIMES if info.get(name)), None)
    if said is None and when is None:
        raise Refused(
            f"{address}: this store tells neither a sum nor a time of its objects, so that a change would not be "
            "noticed. Copy it into a file, and read that."
        )
    seconds = _seconds(when)
    size = int(info["size"])
    # a listing may have the time in another form than the object itself
    return Entry(address, size, said or f"{size} {when if seconds is None else round(seconds, 6)}", seconds)


def _seconds(when: Any) -> float | None:
    if isinstance(when, str):
        try:
            when = datetime.fromisoformat(when)
        except ValueError:
            return None
    return when.timestamp() if isinstance(when, datetime) else float(when) if when is not None else None


def is_equal(there: Entry, path: Path) -> bool:
    """Whether an object has the bytes of a file: by the sum that the store tells, else by reading it back."""
    if not path.is_file() or there.size != path.stat().st_size:
        return False
    plain = digest(path, "md5")
    if there.mark in (plain, base64.b64encode(bytes.fromhex(plain)).decode(), _of_pieces(path)):
        return True
    files, source = _opened(there.address)

    def read_back() -> str:
        with files.open(source, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    return _tried(there.address, "read back", read_back) == sha256(path)


def _of_pieces(path: Path) -> str:
    """What S3 calls an object that came in pieces by: the md5 of their md5s, and how many they are."""
    with path.open("rb") as file:
        pieces = [hashlib.md5(piece).digest() for piece in iter(lambda: file.read(PIECE_BYTES), b"")]
    return f"{hashlib.md5(b''.join(pieces)).hexdigest()}-{len(pieces)}"


def _tried(address: str, done: str, action: Callable[[], T]) -> T:
    """Do it, again and again while it fails in a way that may pass.

    Args:
        done: what was to be done, as in "could not be written".
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return action()
        except PermissionError as error:
            raise Refused(
                f"{address} may not be {done} ({error}). The credentials come from the environment: give them that "
                "right, or give others. Some stores say so too of what is not there."
            ) from error
        except FileNotFoundError as error:
            raise Refused(
                f"{address} can't be {done}: {error}. Is the bucket there? Make it, or name another."
            ) from error
        except ValueError as error:
            raise Refused(f"{address} can't be {done}: {error}.") from error
        except _failures() as error:
            if type(error).__name__ in NO_CREDENTIALS:
                raise Refused(
                    f"{address} can't be {done}: {error}. Set what the store's library reads, such as "
                    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; nothing in a job file or a config holds them."
                ) from error
            if attempt == ATTEMPTS:
                raise SolventError(
                    f"{address} could not be {done}: {error or type(error).__name__}. It was tried {ATTEMPTS} times. "
                    "The same command goes on from here."
                ) from error
            log.info("%s could not be %s (%s); trying again", address, done, error or type(error).__name__)
            time.sleep(SECONDS_BEFORE_RETRY * 2 ** (attempt - 1))
    raise AssertionError("the last attempt returns or raises")


def _failures() -> tuple[type[Exception], ...]:
    """What stores' libraries raise: their own errors are known once they are imported."""
    own = {
        "botocore.exceptions": ("BotoCoreError", "ClientError"),
        "aiohttp": ("ClientError",),
        "google.auth.exceptions": ("GoogleAuthError",),
    }
    there = ((sys.modules[module], names) for module, names in own.items() if module in sys.modules)
    return (OSError, *(getattr(module, name) for module, names in there for name in names))
