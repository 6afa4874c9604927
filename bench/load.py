"""Load generators on raw sockets, so that they cost little beside what they measure.

Both check every answer: a subject that drops, cuts or changes one makes the run fail.
"""

import asyncio
import contextlib
import re
import statistics
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import orjson

from bench.turns import TURN, Turn

LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
LAST_CHUNK = b"\r\n0\r\n\r\n"
STAGGER = 0.0026
PATIENCE = 10.0
DONE = b"data: [DONE]\n\n"
# What the vendor's own Python client sends.
HEAD = (
    b"POST /v1/openai/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: application/json\r\n"
    b"Accept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\nContent-Type: application/json\r\n"
    b"User-Agent: OpenAI/Python 2.0.0\r\nX-Stainless-Arch: x64\r\nX-Stainless-Async: false\r\n"
    b"X-Stainless-Lang: python\r\nX-Stainless-OS: Linux\r\nX-Stainless-Package-Version: 2.0.0\r\n"
    b"X-Stainless-Runtime: CPython\r\nX-Stainless-Runtime-Version: 3.11.2\r\nAuthorization: Bearer x\r\n"
    b"x-stainless-read-timeout: 600\r\nx-stainless-retry-count: 0\r\nContent-Length: %d\r\n\r\n"
)
TEXT = 'A turn of the conversation with "quotes", a line\nbreak, and an accent: é. ' * 12
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The current weather of one city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class BrokenAnswer(Exception):
    """The subject answered otherwise than the upstream did."""


@dataclass
class Plain:
    """What a round of plain requests came to."""

    requests: int
    seconds: float  # of its turns
    cpu: float  # seconds of the subject

    @property
    def cpu_each(self) -> float:
        return self.cpu / self.requests

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


@dataclass
class Streams:
    """What a round of streams came to; CPU and events count only while all streams flow."""

    events: int
    cpu: float
    first_event: list[float]  # seconds, one for each stream

    @property
    def cpu_each(self) -> float:
        return self.cpu / self.events

    @property
    def median(self) -> float:
        return statistics.median(self.first_event)

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.first_event, n=100)[-1]


def request(port: int, size: int = 1000, stream: str = "") -> bytes:
    """One chat completion request of about `size` bytes; `stream` is the model of a streamed one."""
    body = {"model": stream or "bench", "stream": bool(stream), "messages": [], "tools": [WEATHER]}
    turns = body["messages"]
    while (missing := size - len(orjson.dumps(body))) > 60:
        turns.append({"role": "assistant" if len(turns) % 2 else "user", "content": TEXT[: missing - 60]})
    data = orjson.dumps(body)
    return HEAD % (port, len(data)) + data


@contextlib.asynccontextmanager
async def ending(connections: Sequence["Caller | Listener"]) -> AsyncIterator[asyncio.Future]:
    """All of them finished, or the first failure; none stays open."""
    ended = asyncio.gather(*(connection.finished for connection in connections))
    try:
        yield ended
    finally:
        ended.cancel()
        for connection in connections:
            connection.transport.abort()
        await asyncio.wait([ended])


class Caller(asyncio.Protocol):
    """One keep-alive connection that repeats one request in its turns until it is told to stop."""

    def __init__(self, message: bytes, turn: Turn) -> None:
        self.loop = asyncio.get_running_loop()
        self.message = message
        self.turn = turn
        self.answers = 0
        self.stopped = False
        self.finished = self.loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.call()

    def call(self) -> None:
        """Send the request, now or at the next turn."""
        if self.stopped:
            self.transport.close()
            return
        if delay := self.turn.delay(self.loop.time()):
            self.loop.call_later(delay, self.call)
            return
        self.data = b""
        self.end = 0
        self.transport.write(self.message)

    def data_received(self, data: bytes) -> None:
        self.data = self.data + data if self.data else data
        if not self.end and (head := self.data.find(b"\r\n\r\n")) > 0:
            length = LENGTH.search(self.data, 0, head)
            self.end = head + 4 + int(length[1]) if length else -1
        if self.end > 0:
            if len(self.data) < self.end:
                return
        elif not self.data.endswith(LAST_CHUNK):
            return
        if not self.data.startswith(b"HTTP/1.1 200 ") or b'"finish_reason":"stop"' not in self.data:
            self.fail(BrokenAnswer(self.data[:500].decode(errors="replace")))
            return
        self.answers += 1
        self.call()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.finished.done():
            if self.stopped:
                self.finished.set_result(None)
            else:
                self.finished.set_exception(exc or BrokenAnswer("the connection was closed"))

    def fail(self, error: Exception) -> None:
        """Give up this connection."""
        if not self.finished.done():
            self.finished.set_exception(error)
        self.transport.abort()


async def plain(
    port: int, cpu: Callable[[], float], turn: Turn, *, connections: int, turns: int, message: bytes
) -> Plain:
    """A closed loop over keep-alive connections; connecting and the first turn are not counted."""
    loop = asyncio.get_running_loop()
    callers = [
        (await loop.create_connection(lambda: Caller(message, turn), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    cycle = TURN * turn.of
    async with ending(callers) as ended:
        await asyncio.wait([ended], timeout=cycle)
        before, started, used = sum(caller.answers for caller in callers), time.perf_counter(), cpu()
        await asyncio.wait([ended], timeout=turns * cycle)
        counted = sum(caller.answers for caller in callers) - before
        result = Plain(counted, (time.perf_counter() - started) / turn.of, cpu() - used)
        for caller in callers:
            caller.stopped = True
        async with asyncio.timeout(PATIENCE):
            await ended
    return result


class Flow:
    """All streams of a round: events are counted from when the last one began until the first one ends."""

    def __init__(self, streams: int, cpu: Callable[[], float]) -> None:
        self.silent = streams
        self.cpu = cpu
        self.events = 0
        self.used = 0.0
        self.first_event: list[float] = []
        self.open = False

    def began(self) -> None:
        """A stream's first event has come."""
        self.silent -= 1
        if not self.silent:
            self.open = True
            self.used = -self.cpu()

    def ended(self) -> None:
        """A stream has ended."""
        if self.open:
            self.open = False
            self.used += self.cpu()


class Listener(asyncio.Protocol):
    """One connection that reads a stream to its end and then the beginning of another.

    The second one begins while all others flow, so it is the one whose first event is timed.
    """

    def __init__(self, message: bytes, events: int, flow: Flow) -> None:
        self.message = message
        self.expected = events
        self.flow = flow
        self.rounds = 0
        self.finished = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def call(self) -> None:
        """Ask for a stream."""
        self.chunks: list[bytes] = []
        self.begun = False
        self.rounds += 1
        self.started = time.perf_counter()
        self.transport.write(self.message)

    def data_received(self, data: bytes) -> None:
        if not self.begun and b"data: " in data:
            self.begun = True
            if self.rounds > 1:
                self.flow.first_event.append(time.perf_counter() - self.started)
                self.finished.set_result(None)
                self.transport.abort()
                return
            self.flow.began()
        self.chunks.append(data)
        if self.flow.open:
            self.flow.events += data.count(b"data: ")
        if data.endswith(b"0\r\n\r\n"):
            self.flow.ended()
            if self.flow.silent:
                self.fail(BrokenAnswer("a stream ended before all others had begun"))
                return
            answer = b"".join(self.chunks)
            if answer.count(b"data: ") != self.expected + 1 or DONE not in answer:
                self.fail(BrokenAnswer(f"{answer.count(b'data: ')} events instead of {self.expected + 1}"))
            else:
                self.call()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.finished.done():
            self.finished.set_exception(exc or BrokenAnswer("a stream was closed"))

    def fail(self, error: Exception) -> None:
        """Give up this connection."""
        self.finished.set_exception(error)
        self.transport.abort()


async def streams(
    port: int, cpu: Callable[[], float], turn: Turn, *, streams: int, events: int, gap: int
) -> Streams:
    """So many streams at once, of so many events so many milliseconds apart, one begun every 2.6 ms of its turns.

    So their events spread evenly over time, not in step, and the pace hardly varies while they begin.
    """
    loop = asyncio.get_running_loop()
    flow = Flow(streams, cpu)
    message = request(port, stream=f"bench-{events}-{gap}-{turn.number}-{turn.of}")
    listeners = [
        (await loop.create_connection(lambda: Listener(message, events, flow), "127.0.0.1", port))[1]
        for _ in range(streams)
    ]
    for number, listener in enumerate(listeners):
        loop.call_later(number * STAGGER * turn.of, listener.call)
    async with ending(listeners) as ended, asyncio.timeout(PATIENCE + 2 * events * gap / 1000 * turn.of):
        await ended
    return Streams(flow.events, flow.used, flow.first_event)
