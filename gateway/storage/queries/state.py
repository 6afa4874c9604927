"""Numbers that all processes share."""

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.storage.statement import Statement
from gateway.storage.tables import state

_increase = Statement(
    lambda _: (
        update(state)
        .where(state.c.name == bindparam("of"))
        .values(value=state.c.value + bindparam("by"))
        .returning(state.c.value)
    )
)


async def increase(connection: AsyncConnection, name: str, by: int = 1) -> int:
    """Add to a number and return the sum. Others who want to wait until this transaction has ended."""
    return int(await _increase.value(connection, (by, name)))


async def put(connection: AsyncConnection, name: str, value: int) -> None:
    """Set a number."""
    await connection.execute(update(state).where(state.c.name == name).values(value=value))


async def get(connection: AsyncConnection, name: str) -> int:
    """Return a number."""
    found = await connection.execute(select(state.c.value).where(state.c.name == name))
    return int(found.scalar_one())
