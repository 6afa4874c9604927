"""Compare JSON documents by the bytes of their values."""

import msgspec

from gateway.core.view import Path

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array = msgspec.json.Decoder(list[msgspec.Raw])


def members(document: bytes) -> dict[str | int, bytes] | None:
    """Return the bytes of an object's or an array's values; None for any other document."""
    match document.lstrip()[:1]:
        case b"{":
            return {key: bytes(value) for key, value in _object.decode(document).items()}
        case b"[":
            return {index: bytes(value) for index, value in enumerate(_array.decode(document))}
    return None


def value_at(document: bytes, path: Path) -> bytes:
    """Return the bytes of the value at a path."""
    for key in path:
        document = (members(document) or {})[key]
    return document


def differences(old: bytes, new: bytes, path: Path = ()) -> list[Path]:
    """Return the deepest paths at which the bytes of the values differ."""
    if old == new:
        return []
    before, after = members(old), members(new)
    if before is None or after is None or old.lstrip()[:1] != new.lstrip()[:1]:
        return [path]
    found: list[Path] = []
    for key in {**before, **after}:
        if key in before and key in after:
            found += differences(before[key], after[key], (*path, key))
        else:
            found.append((*path, key))
    return found
