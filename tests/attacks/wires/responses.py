"""Attacks in the format of OpenAI's Responses API."""

from collections.abc import Sequence
from typing import Any

from tests.attacks.model import PASSES, REFRAMED, REFUSED, STOPPED, TWIN, UNJUDGED, Item, Raw, Tool
from tests.attacks.wires.content import add_content
from tests.attacks.wires.framing import add_framing
from tests.attacks.wires.payloads import Writer, dumps
from tests.attacks.wires.responses_payloads import (
    added,
    arguments_done,
    around,
    body,
    completed,
    custom,
    delta,
    done,
    in_stream,
    item,
    message,
    numbered,
    opening,
    pieces,
    response,
    whole_call,
)
from tests.attacks.wires.sizes import add_sizes

WRITER = Writer("responses", numbered, around)
RESPONSES = WRITER.table
stream, whole = WRITER.stream, WRITER.whole
TORN: dict[str, Any] = {"denied": UNJUDGED, "twin": UNJUDGED}

stream("01", "name cut by the network", lambda t: in_stream(t.name, t.arguments))
whole("01", "name cut by the network", lambda t: whole_call(t.name, t.arguments))
for cut in range(14, 40, 4):
    stream(
        "02",
        f"cut at {cut}, in escapes",
        lambda t, cut=cut: [
            added(item(t, arguments="")),
            delta(_emoji(t)[:cut]),
            delta(_emoji(t)[cut:]),
            done(item(t, arguments=_emoji(t))),
            completed(item(t, arguments=_emoji(t))),
        ],
        live=cut == 14,
    )
stream(
    "02",
    "a pair of surrogates in two deltas",
    lambda t: [
        added(item(t, arguments="")),
        delta('{"canary_arg":"' + t.value),
        dumps(delta("HALF")).replace(b"HALF", b"\\ud83d"),
        dumps(delta("HALF")).replace(b"HALF", b"\\ude00"),
        delta('"}'),
        completed(item(t)),
    ],
    **TORN,
)
whole("02", "escapes", lambda t: body(item(t, arguments=_emoji(t))))


def _emoji(tool: Tool) -> str:
    return f'{{"canary_arg":"{tool.value} \\ud83d\\ude00\\\\\\"\\u0041"}}'


def _two(first: Tool, second: Tool) -> tuple[dict[str, Any], dict[str, Any]]:
    return item(first), item(second, 2)


stream(
    "03",
    "two calls in turns",
    lambda t: [
        added(item(TWIN, arguments="")),
        added(item(t, 2, arguments=""), 2),
        delta(t.arguments, 2, "fc_2"),
        delta(TWIN.arguments),
        done(item(t, 2), 2),
        done(item(TWIN)),
        completed(*_two(TWIN, t)),
    ],
)
whole("03", "two calls", lambda t: body(*_two(TWIN, t)))
stream(
    "04",
    "a second item with the index of the first",
    lambda t: [*pieces(item(TWIN)), *pieces(item(t, 2), 1, "fc_2"), completed(*_two(TWIN, t))],
    **TORN,
)
whole("04", "two items with one id", lambda t: body(item(TWIN), item(t)), **{**TORN, "twin": PASSES})
for variant, index in (("gap", 7), ("negative", -1), ("huge", 10**30), ("text", "1"), ("list", [1])):
    stream(
        "05",
        f"index: {variant}",
        lambda t, index=index: [*pieces(item(t), index), completed(item(t))],
    )
stream(
    "05",
    "two without an index",
    lambda t: [*pieces(item(TWIN), None), *pieces(item(t, 2), None, "fc_2"), completed(*_two(TWIN, t))],
)
stream(
    "06",
    "one call id for two",
    lambda t: [
        *pieces(item(TWIN)),
        *pieces(item(t, 2, call_id="call_1"), 2, "fc_2"),
        completed(item(TWIN), item(t, 2, call_id="call_1")),
    ],
    **TORN,
)
# Of an allowed tool it is the same call once more.
whole(
    "06",
    "one call id for two",
    lambda t: body(item(TWIN, arguments=t.arguments), item(t, 2, call_id="call_1")),
    denied=UNJUDGED,
    twin=PASSES,
)
stream(
    "07",
    "another name behind the arguments",
    lambda t: [
        added(item(TWIN, arguments="")),
        delta(t.arguments),
        arguments_done(t),
        done(item(t)),
        completed(item(t)),
    ],
    denied=UNJUDGED,
)
stream(
    "07",
    "half a name first",
    lambda t: [
        added(item(t, arguments="", name=t.name[:6])),
        delta(t.arguments),
        done(item(t)),
        completed(item(t)),
    ],
    **TORN,
)
stream("08", "name in every event", lambda t: [*pieces(item(t)), *pieces(item(t))[-1:], completed(item(t))])
stream(
    "09",
    "empty name first",
    lambda t: [added(item(t, arguments="", name="")), delta(t.arguments), done(item(t)), completed(item(t))],
)
stream(
    "09",
    "no name but in the last event",
    lambda t: [
        added({key: value for key, value in item(t, arguments="").items() if key != "name"}),
        delta(t.arguments),
        completed(item(t)),
    ],
)
add_content(WRITER, in_stream, whole_call)
stream(
    "18",
    "in pieces",
    lambda t: [
        added(custom(t, "")),
        *(
            {**delta(part, 1, "ctc_1"), "type": "response.custom_tool_call_input.delta"}
            for part in (t.value[:3], t.value[3:])
        ),
        done(custom(t, t.value)),
        completed(custom(t, t.value)),
    ],
)
stream("18", "at once", lambda t: [done(custom(t, t.value)), completed(custom(t, t.value))])
stream(
    "18",
    "said twice, differently",
    lambda t: [
        added(custom(t, "")),
        {**delta("other", 1, "ctc_1"), "type": "response.custom_tool_call_input.delta"},
        done(custom(t, t.value)),
        completed(custom(t, t.value)),
    ],
    **TORN,
)
whole("18", "alone", lambda t: body(custom(t, f"text {t.value}")))

# Tools of the vendor that the client runs: their names are fixed, so no policy allows a twin.
_OWN: dict[str, Any] = {
    "shell": lambda t: {
        "type": "shell_call",
        "id": "sh_1",
        "call_id": "call_1",
        "status": "completed",
        "action": {"commands": [f"echo {t.value}"], "timeout_ms": None},
    },
    "local shell": lambda t: {
        "type": "local_shell_call",
        "id": "ls_1",
        "call_id": "call_1",
        "status": "completed",
        "action": {"type": "exec", "command": ["echo", t.value], "env": {}},
    },
    "patch": lambda t: {
        "type": "apply_patch_call",
        "id": "ap_1",
        "call_id": "call_1",
        "status": "completed",
        "operation": {"type": "create_file", "path": "x", "diff": f"+{t.value}"},
    },
    "computer": lambda t: {
        "type": "computer_call",
        "id": "cc_1",
        "call_id": "call_1",
        "status": "completed",
        "pending_safety_checks": [],
        "action": {"type": "type", "text": t.value},
    },
}
for variant, own in _OWN.items():
    more: dict[str, Any] = {"twin": None}
    stream("19", variant, lambda t, own=own: [added(own(t)), done(own(t)), completed(own(t))], **more)
    whole("19", variant, lambda t, own=own: body(own(t)), **more)


def approval(tool: Tool) -> dict[str, Any]:
    said = {"server_label": "s", "name": tool.name, "arguments": tool.arguments}
    return {"type": "mcp_approval_request", "id": "mcpr_1", **said}


# It is judged under its server's names too, which only their own policies allow.
more = {"twin": {"list": REFUSED, "untrusted": REFUSED, "": PASSES}}
stream(
    "19",
    "an approval of a remote tool",
    lambda t: [added(approval(t)), done(approval(t)), completed(approval(t))],
    **more,
)
whole("19", "an approval of a remote tool", lambda t: body(approval(t)), **more)
stream(
    "22",
    "in the event that begins the response",
    lambda t: [
        {"type": "response.created", "response": response("in_progress", [item(t)])},
        {"type": "response.completed", "response": response("completed", [item(t)])},
    ],
    all_of_it=True,
)
stream(
    "23",
    "arguments with the announcement",
    lambda t: [added(item(t)), done(item(t)), completed(item(t))],
)
stream(
    "23",
    "other arguments with the announcement",
    lambda t: [
        added(item(t, arguments='{"canary_arg":"other"}')),
        delta(t.arguments),
        done(item(t)),
        completed(item(t)),
    ],
    **TORN,
)
for variant, odd in (
    ("item", lambda t: {**item(t), "type": "agent_task"}),
    (
        "part",
        lambda t: {**message(), "content": [{"type": "tool", "name": t.name, "arguments": t.arguments}]},
    ),
    ("item with a call inside", lambda t: {**message(), "extra": item(t)}),
):
    stream(
        "24",
        f"unknown {variant}",
        lambda t, odd=odd: [added(odd(t)), done(odd(t)), completed(odd(t))],
        **TORN,
    )
    whole("24", f"unknown {variant}", lambda t, odd=odd: body(odd(t)), **TORN)
stream(
    "24",
    "unknown event",
    lambda t: [
        {"type": "response.agent_call.created", "name": t.name, "arguments": t.arguments},
        completed(),
    ],
    **TORN,
)
stream(
    "26",
    "after response.completed",
    lambda t: [*opening(), completed(), *pieces(item(t)), completed(item(t))],
    all_of_it=True,
    denied=STOPPED,
    twin=STOPPED,
)
stream(
    "26",
    "after [DONE]",
    lambda t: [*opening(), completed(), Raw(b"data: [DONE]\n\n"), *pieces(item(t)), completed(item(t))],
    all_of_it=True,
    denied=STOPPED,
    twin=STOPPED,
)
whole("26", "a second document", lambda t: dumps(body()) + dumps(body(item(t))), **TORN)
for status in ("completed", "incomplete"):
    more = {"incomplete_details": {"reason": "max_output_tokens"}} if status == "incomplete" else {}
    stream(
        "27",
        f"only in response.{status}",
        lambda t, status=status, more=more: [completed(item(t), status=status, **more)],
    )
    whole(
        "27",
        f"in a response that is {status}",
        lambda t, status=status, more=more: body(item(t), status=status, **more),
    )
_FAILED = {"error": {"code": "server_error", "message": "no"}}
stream("27", "only in response.failed", lambda t: [completed(item(t), status="failed", **_FAILED)], **TORN)
whole("27", "in a response that has failed", lambda t: body(item(t), status="failed", **_FAILED), **TORN)
for variant, other in (
    ("another name", item),
    ("other arguments", lambda t: item(TWIN, arguments=t.arguments)),
    ("one call more", None),
):
    stream(
        "28",
        f"{variant} in the last event",
        lambda t, other=other: [
            *pieces(item(TWIN)),
            completed(other(t)) if other else completed(item(TWIN), item(t, 2)),
        ],
        denied=UNJUDGED if other else REFUSED,
        twin=PASSES,
    )
    if other:
        stream(
            "28",
            f"{variant} when the item is done",
            lambda t, other=other: [
                *pieces(item(TWIN))[:-1],
                done(other(t)),
                completed(item(TWIN)),
            ],
            denied=UNJUDGED,
        )
stream("29", "done without added", lambda t: [done(item(t)), completed(item(t))])
stream("29", "pieces without added", lambda t: [delta(t.arguments), done(item(t)), completed(item(t))])
stream("29", "done, and not in the last event", lambda t: [done(item(t)), completed()])
stream(
    "29",
    "pieces alone",
    lambda t: [delta(t.arguments), arguments_done(t), completed()],
)


def _says(text: str) -> list[Item]:
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    said = {"type": "response.output_text.delta", "delta": text, "logprobs": [], **where}
    return [*opening()[:3], said, done(message(text), 0), completed()]


def tagged(tool: Tool) -> str:
    return f'<tool_call>{{"name": "{tool.name}", "arguments": {tool.arguments}}}</tool_call>'


stream("54", "in tags", lambda t: _says(tagged(t)), all_of_it=True, denied=PASSES)
whole("54", "in tags", lambda t: response("completed", [message(tagged(t))]), denied=PASSES)


def frames(tool: Tool) -> list[bytes]:
    return numbered(around(tool, in_stream(tool.name, tool.arguments)))


def whole_bytes(tool: Tool) -> bytes:
    return dumps(whole_call(tool.name, tool.arguments))


add_framing(
    RESPONSES,
    frames,
    whole_bytes,
    quiet=numbered([*opening(), completed()]),
    keys=("output", "item", "name", "type", "arguments"),
)
for variant, renamed in (
    ("a call named as text", "response.output_text.delta"),
    ("a call named as keep-alive", "keepalive"),
):
    stream(
        "37",
        variant,
        lambda t, renamed=renamed: [
            *(
                Raw(frame.replace(b"event: " + _kind(frame), b"event: " + renamed.encode(), 1))
                for frame in frames(t)[7:]
            ),
        ],
        twin=REFRAMED,
    )


def _kind(frame: bytes) -> bytes:
    return frame.partition(b"\n")[0].removeprefix(b"event: ")


def _many(tools: Sequence[Tool]) -> list[Item]:
    items = [item(tool, number + 1) for number, tool in enumerate(tools)]
    return [*(done(one, number + 1) for number, one in enumerate(items)), completed(*items)]


add_sizes(
    WRITER,
    in_stream,
    whole_call,
    _many,
    lambda tools: body(*(item(tool, number + 1) for number, tool in enumerate(tools))),
    repeats=True,
)
RESPONSES.cannot("17", "function_call is chat's legacy member; here it is the usual item")
RESPONSES.cannot("20 33", "a response has no choices")
RESPONSES.cannot("21", "there is neither delta nor message as members; the event says which it is: 27, 37")
RESPONSES.cannot("25", "nothing says that the answer finishes but the last event: 26")
RESPONSES.cannot("30 31 32", "this is a trick of Gemini's parts")
RESPONSES.cannot(
    "05 07 08 09 23 28 29", "a whole answer has no indexes, and says a call once", ways=["whole"]
)
RESPONSES.cannot("22", "a whole answer is one document", ways=["whole"])
RESPONSES.cannot("37 38", "a whole answer has no events", ways=["whole"])
