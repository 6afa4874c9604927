"""A request's body, of which only that is read which no earlier one began with: agents resend all that came before."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import ClassVar, NamedTuple, TypeVar

import msgspec

from gateway.core.edit import edit, split
from gateway.core.errors import BadRequest
from gateway.core.histories import HISTORIES, LEAST, Log, Recalled
from gateway.core.strict import load
from gateway.core.view import Path

_T = TypeVar("_T")
_HEAD = 64
"""Bytes by which a history is found in its body."""
Pieces = tuple[bytes, Sequence[bytes], bytes]
"""What stands before a history, its elements, each but the first with the separator before it, and what follows it."""
_ELEMENT = b"0"
"""Stands for all elements of a history."""
_ESCAPE = b"\\u00"
"""How JSON writes a letter in another way."""


class Place(NamedTuple):
    """Where a history is: in the body, unless it is short or may be elsewhere, too; then it is a document of its own."""

    document: bytes
    start: int
    end: int


class Conversation:
    """A body in one wire format, and where the history is in it."""

    history: Path = ()
    """Where the conversation lives in the body: an array, if it is one; empty if it lives nowhere."""

    result_words: ClassVar[tuple[bytes, ...]] = ()
    """Of which every history that holds a tool result has one, unless it is written with escapes."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self._recalled: Recalled | None = None
        self._found: Place | None = None

    def load(self, decoder: msgspec.json.Decoder[_T]) -> _T:
        """Decode the body; of a conversation that goes on from one that was read only what is new is looked at.

        ``decoder``: of a struct or dictionary that has the history as ``msgspec.Raw`` under its name. Raises
        ``BadRequest`` that says what is wrong and where.
        """
        if len(self.history) != 1 or len(self.body) < LEAST:
            return load(decoder, self.body)
        if recalled := HISTORIES.recall((type(self), self.history), self.body):
            try:
                read = self._load_rest(decoder, recalled)
            except BadRequest:  # which would say where it is in the rest
                read = None
            if read is not None:
                self._recalled = recalled
                return read
        return load(decoder, self.body)

    def _load_rest(self, decoder: msgspec.json.Decoder[_T], recalled: Recalled) -> _T | None:
        """Decode the body without what is known, then put that back; None if the rest has its history elsewhere."""
        body, start, (first, last) = self.body, recalled.start, recalled.skipped
        rest = body[:first] + body[last:]
        read = load(decoder, rest)
        name = str(self.history[-1])
        history = bytes(read.get(name, b"") if isinstance(read, dict) else getattr(read, name))
        if _find(rest, history) != start:
            return None
        end = start + len(history) + last - first
        self._found = Place(body, start, end)
        whole = msgspec.Raw(memoryview(body)[start:end])
        if isinstance(read, dict):
            read[name] = whole
        else:
            msgspec.structs.force_setattr(read, name, whole)  # type: ignore[arg-type]  # no decoder makes anything else
        return read

    def history_array(self) -> bytes:
        """Return the history, from its opening bracket to the closing one; empty if it is no array."""
        return b""

    def read_element(self, place: int, element: bytes, log: Log) -> None:
        """Note the calls, the results and the references of one element of the history, and of nothing else."""

    @property
    def has_history(self) -> bool:
        """Whether there is an array where the history lives."""
        return self._place.end > 0

    def may_hold_results(self) -> bool:
        """Whether the history has to be read to know; it costs hardly anything."""
        document, start, end = self._place
        for word in self.result_words:  # not any(): that costs as much as the searching
            if document.find(word, start, end) >= 0:
                return True
        # A single letter is found ten times as fast.
        if document.find(_ESCAPE[:1], start, end) >= 0 and document.find(_ESCAPE, start, end) >= 0:
            return True
        return end > 0 and not self.result_words

    @cached_property
    def pieces(self) -> Pieces:
        """The body, cut at its history; joined they are the body."""
        document, start, end = self._place
        if end and document is self.body:
            try:
                log = self._log
            except BadRequest:
                return self.body, (), b""
            return self.body[: start + log.opening], log.pieces, self.body[start + log.known :]
        found = split(self.body, self.history) if self.history else None
        return found or (self.body, (), b"")

    @property
    def inherited(self) -> int:
        """How many elements of its pieces an earlier body had, too; they are the same objects."""
        return self._log.inherited if self.pieces[1] and self._place.document is self.body else 0

    def without_history(self) -> bytes:
        """Return a body with the same members at the top, and as a rule without the elements of the history."""
        if len(self.body) < LEAST or self._place.document is not self.body:
            return self.body
        prefix, _, suffix = self.pieces
        return prefix + suffix

    def pieces_with(self, changes: Mapping[Path, bytes | None]) -> Pieces | None:
        """Return the pieces of the body with changes that leave its history alone; None where that is not so simple."""
        path = self.history
        if len(self.body) < LEAST or self._place.document is not self.body or not self.pieces[1]:
            return None
        if any(place[: len(path)] == path[: len(place)] for place in changes):
            return None
        prefix, elements, suffix = self.pieces
        cut = split(edit(prefix + _ELEMENT + suffix, changes), path)
        return (cut[0], elements, cut[2]) if cut and cut[1] == [_ELEMENT] else None

    @property
    def _place(self) -> Place:
        found = self._found
        if found is None:
            history = self.history_array()
            start = _find(self.body, history) if len(history) >= LEAST else -1
            in_body = start >= 0
            found = self._found = (
                Place(self.body, start, start + len(history)) if in_body else Place(history, 0, len(history))
            )
        return found

    @cached_property
    def _log(self) -> Log:
        kind = type(self), self.history
        document, start, end = self._place
        try:
            if document is self.body and len(self.history) == 1 and not self._recalled:
                HISTORIES.note(kind, document, start)
            return HISTORIES.read(kind, document, self.read_element, start, end, self._recalled)
        except RecursionError:  # how deep is too deep depends on who asks
            raise BadRequest("The request body is nested too deeply.") from None


def _find(body: bytes, array: bytes) -> int:
    """Return where in a body an array is; -1: nowhere, or what begins so is there twice, so that it may be another one.

    Be that in another member, or in an earlier one of the same name.
    """
    head = array[:_HEAD]
    start = body.find(head) if head else -1
    if start < 0 or not body.startswith(array, start) or body.find(head, start + 1) >= 0:
        return -1
    return start
