"""What policies cost: 500 of them on 100 tools, and a conversation that holds 200 results of 1 kB.

    .venv/bin/python -m bench.guard [--quick] [--check]

The same conversation is sent again and again, as an agent's next turn sends all that came before. Beside the hop:
CPU per request with bodies recorded and without, and CPU per streamed event. By the clock: how long after the last
fragment of a call that is held its client has all of it. In process: the policies' own part of a request.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import uvloop

from bench import load, peers, subjects
from bench.turns import Turn
from gateway import settings as configuration
from gateway.core.adapter import RequestAdapter
from gateway.core.interaction import Interaction, Principal
from gateway.core.policies import Guard
from gateway.core.snapshot import build
from gateway.providers import load as load_providers
from gateway.stages.tool_calls import ToolCalls
from gateway.stages.tool_results import ToolResults

TOOLS, RESULTS = 100, 200
MOST_RATIO, MOST_EVENT = 2.5, 1.3
MOST_OWN = 0.5e-3  # seconds
MOST_HELD = 2e-3
STREAMS, GAP = 200, 20
_HOLDS = '{ key = "path", operator = "regex", value = "^/srv/[a-z]+/notes/.*" }'


def policies() -> str:
    """A gateway.toml: five policies for each tool."""
    tables = []
    for number in range(TOOLS):
        tool = f"tool_{number}"
        tables += [
            _table("tool_invocation", tool, '{ key = "path", operator = "contains", value = "/etc/" }', "block_always"),
            _table("tool_invocation", tool, _HOLDS, "block_when_context_is_untrusted"),
            _table("tool_invocation", tool, "", "allow_when_context_is_untrusted"),
            _table("trusted_data", tool, '{ key = "from", operator = "endsWith", value = "@evil.example" }', "block_always"),
            _table("trusted_data", tool, '{ key = "rows[*].owner", operator = "in", value = ["us", "ours"] }', "mark_as_trusted"),
        ]  # fmt: skip
    return "\n".join(tables)


def _table(kind: str, tool: str, condition: str, action: str) -> str:
    return f'[[{kind}_policies]]\ntool = "{tool}"\nconditions = [{condition}]\naction = "{action}"\n'


def conversation(turn: int = 0) -> bytes:
    """A chat completion request in which 200 calls were answered, 1 kB each."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Go through all of it."}]
    for number in range(RESULTS):
        function = {"name": f"tool_{number % TOOLS}", "arguments": '{"path":"/srv/ann/list"}'}
        call = {"id": f"call_{number:04}", "type": "function", "function": function}
        rows = [
            {"owner": "us", "at": f"{number}-{row}", "text": load.TEXT[row : row + 60]} for row in range(9)
        ]
        result = orjson.dumps({"from": "ann@us.example", "rows": rows}).decode()
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
    messages.append({"role": "user", "content": f"And now, {turn}?"})
    tools = [
        {"type": "function", "function": dict(load.WEATHER["function"], name=f"tool_{number}")}
        for number in range(TOOLS)
    ]
    return orjson.dumps({"model": "bench", "messages": messages, "tools": tools})


def own_part(guard: Guard, turns: int = 60) -> tuple[float, float]:
    """Seconds that policies take of the first turn, and of one after it: results found and judged, tools looked at."""
    provider = load_providers()["openai"]
    found = provider.match("POST", "/chat/completions")
    assert found is not None
    stages = (ToolResults(), ToolCalls())

    async def judge(turn: int) -> float:
        request: RequestAdapter = found.endpoint.request(conversation(turn), {})
        i = Interaction(
            "1", provider, found.endpoint, {}, principal=Principal("default"), guard=guard, request=request
        )
        started = time.perf_counter()
        for stage in stages:
            await stage.on_request(i)
        request.require_unique_members()
        took = time.perf_counter() - started
        if len(request.tool_results) != RESULTS or i.context_untrusted or not i.hold:
            raise RuntimeError("the conversation was not judged as it should be")
        return took

    async def all_turns() -> list[float]:
        return [await judge(turn) for turn in range(turns)]

    first, *later = asyncio.run(all_turns())
    return first, statistics.median(later)


@contextmanager
def configured() -> Iterator[str]:
    """The path of a file with the policies."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        file = Path(folder) / "gateway.toml"
        file.write_text(policies())
        yield str(file)


def loaded(file: str) -> Guard:
    """The policies as the gateway has them."""
    declared = configuration.load(file, {}).declared
    snapshot = build(declared)
    return snapshot.guard(snapshot.agents["default"], ())


async def plain(pair: list[subjects.Process], turns: int) -> list[float]:
    """CPU per request of the conversation, of each subject."""
    body = conversation()
    measured = await asyncio.gather(
        *(
            load.plain(
                process.port,
                process.cpu,
                Turn(number, len(pair)),
                connections=4,
                turns=turns,
                message=load.HEAD % (process.port, len(body)) + body,
            )
            for number, process in enumerate(pair)
        )
    )
    return [each.cpu_each for each in measured]


async def flowing(pair: list[subjects.Process], events: int) -> list[float]:
    """CPU per streamed event, of each subject."""
    measured = await asyncio.gather(
        *(
            load.streams(
                process.port, process.cpu, Turn(number, len(pair)), streams=STREAMS, events=events, gap=GAP
            )
            for number, process in enumerate(pair)
        )
    )
    return [each.cpu_each for each in measured]


class Caller:
    """An upstream whose answers end with a call, and what its client has to wait for after that."""

    def __init__(self) -> None:
        self.last = 0.0
        self.server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen; return the port."""
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self.server.sockets[0].getsockname()[1]
        return port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Whoever looks whether a subject is there leaves before its answer has ended.
        with suppress(asyncio.IncompleteReadError, ConnectionError, RuntimeError):
            await self._answer(reader, writer)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = load.LENGTH.search(head)
            await reader.readexactly(int(length[1]) if length else 0)
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            for piece in _pieces():
                await asyncio.sleep(0.001)
                self.last = time.perf_counter()
                writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            writer.write(b"0\r\n\r\n")

    async def ask(self, port: int) -> float:
        """Seconds from the last fragment that was sent to the end that was received."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(load.request(port, stream="bench"))
        received = b""
        while not received.endswith(load.LAST_CHUNK):
            received += await reader.read(65536)
        took = time.perf_counter() - self.last
        writer.close()
        if b"/ann/list" not in received or b"tool_7" not in received:
            raise load.BrokenAnswer(received[-300:].decode(errors="replace"))
        return took


def _pieces() -> Iterator[bytes]:
    """A text, then a call in fragments; what ends the answer comes with the last one."""
    fragments = ["", '{"path":', '"/srv', "/ann/list", '"}']
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": "Let me see."}]
    for number, fragment in enumerate(fragments):
        call: dict[str, Any] = {"index": 0, "function": {"arguments": fragment}}
        if not number:
            call |= {"id": "call_1", "type": "function", "function": {"name": "tool_7", "arguments": ""}}
        deltas.append({"tool_calls": [call]})
    frames = [_frame(delta, None) for delta in deltas]
    yield from frames[:-1]
    yield frames[-1] + _frame({}, "tool_calls") + load.DONE


def _frame(delta: dict[str, Any], reason: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "bench", "choices": [choice]}
    return b"data: " + orjson.dumps(body) + b"\n\n"


async def held(file: str, core: int, rounds: int) -> float:
    """Seconds that a held call comes later than through the hop, after its last fragment: the median."""
    caller = Caller()
    port = await caller.start()
    with ExitStack() as stack:
        start = partial(asyncio.to_thread, stack.enter_context)
        hop = await start(subjects.hop("hop", core, port))
        gateway = await start(subjects.gateway("gateway", core, port, "gateway", GATEWAY_CONFIG=file))
        waits: list[list[float]] = [[], []]
        for _ in range(rounds):
            for process, found in zip((hop, gateway), waits, strict=True):
                found.append(await caller.ask(process.port))
    return statistics.median(waits[1]) - statistics.median(waits[0])


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.guard", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a round of each: noisy")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a limit was missed")
    return parser.parse_args()


async def ratios(file: str, core: int, rounds: int) -> dict[str, list[float]]:
    """CPU of the gateway in that of the hop, round by round."""
    found: dict[str, list[float]] = {"recorded": [], "not recorded": [], "event": []}
    async with peers.provider() as port:
        for number in range(rounds):
            for name in found:
                print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr, flush=True)
                settings = {
                    "GATEWAY_CONFIG": file,
                    "GATEWAY_RECORD_BODIES": str(name != "not recorded").lower(),
                }
                with ExitStack() as stack:
                    start = partial(asyncio.to_thread, stack.enter_context)
                    pair = [
                        await start(subjects.hop("hop", core, port)),
                        await start(subjects.gateway("gateway", core, port, "gateway", **settings)),
                    ]
                    with peers.awake():
                        events = 60 if rounds == 1 else 200
                        took = await (flowing(pair, events) if name == "event" else plain(pair, 6))
                found[name].append(took[1] / took[0])
    return found


def main() -> int:
    chosen = options()
    rounds = 1 if chosen.quick else 5
    core, other = subjects.cores()
    os.sched_setaffinity(0, {other})
    with configured() as file:
        first, own = own_part(loaded(file))
        late = uvloop.run(held(file, core, 30 if chosen.quick else 200))
        found = uvloop.run(ratios(file, core, rounds))
    size = len(conversation()) >> 10
    told = [
        (
            f"CPU of a request of {size} kB, bodies recorded",
            statistics.median(found["recorded"]),
            MOST_RATIO,
            "x hop",
        ),
        ("the same, bodies not recorded", statistics.median(found["not recorded"]), MOST_RATIO, "x hop"),
        ("CPU per streamed event", statistics.median(found["event"]), MOST_EVENT, "x hop"),
        ("policies' own part of a later turn", own * 1e3, MOST_OWN * 1e3, "ms"),
        ("a held call, after its last fragment, beside the hop", late * 1e3, MOST_HELD * 1e3, "ms"),
    ]
    print(
        f"| | measured | limit | |\n|---|---:|---:|---|\n| policies' own part of the first turn | {first * 1e3:.1f} ms | | |"
    )
    for what, measured, limit, unit in told:
        print(
            f"| {what} | {measured:.2f} {unit} | {limit:.2f} {unit} | {'met' if measured <= limit else '**missed**'} |"
        )
    return int(chosen.check and any(measured > limit for _, measured, limit, _ in told))


if __name__ == "__main__":
    sys.exit(main())
