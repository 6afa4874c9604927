"""What was read of conversations is remembered, since agents resend theirs at every turn.

The elements that a history has in common with an earlier one are found by comparing bytes, which costs a hundredth of
reading them. What is remembered depends on those bytes alone, so it is the same for whoever sends them.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from gateway.core.edit import spans
from gateway.core.reference import Reference
from gateway.core.view import Path, ToolResult

LEAST = 4096
"""Bytes of a history that is worth remembering."""
_HEAD = 256
"""Bytes by which histories are looked up: conversations of one agent often begin alike."""
_EACH = 200
"""Bytes beside those of an element, a call or a result, roughly."""
_ENOUGH = 2
"""Elements that the next turn may write in another way."""
_ALIKE = 8
"""Histories that are kept of those that begin alike."""
_STARTS = 1024
"""Bodies of which it is remembered where their history is, one of those that begin alike."""
_SEPARATOR = b" \t\r\n,"
_AFTER = re.compile(rb"[ \t\r\n]*+([],])")

Kind = tuple[type, Path]
"""The adapter that reads a history, and where that is in the body: part of what is read."""


class Log:
    """The calls, the results and the mere references in a history, in their order."""

    __slots__ = (
        "_calls",
        "_ends",
        "_marks",
        "_texts",
        "inherited",
        "names",
        "opening",
        "pieces",
        "prefix",
        "references",
        "results",
    )

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
        self.inherited = 0
        """How many of its elements were read for an earlier history."""
        self._texts = 0  # of all results, and the results themselves
        self._calls: list[tuple[str, str]] = []
        self._ends: list[int] = []
        self._marks: list[tuple[int, int, int]] = []  # of all three, after each element

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def size(self) -> int:
        """Bytes that it takes in memory, roughly: the history is in it twice, and more than that of tiny elements."""
        parts = len(self._ends) + len(self._calls) + len(self.references) + self._texts
        return 2 * len(self.prefix) + _EACH * parts

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

    def end(self, document: bytes, start: int, begin: int, end: int) -> None:
        """Note where an element was, when it has been read; ``start``: where the array begins in the document."""
        if not self._ends:
            self.opening = begin
        self.pieces.append(document[start + (self.known or begin) : start + end])
        self._ends.append(end)
        self._texts += _count(self.results[self._marks[-1][1] if self._marks else 0 :])
        self._marks.append((len(self._calls), len(self.results), len(self.references)))

    def begin(self, place: int) -> int:
        """Return where an element begins."""
        return self._ends[place] - len(self.pieces[place].lstrip(_SEPARATOR))

    def shared(self, document: bytes, start: int) -> int:
        """Return how many elements a history certainly begins with: of the last ones clients change some.

        ``start``: where it begins in a document.
        """
        count, fewer = len(self._ends), 1
        prefix = self.prefix
        while not (document.startswith(prefix, start) and _AFTER.match(document, start + len(prefix))):
            count -= fewer
            fewer *= 2
            if count <= 0:
                return 0
            prefix = self.prefix[: self._ends[count - 1]]
        return count

    def first(self, count: int) -> "Log":
        """Return what is known of so many elements."""
        log = Log()
        log.inherited = count
        calls, results, references = self._marks[count - 1]
        log._calls, log._ends, log._marks = (
            self._calls[:calls],
            self._ends[:count],
            self._marks[:count],
        )  # its own
        log.results, log.pieces, log.opening = self.results[:results], self.pieces[:count], self.opening
        log.references = self.references[:references]
        log._texts = self._texts if count == len(self) else _count(log.results)
        log.names = {id_ or f"\n{name}": name for id_, name in log._calls}  # its own
        return log

    def unread(self, document: bytes, start: int, end: int) -> Iterator[tuple[int, bytes, int]]:
        """Yield the place and the bytes of each element after those that are known, and where it begins.

        ``start``, ``end``: those of the array in the document.
        """
        if not self.known:
            offset, rest = start, document[start:end]
        else:
            after = _AFTER.match(document, start + self.known)
            if after is None or after[1] == b"]":
                return
            offset = after.end() - 1
            rest = b"[" + document[after.end() : end]
        for place, (first, last) in enumerate(spans(rest), len(self._ends)):
            yield place, rest[first:last], offset + first - start


Take = Callable[[int, bytes, Log], None]
"""Reads one element of a history: its place, its bytes, and the log that takes its calls and results."""


class Recalled(NamedTuple):
    """What a body has in common with an earlier one, if its history is where that of the earlier one was."""

    log: Log
    shared: int
    """Elements of the log."""
    start: int
    """Where the history begins in the body."""

    @property
    def skipped(self) -> tuple[int, int]:
        """From where to where the body need not be read again: without that it is as valid, or as invalid, as it is.

        The last element that is known stays: what comes next may be right, or wrong, only after an element.
        """
        return self.start + self.log.opening, self.start + self.log.begin(self.shared - 1)


class Histories:
    """Remembers the histories that were read last, within a bound of bytes."""

    def __init__(self, limit: int = 24 << 20) -> None:
        self._limit = limit
        self._size = 0
        self._alike: OrderedDict[tuple[Kind, bytes], list[Log]] = OrderedDict()
        self._starts: OrderedDict[tuple[Kind, bytes], int] = OrderedDict()

    def note(self, kind: Kind, body: bytes, start: int) -> None:
        """Note where the history of a body begins: that of one which begins alike is looked for there."""
        key = kind, body[:_HEAD]
        self._starts[key] = start
        self._starts.move_to_end(key)
        if len(self._starts) > _STARTS:
            self._starts.popitem(last=False)

    def recall(self, kind: Kind, body: bytes) -> Recalled | None:
        """Return what the history of a body has in common with an earlier one, if it is where it was noted."""
        start = self._starts.get((kind, body[:_HEAD]))
        if start is None:
            return None
        shared, log = self._best(kind, body, start)
        return Recalled(log, shared, start) if log and shared > 1 else None

    def read(
        self,
        kind: Kind,
        document: bytes,
        take: Take,
        start: int = 0,
        end: int | None = None,
        recalled: Recalled | None = None,
    ) -> Log:
        """Return the log of a history, a JSON array; ``start``, ``end``: those of the array in the document."""
        end = len(document) if end is None else end
        if end - start < LEAST:
            return _read(Log(), document, start, end, take)
        if recalled:
            shared, known = recalled.shared, recalled.log
        else:
            shared, found = self._best(kind, document, start)
            known = found or Log()
        log = _read(known.first(shared) if shared else Log(), document, start, end, take)
        if len(log) > 1 and log.size <= self._limit >> 2:
            key = kind, document[start : start + _HEAD]
            self._keep(key, log, known if shared and shared == len(known) else None)
        return log

    def _best(self, kind: Kind, document: bytes, start: int) -> tuple[int, Log | None]:
        """Return with which of those that begin alike it has most in common, the last ones first, and how much."""
        best: tuple[int, Log | None] = (0, None)
        for log in reversed(self._alike.get((kind, document[start : start + _HEAD]), ())):
            if (shared := log.shared(document, start)) > best[0]:
                best = (shared, log)
            if shared >= len(log) - _ENOUGH:
                break
        return best

    def _keep(self, key: tuple[Kind, bytes], log: Log, replaced: Log | None) -> None:
        alike = self._alike.setdefault(key, [])
        self._alike.move_to_end(key)
        if replaced is not None and replaced in alike:  # else it was let go since
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


def _count(results: Sequence[ToolResult]) -> int:
    return sum(1 + len(result.texts) for result in results)


def _read(log: Log, document: bytes, start: int, end: int, take: Take) -> Log:
    for place, element, begin in log.unread(document, start, end):
        take(place, element, log)
        log.end(document, start, begin, begin + len(element))
    log.prefix = document[start : start + log.known]
    return log


HISTORIES = Histories()
"""Of the whole process: adapters are made anew for every request."""
