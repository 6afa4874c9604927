"""Statements that run once per batch with many rows: compiled once, given tuples.

Expressions are compiled, and their parameters named and converted, at every execution; for rows that are made
here and have the right types already, that is most of their cost.
"""

import sqlite3
from collections.abc import Callable, Sequence
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


class Statement:
    """An insert, update or delete whose parameters are given as tuples, in the order in which it binds them."""

    def __init__(self, build: Callable[[Dialect], Insert | Update | Delete]) -> None:
        self._build = build
        self._compiled: dict[str, str] = {}

    async def __call__(self, connection: AsyncConnection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run it once for each row."""
        if not rows:
            return
        dialect = connection.dialect
        sql = self._compiled.get(dialect.name)
        if sql is None:
            sql = self._compiled[dialect.name] = str(self._build(dialect).compile(dialect=dialect))
        if dialect.name == "sqlite":
            await _on_sqlite(connection, sql, rows)
        else:
            await connection.exec_driver_sql(sql, list(rows))


async def _on_sqlite(connection: AsyncConnection, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Go to the driver itself: one change of threads, where a cursor of SQLAlchemy's is three."""
    raw: Any = await connection.get_raw_connection()
    try:
        await raw.driver_connection.executemany(sql, rows)
    except sqlite3.Error as error:
        raise DBAPIError.instance(
            sql, None, error, sqlite3.Error, dialect=connection.dialect, ismulti=True
        ) from error
