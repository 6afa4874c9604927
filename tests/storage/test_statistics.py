"""Sums by hour are those of the rows, however these were written."""

import pytest
from sqlalchemy import func, select

from bench import million
from gateway.core.price import dollars
from gateway.core.record import Saved
from gateway.storage.queries import sessions, statistics
from gateway.storage.queries.filter import InvalidFilter
from gateway.storage.queries.listing import Filter
from gateway.storage.tables import MONEY, TOKENS, facets, interactions
from tests.storage.made import START, record, store


@pytest.fixture
async def filled(database):
    made = list(million.records(1000, seed=5))
    await store(database, *made[:600])
    await store(database, *made[300:], again=True)
    await store(database, *made, again=True)
    return database


@pytest.mark.parametrize("by", ["agent", "team", "user", "model", "provider"])
async def test_sums_reconcile_with_the_rows(filled, by):
    columns = [func.sum(interactions.c[name]).label(name) for name in (*TOKENS, *MONEY)]
    of_rows = (
        select(facets.c[by].label("group"), func.count().label("requests"), *columns)
        .join_from(interactions, facets, facets.c.id == interactions.c.facet)
        .group_by(facets.c[by])
    )
    async with filled.read() as connection:
        expected = {row["group"]: row for row in (await connection.execute(of_rows)).mappings()}
        found = await statistics.sums(connection, by)
    assert {each[by] for each in found} == set(expected)
    for each in found:
        row = expected[each[by]]
        assert each["requests"] == row["requests"]
        for name in TOKENS:
            assert each[name] == (None if row[name] is None else int(row[name])), name
        for name in ("cost", "baseline_cost"):
            # None in the rows: not one of them had a price.
            assert each[name] == dollars(None if row[name] is None else int(row[name])), name
    assert any(each["cost"] is None for each in found) is (by in {"agent", "user"})


async def test_the_dearest_come_first_and_time_in_its_order(filled):
    async with filled.read() as connection:
        by_agent = await statistics.sums(connection, "agent")
        by_day = await statistics.sums(connection, "time", bucket="day")
        by_hour = await statistics.sums(connection, "time")
    costs = [float(each["cost"] or 0) for each in by_agent]
    assert costs == sorted(costs, reverse=True)
    assert [each["time"] for each in by_day] == sorted(each["time"] for each in by_day)
    assert all(each["time"].endswith("T00:00:00Z") for each in by_day)
    for rows in (by_agent, by_day, by_hour):
        assert sum(each["requests"] for each in rows) == 1000


async def test_a_span_counts_whole_hours(database):
    hour = START // 3600 * 3600
    await store(database, *(record(hour + n * 1800) for n in range(6)))
    async with database.read() as connection:

        async def counted(from_, to):
            found = await statistics.sums(connection, "time", from_=from_, to=to)
            return [each["requests"] for each in found]

        assert await counted(None, None) == [2, 2, 2]
        assert await counted(hour + 3600, None) == [2, 2]
        assert await counted(hour + 1, hour + 7200) == [2, 2]
        assert await counted(hour + 7200.5, None) == [2]
        assert await counted(hour + 3 * 3600, None) == []


async def test_what_was_saved_failed_and_blocked(database):
    await store(
        database,
        record(saved=Saved(toon=5, cache=7), cost=3, blocked_tools=("x",), outcome="policy_blocked"),
        record(saved=Saved(toon=1), cost=None, outcome="internal", usage_source="estimated"),
        record(agent=None, cost=2 * 10**9, baseline_cost=3 * 10**9),
    )
    async with database.read() as connection:
        (found,) = await statistics.sums(connection, "agent")
    assert (found["agent"], found["requests"], found["failed"], found["blocked"], found["unpriced"]) == (
        None,
        3,
        2,
        1,
        1,
    )
    assert found["cost"] == "2.000000003"
    assert found["saved"] == {"toon": "0.000000006", "model_optimization": None, "cache": "0.000000007"}
    assert not [name for name in found if name.startswith("saved_")]


NOTHING_KNOWN = dict.fromkeys((*TOKENS, "cost", "baseline_cost"))


async def test_what_nothing_knows_is_unknown_and_what_some_know_is_the_sum_of_those(database):
    """In one batch and over several, in one hour and over several."""
    await store(
        database,
        record(model="a"),
        record(model="b", input_tokens=0, usage_source="reported"),
        record(model="c"),
    )
    await store(database, record(model="a"), record(START + 3600, model="a"), record(model="b", cost=0))
    await store(
        database,
        record(model="c", input_tokens=3, cost=5),
        record(model="c", input_tokens=4, usage_source="reported"),
    )
    await store(database, record(START + 7200, model="c"))
    async with database.read() as connection:
        found = {each.pop("model"): each for each in await statistics.sums(connection, "model")}
    unknown = {"toon": None, "model_optimization": None, "cache": None}
    assert {name: found["a"][name] for name in NOTHING_KNOWN} == NOTHING_KNOWN
    assert all(each["saved"] == unknown for each in found.values())
    assert {name: found["b"][name] for name in NOTHING_KNOWN} == NOTHING_KNOWN | {
        "input_tokens": 0,
        "cost": "0",
    }
    assert {name: found["c"][name] for name in NOTHING_KNOWN} == NOTHING_KNOWN | {
        "input_tokens": 7,
        "cost": "0.000000005",
    }
    # What used nothing has no price to be known.
    assert [found[name]["unpriced"] for name in "abc"] == [0, 1, 1]


@pytest.mark.parametrize(("by", "bucket"), [("id", "hour"), ("time", "year"), ("requests", "hour")])
async def test_other_dimensions_are_an_error(database, by, bucket):
    async with database.read() as connection:
        with pytest.raises(InvalidFilter):
            await statistics.sums(connection, by, bucket=bucket)


async def test_sessions_in_the_order_of_their_last_use(database):
    await store(
        database,
        record(START + 1, session="a", cost=5, input_tokens=1, agent="x", model="m1", duration_ms=1000.0),
        record(START + 2, session="b", agent="x"),
        record(START + 3, session="a", cost=6, input_tokens=2, agent="y", model="m2", duration_ms=2500.0),
        record(START + 4, session="c", agent="x", saved=Saved(toon=9)),
        record(START + 5, agent="x"),
    )
    async with database.read() as connection:
        first, after = await sessions.page(connection, Filter(), 2)
        second, end = await sessions.page(connection, Filter(), 2, after)
        of_y, _ = await sessions.page(connection, Filter(agent="y"), 2)
        alone = await sessions.one(connection, "a")
        assert await sessions.one(connection, "unknown") is None
    assert [each["id"] for each in first + second] == ["c", "a", "b"]
    assert end is None
    assert of_y == [alone]
    assert alone == first[1]
    assert (alone["requests"], alone["cost"], alone["input_tokens"]) == (2, "0.000000011", 3)
    assert (alone["agents"], alone["models"], alone["users"]) == (["x", "y"], ["m1", "m2"], [])
    assert alone["duration_ms"] == 4500.0
    assert second[0]["cost"] is None
    assert first[0]["saved"]["toon"] == "0.000000009"


async def test_sessions_of_many_interactions_page_through(filled):
    async with filled.read() as connection:
        after, found = None, []
        while True:
            items, after = await sessions.page(connection, Filter(), 7, after)
            found += [each["id"] for each in items]
            if after is None:
                break
        all_ = select(interactions.c.session).where(interactions.c.session.is_not(None)).group_by(
            interactions.c.session
        ).order_by(func.max(interactions.c.id).desc())  # fmt: skip
        assert found == list((await connection.execute(all_)).scalars())
