"""A million interactions in SQLite: what lists, searches and statistics cost then.

    .venv/bin/python -m bench.million [--rows 1000000] [--keep FOLDER] [--check]

They are those of 30 days: agents of several teams, each with its users and models; a few large, most small; errors
that come in clusters, an agent that was switched off half way, a tool that only one agent calls. Their bodies are
what the recorder stores: small requests whole, a tenth as the turns of conversations behind one long prompt, cut into
their messages; a tenth of the answers as streams of some 6 kB, which are compressed.
"""

import argparse
import asyncio
import contextlib
import itertools
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.core.interaction import new_id
from gateway.core.record import Body, Record
from gateway.storage.database import Database
from gateway.storage.queries import interactions, listing, search, sessions, statistics
from gateway.storage.queries.listing import Filter

DAYS = 30
END = 1_790_000_000.0
AGENTS = 25
WORDS = [
    f"{a}{b}{c}"
    for a in ("ba", "ko", "mi", "tu", "re")
    for b in ("lan", "dos", "vik", "per")
    for c in ("a", "or", "en", "is", "um")
]
RARE = "quetzalcoatl"
TOOLS = ("search", "read_file", "write_file", "run", "calendar", "mail")
_PROMPTS = [
    b'{"role":"system","content":"%s"},' % (f"You are agent {each}. " * 150).encode()
    for each in range(AGENTS)
]
BUDGETS = {"page": 0.200, "search": 1.000, "statistics": 2.000, "sessions": 1.000}


def records(rows: int, seed: int = 1) -> Iterator[Record]:
    """Yield interactions in the order in which they end, the oldest first."""
    dice = random.Random(seed)
    step = DAYS * 86400 / rows
    sizes = [1 / (n + 1) for n in range(AGENTS)]
    for n in range(rows):
        at = END - DAYS * 86400 + n * step
        agent = dice.choices(range(AGENTS), sizes)[0]
        if agent == 3 and n > rows // 2:
            agent = 4  # switched off half way
        # An hour in which one provider fails, twice a day.
        failing = int(at // 3600) % 12 == 0 and agent % 3 == 0 and dice.random() < 0.5
        yield _record(dice, at, agent, n, failing)


def _record(dice: random.Random, at: float, agent: int, n: int, failing: bool) -> Record:
    provider = ("north", "east", "south")[agent % 3]
    tools = (dice.choice(TOOLS),) if dice.random() < 0.3 else ()
    if agent == 7 and dice.random() < 0.02:
        tools = ("launch",)
    blocked = tools if tools and dice.random() < 0.03 else ()
    if failing:
        ending: dict[str, Any] = {"status": 503, "outcome": "upstream_status", "error_kind": "overloaded"}
    elif dice.random() < 0.01:
        ending = {"status": 429, "outcome": "rate_limited", "error_kind": "rate_limit"}
    elif blocked:
        ending = {"status": 200, "outcome": "policy_blocked"}
    else:
        ending = {"status": 200, "outcome": "ok"}
    said = " ".join(dice.choices(WORDS, k=30)) + (f" {RARE}" if n % 9973 == 17 else "")
    spent = dice.randrange(1_000, 5_000_000)
    return Record(
        id=new_id(at),
        started_at=at,
        source="chat" if agent == 20 else "api",
        provider=provider,
        endpoint="POST /v1/chat",
        agent=f"agent-{agent}",
        team=f"team-{agent % 5}",
        user=f"user-{agent * 10 + dice.randrange(10)}",
        session=f"session-{agent}-{n // 200}" if agent % 4 else None,
        session_source="header",
        client="sdk/2.1",
        streamed=bool(n & 1),
        requested_model=f"{provider}-large",
        model=f"{provider}-{('large', 'small')[agent & 1]}" if dice.random() < 0.9 else f"{provider}-tiny",
        input_tokens=dice.randrange(10, 4000),
        output_tokens=dice.randrange(1, 800),
        usage_source="reported",
        cost=None if agent == 11 else spent,
        baseline_cost=None if agent == 11 else spent,
        first_byte_ms=dice.random() * 500,
        duration_ms=dice.random() * 5000,
        overhead_ms=0.3,
        attempts=1,
        request_bytes=1000,
        response_bytes=2000,
        blocked_tools=blocked,
        tools=tools,
        text=said,
        request=_request(n, agent, said.encode()),
        response=Body(
            _stream(said) if n % 10 == 3 else b'{"role":"assistant","content":"%s"}' % said[:100].encode()
        ),
        **ending,
    )


def _request(n: int, agent: int, said: bytes) -> Body:
    message = b'{"role":"user","content":"%s"}' % said
    if n % 10 != 7:
        return Body(b'{"model":"large","messages":[%s]}' % message)
    # A turn of a conversation: what was said before is there already.
    before = [b'{"role":"user","content":"turn %d of %d"},' % (turn, agent) for turn in range(n // 10 % 20)]
    return Body(b'{"model":"large","messages":[', (_PROMPTS[agent], *before, message), b"]}")


def _stream(said: str) -> bytes:
    return b"".join(
        b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"large","system_fingerprint":"fp",'
        b'"choices":[{"index":0,"delta":{"content":"%s "},"logprobs":null,"finish_reason":null}]}\n\n' % word
        for word in said.encode().split()
    )


FILTERS: dict[str, list[Any]] = {
    "agent": ["agent-0", "agent-3", "agent-24", "nobody"],
    "user": ["user-0", "user-35", "user-249"],
    "team": ["team-0", "team-4"],
    "provider": ["north", "south"],
    "model": ["north-small", "south-large", "east-tiny"],
    "status": [200, 429, 503, 404],
    "error_kind": ["overloaded", "rate_limit"],
    "outcome": ["ok", "policy_blocked", "upstream_status", "lost"],
    "tool": ["search", "launch", "none"],
    "blocked": [True, False],
    "source": ["chat", "api", "dual_llm"],
    "session": ["session-1-4", "session-2-2499", "none"],
    "from_": [END - 86400, END - 20 * 86400],
    "to": [END - 86400, END - 20 * 86400],
}


def filters(seed: int = 2, triples: int = 300) -> Iterator[Filter]:
    """Yield no filter, each one, each pair and some triples."""
    yield Filter()
    for size in (1, 2):
        for names in itertools.combinations(FILTERS, size):
            for values in itertools.product(*(FILTERS[name] for name in names)):
                yield Filter(**dict(zip(names, values, strict=True)))
    dice = random.Random(seed)
    for _ in range(triples):
        names = tuple(dice.sample(list(FILTERS), 3))
        yield Filter(**{name: dice.choice(FILTERS[name]) for name in names})


@dataclass
class Timed:
    """How long one kind of question took."""

    kind: str
    name: str
    seconds: list[tuple[float, str]] = field(default_factory=list)

    @property
    def worst(self) -> tuple[float, str]:
        return max(self.seconds)

    @property
    def median(self) -> float:
        return sorted(self.seconds)[len(self.seconds) // 2][0]

    @property
    def met(self) -> bool:
        return self.worst[0] < BUDGETS[self.kind]


async def fill(database: Database, rows: int) -> tuple[float, float]:
    """Write them, and let search know of them; return the CPU seconds of both."""
    stream = records(rows)
    spent = 0.0
    while batch := list(itertools.islice(stream, 500)):
        before = time.process_time()
        async with database.write() as connection:
            await interactions.write(connection, (), batch)
        spent += time.process_time() - before
    before = time.process_time()
    while True:
        async with database.write() as connection:
            if not await search.index_pending(connection, 1000, str):
                break
    return spent, time.process_time() - before


async def measure(database: Database) -> list[Timed]:
    """Ask all kinds of questions."""
    found: list[Timed] = []

    async def timed(kind: str, name: str, said: str, ask: Callable[[Any], Awaitable[Any]]) -> None:
        if not found or (found[-1].kind, found[-1].name) != (kind, name):
            found.append(Timed(kind, name))
        # The quickest of three: what else the machine does meanwhile is not the question's.
        seconds = []
        for _ in range(3):
            async with database.read() as connection:
                start = time.perf_counter()
                await ask(connection)
                seconds.append(time.perf_counter() - start)
        found[-1].seconds.append((min(seconds), said))

    for wanted in filters():
        name = ("no filter", "one filter", "two filters", "three filters")[len(_said(wanted))]
        await timed("page", name, str(_said(wanted)), lambda c, w=wanted: listing.page(c, w, 50))
    for wanted in filters(triples=50):
        async with database.read() as connection:
            _, after = await listing.page(connection, wanted, 50)
        if after:
            await timed(
                "page",
                "second page",
                str(_said(wanted)),
                lambda c, w=wanted, a=after: listing.page(c, w, 50, a),
            )
    two = f"{WORDS[1]} {WORDS[2]}"
    # The last two have no index: what is in most texts, and what is in none.
    for term in (WORDS[0], RARE, "absent from all of it", two, f'"{two}"', WORDS[0][:2], "zq"):
        for more in ({}, {"agent": "agent-24"}, {"agent": "nobody"}, {"status": 503}):
            wanted = Filter(q=term, **more)
            await timed(
                "search", "text search", str(_said(wanted)), lambda c, w=wanted: listing.page(c, w, 50)
            )
    for by in statistics.DIMENSIONS:
        await timed(
            "statistics", "30 days", by, lambda c, b=by: statistics.sums(c, b, from_=END - 30 * 86400)
        )
    for more in ({}, {"agent": "agent-1"}, {"agent": "agent-3"}):
        wanted = Filter(**more)
        await timed("sessions", "sessions", str(more), lambda c, w=wanted: sessions.page(c, w, 50))
    return found


def _said(wanted: Filter) -> dict[str, Any]:
    return {name: value for name in wanted.__struct_fields__ if (value := getattr(wanted, name)) is not None}


def table(found: list[Timed]) -> str:
    """Return the figures as Markdown."""
    lines = ["| | questions | median | worst | budget | |", "|---|---:|---:|---:|---:|---|"]
    for each in found:
        lines.append(
            f"| {each.name} | {len(each.seconds)} | {each.median * 1000:.1f} ms | {each.worst[0] * 1000:.1f} ms "
            f"| {BUDGETS[each.kind] * 1000:.0f} ms | {'met' if each.met else 'MISSED'} |"
        )
    return "\n".join(lines)


def sizes(path: Path, rows: int) -> str:
    """Return what an interaction takes, and of which tables and indexes that is."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        [page] = connection.execute("PRAGMA page_size").fetchone()
        try:
            found = connection.execute(
                "SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC"
            ).fetchall()
        except sqlite3.OperationalError:  # not every SQLite can tell
            found = []
    parts = ", ".join(f"{name} {size / rows:.0f}" for name, size in found if size > rows)
    total = path.stat().st_size / rows
    return f"{total:.0f} bytes each, in pages of {page}" + (f": {parts}" if parts else "")


async def main() -> int:
    """Fill a database, or take one that is kept, and print what questions cost."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path, help="a folder to leave the database in, or to find it")
    parser.add_argument("--check", action="store_true", help="exit code 1 if a budget was missed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = (options.keep or Path(folder)) / "gateway.db"
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        database = Database(f"sqlite+aiosqlite:///{path}", b"bench" * 8)
        await database.open()
        if is_new:
            written, indexed = await fill(database, options.rows)
            print(
                f"{options.rows:,} interactions: {written / options.rows * 1e6:.1f} µs of CPU each to write, "
                f"{indexed / options.rows * 1e6:.1f} µs to index"
            )
            await database.close()  # so that all of it is in the one file
            print(sizes(path, options.rows))
            await database.open()
        found = await measure(database)
        await database.close()
    print(table(found))
    for each in found:
        print(f"worst of {each.name}: {each.worst[1]}")
    return int(options.check and not all(each.met for each in found))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
