"""Replace values at paths in JSON bytes, or cut them at an array; every byte that nobody named stays as it is."""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

import msgspec

from gateway.core.strict import UNREADABLE
from gateway.core.view import Path

_Changes = Mapping[Path, bytes | None]
_Splice = tuple[int, int, bytes]
_Child = tuple[str | int, int, int, int]  # a key; where it starts; where its value starts and ends
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array = msgspec.json.Decoder(list[msgspec.Raw])
_key = msgspec.json.Decoder(str)

_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_GAP = re.compile(rb"[ \t\r\n]*+,?[ \t\r\n]*+")
_KEY = re.compile(_GAP.pattern + rb"(" + _STRING + rb")[ \t\r\n]*+:[ \t\r\n]*+")
_TOKEN = re.compile(rb"([\[{])|([\]}])|" + _STRING + rb'|[^][{}",: \t\r\n]++', re.DOTALL)
_NESTING = {1: 1, 2: -1, None: 0}  # by the group of _TOKEN that matched


def edit(document: bytes, changes: _Changes) -> bytes:
    """Return the document with each path's value replaced by JSON bytes, or removed for ``None``.

    A key that is missing is added at the end of its object; its parent must be there. Of equal keys the last
    one is replaced, since it is the one that counts, but all are removed. Raises ``KeyError`` or ``IndexError``
    for a path that leads nowhere.
    """
    if () in changes:
        return changes[()] or b"null"
    whole = memoryview(document)
    pieces: list[bytes | memoryview] = []
    position = 0
    for start, end, new in sorted(_splices(document, _after_gap(document, 0), len(document), changes)):
        pieces += (whole[position:start], new)
        position = end
    return b"".join((*pieces, whole[position:]))


def split(document: bytes, path: Path) -> tuple[bytes, list[bytes], bytes] | None:
    """Return what stands before the elements of the array at a path, the elements, and what stands after them.

    Each element but the first has the separator before it, so all joined are the document. None where the path
    leads to no array, or the document can't be read.
    """
    start, end = _after_gap(document, 0), len(document)
    try:
        for key in path:
            start, end = next(
                child[2:] for child in reversed(_children(document, start, end)) if child[0] == key
            )
        if not document.startswith(b"[", start):
            return None
        elements = _items(document, start, end)
    except (*UNREADABLE, StopIteration):
        return None
    first = elements[0][1] if elements else start + 1
    ends = [first, *(element[3] for element in elements)]
    return document[:first], [document[a:b] for a, b in pairwise(ends)], document[ends[-1] :]


def spans(array: bytes) -> list[tuple[int, int]]:
    """Return where each element of an array begins and ends."""
    return [child[2:] for child in _items(array, 0, len(array))]


def places(document: bytes, path: Path) -> Iterator[tuple[int, int]]:
    """Yield where each value begins and ends that a path leads to: of equal keys all; an index of -1 stands for all."""
    found = [(_after_gap(document, 0), len(document.rstrip()))]
    for step in path:
        opening = b"{" if isinstance(step, str) else b"["
        found = [
            child[2:]
            for start, end in found
            if document.startswith(opening, start)
            for child in _children(document, start, end)
            if step in (child[0], -1)
        ]
    yield from found


def _splices(document: bytes, start: int, end: int, changes: _Changes) -> Iterator[_Splice]:
    """Yield what to put in place of which bytes of the object or array that starts and ends there."""
    below: dict[str | int, dict[Path, bytes | None]] = {}
    for path, value in changes.items():
        below.setdefault(path[0], {})[path[1:]] = value
    is_object = document.startswith(b"{", start)
    if not is_object and not document.startswith(b"[", start):
        raise KeyError(next(iter(below)))
    children = _children(document, start, end)
    places = {child[0]: child for child in children}
    removed = set()
    added = []
    for key, inner in below.items():
        if isinstance(key, str) is not is_object:
            raise KeyError(key)
        place = places.get(key)
        if () not in inner:
            if place is None:
                raise KeyError(key) if is_object else IndexError(key)
            yield from _splices(document, *place[2:], inner)
        elif (new := inner[()]) is None:
            removed.add(key)
        elif place is not None:
            yield *place[2:], new or b"null"
        elif is_object:
            added.append(msgspec.json.encode(key) + b":" + (new or b"null"))
        else:
            raise IndexError(key)
    if removed:
        yield from _removals(document, children, removed)
    if added:
        if not removed.issuperset(places):
            added.insert(0, b"")  # a comma goes before the first one
        at = children[-1][3] if children else start + 1
        yield at, at, b",".join(added)


def _removals(document: bytes, children: list[_Child], removed: set[str | int]) -> Iterator[_Splice]:
    """A child goes with the comma before it; with the one after it when no child is left before it."""
    first = True
    for number, (key, start, _, end) in enumerate(children, 1):
        if key not in removed:
            first = False
        elif not first:
            yield document.rindex(b",", 0, start), end, b""
        else:
            yield start, children[number][1] if number < len(children) else end, b""


def _children(document: bytes, start: int, end: int) -> list[_Child]:
    if document.startswith(b"{", start):
        return _members(document, start, end)
    return _items(document, start, end) if document.startswith(b"[", start) else []


def _items(document: bytes, start: int, end: int) -> list[_Child]:
    raws = _array.decode(memoryview(document)[start:end])
    position = _after_gap(document, start + 1)
    gap = 0  # for gaps that differ
    if len(raws) > 1:
        # Where every gap is like the first one, none has to be looked at.
        first = position + len(raws[0])
        gap = _after_gap(document, first) - first
        if not document.startswith(document[first : first + gap].join(raws), position):
            gap = 0
    children: list[_Child] = []
    for index, raw in enumerate(raws):
        value = position if gap else _after_gap(document, position)
        position = value + len(raw)
        children.append((index, value, value, position))
        position += gap
    return children


def _members(document: bytes, start: int, end: int) -> list[_Child]:
    raws = _object.decode(memoryview(document)[start:end])
    children: list[_Child] = []
    position = start + 1
    while between := _KEY.match(document, position):
        key = _key.decode(between[1])
        value = between.end()
        raw = raws[key]
        position = value + len(raw)
        # It may be another value, which a later member replaces, or a longer number.
        if not document.startswith(raw, value) or document[position] not in b",} \t\r\n":
            position = _end(document, value)
        children.append((key, between.start(1), value, position))
    return children


def _end(document: bytes, position: int) -> int:
    """Return where the value ends that starts at a position."""
    depth = 0
    tokens = _TOKEN.finditer(document, position)
    return next(token.end() for token in tokens if not (depth := depth + _NESTING[token.lastindex]))


def _after_gap(document: bytes, position: int) -> int:
    gap = _GAP.match(document, position)
    return gap.end() if gap else position
