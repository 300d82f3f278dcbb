"""SQL queries as tables. A password comes from the environment and is in no message."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sql
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from ..errors import Refused, SolventError
from ..wording import listed
from .delimited import BAD_ROW

__all__ = ["connected", "label", "opened", "passing", "pieces", "said"]

FETCH_ROWS = 50_000
DRIVERS = {  # what brings them
    "psycopg": "'solvent-suite[postgres]'",
    "psycopg2": "'solvent-suite[postgres]'",
    "MySQLdb": "mysqlclient",
}
# a server that went away without a word is noticed in a minute, not in hours
NOTICED = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
WAITING = {"timeout": 60}  # seconds, for another that writes
OPTIONS: dict[str, dict[str, int]] = {
    **dict.fromkeys(("postgresql", "postgresql+psycopg", "postgresql+psycopg2"), NOTICED),
    **dict.fromkeys(("sqlite", "sqlite+pysqlite"), WAITING),
}
PASSING = {
    getattr(sqlite3, f"SQLITE_{name}") for name in ("BUSY", "LOCKED", "FULL", "IOERR", "NOMEM", "INTERRUPT", "CANTOPEN")
}
SECRETS = ("password", "passwd", "pwd", "sslpassword")
# where PostgreSQL stood: "COPY scores, line 3, column income: " and then the cell
COPIED = re.compile(r"^COPY [^,\n]+, \w+ \d+, \w+ ([^:\n]+): ", re.MULTILINE)
SQLITE_CELL = re.compile(r" with text '.*", re.DOTALL)  # "Could not decode to UTF-8 column 'income' with text '"
VARIABLE = re.compile(r"\$\{(\w+)\}")
# in the text of an address that is no address yet, and in a driver's own text, such as odbc_connect=...;PWD=...
WRITTEN = re.compile(rf"^\w[\w+]*://[^:/@]*:([^@]*)@|(?:^|[?&;])\s*(?:{'|'.join(SECRETS)})\s*=([^&;]*)", re.IGNORECASE)


def label(address: str) -> str:
    """A short name of the database for messages: "query on shop.db"."""
    try:
        url = sql.make_url(address)
    except (ArgumentError, ValueError):
        return "query on a database"
    return f"query on {Path(url.database).name if url.database else url.drivername}"


def pieces(address: str, query: str, base: Path, key: str | None = None) -> Iterator[pd.DataFrame]:
    """Run a query and read its rows piece by piece; cells keep the types of the database's driver.

    Args:
        base: the folder that the relative path of an SQLite file starts from.
        key: a column of the query to read on by, as good as unique: then each piece is a statement of its own, ordered
            by the key and behind the last one, and no cursor stays open. All rows of one key are read together; rows
            without a key come last.

    Raises:
        Refused: for a bad address, a variable that is not set, a query that the database refuses, an unknown key, a
            cell that Python can't have.
        SolventError: if the database can't be reached, or goes away.
    """
    with opened(address, base) as engine:
        try:
            if key is None:
                with connected(engine, address) as connection:
                    yield from _fetched(_streamed(connection, address, query), address)
            else:
                yield from _paged(engine, address, query, key)
        except SQLAlchemyError as error:
            told = said(error, engine)
            if _is_of_a_cell(getattr(error, "orig", None)):
                cure = "Correct the cell, or query:, for example by a CAST to text."
                raise Refused(f"{label(address)} fails at a cell: {told}. {cure}") from error
            raise SolventError(f"{label(address)} broke off: {told}. Try again.") from error


@contextmanager
def opened(address: str, base: Path, *, to_write: bool = False) -> Iterator[sql.Engine]:
    """A database that isn't connected to yet.

    Args:
        base: as for `pieces`.
        to_write: an SQLite file need not be there yet.

    Raises:
        Refused: for a bad address, a variable that is not set, a driver that is missing.
    """
    url = _with_driver(_url(address, base, may_be_made=to_write))
    options = {name: value for name, value in OPTIONS.get(url.drivername, {}).items() if name not in url.query}
    try:
        # a connection that was cut between two statements is noticed and replaced
        engine = sql.create_engine(url, pool_pre_ping=True, connect_args=options, hide_parameters=True)
    except ImportError as error:
        missing = (error.name or url.get_driver_name()).partition(".")[0]
        cure = f"pip install {DRIVERS.get(missing, missing)}"
        raise Refused(f"{label(address)}: its driver is missing. {cure}") from error
    except NoSuchModuleError as error:
        raise Refused(
            f"{label(address)}: {url.drivername} is no known kind of database. "
            "Expected for example postgresql://, mysql:// or sqlite:///."
        ) from error
    try:
        yield engine
    finally:
        engine.dispose()


def connected(engine: sql.Engine, address: str) -> sql.Connection:
    """A connection.

    Raises:
        SolventError: if there is none to be had.
    """
    try:
        return engine.connect()
    except SQLAlchemyError as error:
        raise SolventError(
            f"{label(address)}: no connection: {said(error, engine)}. Check the address, then try again."
        ) from error


def said(error: Exception, engine: sql.Engine) -> str:
    """What the database said, without passwords, the cells of rows, and the full stop at its end."""
    text = _without_cells(getattr(error, "orig", None) or error).strip()
    for secret in _secrets(engine.url):
        text = text.replace(secret, "***")
    return text.rstrip(".")


def _without_cells(error: BaseException) -> str:
    """The kind of an error that quotes what it can't take, and the column; else the message, without its details."""
    if isinstance(error, sqlite3.Error):
        return SQLITE_CELL.sub("", str(error))
    told: Any = getattr(error, "diag", None)  # psycopg's parts of a message
    if _is_of_a_cell(error):
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()
        copied = COPIED.search(getattr(told, "context", None) or "")
        column = getattr(told, "column_name", None) or (copied and copied[1])
        return f"{kind}, column {column}" if column else kind
    if told and told.message_primary:
        return "\n".join(filter(None, (told.message_primary, told.message_hint)))
    return str(error)


def _is_of_a_cell(error: BaseException | None) -> bool:
    if isinstance(error, sqlite3.Error):
        return SQLITE_CELL.search(str(error)) is not None
    return any(each.__name__ == "DataError" for each in type(error).__mro__)


def passing(error: Exception) -> bool:
    """Whether it may go well the next time: a lost connection, a lock, a full disk; not a statement that is refused."""
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in PASSING
    # psycopg sorts its errors so; others call a wrong name operational too
    sorted_so = any(each.__module__.startswith("psycopg") for each in type(cause).__mro__)
    kinds = {each.__name__ for each in type(cause).__mro__}
    lost = bool(getattr(error, "connection_invalidated", False))
    return lost or (sorted_so and bool(kinds & {"OperationalError", "InterfaceError", "InternalError"}))


def _streamed(connection: sql.Connection, address: str, query: str) -> sql.CursorResult[Any]:
    # without parameters "%" and ":" in the query mean themselves
    options = connection.execution_options(no_parameters=True, stream_results=True, sqlite_raw_colnames=True)
    with _refusing(connection.engine, address):
        result = options.exec_driver_sql(query)
    if not result.returns_rows:
        raise Refused(f"{label(address)}: the query returns no rows. Expected a SELECT.")
    return result


def _paged(engine: sql.Engine, address: str, query: str, key: str) -> Iterator[pd.DataFrame]:
    """Pages whose bounds the database compares, so that keys that are equal to it, and only to it, stay together."""
    # text() takes ":name" for a parameter; the new line ends a comment
    written = sql.text(query.rstrip("; \t\r\n").replace(":", r"\:") + "\n")
    # databases have more reserved words than SQLAlchemy knows
    quoted = sql.quoted_name(key, quote=None if engine.dialect.requires_name_normalize else True)
    rows = written.columns(sql.column(quoted)).subquery("q")
    cure = "Correct query:, or name another key:"
    column = rows.c[key]
    cells: sql.Select[Any] = sql.select(sql.literal_column("*")).select_from(rows)
    with connected(engine, address) as connection, _refusing(engine, address, cure):
        names = _names(_executed(connection, cells.where(sql.false())), address)
        if key not in names:
            raise Refused(f"{label(address)}: key: the query has no column {key!r}. It has: {listed(names)}.")
    yield _table([], names)
    last: object = None
    while True:
        behind = column.is_not(None) if last is None else column > _bound(last)
        keys = sql.select(column.label("k")).where(behind).order_by(column).limit(FETCH_ROWS).subquery("p")
        refusing = _refusing(engine, address, cure) if last is None else nullcontext()
        with connected(engine, address) as connection, refusing:
            bound = _executed(connection, sql.select(keys.c.k).order_by(keys.c.k.desc()).limit(1)).scalar()
            if bound is None:
                break
            if bound == last:
                raise Refused(
                    f"{label(address)}: key: {key!r} has more digits in the database than here, so that rows behind "
                    f"{last!r} can't be asked for. Name a key of whole numbers or text."
                )
            page = _executed(connection, cells.where(behind, column <= _bound(bound)).order_by(column)).fetchall()
        last = bound
        for start in range(0, len(page), FETCH_ROWS):
            yield _table(page[start : start + FETCH_ROWS], names)
    with connected(engine, address) as connection:
        streaming = connection.execution_options(stream_results=True)
        result = _executed(streaming, cells.where(column.is_(None)))
        while found := result.fetchmany(FETCH_ROWS):
            yield _table(found, names)


def _bound(key: object) -> sql.BindParameter[Any]:
    # without a type: what came from the driver goes back to it, and the database takes it for what the column is
    return sql.literal(key, sql.types.NullType())


def _executed(connection: sql.Connection, statement: sql.Select[Any]) -> sql.CursorResult[Any]:
    return connection.execution_options(sqlite_raw_colnames=True).execute(statement)


@contextmanager
def _refusing(engine: sql.Engine, address: str, cure: str = "Correct query:") -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        if passing(error) or _is_of_a_cell(getattr(error, "orig", None)):
            raise
        raise Refused(f"{label(address)}: the database refuses the query: {said(error, engine)}. {cure}.") from error


def _fetched(result: sql.CursorResult[Any], address: str) -> Iterator[pd.DataFrame]:
    names = _names(result, address)
    yield _table([], names)
    while rows := result.fetchmany(FETCH_ROWS):
        yield _table(rows, names)


def _names(result: sql.CursorResult[Any], address: str) -> list[str]:
    names = list(result.keys())
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise Refused(f"{label(address)}: the query returns {listed(map(repr, repeated))} twice. Rename one with AS.")
    if BAD_ROW in names:
        raise Refused(f"{label(address)}: the name {BAD_ROW} is Solvent's own. Give the column another one with AS.")
    return names


def _table(rows: Sequence[sql.Row[Any]], names: list[str]) -> pd.DataFrame:
    # object cells: a column's type must not depend on which part its missing cells lie in
    return pd.DataFrame([tuple(row) for row in rows], columns=names, dtype=object)


def _with_driver(url: sql.URL) -> sql.URL:
    """psycopg, where the address names no driver, and SQLAlchemy's own choice isn't there."""
    if url.drivername == "postgresql" and find_spec("psycopg2") is None:
        return url.set(drivername="postgresql+psycopg")
    return url


def _url(address: str, base: Path, *, may_be_made: bool = False) -> sql.URL:
    """The address with its variables filled in: part by part, since a password may hold any character."""
    try:
        url = sql.make_url(address)
        _refuse_literal(_secrets(url), address)
        url = url.set(
            username=url.username and _filled(url.username),
            password=url.password and _filled(str(url.password)),
            host=url.host and _filled(url.host),
            database=url.database and _filled(url.database),
            query={
                key: _filled(value) if isinstance(value, str) else tuple(_filled(each) for each in value)
                for key, value in url.query.items()
            },
        )
    except (ArgumentError, ValueError):  # the whole address is a variable, or its port is
        _refuse_literal(_written(address), address)
        try:
            url = sql.make_url(_filled(address))
        except (ArgumentError, ValueError) as error:
            raise Refused(
                "sql: expected an address such as postgresql://user:${PASSWORD}@host/database or sqlite:///shop.db."
            ) from error
    if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
        url = url.set(database=str(base / url.database))
        if not may_be_made and not Path(str(url.database)).is_file():
            raise Refused(f"There is no database {url.database}. Write its path after sqlite:///.")
    return url


def _secrets(url: sql.URL) -> list[str]:
    """The passwords of an address, wherever drivers look for them."""
    found = [str(url.password or "")]
    for key, values in url.normalized_query.items():
        for value in values:
            found += [value] if key.lower() in SECRETS else _written(value)
    return [secret for secret in found if secret]


def _written(text: str) -> list[str]:
    return [secret for match in WRITTEN.finditer(text) for secret in match.groups() if secret]


def _refuse_literal(secrets: list[str], address: str) -> None:
    if any(not VARIABLE.search(secret) for secret in secrets):
        raise Refused(
            f"{label(address)}: its password stands in the address. Put it into the environment and write "
            "${NAME} in its place."
        )


def _filled(text: str) -> str:
    missing = [name for name in VARIABLE.findall(text) if name not in os.environ]
    if missing:
        raise Refused(f"sql: {listed(missing)} is not set in the environment. export {missing[0]}=...")
    return VARIABLE.sub(lambda found: os.environ[found[1]], text)
