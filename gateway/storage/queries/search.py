"""Text search: interactions in which a term occurs, those that were written last first.

SQLite finds substrings of three characters and more, whatever their case; PostgreSQL finds whole words. Hits are
read from the newest on, so a term that a million interactions hold costs no more than a page of them. A page looks
at a bounded number of hits: where the other filters leave most of them out it may be short, or empty, and still
have a next one.

Indexing text costs more than all else about an interaction. So SQLite's index is brought up to date when there is
time (``index_pending``): search may lag, the log never does. PostgreSQL does it in the server.
"""

import re
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    MetaData,
    Select,
    Table,
    Text,
    func,
    literal_column,
    select,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.storage.queries import state
from gateway.storage.queries.filter import Filter, InvalidFilter
from gateway.storage.queries.reading import records
from gateway.storage.tables import contents, facets, interactions

SHORTEST = 3
_LOOKED_AT = (1_000, 20_000)
"""Hits that a page looks at: first a few, and only if those are not enough more. One costs some 5 µs."""
_PLAIN = re.compile(rf"[^%_]{{{SHORTEST}}}")

# What only one of the databases has: an FTS5 table, and a generated column.
_texts = Table("texts", MetaData(), Column("rowid", BigInteger), Column("text", Text))
_words = literal_column("contents.words", TSVECTOR)


async def page(
    connection: AsyncConnection, wanted: Filter, limit: int, after: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """Return what ``listing.page`` does, for a filter that has a term."""
    hits = _hits(connection.dialect.name, wanted.q or "")
    if after is not None:
        hits = hits.where(_order(connection) < _number(after))
    for most in _LOOKED_AT:
        looked_at = hits.order_by(_order(connection).desc()).limit(most).subquery()
        matching = select(looked_at.c.number, looked_at.c.id).where(_others(looked_at, wanted))
        found = (
            await connection.execute(matching.order_by(looked_at.c.number.desc()).limit(limit + 1))
        ).all()
        if len(found) > limit:
            return await records(connection, [each.id for each in found[:limit]]), str(
                found[limit - 1].number
            )
        count, last = (await connection.execute(select(func.count(), func.min(looked_at.c.number)))).one()
        if count < most:
            break
    rows = await records(connection, [each.id for each in found])
    return rows, str(last) if count == most else None


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


def _hits(dialect: str, term: str) -> Select[tuple[int, str, int]]:
    columns = contents.c.number, contents.c.id, contents.c.facet
    if not _PLAIN.search(term):
        raise InvalidFilter(f"write at least {SHORTEST} characters to search for (% and _ don't count)")
    if dialect == "postgresql":
        return select(*columns).where(_words.op("@@")(func.plainto_tsquery("simple", term)))
    # The index knows LIKE only without an escape character, so it is asked for more, and LIKE asked again.
    hits = select(*columns).join_from(_texts, contents, contents.c.number == _texts.c.rowid)
    hits = hits.where(_texts.c.text.like(f"%{term.replace('%', '_')}%"))
    if "%" in term or "_" in term:
        hits = hits.where(contents.c.text.contains(term, autoescape=True))
    return hits


def _order(connection: AsyncConnection) -> ColumnElement[int]:
    """Return what orders hits without sorting them."""
    return contents.c.number if connection.dialect.name == "postgresql" else _texts.c.rowid


def _others(hits: Any, wanted: Filter) -> ColumnElement[bool]:
    """Return what the rest of a filter asks of a hit."""
    first, last = wanted.span()
    holds: ColumnElement[bool] = true() & (hits.c.id >= first) & (hits.c.id < last)
    facet = wanted.facet()
    if facet is not None:
        holds &= hits.c.facet.in_(select(facets.c.id).where(facet))
    if wanted.session is not None:
        of_session = select(interactions.c.id).where(interactions.c.session == wanted.session)
        holds &= hits.c.id.in_(of_session)
    return holds


def _number(after: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", after):
        raise InvalidFilter("`after` is not what an earlier page gave as `next`")
    return int(after)
