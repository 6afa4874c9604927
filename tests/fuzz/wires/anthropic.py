"""Anthropic's messages."""

import json  # noqa: TID251  # whether a text is JSON
from typing import Any

from tests.fuzz.documents import Raw, beside, tree
from tests.fuzz.framing import Event
from tests.fuzz.source import Source
from tests.fuzz.wires.wire import Pair, Wire
from tests.fuzz.words import CANARY, SAFE, Called

_USAGE = {"input_tokens": 3, "output_tokens": 1}


def _event(kind: str, **members: Any) -> Event:
    return Event(tree({"type": kind, **members}), kind)


def _message(content: list[Any], reason: str | None) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": _USAGE,
    }


def given(called: Called) -> Any:
    """Return arguments as they stand in a document: as they came, if they are JSON."""
    try:
        json.loads(called.arguments)
    except (ValueError, RecursionError):
        return {}
    return Raw(called.arguments)


def _block(called: Called, input_: Any, kind: str = "tool_use") -> dict[str, Any]:
    return {"type": kind, "id": called.id, "name": called.name, "input": input_}


def _text(index: int, text: str) -> list[Event]:
    return [
        _event("content_block_start", index=index, content_block={"type": "text", "text": ""}),
        _event("content_block_delta", index=index, delta={"type": "text_delta", "text": text}),
        _event("content_block_stop", index=index),
    ]


def _piece(index: Any, piece: str) -> Event:
    return _event(
        "content_block_delta", index=index, delta={"type": "input_json_delta", "partial_json": piece}
    )


def _as_usual(called: Called, index: int) -> list[Event]:
    return [
        _event("content_block_start", index=index, content_block=_block(called, {})),
        _piece(index, ""),
        _piece(index, called.arguments),
        _event("content_block_stop", index=index),
    ]


def _oddly(source: Source, called: Called, index: int) -> list[Event]:
    way = source.below(6)
    pieces = [_piece(index, piece) for piece in source.split(called.arguments)]
    stop = [_event("content_block_stop", index=index)]
    if way == 0:
        return [_event("content_block_start", index=index, content_block=_block(called, {})), *pieces, *stop]
    if way == 1:
        return [
            _event("content_block_start", index=index, content_block=_block(called, given(called))),
            *stop,
        ]
    if way == 2:
        begin = _event("content_block_start", index=index, content_block=_block(called, given(called)))
        return [begin, *pieces, *stop]
    if way == 3:
        begin = _event("content_block_start", index=index, content_block=_block(called, {}))
        return [begin, *pieces, *(stop if source.chance(50) else [])]
    if way == 4:
        kind = source.pick(("mcp_tool_use", "server_tool_use"))
        searched = _block(Called(called.id, "web_search", "{}"), {"query": "x"}, kind)
        return [_event("content_block_start", index=index, content_block=searched), *stop]
    block = _block(called, given(called), source.pick(("tool_use", "new_tool_use", "new", "computer_call")))
    return [_event("content_block_start", index=index, content_block=block), *pieces[:1], *stop]


def _trick(source: Source, good: Called, bad: Called, index: int) -> list[Event]:
    """Return a call behind which another one hides."""
    way = source.below(15)
    begin, _, piece, stop = _as_usual(good, index)
    if way == 0:
        filled = _event("content_block_start", index=index, content_block=_block(bad, given(bad)))
        return [filled, _piece(index, good.arguments), stop]
    if way == 1:
        filled = _event("content_block_start", index=index, content_block=_block(good, given(bad)))
        return [filled, _piece(index, good.arguments), stop]
    if way == 2:
        again = _event("content_block_start", index=index, content_block=_block(bad, given(bad)))
        return [begin, piece, stop, again, stop]
    if way == 3:
        other = _as_usual(bad, index + 1)
        moved = _piece(index, bad.arguments)
        return [begin, other[0], moved, _piece(index + 1, good.arguments), stop, other[-1]]
    if way == 4:
        delta = _event("content_block_delta", index=index, content_block=_block(bad, given(bad)))
        delta.data.pairs += [("delta", tree({"type": "input_json_delta", "partial_json": ""}))]
        return [begin, delta, piece, stop]
    if way == 5:
        return [_event("message_start", message=_message([_block(bad, given(bad))], None))]
    if way == 6:
        return [begin, piece._replace(name=""), _piece(index, bad.arguments), stop]
    if way == 7:
        return [begin, piece, stop, _piece(index, bad.arguments)]
    if way == 8:
        hidden = {"type": "text", "text": "", "name": bad.name, "input": given(bad)}
        return [_event("content_block_start", index=index, content_block=hidden), stop]
    if way == 9:
        gap = _as_usual(bad, index + 2)
        return [begin, piece, stop, *gap]
    if way == 10:
        block = _block(bad, given(bad))
        begun = tree(
            {"type": source.pick(("ping", "content_block_start")), "index": index, "content_block": block}
        )
        return [Event(begun, source.pick(("ping", "content_block_start", "error", ""))), stop]
    if way >= 13:
        block = tree(_block(good, given(good)))
        if source.chance(60):
            beside(source, block, {"name": bad.name, "input": given(bad)})
            return [_event("content_block_start", index=index, content_block=block), stop]
        written = tree({"type": "input_json_delta", "partial_json": good.arguments})
        beside(source, written, {"partial_json": bad.arguments, "type": "text_delta"})
        return [begin, _event("content_block_delta", index=index, delta=written), stop]
    if way == 11:
        around = [_piece(index, each)._replace(name="") for each in ('{"a":', "}")]
        return [begin, around[0], _piece(index, bad.arguments), around[1], stop]
    nameless = {**_block(good, {}), "toolset_name": bad.name}
    return [_event("content_block_start", index=index, content_block=nameless), piece, stop]


def _stream(source: Source, calls: list[Called], odd: bool, trick: Pair | None = None) -> list[Event]:
    reason = "tool_use" if calls or trick else "end_turn"
    early: list[Any] = []
    calls = list(calls)
    if odd and calls and source.chance(10):
        called = calls.pop()
        early = [_block(called, given(called))]
    events = [_event("message_start", message=_message(early, None))]
    if source.chance(20):
        events.append(_event("ping"))
    index = len(early)
    if source.chance(50) or not calls:
        events += _text(index, "Let me see.")
        index += 1
    rows: list[list[Event]] = []
    for called in calls:
        if not odd:
            events += _as_usual(called, index)
        else:
            here = source.below(4) if source.chance(10) else index
            rows.append(_as_usual(called, here) if not source.chance(35) else _oddly(source, called, here))
        index += 1
    for row in rows:
        at = 0 if source.chance(85) else source.below(4)
        position = max(0, len(events) - at)
        events[position:position] = row
    if trick:
        events += _trick(source, *trick, index)
    events.append(
        _event(
            "message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage={"output_tokens": 9}
        )
    )
    return [*events, _event("message_stop")]


def _whole(source: Source, calls: list[Called], odd: bool) -> Any:
    content: list[Any] = [{"type": "text", "text": "Let me see."}] if source.chance(50) or not calls else []
    for called in calls:
        kind = source.pick(("tool_use", "tool_use", "tool_use", "new_tool_use", "new")) if odd else "tool_use"
        content.append(_block(called, given(called), kind))
    return tree(_message(content, "tool_use" if calls else "end_turn"))


def _extras(called: Called) -> list[tuple[str, Any]]:
    block = _block(called, given(called))
    pairs = [
        ("content_block", block),
        ("Content_Block", block),
        ("contentBlock", block),
        ("content", [block]),
        ("message", _message([block], None)),
        ("delta", {"type": "input_json_delta", "partial_json": called.arguments}),
        ("partial_json", called.arguments),
        ("name", called.name),
        ("Name", called.name),
        ("input", given(called)),
        ("INPUT", given(called)),
        ("toolset_name", called.name),
        ("caller", {"type": "direct"}),
        ("tool_calls", [{"name": called.name, "arguments": called.arguments}]),
        ("x", block),
        ("index", 1),
        ("Type", "content_block_start"),
        ("error", {"type": "api_error", "message": "Sorry."}),
        ("stop_reason", "end_turn"),
        ("usage", _USAGE),
    ]
    return [(key, tree(value)) for key, value in pairs]


def _events(source: Source, called: Called) -> list[Event]:
    return source.pick(
        (
            _as_usual(called, source.below(3)),
            _oddly(source, called, source.below(3)),
            _text(source.below(3), "More."),
            [_event("ping")],
            [_event("message_stop")],
            [_event("message_start", message=_message([], None))],
            [_event("message_start", message=_message([_block(called, given(called))], None))],
            [_event("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 2})],
            [_event("error", error={"type": "overloaded_error", "message": "Sorry."})],
            [_event("new", name=called.name, input=given(called))],
            [_event("new")],
            [_piece(source.below(3), called.arguments)],
            [_event("content_block_stop", index=source.below(3))],
            [
                Event(
                    tree({"type": "content_block_start", "index": 0, "content_block": _block(called, {})}),
                    "ping",
                )
            ],
            [Event(tree({"type": "ping", "content_block": _block(called, {})}), "content_block_start")],
        )
    )


WIRE = Wire(
    "anthropic",
    _stream,
    _whole,
    _extras,
    _events,
    {
        "index": (0, 1, 2, -1, "0", None, 1 << 40, 0.0),
        "type": (
            "tool_use",
            "text",
            "thinking",
            "new",
            "ping",
            None,
            "content_block_start",
            "content_block_delta",
            "message",
        ),
        "name": (SAFE, CANARY, "", None, 5),
        "input": (tree({}), None, "", Raw('{"path":"/ok"}'), []),
        "partial_json": ("", "{}", "}", None, tree({"path": "/ok"})),
        "stop_reason": ("end_turn", "tool_use", "pause_turn", None, "", 5),
        "content": ([], None, "Hi.", tree([{"type": "text", "text": "Hi."}])),
        "id": ("call_0", "call_1", "", None, 7),
    },
)
