"""The way of declared tools into the database: beside all records, which never wait for them.

Nothing is lost by one that is not stored: the next request declares it again.
"""

import asyncio
from collections.abc import Callable, Sequence
from itertools import islice
from time import monotonic

import structlog

from gateway.core.discovery import Sighting
from gateway.storage.database import Database
from gateway.storage.mending import mended_struct, reason
from gateway.storage.queries import tools
from gateway.tasks import is_set_within, spawn

_DELAY = 0.5
"""Seconds until what was seen is stored, with what is seen meanwhile."""
_LATER = 5.0
"""Seconds after which it is tried again."""
_TRIES = 20
"""After so many it is given up: what the database can't hold must not keep out what comes later."""
_BEHIND = 1.0
"""Seconds for which records may wait before tools wait for them."""
_BATCH = 500
_MOST = 4000
_MUCH = 16 << 20
"""Sightings that wait at most, and the bytes of what they say."""
_LAST_TRY = 2.0
"""Seconds that the database gets when the gateway stops."""
_LOUD = 3600.0
"""Seconds between two lines that say the same of one agent."""

_log = structlog.get_logger()


class Discoveries:
    """Stores which tools were seen, soon."""

    def __init__(self, database: Database, lag: Callable[[], float], *, most: int = tools.MOST) -> None:
        """``lag``: seconds for which records have waited; ``most``: tools of one agent."""
        self._database = database
        self._lag = lag
        self._most = most
        self._waiting: dict[tuple[str, str], Sighting] = {}
        self._size = 0
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._told: dict[str, float] = {}
        self._failed = 0
        self.stored = 0
        self.dropped = 0
        """Sightings of tools that are more than an agent may have."""

    def open(self) -> None:
        """Begin to store."""
        self._task = spawn(self._run(), name="tools")

    def put(self, sightings: Sequence[Sighting]) -> bool:
        """Take what was seen. Never waits; returns whether there was room for it."""
        if len(self._waiting) + len(sightings) > _MOST or self._size > _MUCH or self._stop.is_set():
            return False
        for each in sightings:
            kept = mended_struct(each)
            key = kept.tool, kept.version
            if key not in self._waiting:
                self._size += _size(kept)
                self._waiting[key] = kept
        self._wake.set()
        return True

    async def close(self) -> None:
        """Store what waits, if that goes at once."""
        self._stop.set()
        self._wake.set()
        if self._task is None:
            return
        await self._task
        try:
            async with asyncio.timeout(_LAST_TRY):
                while self._waiting:
                    await self._store_some()
        except Exception as error:  # noqa: BLE001  # drivers raise what they like, and a stop must not fail by it
            _log.warning("tools that were seen last are not stored", error=reason(error))

    async def _run(self) -> None:
        while not self._stop.is_set():
            await self._wake.wait()
            self._wake.clear()
            pause = _DELAY
            while not await self._stopped(pause) and self._waiting:
                pause = await self._try()

    async def _try(self) -> float:
        """Store some, unless records wait; return after which time to go on."""
        if self._lag() > _BEHIND:
            return _LATER
        try:
            await self._store_some()
        except Exception as error:  # noqa: BLE001  # drivers raise what they like, and it must not be the last time
            self._failed += 1
            _log.warning("tools that were seen have to wait", error=reason(error))
            if self._failed % _TRIES == 0:
                self._take_out(self._batch())
            return _LATER
        self._failed = 0
        return 0.0

    def _batch(self) -> list[Sighting]:
        return list(islice(self._waiting.values(), _BATCH))

    def _take_out(self, batch: Sequence[Sighting]) -> None:
        for each in batch:
            del self._waiting[each.tool, each.version]
            self._size -= _size(each)

    async def _store_some(self) -> None:
        batch = self._batch()
        async with self._database.read() as connection:
            over = await tools.surplus(connection, batch, self._most)
        if kept := [each for each in batch if each.tool not in over]:
            async with self._database.write() as connection:
                await tools.remember(connection, kept)
        self.stored += len(kept)
        self._take_out(batch)
        for each in batch:
            if each.tool in over:
                self._drop(each.agent)

    def _drop(self, agent: str) -> None:
        self.dropped += 1
        if (now := monotonic()) - self._told.get(agent, -_LOUD) >= _LOUD:
            self._told[agent] = now
            _log.warning(
                f"an agent has declared {self._most} tools; further ones are not remembered", agent=agent
            )

    async def _stopped(self, seconds: float) -> bool:
        """Wait; return early, and true, when the gateway stops."""
        return await is_set_within(self._stop, seconds)


def _size(each: Sighting) -> int:
    return len(each.description) + len(each.parameters or "")
