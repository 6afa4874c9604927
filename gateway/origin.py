"""One upstream host: requests written to, and answers read from, connections of aiohttp's pool.

aiohttp's client session prepares cookies, redirects, authentication, middlewares and payloads for every
request: more work than all that the gateway itself does to one, and nothing that a proxy may do. Here a request
whose body is in memory is one write, and any other body is written beside reading the answer. Connecting, TLS,
name resolution, pooling and parsing stay aiohttp's.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

import aiohttp
from aiohttp import http_exceptions
from aiohttp.http import StreamWriter
from multidict import CIMultiDictProxy
from yarl import URL

from gateway.tasks import spawn

_JOINED = 16 << 10
"""Bodies up to this size are joined with the head: one write, one packet."""
_BODILESS = frozenset({"GET", "HEAD"})
LIMITS: dict[str, Any] = {
    "auto_decompress": True,  # a net: identity is what is asked for
    "read_bufsize": 64 << 10,
    "max_line_size": 8190,
    "max_field_size": 64 << 10,
    "max_headers": 256,
}
"""What may be read of an answer before it is refused, and how it is buffered."""


class Source(Protocol):
    """A body that comes bit by bit."""

    @property
    def length(self) -> int | None:
        """Bytes of it; None: not known before its end."""

    @property
    def begun(self) -> bool:
        """Whether a part of it was taken, which nobody can give again."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over its parts."""


class Content(Protocol):
    """The body of an answer."""

    async def readany(self) -> bytes:
        """Return what has come; empty at the end."""

    def at_eof(self) -> bool:
        """Whether all of it was read."""


class Answer:
    """The head of an answer, and its body as it comes."""

    __slots__ = ("_connection", "_writing", "content", "headers", "status")

    def __init__(
        self,
        status: int,
        headers: "CIMultiDictProxy[str]",
        content: Content,
        connection: Any,
        writing: "asyncio.Task[None] | None" = None,
    ) -> None:
        """``writing``: writes the request's body; an answer may come before its end."""
        self.status = status
        self.headers = headers
        self.content = content
        self._connection = connection
        self._writing = writing

    @property
    def length(self) -> int | None:
        """The body's length as the upstream states it."""
        length = self.headers.get("Content-Length", "")
        return int(length) if length.isdecimal() else None

    @property
    def whole_length(self) -> int | None:
        """The length of the body as it is read: not known if it is decoded on the way."""
        return None if "Content-Encoding" in self.headers else self.length

    @property
    def delimited(self) -> bool:
        """Whether HTTP itself says where the body ends; else a cut one looks whole."""
        return "Content-Length" in self.headers or "Transfer-Encoding" in self.headers

    def close(self) -> None:
        """Cut the connection if the body has not ended: the upstream stops, and nobody reads a torn one."""
        _cut(self._connection, self._writing)


class Origin:
    """A scheme, host and port."""

    def __init__(self, session: aiohttp.ClientSession, url: URL) -> None:
        """``url``: any of the origin; raises ``ValueError`` for one that is none."""
        connector = session.connector
        if connector is None or url.scheme not in ("http", "https") or not url.raw_host or url.user:
            raise ValueError(url)
        self._connector = connector
        # What the pool asks a request about: where it goes, and by which TLS.
        self._template = aiohttp.ClientRequest(
            "GET", url.origin(), loop=asyncio.get_running_loop(), session=session
        )
        self._host = f"Host: {url.host_port_subcomponent}\r\n"

    async def send(
        self,
        method: str,
        target: str,
        headers: Sequence[tuple[str, str]],
        body: bytes | Source,
        timeout: aiohttp.ClientTimeout,
        *,
        fresh: bool,
    ) -> Answer:
        """Send a request, return its answer once the head has come; ``fresh``: on a new connection.

        Raises what aiohttp's connector and parser raise; an error has ``reused`` if the connection had served
        another request before.
        """
        connection = await self._connect(timeout, fresh=fresh)
        writing = None
        written = False
        try:
            protocol: Any = connection.protocol
            try:
                protocol.set_response_params(skip_payload=method == "HEAD", read_until_eof=True, **LIMITS)
                # Names are no plain strings, on which an f-string takes twice as long.
                lines = "\r\n".join((*map(": ".join, headers), ""))
                length = len(body) if isinstance(body, bytes) else body.length
                if length is None:
                    lines = f"Transfer-Encoding: chunked\r\n{lines}"
                elif length or method not in _BODILESS:
                    lines = f"Content-Length: {length}\r\n{lines}"
                # Header bytes that are not UTF-8 came in as surrogates, and leave as they came.
                head = f"{method} {target} HTTP/1.1\r\n{self._host}{lines}\r\n".encode(
                    "utf-8", "surrogateescape"
                )
                if not isinstance(body, bytes):
                    protocol.transport.write(head)
                    writing = spawn(_write(protocol, body), name="upload")
                elif len(body) <= _JOINED:
                    protocol.transport.write(head + body)
                else:
                    protocol.transport.write(head)
                    protocol.transport.write(body)
                written = writing is None
                while True:
                    message, content = await protocol.read()
                    if message.code >= 200 or message.code == 101:
                        break
            except (aiohttp.ClientError, http_exceptions.HttpProcessingError, OSError) as error:
                error.reused = hasattr(protocol, "served")  # type: ignore[union-attr]  # told to whoever decides on a retry
                raise
            protocol.served = True
        except BaseException as error:
            transport = connection.transport
            # Told to whoever asks what it may have cost: all of the request had left.
            error.written = written and transport is not None and not transport.get_write_buffer_size()  # type: ignore[attr-defined]  # as above
            _cut(connection, writing)
            raise
        # With its last byte the connection is free, even while the body is still to be read from memory.
        content.on_eof(connection.release if writing is None else lambda: _free(connection, writing))
        return Answer(message.code, message.headers, content, connection, writing)

    async def _connect(self, timeout: aiohttp.ClientTimeout, *, fresh: bool) -> Any:
        """Take a connection from the pool, or make one.

        Whatever an upstream sent on an idle connection would be read as the answer to the next request, so such a
        connection is closed.
        """
        while True:
            connection = await self._connector.connect(self._template, [], timeout)
            protocol: Any = connection.protocol
            stale = protocol.should_close or protocol.transport.is_closing()
            if not stale and not (fresh and hasattr(protocol, "served")):
                return connection
            connection.close()


async def _write(protocol: Any, body: Source) -> None:
    """Write a body as it comes, no faster than the upstream reads it; a failure ends the connection."""
    writer = StreamWriter(protocol, asyncio.get_running_loop())
    if body.length is None:
        writer.enable_chunking()
    try:
        async for part in body:
            await writer.write(part)
        await writer.write_eof()
    except Exception as error:  # noqa: BLE001  # whoever reads the answer is told, and asks the body what it was
        if protocol.transport is not None:
            failure = error if isinstance(error, OSError) else aiohttp.ClientConnectionError()
            protocol.set_exception(failure, error)
            protocol.transport.abort()


def _free(connection: Any, writing: "asyncio.Task[None]") -> None:
    """Give a connection back to the pool, unless the request's body is still to be written: nothing can follow it."""
    if writing.done():
        connection.release()
    else:
        _cut(connection, writing)


def _cut(connection: Any, writing: "asyncio.Task[None] | None") -> None:
    """End a connection now; closing it would first wait until the upstream has read all that was written."""
    if writing is not None:
        writing.cancel()
    if connection.transport is not None:
        connection.transport.abort()
    connection.close()
