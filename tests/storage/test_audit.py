"""The audit log's chain, on both databases."""

import asyncio

import pytest
from sqlalchemy import delete, update

from gateway.core.entities import Team
from gateway.storage.database import Database
from gateway.storage.queries import audit, entities, sessions, statistics
from gateway.storage.queries.filter import Filter
from gateway.storage.tables import audit as rows
from tests.storage.conftest import KEY
from tests.storage.made import START, record, store


async def write(database, count=1, **options):
    for number in range(count):
        async with database.write() as connection:
            await audit.add(connection, "someone", "create", "teams", f"t{number}", **options)


async def broken(database):
    async with database.read() as connection:
        return await audit.first_broken(connection)


async def test_a_row_says_who_from_where_and_how_it_went(database):
    await write(database, address="10.0.0.1", result="forbidden")
    async with database.read() as connection:
        [row], after = await audit.page(connection, 10)
    assert (row["actor"], row["address"], row["result"], after) == ("someone", "10.0.0.1", "forbidden", None)
    async with database.write() as connection:
        await entities.create(connection, "teams", Team(id="t", slug="t"), "else", "10.0.0.2")
    async with database.read() as connection:
        [row, _], _ = await audit.page(connection, 10)
    assert (row["actor"], row["address"], row["result"]) == ("else", "10.0.0.2", "ok")


@pytest.mark.parametrize(
    ("change", "number"),
    [
        (update(rows).where(rows.c.number == 2).values(entity="t9"), 2),
        (update(rows).where(rows.c.number == 2).values(address="10.0.0.9"), 2),
        (delete(rows).where(rows.c.number == 2), 3),
        (delete(rows).where(rows.c.number == 4), 4),
        (delete(rows), 1),
    ],
)
async def test_what_is_done_to_it_shows(database, change, number):
    await write(database, 4)
    assert await broken(database) is None
    async with database.write() as connection:
        await connection.execute(change)
    assert await broken(database) == number


async def test_two_processes_make_one_chain(database, url):
    other = Database(url, KEY)
    await other.open()
    try:
        await asyncio.gather(*(write(each, 10) for each in (database, other)))
    finally:
        await other.close()
    assert await broken(database) is None
    async with database.read() as connection:
        assert len((await audit.page(connection, 100))[0]) == 20


async def test_one_agent_sees_its_part_alone(database):
    await store(
        database,
        record(agent="a", session="both", cost=5),
        record(START + 1, agent="b", session="both", cost=7),
        record(START + 2, agent="b", session="other", cost=9),
    )
    async with database.read() as connection:
        found, _ = await sessions.page(connection, Filter(agent="a"), 10, agent="a")
        assert [(one["id"], one["requests"], one["agents"]) for one in found] == [("both", 1, ["a"])]
        assert (await sessions.one(connection, "both", "a"))["cost"] == "0.000000005"
        assert await sessions.one(connection, "other", "a") is None
        assert (await sessions.one(connection, "both"))["requests"] == 2
        [row] = await statistics.sums(connection, "provider", agent="a")
        assert (row["requests"], row["cost"]) == (1, "0.000000005")
