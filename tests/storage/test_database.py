"""Opening a database: made if there is none, migrated once, never replaced."""

import asyncio
import os
import sqlite3
import ssl
import stat
import sys
import traceback
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event, inspect, select, text
from sqlalchemy.exc import DBAPIError

from bench import million
from gateway.core.record import Started
from gateway.settings import SettingsError
from gateway.storage import migrate as migrating
from gateway.storage.database import Database, DatabaseUnusable
from gateway.storage.queries import interactions, listing
from gateway.storage.queries.listing import Filter
from gateway.storage.tables import in_flight, metadata, usage_by_hour
from gateway.storage.tables import interactions as rows
from gateway.tasks import spawn
from tests.storage.conftest import KEY
from tests.storage.made import count, record, store

ROOT = Path(__file__).parents[2]


async def run(script: str) -> None:
    """Run a script in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode == 0, said.decode()


def path(url: str) -> Path:
    if "sqlite" not in url:
        pytest.skip("there is no file")
    return Path(url.partition("///")[2])


async def test_migrations_make_the_tables_that_are_declared(database):
    def differences(connection):
        ours = {
            *metadata.tables,
            *(index.name for table in metadata.tables.values() for index in table.indexes),
        }
        options = {"include_name": lambda name, kind, _: kind not in {"table", "index"} or name in ours}
        return [
            each
            for each in compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
            if "words" not in str(each)  # of PostgreSQL's text search, which has no like elsewhere
        ]

    async with database.read() as connection:
        assert await connection.run_sync(differences) == []


_SHAPE = {
    "sqlite": "SELECT type, name, tbl_name FROM sqlite_master ORDER BY 1, 2",
    "postgresql": """
        SELECT indexname, indexdef, attstattarget FROM pg_indexes
        JOIN pg_attribute ON attrelid = quote_ident(indexname)::regclass AND attnum = 1 WHERE schemaname = 'public'
        UNION ALL SELECT proname, pg_get_functiondef(pg_proc.oid), 0 FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace ORDER BY 1""",
}


def _everything(connection):
    """All that a database holds: tables with their columns, indexes, what search needs, and the first rows."""
    found = inspect(connection)
    columns = {
        table: [(c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(table)]
        for table in found.get_table_names()
        if not table.startswith("texts")
    }
    shape = connection.execute(text(_SHAPE[connection.dialect.name])).all()
    states = sorted(connection.execute(text("SELECT name, value FROM state")).all())
    version = connection.execute(text("SELECT version_num FROM alembic_version")).all()
    return columns, shape, states, version


async def test_a_new_database_is_what_the_migrations_make(database, url, monkeypatch, request, tmp_path):
    if "sqlite" in url:
        other = f"sqlite+aiosqlite:///{tmp_path}/migrated.db"
    else:
        server = request.getfixturevalue("server")
        server.sql("CREATE DATABASE migrated")
        other = server.url("migrated")
    monkeypatch.setattr(migrating, "create", lambda connection, _: migrating.upgrade(connection))
    migrated = Database(other, KEY)
    await migrated.open()
    async with database.read() as made, migrated.read() as stepwise:
        assert await made.run_sync(_everything) == await stepwise.run_sync(_everything)
    await store(migrated, record())
    assert await count(migrated, rows) == 1
    await migrated.close()


async def test_sums_of_an_earlier_revision_are_made_anew_from_the_rows(database, monkeypatch):
    """Revision 0001 had 0 where nothing was known: here it has nothing at all."""
    await store(database, *million.records(500, seed=7))
    await store(database, record(user="nobody knows"))
    await store(database, record(user="unpriced", usage_source="estimated", notes={"usage_source": 1}))
    await store(database, record(user="free", notes={"said": '"usage_source":"reported"'}))
    sums = select(usage_by_hour).order_by(*usage_by_hour.primary_key)
    async with database.read() as connection:
        expected = (await connection.execute(sums)).all()
    monkeypatch.setattr(migrating, "HEAD", "0002")  # the columns that later steps add are there already
    async with database.write() as connection:
        await connection.execute(usage_by_hour.delete())
        await connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
        await connection.run_sync(migrating.upgrade)
    async with database.read() as connection:
        assert (await connection.execute(sums)).all() == expected
    assert any(row.cost is None for row in expected)
    unpriced = {row.user: row.unpriced for row in expected}
    assert [unpriced[user] for user in ("nobody knows", "unpriced", "free")] == [0, 1, 0]


async def test_a_start_with_no_database_needs_no_alembic(url):
    script = f"""
import asyncio, sys
from gateway.storage.database import Database
async def main():
    database = Database({url!r}, {KEY!r})
    await database.open()
    await database.close()
asyncio.run(main())
assert "alembic" not in sys.modules
"""
    await run(script)


def test_the_newest_step_is_the_head():
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(migrating.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [migrating.HEAD]


async def test_a_second_start_finds_the_data_and_needs_no_alembic(database, url):
    written = record()
    await store(database, written)
    script = f"""
import asyncio, sys
from gateway.storage.database import Database
from gateway.storage.queries import interactions, listing
async def main():
    database = Database({url!r}, {KEY!r})
    await database.open()
    async with database.read() as connection:
        assert await listing.one(connection, {written.id!r})
    await database.close()
asyncio.run(main())
assert "alembic" not in sys.modules
"""
    await run(script)


async def test_processes_that_start_at_once_do_not_collide(url):
    script = f"""
import asyncio
from gateway.storage.database import Database
from gateway.storage.queries import interactions
from tests.storage.made import record
async def main():
    database = Database({url!r}, {KEY!r})
    await database.open()
    async with database.write() as connection:
        await interactions.write(connection, (), [record()])
    await database.close()
asyncio.run(main())
"""
    await asyncio.gather(*(run(script) for _ in range(4)))
    database = Database(url, KEY)
    await database.open()
    assert await count(database, rows) == 4
    await database.close()


async def test_a_new_file_is_opened_by_many_in_the_same_moment(tmp_path):
    """SQLite doesn't wait for others who switch it to WAL, and so this failed now and then."""
    for each in range(10):
        url = f"sqlite+aiosqlite:///{tmp_path / str(each)}.db"
        many = [Database(url, KEY) for _ in range(6)]
        try:
            before = await asyncio.gather(*(each.open() for each in many))
        finally:
            await asyncio.gather(*(each.close() for each in many))
        assert set(before) <= {"", migrating.HEAD}


async def test_a_newer_database_is_left_alone(database, url):
    async with database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseUnusable, match="newer"):
        await Database(url, KEY).open()


async def test_readers_can_not_write(database):
    with pytest.raises(DBAPIError):
        async with database.read() as connection:
            await connection.execute(rows.delete())


async def test_a_file_is_its_owners_alone(database, url):
    assert stat.S_IMODE(path(url).stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"this is no database at all, whatever its name says" * 100, None])
async def test_a_file_that_can_not_be_read_stays_as_it_is(tmp_path, content):
    file = tmp_path / "gateway.db"
    if content is None:
        with sqlite3.connect(file) as connection:
            connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.close()
        content = file.read_bytes()[:3000] + os.urandom(1000)
    file.write_bytes(content)
    with pytest.raises(DatabaseUnusable, match=r"gateway\.db"):
        await Database(f"sqlite+aiosqlite:///{file}", KEY).open()
    assert file.read_bytes() == content


@pytest.mark.parametrize(
    "url",
    [
        "sqlite+aiosqlite://",
        "sqlite+aiosqlite:///:memory:",
        "nonsense",
        "postgresql+asyncpg://nobody@/x?host=/nowhere",
        "mysql+aiomysql://x/y",
        "postgresql+asyncpg://me@127.0.0.1:54x2/x",
        "postgresql+asyncpg://me@127.0.0.1:1/x?sslmode=require",
        "postgresql+asyncpg://me@127.0.0.1:1/x?ssl=perhaps",
    ],
)
async def test_a_url_that_can_not_be_used_is_an_error_of_the_settings(url):
    with pytest.raises(SettingsError) as raised:
        await Database(url, KEY).open()
    assert str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "me:s3cret@127.0.0.1:1/x",
        "me:s3cret@127.0.0.1:5x/x",
        "me:a@s3cret@127.0.0.1:1/x",
        "me:a/s3cret@127.0.0.1:1/x",
        "me:a?s3cret@127.0.0.1:1/x",
        "me@127.0.0.1:1/x?password=s3cret",
    ],
)
async def test_a_password_is_not_shown(url):
    with pytest.raises(DatabaseUnusable) as raised:
        await Database(f"postgresql+asyncpg://{url}", KEY).open()
    assert "s3cret" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("how", ["deleted", "moved", "replaced"])
async def test_a_file_that_goes_away_is_noticed(database, url, how):
    """SQLite itself goes on to write to a file that nobody can find."""
    file = path(url)
    await store(database, record())
    if how == "moved":
        file.rename(file.with_suffix(".old"))
    else:
        for each in file.parent.glob("gateway.db*"):
            each.unlink()
    if how == "replaced":
        other = Database(url, KEY)
        await other.open()
        await other.close()
    written = record()
    await store(database, written)
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT id FROM interactions").fetchall() == [(written.id,)]
    connection.close()
    async with database.read() as connection:
        assert len((await listing.page(connection, Filter(), 10))[0]) == 1


async def test_a_server_that_restarts_is_found_again(database, url, server):
    if "postgresql" not in url:
        pytest.skip("there is no server")
    await store(database, record())
    server.stop()
    written = record()
    with pytest.raises((DBAPIError, OSError)):
        await store(database, written)
    server.start()
    await store(database, written, again=True)
    assert await count(database, rows) == 2


async def test_what_an_earlier_version_had_in_hand_is_lost_all_the_same(url, monkeypatch, request, tmp_path):
    other = f"sqlite+aiosqlite:///{tmp_path}/earlier.db"
    if "postgresql" in url:
        server = request.getfixturevalue("server")
        server.sql("CREATE DATABASE earlier")
        other = server.url("earlier")
    with monkeypatch.context() as before:
        before.setattr(migrating, "HEAD", "0001")
        before.setattr(migrating, "create", lambda connection, _: migrating.upgrade(connection))
        earlier = Database(other, KEY)
        await earlier.open()
        async with earlier.write() as connection:
            await connection.execute(
                text(
                    "INSERT INTO in_flight (id, started_at, worker, provider, endpoint, agent)"
                    " VALUES ('1', 1.0, 'w', 'acme', 'POST /x', 'support')"
                )
            )
        await earlier.close()
    now = Database(other, KEY)
    await now.open()
    async with now.write() as connection:
        assert await interactions.close_lost(connection) == 1
    async with now.read() as connection:
        found = await listing.one(connection, "1")
    assert (found["outcome"], found["agent"], found["team"]) == ("lost", "support", None)
    await now.close()


async def test_who_is_cancelled_while_it_waits_to_begin_holds_no_lock_afterwards(database, url):
    file = path(url)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def write():
        async with database.write() as connection:
            await connection.execute(text("UPDATE state SET value = value"))

    waiting = spawn(write(), name="waiting")
    await asyncio.sleep(0.3)
    waiting.cancel()
    other.execute("COMMIT")
    with pytest.raises(asyncio.CancelledError):
        await waiting
    other.execute("PRAGMA busy_timeout = 500")
    other.execute("BEGIN IMMEDIATE")  # would be locked
    other.execute("COMMIT")
    other.close()
    await write()


async def test_a_cancellation_is_not_lost_with_the_connection(database):
    with pytest.raises(asyncio.CancelledError):
        async with database.write() as connection:
            await connection.execute(text("UPDATE state SET value = value"))
            await connection.invalidate()
            raise asyncio.CancelledError
    await store(database, record())


async def test_what_is_wrong_with_connecting_is_no_fault_of_a_record(database):
    def refuse(*_):
        raise ssl.SSLCertVerificationError("certificate has expired")

    await database.close()
    event.listen(database._writer.sync_engine, "do_connect", refuse)
    with pytest.raises(ConnectionError, match="certificate has expired"):
        await store(database, record())
    event.remove(database._writer.sync_engine, "do_connect", refuse)
    await store(database, record())


async def test_a_start_is_over_whichever_connection_writes_its_end(database):
    begun = Started("a", 1.0, "w1", "acme", "POST /x")
    async with database.write() as connection:
        await interactions.write(connection, [begun], [])
    await database._writer.dispose()
    await store(database, record(id="a"))
    assert await count(database, in_flight) == 0


async def test_an_error_says_nothing_of_what_was_to_be_stored(database):
    with pytest.raises(DBAPIError) as caught:
        async with database.write() as connection:
            await connection.execute(text("UPDATE nowhere SET x = :said"), {"said": "the secret prompt"})
    assert "secret" not in str(caught.value)
