"""Function calls of a Gemini answer: whole ones, and arguments that are streamed by their JSON paths.

A streamed call begins with a name and ``willContinue``, goes on in fragments without a name, and ends with the
first fragment that does not continue, often an empty one; some streams end without it. Its arguments are known
only then, so they begin as ``{``: a call that never ends has arguments which are no JSON, and which no policy
can take for ``{}``.
"""

import re
from typing import Any

import msgspec

from gateway.core.view import Event, ToolCallDelta
from gateway.providers.gemini.members import (
    CALL_MEMBERS,
    PARTIAL_ARG_VALUES,
    Raw,
    elements,
    is_string,
    members,
    string,
)

_Segments = tuple[str | int, ...]

_SEGMENT = re.compile(r"""\.([^.\[\]]+)|\[(\d{1,6})\]|\['([^'\\]*)'\]|\["([^"\\]*)"\]""")


class _Streamed:
    """A call whose arguments are still arriving."""

    __slots__ = ("_continuing", "_leaves", "id", "index", "name")

    def __init__(self, index: int, id: str, name: str) -> None:  # noqa: A002  # the wire's name of it
        self.index = index
        self.id = id
        self.name = name
        self._leaves: dict[_Segments, Raw | list[str]] = {}
        self._continuing: set[_Segments] = set()

    def add(self, argument: Raw, odd: list[str]) -> None:
        """Add one piece of the arguments."""
        found = members(argument, odd)
        segments = _segments(string(found.get("jsonPath")))
        values = [name for name in PARTIAL_ARG_VALUES if name in found]
        if (
            not segments
            or len(values) != 1
            or found.keys() - PARTIAL_ARG_VALUES - {"jsonPath", "willContinue"}
        ):
            odd.append("partialArgs")
            return
        kind = values[0]
        value = found[kind]
        if segments in self._leaves and segments not in self._continuing:
            odd.append("partialArgs: one path twice")
        elif kind == "stringValue" and is_string(value):
            pieces = self._leaves.setdefault(segments, [])
            if isinstance(pieces, list):
                pieces.append(string(value))
            self._continuing.discard(segments)
            if _true(found.get("willContinue")):
                self._continuing.add(segments)
        elif segments in self._leaves:
            odd.append("partialArgs: two types")
        elif kind == "nullValue":
            self._leaves[segments] = Raw(b"null")
        elif _fits(kind, bytes(value)):
            self._leaves[segments] = value
        else:
            odd.append(f"partialArgs: {kind}")

    def arguments(self) -> str | None:
        """Return all of the arguments; None if the paths contradict each other."""
        tree: dict[str, Any] = {}
        for segments, leaf in self._leaves.items():
            if not _insert(tree, segments, "".join(leaf) if isinstance(leaf, list) else leaf):
                return None
        return msgspec.json.encode(tree).decode()


class FunctionCalls:
    """All calls of one answer, numbered over all of its candidates."""

    def __init__(self) -> None:
        self._count = 0
        self._open: dict[int, list[_Streamed]] = {}
        self._seen = False

    def server_executed(self, id: str, name: str, arguments: str) -> ToolCallDelta:  # noqa: A002  # the wire's name of it
        """Return a call that the provider has run itself."""
        return ToolCallDelta(self._next(), id, name, arguments, server_executed=True)

    def read(self, candidate: int, part: Raw, odd: list[str]) -> list[Event]:
        """Read one ``functionCall`` part of a candidate."""
        call = members(part, odd)
        odd.extend(f"functionCall.{name}" for name in call.keys() - CALL_MEMBERS)
        pieces = elements(call.get("partialArgs"))
        continues = _true(call.get("willContinue"))
        arguments = bytes(call.get("args", Raw(b"")))
        call_id = string(call.get("id"))
        if (pieces or continues) and arguments.translate(None, b" \t\r\n") not in (b"", b"{}"):
            odd.append("functionCall: args beside partialArgs")
        if "name" in call:
            self._seen = True
            name = string(call["name"])
            if not pieces and not continues:
                return [ToolCallDelta(self._next(), call_id, name, arguments.decode())]
            return self._begin(candidate, call_id, name, pieces, odd, continues=continues)
        streamed = self._find(candidate, call_id)
        if streamed is None:
            if call or not self._seen:  # an empty one may still close a call that has ended
                odd.append("functionCall without a name")
            return []
        return self._go_on(candidate, streamed, pieces, odd, continues=continues)

    def finish(self, candidate: int, odd: list[str]) -> list[Event]:
        """End the calls of a candidate that has finished."""
        return [event for streamed in self._open.pop(candidate, ()) for event in _end(streamed, odd)]

    def _next(self) -> int:
        self._count += 1
        return self._count - 1

    def _find(self, candidate: int, call_id: str) -> _Streamed | None:
        streamed = self._open.get(candidate, [])
        if not call_id:
            return streamed[-1] if streamed else None
        return next((call for call in streamed if call.id == call_id), None)

    def _begin(
        self,
        candidate: int,
        call_id: str,
        name: str,
        pieces: list[Raw],
        odd: list[str],
        *,
        continues: bool,
    ) -> list[Event]:
        events: list[Event] = []
        others = self._open.setdefault(candidate, [])
        if any(call.id == call_id and call.name == name for call in others):
            odd.append("functionCall begun twice")  # one call for some clients, two for others
        if not call_id:
            for call in [call for call in others if not call.id]:
                others.remove(call)
                events += _end(call, odd)
        streamed = _Streamed(self._next(), call_id, name)
        others.append(streamed)
        events.append(ToolCallDelta(streamed.index, call_id, name, "{"))
        return events + self._go_on(candidate, streamed, pieces, odd, continues=continues)

    def _go_on(
        self, candidate: int, streamed: _Streamed, pieces: list[Raw], odd: list[str], *, continues: bool
    ) -> list[Event]:
        for piece in pieces:
            streamed.add(piece, odd)
        if continues:
            return [ToolCallDelta(streamed.index)]
        self._open[candidate].remove(streamed)
        return _end(streamed, odd)


def _end(streamed: _Streamed, odd: list[str]) -> list[Event]:
    arguments = streamed.arguments()
    if arguments is None:
        odd.append("partialArgs: contradictory paths")
        return []
    return [ToolCallDelta(streamed.index, arguments=arguments[1:])]


def _true(value: Raw | None) -> bool:
    return value is not None and bytes(value) == b"true"


def _fits(kind: str, value: bytes) -> bool:
    if kind == "boolValue":
        return value in (b"true", b"false")
    return kind == "numberValue" and value[:1] in b"-0123456789"


def _segments(path: str) -> _Segments:
    """Return the steps of a JSON path; none if it is not a plain one."""
    segments: list[str | int] = []
    position = 1
    while match := _SEGMENT.match(path, position):
        name, index, single, double = match.groups()
        segments.append(int(index) if index else name or single or double or "")
        position = match.end()
    return tuple(segments) if path.startswith("$") and position == len(path) else ()


def _insert(tree: Any, segments: _Segments, value: object) -> bool:
    """Put a value into a tree that grows as needed; False if it contradicts what is there."""
    for here, after in zip(segments, (*segments[1:], None), strict=True):
        if isinstance(here, int):
            if not isinstance(tree, list) or here > len(tree):
                return False
            missing = here == len(tree)
            if missing:
                tree.append(None)
        else:
            if not isinstance(tree, dict):
                return False
            missing = here not in tree
        if missing:
            # The last step holds the value, every other one what the next step needs.
            tree[here] = value if after is None else [] if isinstance(after, int) else {}
        elif after is None:
            return False
        tree = tree[here]
    return True
