"""``migrate``: the database's tables, brought to this version before a gateway does it at its start."""

import argparse
import asyncio

from gateway.commands import stored
from gateway.commands.options import Commands, begin, command
from gateway.settings import Settings
from gateway.storage.migrate import HEAD


def add(commands: Commands) -> None:
    """Add the command."""
    command(commands, "migrate", _run, "bring the database to this version")


def _run(arguments: argparse.Namespace) -> int:
    return asyncio.run(_migrate(begin(arguments)))


async def _migrate(settings: Settings) -> int:
    async with stored.database(settings) as database:
        before = await database.open()
    if before == HEAD:
        print(f"{database.place} is at revision {HEAD} already: nothing was to do.")
    elif before:
        print(f"{database.place} was at revision {before}, and is at {HEAD} now.")
    else:
        print(f"{database.place} was empty, and has its tables now, at revision {HEAD}.")
    return 0
