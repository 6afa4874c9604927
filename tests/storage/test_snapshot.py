"""The snapshot follows the database and the file; what can't be read changes nothing."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

import pytest
import structlog

from gateway import settings as configuration
from gateway.core.entities import Agent, ProviderSecret, ToolInvocationPolicy, VirtualKey
from gateway.core.provider import Providers
from gateway.secrets import Keyring
from gateway.settings import Settings
from gateway.storage.queries import entities
from gateway.storage.snapshot import SECRET_FIELD, DatabaseSource, Refresh

RING = Keyring("m" * 32)
HASH = "0f" * 32


class Stored:
    """A database as far as the snapshot sees it."""

    def __init__(self, **entities):
        self.number = 1
        self.entities = entities
        self.error = None
        self.loads = 0

    async def version(self):
        if self.error:
            raise self.error
        return self.number

    async def load(self):
        self.loads += 1
        if self.error:
            raise self.error
        return self.number, self.entities

    def write(self, **entities):
        self.number += 1
        self.entities = entities


@pytest.fixture
def logged():
    with structlog.testing.capture_logs() as lines:
        yield lines


def events(logged, level):
    return [line["event"] for line in logged if line["log_level"] == level]


async def following(stored, settings=None, secrets=None, **more):
    refresh = Refresh(settings or Settings(), Providers(), secrets or {}, RING, source=stored, **more)
    await refresh.start()
    refresh.stop()
    return refresh


class File:
    """A configuration file, and a refresh that reads it."""

    def __init__(self, tmp_path, text):
        self.path = tmp_path / "gateway.toml"
        self.path.write_text(text)
        self.reads = 0

    def reread(self):
        self.reads += 1
        loaded = configuration.load(str(self.path), {})
        self.providers = Providers()
        return loaded, self.providers, {"acme": f"key-{self.reads}"}

    def replace(self, text):
        """As editors do: another file takes the place of this one."""
        draft = self.path.with_suffix(".new")
        draft.write_text(text)
        draft.replace(self.path)

    async def refresh(self, stored=None):
        return await following(stored, configuration.load(str(self.path), {}), reread=self.reread)


async def test_what_was_created_is_there_from_the_start():
    refresh = await following(Stored(agents=[Agent(id="1", slug="a")]))
    assert refresh.snapshots.current.agents["a"].id == "1"
    assert refresh.snapshots.current.version == 1


async def test_a_write_is_seen_at_the_next_look_and_nothing_is_loaded_without_one():
    stored = Stored(virtual_keys=[VirtualKey(id="1", name="ci", hash=HASH)])
    refresh = await following(stored)
    before = refresh.snapshots.current
    await refresh.look()
    assert refresh.snapshots.current is before
    assert stored.loads == 1
    stored.write(virtual_keys=[VirtualKey(id="1", name="ci", hash=HASH, revoked=True)])
    await refresh.look()
    assert refresh.snapshots.current.virtual_keys[bytes.fromhex(HASH)].revoked
    assert not before.virtual_keys[bytes.fromhex(HASH)].revoked


async def test_the_database_is_such_a_source(database):
    refresh = await following(DatabaseSource(database))
    hostile = Agent(id="1", slug="a", name="'; DROP TABLE agents; --")
    expiring = VirtualKey(
        id="2", name="ci", hash=HASH, models=("m*",), expires=datetime(2027, 1, 1, tzinfo=UTC)
    )
    async with database.write() as connection:
        await entities.create(connection, "agents", hostile, "test")
        await entities.create(connection, "virtual_keys", expiring, "test")
    await refresh.look()
    current = refresh.snapshots.current
    assert current.agents["a"] == hostile
    assert current.virtual_keys == {bytes.fromhex(HASH): expiring}
    async with database.write() as connection:
        await entities.delete(connection, "virtual_keys", "2", "test")
    await refresh.look()
    assert refresh.snapshots.current.virtual_keys == {}
    assert refresh.snapshots.current.version > current.version


async def test_the_file_wins_over_what_was_created():
    settings = Settings(agents=(Agent(slug="a", name="declared"),))
    refresh = await following(Stored(agents=[Agent(id="1", slug="a", name="created")]), settings)
    assert refresh.snapshots.current.agents["a"].name == "declared"


async def test_a_database_that_can_not_be_asked_changes_nothing_and_is_told_of_once(logged):
    stored = Stored(agents=[Agent(id="1", slug="a")])
    refresh = await following(stored)
    stored.error = OSError("password=canary")
    for _ in range(3):
        await refresh.look()
    assert refresh.snapshots.current.agents["a"].id == "1"
    [said] = events(logged, "error")
    assert "keys and policies stay as they are" in said
    assert "canary" not in str(logged)
    stored.error = None
    stored.write(agents=[Agent(id="2", slug="b")])
    await refresh.look()
    assert "b" in refresh.snapshots.current.agents


async def test_stored_keys_of_providers_are_decrypted_and_those_of_the_environment_count_first(logged):
    rows = [
        ProviderSecret(id=id_, provider=name, ciphertext=RING.seal(f"sk-{name}", sealed_for, SECRET_FIELD))
        for id_, name, sealed_for in (("1", "one", "1"), ("2", "two", "2"), ("3", "moved", "1"))
    ]
    refresh = await following(Stored(provider_secrets=rows), secrets={"two": "sk-env"})
    assert refresh.snapshots.current.secrets == {"one": "sk-one", "two": "sk-env"}
    [said] = events(logged, "error")
    assert "'moved' can't be used: it is damaged" in said


async def test_an_odd_row_costs_no_other(logged):
    stored = Stored(
        virtual_keys=[VirtualKey(id="1", name="x", hash="odd"), VirtualKey(id="2", name="y", hash=HASH)]
    )
    refresh = await following(stored)
    assert list(refresh.snapshots.current.virtual_keys) == [bytes.fromhex(HASH)]
    assert "a stored row of virtual_keys is left out: hash" in events(logged, "error")[0]


async def test_a_key_of_no_agent_that_exists_is_told_of(logged):
    await following(Stored(virtual_keys=[VirtualKey(id="1", name="ci", hash=HASH, agent="gone")]))
    assert "virtual key 'ci': there is no agent 'gone', so it opens nothing" in events(logged, "warning")


async def test_a_changed_file_counts_once_it_has_been_the_same_for_two_looks(tmp_path, logged):
    file = File(tmp_path, 'auth = "required"')
    refresh = await file.refresh()
    await refresh.look()
    assert file.reads == 0
    file.replace('auth = "passthrough"\n[[agents]]\nslug = "a"')
    await refresh.look()
    assert file.reads == 0
    await refresh.look()
    current = refresh.snapshots.current
    assert (current.auth, current.agents["a"].declared) == ("passthrough", True)
    assert current.secrets == {"acme": "key-1"}
    assert current.providers is file.providers
    await refresh.look()
    assert file.reads == 1
    assert events(logged, "info") == ["configuration changed"]


async def test_a_file_that_is_being_written_is_not_read_in_half(tmp_path):
    file = File(tmp_path, "")
    refresh = await file.refresh()
    for text in ("[[agents]]\n", "[[agents]]\nslug = 'ab", "[[agents]]\nslug = 'abc'"):
        file.path.write_text(text)
        await refresh.look()
    assert file.reads == 0
    await refresh.look()
    assert "abc" in refresh.snapshots.current.agents


async def test_an_invalid_edit_is_told_of_once_and_ignored(tmp_path, logged):
    file = File(tmp_path, "[[agents]]\nslug = 'a'")
    refresh = await file.refresh()
    file.replace("[[agents]]\nslgu = 'b'")
    for _ in range(4):
        await refresh.look()
    assert "a" in refresh.snapshots.current.agents
    [said] = events(logged, "error")
    assert said == (
        f"{file.path}:2: unknown key 'agents[0].slgu'; did you mean 'slug'?; the configuration stays as it was"
    )
    file.replace("[[agents]]\nslug = 'bb'")
    for _ in range(2):
        await refresh.look()
    assert "bb" in refresh.snapshots.current.agents


async def test_a_file_that_goes_away_changes_nothing_and_is_told_of_once(tmp_path, logged):
    file = File(tmp_path, "[[agents]]\nslug = 'a'")
    refresh = await file.refresh()
    file.path.unlink()
    for _ in range(4):
        await refresh.look()
    assert "a" in refresh.snapshots.current.agents
    assert events(logged, "warning") == [f"{file.path} is gone; the configuration stays as it was"]
    file.path.write_text("[[agents]]\nslug = 'b'")
    for _ in range(2):
        await refresh.look()
    assert "b" in refresh.snapshots.current.agents


async def test_a_file_that_is_not_there_at_the_start_may_come(tmp_path, monkeypatch, logged):
    monkeypatch.chdir(tmp_path)

    def reread():
        return configuration.load(None, {}), Providers(), {}

    refresh = await following(None, configuration.load(None, {}), reread=reread)
    for _ in range(3):
        await refresh.look()
    assert logged == []
    (tmp_path / "gateway.toml").write_text("[[agents]]\nslug = 'late'")
    for _ in range(2):
        await refresh.look()
    assert "late" in refresh.snapshots.current.agents
    assert [entry["file"] for entry in logged] == ["gateway.toml"]


async def test_a_link_that_is_turned_is_seen(tmp_path):
    """As Kubernetes updates a mounted ConfigMap."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "gateway.toml").write_text(f"[[agents]]\nslug = '{name}'")
    (tmp_path / "data").symlink_to("one")
    (tmp_path / "gateway.toml").symlink_to("data/gateway.toml")
    path = str(tmp_path / "gateway.toml")
    refresh = await following(
        None, configuration.load(path, {}), reread=lambda: (configuration.load(path, {}), Providers(), {})
    )
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").replace(tmp_path / "data")
    for _ in range(2):
        await refresh.look()
    assert "two" in refresh.snapshots.current.agents


async def test_what_needs_a_restart_stays_and_is_said(tmp_path, logged):
    file = File(tmp_path, "port = 1")
    refresh = await file.refresh()
    file.replace("port = 2\n[timeouts]\ngap = 3\n[[limits]]\nkind = 'cost'")
    for _ in range(2):
        await refresh.look()
    assert refresh.settings.port == 1
    warnings = events(logged, "warning")
    assert f"{file.path}: a change of port, timeouts needs a restart" in warnings
    assert f"{file.path}:4: limits: 1 kept, but NOT enforced by this version" in warnings


async def test_a_file_can_not_open_a_gateway_that_others_reach(tmp_path, logged):
    file = File(tmp_path, 'host = "0.0.0.0"\nauth = "required"')
    refresh = await file.refresh()
    file.replace('host = "127.0.0.1"\nauth = "open"')
    for _ in range(2):
        await refresh.look()
    assert refresh.snapshots.current.auth == "required"
    assert "loopback bind only" in events(logged, "error")[0]


async def test_a_broken_look_does_not_end_the_looking(monkeypatch, logged):
    monkeypatch.setattr("gateway.storage.snapshot.INTERVAL", 0.001)
    stored = Stored(tool_invocation_policies=[ToolInvocationPolicy(id="1", tool="x", action="block_always")])
    refresh = Refresh(Settings(), Providers(), {}, RING, source=stored)
    await refresh.start()
    stored.write(agents=[object()])
    await asyncio.sleep(0.02)
    assert "configuration can't be taken over" in events(logged, "error")
    snapshot = refresh.snapshots.current
    assert snapshot.guard(snapshot.agents["default"], ()).holds
    stored.write(agents=[Agent(id="1", slug="a")])
    for _ in range(1000):
        if "a" in refresh.snapshots.current.agents:
            break
        await asyncio.sleep(0.005)
    assert "a" in refresh.snapshots.current.agents
    refresh.stop()
    with suppress(asyncio.CancelledError):
        await refresh._task
    assert refresh._task.done()


async def test_of_two_looks_at_once_the_newer_one_holds():
    stored = Stored()
    refresh = await following(stored)
    slow, load = asyncio.Event(), stored.load

    async def held():
        result = await load()
        if result[0] == 2:
            await slow.wait()
        return result

    stored.load = held
    stored.write(agents=[Agent(id="1", slug="old")])
    first = asyncio.gather(refresh.look())
    await asyncio.sleep(0)
    stored.write(agents=[Agent(id="1", slug="new")])
    second = asyncio.gather(refresh.look())
    await asyncio.sleep(0)
    slow.set()
    await asyncio.gather(first, second)
    assert "new" in refresh.snapshots.current.agents
    assert "old" not in refresh.snapshots.current.agents
