"""Anthropic: streams that clients read in more than one way, and what the vendor's own client reads of them."""

from typing import Any

import pytest

from gateway.core.errors import NotEvaluated
from gateway.core.view import Finish, FinishReason, ToolCallDelta, Unknown
from tests.providers.test_anthropic import (
    CALL,
    CANARY,
    REFUSAL,
    SSE,
    TEXT,
    begin,
    call,
    end,
    events_of,
    gate,
    relay_for,
    say,
    seen_by_sdk,
    sse,
    start,
    stop,
    write,
)

OK = call(0, "ok")


def unnamed(*payloads: dict[str, Any]) -> list[tuple[str | None, dict[str, Any]]]:
    return [(None, payload) for payload in payloads]


def inputs(body: bytes) -> list[tuple[str, Any]]:
    """Return the calls that the vendor's client reads."""
    content = seen_by_sdk(body).content
    return [(block.name, block.to_dict()["input"]) for block in content if block.type == "tool_use"]


UNPROVEN: dict[str, list[Any]] = {
    "begun after the reason": [end()[0], call(0, "ok", input={"a": CANARY})],
    "begun after the reason, and closed": [end()[0], call(0, "ok", input={"a": CANARY}), stop(0), end()[1]],
    "after a reason in message_start": [OK, write(0, CANARY), stop(0)],
    "grown after the reason": [OK, end()[0], write(0, CANARY), stop(0), end()[1]],
    "never closed": [call(0, "ok", input={"a": CANARY}), *end()],
    "never closed, without a reason": [call(0, "ok", input={"a": CANARY}), end()[1]],
    "without message_stop": [call(0, "ok", input={"a": CANARY}), stop(0), end()[0]],
    "without an end": [call(0, "ok", input={"a": CANARY}), stop(0)],
}


@pytest.mark.parametrize("payloads", UNPROVEN.values(), ids=UNPROVEN)
@pytest.mark.parametrize("reason", [None, "tool_use"])
def test_a_call_that_may_be_incomplete_fails_closed(payloads, reason):
    passed, relay, _ = gate(sse(start(stop_reason=reason), *payloads))
    assert relay.failure or not relay.complete
    assert CANARY.encode() not in passed


def test_text_after_the_reason_is_unknown():
    reason = end("end_turn")[0]
    events = events_of(start(), begin(0, "text", text=""), say(0, "a"), reason, say(0, "b"))
    assert Unknown("content_block_delta after the reason for the end") in events


def test_an_answer_without_calls_is_complete_with_its_reason():
    _, relay, completion = gate(sse(start(), *TEXT, end("max_tokens")[0]))
    assert relay.complete
    assert completion.finish_reason is FinishReason.LENGTH


def test_usage_may_follow_the_reason():
    first, last = end()
    passed, relay, completion = gate(sse(start(), *TEXT, *CALL, first, {"type": "ping"}, first, last))
    assert (relay.failure, relay.complete) == (None, True)
    assert completion.finish_reason is FinishReason.TOOL_CALLS
    assert inputs(passed + relay.release()) == [(CANARY, {"path": "/"})]


def test_the_reason_in_message_start_counts_at_the_end():
    whole = start(OK["content_block"], stop_reason="tool_use")
    assert events_of(whole)[-1] != Finish(FinishReason.TOOL_CALLS)
    assert Finish(FinishReason.TOOL_CALLS) in events_of(whole, {"type": "message_stop"})


TWO = [call(1, "safe"), call(2, "danger"), write(1, '{"a":1}'), stop(1), write(2, '{"b":2}'), stop(2), *end()]
NAMES: dict[str, list[Any]] = {
    "none": unnamed(start(), *TEXT, *TWO),
    "from the call on": [*unnamed(start(), *TEXT), *TWO],
    "but for message_start": [*unnamed(start()), *TEXT, *TWO],
    "up to the call": [start(), *TEXT, *unnamed(*TWO)],
    "after an unnamed answer": [*unnamed(start(), *TEXT), start(), *TWO],
    "every other": [
        payload if number % 2 else (None, payload) for number, payload in enumerate([start(), *TEXT, *TWO])
    ],
}


@pytest.mark.parametrize("payloads", NAMES.values(), ids=NAMES)
def test_clients_that_skip_events_without_a_name_read_what_was_judged(payloads):
    passed, relay, completion = gate(sse(*payloads))
    assert relay.failure is None
    out = passed + relay.release()
    assert out.count(b"event: ") == out.count(b"data: ")
    assert inputs(out) == [("safe", {"a": 1}), ("danger", {"b": 2})]
    assert [(one.name, one.arguments) for one in completion.tool_calls] == [
        ("safe", '{"a":1}'),
        ("danger", '{"b":2}'),
    ]


def test_pieces_are_judged_as_those_of_the_call_that_began_last_too():
    _, relay, completion = gate(sse(start(), *TEXT, *TWO))
    assert relay.failure is None
    safe, danger = completion.tool_calls
    assert set(safe.names) == {"safe", "danger"}
    assert set(danger.names) == {"danger"}


@pytest.mark.parametrize("payloads", NAMES.values(), ids=NAMES)
def test_a_refusal_is_named_like_all_before_it(payloads):
    passed, relay, _ = gate(sse(*payloads))
    out = passed + relay.refuse(REFUSAL)
    assert out.count(b"event: ") == out.count(b"data: ")
    assert [block.to_dict()["text"] for block in seen_by_sdk(out).content] == ["Hello. ", REFUSAL]


def test_a_stream_that_is_only_observed_keeps_its_bytes():
    relay, _ = relay_for(SSE, gate=False)
    body = sse(*NAMES["every other"])
    assert relay.feed(body) + relay.close() == body


OTHER_READINGS: dict[str, list[Any]] = {
    "Input": [begin(0, "tool_use", id="t", name="ok", input={}, Input={"a": CANARY}), stop(0)],
    "Name": [begin(0, "tool_use", id="t", name="ok", input={}, Name=CANARY), stop(0)],
    "a long s": [{**OK, "content_block": {**OK["content_block"], "tool\u017fet_name": "x"}}, stop(0)],
    "Partial_JSON": [
        OK,
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": "", "Partial_JSON": CANARY},
        },
        stop(0),
    ],
    "Type": [OK, {**write(0, CANARY), "type": "ping", "Type": "content_block_delta"}, stop(0)],
    "Index": [OK, call(1, "other"), {**write(0, "{}"), "Index": 1}, stop(0), stop(1)],
    "a block beside a delta": [
        OK,
        {**write(0, "{}"), "content_block": call(1, "ok")["content_block"]},
        stop(0),
    ],
    "a message beside a delta": [
        OK,
        {**write(0, "{}"), "message": start(OK["content_block"])["message"]},
        stop(0),
    ],
    "a block beside text": [
        begin(0, "text", text=""),
        {**say(0, "a"), "content_block": {"type": "text", "text": CANARY}},
        stop(0),
    ],
    "a toolset that is no text": [
        begin(0, "tool_use", id="t", name="ok", input={}, toolset_name=["x"]),
        stop(0),
    ],
    "a toolset without a name": [begin(0, "tool_use", id="t", name="ok", input={}, toolset_name=""), stop(0)],
}


@pytest.mark.parametrize("payloads", OTHER_READINGS.values(), ids=OTHER_READINGS)
def test_what_some_clients_would_read_otherwise_fails_closed(payloads):
    passed, relay, _ = gate(sse(start(), *payloads, *end()))
    assert isinstance(relay.failure, NotEvaluated)
    assert CANARY.encode() not in passed


def test_a_call_of_a_toolset_is_judged_by_both_names():
    block = begin(0, "tool_use", id="t", name="exec", input={}, toolset_name="browser")
    [delta] = [event for event in events_of(start(), block) if isinstance(event, ToolCallDelta)]
    assert delta.name == "exec"
    passed, relay, completion = gate(sse(start(), block, stop(0), *end()))
    assert relay.failure is None
    [one] = completion.tool_calls
    assert one.name == "exec"
    assert {"exec", "browser", "browserexec", "browser.exec", "browser_exec", "browser__exec"} <= {*one.names}
    [seen] = seen_by_sdk(passed + relay.release()).content
    assert (seen.to_dict()["toolset_name"], seen.to_dict()["name"]) == ("browser", "exec")


def test_what_a_server_has_to_offer_is_no_call():
    schema = {"type": "object", "properties": {"Name": {}, "ID": {}}, "examples": [{"name": "a", "input": 1}]}
    listing = begin(
        0,
        "mcp_tool_listing",
        mcp_server_name="s",
        tools=[{"name": "find", "description": "", "input_schema": schema}],
    )
    _, relay, _ = gate(sse(start(), listing, stop(0), *end("end_turn")))
    assert (relay.failure, relay.held) == (None, False)
