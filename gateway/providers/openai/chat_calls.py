"""The calls of an answer in OpenAI's chat format, as its frames state and restate them."""

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.core.strict import UNREADABLE
from gateway.core.view import Event, ToolCallDelta, Unknown
from gateway.providers.openai.chat_parts import string
from gateway.providers.openai.chat_refusal import choice_index
from gateway.providers.openai.hosted import executed_name
from schemas.openai import Delta

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.encode

_LONG = 1 << 16  # arguments over this size are not parsed to find out whether another call begins
_INDEXES = range(1 << 31)
_LONGEST_NAME = 256  # no tool has a longer name, however many pieces a client joins
_MOST_PIECES = 16
_FLAT = ("name", "arguments", "input")

_ODD = Unknown("tool call index")
_DIFFERS = Unknown("tool call differs")


class _Call(msgspec.Struct):
    """A call so far, as its fragments and its restatements must agree on it."""

    index: int
    id: str
    name: str = ""
    pieces: list[str] = []
    size: int = 0
    custom: bool = False
    closed: bool = False
    indexed: bool = False

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
        if self.size > _LONG:
            return False
        last = next((piece for piece in reversed(self.pieces) if not piece.isspace()), "")
        return last.rstrip().endswith("}") and _is_object(self.arguments)


class _Joined(msgspec.Struct):
    """The calls with one index, or with one id, which some clients join into one."""

    calls: set[int] = set()
    names: list[str] = []
    size: int = 0

    def add(self, call: _Call, name: str) -> tuple[str, ...]:
        """Add a fragment; return what the name of several calls may be by now."""
        new = call.index not in self.calls
        self.calls.add(call.index)
        if name:
            self.names.append(name)
            self.size += len(name)
        if len(self.calls) == 1 or not (new or name):
            return ()
        read: list[str] = []
        for piece in reversed(self.names[-_MOST_PIECES:]):
            read.append(piece + read[-1] if read else piece)
            if len(read[-1]) > _LONGEST_NAME:
                break
        if len(self.names) > _MOST_PIECES and self.size <= _LONGEST_NAME:
            read.append("".join(self.names))
        return tuple(read)


class Calls(msgspec.Struct):
    """All calls of one answer."""

    streamed: bool
    known: dict[tuple[Any, ...], _Call] = {}
    """By choice and index, and by other ways to name a call."""
    open: dict[Any, list[_Call]] = {}
    """Custom tools whose text has not ended, by choice."""
    count: int = 0
    joined: dict[tuple[Any, ...], _Joined] = {}
    """By choice and index, and by choice and id."""

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
        if self.streamed and not _is_index(number) and (part.tool_calls or part.function_call is not None):
            yield Unknown("choice index")
        if part.function_call is not None:
            legacy = {"type": "function", "function": part.function_call}
            yield from self._call((number, "legacy"), legacy, again=again)
        calls = part.tool_calls
        for position, call in enumerate(calls if isinstance(calls, list) else [calls] if calls else ()):
            if not isinstance(call, dict):
                yield Unknown("tool call")
                continue
            if self.streamed and not _is_index(0 if (index := call.get("index")) is None else index):
                yield _ODD
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
        if body is not call and any(call.get(key) not in (None, "", body.get(key)) for key in _FLAT):
            yield _DIFFERS  # written flat too, in another way
            return
        name = body.get("name") or ""
        written = body.get("arguments") if custom is None else body.get("input")
        arguments = written if isinstance(written, str) else _compact(written)
        if not isinstance(name, str):
            yield Unknown("tool call name")
            return
        id_ = _id(call.get("id"))
        if self.streamed and not again and self._doubtful(key, call, id_, name, arguments):
            yield _ODD
        known = self._find(key, id_, name, arguments, again=again)
        restated = False
        known.indexed = known.indexed or call.get("index") is not None
        if body and known.custom is (custom is None) and (known.custom or known.name or known.pieces):
            yield _DIFFERS
            return
        if custom is not None and not known.custom:
            known.custom = True
            self.open.setdefault(key[0], []).append(known)
        if again and (known.name or known.pieces):
            before = known.arguments
            if name != known.name or not arguments.startswith(before):
                yield _DIFFERS
                return
            name, restated = "", bool(name)
            arguments = arguments[len(before) :]
        if known.closed and arguments:
            yield Unknown("tool call goes on after its end")
            return
        piece = self._as_json(known, arguments) if known.custom else arguments
        known.name += name
        known.add(arguments)
        aliases: tuple[str, ...] = ()
        if self.streamed and not again and key[-1] != "legacy":
            # An index that is missing is zero to many; some go by the id alone.
            shared = [(self._joined(key[0], choice_index(call.get("index"), 0)), name)]
            if id_:
                same = self._joined(key[0], "id", id_)
                # Some servers take the tool's name for the id of all its calls.
                shared.append((same, "" if same.names[-1:] == [name] else name))
            for joined, piece_of_name in shared:
                if not (found := joined.add(known, piece_of_name)):
                    continue
                aliases += found
                if _is_object(arguments):
                    continue
                # Then the arguments may be those of any of them.
                if len(joined.calls) > _MOST_PIECES:
                    yield _ODD
                else:
                    yield from (
                        ToolCallDelta(other, aliases=found)
                        for other in sorted(joined.calls)
                        if other != known.index
                    )
        yield ToolCallDelta(known.index, id_, name, piece, aliases=aliases, restated=restated)

    def _joined(self, *key: Any) -> _Joined:
        return self.joined.setdefault(key, _Joined())

    def _doubtful(
        self, key: tuple[Any, ...], call: dict[str, Any], id_: str, name: str, arguments: str
    ) -> bool:
        """Whether clients disagree on the call that a fragment belongs to, beyond those that join by index."""
        known = self.known.get(key)
        if known is None or key[-1] == "legacy":
            return False
        if name and known.arguments.strip() and not known.complete and _is_object(arguments):
            return True  # it goes on in the middle of a call, and is one by itself
        if call.get("index") is None:
            # Without an index a call goes on by its id, or as the one before that had none either.
            if id_:
                return id_ != known.id and bool(known.arguments.strip()) and not known.complete
            return known.indexed or (bool(name) and not known.complete)
        # Some servers give parallel calls one index, but then each of them is complete.
        another = bool(name and id_) and id_ != known.id
        return another and not (known.complete and _is_object(arguments))

    def _find(self, key: tuple[Any, ...], id_: str, name: str, arguments: str, *, again: bool) -> _Call:
        """Return the call that a fragment belongs to, a new one if it begins one."""
        number = key[0]
        call = self.known.get(key)
        if call is None or (not again and _begins(call, key, id_, name, arguments)):
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
        name = executed_name(tool)
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


def _begins(known: _Call, key: tuple[Any, ...], id_: str, name: str, arguments: str) -> bool:
    """Whether a fragment begins another call under a key that is known: servers give parallel calls one, or none."""
    if key[-1] == "no index":
        return bool(id_) or (bool(name) and known.complete)
    if key[-1] == "legacy" or not name or (id_ and id_ == known.id):
        return False
    return _is_object(arguments) and known.complete


def _is_index(value: Any) -> bool:
    """Whether every client counts alike with an index: OpenAI's takes a negative one from the end of its list."""
    return type(value) is int and value in _INDEXES


def _is_object(text: str) -> bool:
    try:
        return isinstance(_decode(text), dict)
    except UNREADABLE:
        return False


def _compact(value: Any) -> str:
    return "" if value is None else _encode(value).decode()


def _id(value: Any) -> str:
    return str(value) if isinstance(value, str | int) else ""
