"""Statements that run once per batch with many rows: compiled once, given tuples.

Expressions are compiled, and their parameters named and converted, at every execution; for rows that are made
here and have the right types already, that is most of their cost.
"""

import sqlite3
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, TypeVar

from sqlalchemy import Delete, Table, Update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

_Result = TypeVar("_Result")
Insert = sqlite.Insert | postgresql.Insert
_INSERT: dict[str, Callable[[Table], Insert]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def insert(dialect: Dialect, table: Table) -> Insert:
    """Return an insert that may say what happens on conflict: both dialects say it alike."""
    return _INSERT[dialect.name](table)


_TOGETHER = (64, 8)
"""Rows that one insert of SQLite's takes, the most first: few sizes, so that each is prepared once."""
Row = tuple[Any, ...]


class Statement:
    """An insert, update or delete whose parameters are given as tuples, in the order in which it binds them."""

    def __init__(self, build: Callable[[Dialect], Insert | Update | Delete]) -> None:
        self._build = build
        self._compiled: dict[str, str] = {}
        self._together: list[tuple[int, str]] = []

    async def __call__(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        """Run it once for each row, now."""
        batch = Batch()
        batch.add(self, rows)
        await batch.run(connection)

    async def value(self, connection: AsyncConnection, row: Row) -> Any:
        """Run it once, now, and return the one value that it returns."""
        sql = self.sql(connection.dialect)
        if connection.dialect.name != "sqlite":
            return (await connection.exec_driver_sql(sql, row)).scalar_one()
        (value,) = await on_sqlite(connection, lambda raw: raw.execute(sql, row).fetchone())
        return value

    def sql(self, dialect: Dialect) -> str:
        """Return its text for one row."""
        sql = self._compiled.get(dialect.name)
        if sql is None:
            statement = self._build(dialect)
            sql = self._compiled[dialect.name] = str(statement.compile(dialect=dialect))
            if isinstance(statement, sqlite.Insert):
                self._together = [(count, _for_rows(sql, count)) for count in _TOGETHER]
        return sql

    def run_on_sqlite(self, connection: sqlite3.Connection, sql: str, rows: Sequence[Row]) -> None:
        """Run it once for each row.

        Rows are inserted many at a time, since the driver lets the interpreter go and takes it back at every
        statement: where the event loop is busy, each time is a fight for it.
        """
        start = 0
        for count, statement in self._together:
            while len(rows) - start >= count:
                connection.execute(statement, tuple(chain.from_iterable(rows[start : start + count])))
                start += count
        if start < len(rows):
            connection.executemany(sql, rows[start:])


class Batch:
    """Statements that are run one after the other: on SQLite in one turn of its thread.

    Each turn costs as much as some ten rows.
    """

    def __init__(self) -> None:
        self._planned: list[tuple[Statement, Sequence[Row]]] = []

    def add(self, statement: Statement, rows: Sequence[Row]) -> None:
        """Plan to run a statement once for each row."""
        if rows:
            self._planned.append((statement, rows))

    async def run(self, connection: AsyncConnection) -> None:
        """Run what was planned."""
        dialect = connection.dialect
        planned = [(statement, statement.sql(dialect), rows) for statement, rows in self._planned]
        self._planned = []
        if dialect.name != "sqlite":
            for _, sql, rows in planned:
                await connection.exec_driver_sql(sql, list(rows))
            return

        def work(raw: sqlite3.Connection) -> None:
            for statement, sql, rows in planned:
                statement.run_on_sqlite(raw, sql, rows)

        if planned:
            await on_sqlite(connection, work)


async def on_sqlite(connection: AsyncConnection, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
    """Run something on the thread of a connection to SQLite, in one turn, where a cursor of SQLAlchemy's takes three."""
    found: Any = await connection.get_raw_connection()
    driver = found.driver_connection
    try:
        result: _Result = await driver._execute(work, driver._conn)  # noqa: SLF001  # nothing public runs two statements in a turn
    except sqlite3.Error as error:
        raise DBAPIError.instance(None, None, error, sqlite3.Error, dialect=connection.dialect) from error
    return result


def _for_rows(sql: str, count: int) -> str:
    """Return an insert of one row as one of several."""
    head, values, rest = sql.partition(" VALUES (")
    row, end, tail = rest.partition(")")
    return f"{head} VALUES {', '.join([f'({row}{end}'] * count)}{tail}" if values else sql
