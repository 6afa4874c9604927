"""Whether the process lives, and whether it takes requests: ``/healthz`` and ``/readyz`` on both ports."""

from aiohttp import web


class Health:
    """The process's state, as orchestrators ask for it."""

    def __init__(self) -> None:
        self.ready = False
        """Set while requests are taken."""

    def answer(self, path: str) -> web.Response | None:
        """Answer a health path; None for any other."""
        if path == "/healthz":
            return web.Response(body=b'{"status":"ok"}', content_type="application/json")
        if path == "/readyz":
            body = b'{"status":"ready"}' if self.ready else b'{"status":"not ready"}'
            return web.Response(body=body, status=200 if self.ready else 503, content_type="application/json")
        return None
