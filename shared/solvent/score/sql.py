"""Scores into a table of a database, exactly once: a temporary staging table, then one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sql
from sqlalchemy.exc import SQLAlchemyError

from ..errors import Refused, SolventError
from ..tables import database
from ..wording import listed, many
from . import cells
from .sink import RUNS, STAGING, Sink

__all__ = ["check", "is_in", "load"]

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
        types = {field.name: cells.column_type(field, sink.table) for field in schema}

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
        Refused: for a missing schema, column, permission or id; for a table with rows that scoring didn't put there.
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
        there = inspector.has_table(name, schema)
        if there:
            _refuse_columns(connection, sink, columns)
        ours = Tables.of(sink, pa.schema([(each, pa.string()) for each in columns]))
        ours.staging.create(connection)
        for table in (ours.scores, ours.runs):
            if inspector.has_table(table.name, schema):
                _try_to_write(connection, table)
            elif connection.dialect.name in UNDONE:
                table.create(connection)
        if there:
            _refuse_rows_of_others(connection, sink, ours)
        connection.rollback()


def is_in(sink: Sink, token: str, rows: int) -> bool:
    """Whether the rows of the run with this token are what the table holds now.

    Args:
        rows: that the run has. With mode merge the table may hold more, and later runs may have replaced some.
    """
    with _connection(sink) as connection:
        return _held(connection, sink, Tables.of(sink, pa.schema([])), token) == rows


def load(
    sink: Sink, tables: Iterable[pa.Table], schema: pa.Schema, *, ids: Sequence[str], token: str, identity: str
) -> None:
    """Put a run's rows into the table: all of them in one step, and once, however often it is called.

    Args:
        tables: all with this schema; only one of them is in memory at a time.
        ids: the columns that tell rows apart; with mode merge, rows of the table whose ids come again are replaced.
        token: the name of this run, another one for other rows. What the table holds already is not put there again.
        identity: what the run was made of, for whoever reads `solvent_runs`.

    Raises:
        Refused: if the database refuses the rows, or the table has rows that scoring didn't put there.
        SolventError: if it can't be reached, or goes away; the table has its old rows then, or all the new
            ones where the answer to the last step was lost. The same call ends it.
    """
    _refuse_without_ids(sink, ids)
    ours = Tables.of(sink, schema)
    with _connection(sink) as connection:
        there = sql.inspect(connection).has_table(ours.scores.name, ours.scores.schema)
        done = _held(connection, sink, ours, token) is not None
        connection.rollback()  # else SQLite would hold back others that write
        if done:
            return
        _make_staging(connection, ours, there)
        given = 0
        fill = _copy if connection.dialect.driver == "psycopg" else _insert
        for table in tables:
            given += table.num_rows
            fill(connection, ours.staging, (cells.plain(batch) for batch in table.to_batches(BATCH_ROWS)))
        for each in (ours.scores, ours.runs):
            each.create(connection, checkfirst=True)
        if connection.dialect.name == "postgresql":  # others may read; those that write wait
            lock = connection.dialect.identifier_preparer.format_table(ours.scores)
            connection.exec_driver_sql(f"LOCK TABLE {lock} IN SHARE ROW EXCLUSIVE MODE")
        if _held(connection, sink, ours, token) is not None:
            return
        _refuse_columns(connection, sink, schema.names)
        _refuse_rows_of_others(connection, sink, ours)
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
        except (SQLAlchemyError, engine.dialect.loaded_dbapi.Error, OverflowError) as error:  # SQLite's, of a number
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


def _refuse_columns(connection: sql.Connection, sink: Sink, columns: Sequence[str]) -> None:
    as_known = str if connection.dialect.name == "postgresql" else str.lower
    schema, name = sink.place
    there = sql.inspect(connection).get_columns(name, schema)
    known = {as_known(each["name"]) for each in there}
    given = {as_known(each) for each in columns}
    problems = []
    lacking = [each for each in columns if as_known(each) not in known]
    if lacking:
        problems.append(f"it lacks {listed(lacking)}")
    further = [each for each in there if as_known(each["name"]) not in given and not _fills_itself(each)]
    if needed := [each["name"] for each in further if not each["nullable"]]:
        problems.append(f"its {listed(needed)} must not be null, has no default, and is not among the scores")
    lost = [each["name"] for each in further if each["nullable"]]
    if lost and sink.mode == "merge":
        problems.append(f"mode: merge would empty its {listed(lost)} in rows that it replaces (no score, no default)")
    if problems:
        raise Refused(f"{sink.table} is there, but {'; '.join(problems)}. Alter the table, or name another: table:.")


def _fills_itself(column: Any) -> bool:
    by_rule = any(column.get(each) for each in ("identity", "computed")) or column.get("default") is not None
    # SQLite's INTEGER PRIMARY KEY, the only kind of column that is said to be a key there
    own_number = bool(column.get("primary_key")) and isinstance(column["type"], sql.Integer)
    return by_rule or own_number or column.get("autoincrement") is True


def _refuse_rows_of_others(connection: sql.Connection, sink: Sink, ours: Tables) -> None:
    runs = ours.runs
    entered = sql.select(sql.literal(1)).select_from(runs).where(runs.c.table == ours.scores.name).limit(1)
    known = sql.inspect(connection).has_table(runs.name, runs.schema)
    if (known and connection.scalar(entered)) or not _has_rows(connection, ours.scores):
        return
    made = sql.schema.CreateTable(runs, if_not_exists=True).compile(connection)
    entry = {"table": ours.scores.name, "token": "by hand", "number": 0, "identity": "", "rows": 0}
    entering = runs.insert().values(entry | {"finished": sql.func.current_timestamp()})
    raise Refused(
        f"{sink.table} has rows, and {RUNS} tells of no run that put them there. They were left as they are. Name "
        f"another table:, or empty this one. Only if mode: {sink.mode} may take its rows away, enter it:\n"
        f"{' '.join(str(made).split())};\n{entering.compile(connection, compile_kwargs={'literal_binds': True})};"
    )


def _has_rows(connection: sql.Connection, table: sql.Table) -> bool:
    return connection.scalar(sql.select(sql.literal(1)).select_from(table).limit(1)) is not None


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
    if sink.mode == "merge":
        _delete_staged(connection, scores, staging, ids)
    else:
        connection.execute(scores.delete())
    connection.execute(scores.insert().from_select([each.name for each in staging.columns], sql.select(staging)))
    if sink.mode == "replace":
        now = connection.scalar(sql.select(sql.func.count()).select_from(scores))
        if now != given:
            raise SolventError(
                f"{sink.table}: {many(given, 'row')} were written, but it has {many(now or 0, 'row')}. "
                "Nothing was changed. Does a trigger or a rule change its rows?"
            )


def _delete_staged(connection: sql.Connection, scores: sql.Table, staging: sql.Table, ids: Sequence[str]) -> None:
    """Delete the rows whose ids are staged; a missing id is equal to a missing one.

    A statement for each set of ids that are missing together: databases join fast by "=", which no NULL fulfils, and
    row by row by IS NOT DISTINCT FROM.
    """
    for missing in connection.execute(sql.select(*(staging.c[each].is_(None) for each in ids)).distinct()).all():
        without = [each for each, is_missing in zip(ids, missing, strict=True) if is_missing]
        rest = [each for each in ids if each not in without]
        gone = scores.delete().where(*(scores.c[each].is_(None) for each in without))
        if rest:
            keys = sql.tuple_(*(scores.c[each] for each in rest)) if len(rest) > 1 else scores.c[rest[0]]
            staged = sql.select(*(staging.c[each] for each in rest))
            gone = gone.where(keys.in_(staged.where(*(staging.c[each].is_(None) for each in without))))
        connection.execute(gone)


def _held(connection: sql.Connection, sink: Sink, ours: Tables, token: str) -> int | None:
    """How many rows the run with this token has, if the table holds them now."""
    inspector, scores, runs = sql.inspect(connection), ours.scores, ours.runs.c
    if not all(inspector.has_table(each.name, each.schema) for each in (scores, ours.runs)):
        return None
    entries = sql.select(runs.token, runs.rows).where(runs.table == scores.name).order_by(runs.number.desc())
    if sink.mode == "merge":
        entry = connection.execute(entries.where(runs.token == token)).first()
        return entry.rows if entry and (entry.rows == 0 or _has_rows(connection, scores)) else None
    last = connection.execute(entries.limit(1)).first()
    now = sql.select(sql.func.count()).select_from(scores)
    return last.rows if last and last.token == token and connection.scalar(now) == last.rows else None


def _enter(connection: sql.Connection, ours: Tables, *, token: str, identity: str, rows: int) -> None:
    runs, name = ours.runs, ours.scores.name
    before = connection.scalar(sql.select(sql.func.max(runs.c.number)).where(runs.c.table == name)) or 0
    connection.execute(runs.delete().where(runs.c.table == name, runs.c.token == token))  # rows that are gone again
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
                    copy.write(cells.lines(batch))
    except connection.dialect.loaded_dbapi.OperationalError:
        connection.invalidate()  # SQLAlchemy doesn't see what happens in the driver
        raise
