"""The harness itself: an instrument that can't show a fault would pass every gateway."""

import pytest

from tests.harness import invariants
from tests.harness.client import Client, Exchange, exchange, leave, parse
from tests.harness.dialects import DIALECTS, STREAMED, Dialect
from tests.harness.upstream import (
    ScriptedUpstream,
    ScriptStep,
    Split,
    answer,
    begin,
    chunk,
    compile_script,
    cut,
    expect,
    fin,
    head,
    last,
    rst,
    say,
    stall,
)

CHAT = DIALECTS["chat"]


async def _play(
    *steps: ScriptStep, dialect: Dialect = CHAT, client: Client | None = None
) -> tuple[Exchange, ScriptedUpstream]:
    upstream = ScriptedUpstream()
    await upstream.start()
    upstream.queue.append(compile_script(steps, dialect))
    got = await exchange(upstream.port, dialect.request(stream=True), client)
    return got, upstream


@pytest.mark.parametrize(
    ("steps", "ended", "complete"),
    [
        ((*answer(),), "complete", True),
        ((head(), say("a"), fin()), "eof", False),
        ((head(), say("a"), rst()), "reset", False),
        ((head(length=1000), say("a"), fin()), "eof", False),
        ((head(framing="eof"), say("a"), last()), "complete", True),
    ],
)
async def test_how_an_answer_ends_is_told_apart(
    steps: tuple[ScriptStep, ...], ended: str, complete: bool
) -> None:
    """Complete, cut and reset are three different things."""
    got, upstream = await _play(*steps)
    await upstream.stop()
    assert (got.ended, got.response.complete) == (ended, complete)


async def test_the_upstream_remembers_the_very_bytes_and_who_left() -> None:
    """What it received, and when its peer went."""
    got, upstream = await _play(head(), begin(), stall(), client=leave(b"\r\n\r\n"))
    connection = upstream.connections[0]
    await connection.left()
    assert upstream.requests[0].raw_head + b"\r\n\r\n" + upstream.requests[0].body == CHAT.request(
        stream=True
    )
    assert got.ended == "left"
    assert got.left_at is not None
    assert connection.left_at is not None
    assert connection.left_at >= got.left_at
    await upstream.stop()


async def test_an_expectation_that_fails_is_a_complaint() -> None:
    """A script can look at the request."""
    _, upstream = await _play(expect(b"nowhere in it"), head(), chunk(b"x"), last())
    assert upstream.complaints == ["the request lacks b'nowhere in it'"]
    await upstream.stop()


@pytest.mark.parametrize("split", ["whole", "event", "byte", "random"])
@pytest.mark.parametrize("dialect", STREAMED)
def test_cuts_lose_nothing(dialect: str, split: Split) -> None:
    """The pieces of a split are the frames."""
    frames = DIALECTS[dialect].text("héllo")
    assert b"".join(cut(b"".join(frames), split, frames)) == b"".join(frames)


def test_interim_and_pipelined_responses_are_parsed() -> None:
    """A 100 is no answer, and two answers are two."""
    raw = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\naHTTP/1.1 400 X\r\ncontent-length: 2\r\n\r\nb"
    assert [(r.status, r.body, r.complete) for r in parse(raw, eof=False)] == [
        (200, b"a", True),
        (400, b"b", False),
    ]


@pytest.mark.parametrize("leak", [b"canary_tool", b"canary_arg", b"c4n4ry"])
def test_a_leak_is_seen(leak: bytes) -> None:
    """I3, for the name and for the arguments."""
    raw = b"HTTP/1.1 200 OK\r\n\r\n" + leak
    with pytest.raises(AssertionError, match="I3"):
        invariants.check_nothing_leaked(Exchange(raw, "eof", 0.0), refusal=False)


@pytest.mark.parametrize(
    "line",
    ["Task exception was never retrieved", "x: Unclosed connection", "Traceback (most recent call last):"],
)
def test_a_complaint_of_the_loop_is_seen(line: str) -> None:
    """I7."""
    with pytest.raises(AssertionError, match="I7"):
        invariants.check_output(["all is well", line])


@pytest.mark.parametrize("dialect", ["chat", "responses", "anthropic", "gemini"])
def test_another_vendors_error_is_refused(dialect: str) -> None:
    """I9: shape and names both count."""
    with pytest.raises((AssertionError, KeyError)):
        DIALECTS[dialect].check_error(
            502, b'{"error":{"message":"no","type":"mystery","code":1,"param":null}}'
        )


@pytest.mark.parametrize("dialect", STREAMED)
def test_a_stream_without_an_error_event_is_refused(dialect: str) -> None:
    """I9 for streams."""
    wire = DIALECTS[dialect]
    body = b"".join((*wire.start(), *wire.text("Hello"), *(wire.end() if dialect == "gemini_array" else ())))
    assert wire.in_band_error(body) is None
