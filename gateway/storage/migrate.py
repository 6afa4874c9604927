"""Bring a database to this version's tables, under a lock, so that processes which start at once don't collide.

Alembic is imported only when there is something to do: it costs memory and time that a start should not.
"""

from pathlib import Path
from typing import Any

from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.storage.creation import create

HEAD = "0005"
"""The newest revision in ``migrations/versions``."""

_LOCK = 7_305_118_220_114_733_921  # any number that nobody else uses
_WAIT = 60
"""Seconds to wait for another process that migrates."""


class NewerDatabase(Exception):
    """A newer version of this program has migrated the database."""


async def migrate(engine: AsyncEngine) -> str:
    """Migrate if there is anything to do; wait if another process is at it. Returns the revision before."""
    async with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            # The transaction itself is the lock. The driver is told directly: a statement would begin one.
            raw: Any = await connection.get_raw_connection()
            await raw.driver_connection.execute(f"PRAGMA busy_timeout = {_WAIT * 1000}")
        async with connection.begin():
            if connection.dialect.name == "postgresql":
                await connection.execute(text(f"SET LOCAL statement_timeout = {_WAIT * 1000}"))
                await connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            before = await connection.run_sync(_upgrade)
        await connection.invalidate()  # its settings were for this alone
    return before


def revision(connection: Connection) -> str:
    """Return the revision of the tables that there are; empty: there are none."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or ""
    if found > HEAD:
        raise NewerDatabase(f"its tables are of a newer version of llm-gateway ({found} after {HEAD})")
    return str(found)


def _upgrade(connection: Connection) -> str:
    before = revision(connection)
    if before == HEAD:
        return before
    if not inspect(connection).get_table_names():
        create(connection, HEAD)
    else:
        upgrade(connection)
    return before


def upgrade(connection: Connection) -> None:
    """Bring tables of an earlier version, or none, to this one's, step by step."""
    from alembic import command  # noqa: PLC0415  # only where it is needed, as said above
    from alembic.config import Config  # noqa: PLC0415  # as above

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)
