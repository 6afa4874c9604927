"""One timer for all answers in flight: it ends those that stall or whose client left unseen, and keeps idle ones alive.

A timer per read costs more than all else that is done per event, so a request only notes what it waits for,
and the watchdog looks twice a second. Limits are therefore kept to about a second.
"""

import asyncio
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any, Protocol

import structlog

from gateway.core.errors import Draining, ErrorKind, GatewayError, UpstreamTimeout
from gateway.core.relay import Relay
from gateway.tasks import spawn

_TICK = 0.5
"""Seconds; a client's leaving has to reach the upstream within a second."""
_SILENT = frozenset({"stages", "first_byte", "gap"})
"""What is waited for while a client may need a sign of life."""
_log = structlog.get_logger()


class Receiver(Protocol):
    """The client of a request."""

    sent: int
    """Bytes of the answer that were written to it."""

    def write(self, data: bytes) -> Coroutine[Any, Any, None]:
        """Write bytes of the answer."""

    def left_unseen(self) -> bool:
        """Whether it is gone, and nothing else will tell."""

    def abort(self) -> None:
        """Cut its connection."""


class Alive(Protocol):
    """What is being sent."""

    def keep_alive(self) -> bytes:
        """Return what may go out now while nothing flows; empty: nothing may."""


class ClientStalled(GatewayError):
    """The client has not read for too long."""

    outcome = "client_cancelled"
    kind = ErrorKind.CLIENT_CANCELLED


class Watch:
    """What one request waits for, and for how long."""

    __slots__ = (
        "_task",
        "client",
        "deadline",
        "error",
        "idle",
        "limit",
        "open",
        "opening",
        "phase",
        "relay",
        "seen",
        "silence",
        "writing",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, client: Receiver) -> None:
        self.client = client
        self._task = asyncio.current_task(loop)
        self.phase = ""
        """What is waited for; empty: nothing that has a limit."""
        self.limit = 0.0
        """Seconds; 0: none."""
        self.writing = False
        """The client is written to: what is waited for is that it reads."""
        self.idle = 0.0
        """Seconds since something last happened."""
        self.silence = 0.0
        """Seconds since the client last got anything, whether or not the upstream moved."""
        self.seen = 0
        """What ``client.sent`` was at that time."""
        self.deadline = 0.0
        """When all must be over, by the monotonic clock; 0: never."""
        self.error: GatewayError | None = None
        """Why the request was interrupted."""
        self.relay: Relay | None = None
        self.opening: Alive | None = None
        """Keeps the client alive before the relay has sent anything; ``None``: it gets nothing before that."""
        self.open: Callable[[], Coroutine[Any, Any, None]] | None = None
        """Begins the answer before there is one, once all has been silent for as long as between two keep-alives."""

    def expect(self, phase: str, limit: float) -> None:
        """Begin to wait for something."""
        self.phase = phase
        self.limit = limit
        self.idle = 0.0

    def moved(self) -> None:
        """Something has happened."""
        self.idle = 0.0

    def interrupt(self, error: GatewayError) -> None:
        """End the request with an error of ours."""
        if self.error is None and self._task is not None:
            self.error = error
            self._task.cancel()

    def interrupted(self) -> bool:
        """After a cancellation: whether it was this watch's doing alone."""
        return self.error is not None and self._task is not None and self._task.uncancel() == 0


class Watchdog:
    """Looks at all watches twice a second."""

    def __init__(self, keep_alive: float, client_stall: float) -> None:
        """Look for what is idle for too long.

        ``keep_alive``: seconds between keep-alives on an idle stream; ``client_stall``: seconds that a client may
        read nothing; 0: none.
        """
        self._client_stall = client_stall
        self.watches: set[Watch] = set()
        self._keep_alive = keep_alive
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = spawn(self._run(), name="watchdog")

    def stop(self) -> None:
        """Look no more."""
        if self._task:
            self._task.cancel()

    def interrupt_all(self) -> None:
        """End every request that is in flight, since the gateway shuts down."""
        for watch in tuple(self.watches):
            watch.interrupt(Draining("The gateway is shutting down; send the request again.", retry_after=1))

    async def _run(self) -> None:
        last = monotonic()
        while True:
            await asyncio.sleep(_TICK)
            now = monotonic()
            # A process that was stopped for a while must not find that everybody timed out.
            elapsed = min(now - last, 2 * _TICK)
            last = now
            for watch in tuple(self.watches):
                self._look(watch, elapsed, now)

    def _look(self, watch: Watch, elapsed: float, now: float) -> None:
        # Something may have happened just before this tick, so its time counts from the next one on.
        idle = watch.idle
        watch.idle += elapsed
        if watch.client.left_unseen():
            watch.client.abort()  # which ends the request as it ends when any client leaves
            return
        if not watch.phase:
            return
        limit = self._client_stall if watch.writing else watch.limit
        if limit and idle >= limit:
            watch.interrupt(_expired("client" if watch.writing else watch.phase, limit))
        elif watch.deadline and now > watch.deadline:
            watch.interrupt(UpstreamTimeout("The answer took too long (timeouts.total).", may_have_run=True))
        elif watch.open is not None and self._keep_alive and idle >= self._keep_alive:
            opening, watch.open = watch.open, None
            spawn(_unless_gone(opening()), name="opening")
        elif (alive := watch.opening or watch.relay) and watch.phase in _SILENT and not watch.writing:
            sent = watch.client.sent
            watch.silence = watch.silence + elapsed if sent == watch.seen else 0.0
            watch.seen = sent
            if self._keep_alive and watch.silence >= self._keep_alive and (data := alive.keep_alive()):
                watch.silence = 0.0
                watch.seen += len(data)
                spawn(_unless_gone(watch.client.write(data)), name="keep-alive")


async def _unless_gone(written: Coroutine[Any, Any, None]) -> None:
    try:
        await written
    except OSError:
        _log.debug("client gone before a keep-alive")


def _expired(phase: str, seconds: float) -> GatewayError:
    limit = f"{seconds:g} s"
    if phase == "client":
        return ClientStalled(f"The client read nothing for {limit} (client_stall).")
    if phase == "first_byte":
        return UpstreamTimeout(
            f"The upstream sent no answer within {limit} (timeouts.first_byte).", may_have_run=True
        )
    return UpstreamTimeout(f"The upstream sent nothing for {limit} (timeouts.gap).", may_have_run=True)
