"""Interactions are written once, whatever way they come, and read as they were."""

import asyncio

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from gateway.core.record import Body, Saved, Started
from gateway.storage.queries import interactions, listing, statistics
from gateway.storage.queries.listing import Filter
from gateway.storage.tables import contents, facets, in_flight
from gateway.storage.tables import interactions as rows
from gateway.tasks import spawn
from tests.storage.made import START, body, count, record, store


async def one(database, id_):
    async with database.read() as connection:
        return await listing.one(connection, id_)


async def total(database, name="requests"):
    async with database.read() as connection:
        return sum(each[name] for each in await statistics.sums(connection, "time"))


async def test_nobody_waits_while_the_rows_of_a_large_batch_are_made():
    turns, made = 0, []

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def make(place):
        made.append((place, turns))
        return (place,)

    task = spawn(other(), name="other")
    rows = await interactions._made(make, range(700))
    task.cancel()
    assert rows == [(place,) for place in range(700)]
    assert [turn for _, turn in made] == [0] * 250 + [1] * 250 + [2] * 200


def full():
    return record(
        parent_id="p-1",
        source="dual_llm",
        agent="support",
        user="ann",
        team="care",
        virtual_key="k-1",
        external_agent="their-agent",
        session="s-1",
        session_source="header",
        run="r-1",
        client="sdk/1.0",
        streamed=True,
        requested_model="large",
        model="small",
        response_model="small-2025",
        status=429,
        outcome="upstream_status",
        error_kind="rate_limit",
        error="slow down",
        finish_reason="stop",
        input_tokens=10,
        output_tokens=0,
        cache_read_tokens=3,
        reasoning_tokens=2,
        usage_source="reported",
        cost=123_400,
        baseline_cost=10**9,
        saved=Saved(toon=5),
        price={"input": "3"},
        first_byte_ms=1.5,
        first_token_ms=2.5,
        duration_ms=3.5,
        overhead_ms=0.25,
        context_trusted=False,
        blocked_tools=("rm",),
        decisions=[{"kind": "call", "tool": "rm", "action": "block_always"}],
        notes={"toon": {"saved": 7}},
        attempts=2,
        request_bytes=100,
        response_bytes=200,
        tools=("rm", "ls", "ls"),
    )


async def test_everything_comes_back(database):
    written = full()
    await store(database, written)
    found = await one(database, written.id)
    odd = {"started_at", "cost", "baseline_cost", "saved", "blocked_tools", "tools"}
    plain = {
        name: getattr(written, name)
        for name in written.__struct_fields__
        if name not in {*odd, "text", "request", "forwarded", "response"}
    }
    assert {name: found[name] for name in plain} == plain
    assert found["started_at"] == "2025-10-09T08:53:20Z"
    assert (found["cost"], found["baseline_cost"]) == ("0.0001234", "1")
    assert found["saved"] == {"toon": "0.000000005", "model_optimization": None, "cache": None}
    assert found["tools"] == ["ls", "rm"]
    assert found["blocked_tools"] == ["rm"]


async def test_what_is_not_known_is_none(database):
    written = record(status=None)
    await store(database, written)
    found = await one(database, written.id)
    for name in ("agent", "status", "cost", "input_tokens", "first_byte_ms", "context_trusted", "session"):
        assert found[name] is None, name


async def test_a_record_takes_the_place_of_its_start(database):
    written = record()
    start = Started(written.id, START, "w1", "acme", "POST /v1/chat")
    await store(database, starts=[start])
    assert await count(database, in_flight) == 1
    assert await one(database, written.id) is None
    await store(database, written)
    assert await count(database, in_flight) == 0
    assert await count(database, rows) == 1


async def test_a_start_that_comes_with_its_record_is_not_written(database):
    written = record()
    await store(database, written, starts=[Started(written.id, START, "w1", "acme", "POST /v1/chat")])
    assert await count(database, in_flight) == 0


@pytest.mark.parametrize("worker", ["w1", None])
async def test_what_a_dead_worker_had_in_hand_is_lost(database, worker):
    mine, other = record(), record()
    await store(
        database,
        starts=[
            Started(
                mine.id,
                START,
                "w1",
                "acme",
                "POST /v1/chat",
                "support",
                "k-1",
                team="care",
                user="ann",
                session="s-1",
                session_source="header",
                requested_model="m-1",
            ),
            Started(other.id, START, "w2", "acme", "POST /v1/chat"),
        ],
    )
    async with database.write() as connection:
        assert await interactions.close_lost(connection, worker) == (1 if worker else 2)
    found = await one(database, mine.id)
    assert (found["outcome"], found["agent"], found["virtual_key"]) == ("lost", "support", "k-1")
    assert (found["team"], found["user"]) == ("care", "ann")
    assert (found["session"], found["session_source"]) == ("s-1", "header")
    assert (found["requested_model"], found["model"]) == ("m-1", "m-1")
    assert await count(database, in_flight) == (1 if worker else 0)
    assert await total(database) == (1 if worker else 2)


async def test_what_ended_is_not_lost_though_its_start_is_there(database):
    written = record()
    await store(database, written)
    await store(database, starts=[Started(written.id, START, "w1", "acme", "POST /v1/chat")])
    async with database.write() as connection:
        await interactions.close_lost(connection)
    assert (await one(database, written.id))["outcome"] == "ok"
    assert await count(database, in_flight) == 0
    assert await total(database) == 1


async def test_a_batch_that_comes_again_changes_nothing(database):
    batch = [record(cost=5, output_tokens=3, text=f"text {n}", request=body(b"%d" % n)) for n in range(10)]
    await store(database, *batch[:6])
    await store(database, *batch, *batch, again=True)
    await store(database, *batch, again=True)
    assert await count(database, rows) == 10
    assert await count(database, contents) == 10
    assert await total(database) == 10
    assert await total(database, "output_tokens") == 30


@pytest.mark.parametrize("many", [1, 9, 70])  # each way in which SQLite is given rows
async def test_without_again_a_second_time_is_an_error_and_leaves_no_trace(database, many):
    first, others = record(agent="a"), [record(agent="new") for _ in range(many)]
    await store(database, first)
    with pytest.raises(IntegrityError):
        await store(database, *others, first)
    assert await count(database, rows) == 1
    # What the failed transaction made is not believed to be there.
    await store(database, *others)
    async with database.read() as connection:
        assert len((await listing.page(connection, Filter(agent="new"), 100))[0]) == many


@pytest.mark.parametrize(
    "odd",
    [
        {"model": "a\0b"},
        {"session": "half \ud800"},
        {"input_tokens": 10**30},
        {"duration_ms": float("nan")},
        {"notes": {"x": ["\0"]}},
        {"text": "null \0 in text"},
        {"tools": ("\0",)},
        {"error": "x" * 100_000},
    ],
)
async def test_values_that_a_database_refuses_hold_up_nothing(database, odd):
    strange, good = record(**odd), record()
    try:
        await store(database, strange, good)
    except (DBAPIError, OverflowError, UnicodeEncodeError, ValueError):
        await store(database, strange, good, again=True)
    assert await count(database, rows) == 2
    async with database.read() as connection:
        items, _ = await listing.page(connection, Filter(), 10)
    assert {each["id"] for each in items} == {strange.id, good.id}


async def test_one_odd_row_does_not_break_a_list(database):
    good, odd = record(), record()
    await store(database, good, odd)
    async with database.write() as connection:
        await connection.execute(
            rows.update().where(rows.c.id == odd.id).values(data="[not json", started_at=1e18)
        )
        await connection.execute(facets.update().values(tools='{"a":1}'))
    async with database.read() as connection:
        items, _ = await listing.page(connection, Filter(), 10)
    assert [each["id"] for each in items] == [odd.id, good.id]
    assert items[0]["started_at"] is None
    assert items[0]["tools"] == []


async def test_facets_are_shared(database):
    await store(database, *(record(START + n, agent=f"a{n % 3}") for n in range(30)))
    assert await count(database, facets) == 3
    async with database.read() as connection:
        newest = select(func.max(rows.c.id), func.min(rows.c.id)).join_from(
            rows, facets, facets.c.id == rows.c.facet
        ).where(facets.c.agent == "a1")  # fmt: skip
        last, first = (await connection.execute(newest)).one()
        kept = select(facets.c.last_id, facets.c.first_id).where(facets.c.agent == "a1")
        assert (await connection.execute(kept)).one() == (last, first)


async def test_bodies_come_back_byte_for_byte(database):
    written = record(
        request=body(b'{"role":"system"}', b'{"role":"user","content":"\xc3\xa9"}'),
        forwarded=Body(b"\xff\x00 not text"),
        response=Body(b"data: x\n\n"),
    )
    without = record(text="no bodies")
    await store(database, written, without)
    async with database.read() as connection:
        for which in ("request", "forwarded", "response"):
            stored = await listing.body(connection, written.id, which)
            assert stored == bytes(getattr(written, which))
            assert await listing.body(connection, without.id, which) is None
            assert await listing.body(connection, "unknown", which) is None
