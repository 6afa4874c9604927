"""Gemini beyond the contract: odd chunks, streamed arguments, refusals through Google's own client, paths."""

import httpx2
import msgspec
import pytest
from google import genai
from google.genai import types

from gateway.core.adapter import Payload
from gateway.core.errors import ErrorKind, NotEvaluated
from gateway.core.frames import Frame
from gateway.core.framing import framer_for
from gateway.core.relay import Relay
from gateway.core.view import (
    Completion,
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
from gateway.providers.gemini.request import (
    StreamGenerateContentRequest,
)
from gateway.providers.gemini.response import GenerateContentResponse

CANARY = "wipe_disk"


def adapter(*, streamed=True):
    return GenerateContentResponse(StreamGenerateContentRequest(b"{}", {"model": "m"}), streamed=streamed)


def read(*payloads, streamed=True):
    reader = adapter(streamed=streamed)
    return [event for data in payloads for event in reader.events(Frame(data, data))]


def chunk(*parts, finish="", index="", more=""):
    ending = f',"finishReason":"{finish}"' if finish else ""
    place = f',"index":{index}' if index != "" else ""
    content = f'"content":{{"parts":[{",".join(parts)}],"role":"model"}}'
    return f'{{"candidates":[{{{content}{ending}{place}}}]{more}}}'.encode()


def part(text):
    return msgspec.json.encode({"text": text}).decode()


def call(**members):
    return msgspec.json.encode({"functionCall": members}).decode()


def piece(path, *, more=True, **value):
    return call(partialArgs=[{"jsonPath": path, **value}], **({"willContinue": True} if more else {}))


def gate(*payloads, content_type="text/event-stream"):
    completion = Completion()
    framer = framer_for(content_type, 1 << 20, streamed=True, newline=b"\r\n")
    relay = Relay(framer, adapter(streamed=True), completion, gate=True)
    passed = relay.feed(body(payloads, content_type)) + relay.close()
    return relay, completion, passed


def body(payloads, content_type="text/event-stream"):
    if content_type == "text/event-stream":
        return b"".join(b"data: " + data + b"\r\n\r\n" for data in payloads)
    return b"[" + b"\n,\r\n".join(payloads) + b"\n]"


ANSWER = {}
TRANSPORT = httpx2.MockTransport(lambda _: httpx2.Response(200, **ANSWER))
CLIENT = genai.Client(
    api_key="k",
    http_options=types.HttpOptions(base_url="http://gateway.test", client_args={"transport": TRANSPORT}),
)
"""Google's own client, in front of an upstream that says what is in ``ANSWER``."""


def streamed_by_sdk(answer):
    """Return what Google's own client reads of a stream: text, calls and the last finish reason."""
    ANSWER.update(content=answer, headers={"content-type": "text/event-stream"})
    chunks = list(CLIENT.models.generate_content_stream(model="m", contents="hi"))
    parts = [
        one
        for each in chunks
        for candidate in each.candidates or ()
        for one in (candidate.content and candidate.content.parts) or ()
    ]
    reasons = [
        candidate.finish_reason
        for each in chunks
        for candidate in each.candidates or ()
        if candidate.finish_reason
    ]
    return (
        "".join(one.text or "" for one in parts),
        [one.function_call for one in parts if one.function_call],
        reasons[-1] if reasons else None,
    )


ODD = {
    "text and call in one part": (
        [b'{"candidates":[{"content":{"parts":[{"text":"a","functionCall":{"name":"f"}}]}}]}'],
        [TextDelta("a"), ToolCallDelta(0, "", "f")],
    ),
    "a thought that calls": (
        [chunk('{"thought":true,"functionCall":{"name":"f","args":{"a": 1}}}')],
        [ToolCallDelta(0, "", "f", '{"a": 1}')],
    ),
    "odd types around a call": (
        [
            chunk(
                '{"functionCall":{"id":7,"name":"f","args":null},"thought":5}',
                more=',"usageMetadata":{"promptTokenCount":"8","candidatesTokenCount":-2},"modelVersion":{},"responseId":5',
            )
        ],
        [Start("5", "{}"), ToolCallDelta(0, "7", "f"), Usage()],
    ),
    "usage of several kinds": (
        [
            (
                b'{"usageMetadata":{"promptTokenCount":50,"toolUsePromptTokenCount":6,"cachedContentTokenCount":10,'
                b'"candidatesTokenCount":30,"thoughtsTokenCount":4,"serviceTier":"flex",'
                b'"promptTokensDetails":[{"modality":"TEXT","tokenCount":20},{"modality":"AUDIO","tokenCount":30}],'
                b'"cacheTokensDetails":[{"modality":"AUDIO","tokenCount":8}],'
                b'"toolUsePromptTokensDetails":[{"modality":"AUDIO","tokenCount":1}],'
                b'"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":25},{"modality":"AUDIO"}]}'
                b',"candidates":[{"finishReason":"STOP"}]}'
            )
        ],
        [
            Usage(46, 34, 10, None, None, 4, 23, 8, 0, 25, service_tier="flex"),
            Finish(FinishReason.STOP),
        ],
    ),
    "usage whose kinds are odd": (
        [
            b'{"usageMetadata":{"promptTokenCount":5,"promptTokensDetails":["AUDIO"]},"candidates":[{"finishReason":"STOP"}]}'
        ],
        [Usage(5), Finish(FinishReason.STOP)],
    ),
    "usage that is no object": ([b'{"usageMetadata":[1]}'], [Usage()]),
    "null everywhere": (
        [
            b'{"candidates":[{"content":null,"finishReason":null},{"content":{"parts":null},"index":1}],"usageMetadata":null}'
        ],
        [],
    ),
    "a keep-alive": ([b"{}"], []),
    "a part without anything": ([chunk("{}", '{"thoughtSignature":"AA=="}')], []),
    "media": (
        [chunk('{"inlineData":{"mimeType":"image/png","data":"AA=="}}', '{"fileData":{"fileUri":"x"}}')],
        [],
    ),
    "thoughts": (
        [chunk('{"text":"a","thought":true}', '{"text":"b","thought":false}')],
        [
            ReasoningDelta("a"),
            TextDelta("b"),
        ],
    ),
    "a reason that nobody knows": ([chunk(finish="NEW_REASON")], [Finish(FinishReason.ERROR)]),
    "no reason yet": ([chunk(part("a"), finish="FINISH_REASON_UNSPECIFIED")], [TextDelta("a")]),
    "one of two has finished": (
        [
            chunk(part("a"), index=0),
            chunk(part("b"), index=1, finish="STOP"),
            chunk(index=0, finish="MAX_TOKENS"),
        ],
        [TextDelta("a"), TextDelta("b"), Finish(FinishReason.LENGTH)],
    ),
    "blocked in snake_case": (
        [b'{"prompt_feedback":{"block_reason":"SAFETY"}}'],
        [Finish(FinishReason.CONTENT_FILTER)],
    ),
    "feedback that blocks nothing": (
        [b'{"promptFeedback":{"blockReason":"BLOCK_REASON_UNSPECIFIED","safetyRatings":[]}}'],
        [],
    ),
    "an error in words": ([b'{"error":"it broke"}'], [StreamError(ErrorKind.UNKNOWN, "it broke")]),
    "an error with odd details": (
        [b'{"error":{"code":"429","message":"slow","details":{"a":1}}}'],
        [StreamError(ErrorKind.RATE_LIMIT, "slow")],
    ),
    "a new kind of part": ([chunk('{"shell":{"line":"ls"}}')], [Unknown("part shell")]),
    "a known part with something new": (
        [chunk('{"text":"a","shell":1}')],
        [TextDelta("a"), Unknown("part shell")],
    ),
    "a tool response of the model's": (
        [chunk('{"functionResponse":{"name":"f","response":{}}}')],
        [Unknown("part functionResponse")],
    ),
    "both spellings, one content": (
        [chunk('{"functionCall":{"name":"f"},"function_call":{"name":"f"}}')],
        [ToolCallDelta(0, "", "f")],
    ),
    "both spellings, two contents": (
        [chunk('{"functionCall":{"name":"f"},"function_call":{"name":"g"}}')],
        [ToolCallDelta(0, "", "g"), Unknown("functionCall: two spellings")],
    ),
    "a spelling for clients that ignore case": (
        [b'{"Candidates":[{"content":{"parts":[{"functionCall":{"name":"f"}}]}}]}'],
        [Unknown("Candidates: odd spelling"), Unknown("Candidates: a call")],
    ),
    "a letter that only case-folding knows": (
        ['{"candidates":[{"content":{"part\u017f":[{"functionCall":{"name":"f"}}]}}]}'.encode()],
        [Unknown("part\u017f: odd spelling"), Unknown("part\u017f: a call")],
    ),
    "escaped keys": (
        [b'{"candidates":[{"content":{"parts":[{"function\\u0043all":{"n\\u0061me":"f"}}]}}]}'],
        [ToolCallDelta(0, "", "f")],
    ),
    "two candidates without an index": (
        [b'{"candidates":[{"content":{}},{"content":{"parts":[{"functionCall":{"name":"f"}}]}}]}'],
        [ToolCallDelta(0, "", "f"), Unknown("candidate index")],
    ),
    "an index that is none": (
        [b'{"candidates":[{"index":-1}],"response_id":""}'],
        [
            Start(),
            Unknown("candidate index"),
        ],
    ),
    "a server call of an unknown type": (
        [chunk('{"toolCall":{"id":"1","toolType":"CLIENT_SHELL","args":{}}}')],
        [ToolCallDelta(0, "1", "toolCall", "{}", server_executed=True), Unknown("toolCall CLIENT_SHELL")],
    ),
    "a server call with a name": (
        [chunk('{"executableCode":{"language":"PYTHON","code":"1","name":"f"}}')],
        [
            ToolCallDelta(
                0, "", "codeExecution", '{"language":"PYTHON","code":"1","name":"f"}', server_executed=True
            ),
            Unknown("executableCode.name"),
        ],
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_chunks(name):
    payloads, events = ODD[name]
    assert read(*payloads) == events


@pytest.mark.parametrize(
    "data",
    [
        b"[]",
        b'[{"error":{}}]',
        b'{"candidates":{}}',
        b'{"candidates":[{"content":{"parts":{"functionCall":{"name":"f"}}}}]}',
        chunk('{"functionCall":"f"}'),
        chunk('{"functionCall":{"name":"f","partialArgs":{}}}'),
        b'{"candidates":[]',
        b"{}{}",
        b"",
    ],
)
def test_what_is_no_response_is_unreadable(data):
    with pytest.raises(msgspec.DecodeError):
        read(data)


def assembled(*payloads):
    completion = Completion()
    names = []
    for event in read(*payloads):
        completion.apply(event)
        if isinstance(event, Unknown):
            names.append(event.name)
    return [(one.id, one.name, one.arguments) for one in completion.tool_calls], names


STREAMED_ARGUMENTS = {
    "whole in one fragment": (
        [chunk(call(name="f", partialArgs=[{"jsonPath": "$.a", "numberValue": 1.50}]))],
        [("", "f", '{"a":1.5}')],
    ),
    "no arguments": ([chunk(call(name="f", willContinue=True)), chunk(call())], [("", "f", "{}")]),
    "steps of every kind": (
        [
            chunk(call(name="f", willContinue=True)),
            chunk(piece("$.a['b c'][\"d.e\"][0]", stringValue="x")),
            chunk(piece("$.a['b c'][\"d.e\"][1].n", nullValue=None)),
            chunk(piece("$.ok", boolValue=True)),
            chunk(call()),
        ],
        [("", "f", '{"a":{"b c":{"d.e":["x",{"n":null}]}},"ok":true}')],
    ),
    "ended by the next one": (
        [chunk(call(name="f", willContinue=True)), chunk(call(name="g", args={"a": 1})), chunk(call())],
        [("", "f", "{}"), ("", "g", '{"a":1}')],
    ),
    "ended by the next streamed one": (
        [chunk(call(name="f", willContinue=True)), chunk(call(name="g", willContinue=True)), chunk(call())],
        [("", "f", "{}"), ("", "g", "{}")],
    ),
    "ended by the finish reason": (
        [
            chunk(call(name="f", willContinue=True)),
            chunk(piece("$.a", stringValue="x")),
            chunk(finish="STOP"),
        ],
        [("", "f", '{"a":"x"}')],
    ),
    "two at once, by their ids": (
        [
            chunk(call(id="1", name="f", willContinue=True), call(id="2", name="g", willContinue=True)),
            chunk(call(id="1", partialArgs=[{"jsonPath": "$.a", "stringValue": "x"}], willContinue=True)),
            chunk(call(id="2", partialArgs=[{"jsonPath": "$.b", "stringValue": "y"}])),
            chunk(call(id="1")),
        ],
        [("1", "f", '{"a":"x"}'), ("2", "g", '{"b":"y"}')],
    ),
    "two candidates": (
        [
            chunk(call(name="f", willContinue=True), index=0),
            chunk(call(name="g", willContinue=True), index=1),
            chunk(piece("$.a", stringValue="x"), index=0),
            chunk(piece("$.b", stringValue="y"), index=1),
            chunk(call(), index=0),
            chunk(call(), index=1),
        ],
        [("", "f", '{"a":"x"}'), ("", "g", '{"b":"y"}')],
    ),
    "never ended: arguments that are no JSON": (
        [chunk(call(name="f", willContinue=True)), chunk(piece("$.a", stringValue="x"))],
        [("", "f", "{")],
    ),
    "begun after the finish, never ended": (
        [
            chunk(finish="STOP"),
            chunk(call(name="f", willContinue=True)),
            chunk(piece("$.a", stringValue="x")),
        ],
        [("", "f", "{")],
    ),
}


@pytest.mark.parametrize("name", STREAMED_ARGUMENTS)
def test_streamed_arguments(name):
    payloads, calls = STREAMED_ARGUMENTS[name]
    assert assembled(*payloads) == (calls, [])


BEGUN = chunk(call(name="f", willContinue=True))
CONTRADICTIONS = {
    "a string goes on that had ended": [piece("$.a", stringValue="x"), piece("$.a", stringValue="y")],
    "a number twice": [piece("$.a", numberValue=1), piece("$.a", numberValue=2)],
    "a string, then a number": [
        call(partialArgs=[{"jsonPath": "$.a", "stringValue": "x", "willContinue": True}], willContinue=True),
        piece("$.a", numberValue=2),
    ],
    "a value below a value": [piece("$.a", stringValue="x"), piece("$.a.b", stringValue="y"), call()],
    "a value above a value": [piece("$.a.b", stringValue="x"), piece("$.a", stringValue="y"), call()],
    "a list that is an object": [piece("$.a[0]", stringValue="x"), piece("$.a.b", stringValue="y"), call()],
    "a list with a gap": [piece("$.a[1]", stringValue="x"), call()],
    "a huge list": [piece("$.a[99999999999]", stringValue="x")],
    "no path": [call(partialArgs=[{"stringValue": "x"}], willContinue=True)],
    "the whole": [piece("$", stringValue="x")],
    "a path of another kind": [piece("$..a", stringValue="x")],
    "no value": [piece("$.a")],
    "two values": [piece("$.a", stringValue="x", numberValue=1)],
    "a value of a new kind": [piece("$.a", structValue={"b": 1})],
    "a number that is none": [piece("$.a", numberValue="Infinity")],
    "a string that is none": [piece("$.a", stringValue=5)],
    "a truth that is none": [piece("$.a", boolValue="true")],
    "whole arguments as well": [call(args={"a": 1}, willContinue=True)],
    "another id": [call(id="9", willContinue=True)],
    "the same call again": [call(name="f", willContinue=True)],
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_contradictory_arguments_are_unknown(name):
    _, unknown = assembled(BEGUN, *(chunk(one) for one in CONTRADICTIONS[name]))
    assert unknown
    relay, _, passed = gate(
        chunk(part("a")), BEGUN, *(chunk(one) for one in CONTRADICTIONS[name]), chunk(finish="STOP")
    )
    assert relay.failure
    assert passed == body([chunk(part("a"))])


def test_fragments_of_no_call_are_unknown():
    assert assembled(chunk(piece("$.a", stringValue="x")))[1] == ["functionCall without a name"]
    assert assembled(chunk(call()))[1] == ["functionCall without a name"]
    assert assembled(BEGUN, chunk(finish="STOP"), chunk(piece("$.a", stringValue="x")))[1] == [
        "functionCall without a name"
    ]


ATTACKS = {
    "a whole call": [chunk(call(name=CANARY, args={"a": CANARY}))],
    "no arguments": [chunk(call(name=CANARY))],
    "snake_case": [chunk('{"function_call":{"name":"wipe_disk","args":{}}}')],
    "case": [chunk('{"FunctionCall":{"Name":"wipe_disk","Args":{}}}')],
    "a thought": [chunk('{"thought":true,"functionCall":{"name":"wipe_disk"}}')],
    "another candidate": [chunk(part("b"), index=0), chunk(call(name=CANARY), index=3)],
    "after the finish": [chunk(part("b"), finish="STOP"), chunk(call(name=CANARY))],
    "in pieces": [chunk(call(name=CANARY, willContinue=True)), chunk(piece("$.a", stringValue=CANARY))],
    "before the name": [chunk(piece("$.a", stringValue=CANARY)), chunk(call(name=CANARY))],
    "beside text": [chunk(part("b"), call(name=CANARY), part("c"))],
    "with the key twice": [
        b'{"candidates":[{"content":{"parts":[{"functionCall":{"name":"wipe_disk"},"functionCall":null}]}}]}'
    ],
    "with the candidates twice": [
        b'{"candidates":[{"content":{"parts":[{"functionCall":{"name":"wipe_disk"}}]}}],"candidates":[]}'
    ],
    "with a lone surrogate": [chunk('{"functionCall":{"name":"wipe_disk\\ud800"}}')],
    "beside an error": [chunk(call(name=CANARY), more=',"error":{"code":500,"message":"x"}')],
    "a part of the session protocol": [b'{"toolCall":{"functionCalls":[{"name":"wipe_disk","args":{}}]}}'],
    "where nobody reads it": [
        chunk(
            part("b"),
            more=',"automaticFunctionCallingHistory":[{"role":"model","parts":[{"functionCall":'
            '{"name":"wipe_disk","partialArgs":[{"jsonPath":"$.a","stringValue":"x"}]}}]}]',
        )
    ],
    "beside the parts": [
        b'{"candidates":[{"content":{"parts":[{"text":"b"}],"more":[{"Function_Call":{"name":"wipe_disk"}}]}}]}'
    ],
    "beside the content": [
        b'{"candidates":[{"content":{"parts":[{"text":"b"}]},"calls":{"partial_args":["wipe_disk"]}}]}'
    ],
    "parts that are no list": [
        b'{"candidates":[{"content":{"parts":{"functionCall":{"name":"wipe_disk"}}}}]}'
    ],
}


@pytest.mark.parametrize("content_type", ["text/event-stream", "application/json"])
@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_of_a_call_passes_the_gate(name, content_type):
    relay, completion, passed = gate(chunk(part("a")), *ATTACKS[name], content_type=content_type)
    assert relay.held or relay.failure
    assert CANARY.encode() not in passed
    if relay.failure:
        ending = relay.fail(relay.failure)
    else:
        assert completion.tool_calls
        ending = relay.refuse("Denied.")
    assert CANARY.encode() not in ending
    if content_type == "application/json":
        values = msgspec.json.decode(passed + ending)
        assert values[0] == msgspec.json.decode(chunk(part("a")))
    elif relay.failure:
        with pytest.raises(genai.errors.APIError):
            streamed_by_sdk(passed + ending)
    else:
        text, calls, reason = streamed_by_sdk(passed + ending)
        assert text.startswith("a")
        assert text.endswith("Denied.")
        assert (calls, reason) == ([], types.FinishReason.STOP)


@pytest.mark.parametrize("spelling", ["toolResponse", "tool_response"])
def test_results_of_the_providers_tools_are_no_calls(spelling):
    result = f'{{"{spelling}":{{"toolType":"GOOGLE_SEARCH_WEB","response":{{"name":"Eiffel","input":"q"}}}}}}'
    relay, _, passed = gate(chunk(result), chunk(part("a"), finish="STOP"))
    assert (relay.failure, relay.held) == (None, False)
    assert passed == body([chunk(result), chunk(part("a"), finish="STOP")])


def refused(*payloads, content_type="text/event-stream"):
    relay, _, passed = gate(*payloads, content_type=content_type)
    assert relay.held
    ending = relay.refuse("Denied.")
    assert body(payloads, content_type).startswith(passed)
    return ending


def test_a_refusal_is_one_chunk_that_keeps_what_is_real():
    usage = (
        ',"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":4},"modelVersion":"m","responseId":"r"'
    )
    ending = refused(
        chunk(part("a"), index=0),
        chunk('{"text":"b","thoughtSignature":"AA=="}', call(name="f"), index=0),
        chunk('{"codeExecutionResult":{"outcome":"OUTCOME_OK"}}', index=0),
        b'{"candidates":[{"content":{"parts":[{"text":"c"}]},"finishReason":"STOP","finishMessage":"calls f",'
        b'"avgLogprobs":-1,"logprobsResult":{"chosenCandidates":[{"token":"f"}]},"groundingMetadata":{},"index":0}]'
        + usage.encode()
        + b"}",
    )
    assert ending.startswith(b"data: ")
    assert ending.endswith(b"\r\n\r\n")
    assert msgspec.json.decode(ending[6:]) == {
        "candidates": [
            {
                "content": {
                    "role": "model",
                    "parts": [
                        {"text": "b", "thoughtSignature": "AA=="},
                        {"codeExecutionResult": {"outcome": "OUTCOME_OK"}},
                        {"text": "c"},
                        {"text": "Denied."},
                    ],
                },
                "finishReason": "STOP",
                "groundingMetadata": {},
                "index": 0,
            }
        ],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4},
        "modelVersion": "m",
        "responseId": "r",
    }


def test_every_candidate_gets_an_ending():
    ending = msgspec.json.decode(
        refused(
            chunk(part("a"), index=0, finish="STOP"),
            chunk(part("b"), index=1),
            chunk(part("c"), index=2),
            chunk(call(name="f"), index=2, finish="STOP"),
            content_type="application/json",
        )
        .lstrip(b",\r\n")
        .rstrip(b"]")
    )
    found = {one["index"]: (one["content"]["parts"], one["finishReason"]) for one in ending["candidates"]}
    assert found == {1: ([{"text": "Denied."}], "STOP"), 2: ([{"text": "Denied."}], "STOP")}


def test_a_whole_answer_is_edited_in_place():
    answer = (
        b'{"candidates": [{"content": {"parts": [{"text": "a"}, {"functionCall": {"name": "f"}}], "role": "model"},'
        b' "finishReason": "STOP", "newer": 1.0}], "newest": [1e3], "responseId": "r"}'
    )
    reader = adapter(streamed=False)
    frame = Frame(answer, answer)
    tuple(reader.events(frame))
    (payload,) = reader.refusal("Denied.", [frame], Completion())
    assert payload == Payload(
        b'{"candidates":[{"content":{"role":"model","parts":[{"text": "a"},{"text":"Denied."}]},'
        b'"finishReason":"STOP","newer":1.0}],"newest":[1e3],"responseId":"r"}'
    )
    ANSWER.update(content=payload.data, headers={"content-type": "application/json"})
    response = CLIENT.models.generate_content(model="m", contents="hi")
    assert response.text == "aDenied."
    assert response.function_calls is None


def test_our_errors_reach_googles_client():
    relay, _, passed = gate(chunk(part("a")))
    with pytest.raises(genai.errors.ServerError, match="broke") as caught:
        streamed_by_sdk(passed + relay.fail(NotEvaluated("it broke")))
    assert (caught.value.code, caught.value.status) == (502, "UNAVAILABLE")


def test_keep_alives_are_chunks_that_googles_client_takes():
    alive = GenerateContentResponse.keep_alive
    answer = body([chunk(part("a"))]) + alive + body([chunk(part("b"), finish="STOP")])
    assert streamed_by_sdk(answer) == ("ab", [], types.FinishReason.STOP)


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("", "application/json; charset=UTF-8"),
        ("key=x", "application/json; charset=UTF-8"),
        ("alt=json", "application/json; charset=UTF-8"),
        ("key=x&alt=sse", "text/event-stream"),
    ],
)
def test_the_query_says_what_a_stream_is(query, kind):
    assert GenerateContentResponse.stream_type(query) == kind
