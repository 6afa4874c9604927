"""What the four wire formats have in common: read one request, then answer it whole, in frames, or with an error."""

import random
import re
import string
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import msgspec
import orjson

from gateway.demo.ask import Ask
from gateway.demo.scenario import Script

ALPHABET = string.ascii_letters + string.digits
HOLE = re.compile(rb'"hole-9d41f7"')
Hole = "hole-9d41f7"

encode = orjson.dumps


class Target(msgspec.Struct, frozen=True):
    """What the URL says: the provider's prefix, and for some formats the model and how to stream."""

    provider: str = ""
    model: str = ""
    stream: bool | None = None
    sse: bool = True


class Wire(ABC):
    """One request in one wire format, and every way to answer it."""

    stream_type = "text/event-stream; charset=utf-8"
    whole_type: ClassVar[str] = "application/json"
    ask: Ask

    def __init__(self, body: dict[str, Any], target: Target) -> None:
        self.body = body
        self.target = target
        self.created = int(time.time())
        self.ask = self.read()

    @abstractmethod
    def read(self) -> Ask:
        """Find in the body what a scenario depends on."""

    @abstractmethod
    def whole(self, script: Script) -> bytes:
        """Return the body of an answer that is not streamed."""

    @abstractmethod
    def frames(self, script: Script) -> Iterator[bytes]:
        """Yield the stream, one write each; the first comes before the model has said anything."""

    def headers(self) -> Mapping[str, str]:
        """Return the vendor's headers of any answer."""
        return {}

    @classmethod
    @abstractmethod
    def error(cls, status: int, message: str = "") -> tuple[bytes, Mapping[str, str]]:
        """Return the vendor's body of an error, and its headers."""


class Template:
    """A frame encoded once, with holes for the values that change from piece to piece."""

    def __init__(self, frame: bytes) -> None:
        self.parts = HOLE.split(frame)

    def fill(self, *values: bytes) -> bytes:
        """Put encoded values into the holes."""
        filled = self.parts[0]
        for value, part in zip(values, self.parts[1:], strict=True):
            filled += value + part
        return filled


def token(length: int) -> str:
    """Return a random part of an id."""
    return "".join(random.choices(ALPHABET, k=length))


def hexadecimal(length: int) -> str:
    """Return a random part of an id in hexadecimal digits."""
    return f"{random.getrandbits(length * 4):0{length}x}"


def data(value: object) -> bytes:
    """Return a server-sent event without a name."""
    return b"data: " + encode(value) + b"\n\n"


def event(name: str, value: object) -> bytes:
    """Return a server-sent event with a name."""
    return b"event: " + name.encode() + b"\ndata: " + encode(value) + b"\n\n"
