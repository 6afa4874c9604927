"""Real exchanges through a running gateway: the same bytes at both ends, and the same record, however they are cut.

How many pieces the gateway reads at once is up to the sockets; ``test_recordings.py`` feeds them one by one.
"""

import asyncio
import random
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.testing import Case, load_cases
from gateway.testing.documents import differences
from tests.conftest import RECORDINGS
from tests.harness.client import Response, exchange
from tests.harness.process import Gateway

LATER = {
    "bedrock": "binary event streams come later",
    "cohere": "its own format comes later",
    "huggingface": "this provider comes later",
}
PREFIXES = {"anthropic": "", "gemini": "", "deepseek": ""}
"""What the base URL ends in; `/v1` for all others, as their recordings leave it out."""
CASES = [
    (folder.name, case)
    for folder in (sorted(Path(RECORDINGS).iterdir()) if RECORDINGS else ())
    if folder.is_dir()
    for case in load_cases(folder)
]
CUTS = ("whole", "bytes", "random")
EDGE = 1500
BATCH = 32
AT_ONCE = 12
USAGE = re.compile(rb'"(?:usage|usageMetadata)"\s*:\s*\{')
"""A count of tokens in an answer, in any of these wires."""
VARIES = (
    "id",
    "timestamp",
    "started_at",
    "first_byte_ms",
    "first_token_ms",
    "duration_ms",
    "overhead_ms",
    "session",
)


def pieces(body: bytes, cut: str, seed: str) -> list[bytes]:
    """Cut a body: not at all, after every byte, or at random places."""
    if cut == "whole" or len(body) < 2:
        return [body] if body else []
    if cut == "bytes":
        return [body[n : n + 1] for n in range(len(body))]
    generator = random.Random(zlib.crc32(seed.encode()))
    marks = {generator.randrange(len(body)) for _ in range(min(300, len(body) // 30 + 2))}
    return [body[a:b] for a, b in pairwise(sorted({0, len(body), *marks}))]


def written_alone(number: int, count: int) -> bool:
    """Whether a piece is written by itself: each of a few, and of many the first and the last ones.

    Those in between are chunks of their own, too, and leave in small batches, since a write costs more than all else.
    """
    return not EDGE <= number < count - EDGE or number % BATCH == 0


@dataclass
class Replayed:
    """What came of one exchange at one cut."""

    target: str
    sent: bytes
    response: Response
    ended: str
    record: dict[str, Any] | None = None


class Replay:
    """An upstream that answers with what was recorded, cut as the request asks, and remembers what was asked."""

    def __init__(self) -> None:
        self.asked: dict[str, tuple[str, bytes]] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = re.search(r"(?i)\r\ncontent-length: (\d+)", head)
                body = await reader.readexactly(int(length[1])) if length else b""
                found = re.search(r"(?i)\r\nx-replay: (\d+) (\w+)", head)
                assert found
                self.asked[f"{found[1]} {found[2]}"] = (head.split("\r\n", 1)[0], body)
                await self.answer(CASES[int(found[1])][1], found[2], writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async def answer(self, case: Case, cut: str, writer: asyncio.StreamWriter) -> None:
        whole = cut == "whole" and "stream" not in case.content_type
        framing = f"content-length: {len(case.response)}" if whole else "transfer-encoding: chunked"
        writer.write(
            f"HTTP/1.1 {case.status} Recorded\r\ncontent-type: {case.content_type}\r\n{framing}\r\n\r\n".encode()
        )
        cut_up = pieces(case.response, cut, case.name)
        batch = bytearray()
        for number, piece in enumerate(cut_up):
            batch += piece if whole else b"%x\r\n%b\r\n" % (len(piece), piece)
            if written_alone(number, len(cut_up)):
                writer.write(bytes(batch))
                batch.clear()
                await asyncio.sleep(0)
                await writer.drain()
        if not whole:
            writer.write(b"0\r\n\r\n")


async def replay(module: str, cuts: tuple[str, ...]) -> dict[tuple[int, str], Replayed]:
    """Play every recording through one gateway, several at a time."""
    upstream = Replay()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    names = {name for name, _ in CASES} - LATER.keys()
    env = {
        f"GATEWAY_{name.upper()}_BASE_URL": f"http://127.0.0.1:{port}/{name}{PREFIXES.get(name, '/v1')}"
        for name in names
    }
    gateway = Gateway(env | {"GATEWAY_DRAIN_ACCEPT": "0", "TEST_REFUSED_TOOLS": "no_such_tool"}, module)
    found: dict[tuple[int, str], Replayed] = {}
    todo = iter([(number, cut) for number, (name, _) in enumerate(CASES) if name in names for cut in cuts])
    try:
        await asyncio.to_thread(gateway.wait_ready)
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(_work(todo, gateway, upstream, found))
        wanted = len(found)
        for _ in range(300):
            if len(gateway.interactions()) >= wanted:
                break
            await asyncio.sleep(0.01)
    finally:
        await asyncio.to_thread(gateway.stop)
        server.close()
        await server.wait_closed()
    records = {record["id"]: record for record in gateway.interactions()}
    for one in found.values():
        one.record = records.get(one.response.header("x-gateway-interaction-id") or "")
    return found


async def _work(
    todo: Iterator[tuple[int, str]],
    gateway: Gateway,
    upstream: Replay,
    found: dict[tuple[int, str], Replayed],
) -> None:
    for number, cut in todo:
        name, case = CASES[number]
        head = (
            f"{case.method} /v1/{name}{case.path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer k\r\n"
            f"x-replay: {number} {cut}\r\ncontent-type: application/json\r\n"
        )
        body = case.request if case.method != "GET" else b""
        head += f"content-length: {len(body)}\r\n" if body else ""
        got = await exchange(gateway.port, f"{head}\r\n".encode() + body)
        asked = upstream.asked.get(f"{number} {cut}", ("", b""))
        found[number, cut] = Replayed(*asked, got.response, got.ended)


Played = dict[tuple[int, str], Replayed]


@pytest.fixture(scope="module")
def played(recordings: Path) -> Played:
    return asyncio.run(replay("gateway", CUTS))


@pytest.fixture(scope="module")
def judged(recordings: Path) -> Played:
    return asyncio.run(replay("tests.harness.gated", ("random",)))


each_case = pytest.mark.parametrize("number", range(len(CASES)), ids=[case.name for _, case in CASES])


def skip_later(number: int) -> tuple[str, Case]:
    name, case = CASES[number]
    if name in LATER:
        pytest.skip(LATER[name])
    return name, case


def comparable(record: dict[str, Any] | None) -> dict[str, Any]:
    assert record, "no record"
    return {key: value for key, value in record.items() if key not in VARIES}


def check_bytes(case: Case, one: Replayed) -> None:
    """The client has what the provider said, and the provider what the client said."""
    assert one.response.status == case.status
    assert one.response.body == case.response
    assert one.ended == "complete"
    assert one.response.header("content-type") == case.content_type
    sent = case.request if case.method != "GET" else b""
    if one.sent != sent:
        assert list(differences(sent, one.sent)) in (
            [("stream_options",)],
            [("stream_options", "include_usage")],
        )
        assert orjson.loads(one.sent)["stream_options"]["include_usage"] is True
    method, target, _ = one.target.split(" ")
    assert (method, target.endswith(case.path)) == (case.method, True)


def test_recordings_are_there(recordings):
    assert len(CASES) > 100


@each_case
def test_replay(number, played):
    _, case = skip_later(number)
    views = []
    for cut in CUTS:
        one = played[number, cut]
        check_bytes(case, one)
        views.append(comparable(one.record))
    assert views[0] == views[1] == views[2]
    view = views[0]
    assert (view["unknown"], view["unreadable"], view["error"]) == (None, None, None)
    if case.status >= 400:
        assert view["outcome"] == "upstream_status"
        assert view["error_kind"]
        return
    # A vendor may also fail in the middle of a stream; its own error event is then what the client reads.
    assert view["outcome"] == ("upstream_status" if failed(case) else "ok")
    assert view["response_bytes"] == len(case.response)
    if view["endpoint"].startswith("POST") and not view["endpoint"].endswith("/compact"):
        check_usage(case, view)


def failed(case: Case) -> bool:
    return (
        "stream" in case.content_type and re.search(rb'data: \{.*"error"\s*:\s*\{', case.response) is not None
    )


def queued(case: Case) -> bool:
    """An answer that is worked on in the background has no end yet."""
    return re.search(rb'"status"\s*:\s*"(?:queued|in_progress)"', case.response) is not None and (
        "stream" not in case.content_type
    )


def check_usage(case: Case, view: dict[str, Any]) -> None:
    said = bool(USAGE.search(case.response))
    # What a vendor does not say is estimated where it costs something.
    assert (view["usage_source"] == "reported") is said
    counted = view["usage_source"] != "none"
    assert isinstance(view["input_tokens"], int) is counted
    if "embed" not in view["endpoint"].lower() and "count" not in view["endpoint"].lower():
        assert bool(view["finish_reason"]) is not queued(case)
        assert isinstance(view["output_tokens"], int) is (counted and not queued(case))


@each_case
def test_replay_through_the_gate(number, judged):
    """Nothing here is refused, so everything that was held is released as it came."""
    _, case = skip_later(number)
    one = judged[number, "random"]
    if one.response.status == 403:
        assert "tool_invocation_policies" in orjson.loads(one.response.body)["error"]["message"]
        assert case.method == "GET" or case.path.endswith("/compact")
        return
    check_bytes(case, one)
    assert comparable(one.record)["unreadable"] is None
