"""Scores into a table of a database, exactly once: a temporary staging table, then one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sql
from sqlalchemy.exc import SQLAlchemyError

from ..errors import Refused, SolventError
from ..tables import database
from ..wording import listed, many
from .sink import RUNS, STAGING, Sink

__all__ = ["check", "last_token", "load"]

BATCH_ROWS = 20_000
UNDONE = {"postgresql", "sqlite"}  # where a rollback takes a new table away again


@dataclass(frozen=True)
class Tables:
    """The tables of a sink.

    Args:
        scores: where the rows go.
        staging: where they are collected; temporary, so that it is this connection's own and never stays behind.
        runs: which runs have been put into which tables of the schema.
    """

    scores: sql.Table
    staging: sql.Table
    runs: sql.Table

    @classmethod
    def of(cls, sink: Sink, schema: pa.Schema) -> Tables:
        inside, name = sink.place
        metadata = sql.MetaData()
        types = {field.name: _type(field, sink) for field in schema}

        def columns() -> Iterator[sql.Column[Any]]:
            # quoted: databases have more reserved words than SQLAlchemy knows
            return (sql.Column(each, kind, quote=True) for each, kind in types.items())

        return cls(
            sql.Table(name, metadata, *columns(), schema=inside, quote=True),
            sql.Table(STAGING, metadata, *columns(), prefixes=["TEMPORARY"]),
            sql.Table(
                RUNS,
                metadata,
                sql.Column("table", sql.String(255), primary_key=True),
                sql.Column("token", sql.String(255), primary_key=True),
                sql.Column("number", sql.BigInteger, nullable=False),
                sql.Column("identity", sql.Text, nullable=False),
                sql.Column("rows", sql.BigInteger, nullable=False),
                sql.Column("finished", sql.DateTime(timezone=True), nullable=False),
                schema=inside,
            ),
        )


def check(sink: Sink, columns: Sequence[str], ids: Sequence[str]) -> None:
    """Find out, before a row is scored, whether the table will take the rows; nothing in the database is changed.

    Args:
        columns: that will be written.
        ids: those of them that tell rows apart, for mode merge.

    Raises:
        Refused: for a missing schema, column, permission or id.
        SolventError: if the database can't be reached.
    """
    _refuse_without_ids(sink, ids)
    with _connection(sink) as connection:
        schema, name = sink.place
        inspector = sql.inspect(connection)
        if schema is not None and not inspector.has_schema(schema):
            known = listed(inspector.get_schema_names())
            raise Refused(f"{sink.table}: the database has no schema {schema!r}. It has: {known}. Have it made.")
        longest = connection.dialect.max_identifier_length
        long = [each for each in (name, *columns) if len(each.encode()) > longest]
        if long:
            raise Refused(f"{sink.table}: {listed(long)}: a name in this database has at most {longest} bytes.")
        if inspector.has_table(name, schema):
            _check_columns(sink, inspector.get_columns(name, schema), columns, connection.dialect.name)
        ours = Tables.of(sink, pa.schema([(each, pa.string()) for each in columns]))
        ours.staging.create(connection)
        for table in (ours.scores, ours.runs):
            if inspector.has_table(table.name, schema):
                _try_to_write(connection, table)
            elif connection.dialect.name in UNDONE:
                table.create(connection)
        connection.rollback()


def last_token(sink: Sink) -> str | None:
    """The token of the run that was the last to be put into the table; None where there was none."""
    runs = Tables.of(sink, pa.schema([])).runs
    with _connection(sink) as connection:
        if not sql.inspect(connection).has_table(runs.name, runs.schema):
            return None
        ours = sql.select(runs.c.token).where(runs.c.table == sink.place[1])
        found: str | None = connection.scalar(ours.order_by(runs.c.number.desc()).limit(1))
        return found


def load(
    sink: Sink, tables: Iterable[pa.Table], schema: pa.Schema, *, ids: Sequence[str], token: str, identity: str
) -> None:
    """Put a run's rows into the table: all of them in one step, and once, however often it is called.

    Args:
        tables: all with this schema; only one of them is in memory at a time.
        ids: the columns that tell rows apart; with mode merge, rows of the table whose ids come again are replaced.
        token: the name of this run. A run that is in the table already is not put there again.
        identity: what the run was made of, for whoever reads `solvent_runs`.

    Raises:
        Refused: if the database refuses the rows.
        SolventError: if it can't be reached, or goes away; the table has its old rows then, or all the new
            ones where the answer to the last step was lost. The same call ends it.
    """
    _refuse_without_ids(sink, ids)
    ours = Tables.of(sink, schema)
    with _connection(sink) as connection:
        there = sql.inspect(connection).has_table(ours.scores.name, ours.scores.schema)
        done = _is_in(connection, ours, token)
        connection.rollback()  # else SQLite would hold back others that write
        if done:
            return
        _make_staging(connection, ours, there)
        given = 0
        fill = _copy if connection.dialect.driver == "psycopg" else _insert
        for table in tables:
            given += table.num_rows
            fill(connection, ours.staging, (_plain(batch) for batch in table.to_batches(BATCH_ROWS)))
        for each in (ours.scores, ours.runs):
            each.create(connection, checkfirst=True)
        if connection.dialect.name == "postgresql":  # others may read; those that write wait
            lock = connection.dialect.identifier_preparer.format_table(ours.scores)
            connection.exec_driver_sql(f"LOCK TABLE {lock} IN SHARE ROW EXCLUSIVE MODE")
        if _is_in(connection, ours, token):
            return
        _take_over(connection, sink, ours, ids, given)
        _enter(connection, ours, token=token, identity=identity, rows=given)
        ours.staging.drop(connection)
        connection.commit()


def _refuse_without_ids(sink: Sink, ids: Sequence[str]) -> None:
    if sink.mode == "merge" and not ids:
        raise Refused(f"{sink.table}: mode: merge needs ids. Name the columns that tell rows apart, or mode: replace.")


@contextmanager
def _connection(sink: Sink) -> Iterator[sql.Connection]:
    address = sink.sql or ""
    with database.opened(address, Path(), to_write=True) as engine:
        if engine.dialect.name == "sqlite":
            _begin_for_all(engine)
        elif engine.dialect.name == "postgresql":  # what is read behind the lock must be what others have written
            engine = engine.execution_options(isolation_level="READ COMMITTED")
        try:
            with database.connected(engine, address) as connection:
                yield connection
        except (SQLAlchemyError, engine.dialect.loaded_dbapi.Error) as error:
            said = database.said(error, engine)
            if database.passing(error):
                raise SolventError(
                    f"{sink.table}: the database broke off: {said}. The table has its old rows, or all the new ones: "
                    "resume by the same command."
                ) from error
            raise Refused(
                f"{sink.table}: the database refuses the scores: {said}. Its rows are as they "
                "were. Alter its columns, constraints or rights, or name another table:, then give the same command."
            ) from error


def _begin_for_all(engine: sql.Engine) -> None:
    """SQLite's driver begins no transaction for CREATE; so it is told where one begins."""

    @sql.event.listens_for(engine, "connect")
    def _by_hand(connection: Any, _: Any) -> None:
        connection.isolation_level = None

    @sql.event.listens_for(engine, "begin")
    def _begin(connection: sql.Connection) -> None:
        connection.exec_driver_sql("BEGIN")


def _check_columns(sink: Sink, there: Sequence[Any], columns: Sequence[str], dialect: str) -> None:
    as_known = str if dialect == "postgresql" else str.lower
    known = {as_known(each["name"]) for each in there}
    given = {as_known(each) for each in columns}
    problems = []
    lacking = [each for each in columns if as_known(each) not in known]
    if lacking:
        problems.append(f"it lacks {listed(lacking)}")
    needed = [
        each["name"]
        for each in there
        if as_known(each["name"]) not in given
        and not each["nullable"]
        and each.get("default") is None
        and not each.get("identity")
        and not each.get("computed")
        and each.get("autoincrement") is not True
    ]
    if needed:
        problems.append(f"its {listed(needed)} must not be null, has no default, and is not among the scores")
    if problems:
        raise Refused(f"{sink.table} is there, but {'; '.join(problems)}. Alter the table, or name another: table:.")


def _try_to_write(connection: sql.Connection, table: sql.Table) -> None:
    """What will be done to the table, with no rows: the database asks for the rights all the same."""
    none = sql.select(*table.columns).where(sql.false())
    connection.execute(table.delete().where(sql.false()))
    connection.execute(table.insert().from_select([each.name for each in table.columns], none))


def _make_staging(connection: sql.Connection, ours: Tables, there: bool) -> None:
    """With the types of the table that is there, so that a row which doesn't fit is refused and never rounded."""
    if not there or connection.dialect.name == "sqlite":  # which converts when it writes, and rounds nothing
        ours.staging.create(connection)
        return
    like = sql.select(*ours.scores.columns).where(sql.false()).compile(connection)
    staging = connection.dialect.identifier_preparer.format_table(ours.staging)
    connection.exec_driver_sql(f"CREATE TEMPORARY TABLE {staging} AS {like}")


def _take_over(connection: sql.Connection, sink: Sink, ours: Tables, ids: Sequence[str], given: int) -> None:
    scores, staging = ours.scores, ours.staging
    staged = connection.scalar(sql.select(sql.func.count()).select_from(staging))
    if staged != given:
        raise SolventError(f"{sink.table}: {given} rows were given, {staged} are staged. Give the same command again.")
    gone = scores.delete()
    if sink.mode == "merge":
        keys = sql.tuple_(*(scores.c[each] for each in ids)) if len(ids) > 1 else scores.c[ids[0]]
        gone = gone.where(keys.in_(sql.select(*(staging.c[each] for each in ids))))
    connection.execute(gone)
    connection.execute(scores.insert().from_select([each.name for each in staging.columns], sql.select(staging)))
    if sink.mode == "replace":
        now = connection.scalar(sql.select(sql.func.count()).select_from(scores))
        if now != given:
            raise SolventError(
                f"{sink.table}: {many(given, 'row')} were written, but it has {many(now or 0, 'row')}. "
                "Nothing was changed. Does a trigger or a rule change its rows?"
            )


def _is_in(connection: sql.Connection, ours: Tables, token: str) -> bool:
    if not sql.inspect(connection).has_table(ours.runs.name, ours.runs.schema):
        return False
    runs = ours.runs.c
    found = sql.select(sql.func.count()).where(runs.table == ours.scores.name, runs.token == token)
    return bool(connection.scalar(found))


def _enter(connection: sql.Connection, ours: Tables, *, token: str, identity: str, rows: int) -> None:
    runs, name = ours.runs, ours.scores.name
    before = connection.scalar(sql.select(sql.func.max(runs.c.number)).where(runs.c.table == name)) or 0
    entry = {"table": name, "token": token, "number": before + 1, "identity": identity, "rows": rows}
    connection.execute(runs.insert(), entry | {"finished": datetime.now(UTC)})


def _insert(connection: sql.Connection, staging: sql.Table, batches: Iterable[pa.RecordBatch]) -> None:
    for batch in batches:
        if batch.num_rows:
            connection.execute(staging.insert(), batch.to_pylist())


def _copy(connection: sql.Connection, staging: sql.Table, batches: Iterable[pa.RecordBatch]) -> None:
    columns = ", ".join('"' + each.name.replace('"', '""') + '"' for each in staging.columns)
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(f"COPY {staging.name} ({columns}) FROM STDIN") as copy:
            for batch in batches:
                if batch.num_rows:
                    copy.write(_lines(batch))
    except connection.dialect.loaded_dbapi.OperationalError:
        connection.invalidate()  # SQLAlchemy doesn't see what happens in the driver
        raise


def _lines(batch: pa.RecordBatch) -> memoryview:
    """A batch as PostgreSQL's COPY reads it: a line for each row, a tab between cells, a backslash for all that is odd.

    Source: PostgreSQL's manual, COPY, "Text Format".
    """
    columns = []
    for cells in batch.columns:
        if pa.types.is_binary(cells.type):
            text = pa.array([None if cell is None else f"\\\\x{cell.hex()}" for cell in cells.to_pylist()])
        else:
            text = cells.cast(pa.large_string())
            if pa.types.is_large_string(cells.type):
                for odd, written in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
                    text = pc.replace_substring(text, odd, written)
        columns.append(pc.fill_null(text.cast(pa.large_string()), "\\N"))
    tab, end, nothing = (pa.scalar(text, pa.large_string()) for text in ("\t", "\n", ""))
    lines = pc.binary_join_element_wise(pc.binary_join_element_wise(*columns, tab), nothing, end)
    _, ends, text = lines.buffers()
    return memoryview(text)[: np.frombuffer(ends, np.int64)[len(lines)]]


def _type(field: pa.Field, sink: Sink) -> Any:
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if pa.types.is_timestamp(kind):
        return sql.DateTime(timezone=kind.tz is not None)
    if pa.types.is_decimal(kind):
        return sql.Numeric(kind.precision, kind.scale)
    for fits, known in TYPES:
        if fits(kind):
            return known
    raise Refused(f"{sink.table}, column {field.name}: {kind} is no type of a database's column.")


TYPES: list[tuple[Any, Any]] = [
    (pa.types.is_boolean, sql.Boolean()),
    (pa.types.is_integer, sql.BigInteger()),
    (pa.types.is_floating, sql.Double()),
    (pa.types.is_date, sql.Date()),
    (pa.types.is_time, sql.Time()),
    (pa.types.is_binary, sql.LargeBinary()),
    (pa.types.is_large_binary, sql.LargeBinary()),
    (pa.types.is_string, sql.Text()),
    (pa.types.is_large_string, sql.Text()),
    (pa.types.is_nested, sql.Text()),
    (pa.types.is_null, sql.Text()),
]


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Cells as a database has them: no NaN, times to the microsecond, lists as JSON."""
    return pa.record_batch([_plain_cells(cells) for cells in batch.columns], names=batch.schema.names)


def _plain_cells(cells: pa.Array) -> pa.Array:
    kind = cells.type
    if pa.types.is_dictionary(kind):
        return _plain_cells(cells.dictionary_decode())
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_nan(cells), None, cells).cast(pa.float64())
    if pa.types.is_timestamp(kind):
        return cells.cast(pa.timestamp("us", "UTC" if kind.tz else None), safe=False)
    if pa.types.is_nested(kind):
        texts = [None if cell is None else _json(cell) for cell in cells.to_pylist()]
        return pa.array(texts, pa.large_string())
    if pa.types.is_string(kind) or pa.types.is_null(kind):
        return cells.cast(pa.large_string())
    return cells.cast(pa.binary()) if pa.types.is_large_binary(kind) else cells


def _json(cell: Any) -> str:
    return json.dumps(_without_nan(cell), ensure_ascii=False, default=str)


def _without_nan(cell: Any) -> Any:
    if isinstance(cell, list | tuple):
        return [_without_nan(each) for each in cell]
    if isinstance(cell, dict):
        return {key: _without_nan(value) for key, value in cell.items()}
    return None if isinstance(cell, float) and cell != cell else cell
