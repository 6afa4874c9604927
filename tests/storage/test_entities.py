"""What is configured: every write bumps the version and is in the audit log, or nothing of it happened."""

import asyncio

import msgspec
import pytest
from sqlalchemy import delete, update

from gateway.storage.database import Database
from gateway.storage.queries import audit, entities
from gateway.storage.queries.entities import Conflict
from gateway.storage.queries.filter import InvalidFilter
from gateway.storage.tables import audit as audit_rows
from gateway.storage.tables import entities as tables
from tests.storage.conftest import KEY


class Thing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    slug: str
    labels: dict[str, str] = {}
    hash: str = ""

    @property
    def natural_key(self) -> str:
        return self.slug


async def state(database):
    async with database.read() as connection:
        items, _ = await audit.page(connection, 100)
        return await entities.version(connection), [(each["action"], each["entity"]) for each in items]


async def create(database, thing, kind="agents"):
    async with database.write() as connection:
        return await entities.create(connection, kind, thing, "ann")


async def test_create_read_update_delete(database):
    thing = Thing(id="1", slug="support", labels={"env": "prod"}, hash="secret-hash")
    assert await create(database, thing) == 1
    async with database.read() as connection:
        assert await entities.read(connection, "agents", "1", Thing) == thing
        assert await entities.read(connection, "agents", "support", Thing) == thing
        assert await entities.read(connection, "agents", "other", Thing) is None
        assert await entities.read(connection, "teams", "1", Thing) is None
    changed = msgspec.structs.replace(thing, slug="help", hash="new-hash")
    async with database.write() as connection:
        assert await entities.update(connection, "agents", changed, "bob") == 2
    async with database.read() as connection:
        assert await entities.read(connection, "agents", "help", Thing) == changed
        assert await entities.read(connection, "agents", "support", Thing) is None
    async with database.write() as connection:
        assert await entities.delete(connection, "agents", "1", "ann") == 3
    async with database.read() as connection:
        assert await entities.read(connection, "agents", "1", Thing) is None
        items, _ = await audit.page(connection, 100)
    assert [(each["action"], each["actor"], each["kind"]) for each in items] == [
        ("delete", "ann", "agents"),
        ("update", "bob", "agents"),
        ("create", "ann", "agents"),
    ]
    assert items[1]["before"]["slug"] == "support"
    assert items[1]["after"]["slug"] == "help"
    assert items[2]["before"] is None
    assert items[0]["after"] is None
    assert "hash" not in str(items).replace("'hash': '…'", "")


async def test_what_is_not_there_is_not_changed(database):
    async with database.write() as connection:
        assert await entities.update(connection, "agents", Thing(id="x", slug="x"), "ann") is None
        assert await entities.delete(connection, "agents", "x", "ann") is None
    assert (await state(database))[1] == []


@pytest.mark.parametrize("second", [Thing(id="1", slug="other"), Thing(id="2", slug="support")])
async def test_a_conflict_leaves_no_trace(database, second):
    await create(database, Thing(id="1", slug="support"))
    before = await state(database)
    with pytest.raises(Conflict):
        await create(database, second)
    assert await state(database) == before
    # Of another kind it is none.
    await create(database, second, "teams")


async def test_an_update_may_not_take_anothers_key(database):
    await create(database, Thing(id="1", slug="a"))
    await create(database, Thing(id="2", slug="b"))
    with pytest.raises(Conflict):
        async with database.write() as connection:
            await entities.update(connection, "agents", Thing(id="2", slug="a"), "ann")
    async with database.read() as connection:
        assert (await entities.read(connection, "agents", "2", Thing)).slug == "b"


async def test_pages_and_everything(database):
    for n in range(7):
        await create(database, Thing(id=f"{n}", slug=f"s{n}"))
    async with database.read() as connection:
        first, after = await entities.page(connection, "agents", Thing, 5)
        second, end = await entities.page(connection, "agents", Thing, 5, after)
        version, everything = await entities.load_all(connection, {"agents": Thing, "teams": Thing})
    assert [each.id for each in first + second] == [f"{n}" for n in range(7)]
    assert end is None
    assert version == 7
    assert everything == {"agents": first + second, "teams": []}


async def test_rows_of_other_versions_are_read_as_far_as_they_can_be(database):
    for n in range(3):
        await create(database, Thing(id=f"{n}", slug=f"s{n}"))
    table = tables["agents"]
    async with database.write() as connection:
        newer = '{"id":"0","slug":"s0","invented_later":true}'
        await connection.execute(update(table).where(table.c.id == "0").values(data=newer))
        await connection.execute(update(table).where(table.c.id == "1").values(data="not json"))
    async with database.read() as connection:
        _, everything = await entities.load_all(connection, {"agents": Thing})
    assert [each.id for each in everything["agents"]] == ["0", "2"]


async def test_writers_stand_in_line(database, url):
    """Two processes write at once: every version is given out once, and the audit log is one chain."""
    other = Database(url, KEY)
    await other.open()
    versions = await asyncio.gather(
        *(create((database, other)[n % 2], Thing(id=f"{n}", slug=f"s{n}")) for n in range(20))
    )
    await other.close()
    assert sorted(versions) == list(range(1, 21))
    async with database.read() as connection:
        assert await audit.first_broken(connection) is None


@pytest.mark.parametrize(
    ("tamper", "broken"),
    [
        (update(audit_rows).where(audit_rows.c.number == 2).values(actor="eve"), 2),
        (delete(audit_rows).where(audit_rows.c.number == 2), 3),
        (update(audit_rows).where(audit_rows.c.number == 4).values(before="{}"), 4),
    ],
)
async def test_a_changed_audit_row_shows(database, tamper, broken):
    for n in range(4):
        await create(database, Thing(id=f"{n}", slug=f"s{n}"))
    async with database.write() as connection:
        await connection.execute(tamper)
    async with database.read() as connection:
        assert await audit.first_broken(connection) == broken


async def test_audit_pages(database):
    for n in range(5):
        await create(database, Thing(id=f"{n}", slug=f"s{n}"))
    async with database.read() as connection:
        first, after = await audit.page(connection, 3)
        second, end = await audit.page(connection, 3, after)
        assert [each["entity"] for each in first + second] == ["4", "3", "2", "1", "0"]
        assert end is None
        for odd in ("x", "\u0661", "9" * 30):
            with pytest.raises(InvalidFilter):
                await audit.page(connection, 3, odd)
