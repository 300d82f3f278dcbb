"""Where scores go: a file or a folder, or a table of a database. Light: the settings of a job import it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import ValidationError, model_validator

from .. import stores
from ..errors import Refused
from ..solution import Section

__all__ = ["RUNS", "STAGING", "Sink"]

RUNS = "solvent_runs"
STAGING = "solvent_staging"


class Sink(Section):
    """Where scores go: a path, or a table of a database. A plain string is a path.

    Args:
        path: a file for a name that ends in .csv, .jsonl or .parquet, else a folder; or an address such as
            s3://bucket/scores.
        sql: an SQLAlchemy address such as `postgresql://writer:${DB_PASSWORD}@host/shop`.
        table: of the database, as `scores` or `schema.scores`; made where it isn't there. One that is there is empty,
            or has what earlier runs put there.
        mode: what becomes of the table's rows: replace takes all away, merge those whose ids are scored anew.
        folder: with a table, where the manifest, the rows set aside and unfinished runs lie.
    """

    path: str | None = None
    sql: str | None = None
    table: str | None = None
    mode: Literal["replace", "merge"] = "replace"
    folder: str | None = None

    @classmethod
    def of(cls, given: Given) -> Self:
        """Understand a path, a mapping or a sink.

        Raises:
            Refused: if scores can't go there, with every problem at once.
        """
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            problems = (f"{'.'.join(map(str, each['loc'])) or 'sink'}: {each['msg']}" for each in error.errors())
            raise Refused(f"This sink is not understood: {'; '.join(problems)}.") from error

    @property
    def place(self) -> tuple[str | None, str]:
        """The schema and the name of the table."""
        schema, _, name = (self.table or "").rpartition(".")
        return schema or None, name

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, given: Any) -> Any:
        if isinstance(given, str | os.PathLike):
            return {"path": os.fspath(given)}
        if isinstance(given, Mapping):
            return {key: os.fspath(value) if isinstance(value, os.PathLike) else value for key, value in given.items()}
        return given

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        problems = []
        if stores.is_address(self.path) and (wrong := stores.problem(str(self.path))):
            problems.append(wrong)
        if stores.is_address(self.folder):
            problems.append("folder: expected a folder of this machine; the table is where the scores are read")
        if (self.path is None) == (self.sql is None):
            problems.append("expected one of path: (a file or folder), sql: with table: and folder:")
        if self.sql is not None:
            problems += [f"sql: needs {name}:" for name in ("table", "folder") if not getattr(self, name)]
        else:
            problems += [f"{name}: needs sql:" for name in ("table", "folder") if getattr(self, name) is not None]
            if self.mode == "merge":
                problems.append("mode: merge is for a table; a file or a folder is always replaced")
        if self.table:
            if not all(self.table.split(".")) or self.table.count(".") > 1 or "\0" in self.table:
                problems.append(f"table: expected a name such as scores or schema.scores, got {self.table!r}")
            elif self.place[1].lower() in (RUNS, STAGING):
                problems.append(f"table: {self.table} is a name of Solvent's own; choose another")
        if problems:
            raise ValueError("; ".join(problems))
        return self


Given = Sink | str | os.PathLike[str] | Mapping[str, Any]
