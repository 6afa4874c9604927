"""The queue after the answer: bounded, in batches, and never lossy for records."""

import asyncio

import pytest
from multidict import CIMultiDict

from gateway.core.adapter import RequestAdapter
from gateway.core.interaction import Interaction, new_id
from gateway.core.provider import Endpoint, Provider, Row
from gateway.recorder import Recorder

PROVIDER = Provider(Row(name="acme", base_url="http://acme.example"))


def interaction(body=b""):
    i = Interaction(new_id(1.0), PROVIDER, Endpoint("POST", "/x"), CIMultiDict())
    i.request = RequestAdapter(body)
    return i


class Sink:
    def __init__(self):
        self.batches = []
        self.reached = asyncio.Event()

    async def __call__(self, batch):
        self.batches.append([i.id for i in batch])
        self.reached.set()

    @property
    def ids(self):
        return [number for batch in self.batches for number in batch]


@pytest.fixture
async def sink():
    return Sink()


async def test_a_single_interaction_is_written_soon(sink):
    recorder = Recorder([sink])
    recorder.start()
    i = interaction()
    recorder.put(i)
    async with asyncio.timeout(2):
        await sink.reached.wait()
    assert sink.ids == [i.id]
    await recorder.close()


async def test_many_are_written_in_few_batches_and_in_order(sink):
    recorder = Recorder([sink])
    recorder.start()
    given = [interaction() for _ in range(1200)]
    for i in given:
        recorder.put(i)
    await asyncio.sleep(0.3)
    await recorder.close()
    assert sink.ids == [i.id for i in given]
    assert len(sink.batches) <= 4


async def test_closing_writes_what_waits_even_if_nothing_was_started(sink):
    recorder = Recorder([sink])
    given = [interaction() for _ in range(3)]
    for i in given:
        recorder.put(i)
    await recorder.close()
    assert sink.ids == [i.id for i in given]


async def test_under_pressure_bodies_go_and_records_stay(sink):
    recorder = Recorder([sink], limit=100_000)
    given = [interaction(b"x" * 40_000) for _ in range(5)]
    for i in given:
        recorder.put(i)
    assert [len(i.request.body) for i in given] == [40_000, 40_000, 0, 0, 0]
    assert recorder.dropped_bodies == 3
    await recorder.close()
    assert sink.ids == [i.id for i in given]


async def test_a_stage_that_fails_costs_the_others_nothing(sink):
    async def broken(_batch):
        raise RuntimeError("no disk")

    recorder = Recorder([broken, sink])
    recorder.start()
    i = interaction()
    recorder.put(i)
    async with asyncio.timeout(2):
        await sink.reached.wait()
    await recorder.close()
    assert sink.ids == [i.id]
