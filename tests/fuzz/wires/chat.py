"""OpenAI's chat completions."""

from typing import Any

from tests.fuzz.documents import beside, objects, tree
from tests.fuzz.framing import DONE, Event, Literal
from tests.fuzz.source import Source
from tests.fuzz.wires.wire import Pair, Wire
from tests.fuzz.words import CANARY, SAFE, Called

_HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
_USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


def _chunk(delta: dict[str, Any], reason: str | None = None, index: int = 0, place: str = "delta") -> Event:
    choice = {"index": index, place: delta, "finish_reason": reason}
    return Event(tree({**_HEAD, "choices": [choice]}))


def _tool(called: Called) -> dict[str, Any]:
    return {
        "id": called.id,
        "type": "function",
        "function": {"name": called.name, "arguments": called.arguments},
    }


def _as_usual(called: Called, index: int, choice: int) -> list[Event]:
    function = {"name": called.name, "arguments": ""}
    first = {"index": index, "id": called.id, "type": "function", "function": function}
    rest = {"index": index, "function": {"arguments": called.arguments}}
    return [_chunk({"tool_calls": [each]}, index=choice) for each in (first, rest)]


def _in_pieces(source: Source, called: Called, index: int, choice: int) -> list[Event]:
    names = source.split(called.name) if source.chance(30) else [called.name]
    pieces = source.split(called.arguments)
    count = max(len(names), len(pieces))
    late = source.below(2) if source.chance(20) else 0
    names = [""] * late + names + [""] * count
    pieces += [""] * (count + late)
    always = source.chance(12)
    indexed = not source.chance(12)
    events = []
    for number in range(count + late):
        function: dict[str, Any] = {}
        name = called.name if always else names[number]
        if name or (number == 0 and source.chance(10)):
            function["name"] = name
        if pieces[number] or number == 0:
            function["arguments"] = pieces[number]
        call: dict[str, Any] = {"index": index} if indexed else {}
        if number == 0 or source.chance(15):
            call |= {"id": called.id, "type": "function"}
        events.append(_chunk({"tool_calls": [{**call, "function": function}]}, index=choice))
    return events


def _oddly(source: Source, called: Called, index: int, choice: int) -> list[Event]:
    way = source.below(7)
    if way == 0:
        return [_chunk({"tool_calls": [{"index": index, **_tool(called)}]}, index=choice)]
    if way == 1:
        return [_chunk({"function_call": {"name": called.name, "arguments": called.arguments}}, index=choice)]
    if way == 2:
        pieces = source.split(called.arguments, 2)
        first = _chunk({"function_call": {"name": called.name, "arguments": pieces[0]}}, index=choice)
        return [
            first,
            *(_chunk({"function_call": {"arguments": piece}}, index=choice) for piece in pieces[1:]),
        ]
    if way == 3:
        message = {"role": "assistant", "content": None, "tool_calls": [_tool(called)]}
        return [_chunk(message, index=choice, place="message")]
    if way == 4:
        custom = {"index": index, "id": called.id, "type": "custom"}
        custom["custom"] = {"name": called.name, "input": called.arguments}
        return [_chunk({"tool_calls": [custom]}, index=choice)]
    if way == 5:
        flat = {"index": index, "id": called.id, "name": called.name, "arguments": called.arguments}
        return [_chunk({"tool_calls": [flat]}, index=choice)]
    usual = _as_usual(called, index, choice)
    message = {"role": "assistant", "tool_calls": [_tool(called)]}
    return [*usual, _chunk(message, index=choice, place="message")]


def _trick(source: Source, good: Called, bad: Called, index: int) -> list[Event]:
    """Return a call behind which another one hides."""
    way = source.pick((*range(16), 0, 10, 14, 10))
    first, rest = _as_usual(good, index, 0)
    if way == 0:
        names = [good.name, bad.name] if source.chance(50) else [bad.name, good.name]
        call = {"index": index, "id": good.id, "type": "function"}
        renamed = [
            _chunk({"tool_calls": [{**call, "function": {"name": name, "arguments": ""}}]}) for name in names
        ]
        return [*renamed, rest]
    if way == 1:
        return [*_as_usual(good, index, 0), *_as_usual(bad, index, 0)]
    if way == 2:
        whole = ({"index": index, **_tool(good)}, {"index": index, **_tool(bad)})
        return [_chunk({"tool_calls": [each]}) for each in whole]
    if way == 3:
        return [_chunk({"tool_calls": [{"index": index, **_tool(good)}, _tool(bad)]})]
    if way == 4:
        message = {"role": "assistant", "tool_calls": [_tool(bad)]}
        choice = tree(
            {"index": 0, "delta": {"tool_calls": [{"index": index, **_tool(good)}]}, "message": message}
        )
        return [Event(tree({**_HEAD, "choices": [choice]}))]
    if way == 5:
        return [first, rest, _chunk({"role": "assistant", "tool_calls": [_tool(bad)]}, place="message")]
    if way == 6:
        return [_chunk({"content": "Hm.", "function_call": {"name": bad.name, "arguments": bad.arguments}})]
    if way == 7:
        both = {**_tool(good), "index": index, "custom": {"name": bad.name, "input": bad.arguments}}
        return [_chunk({"tool_calls": [both]})]
    if way == 8:
        more = {"index": index, "function": {"arguments": bad.arguments}}
        return [first, rest, _chunk({"tool_calls": [more]})]
    if way == 9:
        return [first, *_as_usual(bad, index + 1, 0), rest]
    if way == 10:
        start, end = bad.name[: len(bad.name) // 2], bad.name[len(bad.name) // 2 :]
        halves = (good._replace(id="call_7", name=start, arguments="{}"), bad._replace(name=end))
        return [_chunk({"tool_calls": [{"index": index, **_tool(half)}]}) for half in halves]
    if way == 11:
        wrapped = []
        for id_, name, piece in (
            (good.id, good.name, '{"a":'),
            (bad.id, bad.name, bad.arguments),
            (good.id, "", "}"),
        ):
            function = {"name": name, "arguments": piece} if name else {"arguments": piece}
            wrapped.append(_chunk({"tool_calls": [{"index": index, "id": id_, "function": function}]}))
        return wrapped
    if way >= 14:
        told = {"name": bad.name, "arguments": bad.arguments, "function": _tool(bad)["function"]}
        call = tree({"index": index, **_tool(good)})
        beside(source, source.pick(objects(call)[:2]), told)
        return [_chunk({"tool_calls": [call]})]
    if way == 12:
        nameless = {
            "id": bad.id,
            "type": "function",
            "function": {"name": bad.name, "arguments": bad.arguments},
        }
        return [first, _chunk({"tool_calls": [nameless]}), rest]
    return [first, rest, _chunk({}, "tool_calls"), *_as_usual(bad, index + 1, 0)]


def _stream(source: Source, calls: list[Called], odd: bool, trick: Pair | None = None) -> list[Event]:
    events = [_chunk({"role": "assistant", "content": ""})]
    if source.chance(50):
        events += [_chunk({"content": "Let "}), _chunk({"content": "me see."})]
    rows: list[list[Event]] = []
    for number, called in enumerate(calls):
        if not odd:
            events += _as_usual(called, number, 0)
            continue
        index = number if source.chance(75) else source.below(4)
        choice = 0 if source.chance(85) else 1
        made = (
            _in_pieces(source, called, index, choice)
            if source.chance(65)
            else _oddly(source, called, index, choice)
        )
        if source.chance(60) or not rows:
            rows.append(made)
        else:
            at = source.below(len(rows[-1]) + 1)
            rows[-1][at:at] = made  # interleaved
    for row in rows:
        events += row
        if odd and source.chance(20):
            events.append(_chunk({"content": " Well."}))
    if trick:
        events += _trick(source, *trick, len(calls))
    events.append(_chunk({}, "tool_calls" if calls or trick else "stop"))
    if source.chance(30):
        events.append(Event(tree({**_HEAD, "choices": [], "usage": _USAGE})))
    return [*events, DONE]


def _whole(source: Source, calls: list[Called], odd: bool) -> Any:
    message: dict[str, Any] = {"role": "assistant", "content": None if calls else "Hi."}
    tools: list[Any] = []
    for number, called in enumerate(calls):
        way = source.below(5) if odd else 0
        if way == 1:
            message["function_call"] = {"name": called.name, "arguments": called.arguments}
        elif way == 2:
            custom = {"name": called.name, "input": called.arguments}
            tools.append({"id": called.id, "type": "custom", "custom": custom})
        elif way == 3:
            tools.append({"index": number, **_tool(called)})
        else:
            tools.append(_tool(called))
    if tools:
        message["tool_calls"] = tools
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
    choices = [choice]
    if odd and source.chance(20):
        said = {"index": 1, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}
        choices.insert(source.below(2), said)
    return tree({**_HEAD, "object": "chat.completion", "choices": choices, "usage": _USAGE})


def _extras(called: Called) -> list[tuple[str, Any]]:
    tool = {"index": 0, **_tool(called)}
    function = tool["function"]
    pairs = [
        ("tool_calls", [tool]),
        ("Tool_Calls", [tool]),
        ("toolCalls", [tool]),
        ("function_call", function),
        ("functionCall", function),
        ("message", {"role": "assistant", "tool_calls": [tool]}),
        ("delta", {"tool_calls": [tool]}),
        ("choices", [{"index": 0, "delta": {"tool_calls": [tool]}, "finish_reason": None}]),
        ("function", function),
        ("custom", {"name": called.name, "input": called.arguments}),
        ("x_calls", [function]),
        ("name", called.name),
        ("arguments", called.arguments),
        ("index", 1),
        ("id", "call_1"),
        ("error", {"message": "Sorry."}),
        ("usage", _USAGE),
    ]
    return [(key, tree(value)) for key, value in pairs]


def _events(source: Source, called: Called) -> list[Event]:
    return source.pick(
        (
            _as_usual(called, 0, 0),
            [_chunk({"content": "More."})],
            [DONE],
            [Event(Literal(" [DONE]"))],
            [Event(Literal("[DONE]x"))],
            [_chunk({}, "stop")],
            [Event(tree({"error": {"message": "Sorry.", "type": "server_error"}}))],
            [Event(tree({"error": {"message": "Sorry."}}), "error")],
            [Event(tree({"type": "new", "name": called.name, "arguments": called.arguments}))],
            [Event(tree([_tool(called)]))],
            [Event(Literal(""))],
            [Event(tree({**_HEAD, "choices": [], "usage": _USAGE}))],
            _in_pieces(source, called, source.below(3), 0),
            _oddly(source, called, source.below(3), source.below(2)),
        )
    )


WIRE = Wire(
    "chat",
    _stream,
    _whole,
    _extras,
    _events,
    {
        "index": (0, 1, 2, -1, "0", None, 1 << 40, 0.0),
        "id": ("call_0", "call_1", "", None, 7),
        "type": ("function", "custom", "new", None, ""),
        "name": (SAFE, CANARY, "", None, 5),
        "finish_reason": ("stop", "tool_calls", "length", None, "", 1),
        "arguments": ("{}", "}", "", None, tree({"path": "/ok"})),
        "content": (
            "Hi.",
            None,
            5,
            [],
            tree([{"type": "text", "text": "Hi."}]),
            tree([{"type": "new", "x": 1}]),
        ),
        "choices": ([], None, "x"),
    },
)
