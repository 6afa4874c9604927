"""Interactions as the API lists them: filtered, newest first, a page at a time.

A filter first selects facets, of which there are few; then the newest interactions of each are read from one index
and merged. The newest ``n`` of all lie in the ``n`` facets that were used last, so the first page reads at most
``n`` times ``n`` index entries, however many interactions and facets there are, and whether or not any match.
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.storage.queries import search
from gateway.storage.queries.bodies import read as body
from gateway.storage.queries.filter import Filter, InvalidFilter
from gateway.storage.queries.reading import one, records
from gateway.storage.tables import facets, interactions

__all__ = ["Filter", "InvalidFilter", "body", "one", "page"]


async def page(
    connection: AsyncConnection, wanted: Filter, limit: int, after: str | None = None
) -> tuple[list[dict[str, Any]], str | None]:
    """Return the newest interactions that a filter selects, and what to give as ``after`` for the next page."""
    wanted.check()
    if wanted.q is not None:
        return await search.page(connection, wanted, limit, after)
    first, last = wanted.span(after)
    facet = wanted.facet()
    of_span = and_(interactions.c.id >= first, interactions.c.id < last)
    if wanted.session is not None:
        ids = select(interactions.c.id).where(interactions.c.session == wanted.session, of_span)
        if facet is not None:
            ids = ids.where(interactions.c.facet.in_(select(facets.c.id).where(facet)))
    elif facet is None:
        ids = select(interactions.c.id).where(of_span)
    else:
        ids = _by_facet(facet, first, last, limit + 1)
    ids = ids.order_by(interactions.c.id.desc()).limit(limit + 1)
    found = list((await connection.execute(ids)).scalars())
    rows = await records(connection, found[:limit])
    return rows, found[limit - 1] if len(found) > limit else None


def _by_facet(facet: ColumnElement[bool], first: str, last: str, limit: int) -> Select[tuple[str]]:
    """Select the newest interactions of each facet that can be on the page."""
    newest = select(facets.c.id).where(facet, facets.c.last_id >= first)
    # Those that reach beyond the page may hold anything below it; of the others only the newest can matter.
    open_ = newest.where(facets.c.last_id >= last, facets.c.first_id < last)
    closed = newest.where(facets.c.last_id < last).order_by(facets.c.last_id.desc()).limit(limit)
    chosen = union_all(open_, select(closed.subquery())).cte("chosen")
    own = interactions.alias("own")
    of_facet = (
        select(own.c.id)
        .where(own.c.facet == chosen.c.id, own.c.id >= first, own.c.id < last)
        .order_by(own.c.id.desc())
        .limit(limit)
        .correlate(chosen)
    )
    return (
        select(interactions.c.id)
        .join_from(chosen, interactions, interactions.c.facet == chosen.c.id)
        .where(interactions.c.id.in_(of_facet))
    )
