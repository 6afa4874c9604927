"""Values that a database refuses, made into ones that it takes; and what it says of them, without them.

What clients and providers say is stored: a null character (PostgreSQL has none in text), half of a surrogate pair,
a number of more than 64 bits, a time that is none. One such value must not hold up a batch for ever.
"""

import math
import re
from typing import Any, TypeVar

import msgspec

_Value = TypeVar("_Value", bound=msgspec.Struct)
_VALUE = re.compile(r"(invalid input for query argument \$\d+).*", re.DOTALL)
"""How asyncpg says of a value that it does not fit, and then the value."""
_LARGEST = 2**48
"""Of numbers that are added up: the sum has 64 bits too."""


def mended_struct(value: _Value) -> _Value:
    """Return a struct in which every value can be stored; the same one if all can."""
    changes = {}
    for name in value.__struct_fields__:
        old = getattr(value, name)
        new = mended(old)
        if new is not old:
            changes[name] = new
    return msgspec.structs.replace(value, **changes) if changes else value


def mended(value: Any) -> Any:
    """Return a value that can be stored; the same one if it can."""
    match value:
        case str():
            return value if _is_plain(value) else _text(value)
        case bool() | None:
            return value
        case int():
            return value if -_LARGEST <= value <= _LARGEST else (_LARGEST if value > 0 else -_LARGEST)
        case float():
            return value if math.isfinite(value) else 0.0
        case dict():
            return {mended(key): mended(each) for key, each in value.items()}
        case list():
            return [mended(each) for each in value]
        case tuple():
            return tuple(mended(each) for each in value)
        case msgspec.Struct():
            return mended_struct(value)
    return value


def reason(error: BaseException) -> str:
    """Return what went wrong without the statement and its values, which hold what was said."""
    cause = getattr(error, "orig", None) or error
    said = _VALUE.sub(r"\1", str(cause))
    return f"{type(cause).__name__}: {said}"


def _is_plain(text: str) -> bool:
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(text: str) -> str:
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()
