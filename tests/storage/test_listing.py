"""Every filter selects what a plain search through all records would, in pages that join without a gap."""

import random

import pytest

from bench import million
from gateway.storage.queries import listing, search, sessions
from gateway.storage.queries.filter import first_id
from gateway.storage.queries.listing import Filter, InvalidFilter
from tests.storage.made import START, record, store

ROWS = 1500


@pytest.fixture
async def filled(database):
    """A database with records as the bench makes them, and those records."""
    made = list(million.records(ROWS, seed=7))
    # As they end, not as they begin.
    written = list(made)
    random.Random(3).shuffle(written)
    for n in range(0, ROWS, 500):
        await store(database, *written[n : n + 500])
    async with database.write() as connection:
        while await search.index_pending(connection, 400, str):
            pass
    return database, made


def holds(wanted: Filter, r) -> bool:
    plain = (
        "agent",
        "user",
        "team",
        "provider",
        "model",
        "status",
        "error_kind",
        "outcome",
        "source",
        "session",
    )
    return (
        all(getattr(wanted, name) in {None, getattr(r, name)} for name in plain)
        and (wanted.tool is None or wanted.tool in r.tools)
        and (wanted.blocked is None or wanted.blocked is bool(r.blocked_tools))
        and (wanted.from_ is None or r.id >= first_id(wanted.from_))
        and (wanted.to is None or r.id < first_id(wanted.to))
    )


async def pages(connection, wanted, limit):
    after, found = None, []
    while True:
        items, after = await listing.page(connection, wanted, limit, after)
        assert len(items) <= limit
        found += [each["id"] for each in items]
        if after is None:
            return found


async def test_filters_select_what_they_say(filled):
    database, made = filled
    newest = sorted(made, key=lambda r: r.id, reverse=True)
    async with database.read() as connection:
        for wanted in million.filters(triples=200):
            expected = [r.id for r in newest if holds(wanted, r)]
            items, after = await listing.page(connection, wanted, 20)
            assert [each["id"] for each in items] == expected[:20], wanted
            assert (after is not None) is (len(expected) > 20), wanted


@pytest.mark.parametrize("near", [40, 5000])
async def test_pages_join_without_a_gap(filled, monkeypatch, near):
    database, made = filled
    monkeypatch.setattr(listing, "_NEAR", near)
    newest = sorted(made, key=lambda r: r.id, reverse=True)
    async with database.read() as connection:
        for values in (
            {},
            {"agent": "agent-0"},
            {"status": 200},
            {"tool": "search"},
            {"session": "session-1-4"},
        ):
            wanted = Filter(**values)
            expected = [r.id for r in newest if holds(wanted, r)]
            assert await pages(connection, wanted, 17) == expected, wanted
            assert await pages(connection, wanted, 500) == expected, wanted


async def test_time_is_that_of_the_start(database):
    made = [record(START + n) for n in range(5)]
    await store(database, *reversed(made))
    async with database.read() as connection:
        items, _ = await listing.page(connection, Filter(from_=START + 1, to=START + 3), 10)
    assert [each["id"] for each in items] == [made[2].id, made[1].id]


async def test_search_finds_what_occurs(filled, url):
    database, made = filled
    term = next(r for r in made if million.RARE in r.text).text.split()[0]
    async with database.read() as connection:
        for wanted in (
            Filter(q=million.RARE),
            Filter(q=term),
            Filter(q=term, agent="agent-1"),
            Filter(q="absent"),
        ):
            expected = {r.id for r in made if holds(wanted, r) and wanted.q in r.text.split()}
            assert sorted(await pages(connection, wanted, 13)) == sorted(expected), wanted


@pytest.mark.parametrize(
    "wanted",
    [
        {"q": ""},
        {"q": " \u3000"},
        {"q": " ".join(f"word{n}" for n in range(33))},
        {"q": "x" * 1001},
        {"agent": "\0"},
        {"session": "\ud800"},
        {"status": 10**20},
        {"outcome": "bogus"},
        {"error_kind": "bogus"},
        {"source": "bogus"},
    ],
)
async def test_what_can_not_be_asked_for_is_said(database, wanted):
    async with database.read() as connection:
        with pytest.raises(InvalidFilter):
            await listing.page(connection, Filter(**wanted), 10)


@pytest.mark.parametrize("after", ["x", "-1", "9" * 30, "\u0661", ""])
async def test_a_cursor_that_is_none_is_said(database, after):
    async with database.read() as connection:
        with pytest.raises(InvalidFilter):
            await listing.page(connection, Filter(q="abc"), 10, after)
        for page in (listing.page, sessions.page):
            with pytest.raises(InvalidFilter):
                await page(connection, Filter(), 10, after)


HOSTILE = [
    "' OR 1=1 --",
    '"; DROP TABLE interactions; --',
    "%",
    "_",
    "\\",
    "*",
    "a AND b",
    "NEAR(a b)",
    "x'00'",
    "$1",
    ":q",
    "{}",
]


@pytest.mark.parametrize("value", HOSTILE)
async def test_sql_in_a_value_is_a_value(database, value):
    mine, other = (
        record(agent=value, session=value, text=f"abc {value} def", tools=(value,)),
        record(agent="a"),
    )
    await store(database, mine, other)
    async with database.write() as connection:
        await search.index_pending(connection, 10, str)
    async with database.read() as connection:
        for name in ("agent", "session", "tool"):
            items, _ = await listing.page(connection, Filter(**{name: value}), 10)
            assert [each["id"] for each in items] == [mine.id]
        items, _ = await listing.page(connection, Filter(user=value), 10)
        assert items == []
        items, _ = await listing.page(connection, Filter(q=f"abc {value} def"), 10)
        assert [each["id"] for each in items] == [mine.id]
