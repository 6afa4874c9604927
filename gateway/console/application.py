"""The operators' port: one handler for every request, in the same order whatever is asked.

Host, path, caller, site, role, parameters, body; only then the route's own function. Every answer has the same
protecting headers, and every error the same shape.
"""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from time import time
from typing import Any

import msgspec
import structlog
from aiohttp import web

from gateway.admission import check_framing
from gateway.client import read_body as receive
from gateway.console.access import Access
from gateway.console.actors import NOBODY, Actor, Role
from gateway.console.logins import presented_session
from gateway.console.reading import read_body, read_query
from gateway.console.refusals import Refusal
from gateway.console.routes import Call, Download, Reply, Route, Routes
from gateway.console.sites import Sites, check_site
from gateway.core.errors import GatewayError
from gateway.core.interaction import new_id
from gateway.headers import RequestHeaders
from gateway.health import HEALTH_PATHS, Health

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "llm-gateway",
    "X-Content-Type-Options": "nosniff",
}
"""What every answer has."""
_BODY_LIMIT = 1 << 20

_log = structlog.get_logger()


class Visit:
    """One request, as far as it got."""

    def __init__(self, request: web.BaseRequest) -> None:
        self.id = new_id(time())
        self.request = request
        self.peer = _peer(request)
        self.actor: Actor = NOBODY
        self.route: Route | None = None
        self.target = ""
        """What the path's placeholder names; empty: nothing."""


Refused = Callable[[Visit, Refusal], Awaitable[None]]
"""Told of every attempt to change something that failed."""


class Console:
    """Handles every request of the console's port."""

    def __init__(
        self,
        health: Health,
        sites: Sites,
        access: Access,
        routes: Iterable[Route] = (),
        refused: Refused | None = None,
    ) -> None:
        self.routes = Routes(routes)
        self._health = health
        self._sites = sites
        self._access = access
        self._refused = refused

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one request."""
        raw_path = request.raw_path
        path, _, query = raw_path.partition("?")
        if path in HEALTH_PATHS:
            response: web.StreamResponse = self._health.answer(path)
            response.headers.update(HEADERS)
            return response
        visit = Visit(request)
        try:
            return await self._serve(visit, path, query)
        except (Refusal, GatewayError) as error:
            refusal = Refusal.of(error)
        except Exception:  # noqa: BLE001  # what it says may hold anything: the client reads nothing of it
            _log.exception("console request failed", id=visit.id)
            refusal = Refusal(500, f"The console failed to handle this request; its log has {visit.id}.")
        if visit.route is not None and visit.route.write and self._refused is not None:
            await self._refused(visit, refusal)
        response = _json(refusal.status, refusal.body, refusal.headers)
        if not request.content.is_eof():
            response.force_close()  # a body that nobody wants is not waited for
        return response

    async def _serve(self, visit: Visit, path: str, query: str) -> web.StreamResponse:
        request = visit.request
        read = RequestHeaders(request.headers).read
        host = read.get("host", "")
        check_framing(request, read)
        self._sites.check_host(request, host)
        self.routes.check(path)
        route, params = self.routes.find(request.method, path)
        visit.route, visit.target = route, next(iter(params.values()), "")
        visit.actor = actor = self._access.identify(request, host, visit.peer)
        cookie = presented_session(request, host)
        by_cookie = bool(cookie) and "Authorization" not in request.headers
        check_site(request, host, write=route.takes_body, session=by_cookie)
        if actor.role < route.role or (actor.agent is not None and not route.scoped):
            first = " The first one is GATEWAY_ADMIN_TOKEN." if route.role is Role.ADMIN else ""
            raise Refusal(
                403, f"This takes a console token of the role {route.role.word!r}, at least.{first}"
            )
        parameters = read_query(route.query, query)
        body = None
        if route.takes_body:
            body = read_body(route.body, await receive(request, _BODY_LIMIT, expected="expect" in read))
        call = Call(actor, params, parameters, body, visit.peer, host, cookie)
        # The server does not cancel it when its client leaves: a change is made whole, or not at all.
        result = await route.handle(call)
        if isinstance(result, web.Response):
            result.headers.update(HEADERS)
            return result
        if isinstance(result, Download):
            return await _send(request, result)
        if isinstance(result, Reply):
            return _json(route.answered, result.value, result.headers)
        return _json(route.answered, result) if result is not None else _answer(route.answered)


def _answer(status: int, body: bytes = b"") -> web.Response:
    return web.Response(body=body, status=status, headers=HEADERS)


def _json(status: int, value: Any, headers: Any = ()) -> web.Response:
    response = _answer(status, msgspec.json.encode(value))
    response.content_type = "application/json"
    response.headers.update(headers)
    return response


async def _send(request: web.BaseRequest, download: Download) -> web.StreamResponse:
    response = web.StreamResponse(headers=HEADERS)
    response.content_type = download.content_type
    response.headers["Content-Disposition"] = f'attachment; filename="{download.filename}"'
    async with aclosing(download.chunks) as chunks:
        first = await anext(chunks, b"")  # what fails before it is still an error with a status
        await response.prepare(request)
        try:
            await response.write(first)
            async for chunk in chunks:
                await response.write(chunk)
        except Exception as error:  # noqa: BLE001  # half of it has left: only the cut connection can say so
            _log.warning("a download broke off", error=type(error).__name__)
            if request.transport:
                request.transport.abort()
            return response
    await response.write_eof()
    return response


def _peer(request: web.BaseRequest) -> str:
    name = request.transport.get_extra_info("peername") if request.transport else None
    return str(name[0]) if isinstance(name, tuple) else "local"
