"""Replace values at paths in JSON bytes; every other value keeps its bytes."""

from collections.abc import Mapping

import msgspec

from gateway.core.view import Path

_Raw = msgspec.Raw
_object = msgspec.json.Decoder(dict[str, _Raw])
_array = msgspec.json.Decoder(list[_Raw])
_encode = msgspec.json.encode


def edit(document: bytes, changes: Mapping[Path, bytes | None]) -> bytes:
    """Return the document with each path's value replaced by JSON bytes, or removed for ``None``.

    A key that is missing is added; its parent must be there. Raises ``KeyError`` or ``IndexError`` for a path
    that leads nowhere.
    """
    if () in changes:
        return changes[()] or b"null"
    below: dict[str | int, dict[Path, bytes | None]] = {}
    for path, value in changes.items():
        below.setdefault(path[0], {})[path[1:]] = value
    if document.lstrip()[:1] == b"[":
        return _edit_array(_array.decode(document), below)
    return _edit_object(_object.decode(document), below)


def _edit_object(members: dict[str, _Raw], below: Mapping[str | int, Mapping[Path, bytes | None]]) -> bytes:
    for key, changes in below.items():
        if not isinstance(key, str):
            raise KeyError(key)
        if changes.get((), b"") is None:
            members.pop(key, None)
        elif () in changes:
            members[key] = _Raw(changes[()] or b"null")
        else:
            members[key] = _Raw(edit(bytes(members[key]), changes))
    return _encode(members)


def _edit_array(items: list[_Raw], below: Mapping[str | int, Mapping[Path, bytes | None]]) -> bytes:
    removed = set()
    for index, changes in below.items():
        if not isinstance(index, int):
            raise KeyError(index)
        if changes.get((), b"") is None:
            removed.add(index)
        else:
            items[index] = _Raw(edit(bytes(items[index]), changes))
    return _encode([item for index, item in enumerate(items) if index not in removed])
