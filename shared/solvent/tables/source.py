"""Tables in and out: CSV, Parquet, SQL, a folder of class folders. Knows nothing of roles.

| source | becomes |
|---|---|
| `loans.csv`, `.tsv`, `.txt` | text or missing cells; a row that doesn't fit the header keeps its place: `BAD_ROW` |
| `loans.parquet` | cells with their types; integers and booleans nullable |
| a folder with `*.parquet` | its files in the order of their names, as one table |
| a folder with a sub-folder of images for each class | columns `image` (path relative to the folder) and `label` |
| a folder of images | column `image` (path relative to the folder), of sub-folders too |
| `{sql: ADDRESS, query: SELECT ...}` | the rows of the query; `${NAME}` in the address comes from the environment |
"""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Literal, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from pydantic import ValidationError, model_validator

from ..errors import Refused, SolventError
from ..files import replacing
from ..solution import Section, Type
from ..wording import listed, suggestion
from . import database, delimited, parquet
from .delimited import BAD_ROW

__all__ = [
    "BAD_ROW",
    "Source",
    "append_csv",
    "chunks",
    "ending",
    "folder",
    "label",
    "read",
    "ready_parts",
    "with_files",
    "write",
]

DELIMITED = (".csv", ".tsv", ".txt")
PARQUET = (".parquet", ".pq")
LEAST_ROWS = 10_000  # that are read at once, however small the parts
PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "valid"),
    **dict.fromkeys(("test", "testing"), "test"),
}
IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".dcm")


class Source(Section):
    """Where a table comes from: a path, a query, or a public data set. A plain string is a path.

    Args:
        path: a file or a folder.
        encoding: of a CSV file; found where it is not named.
        delimiter: of a CSV file; found where it is not named.
        decimal: what numbers of a CSV file have before their decimals.
        sql: an SQLAlchemy address such as `postgresql://reader:${DB_PASSWORD}@host/shop`.
        query: a SELECT. Give it an ORDER BY where the order of rows matters.
        image, label, id: what the columns of a folder of images are called; without `id` there is no such column, else
            the path is the id.
        dataset: the name of one of the solution's public data sets; whoever holds the solution reads it.
    """

    path: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    decimal: Literal[".", ","] = "."
    sql: str | None = None
    query: str | None = None
    image: str = "image"
    label: str = "label"
    id: str | None = None
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
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise ValueError("delimiter: expected one character, and no quotation mark")
        return self


Given = Source | str | os.PathLike[str] | Mapping[str, Any]


def read(source: Given, *, base: Path = Path()) -> pd.DataFrame:
    """Read a whole table: its rows numbered from 0, its columns under their own names.

    Args:
        base: the folder that a relative path starts from.

    Raises:
        Refused: if there is no such table, or it can't be read; the message says what to do.
    """
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
    path = _path(source, base)
    return base if source.path is None else path if path.is_dir() and not _parquet_files(path) else path.parent


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
    images = [image.parts for image in _image_paths(path)]
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
    return {part: source.model_copy(update={"path": str(path / places[part])}) for part in order}


def ending(table: pd.DataFrame) -> str:
    """The ending of a file that keeps the table's cells as they are: .parquet for bytes and lists, else .csv."""
    first = [cells.dropna().iloc[0] for _, cells in table.items() if cells.notna().any()]
    return ".parquet" if any(isinstance(cell, bytes | list | np.ndarray) for cell in first) else ".csv"


def write(table: pd.DataFrame, path: Path, types: Mapping[str, Type] | None = None) -> None:
    """Write a table without its index, so that the file is whole or absent.

    Args:
        path: ends in .csv or .parquet. In CSV a list is JSON, and bytes are base64.
        types: declared types, which a column has even where it holds nothing but nulls.

    Raises:
        Refused: for another ending, or cells that don't fit their declared type.
        SolventError: if the file can't be written.
    """
    writers: dict[str, Callable[[Any, Path], None]] = {".csv": _write_csv, ".parquet": pq.write_table}
    if path.suffix.lower() not in writers:
        raise Refused(f"{path}: expected a name that ends in .csv or .parquet.")
    columns = parquet.typed(table, types or {})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            writers[path.suffix.lower()](columns, temporary)
    except OSError as error:
        raise SolventError(f"{path} could not be written: {error.strerror or error}.") from error


def with_files(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Write cells that hold bytes, such as pictures, as files, and put their paths in their place.

    Args:
        folder: gets `COLUMN-ROW.png`, with rows counted from 1; what an earlier call left there is replaced.

    Returns:
        The table with paths relative to the folder that `folder` lies in; itself where no cell holds bytes.

    Raises:
        Refused: if `folder` holds anything else.
    """
    names = [name for name, cells in table.items() if any(isinstance(cell, bytes) for cell in cells)]
    if not names:
        return table
    ours = re.compile(rf"(?:{'|'.join(re.escape(str(name)) for name in names)})-\d+\.\w+")
    if folder.exists() and not all(ours.fullmatch(item.name) for item in folder.iterdir()):
        raise Refused(f"{folder} is there already and holds other files. Move it away, or name another output.")
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    temporary.mkdir(parents=True)
    for name in names:
        paths: list[Any] = []
        for row, cell in enumerate(table[name], start=1):
            ending = ".png" if isinstance(cell, bytes) and cell.startswith(b"\x89PNG") else ".bin"
            paths.append(f"{folder.name}/{name}-{row}{ending}" if isinstance(cell, bytes) else None)
            if isinstance(cell, bytes):
                (temporary / f"{name}-{row}{ending}").write_bytes(cell)
        table = table.assign(**{str(name): pd.array(paths, dtype="str")})
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    return table


def append_csv(table: pd.DataFrame, file: IO[bytes], *, header: bool) -> None:
    """Write rows as CSV behind those that a file has, in the form that `write` gives them."""
    _append_csv(parquet.typed(table, {}), file, header)


def _write_csv(columns: Any, path: Path) -> None:
    with path.open("wb") as file:
        _append_csv(columns, file, header=True)


def _append_csv(columns: Any, file: IO[bytes], header: bool) -> None:
    for position, field in enumerate(columns.schema):
        if pa.types.is_nested(field.type) or pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
            cells = [None if cell is None else _csv_cell(cell) for cell in columns.column(position).to_pylist()]
            columns = columns.set_column(position, field.name, pa.array(cells, type=pa.string()))
    if header:
        names = io.StringIO()
        csv.writer(names, lineterminator="\n").writerow(columns.column_names)
        file.write(names.getvalue().encode())
    # pyarrow is ten times as fast as pandas, but puts quotation marks around all names
    pa.csv.write_csv(columns, file, pa.csv.WriteOptions(include_header=False))


def _csv_cell(cell: Any) -> str:
    if isinstance(cell, bytes):
        return base64.b64encode(cell).decode("ascii")
    return json.dumps(cell, ensure_ascii=False, default=str)


def _path(source: Source, base: Path) -> Path:
    return base / Path(source.path or "").expanduser()


def _pieces(source: Source, base: Path, rows: int = parquet.BATCH_ROWS) -> Iterator[pd.DataFrame]:
    if source.sql is not None:
        return database.pieces(source.sql, source.query or "", base)
    if source.dataset is not None:
        raise Refused(f"The data set {source.dataset} is no file: fetch it with solvent data get, then name its path.")
    path = _path(source, base)
    _check_there(path, base)
    if path.is_dir():
        return _folder_pieces(source, path, rows)
    ending = path.suffix.lower()
    if ending in DELIMITED:
        return _readable(
            path,
            delimited.pieces(path, encoding=source.encoding, delimiter=source.delimiter, decimal=source.decimal),
        )
    if ending in PARQUET:
        return _readable(path, parquet.pieces([path], rows))
    raise Refused(
        f"{path.name}: a table ends in {listed(DELIMITED)} or .parquet, or is a folder. "
        "Save it as CSV (from a spreadsheet: CSV UTF-8) or as Parquet."
    )


def _check_there(path: Path, base: Path) -> None:
    if not path.exists():
        beside = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
        raise Refused(
            f"There is no file or folder {path}.{suggestion(path.name, beside)} "
            f"A relative path starts from {base.resolve()}."
        )


def _readable(path: Path, pieces: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    try:
        yield from pieces
    except OSError as error:
        raise SolventError(f"{path} could not be read: {error.strerror or error}.") from error


def _folder_pieces(source: Source, path: Path, rows: int) -> Iterator[pd.DataFrame]:
    files = _parquet_files(path)
    return _readable(path, parquet.pieces(files, rows)) if files else iter([_images(source, path)])


def _parquet_files(path: Path) -> list[Path]:
    return sorted(item for item in path.glob("*") if item.suffix.lower() in PARQUET and not item.name.startswith("."))


def _images(source: Source, path: Path) -> pd.DataFrame:
    """A row for each image below a folder; its class is the folder at the top, unless images lie there too."""
    found = _image_paths(path)
    if not found:
        inside = sorted(item.name + "/" * item.is_dir() for item in path.iterdir())
        raise Refused(
            f"{path} is no table: expected *.parquet files in it, or images, or a sub-folder of images for each class. "
            f"It holds: {listed(inside, most=8)}."
        )
    if parts := ready_parts(path):
        folders = listed(sorted(Path(part.path or "").name for part in parts.values()))
        raise Refused(f"{path} is cut into {folders} already. Name one of them, or train with data.rows: {path.name}.")
    paths = [image.as_posix() for image in found]
    columns = {source.image: paths}
    if all(len(image.parts) > 1 for image in found):
        columns[source.label] = [image.parts[0] for image in found]
    if source.id is not None:
        columns[source.id] = paths
    return pd.DataFrame(columns, dtype="str")


def _image_paths(path: Path) -> list[Path]:
    """The images below a folder, relative to it, sorted; linked folders too, hidden ones and those of archivers not."""
    found, seen = [], set()
    for top, folders, files in os.walk(path, followlinks=True):
        real = os.path.realpath(top)
        folders[:] = [name for name in sorted(folders) if not name.startswith((".", "__MACOSX"))]
        if real in seen:  # a link that leads back up
            folders.clear()
            continue
        seen.add(real)
        inside = Path(top).relative_to(path)
        found += [inside / name for name in files if _is_image(name)]
    return sorted(found)


def _is_image(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in IMAGES


def _joined(pieces: list[pd.DataFrame], start: int) -> pd.DataFrame:
    """The pieces as one table, numbered from `start`; BAD_ROW only if one of its rows is."""
    filled = [piece for piece in pieces if len(piece)] or pieces[:1]
    whole = pd.concat(filled, ignore_index=True) if len(filled) > 1 else filled[0]
    if BAD_ROW in whole.columns and whole[BAD_ROW].isna().all():
        whole = whole.drop(columns=BAD_ROW)
    return whole.set_axis(pd.RangeIndex(start, start + len(whole)))
