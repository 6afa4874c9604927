"""What commands have in common: how they are added, and how they read their settings."""

import argparse
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from gateway import settings
from gateway.logs import configure
from gateway.settings import Settings

Commands = Any
"""What ``add_subparsers`` returns; ``argparse`` has no public name for it."""


def command(
    commands: Commands, name: str, run: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    """Add a command that runs a function and ends with the exit code that it returns."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}."
    )
    parser.set_defaults(run=run)
    parser.add_argument("--config", help="configuration file (default: ./gateway.toml if it is there)")
    return parser


def add_addresses(parser: argparse.ArgumentParser) -> None:
    """Let a command be told where the gateway listens."""
    parser.add_argument("--host", help="address of the proxy (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port of the proxy (default: 9000)")
    parser.add_argument("--console-port", type=int, help="port of the console (default: 9001)")


def load(arguments: argparse.Namespace) -> Settings:
    """Read the settings under what the command line says."""
    given = {key: getattr(arguments, key, None) for key in ("host", "port", "console_port")}
    return settings.load(arguments.config, os.environ, given)


def begin(arguments: argparse.Namespace) -> Settings:
    """Do the same for a command whose standard output is its result: what is logged goes elsewhere."""
    loaded = load(arguments)
    configure(loaded.log, sys.stderr)
    return loaded


def moment(text: str) -> datetime:
    """Read a day or a time; UTC unless it says otherwise."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time: write 2027-01-01 or 2027-01-01T09:00:00Z"
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def text(given: str) -> str:
    """Read what is kept as text; the shell may give any bytes, and a locale may read UTF-8 as something else."""
    try:
        return os.fsencode(given).decode()
    except UnicodeError:
        raise argparse.ArgumentTypeError(f"{given!r} is not UTF-8") from None
