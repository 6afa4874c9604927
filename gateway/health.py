"""Whether the process lives, and whether it takes requests: ``/healthz`` and ``/readyz`` on both ports."""

from aiohttp import web

HEALTH_PATHS = frozenset({"/healthz", "/readyz"})


class Health:
    """The process's state, as orchestrators ask for it."""

    def __init__(self) -> None:
        self.ready = False
        """Set while requests are taken."""

    def answer(self, path: str) -> web.Response:
        """Answer one of ``HEALTH_PATHS``."""
        if path == "/healthz":
            return _response(200, b'{"status":"ok"}')
        if self.ready:
            return _response(200, b'{"status":"ready"}')
        return _response(503, b'{"status":"not ready"}')


def _response(status: int, body: bytes) -> web.Response:
    return web.Response(
        body=body, status=status, content_type="application/json", headers={"Server": "llm-gateway"}
    )
