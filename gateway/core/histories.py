"""What was read of conversations is remembered, since agents resend theirs at every turn.

The elements that a history has in common with an earlier one are found by comparing bytes, which costs a hundredth of
reading them. What is remembered depends on those bytes alone, so it is the same for whoever sends them.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from operator import itemgetter

from gateway.core.edit import spans
from gateway.core.reference import Reference
from gateway.core.view import Path, ToolResult

LEAST = 4096
"""Bytes of a history that is worth remembering."""
_HEAD = 256
"""Bytes by which histories are looked up: conversations of one agent often begin alike."""
_EACH = 200
"""Bytes beside those of an element, a call or a result, roughly."""
_ALIKE = 8
"""Histories that are kept of those that begin alike."""
_AFTER = re.compile(rb"[ \t\r\n]*+([],])")

Kind = tuple[type, Path]
"""The adapter that reads a history, and where that is in the body: part of what is read."""


class Log:
    """The calls, the results and the mere references in a history, in their order."""

    __slots__ = ("_calls", "_ends", "_marks", "names", "opening", "pieces", "prefix", "references", "results")

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        """Of the calls so far, by their ids; of those without an id, by the name itself after a line feed."""
        self.results: list[ToolResult] = []
        self.references: list[Reference] = []
        self.prefix = b""
        """The array that was read, to the end of its last element."""
        self.opening = 0
        """Where its first element begins."""
        self.pieces: list[bytes] = []
        """Its elements, each but the first with the separator before it; the same objects at every turn."""
        self._calls: list[tuple[str, str]] = []
        self._ends: list[int] = []
        self._marks: list[tuple[int, int, int]] = []  # of all three, after each element

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def size(self) -> int:
        """Bytes that it takes in memory, roughly: the history is in it twice, and more than that of tiny elements."""
        return 2 * len(self.prefix) + _EACH * (len(self._ends) + len(self._calls) + len(self.results))

    @property
    def known(self) -> int:
        """Where the last element ends."""
        return self._ends[-1] if self._ends else 0

    def call(self, id_: str, name: str) -> None:
        """Note a call."""
        self._calls.append((id_, name))
        self.names[id_ or f"\n{name}"] = name

    def was_called(self, name: str) -> bool:
        """Whether there was a call of this name without an id."""
        return f"\n{name}" in self.names

    def end(self, array: bytes, start: int, end: int) -> None:
        """Note where in the array an element was, when it has been read."""
        if not self._ends:
            self.opening = start
        self.pieces.append(array[self.known or start : end])
        self._ends.append(end)
        self._marks.append((len(self._calls), len(self.results), len(self.references)))

    def shared(self, array: bytes) -> int:
        """Return how many elements another history certainly begins with: of the last ones clients change some."""
        count, fewer = len(self._ends), 1
        prefix = self.prefix
        while not (array.startswith(prefix) and _AFTER.match(array, len(prefix))):
            count -= fewer
            fewer *= 2
            if count <= 0:
                return 0
            prefix = self.prefix[: self._ends[count - 1]]
        return count

    def first(self, count: int) -> "Log":
        """Return what is known of so many elements."""
        log = Log()
        calls, results, references = self._marks[count - 1]
        log._calls, log._ends, log._marks = (
            self._calls[:calls],
            self._ends[:count],
            self._marks[:count],
        )  # its own
        log.results, log.pieces, log.opening = self.results[:results], self.pieces[:count], self.opening
        log.references = self.references[:references]
        log.names = {id_ or f"\n{name}": name for id_, name in log._calls}  # its own
        return log

    def unread(self, array: bytes) -> Iterator[tuple[int, bytes, int]]:
        """Yield the place and the bytes of each element after those that are known, and where it begins."""
        rest, offset = array, 0
        if self.known:
            after = _AFTER.match(array, self.known)
            if after is None or after[1] == b"]":
                return
            offset = after.end() - 1
            rest = b"[" + array[after.end() :]
        for place, (begin, end) in enumerate(spans(rest), len(self._ends)):
            yield place, rest[begin:end], offset + begin


Take = Callable[[int, bytes, Log], None]
"""Reads one element of a history: its place, its bytes, and the log that takes its calls and results."""


class Histories:
    """Remembers the histories that were read last, within a bound of bytes."""

    def __init__(self, limit: int = 24 << 20) -> None:
        self._limit = limit
        self._size = 0
        self._alike: OrderedDict[tuple[Kind, bytes], list[Log]] = OrderedDict()

    def read(self, kind: Kind, array: bytes, take: Take) -> Log:
        """Return the log of a history, a JSON array."""
        if len(array) < LEAST:
            return _read(Log(), array, take)
        key = (kind, array[:_HEAD])
        alike = self._alike.get(key, ())
        shared, known = max(((log.shared(array), log) for log in alike), key=itemgetter(0), default=(0, None))
        log = _read(known.first(shared) if known and shared else Log(), array, take)
        if len(log) > 1 and log.size <= self._limit >> 2:
            self._keep(key, log, known if known and shared == len(known) else None)
        return log

    def _keep(self, key: tuple[Kind, bytes], log: Log, replaced: Log | None) -> None:
        alike = self._alike.setdefault(key, [])
        self._alike.move_to_end(key)
        if replaced is not None:
            alike.remove(replaced)
            self._size -= replaced.size
        alike.append(log)
        self._size += log.size
        if len(alike) > _ALIKE:
            self._size -= alike.pop(0).size
        while self._size > self._limit:
            oldest, logs = next(iter(self._alike.items()))
            self._size -= logs.pop(0).size
            if not logs:
                del self._alike[oldest]


def _read(log: Log, array: bytes, take: Take) -> Log:
    for place, element, start in log.unread(array):
        take(place, element, log)
        log.end(array, start, start + len(element))
    log.prefix = array[: log.known]
    return log


HISTORIES = Histories()
"""Of the whole process: adapters are made anew for every request."""
