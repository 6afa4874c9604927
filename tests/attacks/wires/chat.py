"""Attacks in OpenAI's chat format."""

from collections.abc import Sequence
from typing import Any

from tests.attacks.model import (
    CANARY,
    FAILED,
    PASSES,
    REFRAMED,
    REFUSED,
    STOPPED,
    TWIN,
    UNJUDGED,
    Expected,
    Item,
    Raw,
    Tool,
)
from tests.attacks.wires.content import add_content, escaped
from tests.attacks.wires.framing import add_framing
from tests.attacks.wires.payloads import Writer, dumps, plain_sse
from tests.attacks.wires.sizes import add_sizes, cut_up

HEAD: dict[str, Any] = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m"}
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
DONE = b"[DONE]"
JOINED: Expected = {"list": REFUSED, "untrusted": REFUSED, "": PASSES}
"""Of a twin whose name clients may read in several ways, all of which must be allowed."""


def chunk(delta: Any = None, reason: str | None = None, index: Any = 0, **more: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": {} if delta is None else delta, "finish_reason": reason}
    return {**HEAD, "choices": [choice], **more}


def call(
    tool: Tool, index: Any = 0, id_: str = "call_1", *, name: Any = None, arguments: Any = None, **more: Any
) -> dict[str, Any]:
    function = {
        "name": tool.name if name is None else name,
        "arguments": tool.arguments if arguments is None else arguments,
    }
    return {"index": index, "id": id_, "type": "function", "function": function, **more}


def calls(*some: Any, **more: Any) -> dict[str, Any]:
    return {"tool_calls": list(some), **more}


def piece(arguments: str, index: Any = 0, **function: Any) -> dict[str, Any]:
    return calls({"index": index, "function": {**function, "arguments": arguments}})


def opening(role: str = "assistant") -> list[Item]:
    return [chunk({"role": role, "content": ""}), chunk({"content": "Let me look."})]


def closing(reason: str = "tool_calls") -> list[Item]:
    return [chunk({}, reason), {**HEAD, "choices": [], "usage": USAGE}, DONE]


def around(tool: Tool, items: Sequence[Item]) -> list[Item]:
    return [*opening(), *items, *closing()]


def body(message: dict[str, Any], reason: str = "tool_calls", index: Any = 0, **more: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": None, "refusal": None} | message
    choice = {"index": index, "message": said, "finish_reason": reason}
    head = {**HEAD, "object": "chat.completion"}
    return {**head, "choices": [choice], "usage": USAGE, **more}


def in_whole(call: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in call.items() if key != "index"}


def pieces(*parts: str, tool: Tool) -> list[Item]:
    """A call whose arguments come in these pieces."""
    return [chunk(calls(call(tool, arguments=""))), *(chunk(piece(part)) for part in parts)]


def in_stream(name: str, arguments: str) -> list[Item]:
    return pieces(*cut_up(arguments), tool=Tool(name, ""))


def whole_call(name: str, arguments: str) -> dict[str, Any]:
    return body(calls(in_whole(call(Tool(name, ""), arguments=arguments))))


WRITER = Writer("chat", plain_sse, around)
CHAT = WRITER.table
stream, whole = WRITER.stream, WRITER.whole

whole("01", "name cut by the network", lambda t: whole_call(t.name, t.arguments))
for cut in range(1, len(CANARY.name)):
    stream(
        "01",
        f"name cut at {cut}",
        lambda t, cut=cut: [
            chunk(calls(call(t, name=t.name[:cut], arguments=""))),
            chunk(piece("", name=t.name[cut:])),
            chunk(piece(t.arguments)),
        ],
        twin=JOINED,
        live=cut in (1, 6),
    )
stream(
    "01",
    "name letter by letter",
    lambda t: [
        chunk(calls(call(t, name=t.name[0], arguments=""))),
        *(chunk(piece("", name=letter)) for letter in t.name[1:]),
        chunk(piece(t.arguments)),
    ],
    twin=JOINED,
)
for cut in range(len('{"canary_arg":"'), len('{"canary_arg":"') + 40, 3):
    stream(
        "02",
        f"cut at {cut}, in escapes",
        lambda t, cut=cut: pieces(escaped(t)[:cut], escaped(t)[cut:], tool=t),
        live=cut == 15,
    )
stream(
    "02",
    "a pair of surrogates in two deltas",
    lambda t: [
        *pieces(f'{{"canary_arg":"{t.value}', tool=t),
        dumps(chunk(piece("HALF"))).replace(b"HALF", b"\\ud83d"),
        dumps(chunk(piece("HALF"))).replace(b"HALF", b"\\ude00"),
        chunk(piece('"}')),
    ],
    denied=UNJUDGED,
    twin=UNJUDGED,
)
whole("02", "escapes", lambda t: body(calls(in_whole(call(t, arguments=escaped(t))))))
stream(
    "03",
    "two calls in turns",
    lambda t: [
        chunk(calls(call(TWIN, 0, "call_1", arguments=""))),
        chunk(calls(call(t, 1, "call_2", arguments=""))),
        chunk(piece('{"canary_arg":', 1)),
        chunk(piece('{"canary_arg":', 0)),
        chunk(piece(f'"{t.value}"}}', 1)),
        chunk(piece(f'"{TWIN.value}"}}', 0)),
    ],
)
stream("03", "two calls in one delta", lambda t: [chunk(calls(call(TWIN), call(t, 1, "call_2")))])
whole("03", "two calls", lambda t: body(calls(in_whole(call(TWIN)), in_whole(call(t, id_="call_2")))))
stream(
    "04",
    "a second call with the index of the first",
    lambda t: [chunk(calls(call(TWIN))), chunk(calls(call(t, 0, "call_2")))],
    twin=JOINED,
)
stream(
    "04",
    "before the first is complete",
    lambda t: [
        chunk(calls(call(TWIN, arguments='{"canary_arg":'))),
        chunk(calls(call(t, 0, "call_2"))),
        chunk(piece('"x"}')),
    ],
    denied=UNJUDGED,
    twin=UNJUDGED,
)
whole("04", "two calls with one index", lambda t: body(calls(call(TWIN), call(t))))
for variant, index, twin in (("gap", 5, PASSES), ("negative", -1, UNJUDGED), ("huge", 10**30, UNJUDGED)):
    stream(
        "05",
        f"{variant} index",
        lambda t, index=index: [chunk(calls(call(t, index)))],
        denied=twin if twin is UNJUDGED else REFUSED,
        twin=twin,
    )
for variant, index in (("text", "0"), ("fraction", 0.5), ("list", [0])):
    stream(
        "05",
        f"index as {variant}",
        lambda t, index=index: [chunk(calls(call(t, index)))],
        denied=UNJUDGED,
        twin=UNJUDGED,
    )
for variant, index, expected in (("negative", -1, UNJUDGED), ("as text", "0", UNJUDGED)):
    stream(
        "05",
        f"{variant} choice",
        lambda t, index=index: [chunk(calls(call(t)), index=index)],
        denied=expected,
        twin=expected,
    )
whole("05", "odd indexes", lambda t: body(calls(call(t, -1)), index=10**30))
stream(
    "06",
    "one id for two",
    lambda t: [chunk(calls(call(TWIN))), chunk(calls(call(t, 1, "call_1")))],
)
whole("06", "one id for two", lambda t: body(calls(in_whole(call(TWIN)), in_whole(call(t)))))
stream(
    "07",
    "name goes on behind the arguments",
    lambda t: [
        chunk(calls(call(t, name=t.name[:6], arguments=t.arguments[:4]))),
        chunk(piece(t.arguments[4:], name=t.name[6:])),
    ],
    twin=JOINED,
)
stream(
    "07",
    "another name behind the arguments",
    lambda t: [chunk(calls(call(TWIN, arguments=t.arguments))), chunk(piece("", name=t.name))],
    twin=JOINED,
)
stream(
    "08",
    "name in every delta",
    lambda t: [
        chunk(calls(call(t, arguments=""))),
        *(chunk(piece(part, name=t.name)) for part in (t.arguments[:5], t.arguments[5:])),
    ],
    twin=JOINED,
)
stream(
    "09",
    "empty name first",
    lambda t: [chunk(calls(call(t, name="", arguments=""))), chunk(piece(t.arguments, name=t.name))],
)
stream(
    "09",
    "name last",
    lambda t: [
        chunk(calls({"index": 0, "id": "call_1", "type": "function", "function": {"arguments": ""}})),
        chunk(piece(t.arguments)),
        chunk(piece("", name=t.name)),
    ],
)

add_content(WRITER, in_stream, whole_call)


def legacy(tool: Tool) -> dict[str, Any]:
    return {"function_call": {"name": tool.name, "arguments": tool.arguments}}


def custom(tool: Tool, text: str, index: int = 0) -> dict[str, Any]:
    return {"index": index, "id": "call_1", "type": "custom", "custom": {"name": tool.name, "input": text}}


stream("17", "at once", lambda t: [chunk(legacy(t))])
stream(
    "17",
    "in pieces",
    lambda t: [
        chunk({"function_call": {"name": t.name, "arguments": ""}}),
        chunk({"function_call": {"arguments": t.arguments[:7]}}),
        chunk({"function_call": {"arguments": t.arguments[7:]}}),
    ],
)
stream("17", "beside a call", lambda t: [chunk(calls(call(TWIN))), chunk(legacy(t), "function_call")])
whole("17", "alone", lambda t: body(legacy(t), "function_call"))
whole("17", "beside a call", lambda t: body({**calls(in_whole(call(TWIN))), **legacy(t)}))
stream("18", "at once", lambda t: [chunk(calls(custom(t, t.value)))])
stream(
    "18",
    "in pieces",
    lambda t: [
        chunk(calls(custom(t, f'"{t.value[:3]}'))),
        chunk(calls({"index": 0, "custom": {"input": t.value[3:]}})),
    ],
    denied={"argument": REFUSED, "": REFUSED},
)
stream(
    "18",
    "and a function at once",
    lambda t: [chunk(calls({**call(TWIN), "custom": {"name": t.name, "input": t.value}}))],
    denied=UNJUDGED,
    twin=UNJUDGED,
)
whole("18", "alone", lambda t: body(calls(in_whole(custom(t, f"{t.value} \u2028 text")))))
stream(
    "20",
    "call in choice 3",
    lambda t: [
        *(chunk({"role": "assistant", "content": "a"}, index=index) for index in range(4)),
        chunk(calls(call(t)), index=3),
        *(chunk({}, "stop", index=index) for index in range(3)),
        chunk({}, "tool_calls", index=3),
        DONE,
    ],
    all_of_it=True,
    request={"n": 4},
)
whole(
    "20",
    "call in choice 3",
    lambda t: body(
        {"content": "a"},
        "stop",
        choices=[
            *(
                {"index": index, "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}
                for index in range(3)
            ),
            {
                "index": 3,
                "message": {"role": "assistant", "content": None, **calls(in_whole(call(t)))},
                "finish_reason": "tool_calls",
            },
        ],
    ),
    request={"n": 4},
)


def message(tool: Tool, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **calls(call(tool))}, "finish_reason": None}
    return {**HEAD, "choices": [{**choice, **more}]}


stream("21", "in place of a delta", lambda t: [message(t)])
stream("21", "beside an empty delta", lambda t: [message(t, delta={})])
stream("21", "beside text", lambda t: [message(t, delta={"content": "a"})])
whole(
    "21",
    "delta in place of a message",
    lambda t: {**body({}), "choices": chunk(calls(call(t)), "tool_calls")["choices"]},
)
whole(
    "21",
    "delta beside a message",
    lambda t: {
        **body({}),
        "choices": [{**body({"content": "a"})["choices"][0], "delta": calls(call(t))}],
    },
)
stream(
    "23",
    "arguments with the name, and more behind",
    lambda t: [chunk(calls(call(t))), chunk(piece('{"canary_arg":"other"}'))],
    twin={"argument": REFUSED, "": PASSES},
)
for variant, odd in (
    (
        "kind of call",
        lambda t: calls({"index": 0, "id": "c", "type": "exec", "exec": {"name": t.name, "args": t.input}}),
    ),
    ("part", lambda t: {"content": [{"type": "tool", "name": t.name, "arguments": t.arguments}]}),
    ("member of a delta", lambda t: {"content": "a", "commands": [{"name": t.name, "input": t.input}]}),
    ("member in capitals", lambda t: {"content": "a", "Tool_Calls": [call(t)]}),
):
    stream("24", f"unknown {variant}", lambda t, odd=odd: [chunk(odd(t))], denied=UNJUDGED, twin=UNJUDGED)
    whole("24", f"unknown {variant}", lambda t, odd=odd: body(odd(t)), denied=UNJUDGED, twin=UNJUDGED)
stream(
    "24",
    "unknown member of a chunk",
    lambda t: [chunk({"content": "a"}, action={"name": t.name, "input": t.input})],
    denied=UNJUDGED,
    twin=UNJUDGED,
)
for variant, odd in (
    ("a function as a list", lambda t: calls({**call(t), "function": [call(t)["function"]]})),
    ("a name as a list", lambda t: calls(call(t, name=[t.name]))),
):
    stream("24", variant, lambda t, odd=odd: [chunk(odd(t))], denied=UNJUDGED, twin=UNJUDGED)
    whole("24", variant, lambda t, odd=odd: body(odd(t)), denied=UNJUDGED, twin=UNJUDGED)
for variant, odd in (
    ("calls as an object", lambda t: {"tool_calls": call(t)}),
    ("arguments as an object", lambda t: calls(call(t, arguments=t.input))),
    (
        "a call written flat",
        lambda t: calls({"index": 0, "id": "c", "name": t.name, "arguments": t.arguments}),
    ),
):
    stream("24", variant, lambda t, odd=odd: [chunk(odd(t))])
    whole("24", variant, lambda t, odd=odd: body(odd(t)))
stream(
    "24",
    "a call where only text was for long",
    lambda t: [
        *(chunk({"content": f"piece {number}"}) for number in range(20)),
        # Up to the call, and behind it, the same bytes as before.
        dumps(chunk({"content": "TEXT"})).replace(
            b'"TEXT"', b'"a","tool_calls":' + dumps([call(t)]) + b',"b":"c"'
        ),
        *(chunk({"content": f"piece {number}"}) for number in range(20)),
    ],
)
stream("25", "after stop", lambda t: [chunk({}, "stop"), chunk(calls(call(t)))])
stream("25", "with the finish", lambda t: [chunk(calls(call(t)), "stop")])
stream(
    "25",
    "after usage",
    lambda t: [chunk({}, "stop"), {**HEAD, "choices": [], "usage": USAGE}, chunk(calls(call(t)))],
)
for variant, done in (
    ("[DONE]", b"data: [DONE]\n\n"),
    ("[DONE] without a space", b"data:[DONE]\n\n"),
    ("[DONE] and a space", b"data: [DONE] \n\n"),
    ("[DONE]x", b"data: [DONE]x\n\n"),
):
    stream(
        "26",
        f"after {variant}",
        lambda t, done=done: [*opening(), chunk({}, "stop"), Raw(done), chunk(calls(call(t))), *closing()],
        all_of_it=True,
        denied=STOPPED if "x" not in variant and "and" not in variant else UNJUDGED,
        twin=STOPPED if "x" not in variant and "and" not in variant else UNJUDGED,
    )
whole(
    "26",
    "a second document",
    lambda t: dumps(body({"content": "a"}, "stop")) + whole_bytes(t),
    denied=UNJUDGED,
    twin=UNJUDGED,
)


def whole_bytes(tool: Tool) -> bytes:
    return dumps(whole_call(tool.name, tool.arguments))


stream(
    "28",
    "a message that says more than the deltas",
    lambda t: [chunk(calls(call(TWIN))), message(t, delta={})],
    denied=UNJUDGED,
)
stream(
    "29",
    "a piece without a beginning",
    lambda t: [chunk(piece(t.arguments)), chunk(calls(call(t, 1)))],
    twin=REFUSED,
)
stream(
    "54", "in tags", lambda t: [chunk({"content": tagged(t)}), chunk({"content": t.arguments})], denied=PASSES
)
whole("54", "in tags", lambda t: body({"content": tagged(t)}, "stop"), denied=PASSES)


def tagged(tool: Tool) -> str:
    return f'<tool_call>{{"name": "{tool.name}", "arguments": {tool.arguments}}}</tool_call>'


def stream_frames(tool: Tool) -> list[bytes]:
    return plain_sse(around(tool, in_stream(tool.name, tool.arguments)))


add_framing(
    CHAT,
    stream_frames,
    whole_bytes,
    otherwise={
        "a whole answer labelled as a stream": (REFUSED, REFRAMED),
        "whole labelled wrong": (REFUSED, REFRAMED),
        "named error": (FAILED, FAILED),
        # [DONE] with anything beside it is none.
        "an empty data line first": (UNJUDGED, UNJUDGED),
        "data and two spaces": (UNJUDGED, UNJUDGED),
    },
    quiet=plain_sse([*opening(), *closing("stop")]),
    keys=("choices", "delta", "message", "tool_calls", "function", "name"),
)
add_sizes(
    WRITER,
    in_stream,
    whole_call,
    lambda tools: [chunk(calls(call(tool, number, f"call_{number}"))) for number, tool in enumerate(tools)],
    lambda tools: body(
        calls(*(in_whole(call(tool, id_=f"call_{number}")) for number, tool in enumerate(tools)))
    ),
)
CHAT.cannot(
    "19", "the tools that OpenAI runs are on the Responses API; Groq's executed_tools have run already"
)
CHAT.cannot("22", "a stream has no event that begins a message")
CHAT.cannot("27", "nothing repeats the answer at its end")
CHAT.cannot("30 31 32", "this is a trick of Gemini's parts")
CHAT.cannot("33", "the second candidate is a choice here: 20")
CHAT.cannot("04 05 06 07 08 09".replace("04 05 06 ", ""), "a whole answer says a name once", ways=["whole"])
CHAT.cannot("23 25 28 29", "a whole answer says a call once, beside its finish", ways=["whole"])
CHAT.cannot("37 38", "a whole answer has no events", ways=["whole"])
