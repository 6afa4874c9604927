"""Records for the tests."""

from gateway.core.interaction import new_id
from gateway.core.record import Body, Record
from gateway.storage.queries import interactions

START = 1_760_000_000.0


def record(at: float = START, **changes) -> Record:
    values = {
        "id": new_id(at),
        "started_at": at,
        "provider": "acme",
        "endpoint": "POST /v1/chat",
        "outcome": "ok",
        "status": 200,
        **changes,
    }
    return Record(**values)


def body(*messages: bytes) -> Body:
    """A request whose history is these messages."""
    first, *others = messages
    return Body(b'{"messages":[', (first, *(b"," + each for each in others)), b"]}")


async def store(database, *records, **options):
    async with database.write() as connection:
        await interactions.write(connection, options.pop("starts", ()), records, **options)


async def count(database, table) -> int:
    from sqlalchemy import func, select

    async with database.read() as connection:
        return (await connection.execute(select(func.count()).select_from(table))).scalar_one()
