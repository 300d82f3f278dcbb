"""A folder of images as a table, with a sub-folder for each class or without."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from ..errors import Refused
from ..wording import listed
from .opening import is_table

__all__ = ["any_in", "contents", "paths", "ready_parts", "table"]

PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "valid"),
    **dict.fromkeys(("test", "testing"), "test"),
}
IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".dcm")
MARK, MARK_AT = b"DICM", 128  # in the files of scanners, which often have no ending, or a number as such
INDEX = "dicomdir"  # a list of such files, with the mark of one
BESIDE = (".json", ".xml", ".html", ".htm", ".md", ".pdf", ".log", ".ini", ".db")  # notes, which are no images anywhere


def table(path: Path, *, image: str, label: str, identifier: str | None, every: bool = False) -> pd.DataFrame:
    """A row for each image below a folder; its class is the folder at the top, unless images lie there too.

    Args:
        image, label, identifier: what the columns are called.
        every: take every file for an image, whatever its name and contents, but not a table or a note. A file in no
            folder then has no class, so that one that went astray takes the others' classes from none.

    Raises:
        Refused: as `paths` does.
    """
    found = paths(path, every=every)
    names = [each.as_posix() for each in found]
    columns: dict[str, list[str | None]] = {image: [*names]}
    in_folders = [len(each.parts) > 1 for each in found]
    if all(in_folders) or (every and any(in_folders)):
        columns[label] = [each.parts[0] if within else None for each, within in zip(found, in_folders, strict=True)]
    if identifier is not None:
        columns[identifier] = [*names]
    return pd.DataFrame(columns, dtype="str")


def paths(path: Path, *, every: bool = False) -> list[Path]:
    """The images below a folder, relative to it, sorted.

    Raises:
        Refused: if there are none, if the folder is cut into parts already, or a name is not UTF-8.
    """
    found = sorted(_below(path, every))
    if not found:
        raise Refused(
            f"{path} is no table: expected *.csv, *.jsonl or *.parquet files in it, or images, or a sub-folder of "
            f"images for each class. It holds: {listed(contents(path), most=8)}."
        )
    if parts := ready_parts(path, every=every):
        folders = listed(sorted(part.name for part in parts.values()))
        raise Refused(f"{path} is cut into {folders} already. Name one of them, or train with data.rows: {path.name}.")
    odd = next((str(each) for each in found if not _is_utf8(str(each))), None)
    if odd is not None:
        raise Refused(f"{odd!r} in {path}: this name is not UTF-8. Rename it.")
    return found


def any_in(path: Path, *, every: bool = False) -> bool:
    """Whether an image lies below a folder."""
    return next(_below(path, every), None) is not None


def contents(path: Path) -> list[str]:
    """What lies in a folder, for messages."""
    return sorted(item.name + "/" * item.is_dir() for item in path.iterdir())


def ready_parts(path: Path, *, every: bool = False) -> dict[str, Path]:
    """The parts of a folder that is cut already: `train/`, `val/` and `test/`, each with a folder for each class.

    Returns:
        The folders of `train`, and of `valid` and `test` where they are there; nothing for any other folder.

    Raises:
        Refused: if images lie in it that are in no class of a part, or two folders are the same part.
    """
    images = [image.parts for image in sorted(_below(path, every))]
    parts = {top: PARTS.get(top.lower()) for top in sorted({image[0] for image in images if len(image) > 1})}
    classes = {top for top, part in parts.items() if part and any(i[0] == top and len(i) > 2 for i in images)}
    others = [top for top, part in parts.items() if part is None]
    if "train" not in {parts[top] for top in classes} or (others and len(parts) == len(others) + 1):
        return {}  # classes, which may be called so
    stray = next(("/".join(image) for image in images if image[0] not in classes or len(image) < 3), None)
    if stray is not None:
        raise Refused(
            f"{path} looks as if it were cut into {listed(sorted(classes))}, each with a folder for each class, but it "
            f"also holds {stray}. Move that away, or name the parts apart: data: {{train: ..., test: ...}}."
        )
    places = {part: top for top, part in parts.items() if part}
    if len(places) < len(parts):
        raise Refused(f"{path} holds {listed(sorted(parts))}: two of them are the same part.")
    order = [part for part in ("train", "valid", "test") if part in places]
    return {part: path / places[part] for part in order}


def _below(path: Path, every: bool) -> Iterator[Path]:
    """The images below a folder, relative to it; linked folders too, hidden ones and those of archivers not."""
    counts = _may_be_image if every else _is_image
    seen = set()
    for top, folders, files in os.walk(path, onerror=_raise, followlinks=True):
        real = os.path.realpath(top)
        folders[:] = [name for name in sorted(folders) if not name.startswith((".", "__MACOSX"))]
        if real in seen:  # a link that leads back up
            folders.clear()
            continue
        seen.add(real)
        inside = Path(top).relative_to(path)
        yield from (inside / name for name in files if not name.startswith(".") and counts(Path(top, name)))


def _raise(error: OSError) -> None:
    raise error  # os.walk skips a folder that it can't read, and its images with it


def _may_be_image(path: Path) -> bool:
    """Whether nothing in a file's name says that it is no image: one that is damaged must not go unseen."""
    return not is_table(path) and path.suffix.lower() not in BESIDE and path.name.lower() != INDEX


def _is_image(path: Path) -> bool:
    """Whether a file is an image by its ending or, where it has none, by a mark inside."""
    ending = path.suffix.lower()
    if ending in IMAGES:
        return True
    if (ending and not ending[1:].isdigit()) or path.name.lower() == INDEX or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(MARK_AT + len(MARK))[MARK_AT:] == MARK


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
