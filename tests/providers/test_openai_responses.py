"""Responses API: frames out of the ordinary, and endings of ours as the official SDK reads them."""

from pathlib import Path

import msgspec
import openai
import pytest

from gateway.core.errors import Forbidden, NotEvaluated
from gateway.core.frames import Frame
from gateway.core.framing import framer_for
from gateway.core.relay import Relay
from gateway.core.view import (
    END,
    Completion,
    Finish,
    FinishReason,
    Prompt,
    ReasoningDelta,
    Start,
    StreamError,
    TextDelta,
    Unknown,
    Usage,
)
from gateway.providers.openai.endpoints import ENDPOINTS
from gateway.providers.openai.responses_request import ResponsesRequest
from tests.providers.openai_responses_frames import (
    CALL,
    CREATED,
    DIFFERS,
    RID,
    SSE,
    TEXT,
    adapter,
    added,
    client,
    completed,
    delta,
    done,
    encode,
    final,
    gated,
    piece,
    read,
    sse,
    whole,
)

FIXTURES = Path(__file__).parent.parent / "fixtures" / "openai"

NAMED = delta("get_weather")
FULL = delta("get_weather", '{"a":1}')


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([{"type": "response.output_text.delta", "delta": "a"}], [TextDelta("a")]),
        ([{"type": "response.output_text.delta", "delta": "a", "output_index": "0"}], [TextDelta("a")]),
        ([{"type": "response.output_text.delta", "delta": None}], [TextDelta("")]),
        ([{"type": "response.output_text.done", "text": "a", "output_index": 0, "content_index": 0}], [TextDelta("a")]),
        ([{"type": "response.audio.transcript.delta", "delta": "a"}], [TextDelta("a")]),
        ([{"type": "response.reasoning_text.delta", "delta": "a"}], [ReasoningDelta("a")]),
        ([{"type": "response.reasoning_summary_text.done", "text": "a"}], [ReasoningDelta("a")]),
        ([{"type": "keepalive"}], []),
        ([{"type": "response.telepathy"}], [Unknown("event response.telepathy")]),
        ([{}], [Unknown("event ")]),
        ([added({"type": "telepathy_call"})], [Unknown("item telepathy_call")]),
        ([added({"type": "message", "content": [{"type": "telepathy"}]})], [Unknown("part telepathy")]),
        ([{"type": "response.content_part.added", "part": {"type": "tool_use"}}], [Unknown("part tool_use")]),
        ([added(None)], []),
        # One call, said in several places.
        ([done(CALL)], [FULL]),
        ([added(CALL), done(CALL)], [NAMED, delta(arguments='{"a":1}')]),
        ([added(CALL | {"arguments": ""}), piece('{"a"'), piece(":1}"), whole('{"a":1}'), done(CALL)],
         [NAMED, delta(arguments='{"a"'), delta(arguments=":1}"), delta(), delta()]),
        ([added(CALL | {"arguments": "{}"}), piece('{"a":1}'), done(CALL)], [NAMED, delta(arguments='{"a":1}'), delta()]),
        ([added(CALL | {"arguments": '{"a"'}), piece(":1}"), done(CALL)], [NAMED, delta(arguments='{"a":1}'), delta()]),
        ([piece("{}", 3), done(CALL | {"arguments": "{}"}, 3)], [delta(call="", arguments="{}"), NAMED]),
        ([done(CALL | {"arguments": {"a": 1}})], [FULL]),
        ([done(CALL, "0"), done(CALL | {"call_id": "call_2", "id": "fc_2"}, -1)], [FULL, delta("get_weather", '{"a":1}', 1, "call_2")]),
        ([done(CALL | {"id": 7, "call_id": None})], [delta("get_weather", '{"a":1}', call="")]),
        # Places that contradict one another.
        ([added(CALL), done(CALL | {"name": "rm"})], [NAMED, delta(arguments='{"a":1}'), DIFFERS]),
        ([added(CALL | {"arguments": ""}), piece("{}"), whole('{"a":1}')], [NAMED, delta(arguments="{}"), delta(), DIFFERS]),
        ([added(CALL | {"arguments": '{"b":2}'}), done(CALL)], [NAMED, delta(arguments='{"a":1}'), DIFFERS]),
        ([done(CALL), done(CALL | {"arguments": "{}"})], [FULL, delta(), DIFFERS]),
        ([done(CALL), done(CALL | {"type": "custom_tool_call", "input": "x"})], [FULL, delta(), DIFFERS]),
        ([done(CALL), whole('{"a":1}', name="rm")], [FULL, delta(), DIFFERS]),
        ([done(CALL), done(CALL | {"id": "fc_2", "call_id": "call_2"}, 1), piece("{", 0, item_id="fc_2")],
         [FULL, delta("get_weather", '{"a":1}', 1, "call_2"), delta(arguments="{"), DIFFERS]),
        ([added({"type": "mcp_call", "id": "m", "name": "ask"}), piece("{")], [delta("ask", call="m", server=True), delta(arguments="{", call="m", server=True), DIFFERS]),
        ([done(CALL), done(CALL | {"id": "fc_2", "call_id": "call_2"}, 1), whole('{"a":1}', 0, item_id="fc_2")],
         [FULL, delta("get_weather", '{"a":1}', 1, "call_2"), delta(), DIFFERS]),
        ([{"type": "response.shell_call_command.delta", "output_index": 0, "delta": "l"},
          {"type": "response.shell_call_command.delta", "output_index": 0, "delta": "s"},
          {"type": "response.shell_call_command.done", "output_index": 0, "command": "rm"}],
         [delta(call=""), delta(call=""), delta(call=""), DIFFERS]),
        ([{"type": "response.shell_call_command.done", "output_index": 0, "command": "ls"}, done({"type": "shell_call", "action": {}})],
         [delta(call=""), delta("shell", "{}", call=""), DIFFERS]),
        ([added(CALL), added(CALL | {"arguments": '{"b":2}'})], [NAMED, delta(), DIFFERS]),
        ([added(CALL), added(CALL)], [NAMED, delta()]),
        ([added({"type": "reasoning", "summary": [{"type": "telepathy"}]})], [Unknown("part telepathy")]),
        # What runs where.
        ([done({"type": "file_search_call", "queries": ["a"]})], [delta("file_search", '{"queries":["a"]}', call="", server=True)]),
        ([done({"type": "tool_search_call", "execution": "client", "arguments": {"a": 1, "b": 2}}),
          completed({"type": "tool_search_call", "execution": "client", "arguments": {"b": 2, "a": 1}})],
         [delta("tool_search", '{"a":1,"b":2}', call=""), Start(RID, "m", 5), delta(call=""), Finish(FinishReason.TOOL_CALLS), END]),
        ([done({"type": "tool_search_call", "execution": "server", "arguments": {}})], [delta("tool_search", "{}", call="", server=True)]),
        ([done({"type": "shell_call", "action": {"commands": ["ls"]}})], [delta("shell", '{"commands":["ls"]}', call="")]),
        ([done({"type": "shell_call", "action": {}, "environment": {"type": "container_reference"}})], [delta("shell", "{}", call="", server=True)]),
        ([done({"type": "computer_call", "actions": [{"type": "wait"}]})], [delta("computer", '{"actions":[{"type":"wait"}]}', call="")]),
        ([{"type": "response.shell_call_command.done", "output_index": 0, "command": "ls"}, done({"type": "shell_call", "action": {"commands": ["rm"]}})],
         [delta(call=""), delta("shell", '{"commands":["rm"]}', call=""), DIFFERS]),
        # Errors.
        ([{"type": "error", "error": {"code": "rate_limit_exceeded", "message": "slow"}}], [StreamError("rate_limit", "slow")]),
        ([{"type": "error", "code": "rate_limit_exceeded", "message": "slow", "param": None}], [StreamError("rate_limit", "slow")]),
        ([{"error": "boom"}], [StreamError("unknown", "boom")]),
        ([{"type": "error", "code": "server_error", "message": "sorry"}], [StreamError("server_error", "sorry")]),
    ],
)  # fmt: skip
def test_odd_frames(events, expected):
    assert read(*events) == expected


def test_a_terminal_event_settles_what_was_only_announced():
    events = read(CREATED, added(CALL), completed(usage={"input_tokens": "7", "output_tokens": -1}))
    told = [Start(RID, "m", 5), NAMED, delta(arguments='{"a":1}')]
    assert events == [*told, Usage(), Finish(FinishReason.TOOL_CALLS), END]


def test_a_terminal_event_says_what_was_used_and_how():
    usage = {
        "input_tokens": 20,
        "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 2},
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 4},
    }
    used = Usage(10, 9, 8, 2, reasoning_tokens=4, service_tier="flex")
    assert used in read(CREATED, completed(usage=usage, service_tier="flex"))


def test_a_terminal_event_repeats_text_reasoning_and_calls_without_doubling_them():
    message = {
        "type": "message",
        "id": "msg_1",
        "content": [{"type": "output_text", "text": "ab"}],
        "role": "assistant",
    }
    thought = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}
    at = {"output_index": 5, "content_index": 0}
    events = read(
        CREATED,
        done(thought, 4),
        added(message | {"content": []}, 5),
        {"type": "response.output_text.delta", "delta": "ab", **at},
        {"type": "response.output_text.done", "text": "ab", **at},
        done(message, 5),
        done(CALL, 9),
        completed(thought, message, CALL),
    )  # places in the snapshot are dense, output indexes need not be
    completion = Completion()
    for event in events:
        completion.apply(event)
    assert (completion.text, completion.reasoning) == ("ab", "hm")
    assert [(call.id, call.name, call.arguments) for call in completion.tool_calls] == [("call_1", "get_weather", '{"a":1}')]  # fmt: skip
    assert not [event for event in events if isinstance(event, Unknown)]


@pytest.mark.parametrize("kind", ["completed", "incomplete", "failed"])
def test_a_call_that_only_the_terminal_event_holds_is_seen(kind):
    assert FULL in read(CREATED, completed(CALL, kind=kind))


def test_failures_say_what_failed():
    events = read(completed(kind="failed", error={"code": "server_is_overloaded", "message": "busy"}))
    assert events[1:] == [Finish(FinishReason.ERROR), StreamError("overloaded", "busy"), END]
    body = adapter(streamed=False).events(Frame(b"", b'{"error":{"code":"invalid_api_key","message":"no"}}'))
    assert body == (StreamError("authentication", "no"),)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"status": "cancelled", "output": []}, [Start(), Finish(FinishReason.ERROR), END]),
        ({"status": "in_progress", "output": []}, [Start(), END]),
        ({"output": [], "created_at": 5.0}, [Start("", "", 5), Finish(FinishReason.STOP), END]),
        ({"id": 7, "output": None, "error": None}, [Start(), Finish(FinishReason.STOP), END]),
        ({"status": "failed", "output": [], "error": {"code": "server_error", "message": "x"}}, [Start(), Finish(FinishReason.ERROR), StreamError("server_error", "x"), END]),
        ({"status": "failed", "output": [], "error": {"code": "image_content_policy_violation", "message": "x"}}, [Start(), Finish(FinishReason.ERROR), StreamError("content_filtered", "x"), END]),
        ({"status": "failed", "output": [], "error": {"message": "x"}}, [Start(), Finish(FinishReason.ERROR), StreamError("unknown", "x"), END]),
        ({"object": "list"}, [Start(), Finish(FinishReason.STOP), END, Unknown("body without output")]),
        ({"output": "x", "tool_calls": [1]}, [Start(), Finish(FinishReason.STOP), END, Unknown("output"), Unknown("tool_calls")]),
        ({"output": [{"type": "message", "content": "plain"}]}, [Start(), TextDelta("plain"), Finish(FinishReason.STOP), END]),
        ({"output": [{"type": "message", "role": "user", "content": "plain"}]}, [Start(), Finish(FinishReason.STOP), END]),
    ],
)  # fmt: skip
def test_odd_bodies(body, expected):
    events = adapter(streamed=False).events(Frame(b"", encode(body)))
    assert sorted(events, key=repr) == sorted(expected, key=repr)


def test_the_name_of_an_event_follows_the_upstream():
    reader = adapter()
    reader.events(Frame(b"", encode(CREATED)))
    assert reader.event_name == ""
    reader.events(Frame(b"", encode(CREATED), "response.created"))
    assert reader.event_name == "response.created"
    reader.events(Frame(b"", b'{"type":"response.output_text.delta","delta":""}'))
    assert reader.event_name == "response.output_text.delta"
    assert reader.events(Frame(b"", b"[DONE]")) == (END,)


STREAMS = [
    "tool_call_stream",
    "parallel_tool_calls_stream",
    "reasoning_tool_call_stream",
    "custom_tool_stream",
    "shell_stream",
    "openrouter_stream",
    "crlf_stream",
    "call_in_terminal_event_stream",
    "call_in_item_done_stream",
    "namespaces_stream",
]


@pytest.mark.parametrize("size", [0, 1, 97])
@pytest.mark.parametrize("name", STREAMS)
async def test_a_refused_stream_is_a_finished_message_for_the_sdk(name, size):
    body = (FIXTURES / f"responses_{name}" / "response.sse").read_bytes()
    expect = msgspec.json.decode((FIXTURES / f"responses_{name}" / "expect.json").read_bytes())["response"]
    sent, relay = gated(body, size=size)
    assert relay.failure is None
    for call in expect["tool_calls"]:
        assert call["id"].encode() not in sent
        assert call["arguments"] == "{}" or encode(call["arguments"])[1:-1] not in sent
    response, events = await final(sent)
    assert response.output_text == expect.get("text", "") + TEXT
    assert {item.type for item in response.output} <= {"message", "reasoning"}
    assert (response.id, response.model, response.status) == (RID, expect["model"], "completed")
    assert [event.sequence_number for event in events] == list(range(len(events)))
    if counts := expect.get("usage"):
        assert response.usage.output_tokens == counts["output_tokens"]
        assert response.usage.input_tokens == counts["input_tokens"] + counts["cache_read_tokens"]
    async with client(sent) as sdk:
        plain = [event async for event in await sdk.responses.create(model="m", input="hi", stream=True)]
    assert [event.type for event in plain][-7:] == [
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert plain[-2].output_index == len(response.output) - 1


async def test_a_refusal_keeps_what_was_held_and_is_no_call():
    message = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [{"type": "output_text", "text": "one two", "annotations": []}]}  # fmt: skip
    late = message | {"id": "msg_2", "content": [{"type": "output_text", "text": "three", "annotations": []}]}
    thought = {"type": "reasoning", "id": "rs_1", "summary": []}
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": []}
    at_late = at | {"item_id": "msg_2", "output_index": 4}
    body = sse(
        CREATED,
        added(message | {"content": []}),
        {"type": "response.content_part.added", **at, "part": part},
        {"type": "response.output_text.delta", **at, "delta": "one "},
        added(CALL | {"arguments": ""}, 1),
        {"type": "response.output_text.delta", **at, "delta": "two"},
        piece('{"a":1}', 1, item_id="fc_1"),
        done(CALL, 1),
        done(message),
        done(CALL | {"id": "fc_2", "call_id": "call_2"}, 2),
        done(thought, 3),
        added(late | {"content": []}, 4),
        {"type": "response.content_part.added", **at_late, "part": part},
        {"type": "response.output_text.delta", **at_late, "delta": "three"},
        done(late, 4),
        completed(
            message, CALL, CALL | {"id": "fc_2", "call_id": "call_2"}, thought, late, kind="incomplete"
        ),
    )
    sent, relay = gated(body)
    assert relay.failure is None
    assert b"get_weather" not in sent.replace(TEXT.encode(), b"")
    response, events = await final(sent)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.output_index for event in events if event.type == "response.output_item.done"] == [
        0,
        1,
        2,
        3,
    ]
    assert [item.type for item in response.output] == ["message", "reasoning", "message", "message"]
    assert response.output_text == "one twothree" + TEXT
    assert (response.status, response.incomplete_details) == ("completed", None)


async def test_a_refusal_without_a_terminal_event_ends_with_one_of_ours():
    progress = {"type": "response.in_progress", "response": CREATED["response"]}
    sent, _ = gated(sse(CREATED, done(CALL), progress) + b": comment\n\ndata: [DONE]\n\n")
    response, _ = await final(sent)
    assert (response.id, response.model, response.output_text) == (RID, "m", TEXT)


@pytest.mark.parametrize("name", ["tool_call", "parallel_tool_calls", "custom_tool", "local_tools"])
async def test_a_refused_body_is_a_finished_message_for_the_sdk(name):
    folder = FIXTURES / f"responses_{name}"
    sent, relay = gated((folder / "response.json").read_bytes(), content_type="application/json")
    assert relay.failure is None
    async with client(sent, "application/json") as sdk:
        response = await sdk.responses.create(model="m", input="hi")
    assert response.output_text == TEXT
    assert {item.type for item in response.output} <= {"message", "shell_call"}
    assert response.usage.output_tokens > 0
    again = adapter(streamed=False).events(Frame(b"", sent))
    assert [event.reason for event in again if isinstance(event, Finish)] == [FinishReason.STOP]
    if name == "local_tools":
        assert b'"novelty":1.50' in sent
        assert b"container_reference" in sent


SECRET = {
    "type": "function_call",
    "id": "fc_9",
    "call_id": "c9",
    "name": "get_canary",
    "arguments": '{"canary":1}',
}


@pytest.mark.parametrize(
    "events",
    [
        [done(SECRET)],
        [done(SECRET, -1)],
        [done(SECRET, "x")],
        [piece('{"canary":1}', 0)],
        [piece({"canary": 1}, 0)],
        [added({"type": "mcp_call", "id": "m", "name": "ask", "arguments": ""}), piece('{"canary":1}', 0, item_id="m")],
        [added({"type": "mcp_call", "id": "m", "name": "ask"}), done(SECRET)],
        [added({"type": "message", "id": "msg", "content": []}), done(SECRET)],
        [added({"type": "message", "content": [{"type": "tool_use", "name": "canary", "input": {}}]})],
        [{"type": "response.content_part.done", "part": {"type": "tool_use", "name": "canary", "input": {}}}],
        [{"type": "response.web_search_call.completed", "item": SECRET}],
        [{"type": "response.output_text.delta", "delta": "x", "item": SECRET}],
        [{"type": "response.new_call_arguments.delta", "delta": "canary"}],
        [{"type": "response.custom_tool_call_input.delta", "delta": "canary"}],
        [{"type": "response.shell_call_command.delta", "output_index": 0, "delta": "canary"}],
        [{"type": "response.in_progress", "response": {"id": RID, "output": [SECRET]}}],
        [completed(SECRET, kind="incomplete")],
        [completed(SECRET, kind="failed", error={"message": "x"})],
        [completed(tool_calls=[{"function": {"name": "get_canary"}}])],
        [completed(output={"0": SECRET})],
        [done({"type": "new_call", "payload": "canary"})],
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [0, 1])
async def test_no_part_of_a_call_passes_before_the_verdict(events, size):
    ends = [] if events[-1]["type"] in ("response.incomplete", "response.completed") else [completed()]
    sent, relay = gated(sse(CREATED, *events, *ends), size=size, refusal="Denied.")
    assert b"canary" not in sent
    seen = []
    failed = False
    async with client(sent) as sdk:
        try:
            async for event in await sdk.responses.create(model="m", input="hi", stream=True):
                seen.append(event)
        except openai.APIError:
            failed = True
    assert seen[0].type == "response.created"
    assert not [event for event in seen if "function" in event.type or "_input" in event.type]
    assert failed == (relay.failure is not None)
    assert failed or seen[-1].response.output_text == "Denied."


async def test_an_error_of_ours_goes_on_where_the_stream_was():
    body = (FIXTURES / "responses_text_stream" / "response.sse").read_bytes()
    cut = body.index(b"event: response.output_text.done")
    relay = Relay(framer_for(SSE, 1 << 20, streamed=True), adapter(), Completion())
    sent = relay.feed(body[:cut]) + relay.fail(NotEvaluated("Not judged."))
    events = [msgspec.json.decode(line[6:]) for line in sent.splitlines() if line.startswith(b"data: ")]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-2]["error"] == {"message": "Not judged.", "type": "server_error", "code": "upstream_error", "param": None}  # fmt: skip
    assert events[-1]["type"] == "response.failed"
    assert events[-1]["response"]["id"] == RID
    assert events[-1]["response"]["error"]["message"] == "Not judged."
    assert sent.count(b"event: ") == len(events)
    with pytest.raises(openai.APIError, match="Not judged"):
        await final(sent)


def test_an_error_before_anything_was_read_can_be_read_too():
    payloads = list(adapter().error(Forbidden("No.")))
    assert [payload.event for payload in payloads] == ["error", "response.failed"]
    assert read(*(msgspec.json.decode(payload.data) for payload in payloads))[0] == StreamError("permission_denied", "No.")  # fmt: skip


def test_a_result_is_replaced_in_the_shape_that_its_kind_needs():
    body = (FIXTURES / "responses_tool_result" / "request.json").read_bytes()
    request = ResponsesRequest(body)
    for result in request.tool_results:
        request.set_tool_result(result, "gone")
    sent = msgspec.json.decode(request.encode())["input"]
    by_type = {item.get("type"): item.get("output", item.get("result")) for item in sent}
    assert (
        by_type["function_call_output"]
        == by_type["local_shell_call_output"]
        == by_type["program_output"]
        == "gone"
    )
    assert by_type["shell_call_output"] == [{"stdout": "gone", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]  # fmt: skip
    assert [item["output"] for item in sent if item.get("type") == "mcp_call"] == ["gone", None]


def test_a_screenshot_is_replaced_by_a_blank_image():
    call = {"type": "computer_call", "call_id": "c", "action": {"type": "screenshot"}}
    shot = {
        "type": "computer_call_output",
        "call_id": "c",
        "output": {"image_url": "data:image/png;base64,AA=="},
    }
    tools = [{"type": "computer_use_preview"}]
    request = ResponsesRequest(encode({"input": [call, shot], "tools": tools}))
    (result,) = request.tool_results
    assert (result.name, result.texts) == ("computer_use_preview", ())
    request.set_tool_result(result, "gone")
    output = msgspec.json.decode(request.encode())["input"][1]["output"]
    assert output["type"] == "computer_screenshot"
    assert len(output["image_url"]) > 100


def test_one_text_of_a_result_is_replaced_alone():
    request = ResponsesRequest((FIXTURES / "responses_tool_result" / "request.json").read_bytes())
    request.set_text(request.tool_results[1].texts[1], "shorter")
    parts = msgspec.json.decode(request.encode())["input"][4]["output"]
    assert [part.get("text") for part in parts] == ["first", None, "shorter"]
    assert parts[2]["prompt_cache_breakpoint"] == {"mode": "auto"}


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":7,"input":{"a":1},"tools":"none"}',
        b'{"input":[1,null,"x",{"type":7},{"type":"function_call_output","output":{"a":1}}],"tools":[1,{"name":[]}]}',
        b'{"input":[{"role":"user","content":7}],"tools":[{"type":"mcp","allowed_tools":{"tool_names":["a"]}}]}',
        b'{"stream":null}',
    ],
)
def test_types_that_only_the_provider_minds_pass(body):
    request = ResponsesRequest(body)
    assert (request.stream, request.model) == (False, "")
    assert all(isinstance(tool.name, str) for tool in request.tools)
    assert all(result.name == "" for result in request.tool_results)
    assert all(isinstance(text, str) for text in request.texts())
    assert request.encode() is body


def test_a_prompt_is_composed_and_read_back():
    body = ResponsesRequest.compose(
        "m", Prompt("Be brief.", (("user", "Hi"),), msgspec.Raw(b'{"type":"object"}'))
    )
    request = ResponsesRequest(body)
    assert (request.model, request.stream, list(request.texts())) == ("m", False, ["Be brief.", "Hi"])
    assert msgspec.json.decode(body)["text"]["format"]["schema"] == {"type": "object"}


def test_every_text_that_the_model_reads_is_listed():
    message = {"role": "user", "content": [{"type": "input_text", "text": "one"}, {"type": "input_image"}, 7]}
    shell = {"type": "shell_call", "action": {"commands": ["ls"]}}
    tool = {"type": "function", "name": "run", "description": "Runs", "parameters": {"type": "object"}}
    request = ResponsesRequest(
        encode({"instructions": "zero", "input": [message, shell, CALL], "tools": [tool]})
    )
    assert list(request.texts()) == [
        "zero",
        "one",
        '{"commands":["ls"]}',
        '{"a":1}',
        'run Runs {"type":"object"}',
    ]
    assert list(ResponsesRequest(b'{"input":"two"}').texts()) == ["two"]


def test_only_creating_a_response_carries_calls():
    endpoints = [each for each in ENDPOINTS if each.path.startswith(("/responses", "/conversations"))]
    assert [endpoint.name for endpoint in endpoints if endpoint.carries_calls] == ["POST /responses"]
    assert [endpoint.name for endpoint in endpoints if not endpoint.stateful] == [
        "POST /responses",
        "POST /responses/input_tokens",
    ]
