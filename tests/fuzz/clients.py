"""Clients that put calls together from an answer's events, each in its own plausible way.

They read documents whose keys are folded: in lower case, without underscores.
"""

import json  # noqa: TID251  # another parser than the gateway's
from collections.abc import Callable, Iterator
from typing import Any

from tests.fuzz.judge import Call


class _Building:
    """A call that grows."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.pieces: list[str] = []

    def add(self, name: Any, piece: Any) -> None:
        if isinstance(name, str) and name:
            self.names.append(name)
        if isinstance(piece, str):
            self.pieces.append(piece)

    def calls(self, *, joined: bool = True) -> Iterator[Call]:
        """Clients join the pieces of a name, where it may come in some, or keep the first or the last one."""
        arguments = "".join(self.pieces)
        names = ["".join(self.names)] if joined else []
        for name in dict.fromkeys((*names, *self.names[:1], *self.names[-1:])):
            if name:
                yield name, arguments


def _text(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict | list) else value


def _members(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if isinstance(value, dict) else []


def _key(value: Any) -> Any:
    return value if isinstance(value, int | str | float | None) else repr(value)


_Fragment = tuple[Any, Any, Any, Any, Any]
"""Choice, index, id, name and piece of a call."""


def _chat_fragments(documents: list[Any], place: str) -> Iterator[_Fragment]:
    for document in documents:
        for position, choice in enumerate(_list(_members(document).get("choices"))):
            number = _members(choice).get("index")
            number = position if number is None else _key(number)
            part = _members(_members(choice).get(place))
            if function := _members(part.get("functioncall")):
                yield number, "legacy", None, function.get("name"), _text(function.get("arguments"))
            for at, call in enumerate(_list(part.get("toolcalls"))):
                members = _members(call)
                index = members.get("index")
                custom = _members(members.get("custom"))
                function = _members(members.get("function")) or custom or members
                piece = _text(function.get("arguments"))
                if custom:
                    piece = json.dumps({"input": custom.get("input")})
                yield (
                    number,
                    at if index is None else _key(index),
                    _key(members.get("id")),
                    function.get("name"),
                    piece,
                )


def _by_index(fragments: list[_Fragment]) -> Iterator[Call]:
    """As the vendor's helpers, LangChain and the AI SDK do."""
    building: dict[Any, _Building] = {}
    for number, index, _, name, piece in fragments:
        building.setdefault((number, index), _Building()).add(name, piece)
    for each in building.values():
        yield from each.calls()


def _by_id(fragments: list[_Fragment]) -> Iterator[Call]:
    """What has one id is one call, whose name is not repeated; a fragment without an id goes on with its index."""
    building: dict[Any, _Building] = {}
    ids: dict[Any, Any] = {}
    for number, index, id_, name, piece in fragments:
        here = ids[number, index] = (
            (number, id_) if id_ else ids.get((number, index), (number, index, "none"))
        )
        growing = building.setdefault(here, _Building())
        growing.add("" if growing.names[-1:] == [name] else name, piece)
    for each in building.values():
        yield from each.calls()


def _by_change_of_id(fragments: list[_Fragment]) -> Iterator[Call]:
    """An index stands for another call once its id changes."""
    building: dict[Any, tuple[Any, _Building]] = {}
    for number, index, id_, name, piece in fragments:
        known = building.get((number, index))
        if known is None or (id_ and known[0] and id_ != known[0]):
            if known:
                yield from known[1].calls()
            known = building[number, index] = (id_, _Building())
        known[1].add(name, piece)
    for _, each in building.values():
        yield from each.calls()


def chat(documents: list[Any]) -> Iterator[Call]:
    whole = [*_chat_fragments(documents, "message")]
    for *_, name, piece in whole:
        if isinstance(name, str) and name:
            yield name, piece if isinstance(piece, str) else ""
    deltas = [*_chat_fragments(documents, "delta")]
    for way in (_by_index, _by_id, _by_change_of_id):
        yield from way(deltas)


def responses(documents: list[Any]) -> Iterator[Call]:
    for key in ("outputindex", "itemid"):
        building: dict[Any, _Building] = {}
        names: dict[Any, str] = {}
        said: list[tuple[Any, str]] = []
        for document in documents:
            event = _members(document)
            kind = event.get("type")
            item = _members(event.get("item"))
            here = _key(
                event.get("outputindex") if key == "outputindex" else item.get("id") or event.get("itemid")
            )
            if not isinstance(kind, str):
                continue
            if "callargumentsdelta" in kind.replace("_", "").replace(".", ""):
                building.setdefault(here, _Building()).add("", event.get("delta"))
            elif "callargumentsdone" in kind.replace("_", "").replace(".", ""):
                said.append((here, event.get("arguments")))
            elif item and item.get("type") in ("function_call", "mcp_approval_request"):
                name = item.get("name")
                if isinstance(name, str) and name:
                    names.setdefault(here, name)
                if kind == "response.output_item.added":
                    building.setdefault(here, _Building()).add(name, item.get("arguments"))
        for here, name in names.items():
            for where, arguments in said:
                if where == here and isinstance(arguments, str):
                    yield name, arguments
        for each in building.values():
            if "".join(each.pieces):  # else it has only been announced
                yield from each.calls(joined=False)


def anthropic(documents: list[Any]) -> Iterator[Call]:
    for by_index in (True, False):
        building: dict[Any, _Building] = {}
        begun: dict[Any, Any] = {}
        for document in documents:
            event = _members(document)
            here = _key(event.get("index")) if by_index else len(building) - 1
            if event.get("type") == "content_block_start":
                block = _members(event.get("contentblock"))
                here = here if by_index else len(building)
                if here in building:
                    yield from _finished(building[here], begun[here])
                building[here] = _Building()
                if block.get("type") == "tool_use":
                    building[here].add(block.get("name"), "")
                begun[here] = block.get("input")
            elif event.get("type") == "content_block_delta" and here in building:
                building[here].add("", _members(event.get("delta")).get("partialjson"))
        for here, each in building.items():
            yield from _finished(each, begun[here])


def _finished(building: _Building, begun: Any) -> Iterator[Call]:
    for name, arguments in building.calls():
        yield name, arguments or (begun if isinstance(begun, dict) else "")


def gemini(documents: list[Any]) -> Iterator[Call]:
    building: dict[Any, tuple[str, dict[str, Any]]] = {}
    for document in documents:
        for chunk in document if isinstance(document, list) else [document]:
            for candidate in _list(_members(chunk).get("candidates")):
                index = _key(_members(candidate).get("index"))
                for part in _list(_members(_members(candidate).get("content")).get("parts")):
                    call = _members(part).get("functioncall")
                    if not isinstance(call, dict):
                        continue
                    name = call.get("name")
                    if isinstance(name, str) and name:
                        if index in building:
                            yield building[index]
                        arguments = call.get("args")
                        building[index] = (name, dict(arguments) if isinstance(arguments, dict) else {})
                    if index in building:
                        _fill(building[index][1], call.get("partialargs"))
    yield from building.values()


def _fill(arguments: dict[str, Any], pieces: Any) -> None:
    for piece in _list(pieces):
        path = _members(piece).get("jsonpath")
        value = _members(piece).get("stringvalue")
        if isinstance(path, str) and isinstance(value, str):
            name = path.removeprefix("$.")
            arguments[name] = str(arguments.get(name, "")) + value


CLIENTS: dict[str, Callable[[list[Any]], Iterator[Call]]] = {
    "chat": chat,
    "responses": responses,
    "anthropic": anthropic,
    "gemini": gemini,
}
