"""Recognise one more piece of text without reading it again.

Most frames of a stream differ from the one before only in the text they carry, and in what pads them. Once such
a frame has been read, and judged if it must be, another one that is the same but for these strings is known: its
structure is the same, so it holds the same keys, no more of them, and no call.

No such frame holds a backslash, so every quotation mark in it delimits a string: cut at its quotation marks, it
is its structure and its strings, in turns.
"""

from collections.abc import Set as AbstractSet

from gateway.core.frames import Frame, Shape

_PATIENCE = 8
"""Frames that are learnt without one that repeats them, before a stream is known to vary more than that."""


class Repeats:
    """The frame that was read last, without its text and its padding."""

    __slots__ = (
        "_at",
        "_head",
        "_limit",
        "_lines",
        "_padding",
        "_parts",
        "_patience",
        "_tail",
        "padded",
    )

    def __init__(self, limit: int, padding: AbstractSet[bytes] = frozenset()) -> None:
        """``limit``: largest size of a frame, in bytes; ``padding``: keys whose strings mean nothing to anybody."""
        self._limit = limit
        self._padding = padding
        self._head = b""  # what stands before the first string that varies; empty: no frame is known
        self._tail = b""  # what stands after the text where nothing else varies
        self._parts: list[bytes] = []
        self._at = 0
        self._lines = 0
        self.padded: list[int] = []
        """Where chunks differ beside their text: which of their parts are padding."""
        self._patience = _PATIENCE

    @property
    def around(self) -> tuple[bytes, bytes]:
        """What stands before the text and after it, where nothing else varies."""
        return self._head, self._tail

    def learn(self, frame: Frame, text: str) -> None:
        """Remember a frame whose only event was this piece of text."""
        self._head = b""
        raw = frame.raw
        if self._patience <= 0 or not text or frame.shape is not Shape.REGULAR or b"\\" in raw:
            return
        self._patience -= 1
        parts = raw.split(b'"')
        string = text.encode()
        if parts.count(string) != 1:
            return  # what looks like the text may be a key, or a type
        at = parts.index(string)
        if at % 2 == 0 or parts[at + 1].lstrip().startswith(b":"):
            return  # structure, or a key
        self.padded = [
            n
            for n in range(3, len(parts), 2)
            if parts[n - 2] in self._padding and parts[n - 1].strip() == b":"
        ]
        self._head = b'"'.join(parts[: min([at, *self.padded])]) + b'"'
        self._tail = b'"' + b'"'.join(parts[at + 1 :])
        for n in (at, *self.padded):
            parts[n] = b""
        self._at = at
        self._parts = parts
        self._lines = raw.count(b"\n")

    def forget(self) -> None:
        """Something else came between: the next piece is read."""
        self._head = b""

    def text(self, chunk: bytes) -> str:
        """Return the text of a chunk that is one whole known frame; empty for any other chunk."""
        head = self._head
        if not head or not chunk.startswith(head) or b"\\" in chunk or len(chunk) > self._limit:
            return ""
        if self.padded:
            string = self._between_padding(chunk)
        else:
            tail = self._tail
            string = chunk[len(head) : len(chunk) - len(tail)]
            if b'"' in string or not chunk.endswith(tail):
                return ""
        try:
            text = string.decode()
        except UnicodeDecodeError:
            return ""
        if not text.isprintable():
            return ""  # a line end would be the framing's, a control character is not JSON
        self._patience = _PATIENCE
        return text

    def _between_padding(self, chunk: bytes) -> bytes:
        if chunk.count(b"\n") != self._lines:
            return b""
        parts = chunk.split(b'"')
        if len(parts) != len(self._parts):
            return b""
        string = parts[self._at]
        parts[self._at] = b""
        for n in self.padded:
            if not (parts[n].isalnum() or not parts[n]):
                return b""
            parts[n] = b""
        return string if parts == self._parts else b""
