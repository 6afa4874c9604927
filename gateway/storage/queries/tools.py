"""Tools that requests declared: written as often as they are seen, listed by name.

A row is known by what it is of, so whoever sees a tool, and how often, it is there once. What an agent can bring in is
bounded: so many tools, and of each the versions that were seen last.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, case, delete, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.core.discovery import LONGEST_SCHEMA, Sighting
from gateway.core.strict import UNREADABLE
from gateway.storage.queries.filter import InvalidCursor
from gateway.storage.queries.reading import when
from gateway.storage.statement import Insert, insert
from gateway.storage.tables import tool_versions, tools

MOST = 5000
"""Tools of one agent that are kept."""
MOST_VERSIONS = 20
"""Versions of one tool that are kept: those that were seen last."""
MOST_BYTES = 256 << 10
"""Bytes of the schemas of one tool's versions: of large ones there are fewer, but always the last."""
_VERSION = ("version", "first_seen", "last_seen", "client", "description", "parameters", "parameters_bytes")


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which tools are wanted: those to which all applies that is said."""

    agent: str | None = None
    name: str | None = None
    q: str | None = None
    """A part of the name, whatever its case."""
    kind: str | None = None

    def of(self, query: Select[Any]) -> Select[Any]:
        """Return a query for these alone."""
        for name in ("agent", "name", "kind"):
            if (value := getattr(self, name)) is not None:
                query = query.where(tools.c[name] == value)
        if self.q is not None:
            query = query.where(tools.c.name.icontains(self.q, autoescape=True))
        return query


async def surplus(connection: AsyncConnection, sightings: Iterable[Sighting], most: int = MOST) -> set[str]:
    """Return the ids of tools that are new, and more than their agents may have."""
    by_agent: dict[str, list[str]] = {}
    for each in sightings:
        by_agent.setdefault(each.agent, []).append(each.tool)
    over: set[str] = set()
    for agent, ids in by_agent.items():
        unique = list(dict.fromkeys(ids))
        known = set((await connection.execute(select(tools.c.id).where(tools.c.id.in_(unique)))).scalars())
        new = [id_ for id_ in unique if id_ not in known]
        if new:
            count = select(func.count()).select_from(tools).where(tools.c.agent == agent)
            over.update(new[max(0, most - (await connection.execute(count)).scalar_one()) :])
    return over


async def remember(connection: AsyncConnection, sightings: Sequence[Sighting]) -> None:
    """Store that tools were seen."""
    # In one order, so that two processes that see the same ones wait for each other rather than block.
    found = sorted(sightings, key=lambda each: (each.tool, each.version, each.at))
    seen = [
        {"id": each.tool, "agent": each.agent, "name": each.name, "kind": each.kind, **_seen(each)}
        for each in found
    ]
    versions = [
        {
            "tool": each.tool,
            "version": each.version,
            "client": each.client,
            "description": each.description,
            "parameters": each.parameters,
            "parameters_bytes": each.parameters_bytes,
            **_seen(each),
        }
        for each in found
    ]
    await connection.execute(_upsert(insert(connection.dialect, tools), ("id",)), seen)
    statement = _upsert(insert(connection.dialect, tool_versions), ("tool", "version"), "client")
    await connection.execute(statement, versions)
    await _prune(connection, {each.tool for each in found})


def _seen(each: Sighting) -> dict[str, float]:
    return {"first_seen": each.at, "last_seen": each.at}


def _upsert(statement: Insert, key: Sequence[str], *latest: str) -> Insert:
    """Return an insert that widens the time in which a row was seen; ``latest``: what its last sighting says."""
    own, new = statement.table.c, statement.excluded
    later = new.last_seen >= own.last_seen
    changes: dict[str, ColumnElement[Any]] = {
        "first_seen": case((new.first_seen < own.first_seen, new.first_seen), else_=own.first_seen),
        "last_seen": case((later, new.last_seen), else_=own.last_seen),
        **{name: case((later, new[name]), else_=own[name]) for name in latest},
    }
    return statement.on_conflict_do_update(index_elements=list(key), set_=changes)


async def _prune(connection: AsyncConnection, ids: set[str]) -> None:
    """Forget the oldest versions of tools that have too many: some clients write the time into a description."""
    own = tool_versions.c
    rows = await connection.execute(
        select(own.tool, own.version, own.parameters_bytes)
        .where(own.tool.in_(ids))
        .order_by(own.tool, *_latest_first())
    )
    old = []
    for tool, group in groupby(rows.all(), lambda row: row.tool):
        size = 0
        for number, row in enumerate(group):
            size += row.parameters_bytes if row.parameters_bytes <= LONGEST_SCHEMA else 0
            if number >= MOST_VERSIONS or (number and size > MOST_BYTES):
                old.append((tool, row.version))
    if old:
        await connection.execute(delete(tool_versions).where(tuple_(own.tool, own.version).in_(old)))


def _latest_first() -> tuple[ColumnElement[Any], ...]:
    own = tool_versions.c
    return own.last_seen.desc(), own.first_seen.desc(), own.version


async def page(
    connection: AsyncConnection, wanted: Wanted, limit: int, after: str | None = None
) -> tuple[list[dict[str, Any]], str | None]:
    """Return tools by name, and what to give as ``after`` for the next page."""
    query = wanted.of(select(tools)).order_by(tools.c.name, tools.c.id).limit(limit + 1)
    if after is not None:
        last = (await connection.execute(select(tools.c.name).where(tools.c.id == after))).scalar()
        if last is None:
            raise InvalidCursor
        query = query.where(tuple_(tools.c.name, tools.c.id) > tuple_(last, after))
    rows = (await connection.execute(query)).mappings().all()
    items = [_tool(row) for row in rows[:limit]]
    await _add_current(connection, items)
    return items, rows[limit - 1]["id"] if len(rows) > limit else None


async def one(connection: AsyncConnection, id_: str) -> dict[str, Any] | None:
    """Return a tool with all its versions, the latest first."""
    row = (await connection.execute(select(tools).where(tools.c.id == id_))).mappings().first()
    if row is None:
        return None
    query = select(tool_versions).where(tool_versions.c.tool == id_).order_by(*_latest_first())
    versions = [_version(each) for each in (await connection.execute(query)).mappings()]
    return _tool(row) | _current(versions[:1], len(versions)) | {"history": versions}


async def names(connection: AsyncConnection, wanted: Sequence[str]) -> tuple[dict[str, str], set[str]]:
    """Return which of some texts are ids of tools, with their names, and which are names of tools."""
    rows = await connection.execute(
        select(tools.c.id, tools.c.name).where(tools.c.id.in_(wanted) | tools.c.name.in_(wanted))
    )
    found = rows.all()
    given = set(wanted)
    return {row.id: row.name for row in found if row.id in given}, {
        row.name for row in found if row.name in given
    }


async def _add_current(connection: AsyncConnection, items: Sequence[dict[str, Any]]) -> None:
    """Add to each tool the version that was seen last, and how many there are; only that one is read whole."""
    own = tool_versions.c
    ids = [item["id"] for item in items]
    query = select(own.tool, own.version).where(own.tool.in_(ids)).order_by(own.tool, *_latest_first())
    rows = (await connection.execute(query)).all()
    versions = {tool: [row.version for row in group] for tool, group in groupby(rows, lambda row: row.tool)}
    latest = [(tool, found[0]) for tool, found in versions.items()]
    whole = select(tool_versions).where(tuple_(own.tool, own.version).in_(latest))
    current = {row["tool"]: _version(row) for row in (await connection.execute(whole)).mappings()}
    for item in items:
        shown = [current[item["id"]]] if item["id"] in current else []
        item.update(_current(shown, len(versions.get(item["id"], ()))))


def _tool(row: Any) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("id", "agent", "name", "kind")},
        "first_seen": when(row["first_seen"]),
        "last_seen": when(row["last_seen"]),
    }


def _version(row: Any) -> dict[str, Any]:
    return {
        **{name: row[name] for name in _VERSION},
        "first_seen": when(row["first_seen"]),
        "last_seen": when(row["last_seen"]),
        "parameters": _read(row["parameters"]),
    }


def _read(parameters: str | None) -> Any:
    try:
        # It is shown as it is, so nothing has to be built of it: a page may hold megabytes.
        return msgspec.json.decode(parameters or b"null", type=msgspec.Raw)
    except UNREADABLE:
        return None


def _current(versions: Sequence[dict[str, Any]], count: int) -> dict[str, Any]:
    """Return what the latest version says, as part of its tool."""
    said = (
        versions[0]
        if versions
        else {"client": "", "description": "", "parameters": None, "parameters_bytes": 0}
    )
    names = ("client", "description", "parameters", "parameters_bytes")
    return {**{name: said[name] for name in names}, "versions": count}
