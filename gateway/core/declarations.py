"""The tools that were declared last are remembered: a client declares the same ones, in the same bytes, at every turn."""

from collections import OrderedDict
from collections.abc import Callable, Iterable

import msgspec

from gateway.core.view import Tool

_LEAST = 512
"""Bytes that take longer to read than to look up."""

Read = Callable[[msgspec.Raw], Iterable[Tool]]


class Declarations:
    """Remembers what was read of lists of tools, within a bound of bytes."""

    def __init__(self, limit: int = 2 << 20) -> None:
        self._limit = limit
        self._size = 0
        self._known: OrderedDict[tuple[Read, bytes], tuple[Tool, ...]] = OrderedDict()

    def read(self, raw: msgspec.Raw, read: Read) -> tuple[Tool, ...]:
        """Return what a function of nothing but these bytes reads."""
        data = bytes(raw)
        if len(data) < _LEAST:
            return tuple(read(raw))
        key = (read, data)
        tools = self._known.get(key)
        if tools is None:
            tools = tuple(read(msgspec.Raw(data)))  # of a copy, lest a schema keep the whole request
            if len(data) <= self._limit >> 2:
                self._known[key] = tools
                self._size += len(data)
            while self._size > self._limit:
                self._size -= len(self._known.popitem(last=False)[0][1])
        else:
            self._known.move_to_end(key)
        return tools


DECLARATIONS = Declarations()
"""Of the whole process: adapters are made anew for every request."""
