"""What happens beside and after an answer: a bounded queue, and the task that hands it to the stages in batches.

An interaction leaves the queue only after every stage has had it. What a stage that stores has taken and could not
store yet counts here, so that all of it stays within bounds.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic, perf_counter

import structlog

from gateway.core.interaction import Interaction
from gateway.tasks import spawn

_BATCH = 64
"""Interactions that are worked off without a pause: a millisecond or two."""
_DELAY = 0.05
"""Seconds until what has happened is handed on."""
_LONG = 0.1
"""Seconds after which an answer that is under way is noted as begun."""
_ENOUGH = 32
"""Interactions that are worked off at once: more of them would push what is needed next out of the caches."""
_MUCH = 128 << 10
"""Bytes of an interaction that is worked off at once."""
_OVERHEAD = 2048
"""Bytes that an interaction takes beside its bodies, roughly."""
_MOST = 4
"""When records alone, without bodies, take this many times the limit, one that ends is lost, and counted."""
_LOUD = 10.0
"""Seconds between two lines that say so."""
_LAST_WORDS = 15.0
"""Seconds for what waits when the gateway stops; stages that store give up before."""

_log = structlog.get_logger()
Stored = Callable[[Sequence[Interaction]], Awaitable[None]]


class Recorder:
    """Takes interactions as they begin and end, without ever waiting."""

    def __init__(
        self,
        done: Sequence[Stored],
        started: Sequence[Stored] = (),
        waiting: Callable[[], int] = lambda: 0,
        *,
        limit: int = 64 << 20,
    ) -> None:
        """``waiting``: bytes that stages have taken and not stored; ``limit``: of both, before bodies are dropped."""
        self._done = tuple(done)
        self._started = tuple(started)
        self._waiting = waiting
        self._limit = limit
        self._begun: dict[str, Interaction] = {}
        self._queue: deque[tuple[Interaction, int, float]] = deque()
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._said = -_LOUD
        self._closing = False
        self.size = 0
        """Bytes that wait."""
        self.enqueued = 0
        """Interactions that have ended."""
        self.dropped = 0
        """Interactions that are lost, since nothing took them and there was no room left."""
        self.dropped_bodies = 0

    @property
    def lag(self) -> float:
        """Seconds since the oldest interaction that waits has ended."""
        return monotonic() - self._queue[0][2] if self._queue else 0.0

    @property
    def pending(self) -> int:
        """Interactions that wait."""
        return len(self._queue)

    def counts(self) -> dict[str, int]:
        """Return how many records have come to which state before they are stored."""
        return {"enqueued": self.enqueued, "dropped": self.dropped}

    def start(self) -> None:
        """Begin to work off the queue."""
        self._task = spawn(self._run(), name="recorder")

    def begin(self, i: Interaction) -> None:
        """Note an interaction that has begun."""
        self._begun[i.id] = i
        if self._timer is None:
            self._timer = self._loop.call_later(_DELAY, self._wake.set)

    def put(self, i: Interaction) -> None:
        """Queue an interaction that has ended. Never awaits: a cancellation can't lose it."""
        self._begun.pop(i.id, None)
        self.enqueued += 1
        size = i.held_bytes + _OVERHEAD
        held = self.size + self._waiting()
        if held + size > self._limit:
            i.drop_bodies()
            self.dropped_bodies += 1
            size = _OVERHEAD
            if held > _MOST * self._limit:
                self._drop(i)
                return
        self._queue.append((i, size, monotonic()))
        self.size += size
        if self._timer is None:
            self._timer = self._loop.call_later(_DELAY, self._wake.set)
        if len(self._queue) == _ENOUGH or size > _MUCH:
            self._wake.set()

    async def close(self) -> None:
        """Work off what waits, then stop; raise ``TimeoutError`` if the stages don't come to an end."""
        self._closing = True
        self._wake.set()
        async with asyncio.timeout(_LAST_WORDS):
            if self._task:
                await self._task
            await self._work_off()

    def _drop(self, i: Interaction) -> None:
        self.dropped += 1
        if (now := monotonic()) - self._said > _LOUD:
            self._said = now
            _log.error(
                "records are lost: nothing stores them and the queue is full", id=i.id, dropped=self.dropped
            )

    async def _run(self) -> None:
        while not self._closing:
            await self._wake.wait()
            self._wake.clear()
            if self._timer:
                self._timer.cancel()
            self._timer = None
            await self._work_off()
            if self._begun and self._timer is None:
                self._timer = self._loop.call_later(_DELAY, self._wake.set)

    async def _work_off(self) -> None:
        if self._begun and (begun := self._long_begun()):
            await self._hand(self._started, begun)
        while self._queue:
            await self._flush()
            await asyncio.sleep(0)

    def _long_begun(self) -> list[Interaction]:
        """Take those out that began a moment ago; most end before, and need no word of their beginning."""
        latest = perf_counter() - _LONG
        begun = []
        for i in self._begun.values():
            if i.started > latest:
                break
            begun.append(i)
        for i in begun:
            del self._begun[i.id]
        return begun

    async def _flush(self) -> None:
        batch = [self._queue[index][0] for index in range(min(_BATCH, len(self._queue)))]
        await self._hand(self._done, batch)
        for _ in batch:
            self.size -= self._queue.popleft()[1]

    async def _hand(self, stages: Sequence[Stored], batch: Sequence[Interaction]) -> None:
        for stage in stages:
            try:
                await stage(batch)
            except Exception:  # noqa: BLE001  # one stage must not cost the others their records
                _log.exception("a stage failed on interactions", stage=stage.__qualname__)
