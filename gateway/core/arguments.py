"""A call's arguments as a policy sees them: one JSON object that every parser reads alike, or none at all."""

import hashlib
from typing import Any

import msgspec

from gateway.core.strict import UNREADABLE, Ambiguous, tree

_LARGEST = 1 << 20
"""Bytes."""
_DEEPEST = 64
_canonical = msgspec.json.Encoder(order="deterministic").encode


class Unjudgeable(Exception):
    """Arguments of which nobody can say how a client reads them; the message says why."""


def read_arguments(text: str) -> dict[str, Any]:
    """Return the arguments; raise ``Unjudgeable`` for what is no object, or not the same one to every parser."""
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise Unjudgeable("half of a surrogate pair is in them") from None
    if len(data) > _LARGEST:
        raise Unjudgeable(f"they are longer than {_LARGEST >> 20} MiB")
    try:
        value, _ = tree(data)
    except Ambiguous:
        raise Unjudgeable("a key is in them twice") from None
    except (*UNREADABLE, ValueError):
        raise Unjudgeable("they are no JSON") from None
    if not isinstance(value, dict):
        raise Unjudgeable("they are no JSON object")
    if text.count("{") + text.count("[") > _DEEPEST and _is_deep(value):
        raise Unjudgeable(f"they are nested more than {_DEEPEST} deep")
    return value


def arguments_hash(text: str) -> str:
    """Return the SHA-256 of canonical arguments, or of the text itself where they can't be read."""
    try:
        data = _canonical(read_arguments(text))
    except Unjudgeable:
        data = text.encode(errors="surrogatepass")
    return hashlib.sha256(data).hexdigest()


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return any(isinstance(each, dict | list) for each in level)
