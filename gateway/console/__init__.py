"""The operators' port: a second application, which the proxy does not know of."""

from aiohttp import web
from aioprometheus.collectors import Registry

from gateway.console.metrics import exposition
from gateway.health import HEALTH_PATHS, Health


class Console:
    """Handles every request of the console's port."""

    def __init__(self, health: Health, registry: Registry) -> None:
        self._health = health
        self._registry = registry

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one request."""
        path = request.raw_path.partition("?")[0]
        if path in HEALTH_PATHS:
            return self._health.answer(path)
        if path == "/metrics":
            return await exposition(self._registry)
        return web.Response(
            body=b'{"error":{"code":"not_found","message":"Nothing is served here but /healthz, /readyz and /metrics."}}',
            status=404,
            content_type="application/json",
        )
