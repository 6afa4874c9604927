"""``keys``: virtual keys, made to be declared."""

import argparse
import sys

from gateway import secrets
from gateway.commands.options import Commands, begin, command
from gateway.core.credentials import VIRTUAL_KEY
from gateway.settings import SettingsError


def add(commands: Commands) -> None:
    """Add the command."""
    keys = commands.add_parser("keys", help="virtual keys", description="Virtual keys.")
    actions = keys.add_subparsers(required=True, dest="action")
    hashing = command(actions, "hash", _hash, "make a virtual key to declare in the configuration file")
    hashing.add_argument(
        "--stdin", action="store_true", help="read the key from standard input, not make one"
    )


def _hash(arguments: argparse.Namespace) -> int:
    """Print what the file may hold, and apart from it the key, which nothing keeps."""
    keyring = secrets.load(begin(arguments))
    key = sys.stdin.readline().strip() if arguments.stdin else secrets.new_virtual_key()
    if not VIRTUAL_KEY.fullmatch(key):
        raise SettingsError("a virtual key is gw_ and 43 or more random letters, digits, - or _")
    if not arguments.stdin:
        print(f"The key, shown this once: {key}", file=sys.stderr)
    print(f'[[virtual_keys]]\nname = ""\nhash = "{keyring.hash(key)}"')
    print(f"It holds wherever the secret key is the one whose id is {keyring.id}.", file=sys.stderr)
    return 0
