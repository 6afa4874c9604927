"""Client faults C-01 … C-30: leaving at every moment, bodies, framing, hosts, targets and paths."""

import asyncio
from typing import Any

import pytest

from tests.faults.client_rows import ENDLESS, ROWS
from tests.harness import invariants
from tests.harness.client import Client, exchange
from tests.harness.dialects import DIALECTS
from tests.harness.scenario import Scenario, now, run
from tests.harness.upstream import Split, compile_script

pytestmark = pytest.mark.asyncio(loop_scope="session")

STALLED = 8
MEMORY = (
    STALLED + 4
) << 20  # one MiB for each of them, with what is kept for the record, and what an allocator keeps


@pytest.mark.parametrize(
    ("scenario", "split"),
    [pytest.param(row, split, id=f"{row.name}-{split}") for row in ROWS for split in row.splits],
)
async def test_client(scenario: Scenario, split: Split, rig_for: Any) -> None:
    """One row against the gateway of its configuration."""
    await run(scenario, split, await rig_for(scenario.config))


async def test_stalled_clients_cost_little_and_are_cut(rig_for: Any) -> None:
    """C-01 with several clients: the upstream is paused, memory is bounded, and each ends after the stall."""
    rig = await rig_for("open")
    await rig.upstream.reset()
    dialect = DIALECTS["chat"]
    start, since = len(rig.gateway.output.records), now()
    before = rig.gateway.sample()
    rig.upstream.queue.extend(compile_script(ENDLESS, dialect) for _ in range(STALLED))
    request = dialect.request(stream=True)
    async with asyncio.TaskGroup() as group:
        for _ in range(STALLED):
            group.create_task(exchange(rig.gateway.port, request, Client(reads=False, deadline=5)))
        await asyncio.sleep(1.5)
        during = rig.gateway.sample()
    assert during.rss - before.rss <= MEMORY, f"{(during.rss - before.rss) >> 20} MiB for {STALLED} clients"
    outcomes = [record["outcome"] for record in rig.records(start, since)]
    assert outcomes == ["client_cancelled"] * STALLED
    assert not [c for c in rig.upstream.connections if c.open], "upstream connections outlive stalled clients"
    await rig.upstream.reset()
    await invariants.check_settled(rig.gateway, rig.baseline)
