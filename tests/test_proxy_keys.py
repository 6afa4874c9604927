"""The operator's own keys: lent to whoever brings none, each to its own provider, and seen by nobody."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.clients.scripted import Scripted, http, request, scripted

pytestmark = pytest.mark.asyncio(loop_scope="module")

CARRIERS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
TARGETS = {
    "openai": "/v1/openai/chat/completions",
    "groq": "/v1/groq/chat/completions",
    "anthropic": "/v1/anthropic/v1/messages",
    "gemini": "/v1/gemini/v1beta/models/m:generateContent",
}
SIGNED = {
    "openai": [("authorization", "Bearer stored-openai")],
    "groq": [],
    "anthropic": [("x-api-key", "stored-anthropic")],
    "gemini": [("x-goog-api-key", "stored-gemini")],
}
BODY = b'{"model":"m","messages":[],"max_tokens":1,"contents":[]}'


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gate() -> AsyncIterator[Scripted]:
    keys = {f"{name.upper()}_API_KEY": f"stored-{name}" for name in ("openai", "anthropic", "gemini")}
    async with scripted(keys | {"GATEWAY_AUTH": "open"}) as running:
        yield running


def carried(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [pair for pair in headers if pair[0] in CARRIERS]


@pytest.mark.parametrize("provider", TARGETS)
async def test_lent_to_its_own_provider(gate, provider):
    got, received = await gate.ask(request(TARGETS[provider], BODY), http(b"{}"))
    assert received.line.split(" ")[1].startswith(f"/{provider}/")
    assert carried(received.headers) == SIGNED[provider]
    await gate.record(got)
    assert b"stored-" not in got.raw
    assert not [line for line in gate.gateway.output.lines if "stored-" in line]


@pytest.mark.parametrize("provider", TARGETS)
async def test_not_lent_to_who_brings_one(gate, provider):
    _, received = await gate.ask(request(TARGETS[provider], BODY, ["x-api-key: mine"]), http(b"{}"))
    assert carried(received.headers) == [("x-api-key", "mine")]


async def test_not_lent_to_a_key_in_the_query(gate):
    _, received = await gate.ask(request(TARGETS["gemini"] + "?key=mine", BODY), http(b"{}"))
    assert received.line.split(" ")[1].endswith("?key=mine")
    assert carried(received.headers) == []
    assert "stored" not in received.raw_head.decode()
