"""The client's side of one request: its body as it comes, and the answer as it is written."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter

from gateway.core.errors import BadRequest, BodyTimeout, GatewayError, TooLarge
from gateway.headers import Headers

_SERVER = ("Server", "llm-gateway")
_BODY_TIME = 60.0
_SLOW_AFTER = 10.0
_SLOWEST = 1024
"""Bytes per second that a body must come with after ``_SLOW_AFTER`` seconds."""


class _Answer(web.StreamResponse):
    """A response whose status and headers leave together with its first bytes."""

    _send_headers_immediately = False  # aiohttp's own switch for its whole responses


class Client:
    """Writes one answer; nothing is sent before ``start``."""

    __slots__ = ("_request", "begun", "response", "sent", "writer")

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self.writer: AbstractStreamWriter
        """Set by ``start``; ``write`` goes through it, and so does the loop that relays every event."""
        self.response: web.StreamResponse = _Answer()
        self.begun = False
        """Status and headers have left, or leave with the first bytes."""
        self.sent = 0
        """Bytes of the body that were written; not the same as received."""

    async def start(
        self, status: int, headers: Headers, length: int | None = None, *, close: bool = False
    ) -> None:
        """Set the status and the headers.

        ``length``: bytes of the body, if they are known; ``close``: the connection ends with this answer, never
        to be said of a stream, since some clients then take any end for its end.
        """
        response = _Answer(status=status, headers=[*headers, _SERVER])
        if length is not None:
            response.content_length = length
        if close:
            response.force_close()
        self.response = response
        self.begun = True
        self.writer = await response.prepare(self._request)  # type: ignore[assignment]  # None only for a response that has ended

    async def write(self, data: bytes) -> None:
        """Write bytes; waits while the client does not read."""
        self.sent += len(data)
        await self.writer.write(data)

    async def end(self, data: bytes = b"") -> None:
        """Write the last bytes."""
        self.sent += len(data)
        await self.response.write_eof(data)

    async def respond(self, status: int, headers: Headers, body: bytes, *, close: bool = False) -> None:
        """Write a whole answer; ``close``: and let the connection end with it."""
        await self.start(status, headers, len(body), close=close or not self._request.content.is_eof())
        await self.end(body)

    def abort(self) -> None:
        """Cut the connection: the only way left to say that an answer is not whole."""
        if transport := self._request.transport:
            transport.abort()


async def read_body(request: web.BaseRequest, limit: int) -> bytes:
    """Read a whole body; raise for one that is too large, too slow or not what its encoding says."""
    _check_length(request, limit)
    content = request.content
    if content.is_eof():
        return _within(content.read_nowait(-1), limit)
    return await _read_slowly(content, limit)


def _check_length(request: web.BaseRequest, limit: int) -> None:
    length = request.content_length
    if length is not None and length > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The request body is larger than {limit} bytes (body_limit).")


def _within(body: bytes, limit: int) -> bytes:
    if len(body) > limit:
        raise _too_large(limit)
    return body


async def _read_slowly(content: StreamReader, limit: int) -> bytes:
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
                    raise _too_large(limit)
                elapsed = monotonic() - start
                if elapsed > _SLOW_AFTER and size < (elapsed - _SLOW_AFTER) * _SLOWEST:
                    raise TimeoutError  # noqa: TRY301  # one place says what a slow body gets
    except TimeoutError:
        raise BodyTimeout("The request body came too slowly; send it again.") from None
    except web.RequestPayloadError:
        raise BadRequest("The request body is not encoded as its headers say, or is cut.") from None
    return b"".join(parts)


class Upload:
    """A body that is passed on as it comes, up to a limit."""

    def __init__(self, request: web.BaseRequest, limit: int) -> None:
        _check_length(request, limit)
        self._content = request.content
        self._limit = limit
        self.size = 0
        """Bytes that have come."""
        self.error: GatewayError | None = None
        """Why it broke off."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the body's bytes as they come."""
        try:
            while part := await self._content.readany():
                self.size += len(part)
                if self.size > self._limit:
                    raise _too_large(self._limit)
                yield part
        except GatewayError as error:
            self.error = error
            raise
        except web.RequestPayloadError:
            self.error = BadRequest("The request body is not encoded as its headers say, or is cut.")
            raise
