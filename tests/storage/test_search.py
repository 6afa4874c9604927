"""Text search finds the same on every database: each text in which all terms occur, and no other."""

import random

import pytest

from gateway.core.search import folded, terms
from gateway.storage.queries import listing, search
from gateway.storage.queries.listing import Filter
from tests.storage.made import START, record, store
from tests.storage.test_listing import filled, holds, pages

__all__ = ["filled"]

TEXTS = [
    "the Quick brown fox",
    "100% of quick_start",
    "100 xof quickystart",
    "caf\u00e9 \u4e2d\u6587\u5b57 a\\b",
    "CAFE\u0301 \u0421\u041b\u041e\u0412\u041e Stra\u00dfe \u039c\u0391\u03aa\u039f\u03a3",
    "quick\n\n  BROWN\u00a0dog \uff21\uff22\uff23 of\ufb01ce",
    'calls {"city": "Reykjav\u00edk", "days": 3}',
    "fox brown the",
    "",
]


async def _texts(database, texts):
    """Store texts and index them; return what searches them."""
    made = [record(START + n, text=text) for n, text in enumerate(texts)]
    await store(database, *made)
    async with database.write() as connection:
        await search.index_pending(connection, 1000, str)

    async def found(term, **options):
        async with database.read() as connection:
            ids = await pages(connection, Filter(q=term, **options), 3)
        assert ids == sorted(ids, reverse=True), "the newest first"
        return [n for n, each in enumerate(made) if each.id in ids]

    return found


async def test_what_is_found(database):
    found = await _texts(database, TEXTS)
    # Parts of words, whatever their case.
    assert await found("quick") == [0, 1, 2, 5]
    assert await found("UIC") == [0, 1, 2, 5]
    # Every character is taken as it is.
    assert await found("quick_s") == [1]
    assert await found("100%") == [1]
    assert await found("a\\b") == [3]
    assert await found("%") == [1]
    assert await found("%%%%") == []
    assert await found("_") == [1]
    assert await found("a_b_c") == []
    # All of the words, in any order; those between quotation marks as they stand there.
    assert await found("brown QUICK") == [0, 5]
    assert await found("brown fox") == [0, 7]
    assert await found('"Brown fox"') == [0]
    assert await found('"quick brown" d') == [5]
    assert await found('"city": 3}') == [6]
    assert await found('"city": "days') == [6]
    # Short ones, alone and with others.
    assert await found("of") == [1, 2, 5]
    assert await found("x") == [0, 2, 7]
    assert await found("o quick") == [0, 1, 2, 5]
    assert await found("zz") == []
    assert await found("quick zz") == []
    assert await found("\u4e2d\u6587") == [3]
    assert await found("\u6587") == [3]
    assert await found('"\u00e9 \u4e2d"') == [3]
    # Of this one, asked by LIKE, SQLite 3.40 dies.
    assert await found("i\u0307%ssa\\a") == []


@pytest.mark.parametrize(
    ("term", "where"),
    [
        ("CAF\u00c9", [3, 4]),
        ("cafe\u0301", [3, 4]),
        ("\u0441\u043b\u043e\u0432\u043e", [4]),
        ("STRASSE", [4]),
        ("stra\u00dfe", [4]),
        ("\u03bc\u03b1\u03ca\u03bf\u03c2", [4]),
        ("abc", [5]),
        ("office", [5]),
        ("REYKJAV\u00cdK", [6]),
    ],
)
async def test_case_and_form_of_all_of_unicode(database, term, where):
    found = await _texts(database, TEXTS)
    assert await found(term) == where


LETTERS = [
    "a",
    "B",
    "b",
    "\u00c9",
    "e\u0301",
    "\u00df",
    "\u0130",
    "\u4e2d",
    "\u6587",
    "%",
    "_",
    '"',
    " ",
    "\n",
    "\\",
    "\U0001d400",
]


@pytest.mark.parametrize("window", [20, 10_000])
async def test_it_is_what_a_plain_look_through_all_texts_finds(database, monkeypatch, window):
    monkeypatch.setattr(search, "_WINDOW", window)
    monkeypatch.setattr(search, "_SCAN", 0 if window == 20 else 10)
    dice = random.Random(window)

    def made_up(longest):
        return "".join(dice.choices(LETTERS, k=dice.randrange(longest)))

    texts = [made_up(40) for _ in range(500)]
    found = await _texts(database, texts)
    hits = 0
    for n in range(200):
        query = made_up(6) if n % 2 else dice.choice(texts)[dice.randrange(9) :][: 1 + n % 20]
        if terms(query):
            expected = [
                n for n, text in enumerate(texts) if all(term in folded(text) for term in terms(query))
            ]
            assert await found(query) == expected, query
            hits += len(expected)
    assert hits > 1000


async def test_search_may_lag(database):
    made = record(text="Something said")
    await store(database, made)
    async with database.read() as connection:
        assert await pages(connection, Filter(q="something"), 10) == []
    async with database.write() as connection:
        assert await search.index_pending(connection, 10, str) == 1
        assert await search.index_pending(connection, 10, str) == 0
    async with database.read() as connection:
        assert await pages(connection, Filter(q="something"), 10) == [made.id]


async def test_what_is_indexed_at_once_is_bounded(database):
    await store(database, *(record(START + n, text=f"{n}" + "x" * 99) for n in range(5)))
    async with database.read() as connection:
        unread = await search.unread(connection, 100)
    assert [len(await search.texts(unread[:n], str)) for n in (0, 5)] == [0, 5]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_MUCH", 200)
        assert [number for _, number in await search.texts(unread, str)] == [1, 2]
        patch.setattr(search, "_MUCH", 10)
        assert [number for _, number in await search.texts(unread, str)] == [1]


async def test_the_index_is_used(database, url):
    """What few texts hold is found without reading the others."""
    await _texts(database, [f"text number {n} " + "and so on " * 20 for n in range(3000)])
    dialect, keys = url.split("+")[0], search._KEYS_OF
    _, hits = search._hits(dialect, Filter(), ["number 77"], list(keys[dialect](["number 77"])))
    async with database.read() as connection:
        compiled = str(hits.compile(connection.engine.sync_engine, compile_kwargs={"literal_binds": True}))
        explain = "EXPLAIN QUERY PLAN" if "sqlite" in url else "EXPLAIN"
        rows = (await connection.exec_driver_sql(f"{explain} {compiled.replace('%%', '%')}")).all()
    plan = "\n".join(str(row) for row in rows)
    assert ("SCAN texts VIRTUAL TABLE INDEX 0:M" if "sqlite" in url else "ix_contents_text") in plan, plan


async def test_a_page_that_looked_at_enough_has_a_next_one(filled, monkeypatch):
    database, made = filled
    monkeypatch.setattr(search, "_ENOUGH", 0)
    monkeypatch.setattr(search, "_QUICK", 0)
    monkeypatch.setattr(search, "_WINDOW", 50)
    term = made[0].text.split()[0]
    wanted = Filter(q=term, agent="agent-2")
    expected = {r.id for r in made if holds(wanted, r) and term in r.text.split()}
    async with database.read() as connection:
        items, after = await listing.page(connection, wanted, 500)
        assert after
        assert len(items) < len(expected)
        assert sorted(await pages(connection, wanted, 500)) == sorted(expected)
