"""The console's way to what is stored: transactions, and their failures as refusals."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.console.refusals import Refusal, not_found
from gateway.core.entities import Entity
from gateway.core.snapshot import Snapshot, Snapshots
from gateway.storage.database import Database
from gateway.storage.queries import bodies, listing, sessions, statistics
from gateway.storage.queries.entities import Conflict
from gateway.storage.queries.filter import Filter, InvalidFilter

Row = dict[str, Any]
Page = tuple[list[Row], str | None]

_log = structlog.get_logger()


class Data:
    """What is stored, and what of it holds now."""

    def __init__(self, database: Database, snapshots: Snapshots, look: Callable[[], Awaitable[None]]) -> None:
        """``look``: takes over at once what was changed."""
        self._database = database
        self._snapshots = snapshots
        self._look = look

    @property
    def snapshot(self) -> Snapshot:
        """What holds now."""
        return self._snapshots.current

    def declared(self, kind: str) -> list[Entity]:
        """Return the entities of one kind that stand in the configuration file, by id."""
        held = getattr(self.snapshot, kind, ())
        rows: Sequence[Entity] = held if isinstance(held, tuple) else tuple(held.values())
        return sorted({row.id: row for row in rows if row.declared}.values(), key=lambda row: row.id)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection that reads."""
        async with _failures(), self._database.read() as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Lend the connection that writes, for one change; what was changed holds at once in this process."""
        async with self.append() as connection:
            yield connection
        await self._look()

    @asynccontextmanager
    async def append(self) -> AsyncIterator[AsyncConnection]:
        """Lend the connection that writes, for what changes nothing that holds."""
        async with _failures(), self._database.write() as connection:
            yield connection


@asynccontextmanager
async def _failures() -> AsyncIterator[None]:
    """Say what of a failure is the caller's business."""
    try:
        yield
    except InvalidFilter as error:
        raise Refusal(400, f"{error}.", error.field) from None
    except Conflict:
        raise Refusal(409, "There is one with this id, name or key already.") from None
    except (SQLAlchemyError, OSError) as error:
        # The statement and its values are in its text: they are nobody's business.
        _log.error("the console's query failed", error=type(error).__name__)  # as above
        raise Refusal(503, "The database can't answer this now; try again.") from None


class Sight:
    """What one caller may see of the interaction log: everything, or one agent's part of it.

    All that the console shows of interactions is read through this, so that nothing can be shown past it.
    """

    def __init__(self, data: Data, agent: str | None) -> None:
        """``agent``: the only one whose interactions there are for this caller."""
        self._data = data
        self._agent = agent

    def _own(self, wanted: Filter) -> Filter:
        if self._agent is None:
            return wanted
        if wanted.agent not in (None, self._agent):
            raise Refusal(403, "This key sees its own agent's interactions alone.", "agent")
        return msgspec.structs.replace(wanted, agent=self._agent)

    async def interactions(self, wanted: Filter, limit: int, after: str | None) -> Page:
        """Return a page of interactions."""
        async with self._data.read() as connection:
            return await listing.page(connection, self._own(wanted), limit, after)

    async def interaction(self, id_: str) -> Row:
        """Return one interaction; raise a 404 for one that is not there, or another agent's."""
        async with self._data.read() as connection:
            found = await listing.one(connection, id_)
        if found is None or (self._agent is not None and found["agent"] != self._agent):
            raise not_found("interaction")
        return found

    async def body(self, id_: str, which: str) -> bytes | None:
        """Return a body of an interaction; ``None``: it was not stored, or is not stored any more."""
        await self.interaction(id_)
        async with self._data.read() as connection:
            return await listing.body(connection, id_, which)

    async def bodies(self, id_: str) -> tuple[tuple[bytes, list[bytes], bytes] | None, bytes]:
        """Return the request of an interaction, cut at its history, and its answer."""
        await self.interaction(id_)
        async with self._data.read() as connection:
            request = await bodies.request(connection, id_)
            return request, await listing.body(connection, id_, "response") or b""

    async def sessions(self, wanted: Filter, limit: int, after: str | None) -> Page:
        """Return a page of sessions."""
        async with self._data.read() as connection:
            return await sessions.page(connection, self._own(wanted), limit, after, self._agent)

    async def session(self, id_: str) -> Row:
        """Return one session; raise a 404 for one that is not there, or has nothing of this agent."""
        async with self._data.read() as connection:
            found = await sessions.one(connection, id_, self._agent)
        if found is None:
            raise not_found("session")
        return found

    async def statistics(
        self, by: str, bucket: str, from_: float | None, to: float | None
    ) -> list[dict[str, Any]]:
        """Return what was used."""
        async with self._data.read() as connection:
            return await statistics.sums(connection, by, bucket=bucket, from_=from_, to=to, agent=self._agent)
