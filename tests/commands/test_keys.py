"""`keys create`, `list` and `revoke`: by a user beside a gateway that runs, or without one."""

import asyncio
import getpass
import re
import sqlite3
import time

import pytest

from gateway.core.entities import VirtualKey
from gateway.secrets import Keyring
from gateway.storage.database import Database
from gateway.storage.queries import audit, entities
from tests.clients.scripted import http, request, scripted
from tests.harness.client import exchange
from tests.harness.command import run
from tests.harness.dialects import DIALECTS
from tests.harness.upstream import compile_script, send

MASTER = "canary-master-" + "m" * 32
CONFIGURATION = f"""
[[agents]]
slug = "support"
[[virtual_keys]]
name = "of the file"
hash = "{"0f" * 32}"
"""


class Place:
    """A folder with a configuration, a database, and the command line."""

    def __init__(self, folder, url):
        self.folder = folder
        self.url = url
        self.variables = {"GATEWAY_DATABASE_URL": url, "GATEWAY_SECRET_KEY": MASTER}
        (folder / "gateway.toml").write_text(CONFIGURATION)

    def run(self, *arguments):
        return run("keys", *arguments, cwd=self.folder, **self.variables)

    def create(self, *arguments):
        """Create a key; return its id and what a client sends."""
        done = self.run("create", *arguments)
        assert done.returncode == 0, done.stderr
        assert re.fullmatch(r"gw_[A-Za-z0-9_-]{43}\n", done.stdout)
        key = done.stdout.strip()
        assert key not in done.stderr
        return re.search(r"Created (\S+) in ", done.stderr)[1], key

    def listed(self):
        done = self.run("list")
        assert (done.returncode, done.stderr) == (0, "")
        return [re.split(r" {2,}", line) for line in done.stdout.splitlines()]

    async def stored(self, id_):
        """The key as it is stored, and the audit log, oldest first."""
        database = Database(self.url, b"")
        try:
            async with database.read() as connection:
                key = await entities.read(connection, "virtual_keys", id_, VirtualKey)
                rows, _ = await audit.page(connection, 100)
        finally:
            await database.close()
        return key, rows[::-1]


@pytest.fixture
def place(url, tmp_path):
    return Place(tmp_path, url)


@pytest.fixture
def sqlite_place(tmp_path):
    return Place(tmp_path, f"sqlite+aiosqlite:///{tmp_path}/gateway.db")


async def test_a_running_gateway_takes_a_key_and_gives_it_up(place):
    """Created: it opens; revoked: it does not, both within five seconds, of which two were promised."""
    variables = {**place.variables, "GATEWAY_AUTH": "required", "OPENAI_API_KEY": "stored-openai"}
    async with scripted(variables) as gate:
        id_, key = place.create("--name", "ci", "--agent", "default", "--provider", "openai")
        sent = request("/v1/openai/models", None, [f"Authorization: Bearer {key}"])

        async def until(status):
            end = time.monotonic() + 5
            while (got := await exchange(gate.gateway.port, sent)).response.status != status:
                assert time.monotonic() < end, got.raw
                await asyncio.sleep(0.1)

        gate.upstream.queue.append(compile_script([send(http(b'{"data":[]}'))], DIALECTS["chat"]))
        await until(200)
        assert [r.header("authorization") for r in gate.upstream.requests] == ["Bearer stored-openai"]
        done = place.run("revoke", id_)
        assert (done.returncode, done.stderr) == (0, "")
        await until(401)
        assert key not in "\n".join(gate.gateway.output.lines)


async def test_what_is_stored_of_a_key(place):
    said = [
        "--name",
        "ci",
        "--agent",
        "support",
        "--user",
        "ann",
        "--provider",
        "openai",
        "--provider",
        "groq",
    ]
    id_, key = place.create(*said, "--model", "gpt-4o*", "--expires", "2099-01-01")
    stored, _ = await place.stored(id_)
    assert stored.hash == Keyring(MASTER).hash(key)
    assert stored.hint == key[:7]
    assert (stored.name, stored.agent, stored.user, stored.team) == ("ci", "support", "ann", "")
    assert (stored.providers, stored.models) == (("openai", "groq"), ("gpt-4o*",))
    assert stored.expires.isoformat() == "2099-01-01T00:00:00+00:00"
    titles, declared, created = place.listed()
    assert titles == ["ID", "NAME", "HINT", "AGENT", "EXPIRES", "STATE"]
    assert declared[1:] == ["of the file", "-", "-", "never", "active, declared"]
    assert created == [id_, "ci", key[:7], "support", "2099-01-01T00:00:00Z", "active"]
    for _ in range(2):  # the second time nothing changes
        assert place.run("revoke", "ci").returncode == 0
    assert place.listed()[2][-1] == "revoked"
    _, rows = await place.stored(id_)
    who = f"cli:{getpass.getuser()}"
    assert [(r["actor"], r["action"], r["kind"], r["entity"], r["result"]) for r in rows] == [
        (who, "create", "virtual_keys", id_, "ok"),
        (who, "update", "virtual_keys", id_, "ok"),
    ]
    assert (rows[1]["before"]["revoked"], rows[1]["after"]["revoked"]) == (False, True)
    assert stored.hash not in str(rows)


def test_no_file_holds_a_key(sqlite_place):
    _, key = sqlite_place.create("--name", "ci")
    files = [each for each in sqlite_place.folder.rglob("*") if each.is_file()]
    assert len(files) > 1
    assert not [each for each in files if key.encode() in each.read_bytes()]


def test_of_keys_with_one_name_the_id_says_which(sqlite_place):
    first, _ = sqlite_place.create("--name", "ci")
    second, _ = sqlite_place.create("--name", "ci")
    done = sqlite_place.run("revoke", "ci")
    assert done.returncode == 1
    assert done.stderr == f"llm-gateway: several are named 'ci'; say which: {first}, {second}\n"
    assert sqlite_place.run("revoke", second).returncode == 0
    assert sqlite_place.run("revoke", "ci").stdout.startswith(f"{first} is revoked")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--agent", "nobody"], 1, "--agent: there is none of this name among the agents"),
        (["--provider", "opnai"], 1, "--provider: there is no such provider"),
        (["--expires", "2020-01-01"], 1, "--expires: this is over already"),
        (["--expires", "soon"], 2, "'soon' is no time: write 2027-01-01 or 2027-01-01T09:00:00Z"),
        (["--name", " "], 1, "--name: it must be there, and not be empty"),
    ],
)
def test_a_key_that_would_open_nothing_is_not_made(sqlite_place, arguments, code, said):
    done = sqlite_place.run("create", "--name", "ci", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert len(sqlite_place.listed()) == 2


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("nobody", "no virtual key has the id or the name 'nobody'"),
        ("of the file", "'of the file' stands in gateway.toml: write revoked = true there"),
    ],
)
def test_what_can_not_be_revoked(sqlite_place, key, said):
    done = sqlite_place.run("revoke", key)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"llm-gateway: {said}\n")


def test_a_name_does_nothing_to_a_terminal(sqlite_place):
    sqlite_place.create("--name", "\x1b[2J\r\nci")
    assert sqlite_place.listed()[2][1] == "�[2J��ci"


@pytest.mark.parametrize("option", ["--name", "--agent", "--user", "--team", "--provider", "--model"])
def test_bytes_that_are_no_text_are_a_mistake(sqlite_place, option):
    arguments = ["--name", "ci"] if option != "--name" else []
    done = sqlite_place.run("create", *arguments, option, b"a\xffb")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(f"error: argument {option}: 'a\\udcffb' is not UTF-8\n")
    assert len(sqlite_place.run("list").stdout.splitlines()) == 2


def test_a_locale_without_letters_changes_no_name(sqlite_place):
    sqlite_place.variables |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    identifier, _ = sqlite_place.create("--name", "café".encode())
    assert r" caf\xe9 " in sqlite_place.run("list").stdout
    assert sqlite_place.run("revoke", "café".encode()).stdout.startswith(f"{identifier} is revoked")
    sqlite_place.variables |= {"LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}
    assert " café " in sqlite_place.run("list").stdout


def test_a_database_that_is_locked_is_told_of(sqlite_place):
    sqlite_place.create("--name", "ci")
    with sqlite3.connect(sqlite_place.folder / "gateway.db", isolation_level=None) as connection:
        connection.execute("BEGIN IMMEDIATE")
        done = sqlite_place.run("revoke", "ci")
    connection.close()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "llm-gateway: the database can't do this now: database is locked\n"
