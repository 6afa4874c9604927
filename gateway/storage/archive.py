"""What is kept of interactions: the journal that brings them in, and the chores that nobody waits for."""

import asyncio
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import time

import structlog
from sqlalchemy.exc import SQLAlchemyError

from gateway.core.record import Record, Started
from gateway.storage.database import Database
from gateway.storage.journal import Journal
from gateway.storage.queries import interactions, retention, search
from gateway.tasks import spawn

_INDEXED = 200
"""Texts that are indexed for search in one transaction."""
_TURN = 0.01
"""Seconds between two such transactions, in which records that wait come first."""
_IDLE = 0.5
"""Seconds between two looks for something to index."""
_CHORES = 600.0
"""Seconds between two looks for bodies that are too old."""

_log = structlog.get_logger()


class Archive:
    """Stores interactions, makes them searchable, and forgets what was said in them after a while."""

    def __init__(
        self,
        database: Database,
        folder: Path,
        retention: float,
        pressed: Callable[[], bool] = lambda: False,
    ) -> None:
        """``folder``: for spill files; ``retention``: seconds that bodies are kept, 0: for ever; ``pressed``: as for the journal."""
        self.database = database
        self.worker = f"{os.getpid()}-{secrets.token_hex(4)}"
        """Names this process among all that share the database."""
        self._retention = retention
        self._journal = Journal(self._commit, self._close_lost, folder / "spill", self.worker, pressed)
        self._tasks: list[asyncio.Task[None]] = []
        self._stop = asyncio.Event()

    async def open(self) -> None:
        """Open the database, and begin with what earlier processes left behind. Raises ``DatabaseUnusable``."""
        await self.database.open()
        await self._journal.open()
        self._tasks = [spawn(self._index(), name="search index"), spawn(self._forget(), name="retention")]

    async def store(self, starts: Sequence[Started], records: Sequence[Record]) -> None:
        """Store a batch; returns when it can't be lost any more."""
        await self._journal.write(starts, records)

    def counts(self) -> Mapping[str, int]:
        """Return how many records have come to which state."""
        journal = self._journal
        return {
            "committed": journal.committed,
            "spilled": journal.spilled,
            "ingested": journal.ingested,
            "rejected": journal.rejected,
        }

    async def close(self) -> None:
        """Finish what was begun."""
        self._stop.set()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._journal.close()
        await self.database.close()

    async def _commit(self, starts: Sequence[Started], records: Sequence[Record], *, again: bool) -> None:
        async with self.database.write() as connection:
            await interactions.write(connection, starts, records, again=again)

    async def _close_lost(self, worker: str) -> None:
        async with self.database.write() as connection:
            lost = await interactions.close_lost(connection, worker)
        if lost:
            _log.warning(
                "interactions were lost with the process that served them", count=lost, worker=worker
            )

    async def _index(self) -> None:
        """Make searchable what the log did not wait for, in short turns."""
        while not await self._stopped(_IDLE):
            with _put_off("search"):
                while await self._index_some() and not await self._stopped(_TURN):
                    pass

    async def _index_some(self) -> bool:
        async with self.database.write() as connection:
            return await search.index_pending(connection, _INDEXED) == _INDEXED

    async def _forget(self) -> None:
        """Delete bodies that are too old; what is counted stays."""
        while self._retention:
            with _put_off("retention"):
                await retention.purge(self.database, time() - self._retention)
            if await self._stopped(_CHORES):
                return

    async def _stopped(self, seconds: float) -> bool:
        """Wait; return early, and true, when the gateway stops."""
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return False
        return True


@contextmanager
def _put_off(chore: str) -> Iterator[None]:
    """A chore that fails is done later; nobody waits for it."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        _log.warning("a chore of the database has to wait", chore=chore, error=str(error))
