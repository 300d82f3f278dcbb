"""What makes two runs the same run: the bundle, the source's content, side tables, settings, versions."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from .. import tables
from ..errors import Refused, SolventError
from ..files import sha256
from ..schema import Schema
from ..solution import JSON
from ..tables import Source

if TYPE_CHECKING:
    from .parts import Part

__all__ = ["Content", "changes", "digest", "fingerprint", "identity"]

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
        stamps: names, sizes and times: other ones later say that the source was changed while it was read.
        closed: whether the files are all that the rows are made of. A query's rows are in none, and images that a table
            only names may change beside it.
    """

    files: tuple[Path, ...]
    stamps: tuple[tuple[int, int], ...]
    closed: bool

    @classmethod
    def of(cls, source: Source, schema: Schema) -> Content:
        """Raises: Refused: if there is no such source."""
        files = tuple(tables.files(source))
        images = any(field.kind == "image" for field in schema.features)
        closed = bool(files) and (not images or files[0].suffix.lower() in tables.IMAGES)
        return cls(files, _stamps(files), closed)

    def refuse_as_output(self, path: Path) -> None:
        """Raises: Refused: if writing to a path would change a file."""
        target = path.resolve()
        if read := next((file for file in self.files if target in (real := file.resolve(), *real.parents)), None):
            raise Refused(f"{path} is read too ({read}). Name another output: a source is never overwritten.")

    def refuse_if_changed(self, label: str) -> None:
        """Raises: SolventError: if a file is no longer what it was."""
        if _stamps(self.files) != self.stamps:
            raise SolventError(f"{label} was changed while it was read. Nothing was published; score it again.")

    def sums(self) -> list[list[str]]:
        """Names and sha256 of the files, in their order."""
        top = self.files[0].parent if self.files else Path()
        # in a folder of images, a pipe or a link that leads nowhere is a row that will be set aside
        return [[_relative(file, top), sha256(file) if file.is_file() else "no file"] for file in self.files]


def _stamps(files: Sequence[Path]) -> tuple[tuple[int, int], ...]:
    return tuple(map(_stamp, files))


def _stamp(file: Path) -> tuple[int, int]:
    """Size and time, or (-1, -1) where a name leads to no file."""
    try:
        status = file.stat()
    except OSError as error:
        if error.errno not in NO_FILE:
            raise
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _relative(file: Path, top: Path) -> str:
    return file.relative_to(top).as_posix() if file.is_relative_to(top) else file.as_posix()


def identity(run: Mapping[str, JSON]) -> str:
    """Hexadecimal digits, the same for the same run."""
    return hashlib.sha256(json.dumps(run, sort_keys=True).encode()).hexdigest()[:SHORT]


def changes(one: Mapping[str, JSON], other: Mapping[str, JSON]) -> list[str]:
    """What differs between two runs, in words."""
    return [says for name, says in NAMES.items() if one.get(name) != other.get(name)]


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
