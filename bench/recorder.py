"""The recorder alone, under a load that does not wait for it: does it keep up, does anything get lost?

    .venv/bin/python -m bench.recorder [--rate 2000] [--seconds 10] [--check]

Interactions are handed to a whole gateway's recorder as its proxy does when an answer has ended, so many each second
whatever has become of those before: requests and answers of 1 kB, each of them new, read by the adapter. What comes
behind that is the gateway's own: log line, prices, metrics, batches, an SQLite file. Afterwards every body is read back.
"""

import argparse
import asyncio
import contextlib
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import uvloop
from multidict import CIMultiDict
from sqlalchemy import select

from gateway.app import Gateway, load_providers
from gateway.core.framing import framer_for
from gateway.core.interaction import Interaction, Principal, new_id
from gateway.settings import Settings
from gateway.storage.database import Database
from gateway.storage.packing import unpacked
from gateway.storage.queries.bodies import pieces
from gateway.storage.tables import contents

TICK = 0.005  # seconds between two looks at what is due
PATIENCE = 30.0  # seconds for what is still to be stored after the load
_WORDS = "".join(random.Random(1).choices("abcdefghij klmnop qrstuvwxyz ", k=64_000))
_AGENT = Principal("support", user="ann", team="care", agent_id="a1", agent_name="Support")


def request_body(n: int) -> bytes:
    return b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"%d %s"}]}' % (n, _text(n, 900))


def response_body(n: int) -> bytes:
    return (
        b'{"id":"chatcmpl-%d","object":"chat.completion","created":1,"model":"gpt-4o-mini","choices":[{"index":0,"message":'
        b'{"role":"assistant","content":"%s"},"finish_reason":"stop"}],"usage":{"prompt_tokens":200,"completion_tokens":150,'
        b'"total_tokens":350}}' % (n, _text(n + 7, 800))
    )


def _text(n: int, size: int) -> bytes:
    at = n * 31 % (len(_WORDS) - size)
    return _WORDS[at : at + size].encode()


@dataclass
class Kept:
    """What became of a load."""

    count: int
    rate: float  # records each second that were handed over
    states: dict[str, float]  # gateway_log_records_total
    dropped_bodies: float
    stored_rate: float  # records each second, from the first one until all were stored
    lag: float  # seconds: the most that any of them waited
    late: float  # seconds: the most by which one was handed over too late
    loop: float  # of one core: the event loop's thread, without making the load
    cpu: float  # of one core: all threads, without making the load
    unreadable: int = 0
    problems: list[str] = field(default_factory=list)

    def judge(self, *, rate: float, lag: float) -> None:
        if self.states["dropped"] or self.states["committed"] != self.count:
            self.problems.append(f"of {self.count} records: {self.states}")
        if self.dropped_bodies or self.unreadable:
            self.problems.append(
                f"{self.dropped_bodies} bodies were dropped, {self.unreadable} can't be read"
            )
        if self.stored_rate < rate:
            self.problems.append(f"{self.stored_rate:.0f} a second were stored, not {rate:.0f}")
        if self.lag > lag:
            self.problems.append(f"one waited for {self.lag:.1f} s")

    def table(self) -> str:
        rows = {
            "Records handed over": f"{self.rate:,.0f} a second",
            "Records stored": f"{self.stored_rate:,.0f} a second",
            "Records dropped": f"{self.states['dropped']:.0f}",
            "Bodies dropped, or not readable afterwards": f"{self.dropped_bodies + self.unreadable:.0f}",
            "Longest wait until stored": f"{self.lag * 1000:.0f} ms",
            "Event loop": f"{self.loop:.0%} of a core",
            "All threads": f"{self.cpu:.0%} of a core",
        }
        return "\n".join(["| | |", "|---|---:|", *(f"| {name} | {value} |" for name, value in rows.items())])


class Load:
    """Makes interactions as the proxy does, and knows what that took."""

    def __init__(self, gateway: Gateway) -> None:
        self._provider = gateway.providers["openai"]
        self._endpoint = next(
            each for each in self._provider.endpoints if each.path.endswith("/chat/completions")
        )
        self._put = gateway._recorder.put
        self.spent = 0.0
        self.late = 0.0

    async def run(self, rate: float, count: int) -> None:
        start = time.perf_counter()
        sent = 0
        while sent < count:
            due = min(count, int((time.perf_counter() - start) * rate) + 1)
            before = time.thread_time()
            for n in range(sent, due):
                self._put(self._interaction(n))
            self.spent += time.thread_time() - before
            self.late = max(self.late, time.perf_counter() - start - sent / rate)
            sent = due
            await asyncio.sleep(TICK)

    def _interaction(self, n: int) -> Interaction:
        now = time.perf_counter()
        i = Interaction(
            new_id(at := time.time()),
            self._provider,
            self._endpoint,
            CIMultiDict(),
            started=now,
            started_at=at,
        )
        body, answer = request_body(n), response_body(n)
        i.principal = _AGENT
        i.request = self._endpoint.request(body, {}, self._provider.row.quirks)
        i.requested_model = i.request.model
        i.request_bytes, i.response_bytes, i.response = len(body), len(answer), answer
        i.status, i.outcome, i.attempts = 200, "ok", 1
        i.first_byte, i.finished, i.overhead = now, now, 0.0003
        framer = framer_for("application/json", 1 << 20, streamed=False)
        reader = self._endpoint.response(i.request, streamed=False)
        for frame in (*framer.feed(answer), *framer.close()):
            for event in reader.events(frame):
                i.completion.apply(event)
        return i


async def measure(folder: Path, rate: float, seconds: float) -> Kept:
    """Run a gateway under such a load, and read back what it kept."""
    count = int(rate * seconds)
    settings = Settings(state_dir=str(folder), port=0, console_port=0)
    gateway = Gateway(settings, *load_providers(settings, {}))
    await gateway.start()
    load = Load(gateway)
    async with _lag(gateway) as lags:
        used, threads, start = time.process_time(), time.thread_time(), time.perf_counter()
        await load.run(rate, count)
        handed = time.perf_counter() - start
        while _states(gateway)["committed"] < count and time.perf_counter() - start < seconds + PATIENCE:  # noqa: ASYNC110  # it tells nobody
            await asyncio.sleep(TICK)
        took = time.perf_counter() - start
        used, threads = time.process_time() - used, time.thread_time() - threads
    kept = Kept(
        count=count,
        rate=count / handed,
        states=_states(gateway),
        dropped_bodies=_sample(gateway, "gateway_recorder_dropped_bodies_total")[0][1],
        stored_rate=count / took,
        lag=max(lags),
        late=load.late,
        loop=(threads - load.spent) / took,
        cpu=(used - load.spent) / took,
    )
    hurry = asyncio.Event()
    hurry.set()
    await gateway.stop(hurry)
    kept.unreadable = await _unreadable(Database(settings.database, gateway.keyring.bodies), count)
    return kept


@contextlib.asynccontextmanager
async def _lag(gateway: Gateway) -> AsyncIterator[list[float]]:
    """Look again and again at how long the oldest record has waited."""
    found = [0.0]

    async def look() -> None:
        while True:
            found.append(_sample(gateway, "gateway_recorder_lag_seconds")[0][1])
            await asyncio.sleep(0.02)

    looking = asyncio.get_running_loop().create_task(look())
    yield found
    looking.cancel()


def _sample(gateway: Gateway, name: str) -> list[tuple[dict[str, str], float]]:
    return gateway._registry.get(name).get_all()


def _states(gateway: Gateway) -> dict[str, float]:
    return {labels["state"]: count for labels, count in _sample(gateway, "gateway_log_records_total")}


async def _unreadable(database: Database, count: int) -> int:
    """Read every body back; return how many are not there, or not what was sent."""
    columns = contents.c["number", "request", "response"]
    missing = 2 * count
    last, n = 0, 0
    async with database.read() as connection:
        while rows := (
            await connection.execute(
                select(*columns).where(contents.c.number > last).order_by(contents.c.number).limit(1000)
            )
        ).all():
            for row in rows:
                prefix, messages, suffix = await pieces(connection, row.request)
                missing -= b"".join((prefix, *messages, suffix)) == request_body(n)
                missing -= unpacked(row.response) == response_body(n)
                last, n = row.number, n + 1
    await database.close()
    return missing


def run(folder: Path, rate: float, seconds: float) -> Kept:
    # The lines of the log are written, and seen by nobody.
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        return uvloop.run(measure(folder, rate, seconds))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=2000.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument(
        "--check", action="store_true", help="exit code 1 if it did not keep up, or lost anything"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kept = run(Path(folder), options.rate, options.seconds)
    # Half a second is for what was handed over last.
    kept.judge(rate=options.rate * options.seconds / (options.seconds + 0.5), lag=1.0)
    print(kept.table())
    for problem in kept.problems:
        print(problem, file=sys.stderr)
    return int(options.check and bool(kept.problems))


if __name__ == "__main__":
    sys.exit(main())
