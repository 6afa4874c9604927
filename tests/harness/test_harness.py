"""The harness itself: an instrument that can't show a fault would pass every gateway."""

import base64
import os
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from urllib.parse import quote

import orjson
import pytest

from gateway.storage.packing import packed
from tests.harness import canaries, ending, invariants
from tests.harness.client import Client, Exchange, exchange, leave, parse
from tests.harness.dialects import DIALECTS, STREAMED, Dialect
from tests.harness.scrape import Scrape
from tests.harness.sinks import Row
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
        ending.check_output(["all is well", line])


NASTY = 'sk/a+b="\\\\c%d'


@pytest.mark.parametrize(
    "leak",
    [
        NASTY,
        f"GET /v1/models?key={quote(NASTY, safe='')} HTTP/1.1",
        orjson.dumps({"authorization": f"Bearer {NASTY}"}).decode(),
        repr([NASTY]),
        *(base64.b64encode(f"{user}:{NASTY}:more".encode()).decode() for user in ("u", "us", "use")),
        base64.urlsafe_b64encode(NASTY.encode()).decode(),
    ],
)
def test_a_secret_is_seen_however_it_is_spelt(leak):
    """I6."""
    with pytest.raises(AssertionError, match=r"I6: .* is in the log"):
        canaries.check({"metrics": b"x", "the log": f"before {leak} behind".encode()}, [NASTY])


def test_a_secret_is_seen_where_the_database_compresses(tmp_path):
    """I6, for what can't be read in the file."""
    stored = packed(os.urandom(4096).hex().encode() + NASTY.encode())
    assert not any(form in stored for form in canaries.forms(NASTY))
    with closing(sqlite3.connect(tmp_path / "gateway.db")) as connection:
        connection.execute("CREATE TABLE contents (response)")
        connection.execute("INSERT INTO contents VALUES (?)", [stored])
        connection.commit()
    with pytest.raises(AssertionError, match="I6"):
        canaries.check(canaries.in_folder(tmp_path), [NASTY])


def test_what_does_not_add_up_is_seen():
    """I10: a record that only one of them knows."""
    line = {"provider": "acme", "outcome": "ok", "agent": "default"}
    states = {"enqueued": 1, "dropped": 0, "committed": 1, "spilled": 0}
    text = 'gateway_requests_total{provider="acme",outcome="ok"} 1\n'
    text += "# TYPE gateway_log_records_total counter\n" + "".join(
        f'gateway_log_records_total{{state="{state}"}} {count}\n' for state, count in states.items()
    )
    shown = Scrape(text)
    ending.check_counted(shown, [line])
    dropped_out = Scrape(text.replace('{state="enqueued"} 1', '{state="enqueued"} 2'))
    with pytest.raises(AssertionError, match="I10"):
        ending.check_counted(dropped_out, [line, line | {"agent": None}])
    for lines in ([], [line, line], [line | {"outcome": "internal"}], [line | {"agent": None}]):
        with pytest.raises(AssertionError, match="I10"):
            ending.check_counted(shown, lines)


@pytest.mark.parametrize(
    "wrong",
    [
        {"outcome": "odd"},
        {"error_kind": "timeout"},
        {"status": None},
        {"duration_ms": 1.0},
        {"input_tokens": None},
        {"started_at": 1.0},
    ],
)
def test_a_row_that_makes_no_sense_is_seen(wrong):
    """I1: what must hold for every row."""
    more = {"first_byte_ms": 2.0, "overhead_ms": 0.1, "usage_source": "reported", "attempts": 1}
    right = Row(
        "i", "ok", "default", None, None, "acme", "m", 200, None, time.time(), 3.0, 5, None, None, None, None,
        None, None, orjson.dumps(more).decode(),
    )  # fmt: skip
    right.check()
    with pytest.raises(AssertionError):
        replace(right, **wrong).check()


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
