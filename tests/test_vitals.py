"""What is read at the moment of a scrape."""

import asyncio
from types import SimpleNamespace

from aioprometheus.collectors import Registry
from aioprometheus.formats.text import TextFormatter

from gateway import vitals
from gateway.recorder import Recorder
from gateway.watchdog import Watchdog
from tests.harness.scrape import Scrape
from tests.test_recorder import interaction


async def test_what_waits_to_be_recorded_is_seen():
    """Three have ended, of which one lost its body, and no stage has had them yet; then all have."""
    handed = []

    async def done(batch):
        handed.extend(batch)

    registry = Registry()
    recorder = Recorder([done], limit=50_000)
    archive = SimpleNamespace(
        waiting=0,
        pending=0,
        lag=0.0,
        counts=lambda: {"committed": len(handed), "dropped": 2},
        discoveries=SimpleNamespace(stored=6, dropped=7),
    )
    left_out = {"not_admitted": 4, "dropped": 5}
    vitals.expose(registry, Watchdog(0, 0), recorder, archive, lambda: left_out, lambda: 8)

    def look() -> Scrape:
        return Scrape(TextFormatter().marshall(registry).decode())

    idle = look()
    assert idle.total("gateway_recorder_lag_seconds") == idle.total("gateway_recorder_queue_bytes") == 0
    for size in (20_000, 20_000, 40_000):
        recorder.put(interaction(b"x" * size))
    await asyncio.sleep(0.03)
    waiting = look()
    assert 40_000 < waiting.total("gateway_recorder_queue_bytes") <= 50_000
    assert 0.03 <= waiting.total("gateway_recorder_lag_seconds") < 1
    assert waiting.total("gateway_recorder_dropped_bodies_total") == 1
    assert waiting.total("gateway_recorder_queue_records") == 3
    states = {"enqueued": 3, "committed": 0, "dropped": 7, "not_admitted": 4}
    assert waiting.values("gateway_log_records_total", "state") == states
    tools = {"stored": 6, "surplus": 7, "unfit": 8}
    assert waiting.values("gateway_discovered_tools_total", "state") == tools
    await recorder.close()
    after = look()
    assert after.total("gateway_recorder_lag_seconds") == after.total("gateway_recorder_queue_bytes") == 0
    assert after.total("gateway_recorder_queue_records") == 0
    states["committed"] = 3
    assert after.values("gateway_log_records_total", "state") == states
