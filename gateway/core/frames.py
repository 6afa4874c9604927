"""Cut a response into frames, whatever the cuts of the network.

A framer is fed chunks and returns the frames that are complete; joined, the frames' bytes are the input.
All framers are incremental, and none holds more than ``limit`` bytes of an unfinished frame. Lines of JSON
and whole bodies are read here, server-sent events in ``sse.py``, a growing JSON array in ``json_array.py``;
``framing.py`` chooses.
"""

from abc import ABC, abstractmethod
from enum import IntEnum
from typing import ClassVar

import msgspec


class Shape(IntEnum):
    """How a frame is framed, which decides how it may leave a gated response."""

    REGULAR = 0
    """One ``data:`` line, LF or CRLF: leaves as it came."""
    IRREGULAR = 1
    """Readable, but clients differ on it: the same payload is framed anew."""
    COMMENT = 2
    """Nothing but comments and empty lines: leaves as it came."""
    EMPTY = 3
    """Fields without data; dispatches nothing, and some clients fail on it."""
    BROKEN = 4
    """Lines that are no field: nobody knows what a client would read."""


class Frame(msgspec.Struct, gc=False):
    """One frame of a response."""

    raw: bytes
    """The exact bytes that came."""
    data: bytes
    """The payload, JSON in nearly all frames; empty if there is none."""
    event: str = ""
    """The name on an SSE ``event:`` line."""
    shape: Shape = Shape.REGULAR


class Framer(ABC):
    """Cuts one response into frames."""

    __slots__ = ("complete", "limit", "overflow", "pending", "whole")
    only_json: ClassVar[bool] = True
    """No other payload has a place here, such as the one that ends some streams."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        """Largest size of one frame, in bytes."""
        self.complete = False
        """The framing itself says that the answer has ended."""
        self.overflow = False
        """A frame is over the limit; the framer can only be drained."""
        self.pending = 0
        """Bytes of an unfinished frame."""
        self.whole = False
        """The answer is one frame."""

    @abstractmethod
    def feed(self, chunk: bytes) -> list[Frame]:
        """Take bytes, return the frames that they complete."""

    @abstractmethod
    def close(self) -> list[Frame]:
        """Return what is left when the input has ended, as a last frame."""

    @abstractmethod
    def drain(self) -> bytes:
        """Give up: return the bytes of the unfinished frame."""

    @abstractmethod
    def wrap(self, data: bytes, event: str = "", *, first: bool = False) -> bytes:
        """Frame a payload of ours; ``first``: nothing has been sent before it."""

    @abstractmethod
    def end(self, *, first: bool = False) -> bytes:
        """Return what closes a response that we end ourselves."""

    def keep_alive(self, comment: bytes) -> bytes:
        """Return what may be sent between two frames while nothing flows; ``comment`` is the SSE form."""
        return b""


class BufferedFramer(Framer):
    """A framer that keeps an unfinished frame as a list of chunks, so that many small ones cost no copying."""

    __slots__ = ("_parts",)

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._parts: list[bytes] = []

    def _keep(self, chunk: bytes) -> None:
        if chunk:
            self._parts.append(chunk)
            self.pending += len(chunk)
            if self.pending > self.limit:
                self.overflow = True

    def drain(self) -> bytes:
        rest = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts = []
        self.pending = 0
        return rest


class LineFramer(BufferedFramer):
    """Newline-delimited JSON."""

    __slots__ = ()

    def feed(self, chunk: bytes) -> list[Frame]:
        if b"\n" not in chunk:
            self._keep(chunk)
            return []
        if self._parts:
            self._parts.append(chunk)
            chunk = self.drain()
        *lines, rest = chunk.split(b"\n")
        self._keep(rest)
        return [_line(line + b"\n") for line in lines]

    def close(self) -> list[Frame]:
        rest = self.drain()
        return [_line(rest)] if rest else []

    def wrap(self, data: bytes, event: str = "", *, first: bool = False) -> bytes:
        return data + b"\n"

    def end(self, *, first: bool = False) -> bytes:
        return b""


def _line(raw: bytes) -> Frame:
    data = raw.strip()
    return Frame(raw, data, "", Shape.REGULAR if data else Shape.COMMENT)


class WholeFramer(BufferedFramer):
    """A whole body is one frame; where it ends, only the transport knows."""

    __slots__ = ()

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.whole = True

    def feed(self, chunk: bytes) -> list[Frame]:
        self._keep(chunk)
        return []

    def close(self) -> list[Frame]:
        self.complete = True
        raw = self.drain()
        return [Frame(raw, raw)] if raw else []

    def wrap(self, data: bytes, event: str = "", *, first: bool = False) -> bytes:
        return data

    def end(self, *, first: bool = False) -> bytes:
        return b""


class OpaqueFramer(Framer):
    """An answer that nobody reads."""

    __slots__ = ()

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.whole = True

    def feed(self, chunk: bytes) -> list[Frame]:
        return []

    def close(self) -> list[Frame]:
        self.complete = True
        return []

    def drain(self) -> bytes:
        return b""

    def wrap(self, data: bytes, event: str = "", *, first: bool = False) -> bytes:
        return data

    def end(self, *, first: bool = False) -> bytes:
        return b""
