"""Sessions: interactions that say they belong together, those that were last active first.

A session is known by its newest interaction. The list walks interactions from the newest on and keeps those that
are the last of their session, so it needs no table of its own, and reads only the sessions that it shows.
"""

from typing import Any

from sqlalchemy import Column, ColumnElement, Row, exists, func, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.core.price import dollars
from gateway.storage.queries.filter import Filter
from gateway.storage.queries.reading import when
from gateway.storage.tables import SAVED, TOKENS, facets, interactions

_SUMS = ("cost", "baseline_cost", *TOKENS, *(f"saved_{each}" for each in SAVED))
_totals = (
    select(
        interactions.c.session,
        func.count().label("requests"),
        func.min(interactions.c.started_at).label("started_at"),
        func.max(interactions.c.started_at + func.coalesce(interactions.c.duration_ms, 0) / 1000).label("ended_at"),
        *(func.sum(interactions.c[name]).label(name) for name in _SUMS),
    )
    .group_by(interactions.c.session)
)  # fmt: skip
_NAMES = ("agent", "user", "team", "provider", "model")
_facets = (
    select(interactions.c.session, *(facets.c[name] for name in _NAMES))
    .join_from(interactions, facets, facets.c.id == interactions.c.facet)
    .distinct()
)


async def page(
    connection: AsyncConnection,
    wanted: Filter,
    limit: int,
    after: str | None = None,
    agent: str | None = None,
) -> tuple[list[dict[str, Any]], str | None]:
    """Return the sessions whose newest interaction a filter selects, and what to give as ``after`` next.

    ``agent``: there are no other interactions than this agent's.
    """
    wanted.check()
    first, last = wanted.span(after)
    later = interactions.alias("later")
    newest = (
        select(interactions.c.session, interactions.c.id)
        .where(
            interactions.c.session.is_not(None),
            interactions.c.id >= first,
            interactions.c.id < last,
            _of(agent, interactions.c.facet),
            ~exists().where(
                later.c.session == interactions.c.session,
                later.c.id > interactions.c.id,
                _of(agent, later.c.facet),
            ),
        )
        .order_by(interactions.c.id.desc())
        .limit(limit + 1)
    )
    facet = wanted.facet()
    if facet is not None:
        newest = newest.where(interactions.c.facet.in_(select(facets.c.id).where(facet)))
    if wanted.session is not None:
        newest = newest.where(interactions.c.session == wanted.session)
    found = (await connection.execute(newest)).all()
    shown = await _sessions(connection, [row.session for row in found[:limit]], agent)
    return shown, found[limit - 1].id if len(found) > limit else None


async def one(connection: AsyncConnection, session: str, agent: str | None = None) -> dict[str, Any] | None:
    """Return one session; its interactions are those that a filter for it selects. ``agent``: as above."""
    Filter(session=session).check()
    found = await _sessions(connection, [session], agent)
    return found[0] if found else None


def _of(agent: str | None, facet: Column[int]) -> ColumnElement[bool]:
    return true() if agent is None else facet.in_(select(facets.c.id).where(facets.c.agent == agent))


async def _sessions(connection: AsyncConnection, names: list[str], agent: str | None) -> list[dict[str, Any]]:
    of_these = interactions.c.session.in_(names), _of(agent, interactions.c.facet)
    totals = await connection.execute(_totals.where(*of_these))
    by_name = {row.session: _shown(row) for row in totals}
    for row in (await connection.execute(_facets.where(*of_these))).mappings():
        shown = by_name[row["session"]]
        for name in _NAMES:
            if row[name] is not None and row[name] not in shown[f"{name}s"]:
                shown[f"{name}s"] = sorted([*shown[f"{name}s"], row[name]])
    return [by_name[name] for name in names if name in by_name]


def _shown(row: Row[Any]) -> dict[str, Any]:
    values = row._mapping  # noqa: SLF001  # the documented way to the columns by name
    sums = {name: None if values[name] is None else int(values[name]) for name in _SUMS}
    return {
        "id": row.session,
        "requests": row.requests,
        "started_at": when(row.started_at),
        "ended_at": when(row.ended_at),
        "duration_ms": round((row.ended_at - row.started_at) * 1000, 3),
        **{name: sums[name] for name in TOKENS},
        "cost": dollars(sums["cost"]),
        "baseline_cost": dollars(sums["baseline_cost"]),
        "saved": {name: dollars(sums[f"saved_{name}"]) for name in SAVED},
        **{f"{name}s": [] for name in _NAMES},
    }
