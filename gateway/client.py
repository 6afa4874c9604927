"""The client's side of one request: its body as it comes, and the answer as it is written."""

import asyncio
import select
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from time import monotonic

from aiohttp import HttpVersion11, StreamReader, web
from multidict import CIMultiDict

from gateway.core.errors import BadRequest, BodyTimeout, TooLarge
from gateway.headers import Headers

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_BODILESS = frozenset({204, 304})
_SERVER = "llm-gateway"
_JOINED = 16 << 10
"""Bytes of a body that is copied to leave with its head."""
_BODY_TIME = 60.0
_SLOW_AFTER = 10.0
_SLOWEST = 1024
"""Bytes per second that a body must come with after ``_SLOW_AFTER`` seconds."""
_SMALL = 64 << 10
_LEAVING = getattr(select, "POLLRDHUP", 0)
"""Its end of the connection is closed, where the system tells that; that all of it is gone, any system tells."""
_CONTROL = bytes((*range(0x20), 0x7F))
_SLOW = "The request body came too slowly; send it again."
_TORN = "The request body is not encoded as its headers say, or is cut."


class _Answer(web.StreamResponse):
    """What aiohttp's protocol gets back: an answer that is written already.

    aiohttp's own response adds headers that nobody sent, and costs as much as all that the gateway does to them.
    """

    def __init__(self, alive: bool) -> None:  # noqa: FBT001  # aiohttp's own attribute is a property of this name
        self._alive = alive

    @property
    def keep_alive(self) -> bool:
        """Whether the connection may serve another request."""
        return self._alive

    async def prepare(self, request: web.BaseRequest) -> None:
        """Do nothing: the head has left."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing: so has the end."""


class Client:
    """Writes one answer; nothing is sent before ``start``."""

    __slots__ = ("_bodiless", "_request", "begun", "response", "sent", "writer")

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self._bodiless = False
        self.writer = request.writer
        """Its ``write`` waits while the client does not read."""
        self.response: web.StreamResponse = _NOTHING
        self.begun = False
        """Status and headers leave with the first bytes, or have left."""
        self.sent = 0
        """Bytes of the body that were written; not the same as received."""

    async def start(
        self, status: int, headers: Headers, length: int | None = None, *, close: bool = False
    ) -> None:
        """Set the status and the headers, framing excepted.

        ``length``: bytes of the body, if they are known; ``close``: the connection ends with this answer, never
        to be said of a stream, since some clients then take any end for its end.
        """
        request = self._request
        head = CIMultiDict(headers)
        head["Server"] = _SERVER
        alive = request.keep_alive and not close
        chunks = request.version >= HttpVersion11
        self._bodiless = request.method == "HEAD" or status in _BODILESS
        if status == 204 or (self._bodiless and length is None):
            pass
        elif length is not None:
            head["Content-Length"] = str(length)
        elif chunks:
            self.writer.enable_chunking()
            head["Transfer-Encoding"] = "chunked"
        else:
            alive = False  # before HTTP/1.1 only the connection's end ends such a body
        if alive != chunks:
            head["Connection"] = "keep-alive" if alive else "close"
        self.response = _Answer(alive)
        self.begun = True
        line = f"HTTP/1.{int(chunks)} {status} {_PHRASES.get(status, '')}"
        if "".join(head.values()).isascii():
            await self.writer.write_headers(line, head)
        else:
            self._write_head(line, head)

    def _write_head(self, line: str, head: "CIMultiDict[str]") -> None:
        """Write a head in which bytes that are not UTF-8 came as surrogates: aiohttp's writer would leave them out."""
        lines = [line, *(f"{name}: {value}" for name, value in head.items()), "\r\n"]
        self._write_now("\r\n".join(lines).encode("utf-8", "surrogateescape"))

    def _write_now(self, data: bytes) -> None:
        transport = self.writer.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError
        transport.write(data)

    async def write(self, data: bytes) -> None:
        """Write bytes; waits while the client does not read."""
        self.sent += len(data)
        await self.writer.write(data)

    async def write_in_turns(self, data: bytes, size: int) -> None:
        """Write one huge event: it took long enough to read, so other requests get their turns in between."""
        whole = memoryview(data)
        for start in range(0, len(data), size):
            await asyncio.sleep(0)
            await self.writer.write(whole[start : start + size])

    async def end(self, data: bytes = b"") -> None:
        """Write the last bytes."""
        if self._bodiless:
            data = b""
        self.sent += len(data)
        await self.writer.write_eof(data)

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Write a whole answer: a small one in one piece, 5 µs cheaper than by aiohttp's writer.

        ``headers``: as for ``start``.
        """
        request = self._request
        lines = list(map(": ".join, headers))
        told = "".join(lines)
        if (
            not told.isascii()
            or len(told.encode().translate(None, _CONTROL)) < len(told)  # the writer refuses to let it leave
            or len(body) > _JOINED
            or status in _BODILESS
            or request.method == "HEAD"
            or request.version != HttpVersion11
            or not request.keep_alive
        ):
            await self.start(status, headers, len(body))
            await self.end(body)
            return
        self.response = _Answer(alive=True)
        self.begun = True
        self.sent += len(body)
        first = f"HTTP/1.1 {status} {_PHRASES.get(status, '')}"
        head = "\r\n".join((first, *lines, f"Server: {_SERVER}", f"Content-Length: {len(body)}\r\n\r\n"))
        self._write_now(head.encode() + body)
        await self.writer.drain()

    async def respond(self, status: int, headers: Headers, body: bytes, *, close: bool = False) -> None:
        """Write a whole answer; ``close``: and let the connection end with it."""
        await self.start(status, headers, len(body), close=close or not self._request.content.is_eof())
        await self.end(body)

    def left_unseen(self) -> bool:
        """Whether the client is gone while nothing is read from it: then the loop does not look at its socket.

        An end that waits behind more bytes than the system takes has not arrived yet, and nobody can know of it.
        """
        transport = self._request.transport
        if transport is None or transport.is_reading() or transport.is_closing():
            return False
        poll = select.poll()
        poll.register(transport.get_extra_info("socket"), _LEAVING)
        return bool(poll.poll(0))

    def abort(self) -> None:
        """Cut the connection: the only way left to say that an answer is not whole."""
        if transport := self._request.transport:
            transport.abort()


_NOTHING = _Answer(alive=False)


async def read_body(
    request: web.BaseRequest, limit: int, *, expected: bool = False, setting: str = "body_limit"
) -> bytes:
    """Read a whole body; raise for one that is too large, too slow or not what its encoding says.

    ``expected``: the client waits to be told that it is wanted; ``setting``: whose limit it is.
    """
    _check_length(request, limit, setting)
    content = request.content
    if not content.is_eof():
        if expected:
            _invite(request)
        return await _read_slowly(content, limit, setting)
    body = content.read_nowait(-1)
    if len(body) > limit:
        raise _too_large(limit, setting)
    return body


async def take_body(
    request: web.BaseRequest, limit: int, moved: Callable[[], None], *, encoded: bool, expected: bool
) -> "bytes | Upload":
    """Return a body that nobody parses: a small one whole, so that it can be sent again, any other as it comes.

    ``encoded``: it is decoded on the way, so nobody knows how long it gets. Otherwise as above and below.
    """
    setting = "opaque_body_limit"
    _check_length(request, limit, setting)
    length = None if encoded else request.content_length
    if length is not None and length <= _SMALL:
        return await read_body(request, limit, expected=expected, setting=setting)
    if expected:
        _invite(request)
    return Upload(request.content, length, limit, moved)


def _invite(request: web.BaseRequest) -> None:
    """Tell a client that waits with its body (``Expect: 100-continue``) to send it."""
    if request.transport:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def _check_length(request: web.BaseRequest, limit: int, setting: str) -> None:
    length = request.content_length
    if length is not None and length > limit:
        raise _too_large(limit, setting)


def _too_large(limit: int, setting: str) -> TooLarge:
    return TooLarge(f"The request body is larger than {limit} bytes ({setting}).")


async def _read_slowly(content: StreamReader, limit: int, setting: str) -> bytes:
    parts = []
    size = 0
    start = monotonic()
    try:
        async with asyncio.timeout(_BODY_TIME):
            while not content.at_eof():
                async with asyncio.timeout(_SLOW_AFTER):
                    part = await content.readany()
                parts.append(part)
                size += len(part)
                if size > limit:
                    raise _too_large(limit, setting)
                elapsed = monotonic() - start
                if elapsed > _SLOW_AFTER and size < (elapsed - _SLOW_AFTER) * _SLOWEST:
                    raise TimeoutError  # noqa: TRY301  # one place says what a slow body gets
    except TimeoutError:
        raise BodyTimeout(_SLOW) from None
    except web.RequestPayloadError:
        raise BadRequest(_TORN) from None
    return b"".join(parts)


class Upload:
    """A body that is passed on as it comes, up to a limit; it can be iterated over once."""

    def __init__(
        self, content: StreamReader, length: int | None, limit: int, moved: Callable[[], None]
    ) -> None:
        """``length``: None: not known; ``moved``: called for every part, a sign of life of the client."""
        self._content = content
        self._limit = limit
        self._moved = moved
        self.length = length
        self.size = 0
        """Bytes that have come."""
        self.awaited = False
        """The client is waited for; else it is whoever takes the parts."""
        self.complete = False
        self.error: Exception | None = None
        """Why it broke off; a ``ConnectionError``: the client has left."""

    @property
    def begun(self) -> bool:
        """Whether a part of it was taken."""
        return self.size > 0 or self.complete

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the body's bytes as they come."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next part."""
        self.awaited = True
        try:
            part = await self._content.readany()
        except web.RequestPayloadError:
            self.error = BadRequest(_TORN)
            raise self.error from None
        except OSError as error:
            self.error = ConnectionResetError(error.errno, "The client has left.")
            raise self.error from None
        finally:
            self.awaited = False
        if not part:
            self.complete = True
            raise StopAsyncIteration
        self._moved()
        self.size += len(part)
        if self.size > self._limit:
            self.error = _too_large(self._limit, "opaque_body_limit")
            raise self.error
        return part
