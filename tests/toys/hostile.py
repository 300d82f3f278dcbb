"""Hostile inputs of every kind, scored: how each ended, and whether what must never happen did.

A case is known by its kind and number. It is scored with a bundle whose scores are known, and what is published is held
against what a plain reader (csv, json, pyarrow, Pillow) finds in the same file.
"""

import os
import random
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hostile_images
import hostile_jobs
import hostile_tables

from solvent.errors import SolventError

__all__ = ["KINDS", "Found", "run"]

Case = Callable[[random.Random, Path], str | None]
KINDS: dict[str, Case] = {**hostile_tables.CASES, **hostile_images.CASES, **hostile_jobs.CASES}
ENDS = {1: "failed", 2: "refused", 4: "too many bad rows", 5: "locked"}
TO_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
CHANGES = {
    "os.rename": 2,
    "os.link": 2,
    "os.symlink": 2,
    "os.truncate": 1,
    "os.remove": 1,
    "os.rmdir": 1,
    "os.mkdir": 1,
}
PROGRAMS = ("subprocess.Popen", "os.system", "os.posix_spawn", "os.exec")


@dataclass(frozen=True)
class Found:
    """What became of a case.

    Args:
        end: published, refused, failed, too many bad rows, or what must never be: traceback.
        wrong: a published row that is none of the source's, or rows that are lost.
        outside: what was written, made or removed outside the folder of outputs.
    """

    kind: str
    number: int
    end: str
    said: str = ""
    wrong: str | None = None
    outside: list[str] = field(default_factory=list)


def run(kind: str, number: int, folder: Path) -> Found:
    """Run a case in a folder of its own, which is new and empty; only `folder/out` may be written to."""
    chance = random.Random(f"{kind} {number}")
    for name in ("in", "out"):
        (folder / name).mkdir()
    end, said, wrong = "published", "", None
    with watched(folder / "out") as outside:
        try:
            wrong = KINDS[kind](chance, folder)
        except SolventError as error:
            end, said = ENDS[error.exit_code], str(error)
        except Exception:  # noqa: BLE001  (that is what is looked for)
            end, said = "traceback", traceback.format_exc()
    return Found(kind, number, end, said, wrong, [*outside, *unexpected(folder)])


def unexpected(folder: Path) -> Iterator[str]:
    """Files beside the folders that a case has, and links in the output that lead away."""
    yield from (f"{path} was made" for path in folder.iterdir() if path.name not in ("in", "out", "job"))
    for path in (folder / "out").rglob("*"):
        if path.is_symlink() and not path.name.startswith("there") and folder / "out" not in path.resolve().parents:
            yield f"{path} leads to {path.resolve()}"


# What the process writes


_watch: dict[str, Any] = {"found": None, "under": ""}


@contextmanager
def watched(under: Path) -> Iterator[list[str]]:
    """Collect what is written outside a folder while `writing` (of the cases) is on, by Python's audit hook."""
    if "hook" not in _watch:
        _watch["hook"] = True
        sys.addaudithook(_hook)
    found: list[str] = []
    _watch.update(found=found, under=os.path.realpath(under))
    try:
        yield found
    finally:
        _watch["found"] = None


def _hook(name: str, arguments: tuple[Any, ...]) -> None:
    found = _watch["found"] if _watch is not None else None  # a module's names are gone when Python ends
    if found is None or not hostile_tables.SCORING["now"]:
        return
    if name in PROGRAMS:
        found.append(f"{name} {arguments[:2]}")
    elif name == "open":
        # what is opened as a folder to write has no name: a temporary file
        if isinstance(arguments[2], int) and arguments[2] & TO_WRITE and not _is_folder(arguments[0]):
            _look(found, name, arguments[:1])
    elif name in ("os.remove", "os.rmdir") and arguments[1] >= 0:  # of a folder that is open: shutil.rmtree
        _look(found, name, (f"/proc/self/fd/{arguments[1]}/{os.fsdecode(arguments[0])}",))
    elif name in CHANGES:
        _look(found, name, arguments[: CHANGES[name]][-1 if name in ("os.symlink", "os.link") else 0 :])


def _is_folder(path: Any) -> bool:
    return not isinstance(path, int) and Path(os.fsdecode(path)).is_dir()


def _look(found: list[str], name: str, paths: tuple[Any, ...]) -> None:
    for path in paths:
        if isinstance(path, int) or path in ("/dev/null", b"/dev/null"):
            continue
        place = Path(os.fsdecode(path))
        real = os.path.realpath(place if name == "open" else place.parent)
        inside = f"{real}/".startswith(_watch["under"] + "/")
        # a job's history lies beside the job file
        if not inside and "__pycache__" not in real and ".history.jsonl" not in place.name:
            found.append(f"{name} {place}")
