"""A JSON array that grows: the form of a stream whose client did not ask for events."""

import re

from gateway.core.frames import BufferedFramer, Frame, Shape

_STRUCTURE = re.compile(rb'["\\{}\[\]]')


class ArrayFramer(BufferedFramer):
    """A JSON array whose elements arrive one by one; any other body is read as a whole one."""

    __slots__ = ("_depth", "_escaped", "_in_string", "_opened")

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._opened = False
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def feed(self, chunk: bytes) -> list[Frame]:
        if not self._opened and not self.whole:
            if not (head := chunk.lstrip()):
                self._keep(chunk)
                return []
            self._opened = head.startswith(b"[")
            self.whole = not self._opened
        if self.whole or self.complete:
            self._keep(chunk)
            return []
        frames: list[Frame] = []
        start = 0
        for end in self._boundaries(chunk):
            self._keep(chunk[start:end])
            frames.append(self._element())
            start = end
        self._keep(chunk[start:])
        return frames

    def _boundaries(self, chunk: bytes) -> list[int]:
        """Return where elements end, and the array itself."""
        ends = []
        position = 0
        if self._escaped and chunk:
            self._escaped = False
            position = 1
        while match := _STRUCTURE.search(chunk, position):
            position = match.end()
            char = match[0]
            if char == b"\\":
                if position == len(chunk):
                    self._escaped = self._in_string
                position += self._in_string
            elif char == b'"':
                self._in_string = not self._in_string
            elif self._in_string:
                continue
            elif char in b"{[":
                self._depth += 1
            else:
                self._depth -= 1
                if self._depth == 1 and char == b"}":
                    ends.append(position)
                elif self._depth == 0:
                    self.complete = True
                    ends.append(position)
                    break
        return ends

    def _element(self) -> Frame:
        raw = self.drain()
        # Before an element stand the bracket or a comma; the closing bracket is a frame of its own. Elements
        # that are no objects are in nobody's format, and would pass unread with the bracket.
        data = raw.lstrip(b" \t\r\n[,")
        if data.endswith(b"}"):
            return Frame(raw, data)
        return Frame(raw, b"", "", Shape.BROKEN if data.strip(b"]") else Shape.COMMENT)

    def close(self) -> list[Frame]:
        raw = self.drain()
        if not raw:
            return []
        if self.whole:
            self.complete = True
            return [Frame(raw, raw)]
        return [Frame(raw, b"", "", Shape.BROKEN if raw.strip() else Shape.COMMENT)]

    def wrap(self, data: bytes, event: str = "", *, first: bool = False) -> bytes:
        if self.whole:
            return data
        return (b"[" if first else b",\r\n") + data

    def end(self, *, first: bool = False) -> bytes:
        if self.whole:
            return b""
        return b"[]" if first else b"\n]"

    def keep_alive(self, comment: bytes) -> bytes:
        return b"" if self.whole else b"\n"
