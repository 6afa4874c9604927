"""``check``: whether the configuration is one, without looking at anything else."""

import argparse
import os
import sys

from gateway import app
from gateway.commands.options import Commands, add_addresses, begin, command


def add(commands: Commands) -> None:
    """Add the command."""
    add_addresses(command(commands, "check", _run, "check the configuration"))


def _run(arguments: argparse.Namespace) -> int:
    loaded = begin(arguments)
    providers, own_keys = app.load_providers(loaded, os.environ)
    for warning in app.warnings(loaded, providers):
        print(f"warning: {warning}", file=sys.stderr)
    print(f"The configuration is valid: {len(providers)} providers, {len(own_keys)} with a key.")
    return 0
