"""Gemini's generateContent."""

from typing import Any

from tests.fuzz.documents import Raw, tree
from tests.fuzz.framing import Event, Literal
from tests.fuzz.source import Source
from tests.fuzz.wires.anthropic import given
from tests.fuzz.wires.wire import Pair, Wire
from tests.fuzz.words import CANARY, SAFE, VALUE, Called

_USAGE = {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4}


def _chunk(parts: list[Any], reason: str = "", index: int | None = 0) -> Event:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}}
    if reason:
        candidate["finishReason"] = reason
    if index is not None:
        candidate["index"] = index
    return Event(
        tree({"candidates": [candidate], "usageMetadata": _USAGE, "modelVersion": "m", "responseId": "r"})
    )


def _call(called: Called, *, named: bool = False) -> dict[str, Any]:
    return {**({"id": called.id} if named else {}), "name": called.name, "args": given(called)}


def _streamed(source: Source, called: Called, *, named: bool) -> list[dict[str, Any]]:
    """Return the parts of a call whose arguments are streamed; they say one path."""
    key = {"id": called.id} if named else {}
    value = VALUE if VALUE in called.arguments else "/ok/a"
    pieces = source.split(value)
    parts: list[dict[str, Any]] = [{**key, "name": called.name, "willContinue": True}]
    for number, piece in enumerate(pieces):
        argument: dict[str, Any] = {"jsonPath": "$.path", "stringValue": piece}
        if number < len(pieces) - 1:
            argument["willContinue"] = True
        parts.append({**key, "partialArgs": [argument], "willContinue": True})
    if source.chance(80):
        parts.append({**key} if named else {})
    return parts


def _oddly(source: Source, called: Called) -> list[Event]:
    way = source.below(6)
    index = 0 if source.chance(85) else 1
    if way == 0:
        return [
            _chunk([{"functionCall": _call(called, named=True), "thoughtSignature": "c2ln"}], index=index)
        ]
    if way == 1:
        return [_chunk([{"function_call": _call(called)}], index=index)]
    if way == 2:
        parts = _streamed(source, called, named=source.chance(40))
        return [_chunk([{"functionCall": part}], index=index) for part in parts]
    if way == 3:
        return [_chunk([{"functionCall": _call(called), "thought": True, "text": "Hm."}], index=index)]
    if way == 4:
        return [_chunk([{"executableCode": {"language": "PYTHON", "code": "1"}}], index=index)]
    return [_chunk([{"text": "Now"}, {"functionCall": _call(called)}, {"text": "then"}], index=index)]


def _trick(source: Source, good: Called, bad: Called) -> list[Event]:
    """Return a call behind which another one hides."""
    way = source.below(10)
    if way == 0:
        keys = ("functionCall", "function_call") if source.chance(50) else ("function_call", "functionCall")
        return [_chunk([{keys[0]: _call(good), keys[1]: _call(bad)}])]
    if way == 1:
        spelt = source.pick(
            ("function_call", "FunctionCall", "functioncall", "functionCalls", "toolCall", "x")
        )
        return [_chunk([{"text": "Hm.", spelt: _call(bad)}])]
    if way == 2:
        return [
            _chunk(
                [{"functionCall": {**_call(good), source.pick(("Args", "arguments", "input")): given(bad)}}]
            )
        ]
    if way == 3:
        return [
            _chunk([{"functionCall": {**_call(good), source.pick(("Name", "NAME", "toolName")): bad.name}}])
        ]
    if way == 4:
        one, two = (_streamed(source, each, named=False) for each in (good, bad))
        return [_chunk([{"functionCall": part}]) for part in (*one[:2], *two, *one[2:])]
    if way == 5:
        parts = _streamed(source, good, named=False)
        parts[0]["args"] = given(bad)
        return [_chunk([{"functionCall": part}]) for part in parts]
    if way == 6:
        return [_chunk([{"text": "Hm."}], "STOP"), _chunk([{"functionCall": _call(bad)}])]
    if way == 7:
        args = [("args", given(good)), (source.pick(("Args", "ARGS", "arg\u017f")), given(bad))]
        call = tree({"name": good.name})
        call.pairs += args if source.chance(50) else args[::-1]
        return [_chunk([{"functionCall": call}])]
    if way == 8:
        candidates = [{"content": {"parts": [{"functionCall": _call(each)}]}} for each in (good, bad)]
        return [Event(tree({"candidates": candidates}))]
    key = source.pick(("executableCode", "functionResponse", "codeExecutionResult", "newPart"))
    return [_chunk([{key: {"functionCall": _call(bad), **_call(bad)}}])]


def _stream(source: Source, calls: list[Called], odd: bool, trick: Pair | None = None) -> list[Event]:
    events = [_chunk([{"text": "Let me see."}])] if source.chance(50) or not calls else []
    rows: list[list[Event]] = []
    for called in calls:
        if odd and source.chance(60):
            rows.append(_oddly(source, called))
        else:
            rows.append([_chunk([{"functionCall": _call(called)}])])
    for row in rows:
        if odd and source.chance(20) and events:
            at = source.below(len(events) + 1)
            events[at:at] = row
        else:
            events += row
    if trick:
        events += _trick(source, *trick)
    events.append(_chunk([{"text": ""}], "STOP"))
    if odd and source.chance(15):
        events.append(_chunk([], "STOP", index=1))
    return events


def _whole(source: Source, calls: list[Called], odd: bool) -> Any:
    parts: list[Any] = [{"text": "Let me see."}] if source.chance(50) or not calls else []
    for called in calls:
        key = source.pick(("functionCall", "functionCall", "function_call")) if odd else "functionCall"
        parts.append({key: _call(called, named=source.chance(30))})
    return _chunk(parts, "STOP").data


def _extras(called: Called) -> list[tuple[str, Any]]:
    part = {"functionCall": _call(called)}
    pairs = [
        ("functionCall", _call(called)),
        ("function_call", _call(called)),
        ("FunctionCall", _call(called)),
        ("functioncall", _call(called)),
        ("function_Call", _call(called)),
        ("functionCalls", [_call(called)]),
        ("tool_calls", [{"name": called.name, "arguments": called.arguments}]),
        ("parts", [part]),
        ("Parts", [part]),
        ("content", {"role": "model", "parts": [part]}),
        ("candidates", [{"content": {"parts": [part]}}]),
        ("x", _call(called)),
        ("x", part),
        ("name", called.name),
        ("args", given(called)),
        ("Args", given(called)),
        ("partialArgs", [{"jsonPath": "$.path", "stringValue": VALUE}]),
        ("partial_args", [{"jsonPath": "$['path']", "stringValue": VALUE}]),
        ("willContinue", True),
        ("will_continue", True),
        ("id", "call_1"),
        ("index", 1),
        ("error", {"code": 500, "message": "Sorry.", "status": "INTERNAL"}),
        ("text", "More."),
        ("promptFeedback", {"blockReason": "SAFETY"}),
    ]
    return [(key, tree(value)) for key, value in pairs]


def _events(source: Source, called: Called) -> list[Event]:
    return source.pick(
        (
            [_chunk([{"functionCall": _call(called)}])],
            [_chunk([{"functionCall": _call(called)}], "STOP")],
            _oddly(source, called),
            [_chunk([{"text": "More."}])],
            [_chunk([], "STOP")],
            [_chunk([{"functionCall": {}}])],
            [Event(tree({"usageMetadata": _USAGE}))],
            [Event(tree({}))],
            [Event(tree({"error": {"code": 500, "message": "Sorry.", "status": "INTERNAL"}}))],
            [Event(tree({"functionCall": _call(called)}))],
            [Event(tree([{"candidates": [{"content": {"parts": [{"functionCall": _call(called)}]}}]}]))],
            [Event(Literal("[DONE]"))],
        )
    )


WIRE = Wire(
    "gemini",
    _stream,
    _whole,
    _extras,
    _events,
    {
        "index": (0, 1, 2, -1, "0", None, "x", 0.0),
        "name": (SAFE, CANARY, "", None, 5),
        "args": (tree({}), None, "", Raw('{"path":"/ok"}'), []),
        "finishReason": ("STOP", "MAX_TOKENS", "FINISH_REASON_UNSPECIFIED", "", None),
        "willContinue": (True, False, None, "true", 1),
        "jsonPath": ("$.path", "$.a.path", "$", "path", "$['path']", "$.path[0]", "", None),
        "stringValue": ("/ok", VALUE, "", None, 5),
        "parts": ([], None, tree({"text": "Hi."})),
        "id": ("call_0", "call_1", "", None, 7),
    },
    "\r\n",
)
