"""What a run is asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import get_args

import pandas as pd

from .. import drift, fetched, stores
from ..errors import Refused
from ..solution import JSON
from ..tables import Source
from .engine import Name
from .publish import Destination
from .remote import Remote
from .sink import Sink

__all__ = ["Order"]


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is asked for; see `score`."""

    source: Source
    sink: Sink
    engine: Name
    chunk_rows: int
    max_bad: float
    min_rows: int
    side: Mapping[str, pd.DataFrame]
    ids: tuple[str, ...]
    passthrough: tuple[str, ...]
    mask: frozenset[str]
    alarms: drift.Alarms | None
    keep: int
    earlier: Sequence[Mapping[str, JSON]] = field(default=())

    @cached_property
    def destination(self) -> Destination | Remote:
        named = self.sink.path or self.sink.folder or ""
        if stores.is_address(named):
            return Remote(named.rstrip("/"), Destination(fetched.out(named.rstrip("/"))))
        return Destination(Path(os.path.abspath(Path(named).expanduser())))  # noqa: PTH100  (links stay links)

    def refuse_arguments(self, chunk_rows: int | None) -> None:
        path = self.destination.local.path
        _refuse_no_name(str(path))
        if not path.name:
            raise Refused(f"{path} can't be an output. Name a file or a folder.")
        try:
            str(path).encode()
        except UnicodeEncodeError as error:
            raise Refused(f"{str(path)!r} is no UTF-8. Name another output.") from error
        if self.sink.sql is not None and self.destination.local.form != "folder":
            raise Refused(f"folder: {path} would be a file. Name a folder for the manifest and the rows set aside.")
        if self.engine not in get_args(Name):
            raise Refused(f"engine={self.engine!r}: expected {' or '.join(get_args(Name))}.")
        if chunk_rows is not None and chunk_rows < 1:
            raise Refused(f"--chunk-rows {chunk_rows}: expected 1 or more.")
        if not 0 <= self.max_bad <= 1:
            raise Refused(f"--max-bad {self.max_bad}: expected a share from 0 to 1, such as 0.01.")
        if self.keep < 1:
            raise Refused(f"keep={self.keep}: expected 1 or more; the published run is one of them.")
        if self.source.path is None:
            return
        if stores.is_address(self.source.path) and stores.is_address(self.sink.path):
            _refuse_overlap(self.source.path.rstrip("/"), self.destination.shown)
        if stores.is_address(self.source.path):
            return
        _refuse_no_name(self.source.path)
        if not stores.is_address(self.sink.path):
            read = Path(os.path.realpath(Path(self.source.path).expanduser()))  # resolve() raises for a loop of links
            if os.path.isdir(read) and read in path.resolve().parents:  # noqa: PTH112  (Path's raises for a long name)
                raise Refused(f"{path} lies in {self.source.path}, which is read. Name an output elsewhere.")
            if read == path.resolve() or self.destination.local.runs.resolve() in read.parents:
                raise Refused(
                    f"{self.source.path} is the output too. Name another output: a source is never overwritten."
                )


def _refuse_overlap(source: str, output: str) -> None:
    """The same of two addresses."""
    if output.startswith(f"{source}/"):
        raise Refused(f"{output} lies in {source}, which is read. Name an output elsewhere.")
    if source == output or source.startswith(f"{output}/"):
        raise Refused(f"{source} is the output too. Name another output: a source is never overwritten.")


def _refuse_no_name(path: str) -> None:
    try:
        named = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        named = False
    if not named:
        raise Refused(f"{path[:200]!r} can't be the name of a file. Name another.")
