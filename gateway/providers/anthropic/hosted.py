"""Results in the history that tools of the vendor's own brought: any shape, some of it encrypted."""

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.core.strict import UNREADABLE
from gateway.core.view import Path, Text

SUFFIX = "_tool_result"
"""How the types of their blocks end; before it stands the name of a tool."""

_ENCRYPTED = "encrypted_"
_ERROR = b'"error_code"'
_decode = msgspec.json.Decoder().decode


def failed(content: msgspec.Raw) -> bool:
    """Whether a result says that its tool failed."""
    return _ERROR in bytes(content)


def texts(content: msgspec.Raw, path: Path) -> Iterator[Text]:
    """Return what can be read of a result: a text as it is, else its JSON without what is encrypted or a file."""
    if not content:
        return
    try:
        found = _readable(_decode(content))
    except UNREADABLE:
        yield Text(bytes(content).decode(errors="replace"), path)
        return
    yield Text(found if isinstance(found, str) else msgspec.json.encode(found).decode(), path)


def _readable(value: Any) -> Any:
    if isinstance(value, list):
        return [_readable(each) for each in value]
    if not isinstance(value, dict):
        return value
    is_file = value.get("type") == "base64"
    return {
        key: _readable(each)
        for key, each in value.items()
        if not (key.startswith(_ENCRYPTED) or (is_file and key == "data"))
    }
