"""Text search: interactions in which a term occurs, those that were written last first.

SQLite finds substrings of three characters and more, whatever their case; PostgreSQL finds whole words. Hits are
read from the newest on, so a term that a million interactions hold costs no more than a page of them. A page looks
for a bounded time: where hits are hard to find it may be short, or empty, and still have a next one.

Indexing text costs more than all else about an interaction. So SQLite's index is brought up to date when there is
time (``index_pending``): search may lag, the log never does. PostgreSQL does it in the server.
"""

import re
import time
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    MetaData,
    Row,
    Select,
    Table,
    Text,
    func,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.storage.queries import state
from gateway.storage.queries.filter import Filter, InvalidFilter
from gateway.storage.queries.reading import records
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


async def index_pending(connection: AsyncConnection, limit: int) -> int:
    """Let search know of up to ``limit`` more interactions; return of how many it was."""
    if connection.dialect.name != "sqlite":
        return 0
    last = await state.get(connection, "indexed")
    upto = min(last + limit, await state.get(connection, "contents"))
    if upto == last:
        return 0
    await connection.execute(
        text(
            "INSERT INTO texts (rowid, text) SELECT number, text FROM contents WHERE number > :last AND number <= :upto"
        ),
        {"last": last, "upto": upto},
    )
    await state.put(connection, "indexed", upto)
    return upto - last


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
