"""``export``: the interaction log as lines of JSON, as the console's API has them, newest first.

It is read a page at a time, so it may be of any length, and a gateway may go on writing meanwhile.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from gateway.commands import CommandError, stored
from gateway.commands.options import Commands, begin, command, moment
from gateway.settings import Settings
from gateway.storage.queries import listing
from gateway.storage.queries.listing import Filter, InvalidFilter

_PAGE = 500
"""Interactions that are in memory at once."""
_FILTERS: dict[str, dict[str, Any]] = {
    "from_": {"type": moment, "metavar": "FROM", "help": "begun then or later: a day or a time, UTC"},
    "to": {"type": moment, "help": "begun before"},
    "status": {"type": int},
    "blocked": {"action": argparse.BooleanOptionalAction, "help": "a tool call was refused, or none was"},
    "tool": {"help": "the answer calls it"},
    "q": {"help": "words that all occur in what was said; several in quotation marks count as one"},
}
"""What is peculiar to an option; the others are plain texts."""


_json = msgspec.json.Encoder()


def add(commands: Commands) -> None:
    """Add the command."""
    parser = command(commands, "export", _run, "write the interaction log as lines of JSON")
    parser.add_argument("--output", type=Path, help="a file (default: standard output)")
    filters = parser.add_argument_group("which interactions", "All that is said must apply; default: all.")
    for name in Filter.__struct_fields__:
        option = f"--{name.rstrip('_').replace('_', '-')}"
        filters.add_argument(option, dest=name, **_FILTERS.get(name, {}))


def _run(arguments: argparse.Namespace) -> int:
    said = {name: getattr(arguments, name) for name in Filter.__struct_fields__}
    times = {name: said[name].timestamp() for name in ("from_", "to") if said[name]}
    wanted = Filter(**said | times)
    return asyncio.run(_export(begin(arguments), wanted, arguments.output))


async def _export(settings: Settings, wanted: Filter, file: Path | None) -> int:
    count = 0
    try:
        with _target(file) as output:
            async with aclosing(_pages(settings, wanted)) as pages:
                async for items in pages:
                    output.write(_json.encode_lines(items))
                    count += len(items)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandError(f"{file or 'standard output'} can't be written: {error.strerror}") from None
    print(f"Interactions: {count}", file=sys.stderr)
    return 0


async def _pages(settings: Settings, wanted: Filter) -> AsyncGenerator[list[dict[str, Any]], None]:
    after = None
    async with stored.database(settings) as database:
        await database.open()
        while True:
            try:
                async with database.read() as connection:
                    items, after = await listing.page(connection, wanted, _PAGE, after)
            except InvalidFilter as error:
                raise CommandError(str(error)) from None
            yield items
            if after is None:
                return


@contextmanager
def _target(file: Path | None) -> Iterator[BinaryIO]:
    """Lend what to write to. A file is there once all of it is written, and is its owner's alone."""
    if file is None:
        # With a buffer of our own: what can't be written is told of once, and not again when Python ends.
        with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as output:
            yield output
        return
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as output:
            yield output
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
