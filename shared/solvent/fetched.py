"""What lies at an address, fetched once into a folder of this machine: then it is a path like any other.

`SOLVENT_CACHE/stores`, else `~/.cache/solvent/stores`: in `in/` what was fetched, by address and by the store's own
marks of the content, whole or absent; in `out/` runs that are to be published at an address. What was fetched and not
used for a week is removed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path, PurePosixPath

from . import stores
from .errors import Refused, SolventError
from .files import sync_folder
from .stores import Entry

__all__ = ["MANIFEST", "by_address", "fetched", "local", "named", "out"]

MANIFEST = "manifest.json"
SHORT = 16  # hexadecimal digits
UNUSED_SECONDS = 7 * 24 * 3600
MAGIC = frozenset("*?[")


def local(place: str | os.PathLike[str]) -> Path:
    """The path of a place on this machine; what lies at an address is fetched."""
    given = os.fspath(place)
    return fetched(given) if stores.is_address(given) else Path(given)


def fetched(address: str) -> Path:
    """Fetch an object, a folder with all that lies below it, or what fits a pattern, unless it is here already.

    Of a folder that `solvent score` has published into, the files that its manifest names.

    Returns:
        Its path on this machine: another one once the content has changed.

    Raises:
        Refused: if there is nothing, or it may not be read.
        SolventError: if it can't be fetched now, or changes meanwhile.
    """
    parent, name, there = _there(address)
    top = _folder() / "in" / _short(address)
    place = top / _short(*(f"{key} {each.size} {each.mark}" for key, each in there.items()))
    if not _is_whole(place, there):
        top.mkdir(mode=0o700, parents=True, exist_ok=True)
        (top / "address").write_text(parent, encoding="utf-8")
        _fetch(address, there, place)
        _forget_unused()
    os.utime(place)
    return place / name


def out(address: str) -> Path:
    """The path on this machine where a run is put together that is to be published at an address."""
    return _folder() / "out" / _short(address) / stores.split(address)[1]


def by_address(text: object) -> str:
    """A text in which what was fetched is named by its address."""

    def address(found: re.Match[str]) -> str:
        try:
            return stores.join((_folder() / "in" / found[1] / "address").read_text(encoding="utf-8"), "")
        except FileNotFoundError:
            return found[0]

    digits = f"[0-9a-f]{{{SHORT}}}"
    return re.sub(rf"{re.escape(str(_folder()))}/in/({digits})/{digits}/", address, str(text))


@contextmanager
def named() -> Iterator[None]:
    """Let errors name what was fetched by its address."""
    try:
        yield
    except SolventError as error:
        said = by_address(error)
        if said == str(error):
            raise
        raise type(error)(said) from error


def _folder() -> Path:
    given = os.environ.get("SOLVENT_CACHE")
    top = Path(given).expanduser() if given else Path.home() / ".cache" / "solvent"
    return Path(os.path.realpath(top)) / "stores"


def _short(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:SHORT]


def _there(address: str) -> tuple[str, str, dict[str, Entry]]:
    """What an address lies in, its name or its pattern from there, and the objects by their names from there."""
    parent, name = stores.split(address)
    itself = None if address.endswith("/") else stores.entry(address)
    if itself is not None:
        return parent, name, {_safe(name, address): itself}
    there = stores.below(address)
    if there:
        there = _published(address, there) or there
        return parent, name, {_safe(f"{name}/{key}", address): each for key, each in there.items()}
    protocol, _, rest = address.partition("://")
    parts = rest.split("/")
    first = next((number for number, part in enumerate(parts) if MAGIC.intersection(part)), 0)
    if first:
        fixed, pattern = f"{protocol}://{'/'.join(parts[:first])}", "/".join(parts[first:])
        if there := stores.fitting(fixed, pattern):
            return fixed, pattern, {_safe(key, address): each for key, each in there.items()}
        raise Refused(f"No object fits {address}. Look at the names below {fixed}.")
    raise Refused(
        f"There is no object {address}, and none below it. Look at its bucket and at the environment that names the "
        "store (such as AWS_ENDPOINT_URL)."
    )


def _published(address: str, there: Mapping[str, Entry]) -> dict[str, Entry]:
    """The files of the run that is published in a folder; none where it is no output of `solvent score`."""
    if MANIFEST not in there:
        return {}
    try:
        manifest = json.loads(stores.read(stores.join(address.rstrip("/"), MANIFEST)) or b"")
        run, names = str(manifest["run"]), [str(each["name"]) for each in manifest["parts"]]
    except (ValueError, LookupError, TypeError):
        return {}
    if lost := [name for name in names if name not in there]:
        raise SolventError(f"{address}: its manifest names {lost[0]}, which is not there. Try again; else score again.")
    return {str(PurePosixPath(name).relative_to(run)): there[name] for name in names}


def _safe(name: str, address: str) -> str:
    if "\0" in name or any(part in ("", ".", "..") for part in name.split("/")):
        raise Refused(f"{address}: the key {name!r} can't be the name of a file. Rename that object, or move it away.")
    return name


def _is_whole(place: Path, there: Mapping[str, Entry]) -> bool:
    return place.is_dir() and all(
        (place / name).is_file() and (place / name).stat().st_size == each.size for name, each in there.items()
    )


def _fetch(address: str, there: Mapping[str, Entry], place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(dir=place.parent, suffix=".tmp"))
    try:
        for name in there:
            try:
                (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            except (FileExistsError, NotADirectoryError) as error:
                raise Refused(f"{address}: an object and a folder have one name, above {name}. Rename one.") from error
        stores.at_once(partial(stores.download, each, temporary / name) for name, each in there.items())
        if _there(address)[2] != there:
            raise SolventError(f"{address} was changed while it was fetched. Nothing was kept; try again.")
        sync_folder(temporary)
        try:
            temporary.rename(place)
        except OSError:
            if not _is_whole(place, there):  # else another process has brought it meanwhile
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _forget_unused() -> None:
    oldest = time.time() - UNUSED_SECONDS
    for place in (_folder() / "in").glob("*/*/"):
        if place.stat().st_mtime < oldest:
            shutil.rmtree(place, ignore_errors=True)
    for folder in (_folder() / "out").glob("*/"):
        with suppress(OSError):  # not empty: a run is under way there, or is to be gone on with
            folder.rmdir()
