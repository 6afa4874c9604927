"""A scripted upstream: an HTTP server that plays steps byte by byte and remembers all that it received."""

import asyncio
import itertools
import random
import socket
import ssl
import struct
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tests.harness.dialects import Dialect

Framing = Literal["chunked", "length", "eof"]
Split = Literal["whole", "event", "byte", "random"]

_LINGER_ZERO = struct.pack("ii", 1, 0)
# An RST overtakes nothing on loopback, but the peer must have been woken for the bytes before it.
_BEFORE_RESET = 0.05


@dataclass
class Received:
    """One request, as the upstream got it."""

    raw_head: bytes
    body: bytes = b""
    connection: "Connection | None" = None
    at: float = 0.0

    @property
    def line(self) -> str:
        return self.raw_head.split(b"\r\n", 1)[0].decode("latin-1")

    @property
    def headers(self) -> list[tuple[str, str]]:
        lines = self.raw_head.split(b"\r\n")[1:]
        return [
            (n.decode("latin-1").lower(), v.strip().decode("latin-1"))
            for n, _, v in (x.partition(b":") for x in lines)
        ]

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")


def _exactly(size: int) -> Callable[[bytearray], int]:
    return lambda received: size if len(received) >= size else -1


class Connection(asyncio.Protocol):
    """One connection of the gateway: serves requests one after the other, and notes when it was left."""

    def __init__(self, upstream: "ScriptedUpstream") -> None:
        self.upstream = upstream
        self.received = bytearray()
        self.opened_at = time.monotonic()
        self.left_at: float | None = None  # the gateway's FIN or RST
        self.ended_here = False
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.upstream.connections.append(self)
        self._task = asyncio.get_running_loop().create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        self.received += data
        self._news.set()

    def eof_received(self) -> bool:
        self._left()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._left()
        self._room.set()

    def _left(self) -> None:
        if self.left_at is None:
            self.left_at = time.monotonic()
        self._news.set()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    @property
    def open(self) -> bool:
        return self.left_at is None and not self.ended_here

    async def write(self, data: bytes) -> None:
        """Send, with back-pressure; a peer that has gone ends the script."""
        await self._room.wait()
        if self.left_at is not None:
            raise ConnectionResetError
        self.transport.write(data)
        await asyncio.sleep(0)

    def fin(self) -> None:
        self.ended_here = True
        self.transport.close()

    async def rst(self) -> None:
        await asyncio.sleep(_BEFORE_RESET)
        self.ended_here = True
        raw = self.transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self.transport.abort()

    async def left(self) -> None:
        """Wait until the gateway has closed its side."""
        while self.left_at is None:
            self._news.clear()
            await self._news.wait()

    async def _take(self, size: Callable[[bytearray], int]) -> bytes | None:
        while (n := size(self.received)) < 0:
            if self.left_at is not None:
                return None
            self._news.clear()
            await self._news.wait()
        data = bytes(self.received[:n])
        del self.received[:n]
        return data

    async def _request(self) -> Received | None:
        head = await self._take(lambda b: b.find(b"\r\n\r\n") + 4 if b"\r\n\r\n" in b else -1)
        if head is None:
            return None
        request = Received(head[:-4], connection=self, at=time.monotonic())
        if request.header("transfer-encoding"):
            body = bytearray()
            while True:
                line = await self._take(lambda b: b.find(b"\r\n") + 2 if b"\r\n" in b else -1)
                size = int(line or b"0", 16)
                piece = await self._take(_exactly(size + 2))
                if piece is None or size == 0:
                    break
                body += piece[:-2]
            request.body = bytes(body)
        elif length := int(request.header("content-length") or 0):
            request.body = await self._take(_exactly(length)) or b""
        return request

    async def _serve(self) -> None:
        try:
            while (request := await self._request()) is not None:
                play = self.upstream.script_for(request)
                await play(Turn(self, request))
                if self.ended_here:
                    return
        except ConnectionResetError:
            return
        finally:
            self.upstream.finished.set()

    async def close(self) -> None:
        """End everything: between scenarios nothing is left behind."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
        self.transport.abort()


@dataclass
class Turn:
    """One request being answered: where steps write to."""

    connection: Connection
    request: Received
    framing: Framing = "length"

    async def body(self, data: bytes) -> None:
        if self.framing == "chunked":
            data = b"%x\r\n%b\r\n" % (len(data), data)
        await self.connection.write(data)


Play = Callable[[Turn], Awaitable[None]]


class ScriptStep:
    """One entry of a script."""


@dataclass(frozen=True)
class Step(ScriptStep):
    """One thing that an upstream does."""

    play: Play


@dataclass(frozen=True)
class Frames(ScriptStep):
    """Frames of the scenario's wire: which bytes they are depends on the dialect, how they are cut on the split."""

    of: Callable[[Dialect], Sequence[bytes]]


@dataclass(frozen=True)
class PerDialect(ScriptStep):
    """Steps that differ between wires in more than their frames."""

    of: Callable[[Dialect], Sequence[ScriptStep]]


def send(data: bytes) -> Step:
    """Bytes as they are, framing included."""
    return Step(lambda turn: turn.connection.write(data))


def chunk(data: bytes) -> Step:
    """Bytes of the body, in the framing that the head announced."""
    return Step(lambda turn: turn.body(data))


def sleep(seconds: float) -> Step:
    return Step(lambda _: asyncio.sleep(seconds))


def fin() -> Step:
    async def play(turn: Turn) -> None:
        turn.connection.fin()

    return Step(play)


def rst() -> Step:
    return Step(lambda turn: turn.connection.rst())


def stall() -> Step:
    """Say nothing more, until the gateway leaves."""
    return Step(lambda turn: turn.connection.left())


def last() -> Step:
    """The proper end of the body."""

    async def play(turn: Turn) -> None:
        if turn.framing == "chunked":
            await turn.connection.write(b"0\r\n\r\n")
        elif turn.framing == "eof":
            turn.connection.fin()

    return Step(play)


def expect(data: bytes) -> Step:
    """The request must hold these bytes."""

    async def play(turn: Turn) -> None:
        if data not in turn.request.raw_head + turn.request.body:
            turn.connection.upstream.complaints.append(f"the request lacks {data!r}")

    return Step(play)


def head(
    status: int = 200,
    *,
    sse: bool = True,
    media_type: str | None = None,
    framing: Framing | None = None,
    length: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> PerDialect:
    """Status line and headers; the media type is the dialect's own unless one is given."""

    def build(dialect: Dialect) -> Sequence[ScriptStep]:
        how = framing or ("length" if length is not None else "chunked")
        lines = [f"HTTP/1.{0 if how == 'eof' else 1} {status} Scripted"]
        lines.append(f"content-type: {media_type or (dialect.stream_type if sse else 'application/json')}")
        if how == "chunked":
            lines.append("transfer-encoding: chunked")
        elif how == "length":
            lines.append(f"content-length: {length or 0}")
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        data = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"

        async def play(turn: Turn) -> None:
            turn.framing = how
            await turn.connection.write(data)

        return [Step(play)]

    return PerDialect(build)


def whole(
    data: bytes | Callable[[Dialect], bytes], status: int = 200, headers: Mapping[str, str] | None = None
) -> PerDialect:
    """A complete answer of known length."""

    def build(dialect: Dialect) -> Sequence[ScriptStep]:
        body = data if isinstance(data, bytes) else data(dialect)
        return [head(status, sse=False, length=len(body), headers=headers), chunk(body)]

    return PerDialect(build)


def begin() -> Frames:
    return Frames(lambda d: d.start())


def say(text: str) -> Frames:
    return Frames(lambda d: d.text(text))


def call(name: str, arguments: str = '{"canary_arg":"c4n4ry"}') -> Frames:
    return Frames(lambda d: d.tool_call(name, arguments))


def finish(reason: str = "stop") -> Frames:
    return Frames(lambda d: d.finish(reason))


def terminator() -> Frames:
    return Frames(lambda d: d.end())


def event(data: bytes) -> Frames:
    """One frame, given as it is on the wire."""
    return Frames(lambda _: [data])


def answer(text: str = "Hello, world.") -> list[ScriptStep]:
    """A complete streamed text answer."""
    return [head(), begin(), say(text), finish(), terminator(), last()]


def cut(data: bytes, split: Split, frames: Sequence[bytes], seed: int = 7) -> list[bytes]:
    if split == "whole":
        return [data]
    if split == "event":
        return list(frames)
    if split == "byte":
        return [data[i : i + 1] for i in range(len(data))]
    generator = random.Random(seed)
    marks = sorted({0, len(data), *(generator.randrange(len(data)) for _ in range(len(data) // 20 + 2))})
    return [data[a:b] for a, b in itertools.pairwise(marks)]


def compile_script(steps: Iterable[ScriptStep], dialect: Dialect, split: Split = "event") -> Play:
    """Turn steps into one coroutine function; neighbouring frames are cut together."""
    flat: list[ScriptStep] = []

    def flatten(some: Iterable[ScriptStep]) -> None:
        for step in some:
            if isinstance(step, PerDialect):
                flatten(step.of(dialect))
            else:
                flat.append(step)

    flatten(steps)
    plays: list[Play] = []
    pending: list[bytes] = []

    def flush() -> None:
        if pending:
            plays.extend(chunk(piece).play for piece in cut(b"".join(pending), split, pending))
            pending.clear()

    for step in flat:
        if isinstance(step, Frames):
            pending.extend(frame for frame in step.of(dialect) if frame)
        else:
            flush()
            assert isinstance(step, Step)
            plays.append(step.play)
    flush()

    async def play(turn: Turn) -> None:
        for one in plays:
            await one(turn)

    return play


@dataclass
class ScriptedUpstream:
    """One listening socket; each request takes the next script of its marker, or of the queue."""

    requests: list[Received] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    queue: deque[Play] = field(default_factory=deque)
    marked: dict[bytes, Play] = field(default_factory=dict)
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    _server: asyncio.Server | None = None

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self), "127.0.0.1", 0, ssl=tls, backlog=512
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def script_for(self, request: Received) -> Play:
        for marker, play in self.marked.items():
            if marker in request.raw_head or marker in request.body:
                return play
        self.requests.append(request)
        if self.queue:
            return self.queue.popleft()
        self.complaints.append(f"a request without a script: {request.line}")
        return send(b"HTTP/1.1 599 Unscripted\r\ncontent-length: 0\r\n\r\n").play

    async def reset(self) -> None:
        """Forget everything and close what is still open."""
        for connection in self.connections:
            await connection.close()
        self.connections.clear()
        self.requests.clear()
        self.complaints.clear()
        self.queue.clear()
        self.marked.clear()
        self.finished.clear()

    async def stop(self) -> None:
        await self.reset()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
