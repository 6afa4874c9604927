"""The console's API, put together: every module's routes, and who may call them."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec
from aiohttp import web
from aioprometheus.collectors import Registry
from aioprometheus.formats.text import TEXT_CONTENT_TYPE

from gateway.console.access import Access
from gateway.console.actors import Role
from gateway.console.application import Console
from gateway.console.data import Data
from gateway.console.entities import entity_routes
from gateway.console.evaluate import Evaluation
from gateway.console.interactions import InteractionRoutes
from gateway.console.metrics import exposition
from gateway.console.openapi import with_document
from gateway.console.providers import ProviderRoutes
from gateway.console.routes import Call, Route
from gateway.console.sites import Sites
from gateway.console.tools import ToolRoutes
from gateway.console.trail import Trail
from gateway.core.snapshot import Snapshots
from gateway.health import Health
from gateway.secrets import Keyring
from gateway.settings import Settings
from gateway.storage.database import Database


class ConsoleParts(msgspec.Struct, frozen=True, kw_only=True):
    """What of a gateway the console shows and changes."""

    settings: Settings
    health: Health
    registry: Registry
    snapshots: Snapshots
    keyring: Keyring
    secrets: Mapping[str, str]
    """The keys that environment and file give, by provider."""
    database: Database
    look: Callable[[], Awaitable[None]]
    """Takes over at once what was changed in the database."""

    def __repr__(self) -> str:
        return "<ConsoleParts>"


def make_console(parts: ConsoleParts) -> Console:
    """Return the console of a gateway; one that is switched off shows health and metrics alone."""
    settings = parts.settings
    sites = Sites(settings.console_host, settings.console_hosts)
    access = Access(sites, parts.snapshots, parts.keyring.digest, settings.admin_token)
    metrics = _metrics(parts.registry)
    if not settings.console:
        return Console(parts.health, sites, access, [metrics])
    data = Data(parts.database, parts.snapshots, parts.look)
    trail = Trail(data)
    routes = [
        metrics,
        *access.logins.routes(),
        *InteractionRoutes(data).routes(),
        *entity_routes(data, parts.keyring),
        *ProviderRoutes(data, parts.keyring, parts.secrets).routes(),
        *ToolRoutes(data).routes(),
        *Evaluation(data).routes(),
        *trail.routes(),
    ]
    return Console(parts.health, sites, access, with_document(routes), trail.refused)


def _metrics(registry: Registry) -> Route:
    async def show(_: Call) -> web.Response:
        return await exposition(registry)

    return Route(
        method="GET", path="/metrics", role=Role.READ, handle=show, download=TEXT_CONTENT_TYPE.partition(";")[0],
        summary="What the gateway counts, for Prometheus.",
    )  # fmt: skip
