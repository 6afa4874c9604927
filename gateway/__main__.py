"""The command line: serve, demo, check, keys."""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

import msgspec
import uvloop

from gateway import app, banner, secrets, settings
from gateway.core.credentials import VIRTUAL_KEY
from gateway.core.provider import Overrides, Providers
from gateway.core.stage import Stage
from gateway.logs import configure
from gateway.settings import Drain, Settings, SettingsError

_EXIT_CONFIGURATION = 78  # EX_CONFIG of sysexits.h


def main(argv: Sequence[str] | None = None, *, stages: Sequence[Stage] = ()) -> int:
    """Run one command; ``stages``: an embedder's own features, added to the pipeline."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments, stages))
    except SettingsError as error:
        print(f"llm-gateway: {error}", file=sys.stderr)
        return _EXIT_CONFIGURATION


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="llm-gateway", description="An HTTP reverse proxy for LLM APIs.")
    commands = parser.add_subparsers(required=True, metavar="{serve,demo,check,keys}")
    for name, run, text in (
        ("serve", _serve, "run the gateway"),
        ("demo", _demo, "run it with a fake provider behind it: no key, no network"),
        ("check", _check, "check the configuration"),
    ):
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        command.set_defaults(run=run)
        command.add_argument("--config", help="configuration file (default: ./gateway.toml if it is there)")
        command.add_argument("--host", help="address of the proxy (default: 127.0.0.1)")
        command.add_argument("--port", type=int, help="port of the proxy (default: 9000)")
        command.add_argument("--console-port", type=int, help="port of the console (default: 9001)")
    keys = commands.add_parser("keys", help="virtual keys", description="Virtual keys.")
    actions = keys.add_subparsers(required=True, metavar="{hash}")
    action = actions.add_parser("hash", help="make a virtual key to declare in the configuration file")
    action.set_defaults(run=_hash_key)
    action.add_argument("--config", help="configuration file (default: ./gateway.toml if it is there)")
    action.add_argument("--stdin", action="store_true", help="read the key from standard input, not make one")
    return parser


def _load(arguments: argparse.Namespace) -> Settings:
    given = {"host": arguments.host, "port": arguments.port, "console_port": arguments.console_port}
    return settings.load(arguments.config, os.environ, given)


def _serve(arguments: argparse.Namespace, stages: Sequence[Stage]) -> int:
    return _run(_serving(arguments, stages))


def _demo(arguments: argparse.Namespace, stages: Sequence[Stage]) -> int:
    loaded = _load(arguments)
    with tempfile.TemporaryDirectory(prefix="llm-gateway-") as state:
        # Nobody balances load over a demo: when it is stopped, it stops.
        own = msgspec.structs.replace(loaded, state_dir=state, drain=Drain(accept=0, finish=1))
        return _run(_demonstrating(own, stages))


def _check(arguments: argparse.Namespace, _stages: Sequence[Stage]) -> int:
    loaded = _load(arguments)
    configure(loaded.log, sys.stderr)
    providers, own_keys = app.load_providers(loaded, os.environ)
    for warning in app.warnings(loaded, providers):
        print(f"warning: {warning}", file=sys.stderr)
    print(f"The configuration is valid: {len(providers)} providers, {len(own_keys)} with a key.")
    return 0


def _hash_key(arguments: argparse.Namespace, _stages: Sequence[Stage]) -> int:
    """Print what the file may hold, and apart from it the key, which nothing keeps."""
    keyring = secrets.load(settings.load(arguments.config, os.environ))
    key = sys.stdin.readline().strip() if arguments.stdin else secrets.new_virtual_key()
    if not VIRTUAL_KEY.fullmatch(key):
        raise SettingsError("a virtual key is gw_ and 43 or more random letters, digits, - or _")
    if not arguments.stdin:
        print(f"The key, shown this once: {key}", file=sys.stderr)
    print(f'[[virtual_keys]]\nname = ""\nhash = "{keyring.hash(key)}"')
    print(f"It holds wherever the secret key is the one whose id is {keyring.id}.", file=sys.stderr)
    return 0


def _run(coroutine: Coroutine[Any, Any, None]) -> int:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(coroutine)
    return 0


async def _serving(arguments: argparse.Namespace, stages: Sequence[Stage]) -> None:
    loaded = _load(arguments)
    configure(loaded.log)
    providers, own_keys = app.load_providers(loaded, os.environ)
    app.warn(loaded, providers)

    def reread() -> tuple[Settings, Providers, Mapping[str, str]]:
        changed = _load(arguments)
        return changed, *app.load_providers(changed, os.environ)

    gateway = app.Gateway(loaded, providers, own_keys, stages, reread)
    stop, hurry = _signals()
    await gateway.start()
    banner.show(gateway)
    await stop.wait()
    await gateway.stop(hurry)


async def _demonstrating(loaded: Settings, stages: Sequence[Stage]) -> None:
    from gateway import demo  # noqa: PLC0415  # only this command pays for it

    configure(loaded.log)
    providers, _ = app.load_providers(loaded, {})
    fake = await demo.start()
    providers = providers.changed({name: Overrides(base_url=f"{fake.url}/{name}") for name in providers})
    gateway = app.Gateway(loaded, providers, {}, stages)
    stop, hurry = _signals()
    await gateway.start()
    print(demo.examples(gateway.url, gateway.console_url), file=sys.stderr, flush=True)
    await stop.wait()
    await gateway.stop(hurry)
    await fake.stop()


def _signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Return what the first signal to end sets, and what a second one sets."""
    stop, hurry = asyncio.Event(), asyncio.Event()

    def signalled() -> None:
        (hurry if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled)
    return stop, hurry


if __name__ == "__main__":
    sys.exit(main())
