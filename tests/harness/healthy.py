"""A healthy stream beside the fault: numbered events at a steady pace, each timed from upstream to client."""

import asyncio
import re
import time
from typing import Self

from tests.harness.client import Client, Exchange, exchange
from tests.harness.dialects import DIALECTS
from tests.harness.process import Gateway
from tests.harness.upstream import (
    ScriptedUpstream,
    Step,
    Turn,
    begin,
    chunk,
    compile_script,
    finish,
    head,
    last,
    terminator,
)

MODEL = "healthy-model"
PACE = 0.02
GAP = 0.1
_TICK = re.compile(rb"tick-(\d+);")


class Healthy:
    """Runs for as long as its block does; `check` then judges it."""

    def __init__(self, gateway: Gateway, upstream: ScriptedUpstream, dialect: str = "chat") -> None:
        self.gateway = gateway
        self.upstream = upstream
        self.dialect = DIALECTS[dialect]
        self.sent: list[float] = []
        self.flowing = asyncio.Event()
        self.enough = asyncio.Event()
        self.lag = 0.0
        self._waited = 0.0

    async def _ticks(self, turn: Turn) -> None:
        while not self.enough.is_set():
            frames = self.dialect.text(f"tick-{len(self.sent)};")
            self.sent.append(time.monotonic())
            await chunk(b"".join(frames)).play(turn)
            self.flowing.set()
            await asyncio.sleep(PACE)

    async def _measure_lag(self) -> None:
        """How late this very process runs: the delay that must not be blamed on the gateway."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            self.lag = max(self.lag, time.monotonic() - before - 0.005)

    async def __aenter__(self) -> Self:
        steps = [head(), begin(), Step(self._ticks), finish(), terminator(), last()]
        self.upstream.marked[MODEL.encode()] = compile_script(steps, self.dialect)
        self._waited = self.gateway.scheduler_wait()
        request = self.dialect.request(stream=True, model=MODEL)
        loop = asyncio.get_running_loop()
        self._lagging = loop.create_task(self._measure_lag())
        self._stream = loop.create_task(exchange(self.gateway.port, request, Client(deadline=60)))
        flowing = loop.create_task(self.flowing.wait())
        await asyncio.wait((flowing, self._stream), timeout=10, return_when=asyncio.FIRST_COMPLETED)
        flowing.cancel()
        assert self.flowing.is_set(), "the healthy stream did not start"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.enough.set()
        try:
            async with asyncio.timeout(10):
                self.exchange = await self._stream
        finally:
            self._lagging.cancel()
            await asyncio.wait([self._lagging])
        self._waited = self.gateway.scheduler_wait() - self._waited

    def check(self) -> None:
        """I8: no event lost or out of order, none more than 100 ms late.

        A shared machine is late by itself: what this process measured of its own lateness, and what the
        kernel says that the gateway had to wait for a core, are added to what is allowed.
        """
        response = self.exchange.response
        assert response.status == 200, (
            f"I8: the healthy stream got {response.status}: {response.body[:300]!r}"
        )
        assert self.exchange.ended == "complete", f"I8: the healthy stream ended by {self.exchange.ended}"
        numbers = [int(n) for n in _TICK.findall(response.body)]
        assert numbers == list(range(len(self.sent))), f"I8: {len(self.sent)} events sent, got {numbers[-5:]}"
        late = max(_lateness(self.exchange, self.sent), default=0.0)
        allowed = GAP + self.lag + self._waited
        assert late <= allowed, (
            f"I8: an event of the healthy stream came {late * 1e3:.0f} ms late ({allowed * 1e3:.0f})"
        )


def _lateness(got: Exchange, sent: list[float]) -> list[float]:
    late = []
    arrivals = iter(got.arrivals)
    when, size = next(arrivals)
    for match in _TICK.finditer(got.raw):
        while size < match.end():
            when, size = next(arrivals)
        late.append(when - sent[int(match.group(1))])
    return late
