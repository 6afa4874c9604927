"""A running gateway takes over what its file says now, and streams don't notice."""

import asyncio
import time

import pytest

from gateway.secrets import Keyring, new_virtual_key
from tests.clients.scripted import http, request, scripted
from tests.harness.client import exchange
from tests.harness.upstream import send, sleep

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
