"""A request's body, of which only that is read which no earlier one began with: agents resend all that came before."""

from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar, TypeVar

import msgspec

from gateway.core.edit import split
from gateway.core.errors import BadRequest
from gateway.core.histories import HISTORIES, LEAST, Log, Recalled
from gateway.core.strict import load
from gateway.core.view import Path

_T = TypeVar("_T")
_HEAD, _TRIES = 64, 8
_ESCAPE = b"\\u00"
"""How JSON writes a letter in another way."""


class Conversation:
    """A body in one wire format, and where the history is in it."""

    history: Path = ()
    """Where the conversation lives in the body: an array, if it is one; empty if it lives nowhere."""

    result_words: ClassVar[tuple[bytes, ...]] = ()
    """Of which every history that holds a tool result has one, unless it is written with escapes."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self._recalled: Recalled | None = None
        self._found: bytes | None = None

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
        history = bytes(read[name] if isinstance(read, dict) else getattr(read, name))
        if not _is_only(rest, history, start):
            return None
        self._found = body[start : start + len(history) + last - first]
        whole = msgspec.Raw(self._found)
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

    def may_hold_results(self) -> bool:
        """Whether the history has to be read to know; it costs hardly anything."""
        array = self._array
        for word in (*self.result_words, _ESCAPE):  # not any(): that costs as much as the searching
            if word in array:
                return True
        return bool(array) and not self.result_words

    @cached_property
    def pieces(self) -> tuple[bytes, Sequence[bytes], bytes]:
        """What stands before the history, its elements, and what stands after it; joined they are the body."""
        if len(self._array) >= LEAST and (start := self._start) >= 0:
            try:
                log = self._log
            except BadRequest:
                return self.body, (), b""
            return self.body[: start + log.opening], log.pieces, self.body[start + log.known :]
        found = split(self.body, self.history) if self.history else None
        return found or (self.body, (), b"")

    def without_history(self) -> bytes:
        """Return a body with the same members at the top, and as a rule without the elements of the history."""
        if len(self.body) < LEAST or len(self._array) < LEAST:
            return self.body
        prefix, _, suffix = self.pieces
        return prefix + suffix

    @property
    def _array(self) -> bytes:
        found = self._found
        if found is None:
            found = self._found = self.history_array()
        return found

    @cached_property
    def _start(self) -> int:
        """Where the history begins in the body; -1: not soon found."""
        if self._recalled:
            return self._recalled.start
        return _place(self.body, self._array)

    @cached_property
    def _log(self) -> Log:
        kind = type(self), self.history
        try:
            if len(self.history) == 1 and self._place_is_new():
                HISTORIES.note(kind, self.body, self._start)
            return HISTORIES.read(kind, self._array, self.read_element, self._recalled)
        except RecursionError:  # how deep is too deep depends on who asks
            raise BadRequest("The request body is nested too deeply.") from None

    def _place_is_new(self) -> bool:
        """Whether it is certain where the history is, and was not known."""
        array = self._array
        return not self._recalled and len(array) >= LEAST and _is_only(self.body, array, self._start)


def _is_only(document: bytes, array: bytes, start: int) -> bool:
    """Whether an array is there and nowhere else, be it in another member or in an earlier one of the same name."""
    head = array[:_HEAD]
    return (
        bool(head)
        and document.startswith(array, start)
        and document.find(head) == start
        and document.find(head, start + 1) < 0
    )


def _place(body: bytes, array: bytes) -> int:
    """Return where in a body an array is; -1: not soon found. To search for all of it would take longer than to read it."""
    head = array[:_HEAD]
    start = body.find(head)
    for _ in range(_TRIES):
        if start < 0 or body.startswith(array, start):
            return start
        start = body.find(head, start + 1)
    return -1
