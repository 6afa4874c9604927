"""The calls in an answer of the Responses API, each of which is said up to five times.

An item is announced, its arguments come in pieces and then whole, the item is repeated when it is done, and
the last event repeats all items. Clients differ in which of these they read, so all must say the same.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.core.adapter import RequestAdapter
from gateway.core.strict import UNREADABLE
from gateway.core.view import Event, ToolCallDelta, Unknown
from gateway.providers.openai.hosted import qualified
from gateway.providers.openai.responses_items import (
    CALLS,
    CLIENT_CALLS,
    SERVER_CALLS,
    arguments,
    computer_name,
    runs_upstream,
    text,
)
from schemas import openai_responses as wire

_PIECEWISE = ("function_call", "custom_tool_call", "mcp_call", "mcp_approval_request")
_APPROVAL = "mcp_approval_request"
DIFFERS = Unknown("restated call differs")
"""Two places of an answer say different things of one call."""

_NOTHING: tuple[Any, ...] = (None, "", [], {})
_value = msgspec.json.decode
_encode = msgspec.json.encode


def runs_at_client(item: wire.Item) -> bool:
    """Whether an item asks the client to run something."""
    if item.type == "shell_call":
        return not runs_upstream(item.environment)
    if item.type == "tool_search_call":
        return bool(item.execution != "server")
    return item.type in CLIENT_CALLS


class Call:
    """One call, as far as it is said."""

    __slots__ = (
        "_announced",
        "_final",
        "_name",
        "_namespace",
        "_parts",
        "_pieces",
        "id",
        "index",
        "kind",
        "server",
    )

    def __init__(self, index: int, kind: str, *, server: bool) -> None:
        self.index = index
        self.kind = kind
        self.server = server
        self.id = ""
        self._name = ""
        self._namespace = ""
        self._announced = ""
        self._pieces: list[str] = []
        self._final: str | None = None
        self._parts: dict[int, str] = {}  # the commands of a shell, or the diff of a patch

    def state(
        self, name: str, arguments: str | None, namespace: str = "", *, complete: bool
    ) -> Iterator[Event]:
        """Take the call as one frame states it; ``None``: this frame does not say the arguments.

        Yields one delta, whatever is new in it: the gate counts deltas against what looks like a call.
        """
        known = (self._name, self._namespace)
        self._name = self._name or name
        self._namespace = self._namespace or namespace
        differs = (name or self._name, namespace or self._namespace) != (self._name, self._namespace)
        aliases: tuple[str, ...] = ()
        if self._namespace and known != (self._name, self._namespace):
            aliases = self._aliases()
        rest = ""
        if arguments is not None:
            if complete:
                wrong, rest = self._finish(arguments)
            else:
                wrong = self._announce(arguments)
            differs = differs or wrong
        restated = bool(known[0] and name) and arguments is not None
        yield self.event(self._name if not known[0] else "", rest, aliases, restated=restated)
        if differs:
            yield DIFFERS

    def _aliases(self) -> tuple[str, ...]:
        """Return other names of a tool that is one of several under a name of their own."""
        if self.kind == _APPROVAL:
            return qualified(self._namespace, self._name), self._namespace
        # Clients that know no namespaces are told of such a tool under one of these names.
        return tuple(f"{self._namespace}{mark}{self._name}" for mark in (".", "__", ""))

    def event(
        self, name: str = "", arguments: str = "", aliases: tuple[str, ...] = (), *, restated: bool = False
    ) -> ToolCallDelta:
        """Return an event of this call."""
        return ToolCallDelta(self.index, self.id, name, arguments, self.server, aliases, restated)

    def piece(self, piece: str) -> Event:
        """Take a piece of the arguments."""
        first = not self._pieces
        self._pieces.append(piece)
        if self.kind == "custom_tool_call":
            return self.event()  # free text becomes JSON when it is whole
        return self.event(arguments=self._announced + piece if first else piece)

    def part(self, index: int, text: str, *, whole: bool) -> Iterator[Event]:
        """Take a part of the arguments, or a piece of one."""
        yield self.event()
        said = self._parts.get(index, "")
        if whole and said and text != said:
            yield DIFFERS
        self._parts[index] = text if whole else said + text

    def settle(self) -> Iterator[Event]:
        """The answer has ended: arguments that were only announced, or only came in pieces, count."""
        said = self._announced + "".join(self._pieces)
        if self._final is None and said:
            _, rest = self._finish(said)
            yield self.event(arguments=rest)
        if not (self._name or self.server):
            yield Unknown("call without a name")  # some client adds its pieces to another call
        if self._final is None:
            differs = bool(self._parts)
        else:
            # Pieces may have come after the whole.
            differs = bool(self._pieces) and said != self._final
            differs = differs or (bool(self._parts) and not self._has_parts(self._final))
        if differs:
            yield DIFFERS

    def _announce(self, arguments: str) -> bool:
        """Take the arguments of an item that has only begun; return whether they contradict others."""
        if arguments in ("", "{}"):
            return False
        if self.kind in _PIECEWISE:
            # Some clients append the pieces to what an item begins with.
            known = self._announced + "".join(self._pieces) if self._final is None else self._final
            if known:
                return arguments != known
        elif not self.server:
            if self._final is not None:
                return not _grows(arguments, self._final)
            if self._announced and not _grows(self._announced, arguments):
                return True
        self._announced = arguments
        return False

    def _finish(self, arguments: str) -> tuple[bool, str]:
        """Take the whole arguments; return whether they contradict others, and what was not yet told."""
        if self._final is not None:
            return not self._same(arguments, self._final), ""
        self._final = arguments
        said = self._announced + "".join(self._pieces)
        differs = False
        if said and self.kind in _PIECEWISE:
            differs = arguments != said
        elif said and not self.server:
            differs = not _grows(said, arguments)
        if self._parts and not self._has_parts(arguments):
            differs = True
        if self.kind == "custom_tool_call":
            return differs, _encode({"input": arguments}).decode()
        return differs, "" if self._pieces else arguments

    def _same(self, one: str, other: str) -> bool:
        if one == other or self.kind in _PIECEWISE:
            return one == other
        return bool(_value(one) == _value(other))

    def _has_parts(self, arguments: str) -> bool:
        """Whether the arguments are made of the parts that were told."""
        try:
            value = _value(arguments)
            parts = value["commands"] if self.kind == "shell_call" else [value["diff"]]
        except (*UNREADABLE, KeyError, TypeError):
            return False
        return bool(parts == [self._parts[index] for index in sorted(self._parts)])


def _grows(begun: str, arguments: str) -> bool:
    """Whether arguments only fill in what was empty or missing when their item began."""
    return begun == arguments or _fills(_value(begun), _value(arguments))


def _fills(old: Any, new: Any) -> bool:
    if old in _NOTHING or old == new:
        return True
    if isinstance(old, dict) and isinstance(new, dict):
        return all(key in new and _fills(value, new[key]) for key, value in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_fills, old, new))
    return False


class Calls:
    """All calls of one answer, found by any name that a frame gives them."""

    def __init__(self, request: RequestAdapter) -> None:
        self._request = request
        self._all: list[Call] = []
        self._by_place: dict[int, Call] = {}
        self._by_id: dict[str, Call] = {}

    @property
    def waiting(self) -> bool:
        """Whether the client has something to run."""
        return any(not call.server for call in self._all)

    def client_runs(self, place: object) -> bool:
        """Whether the client has to run what is at an output index."""
        call = self._by_place.get(place) if isinstance(place, int) else None
        return call is not None and not call.server

    def item(self, item: wire.Item, place: int, *, complete: bool, snapshot: bool = False) -> Iterator[Event]:
        """Read an item that is a call; in a snapshot its place counts only where its ids are new."""
        server = not runs_at_client(item)
        ids = [key for key in (text(item.call_id), text(item.id)) if key]
        named = [self._by_id[key] for key in ids if key in self._by_id]
        placed = self._by_place.get(place)
        call = named[0] if named else placed
        if call is None:
            call = self._new(item.type, place, server=server)
        others = named if snapshot or placed is None else [*named, placed]
        if call.kind != item.type or call.server != server or any(other is not call for other in others):
            call.server = call.server and server
            yield call.event()
            yield DIFFERS
            return
        call.id = call.id or (ids[0] if ids else "")
        self._by_id.update((key, call) for key in ids)
        name = CALLS[item.type] or text(item.name)
        if name == "computer":
            name = computer_name(self._request.tools)
        namespace = text(item.server_label if item.type == _APPROVAL else item.namespace)
        yield from call.state(name, arguments(item), namespace, complete=complete)

    def of(self, event: wire.Event, place: int, kind: str) -> tuple[Call, bool]:
        """Return the call that an event belongs to, and whether the event says of it what can't be."""
        named = self._by_id.get(text(event.item_id))
        call = self._by_place.get(place) or named or self._new(kind, place, server=kind in SERVER_CALLS)
        return call, named not in (None, call) or (
            call.kind != kind and (call.server or not {call.kind, kind}.issubset(_PIECEWISE))
        )

    def settle(self) -> Iterator[Event]:
        """The answer has ended."""
        for call in self._all:
            yield from call.settle()

    def _new(self, kind: str, place: int, *, server: bool) -> Call:
        call = Call(len(self._all), kind, server=server)
        self._all.append(call)
        if place >= 0:
            self._by_place.setdefault(place, call)
        return call
