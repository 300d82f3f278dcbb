"""What makes two runs the same run: the bundle, the source's content, side tables, settings, versions."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from .. import stores, tables
from ..errors import Refused, SolventError
from ..fetched import by_address
from ..files import sha256
from ..schema import Schema
from ..solution import JSON
from ..tables import Source

if TYPE_CHECKING:
    from .parts import Part

__all__ = ["Content", "changes", "digest", "fingerprint", "identity", "marks"]

SHORT = 16  # hexadecimal digits
NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
NAMES: Mapping[str, str] = {
    "bundle": "the bundle",
    "content": "the source's content",
    "source": "the source",
    "side": "a side table",
    "settings": "the settings",
    "versions": "the packages' versions",
}


@dataclass(frozen=True)
class Content:
    """The files of a source as they were when the run began.

    Args:
        stamps: of the files: other ones later say that the source was changed while it was read.
        closed: whether the files are all that the rows are made of. A query's rows are in none, and images that a table
            only names may change beside it.
    """

    source: Source
    files: tuple[Path, ...]
    stamps: tuple[tuple[int, ...], ...]
    closed: bool

    @classmethod
    def of(cls, source: Source, schema: Schema) -> Content:
        """Raises: Refused: if there is no such source."""
        files = tuple(tables.files(source))
        images = any(field.kind == "image" for field in schema.features)
        closed = bool(files) and (not images or not tables.is_table(files[0]))
        return cls(source, files, _stamps(files), closed)

    def refuse_as_output(self, places: Sequence[Path], shown: str) -> None:
        """Raises: Refused: if writing to one of the places would change a file.

        Args:
            shown: what the output is called: its address, where it has one.
        """
        targets = {_real(place) for place in places}
        read = next((str(file) for file in self.files if targets & {real := _real(file), *real.parents}), None)
        if stores.is_address(shown):
            addresses = map(by_address, self.files)
            read = next((each for each in addresses if each == shown or each.startswith(f"{shown}/")), None)
        if read is not None:
            raise Refused(f"{shown} would replace {read}, which is read. Name another output.")

    def refuse_if_changed(self, label: str) -> None:
        """Raises: SolventError: if a file is no longer what it was."""
        if _stamps(self.files) != self.stamps or tuple(tables.files(self.source)) != self.files:
            raise SolventError(f"{label} was changed while it was read. Nothing was published; score it again.")

    def sums(self) -> list[list[str]]:
        """Names and sha256 of the files, in their order. A name of a folder may be a cell, or a class."""
        top = _top(tables.place(self.source)) if self.source.path is not None else Path()
        # in a folder of images, a pipe or a link that leads nowhere is a row that will be set aside
        return [[_relative(file, top), sha256(file) if file.is_file() else "no file"] for file in self.files]


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # Path.resolve raises for a loop of links


def _top(path: Path) -> Path:
    """The folder of a source: the one that it is, that its file is in, or that a pattern starts from."""
    if path.is_dir():
        return path
    parents = [] if path.exists() else [each for each in path.parents if any(sign in str(each) for sign in "*?[")]
    return (parents[-1] if parents else path).parent


def _stamps(files: Sequence[Path]) -> tuple[tuple[int, ...], ...]:
    return tuple(map(_stamp, files))


def _stamp(file: Path) -> tuple[int, ...]:
    """Which file it is, its size and its time; (-1, -1) where a name leads to no file."""
    try:
        status = file.stat()
    except OSError as error:
        if error.errno not in NO_FILE:
            raise
        return -1, -1
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _relative(file: Path, top: Path) -> str:
    return file.relative_to(top).as_posix() if file.is_relative_to(top) else file.as_posix()


def identity(run: Mapping[str, JSON]) -> str:
    """Hexadecimal digits, the same for the same run."""
    return hashlib.sha256(json.dumps(run, sort_keys=True).encode()).hexdigest()[:SHORT]


def marks(run: Mapping[str, JSON]) -> dict[str, str]:
    """A short hash of each thing that a run is known by, to tell later what differs."""
    return {name: identity({name: value}) for name, value in run.items()}


def changes(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    """What differs between the marks of two runs, in words."""
    return ", ".join(says for name, says in NAMES.items() if one.get(name) != other.get(name))


def fingerprint(side: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """The hashes of side tables."""
    if not side:
        return {}
    from ..prepare import fingerprint as of_table  # brings scikit-learn, and most runs have no side table

    return {name: of_table(side[name]) for name in sorted(side)}


def digest(part: Part, schema: Schema, folder: Path) -> str:
    """A hash of a part's rows as they were read, and of the sizes and times of the images that they name."""
    table = tables.typed(part.raw, {}).combine_chunks()
    found = hashlib.sha256()
    with pa.ipc.new_stream(pa.PythonFile(_Hashing(found), mode="w"), table.schema) as stream:
        stream.write_table(table)
    for field in schema.features:
        if field.kind == "image" and field.source in part.raw:
            for cell in part.raw[field.source]:
                if isinstance(cell, str):
                    found.update(_seen(folder / cell))
    return found.hexdigest()


def _seen(path: Path) -> bytes:
    try:
        status = path.stat()
    except (OSError, ValueError):  # ValueError for a name that no file can have
        return b"none"
    return f"{status.st_size} {status.st_mtime_ns}".encode()


class _Hashing:
    """A file that is only hashed."""

    closed = False

    def __init__(self, found: hashlib._Hash) -> None:
        self.write = found.update

    def flush(self) -> None: ...

    def close(self) -> None: ...
