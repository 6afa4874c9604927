"""One running gateway for each kind of policies, for all attacks."""

import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.attacks import policies
from tests.attacks.model import KINDS, Kind
from tests.clients.scripted import Scripted, scripted


@pytest_asyncio.fixture(loop_scope="package", scope="package")
async def gateways(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[Kind, Scripted]]:
    folder = tmp_path_factory.mktemp("attacks")
    async with contextlib.AsyncExitStack() as stack:
        running: dict[Kind, Scripted] = {}
        for kind in KINDS:
            file = folder / f"{kind}.toml"
            file.write_text(policies.TOML[kind])
            running[kind] = await stack.enter_async_context(scripted({"GATEWAY_CONFIG": str(file)}))
        yield running


@pytest_asyncio.fixture(loop_scope="package", scope="package")
async def judging(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scripted]:
    """A gateway with a stage that fails to judge when it is told to."""
    file = tmp_path_factory.mktemp("judging") / "gateway.toml"
    file.write_text(policies.TOML["name"])
    async with scripted({"GATEWAY_CONFIG": str(file)}, "tests.attacks.judging") as running:
        running.gateway.tolerated += ["a test has provoked this", "a stage failed to judge", "TimeoutError"]
        yield running


@pytest_asyncio.fixture(loop_scope="package", scope="package")
async def impatient(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scripted]:
    """A gateway that waits half a second for the next bytes of an answer."""
    file = tmp_path_factory.mktemp("impatient") / "gateway.toml"
    file.write_text(policies.TOML["name"])
    async with scripted({"GATEWAY_CONFIG": str(file), "GATEWAY_TIMEOUTS_GAP": "0.5"}) as running:
        yield running
