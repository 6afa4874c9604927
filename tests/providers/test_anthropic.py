"""Anthropic: what the fixtures can't show, and what the vendor's own client makes of our endings."""

from typing import Any

import anthropic
import httpx2
import msgspec
import pytest

from gateway.core.errors import BadRequest, ErrorKind, NotEvaluated
from gateway.core.framing import framer_for
from gateway.core.relay import Relay
from gateway.core.view import (
    END,
    Completion,
    Event,
    Finish,
    FinishReason,
    ReasoningDelta,
    Start,
    StreamError,
    TextDelta,
    ToolCallDelta,
    Unknown,
    Usage,
)
from gateway.providers import load
from gateway.providers.anthropic import MessagesRequest, MessagesResponse

PROVIDER = load()["anthropic"]
SSE = "text/event-stream"
JSON = "application/json"
CANARY = "rm_rf_canary"
REFUSAL = "That call was denied."


def encode(**members: Any) -> bytes:
    return msgspec.json.encode(members)


def sse(*payloads: dict[str, Any] | tuple[str | None, dict[str, Any]]) -> bytes:
    """Frame events; a pair gives the event's name, or None for no line of that kind."""
    frames = []
    for payload in payloads:
        name, data = payload if isinstance(payload, tuple) else (payload["type"], payload)
        line = f"event: {name}\n".encode() if name is not None else b""
        frames.append(line + b"data: " + msgspec.json.encode(data) + b"\n\n")
    return b"".join(frames)


def start(*content: Any, **members: Any) -> dict[str, Any]:
    usage = {"input_tokens": 11, "cache_read_input_tokens": 5, "output_tokens": 1}
    ids = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude"}
    message = {**ids, "content": list(content), "stop_reason": None, "stop_sequence": None, "usage": usage}
    return {"type": "message_start", "message": {**message, **members}}


def begin(index: Any, kind: str, **members: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **members}}


def call(index: Any, name: Any = CANARY, input: Any = None, kind: str = "tool_use") -> dict[str, Any]:  # noqa: A002  # the wire's word
    return begin(index, kind, id=f"toolu_{index}", name=name, input={} if input is None else input)


def grow(index: Any, kind: str, **members: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **members}}


def say(index: Any, text: str) -> dict[str, Any]:
    return grow(index, "text_delta", text=text)


def write(index: Any, piece: Any) -> dict[str, Any]:
    return grow(index, "input_json_delta", partial_json=piece)


def stop(index: Any) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def end(reason: str | None = "tool_use", **members: Any) -> list[dict[str, Any]]:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return [
        {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 42}, **members},
        {"type": "message_stop"},
    ]


TEXT = [begin(0, "text", text=""), say(0, "Hello. "), stop(0)]
CALL = [call(1), write(1, '{"path":'), write(1, '"/"}'), stop(1)]


def read(body: bytes, content_type: str = SSE) -> tuple[Relay, Completion]:
    """Observe an answer."""
    relay, completion = relay_for(content_type, gate=False)
    relay.feed(body)
    relay.close()
    return relay, completion


def gate(body: bytes, content_type: str = SSE) -> tuple[bytes, Relay, Completion]:
    """Gate an answer; return what left before a verdict."""
    relay, completion = relay_for(content_type, gate=True)
    return relay.feed(body) + relay.close(), relay, completion


def relay_for(content_type: str, *, gate: bool) -> tuple[Relay, Completion]:
    framer = framer_for(content_type, 1 << 20, streamed=False)
    completion = Completion()
    adapter = MessagesResponse(MessagesRequest(b"{}"), streamed=not framer.whole)
    return Relay(framer, adapter, completion, gate=gate), completion


def events_of(*payloads: dict[str, Any]) -> list[Event]:
    framer = framer_for(SSE, 1 << 20, streamed=True)
    adapter = MessagesResponse(MessagesRequest(b"{}"), streamed=True)
    return [event for frame in framer.feed(sse(*payloads)) for event in adapter.events(frame)]


def test_usage_has_all_that_is_charged():
    usage = {
        "input_tokens": 5,
        "cache_creation_input_tokens": 30,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        "output_tokens": 42,
        "output_tokens_details": {"thinking_tokens": 12},
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1},
        "speed": "fast",
    }
    delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}
    used = Usage(5, 42, None, 30, 20, 12, web_searches=2, service_tier="fast")
    assert used in events_of(start(), delta)


def test_runs_that_the_totals_leave_out():
    usage = {
        "input_tokens": 5,
        "output_tokens": 4,
        "iterations": [
            {"type": "message", "input_tokens": 5, "output_tokens": 4},
            {"type": "advisor_message", "model": "wise", "input_tokens": 9, "output_tokens": 8},
            {"type": "compaction", "input_tokens": 7, "output_tokens": 6, "cache_read_input_tokens": 3},
            17,
        ],
    }
    delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}
    assert Usage(5, 4, others=(("wise", Usage(9, 8)), ("", Usage(7, 6, 3)))) in events_of(start(), delta)


def test_a_stream_becomes_events():
    assert events_of(start(), *TEXT, *CALL, *end()) == [
        Start("msg_1", "claude"),
        Usage(11, 1, 5),
        TextDelta("Hello. "),
        ToolCallDelta(1, "toolu_1", CANARY),
        ToolCallDelta(1, arguments='{"path":'),
        ToolCallDelta(1, arguments='"/"}'),
        Usage(output_tokens=42),
        Finish(FinishReason.TOOL_CALLS),
        END,
    ]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"type": "ping"}, []),
        (say(0, "a"), [TextDelta("a")]),
        (say(0, ""), []),
        (grow(0, "thinking_delta", thinking="b"), [ReasoningDelta("b")]),
        (grow(0, "signature_delta", signature="c"), []),
        (grow(0, "citations_delta", citation={}), []),
        (grow(0, "compaction_delta", content=None), []),
        (grow(0, "hologram_delta"), [Unknown("hologram_delta")]),
        (grow(0, "text_delta", text=None), []),
        (say(7, "a"), [Unknown("content_block_delta without a block"), TextDelta("a")]),
        (say("0", "a"), [Unknown("content_block_delta without a block"), TextDelta("a")]),
        (write(0, "{}"), [Unknown("input_json_delta without a call")]),
        ({"type": "content_block_delta", "index": 0}, [Unknown("content_block_delta without a delta")]),
        (begin(1, "text", text="x"), [TextDelta("x")]),
        (begin(1, "thinking", thinking="x"), [ReasoningDelta("x")]),
        (begin(1, "connector"), [Unknown("connector")]),
        (begin(1, ["tool_use"]), [Unknown("block without a type")]),  # type: ignore[arg-type]  # odd on purpose
        ({"type": "content_block_start", "index": 1}, [Unknown("content_block_start without a block")]),
        (stop(4), [Unknown("content_block_stop without a block")]),
        (call(1, 3), [ToolCallDelta(1, "toolu_1"), Unknown("tool_use without a name")]),
        (call(1, kind="mcp_tool_use"), [ToolCallDelta(1, "toolu_1", CANARY, server_executed=True)]),
        (
            begin(1, "server_tool_use", id="s", name="f"),
            [ToolCallDelta(1, "s", "f", server_executed=True), Unknown("server_tool_use without input")],
        ),
        ({"type": "novelty"}, [Unknown("novelty")]),
        ({"index": 0}, [Unknown("event without a type")]),
        ({"type": "message_delta", "delta": {"stop_reason": "tomorrow"}}, [Finish(FinishReason.STOP)]),
        (
            {"type": "message_delta", "delta": None, "usage": {"input_tokens": "3", "output_tokens": -1}},
            [Usage()],
        ),
        (
            {"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}},
            [StreamError(ErrorKind.RATE_LIMIT, "slow")],
        ),
        ({"type": "error", "error": "broken"}, [StreamError(ErrorKind.UNKNOWN, "broken")]),
        ({"error": {"type": "api_error", "message": "x"}}, [StreamError(ErrorKind.SERVER_ERROR, "x")]),
        ({"type": "message_start", "message": 3}, [Unknown("message_start without a message")]),
    ],
)
def test_odd_events(payload, expected):
    before = [start(), begin(0, "text", text="")]
    framer = framer_for(SSE, 1 << 20, streamed=True)
    adapter = MessagesResponse(MessagesRequest(b"{}"), streamed=True)
    *known, last = framer.feed(sse(*before, (None, payload)))
    for frame in known:
        tuple(adapter.events(frame))
    assert list(adapter.events(last)) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"content": "plain"}, [TextDelta("plain")]),
        ({"content": []}, []),
        ({"content": {"type": "text"}}, [Unknown("content that is no list of blocks")]),
        ({}, [Unknown("content that is no list of blocks")]),
        (
            {"content": [3, {"type": "text", "text": "a"}]},
            [Unknown("content that is no list of blocks"), TextDelta("a")],
        ),
        ({"content": [{"type": "tool_use", "id": 1, "name": "f"}]}, [ToolCallDelta(0, "", "f")]),
        (
            {"content": [{"type": "tool_use", "id": "a", "name": "f", "input": None}]},
            [ToolCallDelta(0, "a", "f")],
        ),
        (
            {"content": [{"type": "tool_use", "id": "a", "name": "f", "input": "x"}]},
            [ToolCallDelta(0, "a", "f", '"x"')],
        ),
        ({"content": [{"type": "novelty"}]}, [Unknown("novelty")]),
    ],
)
def test_odd_whole_answers(body, expected):
    framer = framer_for(JSON, 1 << 20, streamed=False)
    framer.feed(msgspec.json.encode({"id": "msg_1", "model": "claude", **body}))
    adapter = MessagesResponse(MessagesRequest(b"{}"), streamed=False)
    assert list(adapter.events(framer.close()[0])) == [Start("msg_1", "claude"), *expected, END]


def test_an_error_as_a_whole_answer():
    _, completion = read(encode(type="error", error={"type": "overloaded_error", "message": "Busy"}), JSON)
    assert completion.error == StreamError(ErrorKind.OVERLOADED, "Busy")


def test_an_event_named_error_is_one_whatever_it_holds():
    # The clients go by the name.
    _, completion = read(sse(start(), *TEXT, ("error", {"type": "ping"})))
    assert completion.error is not None


@pytest.mark.parametrize(
    ("given", "pieces", "arguments", "unknown"),
    [
        ({"a": 1}, (), '{"a":1}', {}),
        ({"a": 1}, ("", ""), '{"a":1}', {}),
        ({}, (), "{}", {}),
        ({}, ('{"b"', ": 2}"), '{"b": 2}', {}),
        ({"a": 1}, ('{"a":', " 1}"), '{"a": 1}', {}),
        ({"a": 1}, ('{"a": 2}',), '{"a": 2}', {"input that differs from how it began": 1}),
        ({"a": 1}, ('{"a"',), '{"a"', {"input that differs from how it began": 1}),
    ],
)
@pytest.mark.parametrize("closed", [True, False])
def test_input_in_the_beginning_of_a_block(given, pieces, arguments, unknown, closed):
    block = [call(0, input=given), *(write(0, piece) for piece in pieces), *([stop(0)] if closed else [])]
    relay, completion = read(sse(start(), *block, *end()))
    assert [one.arguments for one in completion.tool_calls] == [arguments]
    assert relay.unknown == (unknown if closed else {**unknown, "call without content_block_stop": 1})


def test_a_client_reads_the_arguments_that_were_judged():
    # An event without a name is skipped by the vendor's clients.
    pieces = [write(0, '{"path": "/'), (None, write(0, "safe")), write(0, '"}')]
    passed, relay, completion = gate(sse(start(), call(0), *pieces, stop(0), *end()))
    [block] = seen_by_sdk(passed + relay.release()).content
    assert block.to_dict()["input"] == msgspec.json.decode(completion.tool_calls[0].arguments)
    assert completion.tool_calls[0].arguments == '{"path": "/safe"}'


def test_input_after_the_end_of_its_block_is_not_trusted():
    for late in (
        [stop(0), write(0, "{}")],
        [stop(0), *end()[:1], write(0, "{}")],
        [*end()[:1], write(0, "{}")],
    ):
        relay, _ = read(sse(start(), call(0, input={"a": 1}), *late))
        assert relay.unknown


ATTACKS = {
    "plain": [start(), *TEXT, *CALL, *end()],
    "finished normally": [start(), *TEXT, *CALL, *end("end_turn")],
    "no block stop": [start(), *TEXT, *CALL[:-1], *end()],
    "prefilled": [start(), call(0, input={"path": "/"}), stop(0), *end()],
    "prefilled, contradicted": [start(), call(0, "ok", input={"a": CANARY}), write(0, "{}"), stop(0), *end()],
    "in message_start": [start(call(0)["content_block"]), *end()],
    "in a second message_start": [start(), *TEXT, start(call(0)["content_block"]), *end()],
    "same index": [start(), *TEXT, call(0), write(0, "{}"), stop(0), *end()],
    "same index, other name": [start(), call(0, "ok"), call(0), write(0, "{}"), stop(0), *end()],
    "gap": [start(), *TEXT, call(5), write(5, "{}"), stop(5), *end()],
    "negative index": [start(), *TEXT, call(-1), write(-1, "{}"), stop(-1), *end()],
    "huge index": [start(), *TEXT, call(1 << 70), *end()],
    "text index": [start(), *TEXT, call("1"), write("1", "{}"), stop("1"), *end()],
    "no index": [
        start(),
        *TEXT,
        {"type": "content_block_start", "content_block": call(1)["content_block"]},
    ],
    "after message_delta": [start(), *TEXT, end()[0], *CALL, end()[1]],
    "after message_stop": [start(), *TEXT, *end("end_turn"), *CALL, *end()],
    "before message_start": [*CALL, start(), *TEXT, *end()],
    "unknown block with a name": [start(), *TEXT, begin(1, "gadget", name=CANARY, arguments={}), *end()],
    "unknown block": [start(), *TEXT, begin(1, "gadget", payload=CANARY), stop(1), *end()],
    "unknown event": [start(), *TEXT, {"type": "tool_call", "tool": CANARY}, *end()],
    "under a known event": [
        start(),
        *TEXT,
        {"type": "ping", "content_block": call(1)["content_block"]},
        *end(),
    ],
    "named ping": [start(), *TEXT, ("ping", CALL[0]), *CALL[1:], *end()],
    "named error": [start(), *TEXT, ("error", CALL[0]), *CALL[1:], *end()],
    "without a name": [start(), *TEXT, (None, CALL[0]), *CALL[1:], *end()],
    "named message_delta": [start(), *TEXT, ("message_delta", CALL[0]), *CALL[1:], *end()],
    "ping named content_block_start": [
        start(),
        *TEXT,
        ("content_block_start", {**CALL[0], "type": "ping"}),
        *end(),
    ],
    "arguments in a text block": [start(), begin(0, "text", text=""), write(0, CANARY), stop(0), *end()],
    "text in a call": [start(), call(0), say(0, CANARY), stop(0), *end()],
    "arguments for a server tool's twin": [start(), call(0, "ok", kind="server_tool_use"), call(0), *end()],
    "beside an error": [start(), *TEXT, {**CALL[0], "type": "error", "error": {"message": "x"}}],
    "nameless": [start(), *TEXT, begin(1, "tool_use", id="toolu_1", input={"a": CANARY}), stop(1), *end()],
}


@pytest.mark.parametrize("payloads", ATTACKS.values(), ids=ATTACKS)
@pytest.mark.parametrize("step", [0, 1, 7])
def test_nothing_of_a_call_passes_before_the_verdict(payloads, step):
    body = sse(*payloads)
    relay, _ = relay_for(SSE, gate=True)
    out = b""
    for at in range(0, len(body), step or len(body)):
        out += relay.feed(body[at : at + (step or len(body))])
        assert CANARY.encode() not in out
    out += relay.close()
    assert CANARY.encode() not in out
    ending = relay.fail(relay.failure) if relay.failure else relay.refuse(REFUSAL) if relay.held else b""
    assert CANARY.encode() not in (ending or b"")


@pytest.mark.parametrize(
    "name",
    ["same index", "gap", "negative index", "text index", "huge index", "no index", "before message_start"],
)
def test_a_broken_order_of_blocks_fails_closed(name):
    _, relay, _ = gate(sse(*ATTACKS[name], *end()))
    assert isinstance(relay.failure, NotEvaluated)


def seen_by_sdk(body: bytes, content_type: str = SSE, status: int = 200) -> anthropic.types.Message:
    """Let the vendor's client read an answer."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers={"content-type": content_type}, content=body)

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    client = anthropic.Anthropic(api_key="k", base_url="http://test", http_client=http, max_retries=0)
    ask: Any = {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    with client:
        if content_type == JSON:
            return client.messages.create(**ask)
        with client.messages.stream(**ask) as stream:
            return stream.get_final_message()


def refused(*payloads: dict[str, Any]) -> anthropic.types.Message:
    passed, relay, _ = gate(sse(*payloads))
    assert relay.failure is None
    assert relay.held
    message = seen_by_sdk(passed + relay.refuse(REFUSAL))
    assert message.stop_reason == "end_turn"
    assert [block.type for block in message.content if block.type == "tool_use"] == []
    return message


THINKING = [
    begin(0, "thinking", thinking="", signature=""),
    grow(0, "thinking_delta", thinking="Hm."),
    grow(0, "signature_delta", signature="sig=="),
    stop(0),
]


def test_a_refused_call_is_replaced_by_text():
    message = refused(start(), *TEXT, *CALL, *end())
    assert [block.to_dict() for block in message.content] == [
        {"type": "text", "text": "Hello. "},
        {"type": "text", "text": REFUSAL},
    ]
    assert (message.id, message.model, message.stop_sequence) == ("msg_1", "claude", None)
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (11, 5)
    assert message.usage.output_tokens == 42


def test_thinking_stays_before_and_after_a_refused_call():
    message = refused(
        start(),
        *THINKING,
        *CALL,
        begin(2, "thinking", thinking="So", signature=""),
        grow(2, "signature_delta", signature="gis=="),
        stop(2),
        call(3, "other"),
        stop(3),
        begin(4, "text", text=""),
        say(4, "Wait."),
        stop(4),
        {"type": "ping"},
        *end(),
    )
    assert [block.to_dict() for block in message.content] == [
        {"type": "thinking", "thinking": "Hm.", "signature": "sig=="},
        {"type": "thinking", "thinking": "So", "signature": "gis=="},
        {"type": "text", "text": "Wait."},
        {"type": "text", "text": REFUSAL},
    ]


def test_results_of_server_tools_after_a_refused_call_stay():
    result = begin(3, "web_search_tool_result", tool_use_id="toolu_2", content=[])
    search = [call(2, "web_search", kind="server_tool_use"), write(2, '{"query":"x"}'), stop(2)]
    message = refused(start(), *TEXT, *CALL, *search, result, stop(3), *end())
    assert [block.type for block in message.content] == [
        "text",
        "server_tool_use",
        "web_search_tool_result",
        "text",
    ]


def test_a_block_that_is_open_is_closed_before_the_refusal():
    payloads = [start(), begin(0, "text", text=""), say(0, "Open"), *CALL, *end()]
    passed, relay, _ = gate(sse(*payloads))
    ending = relay.refuse(REFUSAL)
    assert ending.startswith(sse(stop(0), begin(1, "text", text="")))
    assert [block.to_dict()["text"] for block in seen_by_sdk(passed + ending).content] == ["Open", REFUSAL]


def test_a_block_that_is_closed_while_frames_are_held_is_closed_once():
    payloads = [start(), begin(0, "text", text=""), *CALL, say(0, "late"), stop(0), *end()]
    passed, relay, _ = gate(sse(*payloads))
    ending = relay.refuse(REFUSAL)
    assert ending.count(b'"content_block_stop","index":0') == 1
    assert [block.to_dict()["text"] for block in seen_by_sdk(passed + ending).content] == ["late", REFUSAL]


def test_a_call_in_message_start_is_refused():
    text = {"type": "text", "text": "Kept."}
    message = refused(start(text, call(0)["content_block"], stop_reason="tool_use"), {"type": "message_stop"})
    assert [block.to_dict()["text"] for block in message.content] == ["Kept.", REFUSAL]
    assert message.usage.input_tokens == 11


def test_the_end_keeps_what_else_it_says():
    held = end(context_management={"applied_edits": []})
    held[0]["delta"] |= {"stop_details": {"type": "refusal"}, "container": {"id": "c"}}
    _, relay, _ = gate(sse(start(), *TEXT, *CALL, *held))
    *_, last, final = relay.refuse(REFUSAL).split(b"\n\n")[:-1]
    assert msgspec.json.decode(last.split(b"data: ")[1]) == {
        "type": "message_delta",
        "delta": {
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "stop_details": None,
            "container": {"id": "c"},
        },
        "usage": {"output_tokens": 42},
        "context_management": {"applied_edits": []},
    }
    assert final == b'event: message_stop\ndata: {"type":"message_stop"}'


def test_a_whole_answer_is_refused():
    content = [
        {"type": "thinking", "thinking": "Hm.", "signature": "sig=="},
        {"type": "text", "text": "Hello.", "citations": None},
        call(2)["content_block"],
        {"type": "text", "text": "Bye."},
    ]
    details = {"stop_details": {"type": "refusal"}, "x_new": [1.50]}
    body = msgspec.json.encode(start(*content, **details, stop_reason="tool_use")["message"])
    passed, relay, _ = gate(body, JSON)
    assert passed == b""
    refusal = relay.refuse(REFUSAL)
    assert b'"x_new":[1.5]' in refusal
    message = seen_by_sdk(refusal, JSON)
    assert [block.type for block in message.content] == ["thinking", "text", "text", "text"]
    assert message.content[-1].to_dict() == {"type": "text", "text": REFUSAL}
    assert (message.stop_reason, message.stop_details) == ("end_turn", None)


def test_our_error_in_a_stream_is_raised_by_the_sdk():
    relay, _ = relay_for(SSE, gate=True)
    passed = relay.feed(sse(start(), *TEXT, *CALL))
    ending = relay.fail(NotEvaluated("It can't be read."))
    assert ending is not None
    with pytest.raises(anthropic.APIStatusError, match="It can't be read"):
        seen_by_sdk(passed + ending)


def test_our_error_as_a_body_has_the_interaction_id():
    error = BadRequest("Wrong at $.model.")
    error.interaction_id = "int_1"
    with pytest.raises(anthropic.BadRequestError) as caught:
        seen_by_sdk(PROVIDER.error(error, None), JSON, 400)
    assert caught.value.body == {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "Wrong at $.model. (interaction int_1)"},
        "request_id": "int_1",
    }
