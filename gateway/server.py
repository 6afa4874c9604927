"""An aiohttp server with the limits that were chosen, or none: it refuses to start with others.

aiohttp falls back to all of its defaults, with only a warning, when one option is misspelt.
"""

from collections.abc import Mapping
from typing import Any

from aiohttp import http_parser, web
from aiohttp.web_protocol import RequestHandler

LIMITS: dict[str, Any] = {
    "keepalive_timeout": 30.0,  # also bounds how long a connection may take to send its headers
    "lingering_time": 2.0,
    "max_line_size": 8190,
    "max_field_size": 16 << 10,
    "max_headers": 128,
    "read_bufsize": 64 << 10,
    "access_log": None,  # it halves the throughput; the interaction's record says more
}


class Protocol(RequestHandler):
    """One connection; what is not HTTP is answered in JSON like everything else."""

    error_headers: Mapping[str, str] = {}
    """Of the answers that no handler gives."""

    def close(self) -> None:
        """Serve nothing more: end now if idle, after the answer if not."""
        if self._request_in_progress:
            super().close()
        else:
            self.force_close()

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log what is a defect; a body that breaks off while nobody wants it any more is its sender's."""
        if not isinstance(kw.get("exc_info"), web.RequestPayloadError):
            super().log_exception(*args, **kw)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # aiohttp's own words can repeat what was sent
    ) -> web.StreamResponse:
        """Answer a request that no handler could take."""
        if status >= 500:
            self.log_exception("request failed", exc_info=exc)
        what = (
            "The request is not valid HTTP." if status < 500 else "The gateway failed to handle this request."
        )
        kind = "invalid_request_error" if status < 500 else "server_error"
        code = b"invalid_request" if status < 500 else b"internal_error"
        response = web.Response(
            body=b'{"error":{"message":"%b","type":"%b","code":"%b","param":null}}'
            % (what.encode(), kind.encode(), code),
            status=status,
            content_type="application/json",
            headers={"Server": "llm-gateway", **self.error_headers},
        )
        response.force_close()
        return response


class Server(web.Server):
    """Makes one :class:`Protocol` per connection."""

    error_headers: Mapping[str, str] = {}

    def __call__(self) -> RequestHandler:
        """Make a protocol, or raise where aiohttp would go on with its defaults."""
        protocol = Protocol(self, loop=self._loop, **self._kwargs)
        protocol.error_headers = self.error_headers
        return protocol


def make_server(
    handler: Any, error_headers: Mapping[str, str] | None = None, *, cancels: bool = True
) -> Server:
    """Return a server with our limits; raise ``RuntimeError`` where they are not in force.

    ``cancels``: a handler ends when its client leaves; else it does to the end what it has begun.
    """
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        raise RuntimeError(
            "aiohttp's C parser is not loaded: its Python parser reads some requests in another way"
        )
    server = Server(handler, handler_cancellation=cancels, **LIMITS)
    server.error_headers = error_headers or {}
    probe = server()
    for name in ("max_line_size", "max_field_size", "max_headers", "keepalive_timeout"):
        if getattr(probe, name) != LIMITS[name]:
            raise RuntimeError(f"aiohttp does not honour {name}")
    return server
