"""The connections: one that writes and a few that read, to SQLite or PostgreSQL.

SQLite is used in WAL mode, where readers and the writer don't wait for each other; transactions of the writer
begin at once as writing ones, so that two processes wait for each other rather than fail. What was committed
survives the death of the process; ``synchronous=NORMAL`` may lose the last of it with the machine's power.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.settings import SettingsError
from gateway.storage.known import Known
from gateway.storage.migrate import HEAD, NewerDatabase, migrate, revision

_READERS = 4
_LOCKED = 2.0
"""Seconds to wait for another writer of an SQLite file: who wants to write tries again by itself."""
_STATEMENT = 5.0
"""Seconds that a statement of PostgreSQL may take, or wait for a lock; and to wait for a connection."""
_SILENCE = _STATEMENT + 1
"""Seconds until a server that should have said so by then is given up: it hangs, or the way to it is cut."""
_DISTRUST = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
"""Errors after which a connection to SQLite is not used again."""
_UNUSABLE = (OSError, SQLAlchemyError, sqlite3.DatabaseError, NewerDatabase, TypeError, ValueError)
"""What opening one may raise; the last two: options of its URL that its driver does not take."""

# CPython before 3.12 raises and catches an AttributeError for every parameter of a type without an adapter.
sqlite3.register_adapter(type(None), {None: None}.__getitem__)
sqlite3.register_adapter(bytes, bytes)


class DatabaseUnusable(SettingsError):
    """The database can't be opened; the message says why, and it was left as it is."""


class Database:
    """Lends connections to the database that a URL names."""

    def __init__(self, url: str, key: bytes) -> None:
        """``key``: for the hashes under which bodies are stored."""
        try:
            self._url = make_url(url)
        except (ArgumentError, ValueError):
            # What can't be taken apart may hold a password at any place.
            raise DatabaseUnusable("it is not the URL of a database") from None
        self._key = key
        self._started: set[str] = set()
        self._file: tuple[int, int] | None = None
        self._path: Path | None = None
        if self._url.get_backend_name() == "sqlite":
            if not self._url.database or self._url.database == ":memory:":
                raise DatabaseUnusable("an SQLite database needs a file, which all connections share")
            self._path = Path(self._url.database)
        self._writer = self._engine(1)
        self._readers = self._engine(_READERS, read_only=True)

    @property
    def place(self) -> str:
        """What may be said of where it is: a password that is not escaped, or is an option, may be anywhere else."""
        if self._path is not None:
            return str(self._path)
        return f"the database at {(self._url.host or 'a socket').rpartition('@')[2]}"

    async def open(self) -> str:
        """Bring the database to this version's tables. Never replaces one that can't be read.

        Returns the revision of those that it had; empty: none.
        """
        async with self._usable():
            self._create()
            # Only what has something to do waits for whoever writes now.
            return HEAD if await self._revision() == HEAD else await self._migrate()

    async def _migrate(self) -> str:
        engine = self._engine(1, silence=None)  # it takes its time
        try:
            return await migrate(engine)
        finally:
            await engine.dispose()

    async def revision(self) -> str:
        """Return the revision of its tables without making any; empty: there are none."""
        if self._path and not self._path.exists():
            return ""
        async with self._usable():
            return await self._revision()

    async def _revision(self) -> str:
        async with self.read() as connection:
            return await connection.run_sync(revision)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Lend the connection that writes, for one transaction; there is one of them in a process."""
        await self._reopen_if_moved()
        try:
            async with _connected(self._writer) as connection, connection.begin():
                yield connection
        except DBAPIError as error:
            if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in _DISTRUST:
                # What it holds in memory need not be what could be written: it would find rows that are not there.
                await self._writer.dispose()
            raise

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection that sees one state of the database and can't change it."""
        async with _connected(self._readers) as connection:
            yield connection

    async def close(self) -> None:
        """Close every connection."""
        await self._readers.dispose()
        await self._writer.dispose()

    @asynccontextmanager
    async def _usable(self) -> AsyncIterator[None]:
        """Say of a failure that it is the database's."""
        try:
            yield
        except _UNUSABLE as error:
            await self.close()
            reason = getattr(error, "orig", None) or error
            raise DatabaseUnusable(f"{self.place} can't be used: {reason}") from error

    def _create(self) -> None:
        """Make the file before SQLite does: it holds what was said, so it is the owner's alone."""
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        self._file = _identity(self._path)

    async def _reopen_if_moved(self) -> None:
        """SQLite writes to a file that was deleted or replaced without an error, and all of it is lost."""
        if self._path and self._file and _identity(self._path) != self._file:
            await self.close()
            await self.open()

    def _engine(
        self, connections: int, *, read_only: bool = False, silence: float | None = _SILENCE
    ) -> AsyncEngine:
        if self._path is None:
            engine = _postgresql(self._url, connections, silence, read_only=read_only)
        else:
            engine = _sqlite(self._url, connections, read_only=read_only)

        @event.listens_for(engine.sync_engine, "connect")
        def connect(_: Any, record: Any) -> None:
            record.info["known"] = Known(self._key, self._started)

        @event.listens_for(engine.sync_engine, "rollback")
        def rollback(connection: Connection) -> None:
            if not connection.invalidated:  # the next one begins with nothing that it knows
                connection.info["known"].forget()

        return engine


@asynccontextmanager
async def _connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Lend a connection; to a server that did not answer in time nothing more is said: that would be waited for, too."""
    async with AsyncExitStack() as stack:
        try:
            connection = await stack.enter_async_context(engine.connect())
        except ValueError as error:
            # A certificate or an option: else it would pass for a value that can't be stored.
            raise ConnectionError(str(error)) from error
        try:
            yield connection
        except TimeoutError:
            await connection.invalidate()
            raise


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _sqlite(url: URL, connections: int, *, read_only: bool) -> AsyncEngine:
    engine = create_async_engine(
        url, pool_size=connections, max_overflow=0, pool_reset_on_return=None, hide_parameters=True
    )

    @event.listens_for(engine.sync_engine, "connect")
    def connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver begins no transaction by itself
        cursor = connection.cursor()
        # Of a new file, and so before its mode: a batch touches fewer pages, and each costs a call.
        cursor.execute("PRAGMA page_size = 16384")
        connection.run_async(_switch_to_wal)
        for pragma in (
            f"busy_timeout = {int(_LOCKED * 1000)}",
            "synchronous = NORMAL",
            "cache_size = -4096",  # KiB
            "wal_autocheckpoint = 2000",  # pages: those that change again and again are copied and synced once
            f"query_only = {int(read_only)}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        statement = "BEGIN" if read_only else "BEGIN IMMEDIATE"
        connection.info["beginning"] = True
        try:
            # By a cursor this would be three changes of threads.
            connection.connection.run_async(lambda driver: driver.execute_fetchall(statement))
        except sqlite3.Error as error:
            connection.info["beginning"] = False
            raise DBAPIError.instance(statement, None, error, sqlite3.Error) from error
        connection.info["beginning"] = False

    @event.listens_for(engine.sync_engine, "reset")
    def reset(connection: Any, record: Any, _: Any) -> None:
        # Mostly there is nothing to undo, and that it is said costs a change of threads. Whoever was cancelled while it
        # waited to begin may have begun all the same, by the time that the thread comes to this.
        if record.info.pop("beginning", False) or connection.driver_connection.in_transaction:
            connection.rollback()

    return engine


async def _switch_to_wal(connection: Any) -> None:
    """While others switch the same new file SQLite fails at once, whatever it was told of waiting."""
    patience = time.monotonic() + _LOCKED
    while True:
        try:
            await connection.execute_fetchall("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > patience:
                raise
            await asyncio.sleep(0.005)
        else:
            return


def _postgresql(url: URL, connections: int, silence: float | None, *, read_only: bool) -> AsyncEngine:
    settings = {
        "statement_timeout": str(int(_STATEMENT * 1000)),
        "default_transaction_read_only": "on" if read_only else "off",
        "application_name": "llm-gateway",
    }
    try:
        return create_async_engine(
            url,
            pool_size=connections,
            max_overflow=0,
            hide_parameters=True,  # an error is logged, and they are what was said
            pool_timeout=_STATEMENT,
            pool_pre_ping=True,  # a server that restarted costs no batch
            connect_args={"server_settings": settings, "timeout": _STATEMENT, "command_timeout": silence},
        )
    except ImportError as error:
        raise DatabaseUnusable(f"{error}; install llm-gateway[scale]") from error
