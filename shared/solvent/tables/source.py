"""Tables in: files, folders, patterns, queries. Knows nothing of roles.

| source | becomes |
|---|---|
| `loans.csv`, `.tsv`, `.txt` | text or missing cells; a row that doesn't fit the header keeps its place: `BAD_ROW` |
| `loans.jsonl`, `.ndjson` | a row for each line; cells as JSON has them, objects as JSON text; `BAD_ROW` as above |
| `loans.csv.gz`, `.zst`, `.bz2`, `.xz` | what is in it; of `.jsonl` and the others likewise |
| `loans.parquet`, `.pq` | cells with their types; integers and booleans nullable |
| `in/loans-*.csv` | the files that fit, in the order of their names, as one table; `**` is any folders |
| a folder with such files | these as one table; all of one kind, not `.txt`, and none that begins with `.` or `_` |
| a folder with `day=2026-01-01/` and such files in it | the same, and a column `day` of texts |
| a folder with a sub-folder of images for each class | columns `image` (path relative to the folder) and `label` |
| a folder of images | column `image` (path relative to the folder), of sub-folders too |
| `s3://in/loans.parquet`, `s3://in/loans/` | the same of an object, or of all below it, fetched once: `fetched.py` |
| `{sql: ADDRESS, query: SELECT ...}` | the rows of the query; `${NAME}` in the address comes from the environment |
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

import pandas as pd
from pydantic import ValidationError, model_validator

from .. import fetched, stores
from ..errors import Refused, SolventError
from ..solution import Section
from . import counting, database, folders, image_folders, parquet, reading
from .delimited import BAD_ROW

__all__ = ["Source", "chunks", "files", "folder", "label", "place", "read", "ready_parts", "rows"]

LEAST_ROWS = 10_000  # that are read at once, however small the parts


class Source(Section):
    """Where a table comes from: a path, a query, or a public data set. A plain string is a path.

    Args:
        path: a file, a folder, or a pattern such as `in/loans-*.csv`; each of them also at an address of an object
            store, such as `s3://in/loans.parquet`.
        encoding: of a CSV file; found where it is not named.
        delimiter: of a CSV file; found where it is not named.
        decimal: what numbers of a CSV file have before their decimals.
        sql: an SQLAlchemy address such as `postgresql://reader:${DB_PASSWORD}@host/shop`.
        query: a SELECT. Give it an ORDER BY where the order of rows matters.
        key: of a query: the column that orders its rows, unique as a rule; reading goes on behind the last one (keyset
            paging).
        image, label, id: what the columns of a folder of images are called; without `id` there is no such column, else
            the path is the id.
        every: every file of a folder of images is one, whatever its name and contents, but tables and notes: what can't
            be read is then set aside, with the reason, and does not go unseen. So by itself where the solution reads
            files of a format of its own, which often have no ending or any.
        dataset: the name of one of the solution's public data sets; whoever holds the solution reads it.
    """

    path: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    decimal: Literal[".", ","] = "."
    sql: str | None = None
    query: str | None = None
    key: str | None = None
    image: str = "image"
    label: str = "label"
    id: str | None = None
    every: bool = False
    dataset: str | None = None

    @classmethod
    def of(cls, given: Given) -> Self:
        """Understand a path, a mapping or a source.

        Raises:
            Refused: if it names no table, with every problem at once.
        """
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            problems = (f"{'.'.join(map(str, each['loc'])) or 'source'}: {each['msg']}" for each in error.errors())
            raise Refused(f"This source of a table is not understood: {'; '.join(problems)}.") from error

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, given: Any) -> Any:
        if isinstance(given, str | os.PathLike):
            return {"path": os.fspath(given)}
        if isinstance(given, Mapping) and isinstance(given.get("path"), os.PathLike):
            return {**given, "path": os.fspath(given["path"])}
        return given

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if sum(each is not None for each in (self.path, self.sql, self.dataset)) != 1:
            raise ValueError("expected one of path: (a file or folder), sql: with query:, dataset:")
        if (self.sql is None) != (self.query is None):
            raise ValueError("sql: and query: need each other")
        if stores.is_address(self.path) and (wrong := stores.problem(str(self.path))):
            raise ValueError(wrong)
        if self.key is not None and self.sql is None:
            raise ValueError("key: is the column that orders the rows of a query; it needs sql: and query:")
        if self.delimiter is not None and (
            len(self.delimiter) != 1 or self.delimiter in '"\r\n\0' or not self.delimiter.isascii()
        ):
            raise ValueError("delimiter: expected one character, of ASCII, and no quotation mark")
        return self


Given = Source | str | os.PathLike[str] | Mapping[str, Any]


def read(source: Given, *, base: Path = Path()) -> pd.DataFrame:
    """Read a whole table: its rows numbered from 0, its columns under their own names.

    Args:
        base: the folder that a relative path starts from.

    Raises:
        Refused: if there is no such table, or it can't be read; the message says what to do.
    """
    with fetched.named():
        return _joined(list(_pieces(Source.of(source), base)), start=0)


def chunks(source: Given, rows: int, *, base: Path = Path()) -> Iterator[pd.DataFrame]:
    """Read a table part by part: `rows` rows each, numbered on. An empty table is one empty part.

    Raises:
        Refused: as `read` does, once the part is reached that can't be read.
    """
    if rows < 1:
        raise Refused(f"Parts of {rows} rows: expected 1 or more.")
    held: list[pd.DataFrame] = []
    start = 0
    with fetched.named():
        for piece in _pieces(Source.of(source), base, max(rows, LEAST_ROWS)):
            held.append(piece)
            while sum(len(part) for part in held) >= rows:
                whole = _joined(held, start)
                held = [whole.iloc[rows:]]
                yield _joined([whole.iloc[:rows]], start)
                start += rows
        if start == 0 or any(len(part) for part in held):
            yield _joined(held, start)


def label(source: Given) -> str:
    """A short name for messages: "loans.csv"; no password is in it."""
    source = Source.of(source)
    if source.path is not None:
        return Path(source.path).name or source.path
    return source.dataset or database.label(source.sql or "")


def folder(source: Given, *, base: Path = Path()) -> Path:
    """The folder that relative paths in the table's cells start from: the folder of images itself, else the file's."""
    source = Source.of(source)
    if source.path is None:
        return base
    path = _path(source, base)
    return path if folders.holds_images(path) else folders.folder_of(path)


def files(source: Given, *, base: Path = Path()) -> list[Path]:
    """Every file whose bytes decide the rows, in the order in which they are read; none of a query.

    Raises:
        Refused: if there is no such source, as reading it would.
    """
    source = Source.of(source)
    if source.path is None:
        return []
    path = _path(source, base)
    with fetched.named(), reading.failures_named(path):
        if parts := _parts(path, base):
            return [part.path for part in parts]
        return [path / image for image in image_folders.paths(path, every=source.every)]


def rows(source: Given, *, base: Path = Path()) -> int | None:
    """About how many rows there are, for a progress bar; None where that can't be said without reading them.

    Exact for Parquet and images; for CSV and JSON Lines it is the size over the length of a row in the first MiB.
    """
    try:
        found = files(source, base=base)
        return counting.rows(found) if found else None
    except (SolventError, OSError):
        return None  # who reads the source says what is wrong with it


def ready_parts(source: Given, *, base: Path = Path()) -> dict[str, Source]:
    """The parts of a folder that is cut already: `train/`, `val/` and `test/`, each with a folder for each class.

    Returns:
        The sources of `train`, and of `valid` and `test` where they are there; nothing for any other source.

    Raises:
        Refused: if images lie in it that are in no class of a part, or two folders are the same part.
    """
    source = Source.of(source)
    path = _path(source, base)
    if source.path is None or not path.is_dir():
        return {}
    return {
        part: source.model_copy(update={"path": str(folder)})
        for part, folder in image_folders.ready_parts(path, every=source.every).items()
    }


def place(source: Given) -> Path:
    """Where on this machine a source's file, folder or pattern is; what lies at an address is fetched."""
    return _path(Source.of(source), Path())


def _path(source: Source, base: Path) -> Path:
    if stores.is_address(source.path):
        return fetched.fetched(str(source.path))
    return base / Path(source.path or "").expanduser()


def _parts(path: Path, base: Path) -> list[folders.Part]:
    folders.check_there(path, base)
    return folders.found(path)


def _pieces(source: Source, base: Path, rows: int = parquet.BATCH_ROWS) -> Iterator[pd.DataFrame]:
    if source.sql is not None:
        return database.pieces(source.sql, source.query or "", base, source.key)
    if source.dataset is not None:
        raise Refused(f"The data set {source.dataset} is no file: fetch it with solvent data get, then name its path.")
    path = _path(source, base)
    with reading.failures_named(path):
        parts = _parts(path, base)
        if not parts:
            made = image_folders.table(
                path, image=source.image, label=source.label, identifier=source.id, every=source.every
            )
            return iter([made])
    return reading.pieces(parts, rows, encoding=source.encoding, delimiter=source.delimiter, decimal=source.decimal)


def _joined(pieces: list[pd.DataFrame], start: int) -> pd.DataFrame:
    """The pieces as one table, numbered from `start`; BAD_ROW only if one of its rows is."""
    filled = [piece for piece in pieces if len(piece)] or pieces[:1]
    whole = pd.concat(filled, ignore_index=True) if len(filled) > 1 else filled[0]
    if BAD_ROW in whole.columns and whole[BAD_ROW].isna().all():
        whole = whole.drop(columns=BAD_ROW)
    return whole.set_axis(pd.RangeIndex(start, start + len(whole)))
