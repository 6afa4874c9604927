"""Server-sent events, read as liberally as the vendors' clients read them.

The rules are the HTML standard's, 9.2.6: CR, LF and CRLF end a line, and nothing else does, so a U+2028
inside a string cuts nothing.
"""

import re

from gateway.core.frames import BufferedFramer, Frame, Shape

# An atomic group: without it a CRLF backtracks into two line ends, and frames are cut in half.
_BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r){2}")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_COMMENTS = re.compile(rb"(?::[^\r\n]*+\r?\n)++")
_LF = 10
_BOM = b"\xef\xbb\xbf"
# Some clients split lines where Unicode does (U+2028, vertical tab …), and would find a field in a comment; others
# look for a field's name anywhere in a line. Without a brace there is nothing to be found.
_PLAIN = re.compile(rb"[\t -z|}~]*")


class SSEFramer(BufferedFramer):
    """Server-sent events."""

    __slots__ = ("_first", "_last", "_newline")
    only_json = False

    def __init__(self, limit: int, newline: bytes = b"\n") -> None:
        super().__init__(limit)
        self._newline = newline
        self._first = True
        self._last = b""  # the end of what is kept: a blank line may begin in it

    def feed(self, chunk: bytes) -> list[Frame]:
        # The usual chunk is one whole event; everything else takes the general way.
        if (
            not self._parts
            and chunk[:6] == b"data: "
            and 6 < chunk.find(b"\n") == len(chunk) - 2 < self.limit - 1
            and chunk[-1] == _LF
            and b"\r" not in chunk
        ):
            self._first = False
            return [Frame(chunk, chunk[6:-2])]
        if self._parts:
            probe = self._last + chunk
            if b"\n\n" not in probe and (b"\r" not in probe or not _BLANK_LINE.search(probe)):
                self._keep(chunk)
                self._last = probe[-3:]
                return []
            self._parts.append(chunk)
            chunk = self.drain()
        frames: list[Frame] = []
        start = 0
        if b"\r" not in chunk:
            while (end := chunk.find(b"\n\n", start) + 2) > 1:
                frames.append(self._frame(chunk[start:end]))
                start = end
        elif chunk.count(b"\r\n") == chunk.count(b"\r") == chunk.count(b"\n"):
            while (end := chunk.find(b"\r\n\r\n", start) + 4) > 3:
                frames.append(self._frame(chunk[start:end]))
                start = end
        else:
            for match in _BLANK_LINE.finditer(chunk):
                end = match.end()
                if end == len(chunk) and chunk.endswith(b"\r"):
                    break  # the LF of a CRLF may follow
                frames.append(self._frame(chunk[start:end]))
                start = end
        rest = chunk[start:] if start else chunk
        if rest[:1] == b":" and _COMMENTS.fullmatch(rest):
            # A sign of life that lacks its blank line must not wait for the next event.
            frames.append(self._frame(rest))
            rest = b""
        self._last = rest[-3:]
        self._keep(rest)
        return frames

    def close(self) -> list[Frame]:
        rest = self.drain()
        if not rest:
            return []
        frame = self._frame(rest)
        # No client dispatches an event without its blank line; framed anew it counts if it can be read.
        if frame.shape is Shape.REGULAR and not _BLANK_LINE.search(rest):
            frame.shape = Shape.IRREGULAR
        return [frame]

    def _frame(self, raw: bytes) -> Frame:
        if len(raw) > self.limit:
            self.overflow = True
        if raw[:6] == b"data: " and 6 < raw.find(b"\n") == len(raw) - 2 and b"\r" not in raw:
            self._first = False
            return Frame(raw, raw[6:-2])
        if raw[:7] == b"event: " and b"\r" not in raw:
            line = raw.find(b"\n")
            if raw[line + 1 : line + 7] == b"data: " and line + 7 < raw.find(b"\n", line + 7) == len(raw) - 2:
                self._first = False
                return Frame(raw, raw[line + 7 : -2], raw[7:line].decode("utf-8", "replace"))
        return self._parse(raw)

    def _parse(self, raw: bytes) -> Frame:
        text = raw
        shape = Shape.REGULAR
        if self._first:
            self._first = False
            if text.startswith(_BOM):
                text = text[3:]
                shape = Shape.IRREGULAR
        if b"\r" in text and b"\r" in text.replace(b"\r\n", b""):
            shape = Shape.IRREGULAR
        data: list[bytes] = []
        events: list[bytes] = []
        fields = False
        lines = _LINE_END.split(text)
        for number, line in enumerate(lines):
            if line.startswith(b":") and not _PLAIN.fullmatch(line):
                shape = max(shape, Shape.IRREGULAR)
            if not line or line.startswith(b":"):
                continue
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"data":
                data.append(value)
            elif name == b"event":
                events.append(value)
            elif name in (b"id", b"retry"):
                shape = max(shape, Shape.IRREGULAR)
            elif line[:1] in b"{[" and not fields:
                # Bare JSON between events, as some errors come: one client reads it.
                return Frame(raw, b"\n".join(lines[number:]).strip(b"\n"), "", Shape.IRREGULAR)
            else:
                shape = Shape.BROKEN
            fields = True
        if not fields:
            return Frame(raw, b"", "", Shape.EMPTY if shape else Shape.COMMENT)
        event = events[-1].decode("utf-8", "replace") if events else ""
        payload = b"\n".join(data)
        if not payload:
            return Frame(raw, b"", event, max(shape, Shape.EMPTY))
        if len(data) > 1 or len(events) > 1:
            shape = max(shape, Shape.IRREGULAR)
        return Frame(raw, payload, event, shape)

    def wrap(self, data: bytes, event: str = "", *, first: bool = False) -> bytes:
        end = self._newline
        # A line end inside JSON is white space: strings can't hold one.
        line = b"data: " + _LINE_END.sub(b" ", data) + end + end
        return b"event: " + event.encode() + end + line if event else line

    def end(self, *, first: bool = False) -> bytes:
        return b""

    def keep_alive(self, comment: bytes) -> bytes:
        return comment
