"""`migrate`: what it does to either database, and what it says."""

import sqlite3
import stat

from gateway.storage.database import Database
from gateway.storage.migrate import HEAD
from tests.harness.command import run, started


async def revision(url: str) -> str:
    database = Database(url, b"")
    try:
        return await database.revision()
    finally:
        await database.close()


async def test_it_says_what_it_did(url, tmp_path):
    assert await revision(url) == ""
    done = run("migrate", cwd=tmp_path, GATEWAY_DATABASE_URL=url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"was empty, and has its tables now, at revision {HEAD}.\n")
    assert await revision(url) == HEAD
    again = run("migrate", cwd=tmp_path, GATEWAY_DATABASE_URL=url)
    assert again.returncode == 0
    assert again.stdout.endswith(f"is at revision {HEAD} already: nothing was to do.\n")


async def test_two_at_once_do_not_collide(url, tmp_path):
    both = [started("migrate", cwd=tmp_path, GATEWAY_DATABASE_URL=url) for _ in range(2)]
    said = {process.communicate(timeout=60)[0].partition(" was ")[2] for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert said == {"to do.\n", f"empty, and has its tables now, at revision {HEAD}.\n"}


def test_nothing_is_needed_but_the_database(tmp_path):
    done = run("migrate", cwd=tmp_path)
    assert done.returncode == 0
    made = [each for each in (tmp_path / ".local/state/llm-gateway").iterdir() if each.suffix != ".db"]
    assert made == []  # no secret key, which may be kept elsewhere
    file = tmp_path / ".local/state/llm-gateway/gateway.db"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_can_not_be_used_is_left_as_it_is(tmp_path):
    file = tmp_path / "gateway.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
    connection.close()
    before = file.read_bytes()
    done = run("migrate", cwd=tmp_path, GATEWAY_DATABASE_URL=f"sqlite+aiosqlite:///{file}")
    assert done.returncode == 78
    assert "GATEWAY_DATABASE_URL: " in done.stderr
    assert "newer version of llm-gateway (9999 after" in done.stderr
    assert file.read_bytes()[100:] == before[100:]  # the header says which journal there is


def test_no_password_is_shown(tmp_path):
    place = "postgresql+asyncpg://me:s3cret-canary@127.0.0.1:1/x"
    done = run("migrate", cwd=tmp_path, GATEWAY_DATABASE_URL=place)
    assert done.returncode == 78
    assert "GATEWAY_DATABASE_URL: the database at 127.0.0.1 can't be used" in done.stderr
    assert "s3cret" not in done.stdout + done.stderr
