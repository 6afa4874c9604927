"""The calls of an answer in OpenAI's chat format, as its frames state and restate them."""

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.core.strict import UNREADABLE
from gateway.core.view import Event, ToolCallDelta, Unknown
from gateway.providers.openai.chat_parts import string
from gateway.providers.openai.chat_refusal import choice_index
from schemas.openai import Delta

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.encode

_LONG = 1 << 16  # arguments over this size are not parsed to find out whether another call begins


class _Call(msgspec.Struct):
    """A call so far, as its fragments and its restatements must agree on it."""

    index: int
    id: str
    name: str = ""
    pieces: list[str] = []
    size: int = 0
    custom: bool = False
    closed: bool = False

    def add(self, piece: str) -> None:
        """Take one more piece of the arguments."""
        if piece:
            self.pieces.append(piece)
            self.size += len(piece)

    @property
    def arguments(self) -> str:
        """What has arrived of the arguments."""
        return "".join(self.pieces)

    @property
    def complete(self) -> bool:
        """Whether the arguments so far are a JSON object, to which nothing can be added."""
        if self.size > _LONG or not self.pieces or not self.pieces[-1].rstrip().endswith("}"):
            return False
        try:
            return isinstance(_decode(self.arguments), dict)
        except UNREADABLE:
            return False


class Calls(msgspec.Struct):
    """All calls of one answer."""

    streamed: bool
    known: dict[tuple[Any, ...], _Call] = {}
    """By choice and index, and by other ways to name a call."""
    open: dict[Any, list[_Call]] = {}
    """Custom tools whose text has not ended, by choice."""
    count: int = 0

    @property
    def choices(self) -> set[Any]:
        """The choices that call what the client runs."""
        return {key[0] for key in self.known if "executed" not in key}

    def piece(self, number: Any, calls: Any) -> ToolCallDelta | None:
        """Read one more piece of the arguments of a known call; None for anything else."""
        call = calls[0] if type(calls) is list and len(calls) == 1 else None
        if type(call) is not dict or len(call) != 2:
            return None
        index, function = call.get("index"), call.get("function")
        if type(index) is not int or type(function) is not dict or len(function) != 1:
            return None
        arguments = function.get("arguments")
        known = self.known.get((number, index)) if type(number) is int else None
        if known is None or known.custom or type(arguments) is not str:
            return None
        known.add(arguments)
        self.known[number, "no index"] = known
        return ToolCallDelta(known.index, "", "", arguments)

    def read(self, number: Any, part: Delta, *, again: bool) -> Iterator[Event]:
        """Read the calls of a delta or message; ``again``: it may repeat what was read before."""
        if part.function_call is not None:
            legacy = {"type": "function", "function": part.function_call}
            yield from self._call((number, "legacy"), legacy, again=again)
        calls = part.tool_calls
        for position, call in enumerate(calls if isinstance(calls, list) else [calls] if calls else ()):
            if not isinstance(call, dict):
                yield Unknown("tool call")
                continue
            yield from self._call(self._key(number, position, call, again=again), call, again=again)
        executed = part.executed_tools
        for position, tool in enumerate(executed if isinstance(executed, list) else ()):
            if isinstance(tool, dict):
                yield self._executed((number, "executed", choice_index(tool.get("index"), position)), tool)

    def _key(self, number: Any, position: int, call: dict[str, Any], *, again: bool) -> tuple[Any, ...]:
        """Return what tells a call from the others of its choice."""
        index = call.get("index")
        if not self.streamed:
            return number, position
        if index is not None:
            return number, choice_index(index, position)
        by_id = (number, "id", _id(call.get("id")))
        if by_id in self.known:
            return by_id
        return (number, position) if again else (number, "no index")

    def _call(self, key: tuple[Any, ...], call: dict[str, Any], *, again: bool) -> Iterator[Event]:
        function, custom = call.get("function"), call.get("custom")
        if function is None and custom is None and ("name" in call or "arguments" in call):
            function = call  # written flat
        body = function if custom is None else custom
        if body is None and call.get("type") in (None, "", "function", "custom"):
            body = {}
        # What nobody can read in one way only is not judged, so it must not pass.
        if not isinstance(body, dict) or (function is not None and custom is not None):
            yield Unknown(f"tool call {string(call.get('type'))}".strip())
            return
        name = body.get("name") or ""
        written = body.get("arguments") if custom is None else body.get("input")
        arguments = written if isinstance(written, str) else _compact(written)
        if not isinstance(name, str):
            yield Unknown("tool call name")
            return
        id_ = _id(call.get("id"))
        known = self._find(key, id_, name)
        if custom is not None and not known.custom:
            known.custom = True
            self.open.setdefault(key[0], []).append(known)
        if again and (known.name or known.pieces):
            before = known.arguments
            if name != known.name or not arguments.startswith(before):
                yield Unknown("tool call differs")
                return
            name = ""
            arguments = arguments[len(before) :]
        if known.closed and arguments:
            yield Unknown("tool call goes on after its end")
            return
        piece = self._as_json(known, arguments) if known.custom else arguments
        known.name += name
        known.add(arguments)
        yield ToolCallDelta(known.index, id_, name, piece)

    def _find(self, key: tuple[Any, ...], id_: str, name: str) -> _Call:
        """Return the call that a fragment belongs to, a new one if it begins one."""
        number = key[0]
        call = self.known.get(key)
        # Some servers give parallel calls one index, or none: then a name after complete arguments is a new one.
        another = id_ != call.id if call and id_ else key[-1] == "no index"
        if call is None or (name and another and call.complete):
            call = self.known[key] = _Call(self.count, id_)
            self.count += 1
            if id_:
                self.known.setdefault((number, "id", id_), call)
        self.known[number, "no index"] = call
        return call

    def _as_json(self, call: _Call, text: str) -> str:
        """Return a piece of a custom tool's free text as a piece of ``{"input": text}``."""
        piece = _encode(text)[1:-1].decode()
        if not self.streamed:
            call.closed = True
            return f'{{"input":"{piece}"}}'
        return piece if call.pieces or not text else f'{{"input":"{piece}'

    def close(self, number: Any) -> Iterator[Event]:
        """End the free text of a choice's custom tools."""
        for call in self.open.pop(number, ()):
            if not call.closed:
                call.closed = True
                yield ToolCallDelta(call.index, arguments='"}' if call.pieces else '{"input":""}')

    def _executed(self, key: tuple[Any, ...], tool: dict[str, Any]) -> Event:
        """Read a tool that Groq ran; it is said once before and once after."""
        name = string(tool.get("name")) or string(tool.get("type"))
        known = self.known.get(key)
        if known is not None:
            return ToolCallDelta(known.index, "", name, server_executed=True)
        call = self.known[key] = _Call(self.count, "")
        self.count += 1
        arguments = tool.get("arguments")
        arguments = arguments if isinstance(arguments, str) else _compact(arguments)
        return ToolCallDelta(call.index, "", name, arguments, server_executed=True)

    def end(self) -> Iterator[Event]:
        """End the free text of all custom tools."""
        for number in list(self.open):
            yield from self.close(number)


def _compact(value: Any) -> str:
    return "" if value is None else _encode(value).decode()


def _id(value: Any) -> str:
    return str(value) if isinstance(value, str | int) else ""
