"""A raw HTTP client: exact bytes out, everything that came back, and how it ended."""

import asyncio
import socket
import struct
import time
from dataclasses import dataclass, field
from typing import Literal

Ended = Literal["complete", "eof", "reset", "open", "left"]


@dataclass
class Response:
    """One response: `complete` says that its framing ended as it should."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    complete: bool

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


def _dechunk(data: bytes) -> tuple[bytes, bool, bytes]:
    body = bytearray()
    while True:
        line, end, rest = data.partition(b"\r\n")
        if not end:
            return bytes(body), False, b""
        size = int(line.split(b";")[0], 16)
        if size == 0:
            return bytes(body), rest.startswith(b"\r\n"), rest[2:]
        body += rest[:size]
        if len(rest) < size + 2:
            return bytes(body), False, b""
        data = rest[size + 2 :]


def parse(raw: bytes, *, eof: bool) -> list[Response]:
    """All responses in these bytes, interim ones left out."""
    responses = []
    while raw.startswith(b"HTTP/1.") and b"\r\n\r\n" in raw:
        head, _, rest = raw.partition(b"\r\n\r\n")
        status_line, *lines = head.split(b"\r\n")
        status = int(status_line.split()[1])
        pairs = [line.partition(b":") for line in lines]
        headers = [(n.decode("latin-1").lower(), v.strip().decode("latin-1")) for n, _, v in pairs]
        response = Response(status, headers, b"", complete=True)
        if status < 200:
            raw = rest
            continue
        length = response.header("content-length")
        if response.header("transfer-encoding") == "chunked":
            response.body, response.complete, raw = _dechunk(rest)
        elif length is not None:
            size = int(length)
            response.body, response.complete, raw = rest[:size], len(rest) >= size, rest[size:]
        else:
            response.body, response.complete, raw = rest, eof, b""
        responses.append(response)
    return responses


@dataclass
class Exchange:
    """What a client got for the bytes that it sent."""

    raw: bytes
    ended: Ended
    started: float
    left_at: float | None = None
    arrivals: list[tuple[float, int]] = field(default_factory=list)  # (when, bytes so far)

    @property
    def responses(self) -> list[Response]:
        return parse(self.raw, eof=self.ended in {"eof", "complete"})

    @property
    def response(self) -> Response:
        responses = self.responses
        assert responses, f"no response, ended by {self.ended}: {self.raw[:200]!r}"
        return responses[0]


@dataclass(frozen=True)
class Client:
    """How a client behaves: the default reads to the end."""

    deadline: float = 15.0
    leave_after: bytes | None = None  # leave as soon as these bytes have arrived
    leave_at: float | None = None  # or after so many seconds
    send_only: int | None = None  # how many bytes of the request are sent at all
    leave_by: Literal["fin", "rst", "half_close"] = "fin"
    reads: bool = True
    rate: float | None = None  # bytes per second
    responses: int = 1  # how many to wait for

    @property
    def leaves(self) -> bool:
        return self.leave_after is not None or self.leave_at is not None or self.send_only is not None


def read_all(deadline: float = 15.0) -> Client:
    return Client(deadline=deadline)


def leave(after: bytes, by: Literal["fin", "rst", "half_close"] = "fin") -> Client:
    return Client(leave_after=after, leave_by=by)


class _Reader(asyncio.Protocol):
    def __init__(self) -> None:
        self.raw = bytearray()
        self.arrivals: list[tuple[float, int]] = []
        self.ended: Ended = "open"
        self.news = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.raw += data
        self.arrivals.append((time.monotonic(), len(self.raw)))
        self.news.set()

    def eof_received(self) -> bool:
        self.ended = "eof"
        self.news.set()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self.ended == "open":
            self.ended = "eof" if exc is None else "reset"
        self.news.set()


class _Progress:
    """Tells whether enough has come, reading only what is new; large bodies are not parsed again and again."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.searched = 0

    def met(self, raw: bytearray) -> bool:
        if (mark := self.client.leave_after) is None:
            return False
        found = raw.find(mark, max(0, self.searched - len(mark))) >= 0
        self.searched = len(raw)
        return found

    def complete(self, raw: bytearray) -> bool:
        head_end = raw.find(b"\r\n\r\n")
        if head_end < 0:
            return False
        if self.client.responses == 1 and not raw.startswith(b"HTTP/1.1 1"):
            if b"chunked" in raw[:head_end] and not raw.endswith(b"0\r\n\r\n"):
                return False
            if len(raw) > 1 << 20 and b"chunked" not in raw[:head_end]:
                length = int(parse(bytes(raw[: head_end + 4]), eof=False)[0].header("content-length") or -1)
                return length >= 0 and len(raw) >= head_end + 4 + length
        found = parse(bytes(raw), eof=False)
        return len(found) >= self.client.responses and all(r.complete for r in found)


async def exchange(port: int, request: bytes, client: Client | None = None) -> Exchange:
    """Send these bytes to the gateway and behave as told."""
    client = client or Client()
    loop = asyncio.get_running_loop()
    started = time.monotonic()
    raw_socket = socket.socket()
    raw_socket.setblocking(False)
    if not client.reads or client.rate:
        # A small window makes "reads nothing" felt after kilobytes instead of megabytes.
        raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await loop.sock_connect(raw_socket, ("127.0.0.1", port))
    transport, reader = await loop.create_connection(_Reader, sock=raw_socket)
    try:
        return await _converse(transport, reader, request, client, started)
    finally:
        transport.abort()


async def _converse(
    transport: asyncio.Transport, reader: _Reader, request: bytes, client: Client, started: float
) -> Exchange:
    if not client.reads:
        transport.pause_reading()
    transport.write(request if client.send_only is None else request[: client.send_only])
    end = started + client.deadline
    if client.leave_at is not None:
        end = started + client.leave_at
    progress = _Progress(client)
    left_at = None
    while True:
        reader.news.clear()
        if progress.met(reader.raw):
            left_at = _leave(transport, client)
            break
        if client.reads and not client.leaves and progress.complete(reader.raw):
            break
        if reader.ended != "open":
            break
        if client.rate:
            transport.pause_reading()
            await asyncio.sleep(256 / client.rate)
            transport.resume_reading()
        try:
            async with asyncio.timeout(max(0.0, end - time.monotonic())):
                await reader.news.wait()
        except TimeoutError:
            if client.leaves:
                left_at = _leave(transport, client)
            break
    if client.leave_by == "half_close" and left_at is not None:
        await _remainder(reader, client)
    found = parse(bytes(reader.raw), eof=reader.ended == "eof")
    done = client.reads and bool(found) and all(r.complete for r in found) and len(found) >= client.responses
    ended: Ended = "left" if left_at is not None else "complete" if done else reader.ended
    return Exchange(bytes(reader.raw), ended, started, left_at, reader.arrivals)


async def _remainder(reader: _Reader, client: Client) -> None:
    """After a half-close the gateway may still answer, or close."""
    try:
        async with asyncio.timeout(min(2.0, client.deadline)):
            while reader.ended == "open":
                reader.news.clear()
                await reader.news.wait()
    except TimeoutError:
        return


def _leave(transport: asyncio.Transport, client: Client) -> float:
    raw = transport.get_extra_info("socket")
    if client.leave_by == "half_close":
        transport.write_eof()
    elif client.leave_by == "rst":
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    else:
        transport.close()
    return time.monotonic()
