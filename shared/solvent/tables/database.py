"""SQL queries as tables. A password comes from the environment and is in no message."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import sqlalchemy as sql
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from ..errors import Refused, SolventError
from ..wording import listed

__all__ = ["label", "pieces"]

FETCH_ROWS = 50_000
SECRETS = ("password", "passwd", "pwd", "sslpassword")
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


def pieces(address: str, query: str, base: Path) -> Iterator[pd.DataFrame]:
    """Run a query and read its rows piece by piece; cells keep the types of the database's driver.

    Args:
        base: the folder that the relative path of an SQLite file starts from.

    Raises:
        Refused: for a bad address, a variable that is not set, a query that the database refuses.
        SolventError: if the database can't be reached, or goes away.
    """
    url = _url(address, base)
    try:
        engine = sql.create_engine(url)
    except ModuleNotFoundError as error:
        raise Refused(f"{label(address)}: its driver is missing. pip install {error.name}") from error
    except NoSuchModuleError as error:
        raise Refused(
            f"{label(address)}: {url.drivername} is no known kind of database. "
            "Expected for example postgresql://, mysql:// or sqlite:///."
        ) from error
    try:
        with _connection(engine, address, url) as connection:
            yield from _fetched(_result(connection, address, url, query), address)
    except SQLAlchemyError as error:
        raise SolventError(f"{label(address)} broke off: {_without_password(error, url)}. Try again.") from error
    finally:
        engine.dispose()


def _connection(engine: sql.Engine, address: str, url: sql.URL) -> sql.Connection:
    try:
        return engine.connect()
    except SQLAlchemyError as error:
        raise SolventError(
            f"{label(address)}: no connection: {_without_password(error, url)}. Check the address, then try again."
        ) from error


def _result(connection: sql.Connection, address: str, url: sql.URL, query: str) -> sql.CursorResult[tuple[object, ...]]:
    try:
        # without parameters "%" and ":" in the query mean themselves
        options = connection.execution_options(no_parameters=True, stream_results=True)
        result = options.exec_driver_sql(query)
    except SQLAlchemyError as error:
        raise Refused(
            f"{label(address)}: the database refuses the query: {_without_password(error, url)}. Correct query:."
        ) from error
    if not result.returns_rows:
        raise Refused(f"{label(address)}: the query returns no rows. Expected a SELECT.")
    return result


def _fetched(result: sql.CursorResult[tuple[object, ...]], address: str) -> Iterator[pd.DataFrame]:
    names = list(result.keys())
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise Refused(f"{label(address)}: the query returns {listed(map(repr, repeated))} twice. Rename one with AS.")
    # object cells: a column's type must not depend on which part its missing cells lie in
    yield pd.DataFrame(columns=names, dtype=object)
    while rows := result.fetchmany(FETCH_ROWS):
        yield pd.DataFrame([tuple(row) for row in rows], columns=names, dtype=object)


def _url(address: str, base: Path) -> sql.URL:
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
        if not Path(str(url.database)).is_file():
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


def _without_password(error: SQLAlchemyError, url: sql.URL) -> str:
    text = str(getattr(error, "orig", None) or error).strip().rstrip(".")
    for secret in _secrets(url):
        text = text.replace(secret, "***")
    return text
