"""A client more lenient than any: it reads whatever looks like a call, anywhere, in any letter case and framing."""

import json  # noqa: TID251  # another parser than the gateway's
import re
from collections.abc import Iterator
from typing import Any

from tests.fuzz.judge import Call

SERVER_RUN = frozenset({"server_tool_use", "mcp_tool_use", "mcp_call", "web_search_call"})
_ARGUMENTS = ("arguments", "input", "args")
_ENDS = ("call", "calls", "tool_use", "approval_request")
_PLACES = ("function", "custom", "content_block", "tool")
_ECHOES = frozenset({"tools", "metadata", "input_schema", "parameters", "instructions", "tool_choice"})
_LINE = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_OPENING = re.compile(r"[{\[]")


class Pairs(list[tuple[str, Any]]):
    """An object with all its members, those of equal names too."""


_DECODER = json.JSONDecoder(object_pairs_hook=Pairs, parse_constant=str)


def documents(body: bytes) -> list[Any]:
    """Return every JSON document that can be found in some bytes: in events, in lines, and behind anything."""
    text = body.decode("utf-8", "replace")
    found = list(_scanned(text))
    data: list[str] = []
    for line in (*_LINE.split(text), ""):
        name, colon, value = line.partition(":")
        if colon and name.strip("\ufeff \x00").casefold() == "data":
            data.append(value.removeprefix(" "))
        elif not line:
            if len(data) > 1:  # what is in one line was found
                found += _scanned("\n".join(data))
            data = []
    return found


def _scanned(text: str) -> Iterator[Any]:
    position = 0
    while match := _OPENING.search(text, position):
        try:
            value, position = _DECODER.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            position = match.end()
        else:
            yield value


def calls(body: bytes) -> list[Call]:
    """Return all that looks like a call by itself; arguments that it does not say, or not all of, are unknown."""
    return [call for document in documents(body) for call in calls_in(document)]


def calls_in(document: Any) -> Iterator[Call]:
    """Yield what looks like a call in one document."""
    return _calls(document, "")


def _calls(value: Any, place: str) -> Iterator[Call]:
    if not isinstance(value, list):
        return
    if not isinstance(value, Pairs):
        for each in value:
            yield from _calls(each, place)
        return
    members = [(key.casefold(), child) for key, child in value]
    types = [child for key, child in members if key == "type" and isinstance(child, str)]
    if types and all(kind in SERVER_RUN for kind in types):
        return
    names = [child for key, child in members if key == "name" and isinstance(child, str) and child]
    # Text that is no JSON by intention is what a custom tool gets.
    said = [
        Pairs([("input", child)]) if key == "input" and isinstance(child, str) and child else child
        for key, child in members
        if key in _ARGUMENTS
    ]
    plain = place.casefold().replace("_", "")
    if names and (
        said
        or plain.endswith(_ENDS)
        or plain in _PLACES
        or any(kind.casefold().endswith(_ENDS) for kind in types)
    ):
        for name in names:
            yield name, None
            for arguments in said:
                if (read := _read(arguments)) is not None:
                    yield name, read
    if "local_shell_call" in types:
        yield "local_shell", None
    for key, child in value:
        if key.casefold() not in _ECHOES and not (names and key.casefold() in _ARGUMENTS):
            yield from _calls(child, key)


def _read(arguments: Any) -> Any:
    if isinstance(arguments, Pairs):
        return plain(arguments) or None
    return arguments if isinstance(arguments, str) and arguments.strip() not in ("", "{}") else None


def plain(value: Any, *, first: bool = False, fold: bool = False) -> Any:
    """Return a document as other parsers have it: with the last or the first of equal keys, perhaps in any letter case."""
    if isinstance(value, Pairs):
        pairs = reversed(value) if first else value
        return {
            _folded(key) if fold else key: plain(child, first=first, fold=fold and not _is_argument(key))
            for key, child in pairs
        }
    return [plain(each, first=first, fold=fold) for each in value] if isinstance(value, list) else value


def _folded(key: str) -> str:
    return key.casefold().replace("_", "")


def _is_argument(key: str) -> bool:
    return key.casefold() in _ARGUMENTS


def texts(value: Any) -> Iterator[str]:
    """Yield every key and every text in a document."""
    if isinstance(value, Pairs):
        for key, child in value:
            yield key
            yield from texts(child)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)
    elif isinstance(value, str):
        yield value
