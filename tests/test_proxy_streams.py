"""Streams over real sockets: usage that was not asked for, keep-alives, and clients that do not read."""

import asyncio
import time
from collections.abc import AsyncIterator

import orjson
import pytest
import pytest_asyncio

from gateway.testing.documents import differences
from tests.clients.scripted import GATED, Scripted, request, scripted
from tests.harness.client import Client, exchange
from tests.harness.dialects import DIALECTS, STREAMED, read_sse, sse
from tests.harness.upstream import (
    Step,
    Turn,
    begin,
    call,
    chunk,
    compile_script,
    event,
    finish,
    head,
    last,
    say,
    sleep,
    terminator,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "authorization: Bearer sk-secret-1"
CHAT = DIALECTS["chat"]
PAUSE = 3.2  # limits are kept to about a second


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gate() -> AsyncIterator[Scripted]:
    async with scripted({"GATEWAY_KEEPALIVE": "1"}) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gated() -> AsyncIterator[Scripted]:
    env = {"GATEWAY_KEEPALIVE": "1", "GATEWAY_CLIENT_STALL": "1", "TEST_REFUSED_TOOLS": "canary_tool"}
    async with scripted(env, GATED) as running:
        yield running


NULL_USAGE = sse(
    {"id": "1", "choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": None}], "usage": None}
)
SPOKEN = [head(), begin(), event(NULL_USAGE), finish(), terminator(), last()]
FRAMES = [*CHAT.start(), NULL_USAGE, *CHAT.finish("stop"), *CHAT.end()]
USAGE = CHAT.finish("stop")[1]
NOT_ASKED = [
    b'{ "model":"m", "messages":[], "stream" : true ,"new":1.0}',
    b'{"stream_options":{ "include_usage" : false, "include_obfuscation":false },"model":"m","messages":[],"stream":true}',
    b'{"model":"m","messages":[],"stream":true,"stream_options":null}',
    b'{"model":"m","messages":[],"stream":true,"stream_options":{}}',
]


@pytest.mark.parametrize("split", ["whole", "event", "byte", "random"])
@pytest.mark.parametrize("body", NOT_ASKED)
async def test_usage_is_asked_for_and_hidden(gate, gated, body, split):
    for one in (gate, gated):
        await check_hidden(one, body, split)


async def check_hidden(gate, body, split):
    got, received = await gate.ask(request("/v1/openai/chat/completions", body, [KEY]), SPOKEN, split=split)
    assert orjson.loads(received.body)["stream_options"]["include_usage"] is True
    assert all(path[0] == "stream_options" for path in differences(body, received.body))
    # The one frame is gone; `usage: null` in others stays, since it was the upstream that wrote it.
    assert got.response.body == b"".join(frame for frame in FRAMES if frame != USAGE)
    record = await gate.record(got)
    assert (record["input_tokens"], record["output_tokens"], record["usage_source"]) == (11, 7, "reported")


@pytest.mark.parametrize(
    ("provider", "body"),
    [
        ("openai", b'{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}'),
        ("mistral", b'{"model":"m","messages":[],"stream":true}'),
    ],
)
async def test_usage_that_comes_anyway_is_seen(gate, provider, body):
    got, received = await gate.ask(request(f"/v1/{provider}/chat/completions", body, [KEY]), SPOKEN)
    assert received.body == body
    assert got.response.body == b"".join(FRAMES)
    assert (await gate.record(got))["output_tokens"] == 7


async def test_whole_answers_are_not_asked(gate):
    body = b'{"model":"m","messages":[],"stream":false}'
    _, received = await gate.ask(
        request("/v1/openai/chat/completions", body, [KEY]), [head(sse=False), last()]
    )
    assert received.body == body


async def together(gate: Scripted, steps, names=STREAMED) -> dict[str, bytes]:
    """The bodies of the same script on several wires, all at the same time."""
    await gate.reset()
    for name in names:
        marker = f"keep-{name}-model".encode()
        gate.upstream.marked[marker] = compile_script(steps, DIALECTS[name])
    exchanges = await asyncio.gather(
        *(
            exchange(gate.gateway.port, DIALECTS[name].request(stream=True, model=f"keep-{name}-model"))
            for name in names
        )
    )
    assert {got.ended for got in exchanges} == {"complete"}
    return {name: got.response.body for name, got in zip(names, exchanges, strict=True)}


def assert_kept_alive(name: str, body: bytes, *, said: bytes) -> None:
    """What came between two frames is what this wire's clients accept, and says nothing."""
    _, _, after = body.partition(said)
    assert after, body
    match name:
        case "chat" | "responses":
            assert body.count(b"\n: ") + body.startswith(b": ") >= 2
        case "anthropic":
            assert (
                body.count(b'event: ping\ndata: {"type": "ping"}\n\n')
                + body.count(b'event: ping\ndata: {"type":"ping"}\n\n')
                >= 2
            )
        case "gemini":
            chunks = [orjson.loads(data) for _, data in read_sse(body)]
            assert len([one for one in chunks if "candidates" not in one]) >= 2
            assert b"\n:" not in body
        case "gemini_array":
            assert all("candidates" in one for one in orjson.loads(body))
            assert len(body) > len(bytes(body).replace(b" ", b"").replace(b"\n", b"")) + 2


async def test_keep_alives_between_frames(gate):
    steps = [head(), begin(), say("one"), sleep(PAUSE), say("two"), finish(), terminator(), last()]
    bodies = await together(gate, steps)
    for name, body in bodies.items():
        assert_kept_alive(name, body, said=b"one")


async def test_keep_alives_while_a_call_is_held(gated):
    steps = [
        head(),
        begin(),
        say("one"),
        call("canary_tool"),
        sleep(PAUSE),
        finish("tool"),
        terminator(),
        last(),
    ]
    names = ("chat", "anthropic", "gemini", "gemini_array")
    for name, body in (await together(gated, steps, names)).items():
        assert_kept_alive(name, body, said=b"one")
        assert b"canary_arg" not in body
        assert b"denied" in body


async def test_no_keep_alive_inside_a_frame(gate):
    """Nor before the first byte: a failure until then must keep its status."""

    async def halves(turn: Turn) -> None:
        frame = CHAT.text("two")[0]
        await asyncio.sleep(PAUSE)
        await chunk(b"".join(CHAT.start()) + frame[:20]).play(turn)
        await asyncio.sleep(PAUSE)
        await chunk(frame[20:]).play(turn)

    steps = [head(), Step(halves), finish(), terminator(), last()]
    body = (await together(gate, steps, ("chat",)))["chat"]
    # Half a frame is kept back until it is whole, so signs of life stand before it, never in it.
    alive = b": keep-alive\n\n"
    assert alive in body
    assert body.replace(alive, b"") == b"".join(
        [*CHAT.start(), *CHAT.text("two"), *CHAT.finish("stop"), *CHAT.end()]
    )


@pytest.mark.parametrize("name", ["chat", "anthropic"])
async def test_keep_alives_while_a_held_call_arrives_in_pieces(gated, name):
    """The upstream is busy all the time, and the client hears nothing of it."""
    opening, *pieces = call("canary_tool").of(DIALECTS[name])
    *before, piece = [opening, *pieces]
    if name == "anthropic":
        piece = before[-1]
    slowly = [step for _ in range(8) for step in (event(piece), sleep(PAUSE / 8))]
    steps = [head(), begin(), say("one"), *map(event, before), *slowly, finish("tool"), terminator(), last()]
    for body in (await together(gated, steps, (name,))).values():
        assert_kept_alive(name, body, said=b"one")
        assert b"canary_arg" not in body


async def test_a_client_that_does_not_read_the_end_is_cut_off(gated):
    """What was held leaves in one piece, after all that is expected of the upstream."""
    await gated.reset()
    whole_answer = CHAT.whole("x" * (14 << 20))
    steps = [head(sse=False, length=len(whole_answer)), chunk(whole_answer)]
    gated.upstream.queue.append(compile_script(steps, CHAT))
    await exchange(gated.gateway.port, CHAT.request(stream=False), Client(reads=False, deadline=4))
    (record,) = [one for one in gated.gateway.interactions() if not one["streamed"]]
    assert (record["outcome"], record["error_kind"]) == ("client_cancelled", "client_cancelled")
    assert 1000 < record["duration_ms"] < 3500


@pytest.mark.parametrize("name", ["chat", "anthropic"])
async def test_slow_client_slows_the_upstream(gate, name):
    """What a client does not read stays where it is: with the upstream, not in this process."""
    dialect = DIALECTS[name]
    frame = sse(
        {"type": "ping", "choices": [], "padding": "x" * 16000}, "ping" if name == "anthropic" else ""
    )
    count = 4000  # 64 MB
    written = 0

    async def flood(turn: Turn) -> None:
        nonlocal written
        for _ in range(count):
            await chunk(frame).play(turn)
            written += len(frame)

    await gate.reset()
    steps = [head(), begin(), Step(flood), finish(), terminator(), last()]
    gate.upstream.queue.append(compile_script(steps, dialect))
    before = gate.gateway.sample().rss
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.gateway.port, limit=1 << 16)
    try:
        writer.write(dialect.request(stream=True))
        settled = -1
        while settled != written or not written:
            settled = written
            await asyncio.sleep(0.5)
        assert written < count * len(frame) / 2
        assert gate.gateway.sample().rss - before < 8 << 20
        received = 0
        async with asyncio.timeout(60):
            tail = b""
            while not tail.endswith(b"0\r\n\r\n"):
                data = await reader.read(1 << 20)
                assert data
                received += len(data)
                tail = (tail + data)[-64:]
        assert received > count * len(frame)
        assert gate.gateway.sample().rss - before < 16 << 20
    finally:
        writer.close()


async def test_slow_client_delays_nobody_else(gate):
    """While one client does not read, another's stream is as quick as ever."""
    dialect = DIALECTS["anthropic"]
    frame = dialect.text("x" * 16000)[0]

    async def flood(turn: Turn) -> None:
        for _ in range(2000):
            await chunk(frame).play(turn)

    await gate.reset()
    gate.upstream.marked[b"flood-model"] = compile_script([head(), begin(), Step(flood), last()], dialect)
    gate.upstream.marked[b"quick-model"] = compile_script(
        [head(), begin(), say("hi"), finish(), terminator(), last()], dialect
    )
    _, writer = await asyncio.open_connection("127.0.0.1", gate.gateway.port, limit=1 << 16)
    try:
        writer.write(dialect.request(stream=True, model="flood-model"))
        await asyncio.sleep(0.5)
        for _ in range(20):
            start = time.monotonic()
            got = await exchange(gate.gateway.port, dialect.request(stream=True, model="quick-model"))
            assert got.ended == "complete"
            assert time.monotonic() - start < 0.5
    finally:
        writer.close()
