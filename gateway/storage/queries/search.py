"""Text search: interactions in which terms occur, those that were written last first.

A term is found wherever it occurs, be it part of a word, without regard to case: both databases hold the text as
``core.search`` folds it, and every hit is checked in that text, so they find the same. An index only makes it quick.
Hits are read from the newest on, so a term that a million interactions hold costs no more than a page of them. A page
looks for a bounded time: where hits are hard to find it may be short, or empty, and still have a next one.

Indexing text costs more than all else about an interaction. So it is done when there is time (``unread``, ``texts``,
``index``): search may lag, the log never does.
"""

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    Integer,
    MetaData,
    Row,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    func,
    null,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.core.recollection import Pieces
from gateway.core.search import folded, terms
from gateway.storage.packing import unpacked
from gateway.storage.queries import state
from gateway.storage.queries.bodies import pieces
from gateway.storage.queries.filter import Filter, InvalidCursor, InvalidFilter
from gateway.storage.queries.reading import records
from gateway.storage.statement import Statement
from gateway.storage.tables import contents, facets, interactions

_MOST_TERMS = 32
_LONGEST = 1000
"""Characters of all terms."""
_ENOUGH = 0.3
"""Seconds for which a page looks for more."""
_WINDOW = 2000
"""Interactions that are looked through at first; four times as many next, for as long as that is ``_QUICK``."""
_QUICK = 0.05
_MUCH = 256 << 10
"""Characters that are indexed in one transaction, or one text that is longer: others wait for it."""
_KEYS = 64
"""Trigrams by which an index is asked, at most."""
_SCAN = 0.1
"""Seconds for which texts are looked through before PostgreSQL's index is asked, which gives all its hits at once."""

# What only SQLite has: it is asked by a column of its own name.
_texts = Table("texts", MetaData(), Column("rowid", BigInteger), Column("texts", Text))
_trigrams = func.gateway_trigrams(contents.c.text, type_=postgresql.ARRAY(Integer))
_OCCURS = {"sqlite": func.instr, "postgresql": func.strpos}
_set_text = Statement(
    lambda _: (
        update(contents)
        .where(contents.c.number == bindparam("of"))
        .values(text=bindparam("folded"), said=null())
    )
)


async def page(
    connection: AsyncConnection, wanted: Filter, limit: int, after: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """Return what ``listing.page`` does, for a filter that has a term."""
    looked_for = _terms(wanted)
    upper = await state.get(connection, "indexed") + 1 if after is None else _number(after)
    lowest = (await connection.execute(select(func.min(contents.c.number)))).scalar()
    if lowest is None or not await _has_facet(connection, wanted):
        return [], None
    dialect = connection.dialect.name
    ordered = dialect == "sqlite"
    keys = list(islice(_KEYS_OF[dialect](looked_for), _KEYS))
    found: list[Row[Any]] = []
    window = _WINDOW
    start = time.monotonic()
    began = start
    while upper > lowest:
        by_index = bool(keys) and (ordered or began - start >= _SCAN)
        lower = lowest if by_index and not ordered else max(upper - window, lowest)
        number, hits = _hits(dialect, wanted, looked_for, keys if by_index else ())
        of_window = hits.where(number >= lower, number < upper).order_by(number.desc())
        found += (await connection.execute(of_window.limit(limit + 1 - len(found)))).all()
        upper = lower
        now = time.monotonic()
        if len(found) > limit or now - start > _ENOUGH:
            break
        if now - began < _QUICK:
            window *= 4
        began = now
    rows = await records(connection, [each.id for each in found[:limit]])
    if len(found) > limit:
        return rows, str(found[limit - 1].number)
    return rows, str(upper) if upper > lowest else None


class Unread(msgspec.Struct, frozen=True):
    """An interaction that search does not know yet, and what is stored of it."""

    number: int
    said: str | None
    """Its text, if that was made already."""
    record: dict[str, Any]
    request: Pieces | None
    response: bytes


TextOf = Callable[[Unread], str]
"""Gives the text by which an interaction is found."""


async def unread(connection: AsyncConnection, limit: int) -> list[Unread]:
    """Return up to ``limit`` interactions that search does not know yet, the oldest first."""
    last = await state.get(connection, "indexed")
    columns = contents.c["number", "id", "said", "request", "response"]
    query = select(*columns).where(contents.c.number > last).order_by(contents.c.number).limit(limit)
    rows = (await connection.execute(query)).all()
    unsaid = [row.id for row in rows if row.said is None]
    of = {found["id"]: found for found in await records(connection, unsaid)} if unsaid else {}
    return [
        Unread(
            row.number,
            row.said,
            of.get(row.id, {}),
            await pieces(connection, row.request) if row.said is None and row.request else None,
            unpacked(row.response or b""),
        )
        for row in rows
    ]


async def texts(found: Sequence[Unread], text_of: TextOf) -> list[tuple[str, int]]:
    """Return the folded texts of the first of these interactions, as many as are indexed at once, by number.

    Answers in flight come before each: to read one may take milliseconds.
    """
    made: list[tuple[str, int]] = []
    size = 0
    for each in found:
        await asyncio.sleep(0)
        said = folded(text_of(each) if each.said is None else each.said)
        size += len(said)
        if made and size > _MUCH:
            break
        made.append((said, each.number))
    return made


async def index(connection: AsyncConnection, found: Sequence[tuple[str, int]]) -> None:
    """Let search know of texts; what another process was quicker with is left."""
    last = await state.get(connection, "indexed")
    new = [each for each in found if each[1] > last]
    if not new:
        return
    await _set_text(connection, new)
    upto = new[-1][1]
    if connection.dialect.name == "sqlite":
        await connection.execute(
            text(
                "INSERT INTO texts (rowid, text) SELECT number, text FROM contents WHERE number > :last AND number <= :upto"
            ),
            {"last": last, "upto": upto},
        )
    await state.put(connection, "indexed", upto)


async def index_pending(connection: AsyncConnection, limit: int, text_of: TextOf) -> int:
    """Let search know of up to ``limit`` more interactions; return of how many it was."""
    found = await texts(await unread(connection, limit), text_of)
    await index(connection, found)
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


def _terms(wanted: Filter) -> list[str]:
    found = terms(wanted.q or "")
    if not found:
        raise InvalidFilter("`q` is what to look for: words, or several in quotation marks")
    if len(found) > _MOST_TERMS or sum(map(len, found)) > _LONGEST:
        raise InvalidFilter(f"`q` has at most {_MOST_TERMS} words, of {_LONGEST} characters in all")
    return found


def _hits(
    dialect: str, wanted: Filter, looked_for: Sequence[str], keys: Sequence[Any]
) -> tuple[ColumnElement[int], Select[tuple[int, str]]]:
    """Return what a filter selects, and the number by which it is read from the newest on.

    ``keys``: those of the terms, by which the index is asked; without any the texts themselves are looked through.
    """
    first, last = wanted.span()
    hits = select(contents.c.number, contents.c.id).where(contents.c.id >= first, contents.c.id < last)
    facet = wanted.facet()
    if facet is not None:
        hits = hits.where(contents.c.facet.in_(select(facets.c.id).where(facet)))
    if wanted.session is not None:
        of_session = select(interactions.c.id).where(interactions.c.session == wanted.session)
        hits = hits.where(contents.c.id.in_(of_session))
    hits = hits.where(*(_OCCURS[dialect](contents.c.text, term) > 0 for term in looked_for))
    if not keys:
        return contents.c.number, hits
    if dialect == "postgresql":
        hits = hits.where(contents.c.text.is_not(None), _trigrams.contains(cast(list(keys), ARRAY(Integer))))
        return contents.c.number, hits
    # Not by LIKE, which knows the index, too: of some patterns SQLite 3.40 dies.
    hits = hits.join_from(_texts, contents, contents.c.number == _texts.c.rowid)
    return _texts.c.rowid, hits.where(_texts.c.texts.op("MATCH")(" AND ".join(keys)))


def _of_characters(looked_for: Sequence[str]) -> Iterator[str]:
    """Return what the index of SQLite has of terms: three characters in a row, quoted."""
    found = dict.fromkeys(term[at : at + 3] for term in looked_for for at in range(len(term) - 2))
    return ('"' + key.replace('"', '""') + '"' for key in found)


def _of_bytes(looked_for: Sequence[str]) -> Iterator[int]:
    """Return what ``gateway_trigrams`` makes of terms."""
    said = [term.encode() for term in looked_for]
    return iter({int.from_bytes(b[at : at + 3]): None for b in said for at in range(len(b) - 2)})


_KEYS_OF: dict[str, Callable[[Sequence[str]], Iterator[Any]]] = {
    "sqlite": _of_characters,
    "postgresql": _of_bytes,
}


async def _has_facet(connection: AsyncConnection, wanted: Filter) -> bool:
    """Return whether any interaction can match: if not, none of the hits has to be looked at."""
    facet = wanted.facet()
    query = select(facets.c.id).limit(1) if facet is None else select(facets.c.id).where(facet).limit(1)
    return (await connection.execute(query)).first() is not None


def _number(after: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", after):
        raise InvalidCursor
    return int(after)
