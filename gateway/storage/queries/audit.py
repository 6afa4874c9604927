"""The audit log: every write to what is configured, and every attempt at one, each row bound to the one before it.

A row holds the hash of itself and of the row before, and their number is kept beside them, so a row that was
changed, moved or taken out shows, be it the last.
"""

import time
from hashlib import sha256
from typing import Any

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.storage.queries import state
from gateway.storage.queries.filter import InvalidCursor
from gateway.storage.queries.reading import lenient, when
from gateway.storage.tables import audit

_FIRST = bytes(32)


async def add(
    connection: AsyncConnection,
    actor: str,
    action: str,
    kind: str,
    entity: str,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    *,
    address: str = "",
    result: str = "ok",
) -> None:
    """Add a row; nothing in it is secret.

    ``address``: from which it was done; ``result``: ``ok``, or why it was not done.
    """
    await state.increase(connection, "audit")  # puts writers in line: two rows can't follow the same one
    last = await connection.execute(select(audit.c.hash).order_by(audit.c.number.desc()).limit(1))
    values = {
        "at": time.time(),
        "actor": actor,
        "address": address,
        "action": action,
        "kind": kind,
        "entity": entity,
        "result": result,
        "before": None if before is None else msgspec.json.encode(before).decode(),
        "after": None if after is None else msgspec.json.encode(after).decode(),
    }
    await connection.execute(insert(audit).values(**values, hash=_hash(last.scalar() or _FIRST, values)))


async def page(
    connection: AsyncConnection, limit: int, after: str | None = None
) -> tuple[list[dict[str, Any]], str | None]:
    """Return the newest rows, and what to give as ``after`` for the next page."""
    query = select(audit).order_by(audit.c.number.desc()).limit(limit + 1)
    if after is not None:
        if not after.isascii() or not after.isdigit() or len(after) > 18:
            raise InvalidCursor
        query = query.where(audit.c.number < int(after))
    rows = (await connection.execute(query)).all()
    items = [
        {
            "id": str(row.number),
            "at": when(row.at),
            **{
                name: getattr(row, name)
                for name in ("actor", "address", "action", "kind", "entity", "result")
            },
            "before": lenient(row.before, {}) if row.before is not None else None,
            "after": lenient(row.after, {}) if row.after is not None else None,
        }
        for row in rows[:limit]
    ]
    return items, str(rows[limit - 1].number) if len(rows) > limit else None


async def first_broken(connection: AsyncConnection) -> int | None:
    """Return the number of the first row that does not follow from the one before it, or that is missing."""
    before, last = _FIRST, 0
    rows = await connection.stream(select(audit).order_by(audit.c.number))
    async for row in rows.mappings():
        values = {name: row[name] for name in row if name not in {"number", "hash"}}
        if _hash(before, values) != bytes(row["hash"]):
            return int(row["number"])
        before, last = bytes(row["hash"]), last + 1
    return None if last == await state.get(connection, "audit") else last + 1


def _hash(before: bytes, values: dict[str, Any]) -> bytes:
    return sha256(before + msgspec.json.encode(values)).digest()
