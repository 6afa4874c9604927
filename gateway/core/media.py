"""JSON that a model reads, without the bytes of images, sound and files, which are no text to it."""

import re
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

_decode = msgspec.json.Decoder().decode
_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)


def without_media(document: bytes | msgspec.Raw, unread: AbstractSet[str]) -> str:
    """Return a JSON document as text, without the members that hold bytes, and without URLs that do."""
    return msgspec.json.encode(_readable(_decode(document), unread)).decode()


def _readable(value: Any, unread: AbstractSet[str]) -> Any:
    if isinstance(value, dict):
        return {key: _readable(each, unread) for key, each in value.items() if key not in unread}
    if isinstance(value, list):
        return [_readable(each, unread) for each in value]
    if isinstance(value, str) and _DATA_URL.match(value):
        return ""
    return value
