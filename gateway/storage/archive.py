"""What is kept of interactions: the journal that brings them in, and the chores that nobody waits for."""

import asyncio
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, thread_time, time

import structlog

from gateway.core.record import Record, Started
from gateway.storage.database import Database
from gateway.storage.discoveries import Discoveries
from gateway.storage.journal import Journal
from gateway.storage.mending import reason
from gateway.storage.queries import interactions, retention, search
from gateway.tasks import is_set_within, spawn

_INDEXED = 32
"""Texts that are indexed for search in one transaction: some 10 ms of work, on another thread."""
_TURN = 0.01
"""Seconds between two such transactions, in which records that wait come first."""
_BUSY = 2.0
"""Seconds between two of them while the gateway has much to do."""
_HEAVY = 0.1
"""Of one core: from there on, it has."""
_MEASURED = 0.2
"""Seconds over which that is measured, at least."""
_LATER = 5.0
"""Seconds after which a chore that failed is tried again."""
_CHORES = 600.0
"""Seconds between two looks for bodies that are too old."""

_log = structlog.get_logger()


class Archive:
    """Stores interactions, makes them searchable, and forgets what was said in them after a while."""

    def __init__(self, database: Database, folder: Path, retention: float, text_of: search.TextOf) -> None:
        """``folder``: for spill files; ``retention``: seconds that bodies are kept, 0: for ever."""
        self.database = database
        self.worker = f"{os.getpid()}-{secrets.token_hex(4)}"
        """Names this process among all that share the database."""
        self._retention = retention
        self._text_of = text_of
        self._journal = Journal(self._commit, self._close_lost, folder / "spill", self.worker)
        self.discoveries = Discoveries(database, lambda: self.lag)
        """The tools that requests declare, which are stored beside the records."""
        self._tasks: list[asyncio.Task[None]] = []
        self._stop = asyncio.Event()
        self._unread = asyncio.Event()
        self._unread.set()  # an earlier process may have left some

    async def open(self) -> None:
        """Open the database, and begin with what earlier processes left behind. Raises ``DatabaseUnusable``."""
        await self.database.open()
        await self._journal.open()
        self.discoveries.open()
        self._tasks = [spawn(self._index(), name="search index"), spawn(self._forget(), name="retention")]

    def store(self, starts: Sequence[Started], records: Sequence[Record]) -> None:
        """Take what has begun and what has ended, to be stored soon."""
        self._journal.put(starts, records)

    @property
    def waiting(self) -> int:
        """Bytes that are not stored yet."""
        return self._journal.size

    @property
    def pending(self) -> int:
        """Records that are not stored yet."""
        return self._journal.pending

    @property
    def lag(self) -> float:
        """Seconds for which the oldest of them has waited."""
        return self._journal.lag

    def counts(self) -> Mapping[str, int]:
        """Return how many records have come to which state."""
        journal = self._journal
        return {
            "committed": journal.committed,
            "spilled": journal.spilled,
            "rejected": journal.rejected,
            "dropped": journal.lost,
            "ingested": journal.ingested,
            "ingested_rejected": journal.ingested_rejected,
        }

    async def close(self) -> None:
        """Store what waits, and finish what was begun; what is not searchable yet is left to the next start."""
        self._stop.set()  # first: a chore that waits for a database would make the records wait behind it
        self._unread.set()
        await self._journal.close()
        await self.discoveries.close()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self.database.close()

    async def _commit(self, starts: Sequence[Started], records: Sequence[Record], *, again: bool) -> None:
        async with self.database.write() as connection:
            await interactions.write(connection, starts, records, again=again)
        self._unread.set()

    async def _close_lost(self, worker: str) -> None:
        async with self.database.write() as connection:
            lost = await interactions.close_lost(connection, worker)
        if lost:
            _log.warning(
                "interactions were lost with the process that served them", count=lost, worker=worker
            )

    async def _index(self) -> None:
        """Make searchable what was said: at once when there is little to do, else by and by.

        To index a text costs more than all else that is done about an interaction, so a busy gateway puts it off.
        """
        load = Load()
        while not self._stop.is_set():
            await self._unread.wait()
            self._unread.clear()
            more = True
            with _put_off("search"):
                while more and not await self._stopped(_BUSY if load.heavy() else _TURN):
                    more = await self._index_some()
            if more and not await self._stopped(_LATER):
                self._unread.set()

    async def _index_some(self) -> bool:
        async with self.database.read() as connection:
            unread = await search.unread(connection, _INDEXED)
        texts = await search.texts(unread, self._text_of)
        if texts:
            async with self.database.write() as connection:
                await search.index(connection, texts)
        return len(unread) == _INDEXED or len(texts) < len(unread)

    async def _forget(self) -> None:
        """Delete bodies that are too old; what is counted stays."""
        while self._retention:
            with _put_off("retention"):
                await retention.purge(self.database, time() - self._retention)
            if await self._stopped(_CHORES):
                return

    async def _stopped(self, seconds: float) -> bool:
        """Wait; return early, and true, when the gateway stops."""
        return await is_set_within(self._stop, seconds)


class Load:
    """Whether the event loop has had much to do of late; databases work in other threads."""

    def __init__(self) -> None:
        self._used, self._at = thread_time(), monotonic()
        self._quiet_from = 0.0

    def heavy(self) -> bool:
        """Return whether it had, when it was last measured or in the second before."""
        used, at = thread_time(), monotonic()
        if (passed := at - self._at) >= _MEASURED:
            if used - self._used > _HEAVY * passed:
                self._quiet_from = at + 1
            self._used, self._at = used, at
        return at < self._quiet_from


@contextmanager
def _put_off(chore: str) -> Iterator[None]:
    """A chore that fails is done later; nobody waits for it."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # drivers raise what they like, and it must not be the last time
        _log.warning("a chore of the database has to wait", chore=chore, error=reason(error))
