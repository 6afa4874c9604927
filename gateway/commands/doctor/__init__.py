"""``doctor``: whether all that the gateway needs is there and works, in plain words; it changes nothing."""

import argparse
import asyncio
import os
from collections.abc import AsyncIterator

from gateway import app
from gateway.commands import CommandError, printable, stored
from gateway.commands.doctor import local, upstreams
from gateway.commands.doctor.finding import Finding
from gateway.commands.options import Commands, add_addresses, begin, command
from gateway.core.snapshot import Entities, merged
from gateway.settings import SettingsError, provider_overrides
from gateway.upstream import Upstream

_DEADLINE = 10.0


def add(commands: Commands) -> None:
    """Add the command."""
    parser = command(
        commands, "doctor", _run, "look for whatever is wrong, asking each provider for its models"
    )
    add_addresses(parser)
    parser.add_argument(
        "--deadline", type=float, default=_DEADLINE, metavar="SECONDS", help="for each provider (default: 10)"
    )


def _run(arguments: argparse.Namespace) -> int:
    return asyncio.run(_report(arguments))


async def _report(arguments: argparse.Namespace) -> int:
    code = 0
    async for finding in _examine(arguments):
        print(f"{finding.state:5}  {finding.about:13}  {printable(finding.said)}", flush=True)
        if finding.state == "wrong":
            code = 1
    return code


async def _examine(arguments: argparse.Namespace) -> AsyncIterator[Finding]:
    try:
        settings = begin(arguments)
        providers, keys = app.load_providers(settings, os.environ)
    except SettingsError as error:
        yield Finding("wrong", "configuration", str(error))
        return
    yield Finding(
        "ok", "configuration", f"{settings.file or 'no file'}; {len(providers)} providers are known"
    )
    for warning in app.warnings(settings, providers):
        yield Finding("note", "configuration", warning)
    yield local.state_folder(settings)
    created: Entities = {}
    try:
        async with stored.database(settings) as database:
            finding, created = await local.database(database)
    except (CommandError, SettingsError) as error:
        finding = Finding("wrong", "database", str(error))
    yield finding
    finding, keyring = local.secret_key(settings, created)
    yield finding
    unusable, stored_keys = local.stored_keys(keyring, created)
    for finding in unusable:
        yield finding
    for name in sorted(stored_keys.keys() & keys.keys()):
        what = "the environment or the configuration file gives its key, so the stored one does not count"
        yield Finding("note", name, what)
    keys = stored_keys | keys  # as for a gateway, those of the environment and the file come first

    upstream = Upstream(settings.timeouts, {name: own.timeouts for name, own in settings.providers.items()})
    await upstream.open()
    try:
        yield await local.port(upstream, "proxy", settings.host, settings.port)
        yield await local.port(upstream, "console", settings.console_host, settings.console_port)
        named = provider_overrides(settings, providers, os.environ)
        asked = [providers[name] for name in providers if name in keys or name in named]
        prices = upstreams.own_prices(merged(created, settings.declared))
        for finding in await upstreams.ask(upstream, asked, keys, prices, arguments.deadline):
            yield finding
    finally:
        await upstream.close()
