"""The operators' port: a second application, which the proxy does not know of."""

from aiohttp import web

from gateway.health import HEALTH_PATHS, Health


class Console:
    """Handles every request of the console's port."""

    def __init__(self, health: Health) -> None:
        self._health = health

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one request."""
        path = request.raw_path.partition("?")[0]
        if path in HEALTH_PATHS:
            return self._health.answer(path)
        return web.Response(
            body=b'{"error":{"code":"not_found","message":"Nothing is served here but /healthz and /readyz."}}',
            status=404,
            content_type="application/json",
        )
