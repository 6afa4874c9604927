"""The way to the providers: one aiohttp client session, its timeouts, and the one retry that is safe.

A request is repeated once, and only if nothing can have happened: no connection could be made, or a pooled
connection turned out to be dead before a byte of the answer came. A body that is passed on as it comes can't be
repeated once a part of it was taken.
"""

import asyncio
import ssl
from collections.abc import Sequence
from time import monotonic

import aiohttp
import msgspec
from aiohttp.http_exceptions import ContentEncodingError, HttpProcessingError
from yarl import URL

from gateway.core.errors import UpstreamError, UpstreamProtocol, UpstreamReset, UpstreamUnreachable
from gateway.origin import LIMITS, Answer, Origin, Source
from gateway.settings import Timeouts

_STREAMED_FIRST_BYTE = 300.0
_WHOLE_FIRST_BYTE = 600.0
_GAP = 300.0
_CONNECT = 5.0
_LEAST = 0.01
_REST = 0.05
"""Seconds to wait for the end of an answer whose terminator has come."""
ERROR_BODY = 64 << 10
"""Bytes of an upstream's error that are read for its kind."""
_URLS = 1024


class Limits(msgspec.Struct, frozen=True):
    """How long to wait for a provider, in seconds; 0: for ever."""

    connect: float
    first_byte_streamed: float
    first_byte_whole: float
    gap: float
    total: float

    @classmethod
    def of(cls, *layers: Timeouts) -> "Limits":
        """Merge settings, the most particular first."""

        def pick(name: str, default: float) -> float:
            values = (getattr(layer, name) for layer in layers)
            return next((value for value in values if value is not None), default)

        return cls(
            connect=pick("connect", _CONNECT),
            first_byte_streamed=pick("first_byte", _STREAMED_FIRST_BYTE),
            first_byte_whole=pick("first_byte", _WHOLE_FIRST_BYTE),
            gap=pick("gap", _GAP),
            total=pick("total", 0.0),
        )


class Upstream:
    """Sends requests to providers."""

    def __init__(self, defaults: Timeouts, providers: dict[str, Timeouts] | None = None) -> None:
        self._defaults = Limits.of(defaults)
        self._limits = {name: Limits.of(own, defaults) for name, own in (providers or {}).items()}
        self._timeouts: dict[float, aiohttp.ClientTimeout] = {}
        self._origins: dict[str, tuple[Origin, str]] = {}
        self._by_origin: dict[URL, Origin] = {}
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Create the session; the loop must be running."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,  # a queue inside the pool would be a limit that nobody sees
                keepalive_timeout=15,  # below what providers and load balancers keep
                ttl_dns_cache=30,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),  # one tenant's cookies are not another's
            timeout=aiohttp.ClientTimeout(total=None),
            skip_auto_headers=("User-Agent", "Accept", "Content-Type"),
            trust_env=False,
            **LIMITS,
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._session:
            await self._session.close()
        self._origins.clear()
        self._by_origin.clear()

    def limits(self, provider: str) -> Limits:
        """Return how long to wait for a provider."""
        return self._limits.get(provider, self._defaults)

    async def send(
        self,
        method: str,
        url: str,
        headers: Sequence[tuple[str, str]],
        body: bytes | Source,
        limits: Limits,
    ) -> tuple[Answer, int]:
        """Send a request; return the answer, of which only the head has come, and the number of attempts.

        ``url`` is sent as it is: what was checked, not what a library makes of it. Raises
        :class:`UpstreamError`. The caller closes the answer.
        """
        timeout = self._timeouts.get(limits.connect)
        if timeout is None:
            timeout = self._timeouts[limits.connect] = _timeout(limits.connect)
        attempt = 1
        began = monotonic()
        while True:
            try:
                origin, target = self._origins.get(url) or self._find(url)
                return await origin.send(method, target, headers, body, timeout, fresh=attempt > 1), attempt
            except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as error:
                failure, repeat = _failure(error)
                failure.attempts = attempt
                if not repeat or attempt > 1 or (not isinstance(body, bytes) and body.begun):
                    raise failure from error
                if limits.connect and isinstance(failure, UpstreamUnreachable):
                    # Both attempts together have the time that one has.
                    timeout = _timeout(max(limits.connect - (monotonic() - began), _LEAST))
                attempt += 1

    def _find(self, url: str) -> tuple[Origin, str]:
        assert self._session is not None
        parsed = URL(url, encoded=True)
        where = parsed.origin()
        origin = self._by_origin.get(where)
        if origin is None:
            origin = self._by_origin[where] = Origin(self._session, parsed)
        found = origin, parsed.raw_path_qs
        if len(self._origins) < _URLS and not parsed.raw_query_string:
            self._origins[url] = found
        return found


def _timeout(connect: float) -> aiohttp.ClientTimeout:
    """Limit what it takes to have a connection, from resolving the name to the handshake; 0: no limit."""
    return aiohttp.ClientTimeout(total=None, connect=connect or None)


def _failure(error: Exception) -> tuple[UpstreamError, bool]:
    """Map what aiohttp raised to our error, and whether the request may be repeated."""
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return UpstreamUnreachable("The upstream's TLS certificate or handshake is not valid."), False
    if isinstance(error, TimeoutError):
        return UpstreamUnreachable(
            "No connection to the upstream could be made in time (timeouts.connect)."
        ), False
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return UpstreamUnreachable("The upstream's host name can't be resolved."), True
    if isinstance(error, aiohttp.ClientConnectorError):
        return UpstreamUnreachable("No connection to the upstream could be made."), True
    if isinstance(error, aiohttp.InvalidURL | ValueError):
        return UpstreamUnreachable("The provider's base URL is not a valid one."), False
    if isinstance(error, aiohttp.ClientResponseError | HttpProcessingError):
        # Its own status is aiohttp's view of the broken answer, not anything that a client should see.
        return UpstreamProtocol("The upstream's answer is not valid HTTP.", may_have_run=True), False
    nothing_came = not isinstance(error, aiohttp.ServerDisconnectedError) or isinstance(error.message, str)
    return (
        UpstreamReset("The upstream closed the connection before it answered.", may_have_run=True),
        nothing_came and getattr(error, "reused", False),
    )


def broken(error: Exception) -> UpstreamError:
    """Map a failure in the middle of an answer to our error."""
    if isinstance(error.__cause__, ContentEncodingError):
        return UpstreamProtocol("The upstream's answer can't be decompressed.", may_have_run=True)
    return UpstreamReset("The upstream broke off its answer.", may_have_run=True)


async def finish(response: Answer) -> None:
    """Read the rest of an answer whose end has been seen, so that its connection can be used again."""
    if response.content.at_eof():
        return
    try:
        async with asyncio.timeout(_REST):
            while not response.content.at_eof():
                await response.content.readany()
    except (aiohttp.ClientError, TimeoutError):
        response.close()
