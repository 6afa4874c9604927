"""Numbers of tokens as providers say them: whole, not negative, and small enough to be one; any other is not known."""

from typing import Any

_LARGEST = 1 << 53
"""Above it JSON's numbers are not exact, and no answer is that long."""


def count(value: Any) -> int | None:
    """Return a number of tokens; None for what can't be one."""
    return value if type(value) is int and 0 <= value < _LARGEST else None
