"""Policies from the API against a running gateway: they hold within two seconds, and tools are there to write them for."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.clients.scripted import Scripted, scripted
from tests.harness.client import exchange
from tests.harness.dialects import DIALECTS, STREAMED, TOOLS
from tests.harness.dialects import WHOLE as ANSWERED_WHOLE
from tests.harness.upstream import (
    Step,
    begin,
    call,
    compile_script,
    finish,
    head,
    last,
    say,
    terminator,
    whole,
)

TOOL = TOOLS[0]
LIMIT = 2.0
PATH = "/api/tool-invocation-policies"
STREAM = [head(), begin(), say("Let me see."), call(TOOL), finish("tool"), terminator(), last()]
WIRES = [
    *((DIALECTS[name], True) for name in STREAMED),
    *((DIALECTS[name], False) for name in ANSWERED_WHOLE),
]
WHOLE = [whole(lambda dialect: dialect.whole("Let me see.", TOOL))]


class Api:
    """The console's API of one gateway."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self._session = session
        self._base = f"http://127.0.0.1:{port}"

    async def __call__(self, method: str, path: str, **options):
        async with self._session.request(method, self._base + path, **options) as response:
            assert response.status < 300, await response.text()
            return await response.json() if response.status != 204 else None

    async def block(self, **fields):
        return (await self("POST", PATH, json={"tool": TOOL, "action": "block_always"} | fields))["id"]


@asynccontextmanager
async def running(env=None) -> AsyncIterator[tuple[Scripted, Api]]:
    async with scripted(env) as gate, aiohttp.ClientSession() as session:
        yield gate, Api(session, gate.gateway.console_port)


async def is_refused(gate, dialect, *, stream):
    got, _ = await gate.ask(dialect.request(stream=stream), STREAM if stream else WHOLE, dialect=dialect)
    assert got.response.status == 200
    refused = b"tool invocation policy" in got.response.body
    assert refused is not (b"canary_ar" in got.response.body)  # of the arguments, which may be cut
    return refused


async def until(gate, dialect, expected, *, stream, since):
    while await is_refused(gate, dialect, stream=stream) is not expected:
        assert time.monotonic() - since < LIMIT, f"refused is not {expected}"
        await asyncio.sleep(0.05)


async def test_a_policy_holds_and_ceases_within_two_seconds():
    async with running() as (gate, api):
        for dialect, stream in WIRES:
            assert not await is_refused(gate, dialect, stream=stream)
            id_ = await api.block()
            await until(gate, dialect, True, stream=stream, since=time.monotonic())
            await api("PATCH", f"{PATH}/{id_}", json={"mode": "shadow"})
            await until(gate, dialect, False, stream=stream, since=time.monotonic())
            await api("PATCH", f"{PATH}/{id_}", json={"mode": "enforce"})
            await until(gate, dialect, True, stream=stream, since=time.monotonic())
            await api("DELETE", f"{PATH}/{id_}")
            await until(gate, dialect, False, stream=stream, since=time.monotonic())
        setting = {"tools": [TOOL], "call": {"action": "require_approval"}}
        await api("POST", "/api/tools/policies", json=setting)
        await until(gate, DIALECTS["chat"], True, stream=True, since=time.monotonic())


async def test_in_another_process_too(tmp_path):
    shared = {"GATEWAY_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/shared.db"}
    dialect = DIALECTS["chat"]
    async with running(shared) as (_, api), running(shared) as (other, _):
        assert not await is_refused(other, dialect, stream=True)
        id_ = await api.block()
        await until(other, dialect, True, stream=True, since=time.monotonic())
        await api("DELETE", f"{PATH}/{id_}")
        await until(other, dialect, False, stream=True, since=time.monotonic())


@pytest.mark.parametrize("blocked_first", [False, True])
async def test_a_stream_in_flight_keeps_the_policies_with_which_it_began(blocked_first):
    async with running() as (gate, api):
        for name in STREAMED:
            await stays_as_it_began(gate, api, DIALECTS[name], blocked_first=blocked_first)


async def stays_as_it_began(gate, api, dialect, *, blocked_first):
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def wait(_turn):
        begun.set()
        await go_on.wait()

    async def refused(script):
        gate.upstream.queue.append(compile_script(script, dialect))
        got = await exchange(gate.gateway.port, dialect.request(stream=True))
        assert got.response.status == 200
        return b"tool invocation policy" in got.response.body

    ids = [await api.block()] if blocked_first else []
    await gate.reset()

    async def change():
        await asyncio.wait_for(begun.wait(), 10)
        if blocked_first:
            await api("DELETE", f"{PATH}/{ids.pop()}")
        else:
            ids.append(await api.block())
        # Others see the change while the first one still waits.
        deadline = time.monotonic() + LIMIT
        while await refused(STREAM) is blocked_first:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        go_on.set()

    first, _ = await asyncio.gather(refused([*STREAM[:3], Step(wait), *STREAM[3:]]), change())
    assert first is blocked_first
    for id_ in ids:
        await api("DELETE", f"{PATH}/{id_}")


# As each wire declares a tool that the provider runs.
BUILT_IN = {
    "chat": (b'{"type":"web_search"}', "web_search"),
    "responses": (b'{"type":"web_search"}', "web_search"),
    "anthropic": (b'{"type":"web_search_20250305","name":"web_search"}', "web_search"),
    "gemini": (b'{"googleSearch":{}}', "googleSearch"),
}


async def test_tools_are_there_once_also_when_sent_twice():
    async with running() as (gate, api):
        for name, (declared, built_in) in BUILT_IN.items():
            await api("POST", "/api/agents", json={"slug": name})
            dialect = DIALECTS[name]
            body = dialect.body(stream=False).replace(b'"tools":[', b'"tools":[' + declared + b",", 1)
            sent = dialect.request(stream=False, body=body, headers=f"x-gateway-agent: {name}\r\n")
            for _ in range(3):
                await gate.ask(sent, WHOLE, dialect=dialect)
            path = f"/api/tools?agent={name}"
            deadline = time.monotonic() + 10
            while not (found := (await api("GET", path))["items"]):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
            await gate.ask(sent, WHOLE, dialect=dialect)
            await asyncio.sleep(1.0)
            assert (await api("GET", path))["items"] == found
            assert sorted((each["name"], each["kind"]) for each in found) == sorted(
                [(built_in, "built_in"), *((tool, "function") for tool in TOOLS)]
            )
            assert {each["versions"] for each in found} == {1}
            assert all(each["parameters"]["type"] == "object" for each in found if each["kind"] == "function")
