"""Summaries outlive the process: the first of one stays, is found by its key alone, and goes when nobody uses it."""

import asyncio
import time

import pytest
from sqlalchemy import select, update

from gateway.core.redaction import Redactor
from gateway.storage import summaries as module
from gateway.storage.queries import retention
from gateway.storage.queries.bodies import TOUCH
from gateway.storage.summaries import Summaries
from gateway.storage.tables import summaries

KEY = b"k" * 64
FIRST, SECOND = b"1" * 32, b"2" * 32


def kept(database, rules=(), *, bodies=True, key=KEY):
    return Summaries(database, key, Redactor(rules), bodies=bodies)


async def rows(database):
    async with database.read() as connection:
        return (await connection.execute(select(summaries))).all()


async def age(database, seconds):
    async with database.write() as connection:
        await connection.execute(update(summaries).values(used_at=int(time.time() - seconds)))


async def test_the_first_one_stays(database):
    assert await kept(database).load([FIRST, SECOND]) == {}
    assert await kept(database).save(FIRST, "the first") == "the first"
    assert await kept(database).save(FIRST, "the second") == "the first"
    assert await kept(database).save(SECOND, "ö\u2028") == "ö\u2028"
    assert await kept(database).load([SECOND, FIRST, b"3"]) == {FIRST: "the first", SECOND: "ö\u2028"}
    assert await kept(database).load([]) == {}


async def test_whoever_is_first_of_many_holds(database):
    found = await asyncio.gather(*(kept(database).save(FIRST, f"text {n}") for n in range(8)))
    assert len(set(found)) == 1


async def test_its_hash_can_t_be_guessed(database):
    await kept(database).save(FIRST, "the first")
    ((hash_, _, _),) = await rows(database)
    assert len(hash_) == 16
    assert FIRST not in hash_
    assert await kept(database, key=b"another" * 8).load([FIRST]) == {}


async def test_more_than_one_query_takes(database, monkeypatch):
    monkeypatch.setattr(module, "_TOGETHER", 2)
    keys = [bytes([n]) * 32 for n in range(5)]
    for key in keys:
        await kept(database).save(key, key.hex())
    await age(database, TOUCH + 10)
    assert await kept(database).load(keys) == {key: key.hex() for key in keys}
    assert all(row.used_at > time.time() - 10 for row in await rows(database))


async def test_what_is_not_used_goes(database):
    await kept(database).save(FIRST, "the first")
    await kept(database).save(SECOND, "the second")
    await age(database, 10 * 86400)
    await kept(database).load([SECOND])  # which says that it is used
    await retention.purge(database, time.time() - 5 * 86400)
    assert [row.text for row in await rows(database)] == ["the second"]


@pytest.mark.parametrize(
    ("rules", "bodies"), [((), False), (("sec.nd",), True), (("$.messages[*].content",), True)]
)
async def test_what_may_not_be_stored_is_not(database, rules, bodies):
    assert await kept(database, rules, bodies=bodies).save(FIRST, "the second") == "the second"
    assert await rows(database) == []
    await kept(database).save(FIRST, "the first")
    assert await kept(database, bodies=False).load([FIRST]) == {}
