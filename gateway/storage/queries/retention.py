"""Retention: what was said is deleted after some time; what is counted stays.

Rows of ``contents`` are in the order in which they were written, so the old ones are at its front. A message goes
when it was not used for as long: the use of what is stored is written down (``queries.bodies``), late by at most
``TOUCH``, so what is unused for the retention time and ``TOUCH`` belongs to interactions that have gone.
"""

from sqlalchemy import Column, delete, func, select

from gateway.storage.database import Database
from gateway.storage.queries import search
from gateway.storage.queries.bodies import TOUCH
from gateway.storage.queries.filter import first_id
from gateway.storage.tables import contents, histories, messages, summaries

_SLICE = 1000
"""Rows per transaction: others that want to write wait no longer than that takes."""


async def purge(database: Database, before: float) -> int:
    """Delete what was said in interactions that began before a time; return in how many it was.

    A long interaction that was written late keeps its words until those around it are as old.
    """
    gone = 0
    while purged := await _purge_contents(database, first_id(before)):
        gone += purged
    for key in (histories.c.id, messages.c.hash, summaries.c.hash):
        await _purge_unused(database, key, int(before) - TOUCH)
    return gone


async def _purge_contents(database: Database, before: str) -> int:
    """Delete the oldest rows, up to the last in a slice of them that is old enough, if all before it are."""
    async with database.write() as connection:
        oldest = select(contents.c.number, contents.c.id).order_by(contents.c.number).limit(_SLICE).subquery()
        kept = await connection.execute(select(func.min(oldest.c.number)).where(oldest.c.id >= before))
        last = await connection.execute(select(func.max(oldest.c.number)))
        upto, first_kept = last.scalar(), kept.scalar()
        if first_kept is not None:
            upto = first_kept - 1
        if upto is None:
            return 0
        await search.forget(connection, upto)
        found = await connection.execute(delete(contents).where(contents.c.number <= upto))
        return found.rowcount


async def _purge_unused(database: Database, key: Column[bytes], before: int) -> None:
    """Look for what is unused on a connection that reads, since that takes longest, and delete it in slices."""
    table = key.table
    last = b""
    while True:
        async with database.read() as reader:
            unused = await reader.execute(
                select(key).where(key > last, table.c.used_at < before).order_by(key).limit(_SLICE)
            )
            keys = [bytes(each) for each in unused.scalars()]
        if not keys:
            return
        async with database.write() as connection:
            # It may have been used meanwhile.
            await connection.execute(delete(table).where(key.in_(keys), table.c.used_at < before))
        last = keys[-1]
