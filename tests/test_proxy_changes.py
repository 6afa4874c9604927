"""A running gateway takes over what its file says now, and streams don't notice."""

import asyncio
import time
from pathlib import Path

import msgspec
import pytest

from gateway.core.entities import ProviderSecret, VirtualKey
from gateway.secrets import Keyring, new_virtual_key
from gateway.storage.database import Database
from gateway.storage.queries import entities
from gateway.storage.snapshot import SECRET_FIELD
from tests.clients.scripted import http, request, scripted
from tests.harness.client import exchange
from tests.harness.dialects import DIALECTS
from tests.harness.upstream import compile_script, send, sleep

MASTER = "m" * 40
KEY = new_virtual_key()
TARGET = "/v1/openai/chat/completions"
DECLARED = f'auth = "required"\n[[virtual_keys]]\nname = "ci"\nhash = "{Keyring(MASTER).hash(KEY)}"\n'
BODY = b'{"model":"m","messages":[],"stream":true}'


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text(DECLARED)
    return path


def running(file):
    return scripted({"GATEWAY_CONFIG": str(file), "GATEWAY_SECRET_KEY": MASTER, "OPENAI_API_KEY": "stored"})


def everything_in(folder):
    return b"".join(file.read_bytes() for file in Path(folder).iterdir() if file.is_file())


async def said(gate, wanted):
    found = await asyncio.to_thread(gate.gateway.output.wait, lambda r: wanted in r.get("event", ""), 10.0)
    assert found, gate.gateway.output.lines[-5:]
    return found["event"]


async def test_a_revocation_in_the_file_is_effective_within_five_seconds(file):
    async with running(file) as gate:
        sent = request(TARGET, BODY, [f"Authorization: Bearer {KEY}"])
        got, received = await gate.ask(sent, http(b"{}"))
        assert ("authorization", "Bearer stored") in received.headers
        file.write_text(DECLARED + "revoked = true\n")
        written = time.monotonic()
        while not (await exchange(gate.gateway.port, sent)).raw.startswith(b"HTTP/1.1 401 "):
            assert time.monotonic() - written < 5
            await asyncio.sleep(0.1)
        got = await gate.refused(sent)
        assert b"was revoked" in got.raw


async def test_what_another_process_writes_to_the_database_is_effective_within_five_seconds(tmp_path):
    ring, key = Keyring(MASTER), new_virtual_key()
    row = VirtualKey(id="k1", name="ci", hash=ring.hash(key))
    stored = ProviderSecret(
        id="s1", provider="groq", ciphertext=ring.seal("sk-sealed-canary", "s1", SECRET_FIELD)
    )
    async with scripted({"GATEWAY_AUTH": "required", "GATEWAY_SECRET_KEY": MASTER}) as gate:
        sent = request("/v1/groq/chat/completions", BODY, [f"x-api-key: {key}"])

        async def answered(status):
            start = time.monotonic()
            while True:
                gate.upstream.queue.clear()
                gate.upstream.queue.append(compile_script([send(http(b"{}"))], DIALECTS["chat"]))
                got = await exchange(gate.gateway.port, sent)
                if got.raw.startswith(f"HTTP/1.1 {status} ".encode()):
                    return
                assert time.monotonic() - start < 5, got.raw
                await asyncio.sleep(0.1)

        database = Database(f"sqlite+aiosqlite:///{gate.gateway.state.name}/gateway.db", ring.bodies)
        try:
            await answered(401)
            async with database.write() as connection:
                await entities.create(connection, "virtual_keys", row, "test")
            await answered(403)  # there is no key of the provider's to lend
            async with database.write() as connection:
                await entities.create(connection, "provider_secrets", stored, "test")
            await answered(200)
            assert ("authorization", "Bearer sk-sealed-canary") in gate.upstream.requests[-1].headers
            async with database.write() as connection:
                revoked = msgspec.structs.replace(row, revoked=True)
                await entities.update(connection, "virtual_keys", revoked, "test")
            await answered(401)
        finally:
            await database.close()
        kept = everything_in(gate.gateway.state.name)
        for canary in (b"sk-sealed-canary", key.encode(), MASTER.encode()):
            assert canary not in kept


async def test_an_invalid_edit_is_told_of_and_the_old_one_holds(file):
    async with running(file) as gate:
        file.write_text(DECLARED.replace("name", "nmae"))
        event = await said(gate, "the configuration stays as it was")
        assert event.startswith(f"{file}:3: unknown key 'virtual_keys[0].nmae'; did you mean 'name'?")
        sent = request(TARGET, BODY, [f"Authorization: Bearer {KEY}"])
        got, _ = await gate.ask(sent, http(b"{}"))
        assert got.raw.startswith(b"HTTP/1.1 200 ")
        file.write_text("keepalive = 3\n" + DECLARED)
        assert await said(gate, "needs a restart") == f"{file}: a change of keepalive needs a restart"


async def test_an_answer_that_is_running_ends_as_it_began(file):
    async with running(file) as gate:
        await gate.reset()
        body = b"x" * 10
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n"
        sent = request(TARGET, BODY, [f"Authorization: Bearer {KEY}"])

        async def edit():
            await asyncio.sleep(0.5)
            file.write_text(DECLARED + "revoked = true\n")
            await said(gate, "configuration changed")
            return time.monotonic()

        async def ask():
            got, _ = await gate.ask(sent, [send(head + body), sleep(4.0), send(body)])
            return got, time.monotonic()

        changed, (got, ended) = await asyncio.gather(edit(), ask())
        assert changed < ended
        assert got.raw.endswith(body * 2)


async def test_a_provider_can_be_added_and_moved(file):
    key_file = file.with_name("key")
    async with running(file) as gate:
        sent = request("/v1/local/chat/completions", BODY, [f"Authorization: Bearer {KEY}"])
        assert (await gate.refused(sent)).raw.startswith(b"HTTP/1.1 404 ")
        for place in ("one", "two"):
            base_url = f"http://127.0.0.1:{gate.upstream.port}/{place}"
            row = (
                f'[providers.local]\nlike = "openai"\nbase_url = "{base_url}"\napi_key = "file:{key_file}"\n'
            )
            key_file.write_text(f"key-{place}")
            seen = len(gate.gateway.output.records)
            file.write_text(DECLARED + row)
            assert await asyncio.to_thread(
                gate.gateway.output.wait, lambda r: r.get("event") == "configuration changed", 10.0, seen
            )
            _, received = await gate.ask(sent, http(b"{}"))
            assert received.line.split(" ")[1] == f"/{place}/chat/completions"
            assert ("authorization", f"Bearer key-{place}") in received.headers
