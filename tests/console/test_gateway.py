"""What passes through a running gateway is shown by its console: no file, no setting, the default address."""

import asyncio
import time
from collections.abc import AsyncIterator

import orjson
import pytest
import pytest_asyncio

from tests.clients.scripted import Scripted, request, scripted
from tests.console.conftest import ADMIN
from tests.harness.canaries import CLIENT_KEYS
from tests.harness.client import exchange
from tests.harness.dialects import DIALECTS, STREAMED
from tests.harness.upstream import answer

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gate() -> AsyncIterator[Scripted]:
    async with scripted() as running:
        yield running


async def shown(gate: Scripted, path: str, token: str = ""):
    headers = [f"authorization: Bearer {token}"] if token else []
    got = await exchange(gate.gateway.console_port, request(path, headers=headers))
    return got.response.status, orjson.loads(got.response.body)


async def listed(gate: Scripted, session: str):
    """The one interaction of a session, once it is stored."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        status, body = await shown(gate, f"/api/interactions?session={session}")
        assert status == 200
        if body["items"]:
            [item] = body["items"]
            return item
        await asyncio.sleep(0.05)
    raise AssertionError("it was never stored")


@pytest.mark.parametrize("name", STREAMED)
async def test_a_conversation_is_shown_whatever_its_wire(gate, name):
    dialect = DIALECTS[name]
    sent = request(
        f"/v1/{dialect.provider}{dialect.path(stream=True)}",
        dialect.body(stream=True),
        ["content-type: application/json", f"x-gateway-session-id: s-{name}", ": ".join(dialect.key_header)],
    )
    await gate.ask(sent, answer("Hello, world."), dialect=dialect)
    item = await listed(gate, f"s-{name}")
    assert (item["provider"], item["status"], item["outcome"]) == (dialect.provider, 200, "ok")
    status, one = await shown(gate, f"/api/interactions/{item['id']}")
    assert status == 200
    assert [part["text"] for part in one["answer"]["parts"] if part["type"] == "text"] == ["Hello, world."]
    assert one["answer"]["finish_reason"] == "stop"
    assert [message["role"] for message in one["messages"]][-1] == "user"
    assert one["messages"][-1]["parts"][0]["text"]
    got = await exchange(gate.gateway.console_port, request(f"/api/interactions/{item['id']}/request"))
    assert got.response.body == dialect.body(stream=True)
    assert CLIENT_KEYS[dialect.provider] not in str(one)


async def test_it_is_open_here_and_opens_no_doors(gate):
    status, me = await shown(gate, "/api/session")
    assert (status, me["role"]) == (200, "operate")
    assert (await shown(gate, "/api/audit"))[0] == 403
    assert (await shown(gate, "/openapi.json"))[0] == 200


async def test_switched_off_only_health_and_metrics_are_left():
    async with scripted({"GATEWAY_CONSOLE": "false"}) as gate:
        port = gate.gateway.console_port
        for path, expected in (
            ("/healthz", 200),
            ("/metrics", 200),
            ("/api/session", 404),
            ("/openapi.json", 404),
        ):
            assert (await exchange(port, request(path))).response.status == expected, path


async def test_what_is_set_up_counts_at_once():
    chat = DIALECTS["chat"]
    async with scripted({"GATEWAY_ADMIN_TOKEN": ADMIN, "GATEWAY_AUTH": "required"}) as gate:
        assert (await shown(gate, "/api/agents"))[0] == 401

        async def post(path: str, body: object):
            sent = request(
                path,
                orjson.dumps(body),
                ["content-type: application/json", f"authorization: Bearer {ADMIN}"],
            )
            got = await exchange(gate.gateway.console_port, sent)
            assert got.response.status == 201, got.response.body
            return orjson.loads(got.response.body)

        await post("/api/agents", {"slug": "support"})
        key = await post("/api/virtual-keys", {"name": "k", "agent": "support", "providers": ["openai"]})
        await post("/api/providers", {"provider": "openai", "api_key": "sk-stored-canary"})
        headers = ["content-type: application/json", f"authorization: Bearer {key['secret']}"]
        sent = request(f"/v1/openai{chat.path(stream=True)}", chat.body(stream=True), headers)
        _, received = await gate.ask(sent, answer(), dialect=chat)
        assert ("authorization", "Bearer sk-stored-canary") in received.headers
        for _ in range(100):
            _, body = await shown(gate, "/api/interactions", key["secret"])
            if body["items"]:
                break
            await asyncio.sleep(0.05)
        assert [item["agent"] for item in body["items"]] == ["support"]
        assert not [line for line in gate.gateway.output.lines if "canary" in line or key["secret"] in line]
