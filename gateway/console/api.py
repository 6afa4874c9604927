"""The console's API, put together: every module's routes, and who may call them."""

from aiohttp import web
from aioprometheus.collectors import Registry
from aioprometheus.formats.text import TEXT_CONTENT_TYPE

from gateway.console.access import Access
from gateway.console.actors import Role
from gateway.console.application import Console
from gateway.console.metrics import exposition
from gateway.console.openapi import with_document
from gateway.console.routes import Call, Route
from gateway.console.sites import Sites
from gateway.core.snapshot import Snapshots
from gateway.health import Health
from gateway.secrets import Keyring
from gateway.settings import Settings


def make_console(
    settings: Settings, health: Health, registry: Registry, snapshots: Snapshots, keyring: Keyring
) -> Console:
    """Return the console of a gateway; one that is switched off shows health and metrics alone."""
    sites = Sites(settings.console_host, settings.console_hosts)
    access = Access(sites, snapshots, keyring.digest, settings.admin_token)
    routes = [_metrics(registry)]
    if settings.console:
        routes = with_document([*routes, *access.logins.routes()])
    return Console(health, sites, access, routes)


def _metrics(registry: Registry) -> Route:
    async def show(_: Call) -> web.Response:
        return await exposition(registry)

    return Route(
        method="GET", path="/metrics", role=Role.READ, handle=show, download=TEXT_CONTENT_TYPE.partition(";")[0],
        summary="What the gateway counts, for Prometheus.",
    )  # fmt: skip
