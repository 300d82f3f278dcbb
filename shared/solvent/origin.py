"""What a copy was made from, kept beside it as it was then; and what has changed there since, as a diff.

The record is one file of the copy, `origin.zip`: the files that `solvent new` wrote, before anyone edited them. So it
needs no history, no network and no repository, and `unzip` shows what the copy's owner has changed.
"""

from __future__ import annotations

import hashlib
import io
import tomllib
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from difflib import unified_diff
from pathlib import Path

from .errors import Refused
from .files import replacing

__all__ = ["diff", "keep", "kept", "names"]

RECORD = "origin.zip"
BEGINNING = (1980, 1, 1, 0, 0, 0)  # ZIP's own: equal files give equal bytes, whenever they are kept


def keep(copy: Path, files: Mapping[str, bytes]) -> None:
    """Write the record into the copy's folder."""
    with replacing(copy / RECORD) as place, zipfile.ZipFile(place, "w") as record:
        for path, content in sorted(files.items()):
            record.writestr(zipfile.ZipInfo(path, BEGINNING), content, zipfile.ZIP_DEFLATED)


def kept(copy: Path) -> dict[str, bytes]:
    """The files as they were when the copy was made, by their paths.

    Raises:
        Refused: if there is no record, or it is damaged.
    """
    place = copy / RECORD
    if not place.is_file():
        raise Refused(
            f"{copy} has no {RECORD}, which `solvent new` leaves in the folder of a copy. Name that folder with --to."
        )
    try:
        with zipfile.ZipFile(place) as record:
            return {path: record.read(path) for path in record.namelist()}
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise Refused(f"{place} is damaged ({error}). Take it from the first commit of the copy.") from error


def names(copy: Path, files: Mapping[str, bytes]) -> tuple[str, str, dict[str, str]]:
    """The copy's own name, its origin's, and the words that are others here, as its first pyproject.toml has them."""
    try:
        project = tomllib.loads(files["pyproject.toml"].decode())
        (name,) = project["project"]["entry-points"]["solvent.solutions"]
        return name, project["tool"]["solvent"]["origin"], project["tool"]["solvent"]["words"]
    except (KeyError, ValueError) as error:
        raise Refused(
            f"{copy / RECORD} does not say what the copy was made from. Take it from the first commit of the copy."
        ) from error


def diff(before: Mapping[str, bytes], now: Mapping[str, bytes], changed: Iterable[str]) -> str:
    """A unified diff of the changed ones among two sets of files, as `git apply` and `patch -p1` take it."""
    return "".join(_of_one(path, before.get(path), now.get(path)) for path in sorted(changed))


def _of_one(path: str, before: bytes | None, now: bytes | None) -> str:
    try:
        old, new = (list(io.StringIO((content or b"").decode())) for content in (before, now))
    except UnicodeDecodeError:
        return f"Binary files a/{path} and b/{path} differ\n"  # which `git apply` and `patch` pass over
    mode = " 100644" if before is not None and now is not None else ""
    head = f"diff --git a/{path} b/{path}\n"
    head += "new file mode 100644\n" * (before is None) + "deleted file mode 100644\n" * (now is None)
    head += f"index {_blob(before)}..{_blob(now)}{mode}\n"
    left = "/dev/null" if before is None else f"a/{path}"
    right = "/dev/null" if now is None else f"b/{path}"
    lines = unified_diff(old, new, left, right)
    return head + "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _blob(content: bytes | None) -> str:
    """The name that git gives a file's content: by it `git apply --3way` finds the copy as it was first committed."""
    if content is None:
        return "0" * 40
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
