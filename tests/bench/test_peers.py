"""Provider and load are one process, which does not sleep while it measures."""

import asyncio
import time

from bench import load, peers
from bench.turns import Turn


async def test_the_provider_answers_on_this_loop():
    async with peers.provider() as port:
        measured = await load.plain(
            port, time.process_time, Turn(), connections=2, turns=1, message=load.request(port, 1000)
        )
        assert measured.requests > 0


async def test_the_loop_never_waits_while_it_is_kept_awake():
    def used() -> float:
        return time.process_time()

    before = used()
    await asyncio.sleep(0.2)
    asleep = used() - before
    with peers.awake():
        before = used()
        await asyncio.sleep(0.2)
        awake = used() - before
    before = used()
    await asyncio.sleep(0.2)
    assert asleep < 0.1 < awake
    assert used() - before < 0.1
