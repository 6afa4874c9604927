"""``demo``: the gateway with a fake provider behind it, which keeps nothing."""

import argparse
import sys
import tempfile
from collections.abc import Mapping

import msgspec

from gateway import app
from gateway.commands.options import Commands, add_addresses, command, load
from gateway.commands.serve import run, until_signalled
from gateway.core.provider import Overrides, Providers
from gateway.logs import configure
from gateway.settings import Drain, Settings


def add(commands: Commands) -> None:
    """Add the command."""
    text = "run it with a fake provider behind it: no key, no network"
    add_addresses(command(commands, "demo", _run, text))


def _run(arguments: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="llm-gateway-") as state:
        return run(_demonstrating(arguments, state))


async def _demonstrating(arguments: argparse.Namespace, state: str) -> None:
    from gateway import demo  # noqa: PLC0415  # only this command pays for it

    def read() -> Settings:
        # Nobody balances load over a demo: when it is stopped, it stops.
        return msgspec.structs.replace(load(arguments), state_dir=state, drain=Drain(accept=0, finish=1))

    loaded = read()
    configure(loaded.log)
    async with await demo.start() as fake:

        def providers_of(settings: Settings) -> Providers:
            found, _ = app.load_providers(settings, {})
            return found.changed({name: Overrides(base_url=f"{fake.url}/{name}") for name in found})

        def reread() -> tuple[Settings, Providers, Mapping[str, str]]:
            changed = read()
            return changed, providers_of(changed), {}

        providers = providers_of(loaded)
        app.warn(loaded, providers)
        gateway = app.Gateway(loaded, providers, {}, arguments.stages, reread)

        def announce() -> None:
            print(demo.examples(gateway.url, gateway.console_url), file=sys.stderr, flush=True)

        await until_signalled(gateway, announce)
