"""An attack as data: what the upstream answers, and what a gateway must make of it under each kind of policies."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Literal


@dataclass(frozen=True)
class Tool:
    """A tool that the model calls, and what it is called with."""

    name: str
    value: str

    @property
    def input(self) -> dict[str, str]:
        return {"canary_arg": self.value}

    @property
    def arguments(self) -> str:
        return f'{{"canary_arg":"{self.value}"}}'


CANARY = Tool("canary_tool", "c4n4ry")
"""What every kind of policies refuses."""
TWIN = Tool("allowed_tool", "b3n1gn")
"""What every kind of policies allows: the same odd answer with this one must not be refused as a call."""
KEY = "canary_arg"


class Ending(Enum):
    """What becomes of an answer."""

    REFUSED = "refused"
    """Judged: its calls are gone, and a text in their place says so."""
    UNJUDGED = "unjudged"
    """Not to be read in one way only: nothing of the calls leaves, and an error ends it."""
    BROKEN = "broken"
    """Not complete, or no answer at all: nothing of the calls leaves, and an error ends it."""
    FAILED = "failed"
    """The provider's own error ends it, which passes; nothing of the calls does."""
    PASSES = "passes"
    """Every byte as it came."""
    REFRAMED = "reframed"
    """Every payload as it came, but framed so that all clients read the same."""
    STOPPED = "stopped"
    """What comes before the wire's terminator, and nothing after it."""


REFUSED, UNJUDGED, BROKEN, FAILED = Ending.REFUSED, Ending.UNJUDGED, Ending.BROKEN, Ending.FAILED
PASSES, REFRAMED, STOPPED = Ending.PASSES, Ending.REFRAMED, Ending.STOPPED

Kind = Literal["name", "argument", "list", "untrusted"]
"""Deny by name, deny by argument, allow-list, untrusted context."""
KINDS: tuple[Kind, ...] = ("name", "argument", "list", "untrusted")

Expected = Ending | Mapping[str, Ending]
"""The same under all kinds, or by kind; ``""`` stands for those that are not named."""


def ending(expected: Expected, kind: Kind) -> Ending:
    if isinstance(expected, Ending):
        return expected
    return expected.get(kind) or expected[""]


@dataclass(frozen=True)
class Raw:
    """Bytes as they are on the wire, framing included."""

    data: bytes


Item = Mapping[str, Any] | bytes | Raw
"""A payload as an object or as its own bytes, to be framed as the wire does; or bytes that are not."""
Splits = Literal["all", "huge"]
"""``huge``: only in pieces as a network has them, for the time that it takes."""


@dataclass(frozen=True)
class Attack:
    """One answer of an upstream."""

    id: str
    """The number in ``T-TOOL-nn``."""
    variant: str
    dialect: str
    stream: bool
    build: Callable[[Tool], Sequence[bytes]]
    """The frames; a whole answer is one."""
    denied: Expected = REFUSED
    twin: Expected | None = PASSES
    """What becomes of the same answer with a call that is allowed; ``None``: it has no such twin."""
    request: Mapping[str, Any] = field(default_factory=dict)
    """Members of the request, where the wire's usual one does not ask for such an answer."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The answer's, in place of the usual ones; an empty one is left out."""
    encode: Callable[[bytes], bytes] | None = None
    """How the body is compressed: only a transport undoes that, so it is driven through a process alone."""
    splits: Splits = "all"
    sdk: bool = True
    """The vendor's client reads such an answer at all; else only our own reader of its bytes is asked."""
    live: bool = True
    """It is driven through a process too."""

    @property
    def name(self) -> str:
        way = "stream" if self.stream else "whole"
        return f"{self.id} {self.variant}-{self.dialect}-{way}"


@dataclass(frozen=True)
class NotExpressible:
    """Why an attack does not exist on a wire."""

    id: str
    dialect: str
    stream: bool
    why: str


class Table:
    """The attacks of one wire."""

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        self.attacks: list[Attack] = []
        self.missing: list[NotExpressible] = []

    def add(self, attack: Attack) -> None:
        self.attacks.append(replace(attack, dialect=self.dialect))

    def cannot(
        self, ids: str, why: str, *, ways: Sequence[Literal["stream", "whole"]] = ("stream", "whole")
    ) -> None:
        """Note attacks that can't be written in this wire; ``ids``: their numbers, between spaces."""
        for id_ in ids.split():
            for way in ways:
                self.missing.append(NotExpressible(id_, self.dialect, way == "stream", why))
