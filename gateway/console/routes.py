"""The console's routes as data: dispatch, validation, permission and the OpenAPI document all come from this table.

A route can't be made without the role that it takes, so none can be forgotten.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from gateway.admission import check_path, is_value
from gateway.console.actors import Actor, Role
from gateway.console.refusals import Refusal


class Call(msgspec.Struct, frozen=True):
    """A request that was let in, and whose parameters and body are what the route says."""

    actor: Actor
    params: Mapping[str, str]
    """What the placeholders of the path matched, decoded."""
    query: Any
    """An instance of the route's ``query``."""
    body: Any
    """An instance of the route's ``body``."""
    peer: str
    """The address that it comes from."""
    host: str
    cookie: str
    """Of a session; empty: there is none."""

    def __repr__(self) -> str:
        return f"<Call of {self.actor.name}>"


class Reply(msgspec.Struct, frozen=True):
    """An answer with headers of its own."""

    value: Any
    headers: Mapping[str, str]


class Download(msgspec.Struct, frozen=True):
    """An answer that is kept, not looked at: browsers run nothing of it."""

    filename: str
    content_type: str
    chunks: AsyncGenerator[bytes, None]


Handle = Callable[[Call], Awaitable[Any]]
"""Returns what is sent as JSON (``None``: no content), one of the two above, or a response of aiohttp."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One method and path."""

    method: str
    path: str
    """``{name}`` matches one segment."""
    role: Role
    """What the caller must be at least."""
    handle: Handle
    summary: str
    query: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    answer: Any = None
    """The type of what is answered, for the description alone; ``None``: no content."""
    status: int = 200
    download: str = ""
    """The content type, if it answers with a ``Download``."""
    scoped: bool = False
    """Open to a virtual key too, which sees its own agent's data alone."""
    changes: bool = True
    """Unless it is a ``GET``: else it takes a body only to answer what that asks."""
    any_value: bool = False
    """Its last segment is a placeholder for any text, slashes and dots too: decoded once, and never part of a path."""

    def __post_init__(self) -> None:
        if not isinstance(self.role, Role):
            raise TypeError(f"{self.method} {self.path} has no role")
        if self.write and self.scoped:
            raise ValueError(f"{self.method} {self.path}: a virtual key changes nothing here")
        if self.any_value and (self.path.count("{") != 1 or "/" in self.path.partition("{")[2]):
            raise ValueError(f"{self.method} {self.path}: the one placeholder must be at the end")

    @property
    def write(self) -> bool:
        """Whether it changes something."""
        return self.takes_body and self.changes

    @property
    def takes_body(self) -> bool:
        """Whether a body is read, if only to see that there is none."""
        return self.method != "GET"

    @property
    def answered(self) -> int:
        """The status of an answer that is no error."""
        return self.status if self.download or self.answer is not None else 204

    def match(self, segments: list[str]) -> dict[str, str] | None:
        """Return what the placeholders match; ``None``: this is another path."""
        own = self.path.split("/")
        if len(own) != len(segments):
            return None
        params = {}
        for pattern, segment in zip(own, segments, strict=True):
            if pattern.startswith("{") and segment:
                params[pattern[1:-1]] = unquote(segment, errors="strict")
            elif pattern != segment:
                return None
        return params


class Routes:
    """All routes of the console."""

    def __init__(self, routes: Iterable[Route]) -> None:
        # A path without placeholders goes before one that would match it.
        self.all = tuple(sorted(routes, key=lambda route: route.path.count("{")))
        if len({(route.method, route.path) for route in self.all}) < len(self.all):
            raise ValueError("a route is there twice")
        self._any_value = frozenset(route.path.partition("{")[0] for route in self.all if route.any_value)

    def check(self, path: str) -> None:
        """Raise ``BadRequest`` for a raw path that two servers may read in different ways."""
        head, slash, last = path.rpartition("/")
        check_path(head if head + slash in self._any_value and is_value(last) else path)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """Return the route of a raw path that was admitted; raise ``Refusal`` if there is none."""
        segments = path.split("/")
        found = [(route, params) for route in self.all if (params := route.match(segments)) is not None]
        if not found:
            raise Refusal(404, "There is no such path; /openapi.json lists them all.")
        # Only the routes of the best path count, so that DELETE /x/export is not DELETE /x/{id}.
        best = [each for each in found if each[0].path == found[0][0].path]
        for route, params in best:
            if route.method == method:
                return route, params
        allowed = ", ".join(route.method for route, _ in best)
        raise Refusal(405, f"This path takes {allowed} only.", headers={"Allow": allowed})
