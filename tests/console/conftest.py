"""A console on a real port, with routes and tokens of the test's own."""

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from gateway.console.access import Access
from gateway.console.application import HEADERS, Console
from gateway.console.routes import Route
from gateway.console.sites import Sites
from gateway.core.entities import Agent, ConsoleToken, VirtualKey
from gateway.core.snapshot import Snapshots, build
from gateway.health import Health
from gateway.server import make_server

ADMIN = "the operator's own admin token"
READER, OPERATOR, SECOND_ADMIN = "gw_console_reader", "gw_console_operator", "gw_console_admin"
SUPPORT_KEY, SALES_KEY, LOOSE_KEY = "gw_support", "gw_sales", "gw_loose"


def digest(token: str) -> bytes:
    return hashlib.blake2s(token.encode(), key=b"a test's key").digest()


def tokens(**roles: str) -> list[ConsoleToken]:
    return [
        ConsoleToken(id=f"t-{role}", name=role, role=role, hash=digest(token).hex())
        for role, token in roles.items()
    ]


ENTITIES = {
    "agents": [Agent(id="a1", slug="support"), Agent(id="a2", slug="sales")],
    "console_tokens": tokens(read=READER, operate=OPERATOR, admin=SECOND_ADMIN),
    "virtual_keys": [
        VirtualKey(id="k1", name="k", agent="a1", hash=digest(SUPPORT_KEY).hex()),
        VirtualKey(id="k2", name="k", agent="sales", hash=digest(SALES_KEY).hex()),
        VirtualKey(id="k3", name="k", hash=digest(LOOSE_KEY).hex()),
    ],
}


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Running:
    """A console that listens, and a client for it."""

    url: str
    session: aiohttp.ClientSession
    snapshots: Snapshots
    clock: Clock
    refused: list[tuple[str, str, int]] = field(default_factory=list)

    async def ask(
        self, method: str, path: str, token: str = "", headers: Any = (), **options: Any
    ) -> tuple[int, Any, aiohttp.ClientResponse]:
        sent = dict(headers)
        if token:
            sent["Authorization"] = f"Bearer {token}"
        async with self.session.request(method, self.url + path, headers=sent, **options) as response:
            body = await response.read()
            is_json = response.content_type == "application/json" and body
            return response.status, await response.json() if is_json else body, response


@asynccontextmanager
async def listening(handle: Any, host: str = "127.0.0.1"):
    """Serve requests as the gateway does, on a free port."""
    server = make_server(handle, HEADERS)
    listener = await asyncio.get_running_loop().create_server(server, host, 0)
    try:
        yield f"http://{host}:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()
        await server.shutdown(1.0)


@asynccontextmanager
async def console(
    routes: Sequence[Route] = (),
    *,
    admin_token: str = ADMIN,
    entities: Any = ENTITIES,
    bind: str = "127.0.0.1",
    hosts: tuple[str, ...] = (),
):
    snapshots = Snapshots(build(entities))
    clock = Clock()
    sites = Sites(bind, hosts)
    access = Access(sites, snapshots, digest, admin_token, clock)
    refused: list[tuple[str, str, int]] = []

    async def note(visit: Any, refusal: Any) -> None:
        refused.append((visit.actor.name, visit.target, refusal.status))

    served = Console(Health(), sites, access, [*access.logins.routes(), *routes], note)
    async with (
        listening(served.handle, bind) as url,
        # No cookie jar: a test says which cookies it sends.
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        yield Running(url, session, snapshots, clock, refused)
