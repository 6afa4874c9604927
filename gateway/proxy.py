"""The only request handler: client, core, upstream, and back."""

from time import monotonic, perf_counter, time

import structlog
from aiohttp import web

from gateway.admission import Admission
from gateway.client import Client
from gateway.core.errors import GatewayError, NotFound
from gateway.core.interaction import Interaction, new_id
from gateway.core.snapshot import Snapshots
from gateway.exchange import Exchange, Parts
from gateway.headers import RequestHeaders
from gateway.health import HEALTH_PATHS, Health
from gateway.routing import Router

_QUIET = 1.0
"""Seconds between two lines about requests that reach no provider."""

_log = structlog.get_logger()


class Proxy:
    """Handles every request of the proxy's port."""

    def __init__(self, parts: Parts, snapshots: Snapshots, health: Health) -> None:
        self._parts = parts
        self._health = health
        self._snapshots = snapshots
        self._providers = snapshots.current.providers
        self._router = Router(self._providers)
        self._admission = Admission(parts.settings.host, parts.settings.allowed_hosts)
        self._rejected = 0
        self._last_rejection = 0.0
        self._gated = parts.pipeline.gated

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one request."""
        started = perf_counter()
        raw_path = request.raw_path
        path, _, query = raw_path.partition("?") if "?" in raw_path else (raw_path, "", "")
        if path in HEALTH_PATHS:
            return self._health.answer(path)
        client = Client(request)
        try:
            headers = RequestHeaders(request.headers)
            self._admission.check(request, path, headers.read)
            if self._snapshots.current.providers is not self._providers:
                self._providers = self._snapshots.current.providers
                self._router = Router(self._providers)
            route = self._router.route(request.method, path, request.headers, query)
        except GatewayError as error:
            # Whoever frames a request in an odd way may have another one hidden in it: only a path is forgiven.
            await self._reject(client, path, error, close=not isinstance(error, NotFound))
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
            self._gated,
        )
        await Exchange(self._parts, i, request, headers, client).run(route.match.params)
        return client.response

    async def _reject(self, client: Client, path: str, error: GatewayError, *, close: bool) -> None:
        """Answer a request that reaches no provider."""
        error.interaction_id = new_id(time())
        self._rejected += 1
        if (now := monotonic()) - self._last_rejection > _QUIET:
            # A flood of these must not become a flood of lines.
            _log.info(
                "rejected",
                id=error.interaction_id,
                status=error.status,
                reason=error.message,
                count=self._rejected,
            )
            self._last_rejection, self._rejected = now, 0
        headers = [
            ("Content-Type", "application/json"),
            ("x-gateway-interaction-id", error.interaction_id),
            *error.headers.items(),
        ]
        body = self._router.provider(path).error(error, None)
        await client.respond(error.status, headers, body, close=close)
