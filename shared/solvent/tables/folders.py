"""Which files a path stands for: a file, those that a pattern matches, or those of a folder, partitioned or not."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from ..errors import Refused
from ..wording import listed, suggestion
from . import image_folders
from .opening import COMPRESSED, DELIMITED, JSON_LINES, KINDS, PARQUET, inner, is_compressed

__all__ = ["Part", "check_there", "folder_of", "found", "holds_images"]

IN_NO_FOLDER = (".txt",)  # a note beside the tables, more often than a table
MAGIC = frozenset("*?[")
NULL = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Part:
    """One file of a table.

    Args:
        kind: one of `KINDS`.
        keys: what the names of its folders say of all its rows: `day=2026-01-01/`.
    """

    path: Path
    kind: str
    keys: Mapping[str, str | None]


def found(path: Path) -> list[Part]:
    """The files that a path stands for, in the order in which they are read; none for a folder of images.

    Raises:
        Refused: if it stands for no table, or for files that are no one table.
    """
    if path.is_dir():
        return _one_table(path, _of_folder(path))
    if is_pattern(path):
        parts = _one_table(path, _of_pattern(path))
        if not parts:
            raise Refused(f"No table file fits {path}. {_inside(_fixed(path))}")
        return parts
    kind = _kind(path)
    if kind is None:
        raise Refused(
            f"{path.name}: a table ends in {listed((*DELIMITED, *JSON_LINES))} (or with {listed(COMPRESSED)} behind "
            "that), or .parquet, or is a folder. Save it as CSV (from a spreadsheet: CSV UTF-8) or as Parquet."
        )
    _refuse_no_file(path)
    return [_part(path.parent, Path(path.name), kind)]


def check_there(path: Path, base: Path) -> None:
    """Raise Refused if there is nothing of that name, and it is no pattern."""
    if not path.exists() and not is_pattern(path):
        beside = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
        raise Refused(
            f"There is no file or folder {path}.{suggestion(path.name, beside)} "
            f"A relative path starts from {base.resolve()}."
        )


def holds_images(path: Path) -> bool:
    """Whether a folder is one of images: what is no table files' folder."""
    return path.is_dir() and not _of_folder(path)


def folder_of(path: Path) -> Path:
    """The folder that a file or a folder of table files lies in; of a pattern, the last one that it names."""
    return _fixed(path) if is_pattern(path) else path.parent


def is_pattern(path: Path) -> bool:
    return bool(MAGIC.intersection(str(path))) and not path.exists()


def _fixed(pattern: Path) -> Path:
    """The folder above the first name with a wildcard that is not there as it is written."""
    folder = Path(pattern.anchor)
    for name in pattern.parts[len(folder.parts) : -1]:
        if MAGIC.intersection(name) and not (folder / name).exists():
            break
        folder /= name
    return folder


def _of_pattern(pattern: Path) -> list[Part]:
    fixed = _fixed(pattern)
    rest = pattern.relative_to(fixed)
    names = sorted(Path(name) for name in glob.glob(str(rest), root_dir=fixed, recursive=True))  # noqa: PTH207  (Path.glob refuses a**)
    if not rest.name.startswith("_"):
        names = [name for name in names if all(_is_shown(part) or part in rest.parts for part in name.parts)]
    return [_part(fixed, name, kind) for name in names if (kind := _kind(name)) and not (fixed / name).is_dir()]


def _of_folder(path: Path) -> list[Part]:
    """The table files in a folder and in its partitions; none if it rather is a folder of images."""
    names = sorted(name for name in _names(path) if _kind(name) and inner(name) not in IN_NO_FOLDER)
    if not names:
        return []
    # a folder of images may hold a list of them
    if not any(len(name.parts) == 1 and inner(name) in PARQUET for name in names) and image_folders.any_in(path):
        return []
    return [_part(path, name, str(_kind(name))) for name in names]


def _names(path: Path) -> Iterator[Path]:
    """Files, relative to the folder, that are not hidden: its own and those of folders such as day=2026-01-01."""
    seen = set()
    for top, folders, files in os.walk(path, onerror=_raise, followlinks=True):
        real = os.path.realpath(top)
        folders[:] = [] if real in seen else [name for name in folders if name.find("=") > 0 and _is_shown(name)]
        if real not in seen:
            seen.add(real)
            yield from (Path(top).relative_to(path) / name for name in files if _is_shown(name))


def _is_shown(name: str) -> bool:
    return not name.startswith((".", "_"))


def _raise(error: OSError) -> None:
    raise error


def _kind(path: Path) -> str | None:
    kind = KINDS.get(inner(path))
    if kind == "Parquet" and is_compressed(path):
        raise Refused(f"{path.name}: a Parquet file is compressed inside. Decompress it: {path.stem}.")
    return kind


def _part(top: Path, name: Path, kind: str) -> Part:
    _decoded(top / name, "".join(name.parts).replace("%", ""))  # pyarrow takes no other names
    keys: dict[str, str | None] = {}
    for folder in name.parts[:-1]:
        key, equals, value = folder.partition("=")
        if key and equals:
            keys[_decoded(top / name, key)] = None if value in ("", NULL) else _decoded(top / name, value)
    return Part(top / name, kind, keys)


def _decoded(path: Path, text: str) -> str:
    try:
        text = unquote(text, errors="strict")
        text.encode()
    except UnicodeError as error:
        raise Refused(f"{str(path)!r}: this name is not UTF-8. Rename it.") from error
    return text


def _one_table(path: Path, parts: list[Part]) -> list[Part]:
    """The parts, if they are of one kind and in the same partitions, and none is there twice."""
    names: dict[Path, Path] = {}
    for part in parts:
        _refuse_no_file(part.path)
        first, plain = parts[0], part.path.with_name(part.path.stem) if is_compressed(part.path) else part.path
        if part.kind != first.kind:
            raise Refused(
                f"{path} holds files of several kinds: {first.path.name} is {first.kind}, {part.path.name} is "
                f"{part.kind}. Move one kind away, or name the other by a pattern: *{inner(first.path)}."
            )
        if list(part.keys) != list(first.keys):
            raise Refused(
                f"{path} is partitioned in several ways: {_relative(first, path)} and {_relative(part, path)}. Every "
                "file has to lie in folders of the same keys."
            )
        if plain in names:
            raise Refused(
                f"{names[plain].name} and {part.path.name} lie in {part.path.parent}: the same rows twice? Move one "
                "away."
            )
        names[plain] = part.path
    return parts


def _refuse_no_file(path: Path) -> None:
    """A table is read more than once, which a pipe or a device can't be, and waiting for one may never end."""
    if not path.is_file():
        raise Refused(
            f"{path} is no file but a pipe, a device, a folder or a link that leads nowhere. Write the rows into a "
            "file, or move it away."
        )


def _relative(part: Part, top: Path) -> str:
    return str(part.path.relative_to(top) if part.path.is_relative_to(top) else part.path)


def _inside(folder: Path) -> str:
    if not folder.is_dir():
        return f"There is no folder {folder}."
    return f"{folder} holds: {listed(image_folders.contents(folder), most=8)}."
