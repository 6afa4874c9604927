"""A conversation that resends its history stores each message once, and so do others that say the same."""

import pytest
from sqlalchemy import func, select

from gateway.core.record import Body
from gateway.storage.queries import bodies, listing
from gateway.storage.tables import contents, histories, messages
from tests.storage.made import START, body, count, record, store


def turn(n: int) -> list[bytes]:
    """The whole history at turn n: a question and an answer more than at the turn before."""
    return [b'{"role":"user","content":"%s"}' % (b"%d " % each * 600) for each in range(2 * n + 1)]


async def converse(database, turns: range):
    for n in turns:
        await store(database, record(START + n, request=body(*turn(n)), response=Body(b"answer %d" % n)))


async def size(database) -> int:
    async with database.read() as connection:
        stored = select(func.sum(func.length(messages.c.content)))
        return (await connection.execute(stored)).scalar_one()


async def test_a_conversation_grows_linearly(database):
    await converse(database, range(100))
    hundred = await size(database), await count(database, messages), await count(database, histories)
    await converse(database, range(100, 200))
    two_hundred = await size(database), await count(database, messages), await count(database, histories)
    # Twice as long, twice as large; resent in full it would be four times.
    for before, after in zip(hundred, two_hundred, strict=True):
        assert after == pytest.approx(2 * before, rel=0.15)
    # 399 messages and as many links, prefix and suffix.
    assert two_hundred[1:] == (399 + 2, 399)
    async with database.read() as connection:
        last = (await connection.execute(select(func.max(contents.c.id)))).scalar_one()
        assert await listing.body(connection, last, "request") == bytes(body(*turn(199)))


async def test_the_file_grows_linearly(database, url, tmp_path):
    if "sqlite" not in url:
        pytest.skip("the size of a file")

    async def file() -> int:
        async with database.read() as connection:
            pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
        return pages * 4096

    empty = await file()
    await converse(database, range(100))
    hundred = await file() - empty
    await converse(database, range(100, 200))
    assert await file() - empty < 2.4 * hundred


@pytest.mark.parametrize("whole", [b"{}", b"\0", b"\1{}", b"\1" + bytes(48), b"\2", b" "])
async def test_a_body_that_is_not_cut_comes_back_whatever_it_begins_with(database, whole):
    stored = record(request=Body(whole), response=Body(whole))
    await store(database, stored)
    async with database.read() as connection:
        assert await listing.body(connection, stored.id, "request") == whole
        assert await listing.body(connection, stored.id, "response") == whole


async def test_what_several_say_is_stored_once(database):
    long, short = b"x" * 2000, b"y"
    same = body(long, short)
    other = Body(b"another prefix", same.messages[::-1], same.suffix)
    made = [record(request=same), record(request=same), record(request=other, response=Body(b"hi"))]
    for each in made:
        await store(database, each)
    # Prefix, the long message, suffix, another prefix; what is short is in its link.
    assert await count(database, messages) == 4
    assert await count(database, histories) == 4
    async with database.read() as connection:
        for each in made:
            assert await listing.body(connection, each.id, "request") == bytes(each.request)


async def test_hashes_are_keyed(database):
    from gateway.storage.known import Known

    content = b"yes"
    assert Known(b"one key", set()).hash(content) != Known(b"another", set()).hash(content)
    assert Known(b"one key", set()).hash(content) == Known(b"one key", set()).hash(content)


async def test_a_rolled_back_batch_is_not_believed_to_be_there(database):
    written = record(request=body(b"1", b"2"))
    with pytest.raises(ZeroDivisionError):
        async with database.write() as connection:
            from gateway.storage.queries import interactions

            await interactions.write(connection, (), [written])
            raise ZeroDivisionError
    await store(database, written)
    async with database.read() as connection:
        assert await listing.body(connection, written.id, "request") == bytes(written.request)


async def test_use_is_written_down_at_most_once_in_a_while(database, monkeypatch):
    now = [1_000_000.0]
    monkeypatch.setattr(bodies.time, "time", lambda: now[0])

    async def used() -> int:
        async with database.read() as connection:
            return (await connection.execute(select(func.min(histories.c.used_at)))).scalar_one()

    for passed, seen in ((0, 0), (600, 0), (bodies.TOUCH, bodies.TOUCH), (bodies.TOUCH + 60, bodies.TOUCH)):
        now[0] = 1_000_000.0 + passed
        await store(database, record(request=body(b"same")))
        assert await used() == 1_000_000 + seen


async def test_a_full_memory_of_what_is_known_costs_only_writes(database, monkeypatch):
    from gateway.storage import known

    monkeypatch.setattr(known, "_MOST", 4)
    made = [
        record(START + n, agent=f"a{n % 7}", request=body(*turn(n % 5)), response=Body(b"%d" % n))
        for n in range(40)
    ]
    await store(database, *made)
    for each in made:
        each.id = record().id
    await store(database, *made)
    assert await count(database, histories) == 9
    async with database.read() as connection:
        for each in made:
            assert await listing.body(connection, each.id, "request") == bytes(each.request)
