"""Recognise one more piece of text without reading it again.

Most frames of a stream differ from the one before only in the text they carry. Once such a frame has been
read, and judged if it must be, another one with the same bytes around a plain string is known: its structure
is the same, so it holds the same keys, no more of them, and no call.
"""

from gateway.core.frames import Frame, Shape

_PATIENCE = 8
"""Frames that are learnt without one that repeats them, before a stream is known to vary more than that."""


class Repeats:
    """What surrounds the text of the frame that was read last."""

    __slots__ = ("_limit", "_patience", "_prefix", "_suffix")

    def __init__(self, limit: int) -> None:
        """``limit``: largest size of a frame, in bytes."""
        self._limit = limit
        self._prefix = b""
        self._suffix = b""
        self._patience = _PATIENCE

    def learn(self, frame: Frame, text: str) -> None:
        """Remember a frame whose only event was this piece of text."""
        if self._patience <= 0:
            return
        self._patience -= 1
        raw = frame.raw
        # Without a backslash nothing is escaped, so the text stands in the frame as it is; where it stands once,
        # that is the value that was read, and no key or type that happens to look like it. A text of "," may
        # also seem to stand between two other strings, and overlap itself there.
        quoted = b'"%b"' % text.encode()
        start = raw.find(quoted)
        if (
            text
            and frame.shape is Shape.REGULAR
            and b"\\" not in raw
            and start >= 0
            and raw.find(quoted, start + 1) < 0
        ):
            self._prefix = raw[: start + 1]
            self._suffix = raw[start + len(quoted) - 1 :]
        else:
            self._prefix = b""

    def forget(self) -> None:
        """Something else came between: the next piece is read."""
        self._prefix = b""

    def text(self, chunk: bytes) -> str:
        """Return the text of a chunk that is one whole known frame; empty for any other chunk."""
        prefix = self._prefix
        if not prefix or not chunk.startswith(prefix) or not chunk.endswith(self._suffix):
            return ""
        middle = chunk[len(prefix) : len(chunk) - len(self._suffix)]
        if len(chunk) > self._limit or b'"' in middle or b"\\" in middle:
            return ""
        try:
            text = middle.decode()
        except UnicodeDecodeError:
            return ""
        if not text.isprintable():
            return ""  # a line end would be the framing's, a control character is not JSON
        self._patience = _PATIENCE
        return text
