"""Which interactions are wanted."""

import re
from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import ColumnElement, and_, select

from gateway.core.errors import ErrorKind
from gateway.core.record import OUTCOMES, SOURCES
from gateway.storage.mending import mended
from gateway.storage.tables import FACETS, facet_tools, facets

_FIRST = ""
LAST = "~"
"""Before and after every id."""
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
CLOSED: Mapping[str, Sequence[str]] = {
    "source": SOURCES,
    "outcome": OUTCOMES,
    "error_kind": tuple(kind.value for kind in ErrorKind),
}
"""Fields that have no other values than these."""


class InvalidFilter(ValueError):
    """What was asked for can't be; the message says why."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class InvalidCursor(InvalidFilter):
    """What was given as ``after`` is none of the cursors of the list."""

    def __init__(self) -> None:
        super().__init__("`after` is not what an earlier page gave as `next`", "after")


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which interactions are wanted: those to which all applies that is said."""

    from_: float | None = None
    """Begun at this time or later, in seconds since the epoch."""
    to: float | None = None
    """Begun before this time."""
    agent: str | None = None
    user: str | None = None
    team: str | None = None
    session: str | None = None
    provider: str | None = None
    model: str | None = None
    status: int | None = None
    error_kind: str | None = None
    outcome: str | None = None
    tool: str | None = None
    """The answer calls it."""
    blocked: bool | None = None
    source: str | None = None
    q: str | None = None
    """Its words all occur in what was said."""

    def check(self) -> None:
        """Raise ``InvalidFilter`` for a value that no database can hold."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if mended(value) != value:
                raise InvalidFilter(f"`{name}` holds what can't be: a null character, or half of a pair")
        if self.status is not None and not 0 <= self.status < 1000:
            raise InvalidFilter("`status` is a number of three digits")
        for name, values in CLOSED.items():
            if getattr(self, name) not in (None, *values):
                raise InvalidFilter(f"`{name}` is one of {', '.join(values)}", name)

    def facet(self) -> ColumnElement[bool] | None:
        """Return which facets can match; ``None``: all."""
        wanted = [
            facets.c[name] == value
            for name in FACETS
            if (value := getattr(self, name)) is not None
        ]  # fmt: skip
        if self.tool is not None:
            wanted.append(facets.c.id.in_(select(facet_tools.c.facet).where(facet_tools.c.tool == self.tool)))
        return and_(*wanted) if wanted else None

    def span(self, after: str | None = None) -> tuple[str, str]:
        """Return the ids between which all matches are, the first included.

        ``after``: the last id of the page before.
        """
        if after is not None and not _ID.fullmatch(after):
            raise InvalidCursor
        first = _FIRST if self.from_ is None else first_id(self.from_)
        last = LAST if self.to is None else first_id(self.to)
        return first, min(last, LAST if after is None else after)


def first_id(time: float) -> str:
    """Return what no id of that millisecond or a later one is less than."""
    millisecond = min(max(int(time * 1000), 0), 0xFFFF_FFFF_FFFF)
    return f"{millisecond >> 16:08x}-{millisecond & 0xFFFF:04x}"
