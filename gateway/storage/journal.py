"""The way of finished records into the database: committed, or spilled to a file until they can be.

Peek, commit, then pop: what was handed over leaves the queue only when it is committed or in the spill file, and while
neither can be, it waits. A commit that failed may have succeeded after all, so every try but the first skips what is
there already.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Protocol

import msgspec
import structlog
from sqlalchemy.exc import DataError, IntegrityError

from gateway.core.record import Record, Started
from gateway.storage.mending import reason
from gateway.storage.spill import Entry, Spill, of_worker, orphans
from gateway.tasks import spawn

_PATIENCE = 5.0
"""Seconds for which the database may fail before records are spilled."""
_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.0)
"""Seconds between tries."""
_BATCH = 1000
_MUCH = 4 << 20
"""Bytes that are committed at once, of what records don't share."""
_MOST = 16 << 20
"""Bytes of a batch when all of it is written out, as it is in a spill file."""
_DELAY = 0.1
"""Seconds until what was handed over is committed."""
_LAST_TRY = 2.0
"""Seconds that the database gets when the gateway stops."""
_OVERHEAD = 1024
"""Bytes that a record takes beside its bodies, roughly."""
_OUR_FAULT = (DataError, IntegrityError, ValueError, TypeError, OverflowError, msgspec.MsgspecError)
"""What a record itself can cause (``UnicodeError`` is a ``ValueError``): trying again as it is won't help."""
_BAD_VALUE = ("22", "23")
"""Classes of SQLSTATE that a value causes; not every driver has exceptions of their own for them."""

_log = structlog.get_logger()


class Commit(Protocol):
    """Writes start rows and records in one transaction."""

    async def __call__(self, starts: Sequence[Started], records: Sequence[Record], *, again: bool) -> None:
        """``again``: skip those that are there already."""


class Journal:
    """Stores records in order, and loses none that it was given."""

    def __init__(
        self,
        commit: Commit,
        close_lost: Callable[[str], Awaitable[None]],
        folder: Path,
        worker: str,
        *,
        limit: int = 64 << 20,
    ) -> None:
        """Spill into ``folder``, under the name of this ``worker``.

        ``close_lost``: called with the name of a worker that has died, after its spill file was taken in;
        ``limit``: bytes; when half of it waits, there is no more patience with the database.
        """
        self._commit = commit
        self._close_lost = close_lost
        self._folder = folder
        self._worker = worker
        self._limit = limit
        self._queue: deque[tuple[Entry, int, int, float]] = deque()
        self._whole = 0  # bytes of what waits, if all of it were written out
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._spill: Spill | None = None
        self._lock = asyncio.Lock()
        self._healing: asyncio.Task[None] | None = None
        self._adopting: asyncio.Task[None] | None = None
        self._closing = False
        self.size = 0
        """Bytes that wait."""
        # Each record that was handed over is among those that wait, or in exactly one of the first four counts; each
        # that was spilled, by whatever process, is in a file or in one of the two that begin with "ingested".
        self.pending = 0
        """Records that wait."""
        self.committed = 0
        self.spilled = 0
        self.rejected = 0
        """Records that the database can't hold; each is logged."""
        self.lost = 0
        """Records that neither took before the gateway had to stop."""
        self.ingested = 0
        """Records that came back from a spill file."""
        self.ingested_rejected = 0
        """Records in a spill file that the database can't hold."""

    @property
    def failing(self) -> bool:
        """Whether records are spilled for now: some are, so that others would overtake them."""
        return self._spill is not None and self._spill.size > 0

    @property
    def lag(self) -> float:
        """Seconds for which the oldest entry has waited."""
        return monotonic() - self._queue[0][3] if self._queue else 0.0

    async def open(self) -> None:
        """Open the spill file, and begin: with what workers that have died left in theirs."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._spill = of_worker(self._folder, self._worker)
        self._task = spawn(self._run(), name="journal")
        self._adopting = spawn(self._adopt(list(orphans(self._folder))), name="journal")

    def put(self, starts: Sequence[Started], records: Sequence[Record]) -> None:
        """Queue what has begun and what has ended. Never waits."""
        now = monotonic()
        entries: list[Entry] = [*starts, *records]
        for entry in entries:
            size, whole = _sizes(entry)
            self._queue.append((entry, size, whole, now))
            self.size += size
            self._whole += whole
        self.pending += len(records)
        self._wake_soon()
        if self._full:
            self._wake.set()

    @property
    def _full(self) -> bool:
        """Whether as much waits as is committed at once."""
        return len(self._queue) >= _BATCH or self.size > _MUCH or self._whole > _MOST

    def _wake_soon(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_DELAY, self._due)

    def _due(self) -> None:
        self._timer = None
        self._wake.set()

    async def close(self) -> None:
        """Store what waits, bring in what was spilled; what can't be stays in the spill file for the next start."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task
        for task in (self._healing, self._adopting):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        if self._spill is None:
            return
        if self._spill.size:
            try:
                async with asyncio.timeout(_LAST_TRY):
                    await self._ingest(self._spill)
                await self._empty(self._spill)
            except Exception:  # noqa: BLE001  # as above
                _log.warning("records wait in the spill file for the next start", file=str(self._spill.path))
        self._spill.close()
        self._spill = None

    async def _run(self) -> None:
        while self._queue or not self._closing:
            await self._wake.wait()
            if not self._closing:
                self._wake.clear()
            if self._timer:
                self._timer.cancel()
            self._timer = None
            if self._queue:
                await self._flush()
            # What came meanwhile waits for more: a batch has its own cost, however few are in it.
            while self._queue and (self._closing or self._full or self.lag > _DELAY):
                await self._flush()
            if self._queue:
                # While it was committed, what was in hand made the queue look full to whoever added to it.
                self._wake.clear()
                self._wake_soon()

    async def _adopt(self, left: list[Spill]) -> None:
        """Take in what workers that have died left behind, as soon as the database takes it."""
        tries = 0
        try:
            while left and not self._closing:  # a driver may lose the cancellation
                for spill in tuple(left):
                    try:
                        await self._ingest(spill)
                        await self._close_lost(spill.worker)
                        await self._empty(spill)
                    except Exception as error:  # noqa: BLE001  # drivers raise what they like, and nothing may be lost by it
                        _log.warning("a spill file can't be taken in yet", error=reason(error), tries=tries)
                    else:
                        left.remove(spill)
                        spill.close()
                await asyncio.sleep(_PAUSES[min(tries, len(_PAUSES) - 1)] if left else 0)
                tries += 1
        finally:
            for spill in left:
                spill.close()

    async def _flush(self) -> None:
        batch: list[Entry] = []
        whole = 0
        for entry, _, size, _ in islice(self._queue, _BATCH):
            if batch and whole + size > _MOST:
                break
            batch.append(entry)
            whole += size
        starts, records = _sorted(batch)
        await self._store(starts, records)
        self.pending -= len(records)
        for _ in batch:
            _, size, whole, _ = self._queue.popleft()
            self.size -= size
            self._whole -= whole

    async def _store(self, starts: Sequence[Started], records: Sequence[Record]) -> None:
        """Commit, or spill; returns when it is done."""
        if not self.failing and await self._patiently(starts, records):
            return
        entries: list[Entry] = [*starts, *records]
        while not await self._try_spill(entries):
            if self._closing:
                self.lost += len(records)
                _log.error(
                    "records are lost: neither the database nor the spill file takes them",
                    records=len(records),
                )
                return
            await asyncio.sleep(_PAUSES[-1])
            if await self._try_commit(starts, records, again=True):
                return

    async def _patiently(self, starts: Sequence[Started], records: Sequence[Record]) -> bool:
        began = monotonic()
        tries = 0
        while not await self._try_commit(starts, records, again=tries > 0):
            patience = _LAST_TRY if self._closing else _PATIENCE
            if self.size > self._limit // 2 or monotonic() > began + patience:
                return False
            await asyncio.sleep(_PAUSES[min(tries, len(_PAUSES) - 1)])
            tries += 1
        return True

    async def _try_commit(self, starts: Sequence[Started], records: Sequence[Record], *, again: bool) -> bool:
        try:
            rejected = await self._committed(starts, records, again=again)
        except Exception as error:  # noqa: BLE001  # drivers raise what they like, and nothing may be lost by it
            _log.warning("the database does not take records", error=reason(error))
            return False
        self.committed += len(records) - rejected
        self.rejected += rejected
        return True

    async def _committed(self, starts: Sequence[Started], records: Sequence[Record], *, again: bool) -> int:
        """Commit; return how many records the database can't hold. The others must not suffer for those."""
        try:
            await self._commit(starts, records, again=again)
        except Exception as error:
            if not _is_our_fault(error):
                raise
        else:
            return 0
        rejected = 0
        entries: list[Entry] = [*starts, *records]
        for entry in entries:
            try:
                await self._commit(*_sorted([entry]), again=True)
            except Exception as error:
                if not _is_our_fault(error):
                    raise  # all of them again: those that are there will be skipped
                rejected += isinstance(entry, Record)
                _log.error("the database can't hold a record", id=entry.id, error=reason(error))
        return rejected

    async def _try_spill(self, entries: Sequence[Entry]) -> bool:
        if self._spill is None:
            return False
        async with self._lock:
            try:
                await asyncio.to_thread(self._spill.append, entries)
            except Exception as error:  # noqa: BLE001  # whatever it is, the queue must go on
                _log.error("the spill file takes no records", error=reason(error))
                return False
            if self._healing is None and not self._closing:
                self._healing = spawn(self._heal(), name="journal")
        self.spilled += sum(isinstance(entry, Record) for entry in entries)
        return True

    async def _heal(self) -> None:
        """Bring the spilled records in as soon as the database takes them."""
        tries = 0
        spill = self._spill
        while spill is not None and not self._closing:  # a driver may lose the cancellation
            await asyncio.sleep(_PAUSES[min(tries, len(_PAUSES) - 1)])
            tries += 1
            try:
                await self._ingest(spill)
                async with self._lock:
                    await self._ingest(spill)
                    await self._empty(spill)
                    self._healing = None
                    _log.info("the database takes records again", ingested=self.ingested)
                    return
            except Exception as error:  # noqa: BLE001  # as above
                _log.warning("the database still takes no records", error=reason(error), tries=tries)

    async def _ingest(self, spill: Spill) -> None:
        """Commit what a spill file holds, from where the last try came to."""
        while True:
            entries, after = await asyncio.to_thread(spill.read, spill.taken, _BATCH)
            if not entries:
                return
            starts, records = _sorted(entries)
            rejected = await self._committed(starts, records, again=True)
            self.ingested += len(records) - rejected
            self.ingested_rejected += rejected
            spill.taken = after

    async def _empty(self, spill: Spill) -> None:
        """Forget what a spill file holds; keep what can't be read of it aside."""
        if spill.taken < spill.size:
            kept = await asyncio.to_thread(spill.set_aside)
            _log.error(
                "a spill file is damaged; its rest is kept aside",
                file=str(kept),
                bytes=spill.size - spill.taken,
            )
        spill.clear()


def _sizes(entry: Entry) -> tuple[int, int]:
    """Return how much an entry takes, and how much is written out of it, roughly: a request may be in it twice."""
    if isinstance(entry, Started):
        return _OVERHEAD, _OVERHEAD
    size, whole = _OVERHEAD + len(entry.text), _OVERHEAD
    if entry.request is not None:
        size += entry.request.size
        whole += entry.request_bytes
    if entry.forwarded is not None:
        size += entry.forwarded.size
        whole += entry.request_bytes
    if entry.response is not None:
        size += entry.response.size
        whole += entry.response_bytes
    return size, whole


def _sorted(entries: Sequence[Entry]) -> tuple[list[Started], list[Record]]:
    starts = [entry for entry in entries if isinstance(entry, Started)]
    return starts, [entry for entry in entries if isinstance(entry, Record)]


def _is_our_fault(error: Exception) -> bool:
    """Whether a record is to blame rather than the database."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
    return isinstance(error, _OUR_FAULT) or state.startswith(_BAD_VALUE)
