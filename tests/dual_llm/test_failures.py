"""Whatever goes wrong while models are asked: the result is withheld, each question has one record, nothing hangs."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.dual_llm.models import (
    CANARY,
    NOTICE,
    SUMMARY,
    WIRES,
    Rig,
    ask_once,
    choose,
    eventually,
    history,
    results_in,
    rig,
)
from tests.dual_llm.models import FILE as POLICY
from tests.harness.client import Client
from tests.harness.dialects import DIALECTS
from tests.harness.upstream import chunk, fin, head, rst, send, sleep, stall, whole

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEADLINE = 0.6
FILE = f"{POLICY}[dual_llm]\ndeadline = {DEADLINE}\n"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def asked(tmp_path_factory) -> AsyncIterator[Rig]:
    async with rig(tmp_path_factory.mktemp("dual"), FILE) as running:
        yield running


def error(status):
    return [whole(lambda d: d.upstream_error(status), status=status)]


FAILURES = {
    # What the model's provider does: outcome of the question, how often it was sent, and what the decision says.
    "400": (error(400), "upstream_status", 2, "status 400"),
    "401": (error(401), "upstream_status", 1, "status 401"),
    "422": (error(422), "upstream_status", 2, "status 422"),
    "429": (error(429), "upstream_status", 1, "status 429"),
    "500": (error(500), "upstream_status", 1, "status 500"),
    "529": (error(529), "upstream_status", 1, "status 529"),
    "a redirect": ([whole(b"", status=302, headers={"location": "http://127.0.0.1:1/"})], "upstream_protocol", 1, "302"),
    "a page": ([send(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 4\r\n\r\n<h1>")], "upstream_protocol", 1, "a page"),
    "no JSON": ([whole(b"certainly!")], "upstream_protocol", 1, "can't be read"),
    "an empty body": ([whole(b"")], "upstream_protocol", 1, "not whole"),
    "its own error": (
        [whole(b'{"error":{"message":"no","type":"overloaded_error","code":503},"type":"error"}')],
        "upstream_status", 1, "an error (status 200)",
    ),
    "half a body": ([head(sse=False, length=500), chunk(b'{"id":"x"'), fin()], "upstream_reset", 1, "broke off"),
    "a reset": ([rst()], "upstream_reset", 1, "before it answered"),
    "a reset within": ([head(sse=False, length=500), chunk(b'{"id":"x"'), rst()], "upstream_reset", 1, "broke off"),
    "silence": ([stall()], "upstream_timeout", 1, "in time"),
    "silence within": ([head(sse=False, length=500), chunk(b'{"id":"x"'), stall()], "upstream_timeout", 1, "in time"),
    "a flood": ([whole(b'{"id":"' + b"x" * (2 << 20) + b'"}')], "upstream_protocol", 1, "too long"),
}  # fmt: skip


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("who", ["main", "quarantined"])
@pytest.mark.parametrize("name", WIRES)
async def test_every_failure_is_closed(asked, name, who, failure):
    steps, outcome, times, reason = FAILURES[failure]
    dialect = DIALECTS[name]
    models = asked.play(**{who: lambda _: steps})
    began = time.monotonic()
    got = await asked.send(dialect, history(dialect, {"call_1": f"{CANARY} {who} {failure}"}))
    assert time.monotonic() - began < DEADLINE + 1.5
    assert got.response.status == 200
    (forwarded,) = models.forwarded
    assert results_in(dialect, forwarded.body) == [NOTICE]
    assert CANARY.encode() not in forwarded.body
    record, children = await asked.records(got, times + (who == "quarantined"))
    assert record["context_trusted"] is False
    assert {child["outcome"] for child in children[-times:]} == {outcome}
    assert reason in record["decisions"][-1]["reason"]
    assert CANARY not in record["decisions"][-1]["reason"]
    assert record["decisions"][-1]["call_id"] == "call_1"


async def test_a_failure_is_not_remembered(asked):
    dialect = DIALECTS["chat"]
    said = history(dialect, {"call_1": f"{CANARY} once"})
    asked.play(main=lambda _: error(503))
    await asked.send(dialect, said)
    models = asked.play()
    await asked.send(dialect, said)
    assert results_in(dialect, models.forwarded[0].body) == [SUMMARY]


@pytest.mark.parametrize("name", WIRES)
async def test_a_model_without_schemas_is_asked_in_words(asked, name):
    dialect = DIALECTS[name]
    model = f"plain-{name}"

    def of(received):
        return b"schema" in received.body or b"Schema" in received.body

    models = asked.play()
    plain = models.script_for

    def script_for(received):
        if of(received):
            models.asked_main.append(received)
            return send(
                b"HTTP/1.1 400 No\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
            ).play
        return plain(received)

    asked.gate.upstream.script_for = script_for
    said = history(dialect, {"call_1": f"{CANARY} {name} in words"})
    if name != "gemini":
        said |= {"model": model}
    await asked.send(dialect, said)
    assert results_in(dialect, models.forwarded[0].body) == [SUMMARY]
    assert sum(map(of, models.asked)) == 1  # and then that is known


async def test_one_of_several_results_fails_alone(asked):
    dialect = DIALECTS["anthropic"]
    models = asked.play(quarantined=lambda d: choose(1) if "good" in d["text"] else error(500))
    said = history(dialect, {"a": f"{CANARY} good 1", "b": f"{CANARY} bad", "c": f"{CANARY} good 2"})
    got = await asked.send(dialect, said)
    assert results_in(dialect, models.forwarded[0].body) == [SUMMARY, NOTICE, SUMMARY]
    record = await asked.gate.record(got)
    assert record["context_trusted"] is False
    assert [each["call_id"] for each in record["decisions"] if each["policy"] == "dual_llm"] == ["b"]


async def test_results_are_asked_about_at_the_same_time(asked):
    dialect = DIALECTS["chat"]
    pause = DEADLINE / 4
    models = asked.play(quarantined=lambda _: [sleep(pause), whole(lambda d: d.whole(choose(1)))])
    said = history(dialect, {str(n): f"{CANARY} at once {n}" for n in range(4)})
    began = time.monotonic()
    await asked.send(dialect, said)
    assert time.monotonic() - began < 3 * pause
    assert results_in(dialect, models.forwarded[0].body) == [SUMMARY] * 4


async def test_the_deadline_is_for_all_results_together(asked):
    dialect = DIALECTS["chat"]
    models = asked.play(quarantined=lambda _: [sleep(DEADLINE * 0.7), whole(lambda d: d.whole(choose(1)))])
    said = history(dialect, {str(n): f"{CANARY} too many {n}" for n in range(8)})
    began = time.monotonic()
    got = await asked.send(dialect, said)
    assert time.monotonic() - began < DEADLINE + 1
    found = results_in(dialect, models.forwarded[0].body)
    assert found.count(SUMMARY) == 4  # as many as are asked about at once
    assert found.count(NOTICE) == 4
    assert (await asked.gate.record(got))["context_trusted"] is False


async def test_a_client_that_leaves_takes_the_questions_with_it(asked):
    dialect = DIALECTS["chat"]
    models = asked.play(quarantined=lambda _: [stall()])
    said = history(dialect, {"1": f"{CANARY} left 1", "2": f"{CANARY} left 2"})
    start = len(asked.gate.gateway.output.records)
    await asked.send(dialect, said, client=Client(leave_at=DEADLINE / 3))
    async with asyncio.timeout(1.0):
        for each in models.asked_quarantined:
            await each.connection.left()
    told = asked.gate.gateway.interactions
    (parent,) = await eventually(lambda: [each for each in told(start) if each["source"] == "api"])
    found = told(start)
    children = [each for each in found if each["parent_id"] == parent["id"]]
    assert parent["outcome"] == "client_cancelled"
    assert sorted(each["outcome"] for each in children) == [
        "client_cancelled",
        "client_cancelled",
        "ok",
        "ok",
    ]
    assert models.forwarded == []


async def test_of_two_that_need_the_same_the_second_goes_on_when_the_first_leaves(asked):
    dialect = DIALECTS["chat"]
    said = history(dialect, {"1": f"{CANARY} shared"})
    models = asked.play(quarantined=lambda _: [stall()])
    first = asyncio.get_running_loop().create_task(
        asked.send(dialect, said, client=Client(leave_at=DEADLINE / 2))
    )
    await eventually(lambda: models.asked_quarantined)
    models.quarantined = lambda _: choose(1)
    second = await asked.send(dialect, said)
    await first
    assert second.response.status == 200
    assert len(models.asked_quarantined) == 2
    assert [results_in(dialect, each.body) for each in models.forwarded] == [[SUMMARY]]


async def test_two_that_need_the_same_at_once_ask_once(asked):
    dialect = DIALECTS["chat"]
    said = history(dialect, {"1": f"{CANARY} at once", "2": f"{CANARY} at once"})
    models = asked.play(quarantined=lambda _: [sleep(0.2), whole(lambda d: d.whole(choose(1)))])
    await asyncio.gather(*(asked.send(dialect, said) for _ in range(4)))
    assert len(models.asked) == 4
    assert [results_in(dialect, each.body) for each in models.forwarded] == [[SUMMARY] * 2] * 4


async def test_questions_are_never_asked_about_themselves(asked):
    """What is asked holds no results, and no policy: it can't begin anew."""
    dialect = DIALECTS["chat"]
    models = asked.play(main=ask_once)
    got = await asked.send(dialect, history(dialect, {"1": f"{CANARY} recursion"}))
    _, children = await asked.records(got, 4)
    assert len(models.asked) == 4
    assert all(child["decisions"] == [] for child in children)
    assert all(asked.children(child["id"]) == [] for child in children)
