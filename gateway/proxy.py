"""The only request handler: client, core, upstream, and back."""

from time import perf_counter, time

import structlog
from aiohttp import web

from gateway.admission import Admission
from gateway.client import Client
from gateway.core.errors import GatewayError
from gateway.core.interaction import Interaction, new_id
from gateway.exchange import Exchange, Parts
from gateway.health import Health
from gateway.routing import Router

_log = structlog.get_logger()


class Proxy:
    """Handles every request of the proxy's port."""

    def __init__(self, parts: Parts, router: Router, health: Health) -> None:
        self._parts = parts
        self._health = health
        self._router = router
        self._admission = Admission(parts.settings.host, parts.settings.allowed_hosts)
        self._gated = bool(parts.pipeline.tool_calls)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one request."""
        started = perf_counter()
        client = Client(request)
        raw_path, _, query = request.raw_path.partition("?")
        if answer := self._health.answer(raw_path):
            return answer
        try:
            path = self._admission.check(request)
        except GatewayError as error:
            # Whoever frames requests like this may have another one hidden in it.
            await self._reject(client, raw_path, error, close=True)
            return client.response
        try:
            route = self._router.route(request.method, path, request.headers, query)
        except GatewayError as error:
            await self._reject(client, raw_path, error)
            return client.response
        now = time()
        i = Interaction(
            new_id(now),
            route.provider,
            route.match.endpoint,
            request.headers,
            route.match.path,
            query,
            started,
            now,
            route.agent,
            request.headers.get("User-Agent", ""),
            self._gated,
        )
        await Exchange(self._parts, i, request, client).run(route.match.params)
        return client.response

    async def _reject(self, client: Client, path: str, error: GatewayError, *, close: bool = False) -> None:
        """Answer a request that reaches no provider."""
        _log.debug("rejected", status=error.status, reason=error.message)
        headers = [("Content-Type", "application/json"), *error.headers.items()]
        body = self._router.provider(path).error(error, None)
        await client.respond(error.status, headers, body, close=close)
