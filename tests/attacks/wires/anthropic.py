"""Attacks in the format of Anthropic's messages API."""

from collections.abc import Sequence
from typing import Any

from tests.attacks.model import PASSES, REFRAMED, REFUSED, STOPPED, TWIN, UNJUDGED, Item, Raw, Tool
from tests.attacks.wires.content import add_content
from tests.attacks.wires.framing import add_framing
from tests.attacks.wires.payloads import Writer, dumps, named_sse
from tests.attacks.wires.sizes import add_sizes, cut_up

USAGE = {"input_tokens": 11, "output_tokens": 7}


def message(content: Sequence[Any], reason: str | None = None) -> dict[str, Any]:
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": list(content)}
    return {**head, "stop_reason": reason, "stop_sequence": None, "usage": USAGE}


def block(tool: Tool, id_: str = "toolu_1", **more: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": id_, "name": tool.name, "input": {}, **more}


def begin(index: Any, content: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": content}


def grow(index: Any, text: str) -> dict[str, Any]:
    delta = {"type": "input_json_delta", "partial_json": text}
    return {"type": "content_block_delta", "index": index, "delta": delta}


def stop(index: Any) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def text(words: str = "Let me look.", index: int = 0) -> list[Item]:
    delta = {"type": "text_delta", "text": words}
    return [
        begin(index, {"type": "text", "text": ""}),
        {"type": "content_block_delta", "index": index, "delta": delta},
        stop(index),
    ]


START: dict[str, Any] = {"type": "message_start", "message": message([])}
STOP: dict[str, Any] = {"type": "message_stop"}


def reason(why: str = "tool_use") -> dict[str, Any]:
    delta = {"stop_reason": why, "stop_sequence": None}
    return {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 7}}


def opening() -> list[Item]:
    return [START, *text()]


def around(tool: Tool, items: Sequence[Item]) -> list[Item]:
    return [*opening(), *items, reason(), STOP]


def call(tool: Tool, index: Any = 1, id_: str = "toolu_1", **more: Any) -> list[Item]:
    """A call as it usually comes."""
    return [
        begin(index, block(tool, id_, **more)),
        grow(index, ""),
        *(grow(index, part) for part in cut_up(tool.arguments)),
        stop(index),
    ]


def in_stream(name: str, arguments: str) -> list[Item]:
    return [
        begin(1, block(Tool(name, ""))),
        *(grow(1, part) for part in ("", *cut_up(arguments))),
        stop(1),
    ]


def body(*content: Any, why: str = "tool_use") -> dict[str, Any]:
    return message([{"type": "text", "text": "Let me look."}, *content], why)


def whole_call(name: str, arguments: str) -> bytes:
    raw = dumps(body(block(Tool(name, ""), input="INPUT")))
    return raw.replace(b'"INPUT"', arguments.encode("utf-8", "surrogatepass"))


WRITER = Writer("anthropic", named_sse, around)
ANTHROPIC = WRITER.table
stream, whole = WRITER.stream, WRITER.whole
TORN: dict[str, Any] = {"denied": UNJUDGED, "twin": UNJUDGED}

stream("01", "name cut by the network", call)
whole("01", "name cut by the network", lambda t: whole_call(t.name, t.arguments))
for cut in range(14, 40, 4):
    stream(
        "02",
        f"cut at {cut}, in escapes",
        lambda t, cut=cut: [
            begin(1, block(t)),
            grow(1, _emoji(t)[:cut]),
            grow(1, _emoji(t)[cut:]),
            stop(1),
        ],
        live=cut == 14,
    )
stream(
    "02",
    "a pair of surrogates in two deltas",
    lambda t: [
        begin(1, block(t)),
        grow(1, '{"canary_arg":"' + t.value),
        dumps(grow(1, "HALF")).replace(b"HALF", b"\\ud83d"),
        dumps(grow(1, "HALF")).replace(b"HALF", b"\\ude00"),
        grow(1, '"}'),
        stop(1),
    ],
    **TORN,
)
whole("02", "escapes", lambda t: whole_call(t.name, _emoji(t)))


def _emoji(tool: Tool) -> str:
    return f'{{"canary_arg":"{tool.value} \\ud83d\\ude00\\\\\\"\\u0041"}}'


stream(
    "03",
    "two calls in turns",
    lambda t: [
        begin(1, block(TWIN)),
        begin(2, block(t, "toolu_2")),
        grow(2, t.arguments[:9]),
        grow(1, TWIN.arguments),
        grow(2, t.arguments[9:]),
        stop(2),
        stop(1),
    ],
)
stream("03", "two calls", lambda t: [*call(TWIN), *call(t, 2, "toolu_2")])
whole("03", "two calls", lambda t: body(block(TWIN, input=TWIN.input), block(t, "toolu_2", input=t.input)))
stream(
    "04",
    "a second block with the index of the first",
    lambda t: [*call(TWIN), *call(t, 1, "toolu_2")],
    **TORN,
)
stream(
    "04",
    "before the first has ended",
    lambda t: [begin(1, block(TWIN)), begin(1, block(t, "toolu_2")), grow(1, t.arguments), stop(1)],
    **TORN,
)
whole("04", "two blocks with one id", lambda t: body(block(TWIN, input=TWIN.input), block(t, input=t.input)))
for variant, index in (("gap", 7), ("negative", -1), ("huge", 10**30), ("text", "1"), ("none", None)):
    stream("05", f"index: {variant}", lambda t, index=index: call(t, index), **TORN)
stream("06", "one id for two", lambda t: [*call(TWIN), *call(t, 2)])
whole("06", "one id for two", lambda t: body(block(TWIN, input={}), block(t, input=t.input)))
stream(
    "09",
    "no name in the block, one in its delta",
    lambda t: [begin(1, {**block(t), "name": ""}), {**grow(1, t.arguments), "name": t.name}, stop(1)],
    **TORN,
)
add_content(WRITER, in_stream, whole_call, object_ways=["whole"])
stream(
    "16",
    "a member of a toolset",
    lambda t: call(Tool(t.name, t.value), toolset_name="server"),
    twin={"list": REFUSED, "untrusted": REFUSED, "": PASSES},
)
whole(
    "16",
    "a member of a toolset",
    lambda t: body(block(t, input=t.input, toolset_name="server")),
    twin={"list": REFUSED, "untrusted": REFUSED, "": PASSES},
)
for variant, kind in (("server_tool_use", "server_tool_use"), ("mcp_tool_use", "mcp_tool_use")):
    # It has run already: what may run is decided when it is asked for.
    stream("19", variant, lambda t, kind=kind: call(t, type=kind), denied=PASSES)
    whole("19", variant, lambda t, kind=kind: body(block(t, type=kind, input=t.input)), denied=PASSES)
stream(
    "19",
    "a call in one of the provider's",
    lambda t: [
        begin(1, block(TWIN, type="server_tool_use", extra=block(t, input=t.input))),
        grow(1, "{}"),
        stop(1),
    ],
    **TORN,
)
stream(
    "22",
    "alone",
    lambda t: [
        {"type": "message_start", "message": message([block(t, input=t.input)], "tool_use")},
        reason(),
        STOP,
    ],
    all_of_it=True,
)
stream(
    "22",
    "in a second one",
    lambda t: [
        *opening(),
        {"type": "message_start", "message": message([block(t, input=t.input)])},
        reason(),
        STOP,
    ],
    all_of_it=True,
    **TORN,
)
stream("23", "no deltas", lambda t: [begin(1, block(t, input=t.input)), stop(1)])
stream(
    "23",
    "the same again in deltas",
    lambda t: [begin(1, block(t, input=t.input)), grow(1, t.arguments), stop(1)],
)
stream(
    "23",
    "other deltas",
    lambda t: [begin(1, block(t, input={"canary_arg": "other"})), grow(1, t.arguments), stop(1)],
    **TORN,
)
for variant, odd in (
    ("block", lambda t: block(t, type="agent_tool", input=t.input)),
    ("block without a type", lambda t: {"name": t.name, "input": t.input}),
    ("member of a text", lambda t: {"type": "text", "text": "", "action": block(t, input=t.input)}),
):
    stream("24", f"unknown {variant}", lambda t, odd=odd: [begin(1, odd(t)), stop(1)], **TORN)
    whole("24", f"unknown {variant}", lambda t, odd=odd: body(odd(t)), **TORN)
stream("24", "unknown event", lambda t: [{**begin(1, block(t, input=t.input)), "type": "tool_start"}], **TORN)
stream("25", "after the reason", lambda t: [reason("end_turn"), *call(t)], **TORN)
stream(
    "25",
    "with the reason of a text",
    lambda t: [*opening(), *call(t), reason("end_turn"), STOP],
    all_of_it=True,
)
stream(
    "26",
    "after message_stop",
    lambda t: [*opening(), reason("end_turn"), STOP, *call(t), reason(), STOP],
    all_of_it=True,
    denied=STOPPED,
    twin=STOPPED,
)
stream(
    "26",
    "a second message",
    lambda t: [*opening(), reason("end_turn"), STOP, START, *call(t, 0), reason(), STOP],
    all_of_it=True,
    denied=STOPPED,
    twin=STOPPED,
)
whole(
    "26", "a second document", lambda t: dumps(body(why="end_turn")) + whole_call(t.name, t.arguments), **TORN
)
stream("29", "pieces without a block", lambda t: [grow(1, t.arguments), stop(1)], **TORN)
stream("29", "a block that nobody closes", lambda t: [begin(1, block(t)), grow(1, t.arguments)], **TORN)


def tagged(tool: Tool) -> str:
    return f'<tool_call>{{"name": "{tool.name}", "arguments": {tool.arguments}}}</tool_call>'


stream(
    "54",
    "in tags",
    lambda t: [START, *text(tagged(t)), reason("end_turn"), STOP],
    all_of_it=True,
    denied=PASSES,
)
whole("54", "in tags", lambda t: message([{"type": "text", "text": tagged(t)}], "end_turn"), denied=PASSES)


def frames(tool: Tool) -> list[bytes]:
    return named_sse(around(tool, call(tool)))


def whole_bytes(tool: Tool) -> bytes:
    return whole_call(tool.name, tool.arguments)


add_framing(
    ANTHROPIC,
    frames,
    whole_bytes,
    otherwise={"named error": (UNJUDGED, UNJUDGED)},
    quiet=named_sse([*opening(), reason("end_turn"), STOP]),
    keys=("content_block", "content", "name", "type", "input"),
)


def _named(kind: str) -> Any:
    return lambda t: [
        Raw(frame.replace(frame.partition(b"\n")[0], b"event: " + kind.encode(), 1))
        for frame in frames(t)[4:-2]
    ]


for kind in ("ping", "message_delta", "content_block_delta", "foo"):
    stream("37", f"a call named {kind}", _named(kind), twin=REFRAMED)
stream(
    "37",
    "a call without a name",
    lambda t: [Raw(b"data: " + frame.partition(b"data: ")[2]) for frame in frames(t)[4:-2]],
    twin=REFRAMED,
)
stream(
    "37",
    "a ping named as a call",
    lambda t: [
        Raw(frame.replace(b'"type":"content_block_start"', b'"type":"ping"')) for frame in frames(t)[4:-2]
    ],
    **TORN,
)
add_sizes(
    WRITER,
    in_stream,
    whole_call,
    lambda tools: [
        event
        for number, tool in enumerate(tools)
        for event in (begin(number + 1, block(tool, f"toolu_{number}", input=tool.input)), stop(number + 1))
    ],
    lambda tools: body(
        *(block(tool, f"toolu_{number}", input=tool.input) for number, tool in enumerate(tools))
    ),
)
ANTHROPIC.cannot("07 08", "a block says its name once, and no client reads one anywhere else")
ANTHROPIC.cannot("17 18", "there are neither legacy calls nor free text for tools")
ANTHROPIC.cannot("20 33", "a message has no choices")
ANTHROPIC.cannot("21", "message and delta are events of their own: 22")
ANTHROPIC.cannot("27 28", "nothing repeats the answer at its end; what repeats a call's beginning is 23")
ANTHROPIC.cannot("30 31 32", "this is a trick of Gemini's parts")
ANTHROPIC.cannot("05 09 22 23 25 29", "a whole answer has no indexes, and says a call once", ways=["whole"])
ANTHROPIC.cannot("37 38", "a whole answer has no events", ways=["whole"])
