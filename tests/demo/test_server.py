"""The fake provider as a server: alone, stopped, and left by its clients."""

import asyncio
import logging
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

import gateway.demo
from gateway.demo import start

SLOW = {"model": "demo-slow-0-20", "messages": [{"role": "user", "content": "hello"}], "stream": True}


async def test_a_client_that_leaves_is_no_error(caplog):
    caplog.set_level(logging.DEBUG)
    async with await start() as demo, aiohttp.ClientSession() as session:
        for model in ("demo-slow-0-5", "bench-5000-0-100"):
            async with session.post(
                f"{demo.url}/openai/chat/completions", json=SLOW | {"model": model}
            ) as answer:
                await answer.content.readany()
                answer.close()
        await asyncio.sleep(0.1)
        async with session.post(
            f"{demo.url}/openai/chat/completions", json=SLOW | {"stream": False}
        ) as answer:
            assert answer.status == 200
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_stopping_ends_open_streams():
    demo = await start()
    async with aiohttp.ClientSession() as session:
        body = SLOW | {"model": "demo-slow-60000-1"}
        async with session.post(f"{demo.url}/openai/chat/completions", json=body) as answer:
            await answer.content.readany()
            await asyncio.wait_for(demo.stop(), 5)
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.content.read()
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(demo.url)


async def test_pace_applies_where_the_scenario_asks_for_none():
    loop = asyncio.get_running_loop()
    body = SLOW | {"model": "demo-reasoning"}
    async with await start(pace=0.005) as demo, aiohttp.ClientSession() as session:
        began = loop.time()
        async with session.post(f"{demo.url}/openai/chat/completions", json=body) as answer:
            frames = (await answer.read()).count(b"\n\n")
        assert loop.time() - began > 0.005 * (frames - 2)


async def test_the_module_runs_alone():
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.demo", "--port", "0"),
        cwd=Path(gateway.demo.__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        url = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip()
        async with aiohttp.request("GET", f"{url}/openai/models") as answer:
            assert (await answer.json())["object"] == "list"
    finally:
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0
