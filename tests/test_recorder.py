"""The queue after the answer: bounded, in batches, and never lossy for records."""

import asyncio
from time import perf_counter

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
    assert len(sink.batches) <= 1200 / 64 + 1


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


async def test_what_stages_have_not_stored_yet_counts_too(sink):
    recorder = Recorder([sink], waiting=lambda: 90_000, limit=100_000)
    i = interaction(b"x" * 20_000)
    recorder.put(i)
    assert (i.request.body, recorder.dropped_bodies) == (b"", 1)
    await recorder.close()
    assert sink.ids == [i.id]


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


async def test_what_takes_long_is_noted_as_begun_and_what_does_not_is_not(sink):
    started = Sink()
    recorder = Recorder([sink], [started])
    recorder.start()
    short, long = interaction(), interaction()
    for i in (long, short):
        i.started = perf_counter()
        recorder.begin(i)
    recorder.put(short)
    async with asyncio.timeout(2):
        await started.reached.wait()
    assert (started.ids, sink.ids) == ([long.id], [short.id])
    recorder.put(long)
    await recorder.close()
    assert (started.ids, sink.ids) == ([long.id], [short.id, long.id])


async def test_what_has_just_begun_waits_for_its_moment(sink):
    started = Sink()
    recorder = Recorder([sink], [started])
    recorder.start()
    i = interaction()
    i.started = perf_counter() + 0.15  # the batch comes before it is old enough
    recorder.begin(i)
    async with asyncio.timeout(2):
        await started.reached.wait()
    assert perf_counter() - i.started >= 0.1
    await recorder.close()


async def test_nothing_leaves_the_queue_before_it_is_stored():
    stored, released = [], asyncio.Event()

    async def slow(batch):
        await released.wait()
        stored.extend(batch)

    recorder = Recorder([slow])
    recorder.start()
    recorder.put(interaction())
    await asyncio.sleep(0.15)
    assert (recorder.pending, stored, recorder.lag > 0.1) == (1, [], True)
    released.set()
    await recorder.close()
    assert (recorder.pending, len(stored), recorder.size, recorder.lag) == (0, 1, 0, 0.0)


async def test_when_nothing_takes_them_memory_stays_bounded():
    recorder = Recorder([], limit=10_000)
    for _ in range(100):
        recorder.put(interaction(b"x" * 500))
    assert recorder.dropped > 0
    assert recorder.size < 5 * 10_000
    assert recorder.pending + recorder.dropped == recorder.enqueued == 100
