"""A streamed request whose results take long to ask about: its client gets a sign of life, and later failures in-band."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.dual_llm.models import (
    CANARY,
    FILE,
    NOTICE,
    STREAMED,
    SUMMARY,
    Rig,
    choose,
    eventually,
    history,
    rig,
)
from tests.harness import invariants
from tests.harness.client import Client
from tests.harness.dialects import DIALECTS
from tests.harness.oracle import Oracle
from tests.harness.scenario import sent_frames
from tests.harness.upstream import answer, begin, fin, head, last, say, sleep, stall, whole

pytestmark = pytest.mark.asyncio(loop_scope="module")

GONE = "client_cancelled"
KEEPALIVE = 0.5
LONG = 2.6
"""Seconds that the quarantined model takes."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def asked(tmp_path_factory) -> AsyncIterator[Rig]:
    text = f"keepalive = {KEEPALIVE}\n{FILE}[dual_llm]\ndeadline = 4\n"
    async with rig(tmp_path_factory.mktemp("dual"), text) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def oracle() -> AsyncIterator[Oracle]:
    made = Oracle()
    await made.start()
    yield made
    await made.stop()


def slow(_):
    return LONG, choose(1)


def keep_alives(dialect, body):
    """What stands before the upstream's own bytes, and those."""
    alive = {
        "anthropic": b'event: ping\ndata: {"type": "ping"}\n\n',
        "gemini": b"data: {}\r\n\r\n",
        "gemini_array": b"\n",
    }
    sign = alive.get(dialect.name, b": keep-alive\n\n")
    count = 0
    while body.startswith(sign):
        body = body[len(sign) :]
        count += 1
    return count, body


async def send(asked, name, what, **more):
    dialect = DIALECTS[name]
    said = history(dialect, {"1": f"{CANARY} {name} {what}"})
    return await asked.send(dialect, said, stream=True, **more)


async def send_all(asked, what, names=STREAMED):
    """The same on every wire at once: each takes its time."""
    got = await asyncio.gather(*(send(asked, name, what) for name in names))
    assert [each.response.status for each in got] == [200] * len(names)
    return [(DIALECTS[name], each) for name, each in zip(names, got, strict=True)]


async def test_the_answer_follows_the_signs_of_life(asked, oracle):
    models = asked.play(quarantined=slow)
    for dialect, got in await send_all(asked, "long"):
        assert got.response.header("content-type").partition(";")[0] == dialect.stream_type.partition(";")[0]
        assert got.response.header("x-gateway-interaction-id")
        count, rest = keep_alives(dialect, got.response.body)
        assert count >= 2
        assert rest == sent_frames(answer(), dialect)
        if oracle.reads(dialect, stream=True):
            seen = await oracle.see(dialect, got, stream=True)
            assert seen.error is None
            assert seen.text.startswith("Hello")
        record = await asked.gate.record(got)
        assert (record["outcome"], record["status"]) == ("ok", 200)
        assert record["first_byte_ms"] < LONG * 1000
        # The first of them came when the client had waited for as long as between two.
        assert got.arrivals[0][0] - got.started > KEEPALIVE * 0.9
    assert len(models.forwarded) == len(STREAMED)
    assert all(SUMMARY.encode()[:60] in each.body for each in models.forwarded)


async def test_an_error_of_the_upstream_is_told_within_the_stream(asked, oracle):
    asked.play(quarantined=slow, final=[whole(lambda d: d.upstream_error(429), status=429)])
    for dialect, got in await send_all(asked, "refused"):
        await invariants.check_in_band(oracle, dialect, got)
        assert b"429" in got.response.body
        record = await asked.gate.record(got)
        assert (record["outcome"], record["status"]) == ("upstream_status", 200)
        assert record["error_kind"] == "rate_limit"


OTHERS = {
    "whole": [whole(lambda d: d.whole())],
    "of another type": [head(media_type="text/plain"), say("hm"), last()],
    "another status": [head(201), begin(), last()],
}


@pytest.mark.parametrize("what", OTHERS)
async def test_what_is_not_the_rest_of_the_stream(asked, oracle, what):
    asked.play(quarantined=slow, final=OTHERS[what])
    for dialect, got in await send_all(asked, what):
        if what != "another status" and dialect.name == "gemini_array":
            # What is no array is read as a whole body, with or without an opening.
            assert keep_alives(dialect, got.response.body)[1] == b"".join(
                [dialect.whole()] if what == "whole" else dialect.text("hm")
            )
            continue
        await invariants.check_in_band(oracle, dialect, got)
        assert (await asked.gate.record(got))["outcome"] in ("upstream_protocol", "upstream_status")


@pytest.mark.parametrize("headed", [False, True])
async def test_while_the_upstream_thinks_they_go_on(asked, headed):
    opened, *frames = answer()
    wait = sleep(LONG)
    asked.play(quarantined=slow, final=[opened, wait, *frames] if headed else [wait, opened, *frames])
    for dialect, got in await send_all(asked, f"thinking {headed}"):
        count, rest = keep_alives(dialect, got.response.body)
        assert count >= 4
        assert rest == sent_frames(answer(), dialect)


async def test_past_the_deadline_the_answer_still_comes(asked):
    models = asked.play(quarantined=lambda _: [stall()])
    for dialect, got in await send_all(asked, "deadline"):
        count, rest = keep_alives(dialect, got.response.body)
        assert count >= 3
        assert rest == sent_frames(answer(), dialect)
    assert all(NOTICE.encode() in each.body for each in models.forwarded)


async def test_a_whole_answer_keeps_its_status(asked):
    dialect = DIALECTS["chat"]
    asked.play(quarantined=slow, final=[whole(lambda d: d.upstream_error(429), status=429)])
    got = await asked.send(dialect, history(dialect, {"1": f"{CANARY} whole"}))
    assert got.response.status == 429


async def test_a_client_that_leaves_then_ends_the_questions(asked):
    models = asked.play(quarantined=lambda _: [stall()])
    start = len(asked.gate.gateway.output.records)
    await send(asked, "chat", "left", client=Client(leave_after=b": keep-alive"))
    async with asyncio.timeout(2.0):
        await models.asked_quarantined[0].connection.left()
    told = asked.gate.gateway.interactions
    (parent,) = await eventually(
        lambda: [each for each in told(start) if (each["outcome"], each["source"]) == (GONE, "api")]
    )
    assert [child["outcome"] for child in asked.children(parent["id"])] == ["ok", GONE]


async def test_an_upstream_that_breaks_off_is_told_within_the_stream(asked, oracle):
    asked.play(quarantined=slow, final=[head(), begin(), say("Hm"), sleep(0.1), fin()])
    for dialect, got in await send_all(asked, "cut"):
        await invariants.check_in_band(oracle, dialect, got)
