"""Text search: interactions in which a term occurs, those that were written last first.

SQLite finds substrings of three characters and more, whatever their case; PostgreSQL finds whole words. Hits are
read from the newest on, so a term that a million interactions hold costs no more than a page of them. A page looks
for a bounded time: where hits are hard to find it may be short, or empty, and still have a next one.

Indexing text costs more than all else about an interaction. So SQLite's index is brought up to date when there is
time (``unread``, ``index``): search may lag, the log never does.
"""

import re
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    MetaData,
    Row,
    Select,
    Table,
    Text,
    bindparam,
    func,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.core.recollection import Pieces
from gateway.storage.packing import unpacked
from gateway.storage.queries import state
from gateway.storage.queries.bodies import pieces
from gateway.storage.queries.filter import Filter, InvalidFilter
from gateway.storage.queries.reading import records
from gateway.storage.statement import Statement
from gateway.storage.tables import contents, facets, interactions

SHORTEST = 3
_ENOUGH = 0.3
"""Seconds for which a page looks for more."""
_WINDOW = 2000
"""Interactions that are looked through at first; four times as many next, for as long as that is ``_QUICK``."""
_QUICK = 0.05
_PLAIN = re.compile(rf"[^%_]{{{SHORTEST}}}")

# What only one of the databases has: an FTS5 table, and a generated column.
_texts = Table("texts", MetaData(), Column("rowid", BigInteger), Column("text", Text))
_words = literal_column("contents.words", TSVECTOR)
_set_text = Statement(
    lambda _: update(contents).where(contents.c.number == bindparam("of")).values(text=bindparam("said"))
)


async def page(
    connection: AsyncConnection, wanted: Filter, limit: int, after: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """Return what ``listing.page`` does, for a filter that has a term."""
    number, hits = _hits(connection.dialect.name, wanted)
    upper = await state.get(connection, "contents") + 1 if after is None else _number(after)
    lowest = (await connection.execute(select(func.min(contents.c.number)))).scalar()
    if lowest is None or not await _has_facet(connection, wanted):
        return [], None
    found: list[Row[Any]] = []
    window = _WINDOW
    deadline = time.monotonic() + _ENOUGH
    while upper > lowest:
        began = time.monotonic()
        lower = max(upper - window, lowest)
        of_window = hits.where(number >= lower, number < upper).order_by(number.desc())
        found += (await connection.execute(of_window.limit(limit + 1 - len(found)))).all()
        upper = lower
        now = time.monotonic()
        if len(found) > limit or now > deadline:
            break
        if now - began < _QUICK:
            window *= 4
    rows = await records(connection, [each.id for each in found[:limit]])
    if len(found) > limit:
        return rows, str(found[limit - 1].number)
    return rows, str(upper) if upper > lowest else None


class Unread(msgspec.Struct, frozen=True):
    """An interaction that search does not know yet, and what is stored of it."""

    number: int
    text: str | None
    """Its text, if that was made already."""
    record: dict[str, Any]
    request: Pieces | None
    response: bytes


TextOf = Callable[[Unread], str]
"""Gives the text by which an interaction is found."""


async def unread(connection: AsyncConnection, limit: int) -> list[Unread]:
    """Return up to ``limit`` interactions that search does not know yet, the oldest first."""
    last = await state.get(connection, "indexed")
    columns = contents.c["number", "id", "text", "request", "response"]
    query = select(*columns).where(contents.c.number > last).order_by(contents.c.number).limit(limit)
    rows = (await connection.execute(query)).all()
    of = {found["id"]: found for found in await records(connection, [row.id for row in rows])}
    return [
        Unread(
            row.number,
            row.text,
            of.get(row.id, {}),
            await pieces(connection, row.request) if row.text is None and row.request else None,
            unpacked(row.response or b""),
        )
        for row in rows
    ]


async def index(connection: AsyncConnection, found: Sequence[Unread], text_of: TextOf) -> None:
    """Let search know of these interactions, by their numbers; what another process was quicker with is left."""
    last = await state.get(connection, "indexed")
    # The order is that in which the statement binds them.
    new = [
        (text_of(each) if each.text is None else each.text, each.number)
        for each in found
        if each.number > last
    ]
    if not new:
        return
    await _set_text(connection, new)
    if connection.dialect.name == "sqlite":
        await connection.execute(
            text(
                "INSERT INTO texts (rowid, text) SELECT number, text FROM contents WHERE number > :last AND number <= :upto"
            ),
            {"last": last, "upto": new[-1][1]},
        )
    await state.put(connection, "indexed", new[-1][1])


async def index_pending(connection: AsyncConnection, limit: int, text_of: TextOf) -> int:
    """Let search know of up to ``limit`` more interactions; return of how many it was."""
    found = await unread(connection, limit)
    await index(connection, found, text_of)
    return len(found)


async def forget(connection: AsyncConnection, upto: int) -> None:
    """Take the rows of ``contents`` up to a number out of the index; they must be there still."""
    if connection.dialect.name == "sqlite":
        await connection.execute(
            text(
                "INSERT INTO texts (texts, rowid, text) SELECT 'delete', number, text FROM contents "
                "WHERE number <= :upto AND number <= (SELECT value FROM state WHERE name = 'indexed')"
            ),
            {"upto": upto},
        )


def _hits(dialect: str, wanted: Filter) -> tuple[ColumnElement[int], Select[tuple[int, str]]]:
    """Return what a filter selects, and the number by which it is read from the newest on."""
    term = wanted.q or ""
    if not _PLAIN.search(term):
        raise InvalidFilter(f"write at least {SHORTEST} characters to search for (% and _ don't count)")
    first, last = wanted.span()
    hits = select(contents.c.number, contents.c.id).where(contents.c.id >= first, contents.c.id < last)
    facet = wanted.facet()
    if facet is not None:
        hits = hits.where(contents.c.facet.in_(select(facets.c.id).where(facet)))
    if wanted.session is not None:
        of_session = select(interactions.c.id).where(interactions.c.session == wanted.session)
        hits = hits.where(contents.c.id.in_(of_session))
    if dialect == "postgresql":
        return contents.c.number, hits.where(_words.op("@@")(func.plainto_tsquery("simple", term)))
    # The index knows LIKE only without an escape character, so it is asked for more, and LIKE asked again.
    hits = hits.join_from(_texts, contents, contents.c.number == _texts.c.rowid)
    hits = hits.where(_texts.c.text.like(f"%{term.replace('%', '_')}%"))
    if "%" in term or "_" in term:
        hits = hits.where(contents.c.text.contains(term, autoescape=True))
    return _texts.c.rowid, hits


async def _has_facet(connection: AsyncConnection, wanted: Filter) -> bool:
    """Return whether any interaction can match: if not, none of the hits has to be looked at."""
    facet = wanted.facet()
    query = select(facets.c.id).limit(1) if facet is None else select(facets.c.id).where(facet).limit(1)
    return (await connection.execute(query)).first() is not None


def _number(after: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", after):
        raise InvalidFilter("`after` is not what an earlier page gave as `next`")
    return int(after)
