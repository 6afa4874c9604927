"""Declared tools: there once however often and by whomever they are seen, with their versions, and within bounds."""

import asyncio
import sqlite3

import msgspec
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from gateway.core.discovery import Sighting, sighting
from gateway.core.view import Tool
from gateway.storage import discoveries as discovering
from gateway.storage.database import Database
from gateway.storage.discoveries import Discoveries
from gateway.storage.queries import tools as queries
from gateway.storage.queries.filter import InvalidCursor
from gateway.storage.queries.tools import MOST_VERSIONS, Wanted, names, one, page, remember, surplus
from gateway.storage.tables import tool_versions, tools
from tests.storage.conftest import KEY
from tests.storage.made import count


def seen(
    name="read",
    at=1000.0,
    *,
    agent="support",
    description="Reads.",
    schema=None,
    client="sdk/1",
    built_in=False,
):
    raw = msgspec.Raw(msgspec.json.encode(schema)) if schema is not None else msgspec.Raw(b"")
    tool = Tool(name, description, raw, built_in)
    return sighting(tool, agent=agent, client=client, at=at, contents=True)


async def store(database, *sightings):
    async with database.write() as connection:
        await remember(connection, sightings)


async def listed(database, limit=50, after=None, **wanted):
    async with database.read() as connection:
        items, after = await page(connection, Wanted(**wanted), limit, after)
    return _decoded(items), after


async def read(database, id_):
    async with database.read() as connection:
        return _decoded(await one(connection, id_))


def _decoded(value):
    """As the API answers it."""
    return msgspec.json.decode(msgspec.json.encode(value))


async def test_one_that_is_seen_often_is_there_once(database):
    await store(database, seen(at=1000.0, schema={"a": 1}), seen(at=1000.0, schema={"a": 1}))
    await store(database, seen(at=2000.0, schema={"a": 1}, client="sdk/2"))
    await store(
        database, seen(at=500.0, schema={"a": 1}, client="late")
    )  # of another process, which was slow
    [item], after = await listed(database)
    assert after is None
    assert item == {
        "id": seen().tool,
        "agent": "support",
        "name": "read",
        "kind": "function",
        "first_seen": "1970-01-01T00:08:20Z",
        "last_seen": "1970-01-01T00:33:20Z",
        "client": "sdk/2",
        "description": "Reads.",
        "parameters": {"a": 1},
        "parameters_bytes": 7,
        "versions": 1,
    }
    assert await count(database, tool_versions) == 1


async def test_whatever_makes_it_another_one(database):
    await store(database, seen(), seen(agent="sales"), seen("Read"), seen(built_in=True))
    assert await count(database, tools) == 4


async def test_a_change_is_a_version_of_the_same_tool(database):
    await store(database, seen(at=1000.0, schema={"a": 1}))
    await store(database, seen(at=2000.0, schema={"a": 2}, client="sdk/2"))
    await store(database, seen(at=3000.0, schema={"a": 2}, description="Reads files."))
    [item], _ = await listed(database)
    assert (item["versions"], item["description"], item["parameters"]) == (3, "Reads files.", {"a": 2})
    found = await read(database, item["id"])
    history = found.pop("history")
    assert found == item
    assert [(each["parameters"], each["first_seen"], each["client"]) for each in history] == [
        ({"a": 2}, "1970-01-01T00:50:00Z", "sdk/1"),
        ({"a": 2}, "1970-01-01T00:33:20Z", "sdk/2"),
        ({"a": 1}, "1970-01-01T00:16:40Z", "sdk/1"),
    ]
    # Back to the first: it is no new version, and the current one again.
    await store(database, seen(at=4000.0, schema={"a": 1}))
    [item], _ = await listed(database)
    assert (item["versions"], item["parameters"], item["client"]) == (3, {"a": 1}, "sdk/1")
    assert (await read(database, item["id"]))["history"][0]["first_seen"] == "1970-01-01T00:16:40Z"


async def test_of_many_versions_the_last_are_kept(database):
    for number in range(MOST_VERSIONS + 5):
        await store(database, seen(at=float(number), description=f"It is {number}."))
    await store(database, seen("other"))
    found = await read(database, seen().tool)
    assert [each["description"] for each in found["history"]] == [
        f"It is {number}." for number in range(MOST_VERSIONS + 4, 4, -1)
    ]
    assert found["first_seen"] == "1970-01-01T00:00:00Z"
    assert (await read(database, seen("other").tool))["versions"] == 1


async def test_of_large_versions_fewer_are_kept_and_always_the_last(database):
    large = {"x": "y" * 60_000}
    for number in range(7):
        await store(database, seen("large", at=float(number), schema=large | {"n": number}))
        await store(database, seen("hash", at=float(number), schema=large | {"z": "z" * 9000, "n": number}))
        await store(database, seen("last", at=float(number), schema={"n": number}))
    found = await read(database, seen("large").tool)
    assert [each["parameters"]["n"] for each in found["history"]] == [6, 5, 4, 3]
    assert (await read(database, seen("hash").tool))["versions"] == 7
    assert (await read(database, seen("last").tool))["versions"] == 7


async def test_two_processes_at_once(url):
    first, second = Database(url, KEY), Database(url, KEY)
    await first.open()
    await second.open()
    batch = [seen(f"t{number}", schema={"n": number}) for number in range(50)]
    try:
        await asyncio.gather(
            *(
                store(database, *(batch if forwards else reversed(batch)))
                for _ in range(5)
                for database, forwards in ((first, True), (second, False))
            )
        )
        assert (await count(first, tools), await count(first, tool_versions)) == (50, 50)
    finally:
        await first.close()
        await second.close()


async def test_a_page_after_the_other(database):
    await store(
        database,
        *(seen(f"t{number:02}", agent=agent) for number in range(7) for agent in ("support", "sales")),
    )
    found, after = [], None
    while True:
        items, after = await listed(database, 4, after)
        found += [(item["name"], item["agent"]) for item in items]
        if after is None:
            break
    assert sorted(found) == sorted((f"t{n:02}", agent) for n in range(7) for agent in ("support", "sales"))
    assert [name for name, _ in found] == sorted(name for name, _ in found)
    with pytest.raises(InvalidCursor):
        await listed(database, 4, "none")


async def test_names_go_by_their_bytes_on_both_databases(database):
    wanted = ["Read", "_x", "read", "read-file", "read_file", "äpfel"]
    await store(database, *map(seen, reversed(wanted)))
    items, _ = await listed(database)
    assert [item["name"] for item in items] == wanted
    items, after = await listed(database, 3)
    assert [item["name"] for item in (await listed(database, 3, after))[0]] == wanted[3:]


async def test_filters(database):
    await store(
        database,
        seen("read_file"),
        seen("Web__Read", agent="sales"),
        seen("search", built_in=True),
        seen("100%"),
    )

    async def found(**wanted):
        return {item["name"] for item in (await listed(database, **wanted))[0]}

    assert await found(agent="sales") == {"Web__Read"}
    assert await found(kind="built_in") == {"search"}
    assert await found(q="READ") == {"read_file", "Web__Read"}
    assert await found(q="%") == {"100%"}
    assert await found(q="d_f") == {"read_file"}
    assert await found(name="read_file") == {"read_file"}
    assert await found(name="read") == set()
    assert await found(q="read", agent="support") == {"read_file"}


async def test_which_are_ids_and_which_are_names(database):
    id_ = seen().tool
    await store(database, seen(), seen(id_))
    async with database.read() as connection:
        by_id, called = await names(connection, [id_, "read", "other"])
    assert (by_id, called) == ({id_: "read"}, {"read", id_})


async def test_one_odd_row_breaks_no_list(database):
    await store(database, seen("a", schema={"a": 1}), seen("b"))
    async with database.write() as connection:
        await connection.execute(text("UPDATE tool_versions SET parameters = '{broken'"))
        await connection.execute(text("INSERT INTO tools VALUES ('x', 'support', 'c', 'odd', 1e300, 1)"))
    items, _ = await listed(database)
    assert [(item["name"], item["parameters"], item["versions"]) for item in items] == [
        ("a", None, 1),
        ("b", None, 1),
        ("c", None, 0),
    ]
    assert (await read(database, "x"))["history"] == []


async def test_an_agent_may_have_so_many_tools(database):
    await store(database, seen("a"), seen("b"), seen("c", agent="sales"))
    async with database.read() as connection:
        new = [seen("b"), seen("d"), seen("e"), seen("f", agent="sales")]
        over = await surplus(connection, new, most=3)
    assert over == {seen("e").tool}


# How they come there.


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(discovering, "_DELAY", 0.01)
    monkeypatch.setattr(discovering, "_LATER", 0.05)


async def until(holds):
    async with asyncio.timeout(10):
        while not await holds():  # noqa: ASYNC110  # of a database
            await asyncio.sleep(0.01)


async def _said(logs):
    return bool(logs)


def opened(database, lag=lambda: 0.0, **options):
    made = Discoveries(database, lag, **options)
    made.open()
    return made


async def test_what_is_put_is_there_soon(database, quick):
    found = opened(database)
    assert found.put([seen("a"), seen("b")])
    assert found.put([seen("a"), seen("nul\0")])
    await until(lambda: _are(database, 3))
    assert (found.stored, found.dropped, found._waiting, found._size) == (3, 0, {}, 0)
    await found.close()


async def _are(database, number):
    return await count(database, tools) == number


async def test_what_waits_is_stored_at_the_end(database):
    found = opened(database)
    found.put([seen("a")])
    await found.close()
    assert await _are(database, 1)
    assert not found.put([seen("b")])


async def test_the_surplus_is_counted_and_told_of_once(database, quick):
    found = opened(database, most=3)
    with capture_logs() as logs:
        for number in range(6):
            found.put([seen(f"t{number}")])
            await until(lambda: _none(found))
    assert await _are(database, 3)
    assert (found.stored, found.dropped) == (3, 3)
    assert [line["agent"] for line in logs] == ["support"]
    found.put([seen("t0", at=5000.0)])
    await found.close()
    assert (await read(database, seen("t0").tool))["last_seen"] == "1970-01-01T01:23:20Z"


async def _none(found):
    return not found._waiting


async def test_records_go_first(database, quick):
    lag = 5.0
    found = opened(database, lambda: lag)
    found.put([seen("a")])
    await asyncio.sleep(0.2)
    assert await _are(database, 0)
    lag = 0.0
    await until(lambda: _are(database, 1))
    await found.close()


async def test_a_locked_database_is_waited_for(tmp_path, quick):
    path = tmp_path / "gateway.db"
    database = Database(f"sqlite+aiosqlite:///{path}", KEY)
    await database.open()
    found = opened(database)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with capture_logs() as logs:
        found.put([seen("a")])
        await until(lambda: _said(logs))
        assert "have to wait" in logs[0]["event"]
        other.execute("ROLLBACK")
        await until(lambda: _are(database, 1))
    other.close()
    await found.close()
    await database.close()


async def test_there_is_only_so_much_room(database, monkeypatch):
    found = Discoveries(database, lambda: 0.0)
    monkeypatch.setattr(discovering, "_MOST", 10)
    assert found.put([seen(f"t{n}") for n in range(10)])
    assert not found.put([seen("one more")])
    monkeypatch.setattr(discovering, "_MOST", 100)
    monkeypatch.setattr(discovering, "_MUCH", 50)
    assert not found.put([seen("one more")])
    await found.close()


async def test_what_the_database_can_not_hold_keeps_nothing_out(database, quick, monkeypatch):
    store_them, tried = queries.remember, []

    async def picky(connection, sightings: list[Sighting]):
        tried.append(len(sightings))
        if any(each.name == "poison" for each in sightings):
            raise ValueError("not this one")
        await store_them(connection, sightings)

    monkeypatch.setattr(queries, "remember", picky)
    monkeypatch.setattr(discovering, "_TRIES", 3)
    found = opened(database)
    found.put([seen("poison")])
    await until(lambda: _none(found))
    found.put([seen("a")])
    await until(lambda: _are(database, 1))
    assert len(tried) == 4
    await found.close()


async def test_a_stop_fails_by_nothing(database, monkeypatch):
    async def broken(*_):
        raise OSError("away")

    monkeypatch.setattr(queries, "remember", broken)
    found = opened(database)
    found.put([seen("a")])
    with capture_logs() as logs:
        await found.close()
    assert "not stored" in logs[0]["event"]


async def test_one_that_was_never_opened_closes(database):
    await Discoveries(database, lambda: 0.0).close()
