"""Health and the end of a process: what is in flight may finish, what does not gets its wire's own error."""

import asyncio
import signal
import time

import orjson
import pytest

from tests.clients.scripted import GATED, Scripted, http, request, scripted
from tests.harness.client import Exchange, exchange
from tests.harness.dialects import DIALECTS, STREAMED
from tests.harness.process import Gateway
from tests.harness.upstream import (
    begin,
    call,
    compile_script,
    finish,
    head,
    last,
    say,
    send,
    sleep,
    stall,
    terminator,
)

DRAIN = {"GATEWAY_DRAIN_ACCEPT": "1", "GATEWAY_DRAIN_FINISH": "2"}
HEALTH = ("/healthz", "/readyz")


async def health(gateway: Gateway) -> dict[tuple[str, str], int]:
    found = {}
    for door, port in (("proxy", gateway.port), ("console", gateway.console_port)):
        for path in HEALTH:
            response = (await exchange(port, request(path))).response
            assert orjson.loads(response.body)["status"]
            found[door, path] = response.status
    return found


async def begun(gate: Scripted, count: int) -> None:
    """Wait until so many requests have reached the upstream, and their first words the gateway."""
    for _ in range(500):
        if len([one for one in gate.upstream.connections if one.open]) >= count:
            break
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)


async def exit_code(gateway: Gateway) -> int:
    return await asyncio.to_thread(gateway.process.wait, 15)


async def test_health():
    async with scripted() as gate:
        assert set((await health(gate.gateway)).values()) == {200}
        # Whoever asks, under whatever name.
        got = await exchange(gate.gateway.port, b"GET /readyz HTTP/1.1\r\nhost: pod-7.example\r\n\r\n")
        assert got.response.status == 200


@pytest.mark.parametrize("module", ["gateway", GATED], ids=["open", "gated"])
async def test_drain(module):
    async with scripted(DRAIN | {"TEST_REFUSED_TOOLS": "canary_tool"}, module) as gate:
        gateway, upstream = gate.gateway, gate.upstream
        finishing = [head(), begin(), say("one"), sleep(2), say("two"), finish(), terminator(), last()]
        endless = [head(), begin(), say("one"), stall()]
        sent = {}
        for name in STREAMED:
            dialect = DIALECTS[name]
            for kind, script in (("finishing", finishing), ("endless", endless)):
                model = f"{kind}-{name}-model"
                upstream.marked[model.encode()] = compile_script(script, dialect)
                sent[kind, name] = dialect.request(stream=True, model=model)
        upstream.marked[b"late-model"] = compile_script(
            [send(http(DIALECTS["chat"].whole()))], DIALECTS["chat"]
        )
        late = DIALECTS["chat"].request(stream=False, model="late-model")
        # A whole answer that never comes, and a held call: neither has an event to end with before its head.
        upstream.marked[b"silent-model"] = compile_script([stall()], DIALECTS["chat"])
        sent["silent", "chat"] = DIALECTS["chat"].request(stream=False, model="silent-model")
        async with asyncio.TaskGroup() as group:
            running = {key: group.create_task(exchange(gateway.port, data)) for key, data in sent.items()}
            await begun(gate, len(sent))

            gateway.signal(signal.SIGTERM)
            start = time.monotonic()
            while (await health(gateway))["proxy", "/readyz"] != 503:
                assert time.monotonic() - start < 0.5
            assert await health(gateway) == {
                ("proxy", "/healthz"): 200,
                ("proxy", "/readyz"): 503,
                ("console", "/healthz"): 200,
                ("console", "/readyz"): 503,
            }
            # Whoever has not heard of it yet is still served.
            assert (await exchange(gateway.port, late)).response.status == 200
            await asyncio.sleep(start + 1.3 - time.monotonic())
            with pytest.raises(ConnectionError):
                await asyncio.open_connection("127.0.0.1", gateway.port)

        results: dict[tuple[str, str], Exchange] = {key: task.result() for key, task in running.items()}
        for (kind, name), got in results.items():
            dialect = DIALECTS[name]
            assert got.ended == "complete", (kind, name)
            if kind == "finishing":
                body = [*dialect.start(), *dialect.text("one"), *dialect.text("two"), *dialect.finish("stop")]
                assert got.response.body == b"".join([*body, *dialect.end()])
            elif kind == "endless":
                assert got.response.status == 200
                error = dialect.in_band_error(got.response.body)
                assert error, got.response.body
                assert "shutting down" in error["message"]
            else:
                assert got.response.status == 503
                assert got.response.header("retry-after")
                dialect.check_error(503, got.response.body)
        assert await exit_code(gateway) == 0
        assert time.monotonic() - start < 8
        outcomes = [record["outcome"] for record in gateway.interactions()]
        assert sorted(outcomes) == sorted(["ok"] * 6 + ["draining"] * 6)


async def test_held_call_at_the_deadline():
    """It was not judged, so it is dropped; the stream says why it ends."""
    async with scripted(
        {**DRAIN, "GATEWAY_DRAIN_ACCEPT": "0", "TEST_REFUSED_TOOLS": "canary_tool"}, GATED
    ) as gate:
        dialect = DIALECTS["anthropic"]
        gate.upstream.queue.append(
            compile_script([head(), begin(), say("one"), call("allowed_tool"), stall()], dialect)
        )
        async with asyncio.TaskGroup() as group:
            running = group.create_task(exchange(gate.gateway.port, dialect.request(stream=True)))
            await begun(gate, 1)
            gate.gateway.signal(signal.SIGTERM)
        got = running.result()
        error = dialect.in_band_error(got.response.body)
        assert error
        assert error["type"] == "overloaded_error"
        assert b"allowed_tool" not in got.response.body
        assert await exit_code(gate.gateway) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_second_signal_hurries(number):
    async with scripted({"GATEWAY_DRAIN_ACCEPT": "30"}) as gate:
        await health(gate.gateway)
        gate.gateway.signal(number)
        await asyncio.sleep(0.3)
        assert gate.gateway.alive
        gate.gateway.signal(number)
        assert await exit_code(gate.gateway) == 0


async def test_idle_process_ends_at_once():
    async with scripted(DRAIN | {"GATEWAY_DRAIN_ACCEPT": "0"}) as gate:
        # An idle connection of a client that keeps it is no reason to wait.
        reader, writer = await asyncio.open_connection("127.0.0.1", gate.gateway.port)
        writer.write(request("/healthz"))
        await reader.readuntil(b"}")
        gate.gateway.signal(signal.SIGTERM)
        start = time.monotonic()
        assert await exit_code(gate.gateway) == 0
        assert time.monotonic() - start < 2
        writer.close()


async def test_signal_at_the_first_moment():
    """Who has read that it listens may end it, and gets an orderly end."""
    for _ in range(5):
        async with scripted(DRAIN | {"GATEWAY_DRAIN_ACCEPT": "0"}) as gate:
            gate.gateway.signal(signal.SIGTERM)
            assert await exit_code(gate.gateway) == 0
