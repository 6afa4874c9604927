"""The console's API, put together: every module's routes, and who may call them."""

from collections.abc import Callable

from gateway.console.access import Access
from gateway.console.application import Console
from gateway.console.openapi import with_document
from gateway.console.sites import Sites
from gateway.core.snapshot import Snapshots
from gateway.health import Health
from gateway.settings import Settings


def make_console(
    settings: Settings, health: Health, snapshots: Snapshots, digest: Callable[[str], bytes]
) -> Console:
    """Return the console of a gateway; ``digest``: the keyed hash under which tokens are known."""
    sites = Sites(settings.console_host, settings.console_hosts)
    access = Access(sites, snapshots, digest, settings.admin_token)
    routes = access.logins.routes() if settings.console else []
    return Console(health, sites, access, with_document(routes) if settings.console else [])
