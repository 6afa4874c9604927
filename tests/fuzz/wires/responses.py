"""OpenAI's Responses API."""

from typing import Any

from tests.fuzz.documents import beside, tree
from tests.fuzz.framing import DONE, Event
from tests.fuzz.source import Source
from tests.fuzz.wires.wire import Pair, Wire
from tests.fuzz.words import CANARY, SAFE, Called

_Members = dict[str, Any]


def _response(status: str, output: list[Any]) -> _Members:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": "m",
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4}
        if status == "completed"
        else None,
    }


def _item(called: Called, *, done: bool = True) -> _Members:
    return {
        "id": "fc_" + called.id,
        "type": "function_call",
        "status": "completed" if done else "in_progress",
        "arguments": called.arguments if done else "",
        "call_id": called.id,
        "name": called.name,
    }


def _custom(called: Called, *, done: bool = True) -> _Members:
    return {
        "id": "ctc_" + called.id,
        "type": "custom_tool_call",
        "status": "completed" if done else "in_progress",
        "input": called.arguments if done else "",
        "call_id": called.id,
        "name": called.name,
    }


def _approval(called: Called) -> _Members:
    return {
        "id": "mcpr_" + called.id,
        "type": "mcp_approval_request",
        "name": called.name,
        "arguments": called.arguments,
        "server_label": "s",
    }


def _shell(called: Called) -> _Members:
    action = {"type": "exec", "command": ["cat", "/etc/x"], "env": {}}
    return {
        "id": "sh_" + called.id,
        "type": "local_shell_call",
        "status": "completed",
        "call_id": called.id,
        "action": action,
    }


_SEARCH = {
    "id": "ws_1",
    "type": "web_search_call",
    "status": "completed",
    "action": {"type": "search", "query": "x"},
}
_MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Let me see.", "annotations": [], "logprobs": []}],
}


def _text(index: int) -> list[_Members]:
    at = {"item_id": "msg_1", "output_index": index, "content_index": 0}
    part = _MESSAGE["content"][0]
    return [
        {
            "type": "response.output_item.added",
            "output_index": index,
            "item": {**_MESSAGE, "status": "in_progress", "content": []},
        },
        {"type": "response.content_part.added", **at, "part": {**part, "text": ""}},
        {"type": "response.output_text.delta", **at, "delta": "Let me see.", "logprobs": []},
        {"type": "response.output_text.done", **at, "text": "Let me see.", "logprobs": []},
        {"type": "response.content_part.done", **at, "part": part},
        {"type": "response.output_item.done", "output_index": index, "item": _MESSAGE},
    ]


def _as_usual(called: Called, index: int, pieces: list[str] | None = None) -> list[_Members]:
    at = {"item_id": "fc_" + called.id, "output_index": index}
    kind = "response.function_call_arguments"
    pieces = [called.arguments] if pieces is None else pieces
    return [
        {"type": "response.output_item.added", "output_index": index, "item": _item(called, done=False)},
        *({"type": f"{kind}.delta", **at, "delta": piece} for piece in pieces),
        {"type": f"{kind}.done", **at, "name": called.name, "arguments": called.arguments},
        {"type": "response.output_item.done", "output_index": index, "item": _item(called)},
    ]


def _oddly(source: Source, called: Called, index: int) -> tuple[list[_Members], _Members | None]:
    """Return some events of a call, and its item."""
    way = source.below(7)
    if way == 0:
        return _as_usual(called, index, source.split(called.arguments)), _item(called)
    if way == 1:
        kept = [
            event
            for event in _as_usual(called, index, source.split(called.arguments))
            if not source.chance(35)
        ]
        return kept, _item(called)
    if way == 2:
        return [], _item(called)
    if way == 3:
        kind = "response.custom_tool_call_input"
        at = {"item_id": "ctc_" + called.id, "output_index": index}
        events = [
            {
                "type": "response.output_item.added",
                "output_index": index,
                "item": _custom(called, done=False),
            },
            *({"type": f"{kind}.delta", **at, "delta": piece} for piece in source.split(called.arguments)),
            {"type": f"{kind}.done", **at, "input": called.arguments},
            {"type": "response.output_item.done", "output_index": index, "item": _custom(called)},
        ]
        return [event for event in events if not source.chance(15)], _custom(called)
    if way == 4:
        item = source.pick((_approval(called), _shell(called), _SEARCH))
        stages = ("response.output_item.added", "response.output_item.done")
        return [{"type": kind, "output_index": index, "item": item} for kind in stages], item
    if way == 5:
        other = Called(called.id, source.pick((SAFE, CANARY)), source.pick(("{}", called.arguments)))
        return _as_usual(called, index), _item(other)
    return _as_usual(called, index), None


def _trick(source: Source, good: Called, bad: Called, index: int) -> tuple[list[_Members], list[_Members]]:
    """Return a call behind which another one hides, and the items that the answer ends with."""
    way = source.below(11)
    bad = bad._replace(id=good.id) if source.chance(60) else bad
    usual = _as_usual(good, index)
    added, delta, done, item_done = usual
    if way == 0:
        return usual, [_item(bad)]
    if way == 1:
        return usual, [_item(good), _item(bad)]
    if way == 2:
        return [added, delta, done, {**item_done, "item": _item(bad)}], [_item(good)]
    if way == 3:
        return [added, delta, {**done, "name": bad.name, "arguments": bad.arguments}, item_done], [
            _item(good)
        ]
    if way == 4:
        return [added, {**delta, "delta": bad.arguments}, done, item_done], [_item(good)]
    if way == 5:
        return [{**added, "item": {**_item(bad), "status": "in_progress"}}, delta, done, item_done], [
            _item(good)
        ]
    if way == 6:
        begun = {"type": "response.in_progress", "response": _response("in_progress", [_item(bad)])}
        return [begun, *usual], [_item(good)]
    if way == 7:
        late = [{**delta, "delta": bad.arguments}, {**done, "arguments": bad.arguments}]
        return [*usual, *late], [_item(good)]
    if way >= 9:
        item = beside(source, tree(_item(good)), {"name": bad.name, "arguments": bad.arguments})
        changed = {**item_done, "item": item}
        return ([*usual[:3], changed], [_item(good)]) if source.chance(50) else ([*usual[:3]], [item])
    other = {**_MESSAGE, "content": [{"type": "output_text", "text": "Hm."}, {**_item(bad)}]}
    return usual, [_item(good), other]


def _stream(source: Source, calls: list[Called], odd: bool, trick: Pair | None = None) -> list[Event]:
    events: list[_Members] = [
        {"type": kind, "response": _response("in_progress", [])}
        for kind in ("response.created", "response.in_progress")
    ]
    output: list[Any] = []
    if source.chance(50) or not calls:
        events += _text(0)
        output.append(_MESSAGE)
    for called in calls:
        index = len(output)
        if odd and source.chance(60):
            if source.chance(12):
                index = source.below(4)
            made, item = _oddly(source, called, index)
        else:
            made, item = _as_usual(called, index), _item(called)
        if odd and source.chance(12):
            at = source.below(len(events))
            events[at:at] = made
        else:
            events += made
        output += [item] if item is not None else []
    if trick:
        made, items = _trick(source, *trick, len(output))
        events += made
        output += items
    end = source.pick(("completed", "completed", "completed", "incomplete", "failed")) if odd else "completed"
    events.append({"type": f"response.{end}", "response": _response(end, output)})
    return _numbered(events)


def _numbered(events: list[_Members]) -> list[Event]:
    return [
        Event(tree({"type": event["type"], "sequence_number": number, **event}), event["type"])
        for number, event in enumerate(events)
    ]


def _whole(source: Source, calls: list[Called], odd: bool) -> Any:
    output: list[Any] = [_MESSAGE] if source.chance(50) or not calls else []
    for called in calls:
        kinds = (_item(called), _custom(called), _approval(called), _shell(called), _SEARCH)
        output.append(source.pick(kinds) if odd and source.chance(40) else _item(called))
    return tree(_response("completed", output))


def _extras(called: Called) -> list[tuple[str, Any]]:
    item = _item(called)
    pairs = [
        ("item", item),
        ("Item", item),
        ("output", [item]),
        ("Output", [item]),
        ("response", _response("in_progress", [item])),
        ("part", {"type": "tool_call", "name": called.name, "arguments": called.arguments}),
        ("part", item),
        ("content", [item]),
        ("delta", called.arguments),
        ("arguments", called.arguments),
        ("Arguments", called.arguments),
        ("input", called.arguments),
        ("name", called.name),
        ("Name", called.name),
        ("namespace", "ns"),
        ("call_id", "call_1"),
        ("item_id", "fc_call_1"),
        ("output_index", 1),
        ("Output_Index", 1),
        ("action", {"type": "exec", "command": ["rm"]}),
        ("tool_calls", [{"function": {"name": called.name, "arguments": called.arguments}}]),
        ("x", item),
        ("type", "function_call"),
        ("error", {"code": "x", "message": "Sorry."}),
    ]
    return [(key, tree(value)) for key, value in pairs]


def _events(source: Source, called: Called) -> list[Event]:
    index = source.below(3)
    made: tuple[list[_Members], ...] = (
        _as_usual(called, index),
        _oddly(source, called, index)[0] or _text(index),
        _text(index),
        [{"type": "response.completed", "response": _response("completed", [_item(called)])}],
        [{"type": "response.completed", "response": _response("completed", [])}],
        [{"type": "response.in_progress", "response": _response("in_progress", [_item(called)])}],
        [
            {
                "type": "error",
                "error": {"type": "server_error", "code": "x", "message": "Sorry.", "param": None},
            }
        ],
        [{"type": "response.new", "item": _item(called)}],
        [{"type": "response.new"}],
        [{"type": "keepalive"}],
        [
            {
                "type": "response.function_call_arguments.delta",
                "output_index": index,
                "item_id": "x",
                "delta": called.arguments,
            }
        ],
        [
            {
                "type": "response.function_call_arguments.done",
                "output_index": index,
                "item_id": "fc_" + called.id,
                "name": called.name,
                "arguments": called.arguments,
            }
        ],
        [{"type": "response.output_item.done", "output_index": index, "item": _item(called)}],
    )
    return [DONE] if source.chance(8) else _numbered(source.pick(made))


WIRE = Wire(
    "responses",
    _stream,
    _whole,
    _extras,
    _events,
    {
        "output_index": (0, 1, 2, -1, "0", None, 1 << 40, 0.0),
        "id": ("fc_call_0", "fc_call_1", "msg_1", "", None, 7),
        "call_id": ("call_0", "call_1", "", None, 7),
        "item_id": ("fc_call_0", "fc_call_1", "msg_1", "", None, 7),
        "type": (
            "function_call",
            "custom_tool_call",
            "mcp_call",
            "message",
            "reasoning",
            "new",
            "function_call_output",
            None,
            "response.output_item.added",
            "response.output_item.done",
            "response.completed",
            "response.function_call_arguments.done",
        ),
        "name": (SAFE, CANARY, "", None, 5),
        "arguments": ("{}", "", None, "}", tree({"path": "/ok"})),
        "output": ([], None, "x", tree({"type": "message"})),
        "status": ("completed", "incomplete", "failed", "in_progress", None, 5),
        "delta": ("", "{}", None, 5),
    },
)
