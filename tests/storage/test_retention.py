"""After the retention time what was said is gone, and what was counted stays."""

from sqlalchemy import select, text

from gateway.core.record import Body
from gateway.storage.packing import unpacked
from gateway.storage.queries import bodies, listing, retention, search, statistics
from gateway.storage.queries.listing import Filter
from gateway.storage.tables import contents, histories, messages
from tests.storage.made import START, body, count, record, store

DAY = 86400
LONG = b"," + b"long " * 400


async def fill(database, monkeypatch, *, days=10, each=3):
    """Some interactions a day, written when they happened; the system prompt is that of all."""
    made = []
    for day in range(days):
        now = START + day * DAY
        monkeypatch.setattr(bodies.time, "time", lambda now=now: now)
        batch = [
            record(
                now + n,
                text=f"words of day{day} number {n}",
                request=body(b"system", b"question %d %d" % (day, n), LONG[1:] + b"%d %d" % (day, n)),
                response=Body(b"answer %d %d" % (day, n)),
                cost=1,
            )
            for n in range(each)
        ]
        await store(database, *batch)
        made += batch
    async with database.write() as connection:
        await search.index_pending(connection, 10_000, str)
    return made


async def test_what_was_said_goes_and_what_was_counted_stays(database, monkeypatch):
    made = await fill(database, monkeypatch)
    old, new = made[:12], made[12:]
    assert await retention.purge(database, START + 4 * DAY) == len(old)
    assert await retention.purge(database, START + 4 * DAY) == 0
    async with database.read() as connection:
        for each in old:
            assert await listing.body(connection, each.id, "request") is None
            assert (await listing.one(connection, each.id))["cost"] == "0.000000001"
        for each in new:
            assert await listing.body(connection, each.id, "request") == bytes(each.request)
            assert await listing.body(connection, each.id, "response") == bytes(each.response)
        assert sum(each["requests"] for each in await statistics.sums(connection, "time")) == len(made)
        assert (await listing.page(connection, Filter(q="day3"), 10))[0] == []
        assert len((await listing.page(connection, Filter(q="day4"), 10))[0]) == 3
        long = (await connection.execute(select(messages.c.content))).scalars()
        short = (await connection.execute(select(histories.c.content))).scalars()
        kept = {unpacked(content) for content in long} | {bytes(content) for content in short if content}
    assert not {LONG + b"3 0", b",question 3 2"} & kept
    assert {b"system", LONG + b"4 0", b",question 4 2"} <= kept
    # The shared beginning and what the newer ones add to it.
    assert await count(database, histories) == 1 + 2 * len(new)


async def test_in_slices(database, monkeypatch):
    made = await fill(database, monkeypatch)
    monkeypatch.setattr(retention, "_SLICE", 4)
    assert await retention.purge(database, START + 9 * DAY) == len(made) - 3
    assert await count(database, contents) == 3
    assert await count(database, histories) == 1 + 6
    assert await retention.purge(database, START + 99 * DAY) == 3
    assert await count(database, contents) == 0
    assert await count(database, messages) == 0


async def test_what_is_used_again_stays(database, monkeypatch):
    """An old conversation that goes on keeps the messages that it resends."""
    await fill(database, monkeypatch, days=2, each=1)
    later = START + 9 * DAY
    monkeypatch.setattr(bodies.time, "time", lambda: later)
    again = record(later, request=body(b"system", b"question 0 0", b"and now?"))
    await store(database, again)
    await retention.purge(database, START + 8 * DAY)
    async with database.read() as connection:
        assert await listing.body(connection, again.id, "request") == bytes(again.request)
    assert await count(database, histories) == 3


async def test_new_ones_are_searched_after_all_old_ones_went(database, monkeypatch, url):
    await fill(database, monkeypatch, days=1)
    await retention.purge(database, START + DAY)
    new = record(START + 2 * DAY, text="something new")
    await store(database, new)
    async with database.write() as connection:
        await search.index_pending(connection, 10, str)
        if "sqlite" in url:
            await connection.execute(text("INSERT INTO texts (texts, rank) VALUES ('integrity-check', 1)"))
    async with database.read() as connection:
        items, _ = await listing.page(connection, Filter(q="something new"), 10)
        assert [each["id"] for each in items] == [new.id]
        assert (await listing.page(connection, Filter(q="number"), 10))[0] == []


async def test_what_search_does_not_know_yet_goes_too(database, monkeypatch):
    await store(database, *(record(START + n, text=f"text {n}") for n in range(10)))
    async with database.write() as connection:
        await search.index_pending(connection, 4, str)
    assert await retention.purge(database, START + 8) == 8
    async with database.write() as connection:
        await search.index_pending(connection, 100, str)
    async with database.read() as connection:
        assert len((await listing.page(connection, Filter(q="text"), 50))[0]) == 2
