"""Statements that run once per batch with many rows: compiled once, given tuples.

Expressions are compiled, and their parameters named and converted, at every execution; for rows that are made
here and have the right types already, that is most of their cost.
"""

import sqlite3
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import Delete, Table, Update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

Insert = sqlite.Insert | postgresql.Insert
_INSERT: dict[str, Callable[[Table], Insert]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def insert(dialect: Dialect, table: Table) -> Insert:
    """Return an insert that may say what happens on conflict: both dialects say it alike."""
    return _INSERT[dialect.name](table)


_TOGETHER = (64, 8)
"""Rows that one insert of SQLite's takes, the most first: few sizes, so that each is prepared once."""


class Statement:
    """An insert, update or delete whose parameters are given as tuples, in the order in which it binds them."""

    def __init__(self, build: Callable[[Dialect], Insert | Update | Delete]) -> None:
        self._build = build
        self._compiled: dict[str, str] = {}
        self._together: list[tuple[int, str]] = []

    async def __call__(self, connection: AsyncConnection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run it once for each row."""
        if not rows:
            return
        dialect = connection.dialect
        sql = self._compiled.get(dialect.name)
        if sql is None:
            statement = self._build(dialect)
            sql = self._compiled[dialect.name] = str(statement.compile(dialect=dialect))
            if isinstance(statement, sqlite.Insert):
                self._together = [(count, _for_rows(sql, count)) for count in _TOGETHER]
        if dialect.name == "sqlite":
            await _on_sqlite(connection, sql, self._together, rows)
        else:
            await connection.exec_driver_sql(sql, list(rows))


def _for_rows(sql: str, count: int) -> str:
    """Return an insert of one row as one of several."""
    head, values, rest = sql.partition(" VALUES (")
    row, end, tail = rest.partition(")")
    return f"{head} VALUES {', '.join([f'({row}{end}'] * count)}{tail}" if values else sql


async def _on_sqlite(
    connection: AsyncConnection,
    sql: str,
    bundles: Sequence[tuple[int, str]],
    rows: Sequence[tuple[Any, ...]],
) -> None:
    """Go to the driver itself: one change of threads, where a cursor of SQLAlchemy's is three.

    Rows are inserted many at a time, since the driver lets the interpreter go and takes it back at every statement:
    where the event loop is busy, each time is a fight for it.
    """
    raw: Any = await connection.get_raw_connection()
    driver = raw.driver_connection
    start = 0
    try:
        for count, statement in bundles:
            while len(rows) - start >= count:
                values = tuple(chain.from_iterable(rows[start : start + count]))
                await driver.execute_fetchall(statement, values)  # in one go
                start += count
        if start < len(rows):
            await driver.executemany(sql, rows[start:])
    except sqlite3.Error as error:
        raise DBAPIError.instance(
            sql, None, error, sqlite3.Error, dialect=connection.dialect, ismulti=True
        ) from error
