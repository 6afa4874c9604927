"""Facets: what a filter may ask for, once for each combination of values that occurs."""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec
from sqlalchemy import BindParameter, bindparam, case, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.core.record import Record
from gateway.storage.known import known
from gateway.storage.statement import Batch, Statement, insert
from gateway.storage.tables import FACETS, facet_tools, facets

Facet = tuple[object, ...]
"""The values of ``FACETS``, then the names of the tools that the answer calls."""

_json = msgspec.json.Encoder().encode
_add = Statement(
    lambda dialect: (
        insert(dialect, facets)
        .values({name: bindparam(name) for name in ("key", "first_id", "last_id", *FACETS, "tools")})
        .on_conflict_do_nothing(index_elements=["key"])
    )
)
_add_tool = Statement(
    lambda dialect: (
        insert(dialect, facet_tools)
        .values({"tool": bindparam("tool"), "facet": bindparam("facet")})
        .on_conflict_do_nothing()
    )
)


def _id(name: str) -> BindParameter[str]:
    return bindparam(name, type_=facets.c.first_id.type)


# Each parameter has a name of its own: a tuple has one value for each.
_used = Statement(
    lambda _: (
        update(facets)
        .values(
            first_id=case((facets.c.first_id > _id("older"), _id("first")), else_=facets.c.first_id),
            last_id=case((facets.c.last_id < _id("newer"), _id("last")), else_=facets.c.last_id),
        )
        .where(facets.c.id == bindparam("facet"))
    )
)


def facet(record: Record) -> Facet:
    """Return the facet of a record."""
    return (
        record.source,
        record.provider,
        record.agent,
        record.team,
        record.user,
        record.model,
        record.status,
        record.outcome,
        record.error_kind,
        bool(record.blocked_tools),
        tuple(sorted(set(record.tools))) if record.tools else (),
    )


async def write(
    connection: AsyncConnection, batch: Batch, used: Mapping[Facet, Sequence[str]]
) -> Mapping[Facet, int]:
    """Return the numbers of facets, made where they are new; ``used``: the ids of the interactions of each.

    ``batch``: what writes down that they were used.
    """
    seen = known(connection).facets
    numbers = {each: number for each in used if (number := seen.get(each)) is not None}
    if new := {_key(each): each for each in used if each not in numbers}:
        numbers |= await _make(connection, dict(sorted(new.items())), used)
    # In one order everywhere, so that processes which write the same rows wait for each other in line.
    touched = sorted((numbers[each], min(ids), max(ids)) for each, ids in used.items())
    batch.add(_used, [(first, first, last, last, number) for number, first, last in touched])
    return numbers


async def _make(
    connection: AsyncConnection, new: Mapping[bytes, Facet], used: Mapping[Facet, Sequence[str]]
) -> Mapping[Facet, int]:
    rows = [
        (key, min(used[each]), max(used[each]), *each[:-1], _json(each[-1]).decode() if each[-1] else None)
        for key, each in new.items()
    ]
    await _add(connection, rows)
    found = await connection.execute(
        select(facets.c.key, facets.c.id).where(facets.c.key.in_(list(new)))
    )  # fmt: skip
    numbers = {new[bytes(row.key)]: row.id for row in found}
    await _add_tool(connection, [(tool, numbers[each]) for each in new.values() for tool in _names(each)])
    for each, number in numbers.items():
        known(connection).facets[each] = number
    return numbers


def _names(each: Facet) -> Iterable[str]:
    names: Any = each[-1]
    return tuple(names)


def _key(each: Facet) -> bytes:
    return blake2b(_json(each), digest_size=16).digest()
