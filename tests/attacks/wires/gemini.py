"""Attacks in Gemini's format, as server-sent events and as a growing JSON array."""

from collections.abc import Callable, Sequence
from typing import Any

from tests.attacks.model import BROKEN, PASSES, REFRAMED, REFUSED, STOPPED, TWIN, UNJUDGED, Attack, Item, Tool
from tests.attacks.wires.content import add_content
from tests.attacks.wires.framing import add_framing
from tests.attacks.wires.payloads import Writer, array, dumps, plain_sse
from tests.attacks.wires.sizes import add_sizes

USAGE = {"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18}


def candidate(*parts: Any, reason: str = "", index: Any = 0, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": index}
    return {**found, **({"finishReason": reason} if reason else {}), **more}


def chunk(*parts: Any, reason: str = "", index: Any = 0, **more: Any) -> dict[str, Any]:
    return {
        "candidates": [candidate(*parts, reason=reason, index=index)],
        "usageMetadata": USAGE,
        "modelVersion": "m",
        "responseId": "r1",
        **more,
    }


def call(tool: Tool, **more: Any) -> dict[str, Any]:
    return {"functionCall": {"name": tool.name, "args": tool.input, **more}}


def opening() -> list[Item]:
    return [chunk({"text": "Let me"}), chunk({"text": " look."})]


def around(tool: Tool, items: Sequence[Item]) -> list[Item]:
    return [*opening(), *items, chunk({"text": ""}, reason="STOP")]


def written(name: str, arguments: str, reason: str = "") -> bytes:
    raw = dumps(chunk({"functionCall": {"name": name, "args": "ARGS"}}, reason=reason))
    return raw.replace(b'"ARGS"', arguments.encode("utf-8", "surrogatepass"))


def in_stream(name: str, arguments: str) -> list[Item]:
    return [written(name, arguments)]


def whole_call(name: str, arguments: str) -> bytes:
    return written(name, arguments, "STOP")


def starts(name: str, **more: Any) -> dict[str, Any]:
    return chunk({"functionCall": {"name": name, "willContinue": True, **more}})


def grows(tool: Tool, *, more: bool = True, path: str = "$.canary_arg", **call: Any) -> dict[str, Any]:
    argument = {"jsonPath": path, "stringValue": tool.value}
    return chunk(
        {"functionCall": {"partialArgs": [argument], **({"willContinue": True} if more else {}), **call}}
    )


ENDS = chunk({"functionCall": {}})
TORN: dict[str, Any] = {"denied": UNJUDGED, "twin": UNJUDGED}


def snake(tool: Tool) -> dict[str, Any]:
    return {"function_call": {"name": tool.name, "args": tool.input}}


def events(items: Sequence[Item]) -> list[bytes]:
    return plain_sse(items, b"\r\n")


def frames(tool: Tool) -> list[bytes]:
    return events(around(tool, [chunk(call(tool))]))


def whole_bytes(tool: Tool) -> bytes:
    return whole_call(tool.name, tool.arguments)


def tagged(tool: Tool) -> str:
    return f'<tool_call>{{"name": "{tool.name}", "arguments": {tool.arguments}}}</tool_call>'


def body(*parts: Any, reason: str = "STOP", **more: Any) -> dict[str, Any]:
    return chunk(*parts, reason=reason, **more)


def fill(writer: Writer) -> None:
    """Add the attacks on a stream, in either framing."""
    stream = writer.stream
    stream("01", "name cut by the network", lambda t: [chunk(call(t))])
    stream(
        "02",
        "a pair of surrogates in two pieces",
        lambda t: [
            starts(t.name),
            dumps(grows(Tool("", t.value + "HALF"))).replace(b"HALF", b"\\ud83d"),
            dumps(grows(Tool("", "HALF"))).replace(b"HALF", b"\\ude00"),
            ENDS,
        ],
        **TORN,
    )
    stream("02", "escapes", lambda t: [written(t.name, f'{{"canary_arg":"{t.value} \\ud83d\\ude00\\\\"}}')])
    stream("03", "two calls", lambda t: [chunk(call(TWIN)), chunk(call(t))])
    stream("03", "two calls in one chunk", lambda t: [chunk(call(TWIN), call(t))])
    stream(
        "04",
        "one candidate twice",
        lambda t: [chunk() | {"candidates": [candidate(call(TWIN)), candidate(call(t))]}],
        **TORN,
    )
    for variant, index in (("negative", -1), ("text", "x"), ("list", [0]), ("fraction", 0.5)):
        stream("05", f"index: {variant}", lambda t, index=index: [chunk(call(t), index=index)], **TORN)
    for variant, index in (("gap", 7), ("huge", 10**18), ("number as text", "0")):
        stream(
            "05",
            f"index: {variant}",
            lambda t, index=index: [chunk(call(t), index=index), chunk(reason="STOP", index=index)],
        )
    stream("06", "one id for two", lambda t: [chunk(call(TWIN, id="a")), chunk(call(t, id="a"))])
    stream(
        "07",
        "a name in an open call",
        lambda t: [starts(TWIN.name), starts(t.name), grows(t), ENDS],
        twin=UNJUDGED,
    )
    stream(
        "08",
        "name in every piece",
        lambda t: [starts(t.name), grows(t, name=t.name), chunk({"functionCall": {"name": t.name}})],
        **TORN,
    )
    stream("09", "empty name first", lambda t: [starts(""), grows(t, name=t.name, more=False)], twin=REFUSED)
    stream("09", "no name at all", lambda t: [grows(t), ENDS], **TORN)
    stream("19", "code that the provider ran", lambda t: [_code(t)], denied=PASSES)
    stream(
        "23",
        "args beside pieces",
        lambda t: [
            chunk(
                {
                    "functionCall": {
                        "name": t.name,
                        "args": {"canary_arg": "other"},
                        "partialArgs": [{"jsonPath": "$.canary_arg", "stringValue": t.value}],
                    }
                }
            )
        ],
        **TORN,
    )
    _odd(stream, lambda *parts, **more: [chunk(*parts, **more)])
    stream("25", "after the reason", lambda t: [chunk({"text": ""}, reason="STOP"), chunk(call(t))])
    stream(
        "25",
        "with the reason",
        lambda t: [*opening(), chunk(call(t), reason="MAX_TOKENS")],
        all_of_it=True,
    )
    stream("29", "pieces alone, closed", lambda t: [grows(t, more=False)], **TORN)
    stream(
        "31",
        "two calls in turns",
        lambda t: [
            starts(TWIN.name, id="a"),
            starts(t.name, id="b"),
            grows(TWIN, id="a"),
            grows(t, id="b"),
            chunk({"functionCall": {"id": "b"}}),
            chunk({"functionCall": {"id": "a"}}),
        ],
    )
    stream("31", "never finished", lambda t: [starts(t.name), grows(t)])
    stream(
        "31",
        "two, never finished",
        lambda t: [starts(TWIN.name), grows(TWIN), starts(t.name), grows(t)],
        twin=UNJUDGED,
    )
    stream(
        "31",
        "in letters",
        lambda t: [
            starts(t.name),
            *(
                chunk(
                    {
                        "functionCall": {
                            "partialArgs": [
                                {"jsonPath": "$.canary_arg", "stringValue": letter, "willContinue": True}
                            ],
                            "willContinue": True,
                        }
                    }
                )
                for letter in t.value
            ),
            ENDS,
        ],
    )
    stream("31", "one path twice", lambda t: [starts(t.name), grows(Tool("", "x")), grows(t), ENDS], **TORN)
    stream("54", "in tags", lambda t: [chunk({"text": tagged(t)})], denied=PASSES)


def _code(tool: Tool) -> dict[str, Any]:
    return chunk(
        {"executableCode": {"language": "PYTHON", "code": f"print('{tool.value}')"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": tool.value}},
    )


def _odd(add: Callable[..., None], make: Callable[..., Any]) -> None:
    """Parts that hold a call in some other way, streamed or not."""
    add("30", "snake case", lambda t: make(snake(t)))
    add(
        "30",
        "both, and different",
        lambda t: make({**call(TWIN), **snake(t)}),
        denied=UNJUDGED,
        twin=UNJUDGED,
    )
    add("30", "a case of its own", lambda t: make({"FunctionCall": call(t)["functionCall"]}), **TORN)
    add("32", "a call that is a thought", lambda t: make({**call(t), "thought": True}))
    add("32", "a call beside text", lambda t: make({**call(t), "text": "a"}))
    add(
        "32",
        "a call beside code",
        lambda t: make({**call(t), "executableCode": {"language": "PYTHON", "code": "1"}}),
    )
    add(
        "32",
        "a call in a result of code",
        lambda t: make({"codeExecutionResult": {"output": "", **call(t)}}),
        **TORN,
    )
    add("24", "unknown part", lambda t: make({"agentCall": {"name": t.name, "args": t.input}}), **TORN)
    add("24", "unknown member of a chunk", lambda t: make({"text": "a"}, action=call(t)), **TORN)
    add("24", "unknown member of a call", lambda t: make(call(t, then={"name": t.name})), **TORN)


EVENTS = Writer("gemini", events, around)
GEMINI = EVENTS.table
ARRAY = Writer("gemini_array", array, around)
GEMINI_ARRAY = ARRAY.table

for writer in (EVENTS, ARRAY):
    fill(writer)
    add_content(writer, in_stream, whole_call, object_ways=["stream", "whole"])
    writer.stream(
        "33",
        "in the second candidate",
        lambda t: [
            chunk() | {"candidates": [candidate({"text": "a"}), candidate(call(t), index=1)]},
            chunk(reason="STOP", index=1),
        ],
    )
    add_sizes(
        writer,
        in_stream,
        whole_call,
        lambda tools: [chunk(call(tool)) for tool in tools],
        lambda tools: body(*(call(tool) for tool in tools)),
        ways=("stream", "whole") if writer is EVENTS else ("stream",),
    )
whole = EVENTS.whole
whole("01", "name cut by the network", lambda t: whole_call(t.name, t.arguments))
whole("02", "escapes", lambda t: written(t.name, f'{{"canary_arg":"{t.value} \\ud83d\\ude00\\\\"}}', "STOP"))
whole("03", "two calls", lambda t: body(call(TWIN), call(t)))
whole(
    "04",
    "one candidate twice",
    lambda t: (
        body() | {"candidates": [candidate(call(TWIN), reason="STOP"), candidate(call(t), reason="STOP")]}
    ),
    **TORN,
)
for variant, index in (("negative", -1), ("text", "x"), ("list", [0])):
    whole("05", f"index: {variant}", lambda t, index=index: body(call(t), index=index), **TORN)
whole("06", "one id for two", lambda t: body(call(TWIN, id="a"), call(t, id="a")))
whole(
    "19",
    "code that the provider ran",
    lambda t: {**_code(t), **body(*_code(t)["candidates"][0]["content"]["parts"])},
    denied=PASSES,
)
_odd(whole, body)
whole("26", "a second document", lambda t: dumps(body({"text": "a"})) + whole_bytes(t), **TORN)
whole(
    "33",
    "in the second candidate",
    lambda t: (
        body()
        | {
            "candidates": [
                candidate({"text": "a"}, reason="STOP"),
                candidate(call(t), index=1, reason="STOP"),
            ]
        }
    ),
)
whole("54", "in tags", lambda t: body({"text": tagged(t)}), denied=PASSES)
GEMINI_ARRAY.add(
    Attack(
        "31",
        "cut off by the end",
        "",
        stream=True,
        build=lambda t: array([*opening(), starts(t.name), grows(t)])[:-1],
        denied=BROKEN,
        twin=BROKEN,
    )
)
EVENTS.stream(
    "31",
    "cut off by the end",
    lambda t: [*opening(), starts(t.name), grows(t)],
    all_of_it=True,
    denied=BROKEN,
    twin=BROKEN,
)
GEMINI_ARRAY.add(
    Attack(
        "26",
        "behind the array",
        "",
        stream=True,
        build=lambda t: [
            *array([*opening(), chunk({"text": ""}, reason="STOP")]),
            b",\n" + dumps(chunk(call(t))) + b"]",
        ],
        denied=STOPPED,
        twin=STOPPED,
    )
)
add_framing(
    GEMINI,
    frames,
    whole_bytes,
    otherwise={
        "a whole answer labelled as a stream": (REFUSED, REFRAMED),
        "whole labelled wrong": (REFUSED, REFRAMED),
    },
    # google-genai fails on anything but plain data lines.
    unread=(
        "a call in a comment",
        "data without a space",
        "a comment between events",
        "a comment in each event",
        "named error",
    ),
    quiet=events([*opening(), chunk({"text": ""}, reason="STOP")]),
    keys=("candidates", "content", "parts", "functionCall", "name", "args"),
)
add_framing(
    GEMINI_ARRAY,
    lambda t: array(around(t, [chunk(call(t))])),
    whole_bytes,
    quiet=(),
    otherwise=dict.fromkeys(("labelled wrong", "labelled as text", "without a label"), (REFUSED, PASSES)),
    keys=("candidates", "content", "parts", "functionCall", "name", "args"),
    sse=False,
)
# The array is a way to stream: a whole answer is the same for both.
GEMINI_ARRAY.attacks[:] = [attack for attack in GEMINI_ARRAY.attacks if attack.stream]
for table in (GEMINI, GEMINI_ARRAY):
    table.cannot("17 18 20 21 22", "a part holds a call in one way; of candidates there is 33")
    table.cannot("27 28", "nothing repeats the answer at its end")
GEMINI.cannot("26", "no event ends a stream; what follows the reason for the end is 25", ways=["stream"])
GEMINI.cannot("07 08 09 23 25 29 31", "a whole answer says a call once, and all of it", ways=["whole"])
GEMINI_ARRAY.cannot("37 38", "a JSON array has no events", ways=["stream"])
GEMINI.cannot("37 38", "a whole answer has no events", ways=["whole"])
