"""``keys``: virtual keys, created in the database or made to be declared.

None of this needs a running gateway, and one that runs takes it over within two seconds. A key goes to a stream of
its own, and is nowhere else.
"""

import argparse
import asyncio
import os
import sys
from datetime import UTC
from time import time

import msgspec

from gateway import app, secrets
from gateway.commands import CommandError, printable, stored
from gateway.commands.options import Commands, begin, command, moment, text
from gateway.core.credentials import VIRTUAL_KEY
from gateway.core.entities import OVER, VirtualKey, is_over
from gateway.core.interaction import new_id
from gateway.core.snapshot import Snapshot
from gateway.secrets import HINTED, Keyring
from gateway.settings import Settings, SettingsError
from gateway.storage.database import Database
from gateway.storage.queries import entities, state
from gateway.storage.snapshot import DatabaseSource, Refresh

_KIND = "virtual_keys"
_OPTIONS = {"providers": "provider", "models": "model"}
"""What sets a field, where it is named otherwise."""
_COLUMNS = ("ID", "NAME", "HINT", "AGENT", "EXPIRES", "STATE")


def add(commands: Commands) -> None:
    """Add the command."""
    keys = commands.add_parser("keys", help="virtual keys", description="Virtual keys.")
    actions = keys.add_subparsers(required=True, dest="action")

    creating = command(actions, "create", _create, "create a virtual key, and print it this once")
    creating.add_argument("--name", type=text, required=True, help="what people call it")
    creating.add_argument(
        "--agent", type=text, default="", help="whose it is (default: its holder may name any agent)"
    )
    creating.add_argument("--user", type=text, default="", help="for whom the agent works")
    creating.add_argument("--team", type=text, default="", help="default: the agent's")
    creating.add_argument(
        "--provider", type=text, action="append", default=[], help="may be repeated; default: all"
    )
    creating.add_argument(
        "--model", type=text, action="append", default=[], help="name or glob; as --provider"
    )
    creating.add_argument("--expires", type=moment, help="a day or a time, UTC; default: never")

    command(actions, "list", _list, "list virtual keys; none is shown itself")

    revoking = command(actions, "revoke", _revoke, "revoke a virtual key for good")
    revoking.add_argument("key", type=text, help="its id, or its name if no other has that")

    hashing = command(actions, "hash", _hash, "make a virtual key to declare in the configuration file")
    hashing.add_argument(
        "--stdin", action="store_true", help="read the key from standard input, not make one"
    )


def _create(arguments: argparse.Namespace) -> int:
    return asyncio.run(_creating(begin(arguments), arguments))


async def _creating(settings: Settings, arguments: argparse.Namespace) -> int:
    keyring = secrets.load(settings)
    secret = secrets.new_virtual_key()
    key = VirtualKey(
        id=new_id(time()),
        name=arguments.name,
        hash=keyring.hash(secret),
        hint=secret[:HINTED],
        agent=arguments.agent,
        user=arguments.user,
        team=arguments.team,
        providers=tuple(arguments.provider),
        models=tuple(arguments.model),
        expires=arguments.expires,
    )
    async with stored.database(settings) as database:
        snapshot = await _snapshot(settings, keyring, database)
        if found := key.problem() or snapshot.dangling(key):
            field = found[0].partition("[")[0]
            raise CommandError(f"--{_OPTIONS.get(field, field)}: {found[1]}")
        if is_over(key.expires):
            raise CommandError(f"--expires: {OVER}")
        async with database.write() as connection:
            await entities.create(connection, _KIND, key, stored.actor())
    print(secret)
    print(
        f"Created {key.id} in {database.place}.\n"
        f"The key is shown this once. It holds wherever the secret key is the one whose id is {keyring.id};\n"
        "a running gateway takes it over within two seconds.",
        file=sys.stderr,
    )
    return 0


def _list(arguments: argparse.Namespace) -> int:
    return asyncio.run(_listing(begin(arguments)))


async def _listing(settings: Settings) -> int:
    async with stored.database(settings) as database:
        snapshot = await _snapshot(settings, secrets.load(settings), database)
    keys = sorted(snapshot.virtual_keys.values(), key=lambda key: (not key.declared, key.id))
    rows = [_COLUMNS, *map(_row, keys)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(map(str.ljust, row, widths)).rstrip())
    return 0


def _row(key: VirtualKey) -> tuple[str, ...]:
    expires = key.expires.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if key.expires else "never"
    where = ", declared" if key.declared else ""
    shown = (key.id, key.name, key.hint, key.agent, expires, _state(key) + where)
    return tuple(printable(text) or "-" for text in shown)


def _state(key: VirtualKey) -> str:
    if key.revoked:
        return "revoked"
    return "expired" if is_over(key.expires) else "active"


def _revoke(arguments: argparse.Namespace) -> int:
    return asyncio.run(_revoking(begin(arguments), arguments.key))


async def _revoking(settings: Settings, wanted: str) -> int:
    async with stored.database(settings) as database:
        snapshot = await _snapshot(settings, secrets.load(settings), database)
        found = _find(snapshot, wanted)
        if found.declared:
            raise CommandError(f"{wanted!r} stands in {settings.file}: write revoked = true there")
        async with database.write() as connection:
            await state.increase(connection, "version", 0)  # in line: nobody changes it after it is read here
            key = await entities.read(connection, _KIND, found.id, VirtualKey)
            if key is None:
                raise CommandError(f"{wanted!r} has just been deleted")
            if not key.revoked:
                changed = msgspec.structs.replace(key, revoked=True)
                await entities.update(connection, _KIND, changed, stored.actor())
    print(f"{found.id} is revoked; a running gateway refuses it within two seconds.")
    return 0


def _find(snapshot: Snapshot, wanted: str) -> VirtualKey:
    """Return the key of this id, or else the only one of this name; revoked ones don't stand in its way."""
    keys = snapshot.virtual_keys.values()
    named = [key for key in keys if key.name == wanted]
    found = [key for key in keys if key.id == wanted] or [k for k in named if not k.revoked] or named
    if not found:
        raise CommandError(f"no virtual key has the id or the name {wanted!r}")
    if len(found) > 1:
        raise CommandError(f"several are named {wanted!r}; say which: {', '.join(key.id for key in found)}")
    return found[0]


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


async def _snapshot(settings: Settings, keyring: Keyring, database: Database) -> Snapshot:
    """Return what holds for a gateway: the file and the database together."""
    await database.open()
    providers, own_keys = app.load_providers(settings, os.environ)
    source = DatabaseSource(database)
    return await Refresh(settings, providers, own_keys, keyring, source=source).load()
