"""While PostgreSQL is away the console says so, soon and in its own words, and the proxy does not care."""

import asyncio
import time
from collections.abc import Iterator

import aiohttp
import pytest

from tests.faults.test_process import SLOWER, Shared, stopped, upstream
from tests.harness.load import Load, median_overhead
from tests.storage.postgresql import Server

__all__ = ["upstream"]

ADMIN = "the operator's own admin token"
SOON = {"stopped": 2.0, "frozen": 15.0}
"""Seconds within which everything is answered, many at once: what hangs is given up after 5 or 6, once or twice."""
READS = (
    "/api/interactions",
    "/api/interactions?q=abc",
    "/api/interactions?agent=default&status=200",
    "/api/interactions/export",
    "/api/interactions/{id}",
    "/api/interactions/{id}/request",
    "/api/sessions",
    "/api/sessions/s",
    "/api/statistics?by=agent",
    "/api/agents",
    "/api/agents/{agent}",
    "/api/virtual-keys",
    "/api/providers",
    "/api/console-tokens",
    "/api/audit",
)
WRITES = (
    ("POST", "/api/agents", {"slug": "other"}),
    ("PATCH", "/api/agents/{agent}", {"name": "changed"}),
    ("DELETE", "/api/agents/{agent}", None),
    ("POST", "/api/virtual-keys", {"name": "k"}),
    ("POST", "/api/console-tokens", {"name": "t", "role": "read"}),
    ("POST", "/api/providers", {"provider": "openai", "api_key": "sk-x"}),
)


@pytest.fixture(params=["socket", "tcp"])
def server(request) -> Iterator[Server]:
    made = Server(tcp=request.param == "tcp")
    made.start()
    yield made
    made.remove()


class Console:
    """Asks, and takes the time."""

    def __init__(self, port: int, session: aiohttp.ClientSession) -> None:
        self._base = f"http://127.0.0.1:{port}"
        self._session = session

    async def ask(self, method, path, body=None):
        began = time.monotonic()
        async with self._session.request(
            method, self._base + path, json=body, headers={"Authorization": f"Bearer {ADMIN}"}
        ) as response:
            read = await response.read()
            is_json = response.content_type == "application/json"
            said = await response.json() if is_json else read
        return response.status, said, time.monotonic() - began


@pytest.mark.parametrize("away", ["stopped", "frozen"])
async def test_the_console_says_that_the_database_is_away(tmp_path, upstream, server, away):
    place = Shared(tmp_path / "state", upstream, server.url("postgres"))
    gateway = await place.start(GATEWAY_ADMIN_TOKEN=ADMIN)
    timeout = aiohttp.ClientTimeout(25)
    async with (
        Load(gateway.port, upstream, pause=0.01) as load,
        aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        console = Console(gateway.console_port, session)
        status, agent, _ = await console.ask("POST", "/api/agents", {"slug": "one"})
        assert status == 201
        await asyncio.sleep(1.0)
        names = {"id": load.answers[0].id, "agent": agent["id"]}
        reads = [("GET", path.format_map(names), None) for path in READS]
        writes = [(method, path.format_map(names), body) for method, path, body in WRITES]
        for call in reads:
            status, said, _ = await console.ask(*call)
            assert status == (404 if "sessions/s" in call[1] else 200), (call, said)
        gone = time.monotonic()
        await asyncio.to_thread(server.stop if away == "stopped" else server.freeze)
        try:
            answers = await asyncio.gather(*(console.ask(*call) for call in (*reads, *writes)))
            health = [await console.ask("GET", path) for path in ("/readyz", "/metrics")]
            again = await asyncio.gather(*(console.ask(*call) for call in (*reads, *writes)))
        finally:
            await asyncio.to_thread(server.start if away == "stopped" else server.thaw)
        back = time.monotonic()
        for call, (status, said, took) in zip((*reads, *writes) * 2, (*answers, *again), strict=True):
            assert status == 503, (call, status, said)
            assert said["error"]["code"] == "unavailable", said
            assert "database" in said["error"]["message"]
            assert took < SOON[away], (call, took)
        assert [status for status, _, _ in health] == [200, 200]
        await asyncio.sleep(1.0)
        for call in reads:
            assert (await console.ask(*call))[0] in {200, 404}, call
        assert [(await console.ask(*call))[0] // 100 for call in writes[:4]] == [2] * 4
    assert not load.failures
    assert len(load.between(gone, back)) > 10
    slower = median_overhead(load.between(gone, back)) - median_overhead(load.between(0, gone))
    assert slower < SLOWER, f"a database that is away costs a request {slower:.2f} ms"
    missing = await place.missing(load)
    assert not missing, f"{len(missing)} of {len(load.answers)} are lost"
    assert await stopped(gateway) == 0
