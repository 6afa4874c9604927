"""Upstream faults U-01 … U-34, each on the wires where it matters, streamed and whole, observed and gated."""

from typing import Any

import pytest

from tests.faults.upstream_rows import ROWS
from tests.harness.scenario import Scenario, run
from tests.harness.upstream import Split

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize(
    ("scenario", "split"),
    [pytest.param(row, split, id=f"{row.name}-{split}") for row in ROWS for split in row.splits],
)
async def test_upstream(scenario: Scenario, split: Split, rig_for: Any) -> None:
    """One row against the gateway of its configuration."""
    await run(scenario, split, await rig_for(scenario.config))
