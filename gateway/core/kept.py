"""What is kept of an answer for the record: its bytes as they came, up to a limit, in little memory.

Most chunks of a stream differ from the one before only in a piece of text, so of those only the text is kept: a
thirtieth of what they would take.
"""

from io import StringIO

from gateway.core.repeats import Repeats

_PIECES = 256
"""Chunks that are kept as they came; more of them would take much more memory than what they say."""
_END = "\n"
"""Ends each text: none that was recognised has a line end in it."""


class Kept:
    """The bytes of one answer."""

    __slots__ = ("_around", "_chunks", "_room", "_texts")

    def __init__(self, limit: int) -> None:
        """``limit``: bytes; the chunk that goes beyond it is the last one."""
        self._room = limit
        self._chunks: list[bytes] = []
        self._texts: StringIO | None = None
        self._around = (b"", b"")

    def add(self, chunk: bytes) -> None:
        """Keep a chunk."""
        if self._room <= 0:
            return
        if self._texts is not None:
            self._close()
        self._room -= len(chunk)
        self._chunks.append(chunk)
        if len(self._chunks) > _PIECES:
            # A bytearray would be moved each time that it grows by an eighth.
            self._chunks = [b"".join(self._chunks)]

    def add_text(self, text: str, chunk: bytes, repeats: Repeats) -> None:
        """Keep a chunk that was recognised by its text."""
        if repeats.padded:
            self.add(chunk)
        elif self._room > 0:
            self._room -= len(chunk)
            texts = self._texts
            if texts is None:
                texts = self._texts = StringIO()
                self._around = repeats.around
            texts.write(text)
            texts.write(_END)

    def take(self) -> tuple[bytes, bool]:
        """Return the bytes, and whether there may have been more."""
        self._close()
        whole = b"".join(self._chunks)
        self._chunks = [whole]
        return whole, self._room <= 0

    def _close(self) -> None:
        """Put the texts back into what stood around them."""
        if self._texts is None:
            return
        head, tail = self._around
        said = self._texts.getvalue()[:-1].encode()
        self._texts = None
        self._chunks.append(b"%b%b%b" % (head, said.replace(_END.encode(), tail + head), tail))


NOTHING = Kept(0)
"""Keeps nothing."""
