"""One gateway with policies, in front of an upstream that does what it is told."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.clients.scripted import Scripted, scripted

POLICIES = Path(__file__).with_name("policies.toml")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scripted]:
    async with scripted({"GATEWAY_CONFIG": str(POLICIES)}) as running:
        yield running
