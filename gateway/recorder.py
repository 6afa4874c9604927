"""What happens after an answer: a bounded queue, and the task that hands it to the stages in batches."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic

import structlog

from gateway.core.interaction import Interaction
from gateway.tasks import spawn

_BATCH = 500
_DELAY = 0.1
_ENOUGH = 32
"""Interactions that are worked off at once: more of them would push what is needed next out of the caches."""
_OVERHEAD = 2048
"""Bytes that an interaction takes beside its bodies, roughly."""

_log = structlog.get_logger()
Done = Callable[[Sequence[Interaction]], Awaitable[None]]


class Recorder:
    """Takes finished interactions without ever waiting; bodies may be dropped under pressure, records never."""

    def __init__(self, done: Sequence[Done], *, limit: int = 64 << 20) -> None:
        """``limit``: bytes that may wait."""
        self._done = tuple(done)
        self._limit = limit
        self._queue: deque[tuple[Interaction, int, float]] = deque()
        self.size = 0
        """Bytes that wait."""
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self.enqueued = 0
        """Interactions that have ended."""
        self.dropped_bodies = 0

    @property
    def lag(self) -> float:
        """Seconds for which the oldest interaction has waited."""
        return monotonic() - self._queue[0][2] if self._queue else 0.0

    @property
    def pending(self) -> int:
        """Interactions that wait."""
        return len(self._queue)

    def start(self) -> None:
        """Begin to work off the queue."""
        self._task = spawn(self._run(), name="recorder")

    def put(self, i: Interaction) -> None:
        """Queue an interaction that has ended. Never awaits: a cancellation can't lose it."""
        size = len(i.request.body) + i.response_bytes + _OVERHEAD
        if self.size + size > self._limit:
            i.drop_bodies()
            self.dropped_bodies += 1
            size = _OVERHEAD
        self._queue.append((i, size, monotonic()))
        self.enqueued += 1
        self.size += size
        if self._timer is None:
            self._timer = self._loop.call_later(_DELAY, self._wake.set)
        elif len(self._queue) == _ENOUGH:
            self._wake.set()

    async def close(self) -> None:
        """Work off what waits, then stop."""
        if self._timer:
            self._timer.cancel()
        if self._task:
            self._task.cancel()
        while self._queue:
            await self._flush()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._timer:
                self._timer.cancel()
            self._timer = None
            while self._queue:
                await self._flush()

    async def _flush(self) -> None:
        batch = [self._queue[index][0] for index in range(min(_BATCH, len(self._queue)))]
        for done in self._done:
            try:
                await done(batch)
            except Exception:  # noqa: BLE001  # one stage must not cost the others their records
                _log.exception("a stage failed on finished interactions", stage=done.__qualname__)
        for _ in batch:
            self.size -= self._queue.popleft()[1]
