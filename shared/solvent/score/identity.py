"""What makes two runs the same run: the bundle, the source's content, the side tables, and how the rows are cut."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ..files import sha256
from ..tables import Source

__all__ = ["Stamp", "identity", "stamp"]

Stamp = tuple[tuple[str, int, int], ...]


def stamp(source: Source) -> Stamp:
    """Names, sizes and times of a source's files: another stamp later says that it was changed while it was read."""
    if source.path is None:
        return ()
    path = Path(source.path).expanduser()
    if not path.exists():  # for the reader to refuse
        return ()
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    found = ((file.name if file == path else file.relative_to(path).as_posix(), file.stat()) for file in files)
    return tuple((name, status.st_size, status.st_mtime_ns) for name, status in found)


def identity(bundle_sha256: str, source: Source, side: Mapping[str, pd.DataFrame], **settings: Any) -> str:
    """Sixteen hexadecimal digits, the same for the same run.

    A file counts by its content, a folder by its files' stamps, a query by its text: its rows are not known yet.
    """
    path = Path(source.path).expanduser() if source.path else None
    content: Any = sha256(path) if path and path.is_file() else stamp(source)
    run = {
        "bundle": bundle_sha256,
        "source": source.model_dump(exclude={"path"}),
        "content": content,
        "side": {name: _fingerprint(side[name]) for name in sorted(side)},
        **settings,
    }
    return hashlib.sha256(json.dumps(run, sort_keys=True).encode()).hexdigest()[:16]


def _fingerprint(table: pd.DataFrame) -> str:
    from ..prepare import fingerprint  # brings scikit-learn, and most runs have no side table

    return fingerprint(table)
