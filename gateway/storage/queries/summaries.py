"""Summaries that stand in the place of tool results, by the keyed hash of what they are summaries of.

The same result must be replaced by the same bytes on every later turn, so the first summary of one stays. When it is
used, that time is written down, at most once an hour; retention deletes by it (``queries.retention``).
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.storage.queries.bodies import TOUCH
from gateway.storage.statement import insert
from gateway.storage.tables import summaries


async def load(
    connection: AsyncConnection, hashes: Sequence[bytes], now: int
) -> tuple[Mapping[bytes, str], list[bytes]]:
    """Return those that there are, and which of them should be touched."""
    rows = await connection.execute(select(summaries).where(summaries.c.hash.in_(hashes)))
    found = rows.all()
    texts = {bytes(row.hash): str(row.text) for row in found}
    return texts, [bytes(row.hash) for row in found if row.used_at < now - TOUCH]


async def touch(connection: AsyncConnection, hashes: Sequence[bytes], now: int) -> None:
    """Note that they were used."""
    await connection.execute(update(summaries).where(summaries.c.hash.in_(hashes)).values(used_at=now))


async def add(connection: AsyncConnection, hash_: bytes, text: str, now: int) -> str:
    """Add one, unless there is one of the same already; return the one that holds."""
    made = insert(connection.dialect, summaries).values(hash=hash_, text=text, used_at=now)
    await connection.execute(
        made.on_conflict_do_update(index_elements=["hash"], set_={"used_at": made.excluded.used_at})
    )
    found = await connection.execute(select(summaries.c.text).where(summaries.c.hash == hash_))
    return str(found.scalar_one())
