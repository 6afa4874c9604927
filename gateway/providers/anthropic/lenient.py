"""Read members that may be missing or of another type than the vendor says: then there is nothing to read."""

from typing import Any, Generic, TypeVar

import msgspec

_T = TypeVar("_T")

_elements = msgspec.json.Decoder(list[msgspec.Raw])
_text = msgspec.json.Decoder(str)


def text(value: Any) -> str:
    """Return a string as it is, and anything else as an empty one."""
    return value if isinstance(value, str) else ""


def read(decoder: msgspec.json.Decoder[_T], raw: msgspec.Raw) -> _T | None:
    """Decode one member."""
    if not raw:  # most are missing in most frames, and raising costs more than all the rest
        return None
    try:
        return decoder.decode(raw)
    except msgspec.DecodeError:
        return None


def read_text(raw: msgspec.Raw) -> str | None:
    """Decode a member that is a string."""
    return read(_text, raw)


class Elements(Generic[_T]):
    """Decodes the elements of an array, but for those that can't be read."""

    def __init__(self, kind: type[_T]) -> None:
        self._all = msgspec.json.Decoder(list[kind])  # type: ignore[valid-type]  # a type made at run time
        self._one = msgspec.json.Decoder(kind)

    def read(self, raw: msgspec.Raw) -> list[tuple[int, _T]]:
        """Return the elements with their places."""
        if (values := read(self._all, raw)) is not None:
            return list(enumerate(values))
        elements = read(_elements, raw)
        readable = ((index, read(self._one, element)) for index, element in enumerate(elements or ()))
        return [(index, value) for index, value in readable if value is not None]
