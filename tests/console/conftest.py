"""A console on a real port, with routes and tokens of the test's own."""

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aioprometheus.collectors import Registry

from gateway.console.access import Access
from gateway.console.api import ConsoleParts, make_console
from gateway.console.application import HEADERS, Console
from gateway.console.routes import Route
from gateway.console.sites import Sites
from gateway.core.entities import Agent, ConsoleToken, VirtualKey
from gateway.core.record import Record
from gateway.core.snapshot import Snapshots, build
from gateway.health import Health
from gateway.providers import load as load_providers
from gateway.secrets import Keyring
from gateway.secrets import load as load_keyring
from gateway.server import make_server
from gateway.settings import load as load_settings
from gateway.storage.database import Database
from gateway.storage.queries import interactions
from gateway.storage.snapshot import DatabaseSource, Refresh

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
    server = make_server(handle, HEADERS, cancels=False)
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


@dataclass
class Stored(Running):
    """The console of a gateway, over a database of its own."""

    database: Database = None
    keyring: Keyring = None
    refresh: Refresh = None
    console: Console = None

    async def made(self, token: str, path: str, **body: Any) -> Any:
        """Create something, and return what is answered."""
        status, answer, _ = await self.ask("POST", path, token, json=body)
        assert status == 201, answer
        return answer

    async def rows(self, *records: Record) -> None:
        async with self.database.write() as connection:
            await interactions.write(connection, (), records)


TOML = """
[[agents]]
slug = "declared"
name = "From the file"

[[virtual_keys]]
name = "from the file"
hash = "{hash}"
agent = "declared"
"""


_migrated: list[bytes] = []


async def migrated(folder: Path) -> bytes:
    """An empty database; to make the tables takes longer than most tests."""
    if not _migrated:
        file = folder / "empty.db"
        database = Database(f"sqlite+aiosqlite:///{file}", b"k" * 32)
        await database.open()
        await database.close()
        _migrated.append(file.read_bytes())
    return _migrated[0]


@asynccontextmanager
async def stored(folder: Path, *, admin_token: str = ADMIN, toml: str = "", secrets: Any = None):
    """A console as the gateway makes it, on SQLite."""
    file = folder / "gateway.toml"
    file.write_text(toml)
    environment = {
        "GATEWAY_STATE_DIR": str(folder),
        "GATEWAY_SECRET_KEY": "a secret key for the tests, long enough",
    }
    if admin_token:
        environment["GATEWAY_ADMIN_TOKEN"] = admin_token
    settings = load_settings(str(file), environment)
    (folder / "gateway.db").write_bytes(await migrated(folder))
    database = Database(settings.database, b"k" * 32)
    keyring = load_keyring(settings)
    await database.open()
    refresh = Refresh(settings, load_providers(), secrets or {}, keyring, source=DatabaseSource(database))
    await refresh.start()
    parts = ConsoleParts(
        settings=settings,
        health=Health(),
        registry=Registry(),
        snapshots=refresh.snapshots,
        keyring=keyring,
        secrets=secrets or {},
        database=database,
        look=refresh.look,
    )
    served = make_console(parts)
    try:
        async with (
            listening(served.handle) as url,
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
        ):
            yield Stored(url, session, refresh.snapshots, Clock(), [], database, keyring, refresh, served)
    finally:
        refresh.stop()
        await database.close()


@pytest.fixture
async def running(tmp_path):
    """A console with an agent of each kind in its database, and one in the file."""
    toml = TOML.format(hash="ab" * 32)
    async with stored(tmp_path, toml=toml) as made:
        for slug in ("support", "sales"):
            await made.made(ADMIN, "/api/agents", slug=slug, name=slug.title())
        yield made
