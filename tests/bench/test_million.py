"""The bench of storage fills a database, asks its questions, and says which were too slow."""

from sqlalchemy import select

from bench import million
from bench.million import Filter, Timed
from gateway.storage.database import Database
from gateway.storage.queries import bodies
from gateway.storage.tables import contents, histories, interactions
from tests.storage.made import count


async def test_a_small_one_is_filled_and_fast(tmp_path, monkeypatch):
    few = [Filter(), Filter(agent="agent-0"), Filter(status=200, to=million.END - 86400)]
    monkeypatch.setattr(million, "filters", lambda **_: iter(few))
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/gateway.db", b"key")
    await database.open()
    written, indexed = await million.fill(database, 1200)
    found = await million.measure(database)
    assert await count(database, interactions) == 1200
    assert await count(database, contents) == 1200
    await database.close()
    assert "bytes each, in pages of 16384" in million.sizes(tmp_path / "gateway.db", 1200)
    assert written > 0
    assert indexed > 0
    assert all(each.met for each in found)
    assert {each.kind for each in found} == set(million.BUDGETS)
    assert million.table(found).count("| met |") == len(found)


def test_the_same_seed_makes_the_same_interactions():
    made = [[(r.agent, r.cost, r.text) for r in million.records(50, seed=4)] for _ in range(2)]
    assert made[0] == made[1]


def test_every_filter_is_asked_for_alone_and_with_each_other():
    asked = [million._said(each) for each in million.filters()]
    for first in million.FILTERS:
        assert any(set(each) == {first} for each in asked)
        for second in million.FILTERS:
            assert first == second or any(set(each) == {first, second} for each in asked)


def test_what_is_too_slow_is_missed():
    slow = Timed("page", "one filter", [(0.001, "a"), (0.3, "b"), (0.002, "c")])
    assert not slow.met
    assert (slow.median, slow.worst) == (0.002, (0.3, "b"))
    assert "300.0 ms | 200 ms | MISSED" in million.table([slow])


async def test_bodies_are_stored_in_every_way_that_there_is(tmp_path):
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/gateway.db", b"key")
    await database.open()
    await million.fill(database, 600)
    made = list(million.records(600))
    async with database.read() as connection:
        stored = {row.id: row for row in await connection.execute(select(contents))}
        for n in (0, 3, 7, 397):
            of = next(
                stored[id_]
                for id_, text in ((row.id, row.text) for row in stored.values())
                if text == made[n].text
            )
            assert (of.request[:1] == b"\1") is (n % 10 == 7)
            assert (of.response[:1] == b"\1") is (n % 10 == 3)
            assert await bodies.read(connection, of.id, "request") == bytes(made[n].request)
            assert await bodies.read(connection, of.id, "response") == bytes(made[n].response)
    assert await count(database, histories) > 0
    await database.close()
