"""JSON that every parser reads alike, or an error that says where it is not.

``msgspec`` decodes strictly, but keeps the last of two equal keys like any other parser, skips what nobody
asked for without looking inside strings, and says little about some faults. A gate that reads one of two
``name`` keys, while a client reads the other, is no gate.
"""

import json  # noqa: TID251  # the only parser at hand that shows duplicate keys
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Any, TypeVar

import msgspec

from gateway.core.errors import BadRequest

_T = TypeVar("_T")
_SMALL = 64 << 10
_WHITE_SPACE = b" \t\r\n"
_KEY = re.compile(rb'[ \t\r\n]*,?[ \t\r\n]*"(?:[^"\\]|\\.)*"[ \t\r\n]*:[ \t\r\n]*')
_decode = msgspec.json.decode
_encode = msgspec.json.encode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a decoder raises on a document that can't be read."""

# A high surrogate that no low one follows, or a low one that no high one precedes; a backslash before it may
# itself be escaped, so pairs of them are stepped over.
_SURROGATES = re.compile(
    rb"(?:\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)


class Ambiguous(Exception):
    """A document that two parsers may read differently."""


def tree(data: bytes) -> tuple[Any, bytes]:
    """Decode a document in which no key occurs twice; return it and its canonical bytes.

    Raises :class:`Ambiguous` for a duplicate key at any depth, and what ``msgspec`` raises for anything else.
    In the canonical bytes nothing is escaped that need not be, so a key can be searched for as text.
    """
    value = _decode(data)
    canonical = _encode(value)
    # A dropped duplicate makes the canonical document differ in its bytes outside white space. Escapes and
    # unusual numbers make it differ too, so only then the slow, exact check decides.
    if canonical != data and canonical.translate(None, _WHITE_SPACE) != data.translate(None, _WHITE_SPACE):
        json.loads(data, object_pairs_hook=_unique)
    return value, canonical


_NOTHING: AbstractSet[str] = frozenset()


def call_names(
    value: Any,
    canonical: bytes,
    keys: AbstractSet[str] = _NOTHING,
    echoes: AbstractSet[str] = _NOTHING,
    *,
    thorough: bool = False,
) -> list[str]:
    """Return the names of objects that look like a tool call, in any letter case.

    That is a name beside arguments, or of what says itself that it is a call, by its type or its place: calls without
    arguments may leave them out.

    ``keys``: the lower-case members through which a client reaches a call. One that is spelt otherwise counts as
    a call without a name, since some clients ignore the case. ``echoes``: the members that repeat the request or
    hold results: nothing in them is a call. ``thorough``: look even where nothing has a name.
    """
    if thorough or b'"name":' in canonical.lower():
        return list(_call_names(value, keys, echoes))
    return []


# In canonical bytes a key is a string before a colon; in a text the quotation marks are escaped.
_CAPITAL_KEY = re.compile(rb'[A-Z]\w{0,32}":')


def has_capital_key(canonical: bytes) -> bool:
    """Whether some key of a document has a capital among its last letters."""
    return _CAPITAL_KEY.search(canonical) is not None


def duplicate_member(data: bytes) -> str | None:
    """Return a key that occurs twice at the top level of an object, if there is one."""
    members = _members.decode(data)
    if len(data) < _SMALL and _encode(members) == data:
        return None
    position = data.find(b"{") + 1
    for raw in members.values():
        # Between two values stand a comma and one key: more would be a member that another one replaced.
        between = _KEY.match(data, position)
        if not between or not data.startswith(raw, between.end()):
            break
        position = between.end() + len(raw)
    else:
        if data[position:].strip() == b"}":
            return None
    top: list[tuple[str, Any]] = []

    def keep(pairs: list[tuple[str, Any]]) -> None:
        top[:] = pairs  # the outermost object is closed last

    json.loads(data, object_pairs_hook=keep)
    return next((key for key, count in Counter(key for key, _ in top).items() if count > 1), None)


def has_repeated_key(data: bytes) -> bool:
    """Return whether a key occurs twice in a document, at any depth.

    A number may have any size, also one that no decoder takes. Raises one of ``UNREADABLE`` for what can't be read.
    """
    try:
        tree(data)
    except Ambiguous:
        return True
    except msgspec.ValidationError:
        try:
            json.loads(data, object_pairs_hook=_unique, parse_int=str, parse_float=str)
        except Ambiguous:
            return True
        except json.JSONDecodeError as error:
            raise msgspec.DecodeError(str(error)) from None
    return False


def _unique(pairs: list[tuple[str, Any]]) -> None:
    if len(pairs) > 1 and len({key for key, _ in pairs}) != len(pairs):
        raise Ambiguous


# Compared case-folded: to some clients the long s (U+017F) is an s.
_ARGUMENTS = frozenset({"arguments", "input", "args"})
_CALLS = ("call", "tool_use", "approval_request")
"""How the types of calls end, and the members that hold one, as in ``functionCall``."""


def _call_names(
    value: Any, keys: AbstractSet[str], echoes: AbstractSet[str], place: str = ""
) -> Iterator[str]:
    children: Iterable[tuple[str, Any]] = ()
    if isinstance(value, dict):
        if any(key not in keys and key.casefold() in keys for key in value):
            yield ""
        names = [
            child
            for key, child in value.items()
            if key.casefold() == "name" and isinstance(child, str) and child
        ]
        is_call = names and (
            place.casefold().endswith(_CALLS)
            or any(key.casefold() == "type" and _is_call(child) for key, child in value.items())
            or not _ARGUMENTS.isdisjoint(map(str.casefold, value))
        )
        if is_call:
            yield from names
        # What the arguments of a call look like is the tool's own business.
        children = [
            (key, child)
            for key, child in value.items()
            if key not in echoes and not (is_call and key.casefold() in _ARGUMENTS)
        ]
    elif isinstance(value, list):
        children = [(place, child) for child in value]
    for key, child in children:
        yield from _call_names(child, keys, echoes, key)


def _is_call(type_: Any) -> bool:
    return isinstance(type_, str) and type_.casefold().endswith(_CALLS)


def load(decoder: msgspec.json.Decoder[_T], body: bytes) -> _T:
    """Decode a request body, or raise :class:`BadRequest` that says what is wrong and where."""
    try:
        if not body.isascii():
            body.decode()
        return decoder.decode(body)
    except UnicodeDecodeError as error:
        raise BadRequest(f"The request body is not UTF-8: invalid byte at {error.start}.") from None
    except RecursionError:
        raise BadRequest("The request body is nested too deeply.") from None
    except msgspec.DecodeError as error:
        raise BadRequest(_explain(body, error)) from None


_HALF = "a character outside the basic plane is written as a pair of them."


def lone_surrogate(body: bytes) -> int | None:
    """Return where an escaped half of a surrogate pair stands without its other half."""
    for match in _SURROGATES.finditer(body):
        if match[1]:
            return match.start()
    return None


def _explain(body: bytes, error: msgspec.DecodeError) -> str:
    if not body.strip():
        return "The request body is empty; send a JSON object."
    if body.startswith(b"\xef\xbb\xbf"):
        return "The request body begins with a byte order mark; send plain UTF-8 JSON."
    if (where := lone_surrogate(body)) is not None:
        return f"The request body has a lone surrogate escape at byte {where}: {_HALF}"
    reason = str(error)
    if isinstance(error, msgspec.ValidationError):
        what, _, path = reason.partition(" - at `")
        return f"The request body is not valid at {path.rstrip('`') or '$'}: {what.replace('`', '')}."
    if reason == "Input data was truncated":
        return f"The request body is not valid JSON: it ends early, at byte {len(body)}."
    return f"The request body is not valid JSON: {reason.removeprefix('JSON is malformed: ')}."
