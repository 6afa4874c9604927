"""``demo``: the gateway with a fake provider behind it, which keeps nothing."""

import argparse
import sys
import tempfile

import msgspec

from gateway import app
from gateway.commands.options import Commands, add_addresses, command, load
from gateway.commands.serve import run, until_signalled
from gateway.core.provider import Overrides
from gateway.core.stage import Stage
from gateway.logs import configure
from gateway.settings import Drain, Settings


def add(commands: Commands) -> None:
    """Add the command."""
    text = "run it with a fake provider behind it: no key, no network"
    add_addresses(command(commands, "demo", _run, text))


def _run(arguments: argparse.Namespace) -> int:
    loaded = load(arguments)
    with tempfile.TemporaryDirectory(prefix="llm-gateway-") as state:
        # Nobody balances load over a demo: when it is stopped, it stops.
        own = msgspec.structs.replace(loaded, state_dir=state, drain=Drain(accept=0, finish=1))
        return run(_demonstrating(own, arguments.stages))


async def _demonstrating(loaded: Settings, stages: tuple[Stage, ...]) -> None:
    from gateway import demo  # noqa: PLC0415  # only this command pays for it

    configure(loaded.log)
    providers, _ = app.load_providers(loaded, {})
    async with await demo.start() as fake:
        providers = providers.changed({name: Overrides(base_url=f"{fake.url}/{name}") for name in providers})
        gateway = app.Gateway(loaded, providers, {}, stages)

        def announce() -> None:
            print(demo.examples(gateway.url, gateway.console_url), file=sys.stderr, flush=True)

        await until_signalled(gateway, announce)
