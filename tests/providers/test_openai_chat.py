"""Odd frames of the chat format and what they are read as."""

import json  # noqa: TID251  # independent of what the adapter uses

import pytest

from gateway.core.adapter import Quirks
from gateway.core.errors import BadRequest, ErrorKind
from gateway.core.view import (
    END,
    NULL_USAGE,
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
from gateway.providers.openai import ChatRequest, ChatResponse
from tests.providers.openai_chat_frames import HEAD, adapter, call, calls, chunk, frame, whole_message


def read(*payloads: object, streamed: bool = True) -> list:
    """The events of frames, after a first one that began the answer."""
    reader = adapter(streamed=streamed)
    if streamed:
        assert list(reader.events(frame(chunk({"role": "assistant"})))) == [Start("chatcmpl-1", "gpt-x", 7)]
    return [event for payload in payloads for event in reader.events(frame(payload))]


D = ToolCallDelta

ODD = {
    "text": (chunk({"content": "a"}), [TextDelta("a")]),
    "empty text": (chunk({"content": ""}), []),
    "null text": (chunk({"content": None}), []),
    "a role each time": (chunk({"role": "assistant", "content": "a"}), [TextDelta("a")]),
    "text in parts": (
        chunk({"content": ["a", {"type": "text", "text": "b"}, {"type": "image_url"}]}),
        [TextDelta("a"), TextDelta("b")],
    ),
    "a part nobody knows": (chunk({"content": [{"type": "hologram"}]}), [Unknown("hologram")]),
    "a part without type": (chunk({"content": [7]}), [Unknown("content part")]),
    "content that is neither": (chunk({"content": {"text": "a"}}), [Unknown("content")]),
    "thinking": (
        chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "h"}]}]}),
        [ReasoningDelta("h")],
    ),
    "reasoning": (chunk({"reasoning": "h"}), [ReasoningDelta("h")]),
    "reasoning under two names": (
        chunk({"reasoning": "h", "reasoning_content": "h", "content": ""}),
        [ReasoningDelta("h")],
    ),
    "reasoning and its details": (
        chunk({"content": "", "reasoning": "h", "reasoning_details": [{"text": "h"}]}),
        [ReasoningDelta("h")],
    ),
    "details alone": (
        chunk({"reasoning_details": [{"text": "h"}, {"summary": "s"}, {"data": "x"}, 7]}),
        [ReasoningDelta("h"), ReasoningDelta("s")],
    ),
    "reasoning and text": (
        chunk({"reasoning_content": "h", "content": "a"}),
        [ReasoningDelta("h"), TextDelta("a")],
    ),
    "the model's own refusal": (chunk({"refusal": "no"}), [TextDelta("no")]),
    "text of a legacy completion": (
        {**HEAD, "choices": [{"index": 0, "text": "a"}]},
        [TextDelta("a")],
    ),
    "a call": (chunk(calls(call())), [D(0, "c1", "canary", '{"a":1}')]),
    "arguments as an object": (chunk(calls(call(arguments={"a": 1}))), [D(0, "c1", "canary", '{"a":1}')]),
    "arguments that look like a call": (
        chunk(calls(call(arguments={"name": "n", "input": "i"}))),
        [D(0, "c1", "canary", '{"name":"n","input":"i"}')],
    ),
    "no arguments": (chunk(calls(call(arguments=None))), [D(0, "c1", "canary")]),
    "no function yet": (chunk(calls({"index": 0, "id": "c1", "type": "function"})), [D(0, "c1")]),
    "a flat call": (
        chunk(calls({"index": 0, "id": "c1", "name": "n", "arguments": "{}"})),
        [D(0, "c1", "n", "{}")],
    ),
    "one call in place of a list": (chunk({"tool_calls": call()}), [D(0, "c1", "canary", '{"a":1}')]),
    "an id that is a number": (
        chunk(calls({"id": 5, "function": {"name": "n", "arguments": ""}})),
        [D(0, "5", "n")],
    ),
    "two calls without index": (
        chunk(calls({"function": {"name": "n", "arguments": "{}"}}, {"function": {"name": "m"}})),
        [D(0, "", "n", "{}"), D(0, aliases=("m", "nm")), D(1, "", "m", aliases=("m", "nm"))],
    ),
    "a legacy call": (
        chunk({"function_call": {"name": "n", "arguments": "{}"}}),
        [D(0, "", "n", "{}")],
    ),
    "a call that is no object": (chunk(calls("canary")), [Unknown("tool call")]),
    "a legacy call that is no object": (
        chunk({"function_call": "canary"}),
        [Unknown("tool call function")],
    ),
    "a kind of call nobody knows": (
        chunk(calls({"index": 0, "type": "mcp", "mcp": {"name": "n"}})),
        [Unknown("tool call mcp")],
    ),
    "two kinds at once": (
        chunk(calls({"index": 0, "function": {"name": "n"}, "custom": {"name": "m"}})),
        [Unknown("tool call")],
    ),
    "a name that is no text": (
        chunk(calls({"index": 0, "function": {"name": ["n"]}})),
        [Unknown("tool call name")],
    ),
    "tools that ran": (
        chunk({"executed_tools": [{"type": "python", "arguments": "{}"}, 7]}),
        [D(0, "", "python", "{}", server_executed=True)],
    ),
    "finish": (chunk({}, "stop"), [Finish(FinishReason.STOP)]),
    "a reason nobody knows": (chunk({}, "tired"), [Finish(FinishReason.STOP)]),
    "a reason that is empty": (chunk({}, ""), []),
    "usage beside text": (
        chunk({"content": "a"}, usage={"prompt_tokens": 3, "completion_tokens": 1}),
        [TextDelta("a"), Usage(3, 1)],
    ),
    "usage that is null": (chunk({"content": "a"}, usage=None), [TextDelta("a")]),
    "usage of the wrong type": (chunk({"content": "a"}, usage=[1]), [TextDelta("a")]),
    "usage in x_groq": (chunk({}, x_groq={"usage": {"prompt_tokens": 3}}), [Usage(3)]),
    "more cached than prompted": (
        chunk({}, usage={"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 5}}),
        [Usage(0, None, 5)],
    ),
    "reasoning beside the output": (
        chunk(
            {},
            usage={
                "prompt_tokens": 5,
                "completion_tokens": 2,
                "total_tokens": 17,
                "completion_tokens_details": {"reasoning_tokens": 10},
            },
        ),
        [Usage(5, 12, reasoning_tokens=10)],
    ),
    "reasoning and searches beside the usage": (
        chunk(
            {},
            usage={
                "prompt_tokens": 5,
                "completion_tokens": 2,
                "total_tokens": 7,
                "reasoning_tokens": 10,
                "num_search_queries": 3,
            },
        ),
        [Usage(5, 12, reasoning_tokens=10, web_searches=3)],
    ),
    "sound, and a service tier": (
        {
            **chunk(
                {},
                usage={
                    "prompt_tokens": 5,
                    "prompt_tokens_details": {"audio_tokens": 4},
                    "completion_tokens": 9,
                    "completion_tokens_details": {"audio_tokens": 8},
                },
            ),
            "service_tier": "priority",
        },
        [Usage(5, 9, input_audio_tokens=4, output_audio_tokens=8, service_tier="priority")],
    ),
    "numbers that count nothing": (
        chunk({}, usage={"prompt_tokens": -1, "completion_tokens": 2**63, "total_tokens": True}),
        [Usage()],
    ),
    "no choices, nothing else": ({**HEAD, "choices": []}, []),
    "an error": (
        {"error": {"message": "m", "type": "server_error", "code": None}},
        [StreamError(ErrorKind.SERVER_ERROR, "m")],
    ),
    "an error as text": ({"code": "x", "error": "m"}, [StreamError(ErrorKind.UNKNOWN, "m")]),
    "an error without message": (
        {"error": {"code": 429}},
        [StreamError(ErrorKind.RATE_LIMIT, "429")],
    ),
    "an error beside a choice": (
        chunk({"content": "a"}, error={"code": 502, "message": "m"}),
        [TextDelta("a"), StreamError(ErrorKind.SERVER_ERROR, "m")],
    ),
    "an error of vLLM": (
        {"object": "error", "message": "m", "type": "BadRequestError", "code": 400},
        [StreamError(ErrorKind.INVALID_REQUEST, "m")],
    ),
    "an error of FastAPI": ({"detail": "m"}, [StreamError(ErrorKind.UNKNOWN, "m")]),
    "a frame nobody knows": ({"type": "ping"}, [Unknown("ping")]),
    "an empty object": ({}, [Unknown("frame")]),
    "the end": (b"[DONE]", [END]),
    "the end, as clients read it": (b" [DONE] ", [END]),
}


@pytest.mark.parametrize(("payload", "expected"), ODD.values(), ids=ODD)
def test_odd_frames(payload, expected):
    assert read(payload) == expected


def test_an_error_by_the_name_of_its_event():
    events = list(adapter().events(frame({"whatever": 1}, "error")))
    assert [type(event) for event in events] == [StreamError]
    assert list(adapter().events(frame(chunk({"content": "a"}), "error")))[1:] == [TextDelta("a")]


def test_calls_are_told_apart_over_choices_and_kinds():
    events = read(
        chunk(calls(call(0)), index=0),
        chunk(calls(call(0)), index=1),
        chunk({"function_call": {"name": "n"}}, index=1),
        chunk({"executed_tools": [{"type": "x"}]}, index=1),
        chunk(calls({"index": 0, "function": {"arguments": ""}}), index=1),
        chunk(calls({"id": "c9", "function": {"name": "m"}}), index=1),
        chunk(calls({"id": "c9", "function": {"arguments": "{}"}}), index=1),
    )
    assert [event.index for event in events] == [0, 1, 2, 3, 1, 1, 4, 4]


def test_calls_with_one_index_are_two_once_the_first_is_complete():
    events = read(chunk(calls(call(0, "a", "n", "{}"), call(0, "b", "n", "{}"))))
    assert [event.index for event in events] == [0, 1]
    events = read(chunk(calls(call(0, "a", "can", ""), call(0, "b", "ary", "{}"))))
    assert events == [D(0, "a", "can"), Unknown("tool call index"), D(0, "b", "ary", "{}")]


def test_a_name_and_an_id_in_every_delta_are_one_call():
    events = read(*(chunk(calls(call(0, "a", "n", piece))) for piece in ('{"a"', ":", "1}")))
    assert {event.index for event in events} == {0}


def test_free_text_becomes_json():
    def custom(text: str) -> dict:
        return chunk(calls({"index": 0, "custom": {"name": "run", "input": text}}))

    events = read(custom(""), custom('a"'), custom("\n☂"), chunk({}, "tool_calls"), b"[DONE]")
    written = "".join(event.arguments for event in events if isinstance(event, D))
    assert json.loads(written) == {"input": 'a"\n☂'}
    assert read(custom("a"), chunk({}, "stop"), custom("b"))[-1] == Unknown("tool call goes on after its end")
    assert read(custom("a"), b"[DONE]")[1:] == [D(0, arguments='"}'), END]


def test_a_message_in_place_of_deltas_may_grow_or_go_on():
    def text(*contents: str) -> str:
        reader = adapter()
        events = [e for c in contents for e in reader.events(frame(whole_message(content=c)))]
        return "".join(event.text for event in events if isinstance(event, TextDelta))

    assert text("He", "Hello") == "Hello"
    assert text("He", "llo") == "Hello"
    assert text("Hello") == "Hello"


def test_a_message_after_deltas_repeats_them():
    assert read(chunk({"content": "a"}), whole_message(content="a")) == [
        TextDelta("a"),
        Finish(FinishReason.STOP),
    ]
    same = whole_message(tool_calls=[call()])
    assert read(chunk(calls(call())), same)[1:] == [D(0, "c1", restated=True), Finish(FinishReason.STOP)]
    for other in (call(name="other"), call(arguments='{"a":2}')):
        assert Unknown("tool call differs") in read(chunk(calls(call())), whole_message(tool_calls=[other]))
    assert read(whole_message(tool_calls=[call()]))[0] == D(0, "c1", "canary", '{"a":1}')


def test_a_whole_body_counts_calls_by_position():
    body = {
        **HEAD,
        "choices": [{"message": calls(call(0, "a"), call(0, "b")), "finish_reason": "tool_calls"}],
    }
    events = read(body, streamed=False)
    assert [event.index for event in events if isinstance(event, D)] == [0, 1]
    assert events[-1] == END


PLAIN = {**whole_message(content="Hi", refusal=None, tool_calls=[]), "usage": {"prompt_tokens": 3}}


def test_a_whole_answer_that_is_one_text():
    assert read(PLAIN, streamed=False) == [
        Start("chatcmpl-1", "gpt-x", 7),
        TextDelta("Hi"),
        Finish(FinishReason.STOP),
        Usage(3),
        END,
    ]


@pytest.mark.parametrize(
    ("message", "more"),
    [
        ({"tool_calls": [{"id": "c1", "function": {"name": "canary"}}]}, D(0, "c1", "canary")),
        ({"tool_calls": {"id": "c1", "function": {"name": "canary"}}}, D(0, "c1", "canary")),
        ({"tool_calls": [7]}, Unknown("tool call")),
        ({"function_call": {"name": "canary"}}, D(0, "", "canary")),
        ({"function_call": {}}, D(0)),
        ({"executed_tools": [{"name": "search"}]}, D(0, "", "search", server_executed=True)),
        ({"refusal": "No."}, TextDelta("No.")),
        ({"reasoning": "h"}, ReasoningDelta("h")),
        ({"reasoning_content": "h"}, ReasoningDelta("h")),
        ({"reasoning_details": [{"text": "h"}]}, ReasoningDelta("h")),
    ],
)
def test_a_whole_answer_that_is_more_than_one_text(message, more):
    events = read({**PLAIN, **whole_message(content="Hi", **message)}, streamed=False)
    assert more in events
    assert [event for event in events if event != more] == read(PLAIN, streamed=False)


@pytest.mark.parametrize(
    ("rest", "more"),
    [
        ({"delta": calls(call())}, D(0, "c1", "canary", '{"a":1}')),
        ({"usage": {"prompt_tokens": 3}}, Usage(3)),
    ],
)
def test_a_whole_answer_with_more_beside_its_message(rest, more):
    choice = {**PLAIN["choices"][0], **rest}
    events = read({**PLAIN, "choices": [choice]}, streamed=False)
    plain = read(PLAIN, streamed=False)
    assert events == [*plain[:2], more, *plain[2:]]


@pytest.mark.parametrize(
    ("odd", "start"),
    [
        ({"id": 7}, Start("", "gpt-x", 7)),
        ({"model": None}, Start("chatcmpl-1", "", 7)),
        ({"created": 7.5}, Start("chatcmpl-1", "gpt-x")),
        ({"created": "7"}, Start("chatcmpl-1", "gpt-x")),
        ({"id": None, "model": None}, None),
    ],
)
def test_a_whole_answer_with_odd_members_begins_with_what_is_known(odd, start):
    events = read({**PLAIN, **odd}, streamed=False)
    assert [event for event in events if isinstance(event, Start)] == ([start] if start else [])
    assert events[-4:] == [TextDelta("Hi"), Finish(FinishReason.STOP), Usage(3), END]


@pytest.mark.parametrize("usage", [None, True, 3, 3.5, "3", [3], [{"prompt_tokens": 3}]])
def test_usage_that_is_no_object(usage):
    for payload in ({**PLAIN, "usage": usage}, {**PLAIN, "usage": None, "x_groq": {"usage": usage}}):
        null = [NULL_USAGE] if usage is None else []
        plain = [event for event in read(PLAIN, streamed=False) if event != Usage(3)]
        assert read(payload, streamed=False) == [*plain[:-1], *null, END]
    assert read({**PLAIN, "x_groq": usage}, streamed=False) == read(PLAIN, streamed=False)


@pytest.mark.parametrize("details", [None, True, 3, 3.5, "3", [3], {"cached_tokens": "3"}, {"other": {}}])
def test_usage_with_odd_details(details):
    usage = {
        "prompt_tokens": 3,
        "completion_tokens": 4.0,
        "prompt_tokens_details": details,
        "completion_tokens_details": details,
    }
    assert Usage(3) in read({**PLAIN, "usage": usage}, streamed=False)


def test_a_delta_in_a_whole_body_is_read_too():
    body = {**HEAD, "choices": [{"message": {"content": "a"}, "delta": calls(call())}]}
    assert D(0, "c1", "canary", '{"a":1}') in read(body, streamed=False)
    body = {**HEAD, "choices": [{"delta": calls(call())}]}
    assert D(0, "c1", "canary", '{"a":1}') in read(body, streamed=False)


# Usage that the client did not ask for.


def test_usage_is_asked_for_once_and_hidden():
    request = ChatRequest(b'{"model": "m", "stream": true, "x": 1.0}')
    assert request.ask_usage()
    assert json.loads(request.encode())["stream_options"] == {"include_usage": True}
    assert b'"x": 1.0' in request.encode()
    reader = ChatResponse(request, streamed=True)
    reader.hiding = True
    usage = {"prompt_tokens": 3, "completion_tokens": 4}
    only = frame({**HEAD, "choices": [], "usage": usage, "service_tier": "default", "obfuscation": "x"})
    others = [
        frame(chunk({"content": "a"}, usage=None)),
        frame(chunk({}, "stop", usage=usage)),
        frame({**HEAD, "choices": [], "usage": usage, "moderation": {}}),
        frame({**HEAD, "choices": [], "usage": None}),
        frame({**HEAD, "choices": []}),
        frame(b"[DONE]"),
    ]
    for one, hidden in (
        [(other, False) for other in others[:2]] + [(only, True)] + [(o, False) for o in others]
    ):
        list(reader.events(one))
        assert reader.hides(one) is hidden


@pytest.mark.parametrize(
    ("options", "asks"),
    [
        (b"", True),
        (b',"stream_options":null', True),
        (b',"stream_options":{"include_obfuscation":false}', True),
        (b',"stream_options":{"include_usage":false}', True),
        (b',"stream_options":{"include_usage":null}', True),
        (b',"stream_options":{"include_usage":true}', False),
        (b',"stream_options":{"include_usage":"yes"}', False),
        (b',"stream_options":7', False),
    ],
)
def test_who_asks_for_usage(options, asks):
    body = b'{"model":"m","stream":true' + options + b"}"
    request = ChatRequest(body)
    assert request.ask_usage() is asks
    assert request.edited is asks
    if asks:
        sent = json.loads(request.encode())["stream_options"]
        before = json.loads(body).get("stream_options") or {}
        assert sent == {**before, "include_usage": True}
    assert not ChatRequest(body, {}, Quirks(stream_usage="always")).ask_usage()
    assert not ChatRequest(body.replace(b'"stream":true', b'"stream":null')).ask_usage()


# Requests.


@pytest.mark.parametrize("value", [b'"yes"', b"1", b"{}", b"[true]"])
def test_stream_is_a_boolean_or_null(value):
    with pytest.raises(BadRequest, match=r"at \$\.stream"):
        ChatRequest(b'{"stream":' + value + b"}")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xef\xbb\xbf{}", b'{"a":"\\ud83d"}', b"{} {}"])
def test_what_is_no_object_is_a_bad_request(body):
    with pytest.raises(BadRequest):
        ChatRequest(body)


def test_odd_members_do_not_fail_a_request():
    body = b"""{"model": 5, "messages": {"role": "tool"}, "tools": "none", "functions": {}, "user": 7,
        "prompt_cache_key": "", "stream_options": [], "plugins": 1, "search_parameters": {"mode": "off"},
        "compound_custom": []}"""
    request = ChatRequest(body)
    assert (request.model, request.stream, request.session) == ("", False, None)
    assert (list(request.tools), list(request.tool_results)) == ([], [])
    assert list(request.texts()) == ['"none"', "{}"]
    odd = ChatRequest(
        b'{"messages":[7,{"role":"tool","content":7,"tool_call_id":[]},{"tool_calls":[8,{"id":"a"}]}],"tools":[3,{}]}'
    )
    assert [result.texts for result in odd.tool_results] == [()]
    assert [tool.name for tool in odd.tools] == [""]


def test_a_reused_id_names_the_call_before_the_result():
    request = ChatRequest(
        json.dumps(
            {
                "messages": [
                    {"role": "tool", "tool_call_id": "a", "content": "too early"},
                    {"role": "assistant", "tool_calls": [call(id="a", name="one")]},
                    {"role": "tool", "tool_call_id": "a", "name": "forged", "content": "1"},
                    {"role": "assistant", "tool_calls": [call(id="a", name="two")]},
                    {"role": "tool", "tool_call_id": "a", "content": "2"},
                ]
            }
        ).encode()
    )
    assert [result.name for result in request.tool_results] == ["", "one", "two"]


def test_texts_are_all_that_the_model_reads():
    request = ChatRequest(
        json.dumps(
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "text", "text": "question"}, {"type": "image_url"}],
                    },
                    {"role": "assistant", "content": None, "tool_calls": [call(name="lookup")]},
                    {"role": "tool", "tool_call_id": "c1", "content": "result"},
                ],
                "tools": [{"type": "function", "function": {"name": "lookup"}}],
            }
        ).encode()
    )
    assert list(request.texts())[:4] == ["question", "lookup", '{"a":1}', "result"]
    assert '"lookup"' in list(request.texts())[4]
