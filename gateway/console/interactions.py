"""The interaction log: lists, one interaction, its bodies, and all of it as lines of JSON."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from gateway.console.actors import Role
from gateway.console.conversations import conversation
from gateway.console.data import Data, Sight
from gateway.console.refusals import not_found
from gateway.console.routes import Call, Download, Route
from gateway.console.shapes import (
    Filters,
    Grouping,
    Interactions,
    ListedFilters,
    Session,
    Sessions,
    Statistics,
    Viewed,
    seconds,
)
from gateway.storage.queries.filter import Filter

_BODIES = ("request", "forwarded", "response")
_BINARY = "application/octet-stream"
_LINES = "application/x-ndjson"
_EXPORTED = 500
"""Interactions that are read at once for an export."""


class InteractionRoutes:
    """What callers may see of the interaction log; a virtual key sees its own agent's part."""

    def __init__(self, data: Data) -> None:
        self._data = data

    def routes(self) -> list[Route]:
        """Return the routes."""
        path = "/api/interactions"
        bodies = [
            Route(
                method="GET", path=f"{path}/{{id}}/{which}", role=Role.READ, scoped=True, handle=self._body(which),
                download=_BINARY, summary=f"The body `{which}`, as it was stored.",
            )
            for which in _BODIES
        ]  # fmt: skip
        return [
            Route(
                method="GET", path=path, role=Role.READ, scoped=True, handle=self._list, query=ListedFilters,
                answer=Interactions, summary="Interactions, newest first.",
            ),
            Route(
                method="GET", path=f"{path}/export", role=Role.READ, scoped=True, handle=self._export, query=Filters,
                download=_LINES, summary="Interactions as lines of JSON, newest first.",
            ),
            Route(
                method="GET", path=f"{path}/{{id}}", role=Role.READ, scoped=True, handle=self._read, answer=Viewed,
                summary="One interaction, and what was said in it.",
            ),
            *bodies,
            Route(
                method="GET", path="/api/sessions", role=Role.READ, scoped=True, handle=self._sessions,
                query=ListedFilters, answer=Sessions,
                summary="Sessions whose newest interaction the filter selects, last active first.",
            ),
            Route(
                method="GET", path="/api/sessions/{id}", role=Role.READ, scoped=True, handle=self._session,
                answer=Session, any_value=True, summary="One session.",
            ),
            Route(
                method="GET", path="/api/statistics", role=Role.READ, scoped=True, handle=self._statistics,
                query=Grouping, answer=Statistics, summary="What was used, by one dimension.",
            ),
        ]  # fmt: skip

    def _sight(self, call: Call) -> Sight:
        return Sight(self._data, call.actor.agent)

    async def _list(self, call: Call) -> Any:
        query: ListedFilters = call.query
        items, after = await self._sight(call).interactions(query.filter(), query.limit, query.after)
        return {"items": items, "next": after}

    async def _read(self, call: Call) -> Any:
        sight, id_ = self._sight(call), call.params["id"]
        record = await sight.interaction(id_)
        request, response = await sight.bodies(id_)
        # Bodies may be large, and answers in flight don't wait for them.
        said = await asyncio.to_thread(conversation, self._data.snapshot.providers, record, request, response)
        return {**record, **msgspec.structs.asdict(said)}

    def _body(self, which: str) -> Any:
        async def read(call: Call) -> Download:
            id_ = call.params["id"]
            body = await self._sight(call).body(id_, which)
            if body is None:
                raise not_found("body: it was not stored, or is not stored any more")
            return Download(f"{id_}-{which}.bin", _BINARY, _once(body))

        return read

    async def _export(self, call: Call) -> Download:
        query: Filters = call.query
        return Download("interactions.jsonl", _LINES, self._lines(self._sight(call), query.filter()))

    async def _lines(self, sight: Sight, wanted: Filter) -> AsyncGenerator[bytes, None]:
        after: str | None = None
        while True:
            items, after = await sight.interactions(wanted, _EXPORTED, after)
            yield msgspec.json.Encoder().encode_lines(items)
            if after is None:
                return

    async def _sessions(self, call: Call) -> Any:
        query: ListedFilters = call.query
        items, after = await self._sight(call).sessions(query.filter(), query.limit, query.after)
        return {"items": items, "next": after}

    async def _session(self, call: Call) -> Any:
        return await self._sight(call).session(call.params["id"])

    async def _statistics(self, call: Call) -> Any:
        query: Grouping = call.query
        items = await self._sight(call).statistics(
            query.by, query.bucket, seconds(query.from_), seconds(query.to)
        )
        return {"items": items}


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body
