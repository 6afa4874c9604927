"""What the process and its database go through (P-rows of the fault list): killed, stopped, locked out, out of space.

Each runs under load. Whatever happens: what was acknowledged is stored exactly once, the sums are those of the
answers, and the path of a request does not become slower.
"""

import asyncio
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import asyncpg
import psutil
import pytest
import pytest_asyncio

from tests.harness import sinks
from tests.harness.client import Client, exchange
from tests.harness.dialects import DIALECTS
from tests.harness.load import INPUT_TOKENS, OUTPUT_TOKENS, Load, median_overhead
from tests.harness.process import Gateway
from tests.harness.upstream import ScriptedUpstream, begin, compile_script, head, say, sleep
from tests.storage.postgresql import Server

SLOWER = 1.0  # milliseconds of the gateway's own that a fault of the database may add to the median
COMMITTED_WITHIN = 0.5  # seconds from the end of an answer until no crash can lose it


@pytest_asyncio.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    server = ScriptedUpstream()
    await server.start()
    yield server
    await server.stop()


class Place:
    """A state folder that outlives the gateways which use it."""

    def __init__(self, folder: Path, upstream: ScriptedUpstream) -> None:
        self.folder = folder
        self._env = {
            "GATEWAY_OPENAI_BASE_URL": f"http://127.0.0.1:{upstream.port}/v1",
            "GATEWAY_STATE_DIR": str(folder),
            "GATEWAY_DRAIN_ACCEPT": "0",
            "GATEWAY_DRAIN_FINISH": "1",
        }

    @property
    def database(self) -> Path:
        return self.folder / "gateway.db"

    async def start(self, **env: str) -> Gateway:
        return await asyncio.to_thread(Gateway({**self._env, **env}).wait_ready)

    def check(self, load: Load, *, after: float = float("inf")) -> None:
        """Every answer that ended before a time is stored once, and the sums are exact."""
        rows = sinks.rows(self.folder)
        ids = [row.id for row in rows]
        assert len(ids) == len(set(ids)), "stored twice"
        wanted = {answer.id for answer in load.answers if answer.finished < after}
        assert wanted <= set(ids), f"{len(wanted - set(ids))} of {len(wanted)} acknowledged answers are lost"
        ok = [row for row in rows if row.outcome == "ok"]
        assert all((row.input_tokens, row.output_tokens) == (INPUT_TOKENS, OUTPUT_TOKENS) for row in ok)
        expected = (len(rows), len(ok) * INPUT_TOKENS, len(ok) * OUTPUT_TOKENS)
        assert sinks.summed(self.folder) == expected, "the sums by hour are not those of the rows"


@pytest.fixture
def place(tmp_path: Path, upstream: ScriptedUpstream) -> Place:
    return Place(tmp_path / "state", upstream)


async def stopped(gateway: Gateway, *, settled: bool = True) -> int:
    return await asyncio.to_thread(gateway.stop, 20, settled=settled)


def states(gateway: Gateway) -> str:
    told = [line for line in gateway.output.lines if '"event":"interaction"' not in line]
    return "\n".join(told[-12:])


async def test_p04_killed_under_load(place, upstream):
    gateway = await place.start()
    async with Load(gateway.port, upstream) as load:
        await asyncio.sleep(1.5)
        killed = time.monotonic()
        gateway.signal(signal.SIGKILL)
        await asyncio.to_thread(gateway.process.wait)
    assert len(load.answers) > 50
    await stopped(gateway)
    second = await place.start()
    await asyncio.to_thread(sinks.wait_for, place.folder, set(), 1)
    assert await stopped(second) == 0
    place.check(load, after=killed - COMMITTED_WITHIN)
    assert sinks.in_flight(place.folder) == []


LABELS = "x-gateway-user-id: ann\r\nsession-id: s-1\r\n"


async def test_p04_what_was_in_flight_when_it_was_killed_is_lost_and_says_so(place, upstream):
    upstream.queue.append(compile_script([head(), begin(), say("Once"), sleep(30)], DIALECTS["chat"]))
    gateway = await place.start()
    asking = asyncio.get_running_loop().create_task(
        exchange(gateway.port, DIALECTS["chat"].request(stream=True, headers=LABELS), Client(deadline=10))
    )
    async with asyncio.timeout(5):
        while not sinks.in_flight(place.folder):  # noqa: ASYNC110  # another process writes it
            await asyncio.sleep(0.05)
    [begun] = sinks.in_flight(place.folder)
    gateway.signal(signal.SIGKILL)
    await asking
    await stopped(gateway)
    second = await place.start()
    missing = await asyncio.to_thread(sinks.wait_for, place.folder, {begun})
    assert not missing
    [row] = [row for row in sinks.rows(place.folder) if row.id == begun]
    assert (row.outcome, row.agent, row.user, row.model) == ("lost", "default", "ann", DIALECTS["chat"].model)
    assert (row.session, row.more["session_source"]) == ("s-1", "session-id")
    assert sinks.in_flight(place.folder) == []
    await stopped(second)


async def test_p07_locked_by_another_writer(place, upstream):
    gateway = await place.start()
    async with Load(gateway.port, upstream, pause=0.01) as load:
        await asyncio.sleep(1.5)
        locked = time.monotonic()
        with closing(sqlite3.connect(place.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await asyncio.sleep(30)
            other.execute("ROLLBACK")
        free = time.monotonic()
        await asyncio.sleep(1.0)
    before, during = load.between(0, locked), load.between(locked, free)
    assert len(during) > 100
    assert not load.failures
    slower = median_overhead(during) - median_overhead(before)
    assert slower < SLOWER, f"a locked database costs a request {slower:.2f} ms"
    assert not await asyncio.to_thread(sinks.wait_for, place.folder, {a.id for a in load.answers}, 15)
    assert await stopped(gateway) == 0
    place.check(load)
    assert not list((place.folder / "spill").iterdir())


async def test_p03_stopped_while_the_database_is_locked(place, upstream):
    gateway = await place.start()
    with closing(sqlite3.connect(place.database, isolation_level=None)) as other:
        async with Load(gateway.port, upstream) as load:
            await asyncio.sleep(0.5)
            other.execute("BEGIN IMMEDIATE")
            await asyncio.sleep(0.5)
        assert await stopped(gateway, settled=False) == 0, states(gateway)
        assert list((place.folder / "spill").iterdir()), "nothing was spilled"
        other.execute("ROLLBACK")
    second = await place.start()
    assert not await asyncio.to_thread(sinks.wait_for, place.folder, {a.id for a in load.answers})
    assert await stopped(second) == 0
    place.check(load)
    assert not list((place.folder / "spill").iterdir())


async def test_p08_disk_full(place, upstream):
    """A limit on the size of files stands for a full disk: neither the database nor the spill file can grow."""
    gateway = await place.start()
    process = psutil.Process(gateway.process.pid)
    async with Load(gateway.port, upstream, pause=0.02) as load:
        await asyncio.sleep(1.0)
        process.rlimit(psutil.RLIMIT_FSIZE, (1, resource_limit(process)))
        await asyncio.sleep(8.0)
        full = len(load.answers)
        assert gateway.alive, states(gateway)
        process.rlimit(psutil.RLIMIT_FSIZE, (resource_limit(process),) * 2)
        await asyncio.sleep(1.0)
    assert full > 50
    assert not load.failures
    assert not await asyncio.to_thread(sinks.wait_for, place.folder, {a.id for a in load.answers}, 15)
    assert await stopped(gateway) == 0
    place.check(load)


def resource_limit(process: psutil.Process) -> int:
    return process.rlimit(psutil.RLIMIT_FSIZE)[1]


async def test_p09_database_renamed_underneath(place, upstream):
    gateway = await place.start()
    async with Load(gateway.port, upstream, pause=0.01) as load:
        await asyncio.sleep(1.0)
        await asyncio.to_thread(sinks.wait_for, place.folder, {a.id for a in load.answers[:-20]})
        moved = place.folder / "moved.db"
        place.database.rename(moved)
        for suffix in ("-wal", "-shm"):
            if (extra := Path(f"{place.database}{suffix}")).exists():
                shutil.copy(extra, f"{moved}{suffix}")
        gone = time.monotonic()
        await asyncio.sleep(2.0)
    assert await stopped(gateway) == 0
    late = {a.id for a in load.answers if a.finished > gone + COMMITTED_WITHIN}
    assert len(late) > 20
    stored = {row.id for row in sinks.rows(place.folder)}
    assert late <= stored, f"{len(late - stored)} of {len(late)} went to a file that nobody sees"


async def test_p10_corrupted_at_the_start(place):
    place.folder.mkdir()
    place.database.write_bytes(b"this is no database" * 1000)
    gateway = Gateway({**place._env})
    code = await asyncio.to_thread(gateway.process.wait, 20)
    await stopped(gateway)
    assert code == 78
    assert any("gateway.db" in line for line in gateway.output.lines)
    assert place.database.read_bytes() == b"this is no database" * 1000


async def test_p17_when_the_queue_is_full_bodies_go_first(place, upstream):
    """Neither the database nor the spill file takes anything, and the load goes on until memory is bounded."""
    gateway = await place.start()
    process = psutil.Process(gateway.process.pid)
    before = gateway.sample().rss
    process.rlimit(psutil.RLIMIT_FSIZE, (1, resource_limit(process)))
    async with Load(gateway.port, upstream, connections=8, size=900_000) as load:
        await asyncio.sleep(6.0)
    assert gateway.alive
    assert not load.failures
    grown = (gateway.sample().rss - before) / (1 << 20)
    assert grown < 250, f"{grown:.0f} MiB while nothing could be stored"
    process.rlimit(psutil.RLIMIT_FSIZE, (resource_limit(process),) * 2)
    missing = await asyncio.to_thread(sinks.wait_for, place.folder, {a.id for a in load.answers}, 30)
    assert not missing, f"{len(missing)} of {len(load.answers)} are not stored: {states(gateway)}"
    assert await stopped(gateway) == 0
    place.check(load)


def test_the_limits_of_this_process_are_not_changed():
    assert psutil.Process(os.getpid()).rlimit(psutil.RLIMIT_FSIZE)[0] == psutil.RLIM_INFINITY


class Shared(Place):
    """A place whose database is a PostgreSQL server."""

    def __init__(self, folder: Path, upstream: ScriptedUpstream, url: str) -> None:
        super().__init__(folder, upstream)
        self._env["GATEWAY_DATABASE_URL"] = url
        self._url = url.replace("+asyncpg", "")

    async def query(self, sql: str) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self._url)
        try:
            return await connection.fetch(sql)
        finally:
            await connection.close()

    async def missing(self, load: Load, deadline: float = 20) -> set[str]:
        wanted = {answer.id for answer in load.answers}
        end = time.monotonic() + deadline
        while True:
            left = wanted - {row["id"] for row in await self.query("SELECT id FROM interactions")}
            if not left or time.monotonic() > end:
                return left
            await asyncio.sleep(0.2)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    made.start()
    yield made
    made.remove()


async def test_p11_postgresql_restarted_under_load(tmp_path, upstream, server):
    place = Shared(tmp_path / "state", upstream, server.url("postgres"))
    gateway = await place.start()
    async with Load(gateway.port, upstream, pause=0.01) as load:
        await asyncio.sleep(1.5)
        down = time.monotonic()
        await asyncio.to_thread(server.stop)
        await asyncio.sleep(8.0)  # longer than the patience: what comes is spilled
        await asyncio.to_thread(server.start)
        up = time.monotonic()
        await asyncio.sleep(2.0)
    assert not load.failures
    before, during = load.between(0, down), load.between(down, up)
    assert len(during) > 100
    slower = median_overhead(during) - median_overhead(before)
    assert slower < SLOWER, f"a database that is away costs a request {slower:.2f} ms"
    missing = await place.missing(load)
    assert not missing, f"{len(missing)} of {len(load.answers)} are lost: {states(gateway)}"
    [sums] = await place.query("SELECT sum(requests) AS n, sum(output_tokens) AS t FROM usage_by_hour")
    assert (sums["n"], sums["t"]) == (len(load.answers), len(load.answers) * OUTPUT_TOKENS)
    assert await stopped(gateway) == 0


async def test_p11_killed_backend_in_the_midst(tmp_path, upstream, server):
    place = Shared(tmp_path / "state", upstream, server.url("postgres"))
    gateway = await place.start()
    async with Load(gateway.port, upstream, pause=0.01) as load:
        for _ in range(10):
            await asyncio.sleep(0.3)
            await place.query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'llm-gateway'"
            )
    assert not load.failures
    missing = await place.missing(load)
    assert not missing, f"{len(missing)} of {len(load.answers)} are lost: {states(gateway)}"
    [sums] = await place.query("SELECT sum(requests) AS n FROM usage_by_hour")
    assert sums["n"] == len(load.answers)
    assert await stopped(gateway) == 0
