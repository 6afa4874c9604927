"""Interactions as the API lists them: filtered, newest first, a page at a time.

A filter first selects facets, of which there are few; then the newest interactions of each are read from one index
and merged. The newest ``n`` of all lie in the ``n`` facets that were used last, so the first page reads at most
``n`` times ``n`` index entries, however many interactions and facets there are, and whether or not any match.
"""

import heapq
import itertools
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.storage.queries import search
from gateway.storage.queries.bodies import read as body
from gateway.storage.queries.filter import LAST, Filter, InvalidFilter
from gateway.storage.queries.reading import one, records
from gateway.storage.tables import facets, interactions

_NEAR = 2000
_SEPARATOR = ","

__all__ = ["Filter", "InvalidFilter", "body", "one", "page"]


async def page(
    connection: AsyncConnection, wanted: Filter, limit: int, after: str | None = None
) -> tuple[list[dict[str, Any]], str | None]:
    """Return the newest interactions that a filter selects, and what to give as ``after`` for the next page."""
    wanted.check()
    if wanted.q is not None:
        return await search.page(connection, wanted, limit, after)
    first, last = wanted.span(after)
    found = await _newest(connection, wanted, first, last, limit + 1)
    return await records(connection, found[:limit]), found[limit - 1] if len(found) > limit else None


async def _newest(
    connection: AsyncConnection, wanted: Filter, first: str, last: str, limit: int
) -> Sequence[str]:
    """Return the ids that belong on a page, the newest first."""
    facet = wanted.facet()
    of_span = and_(interactions.c.id >= first, interactions.c.id < last)
    ids = select(interactions.c.id).where(of_span).order_by(interactions.c.id.desc()).limit(limit)
    if wanted.session is not None:
        ids = ids.where(interactions.c.session == wanted.session)
        if facet is not None:
            ids = ids.where(interactions.c.facet.in_(select(facets.c.id).where(facet)))
    elif facet is not None:
        if last != LAST:
            found = await _next_to(connection, facet, of_span, limit)
            if len(found) == limit:
                return found
        return await _of_facets(connection, facet, first, last, limit)
    return (await connection.execute(ids)).scalars().all()


async def _next_to(
    connection: AsyncConnection, facet: ColumnElement[bool], of_span: ColumnElement[bool], limit: int
) -> Sequence[str]:
    """Look among the next interactions: where many match, that is enough, and there may be many facets."""
    near = (
        select(interactions.c.id, interactions.c.facet)
        .where(of_span)
        .order_by(interactions.c.id.desc())
        .limit(_NEAR)
        .subquery()
    )
    matching = select(near.c.id).where(near.c.facet.in_(select(facets.c.id).where(facet)))
    return (await connection.execute(matching.order_by(near.c.id.desc()).limit(limit))).scalars().all()


async def _of_facets(
    connection: AsyncConnection, facet: ColumnElement[bool], first: str, last: str, limit: int
) -> Sequence[str]:
    """Merge the newest interactions of each facet that can be on the page."""
    newest = select(facets.c.id).where(facet, facets.c.last_id >= first)
    # Those that reach beyond the page may hold anything below it; of the others only the newest can matter.
    open_ = newest.where(facets.c.last_id >= last, facets.c.first_id < last)
    closed = newest.where(facets.c.last_id < last).order_by(facets.c.last_id.desc()).limit(limit)
    chosen = union_all(open_, select(closed.subquery())).subquery()
    of_facet = (
        select(interactions.c.id)
        .where(interactions.c.facet == chosen.c.id, interactions.c.id >= first, interactions.c.id < last)
        .order_by(interactions.c.id.desc())
        .limit(limit)
        .correlate(chosen)
        .subquery()
    )
    # As one value, so that no planner can begin with the interactions.
    joined = select(func.aggregate_strings(of_facet.c.id, _SEPARATOR)).correlate(chosen).scalar_subquery()
    rows = (await connection.execute(select(joined).select_from(chosen))).scalars()
    ids = itertools.chain.from_iterable(ids.split(_SEPARATOR) for ids in rows if ids)
    return heapq.nlargest(limit, ids)
