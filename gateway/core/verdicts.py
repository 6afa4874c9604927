"""Verdicts on results that were judged before: a history is sent again at every turn."""

from collections.abc import Hashable
from typing import Generic, TypeVar

_Verdict = TypeVar("_Verdict")


class Verdicts(Generic[_Verdict]):
    """Remembers verdicts by all that they depend on, within a bound of characters; when that is reached, anew."""

    def __init__(self, most: int = 50_000, limit: int = 16 << 20) -> None:
        """``limit``: of the results' characters that are part of what they are known by."""
        self._most = most
        self._limit = limit
        self._size = 0
        self._known: dict[Hashable, _Verdict] = {}

    def get(self, key: Hashable) -> _Verdict | None:
        """Return what was decided."""
        return self._known.get(key)

    def keep(self, key: Hashable, verdict: _Verdict, size: int) -> None:
        """``size``: characters of results in the key."""
        if size > self._limit >> 4:
            return
        self._size += size
        if self._size > self._limit or len(self._known) >= self._most:
            self._known.clear()
            self._size = size
        self._known[key] = verdict
