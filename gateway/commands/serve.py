"""``serve``: the gateway, until a signal ends it."""

import argparse
import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import uvloop

from gateway import app, banner
from gateway.commands.options import Commands, add_addresses, command, load
from gateway.core.provider import Providers
from gateway.logs import configure
from gateway.settings import Settings


def add(commands: Commands) -> None:
    """Add the command."""
    add_addresses(command(commands, "serve", _run, "run the gateway"))


def _run(arguments: argparse.Namespace) -> int:
    return run(_serving(arguments))


async def _serving(arguments: argparse.Namespace) -> None:
    loaded = load(arguments)
    configure(loaded.log)
    providers, own_keys = app.load_providers(loaded, os.environ)
    app.warn(loaded, providers)

    def reread() -> tuple[Settings, Providers, Mapping[str, str]]:
        changed = load(arguments)
        return changed, *app.load_providers(changed, os.environ)

    gateway = app.Gateway(loaded, providers, own_keys, arguments.stages, reread)
    await until_signalled(gateway, lambda: banner.show(gateway))


def run(coroutine: Coroutine[Any, Any, None]) -> int:
    """Run a gateway on the loop that is fast."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(coroutine)
    return 0


async def until_signalled(gateway: app.Gateway, announce: Callable[[], None]) -> None:
    """Run a gateway until the first signal to end; a second one lets it wait for nothing more."""
    stop, hurry = asyncio.Event(), asyncio.Event()

    def signalled() -> None:
        (hurry if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled)
    await gateway.start()
    announce()
    await stop.wait()
    await gateway.stop(hurry)
