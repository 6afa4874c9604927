"""Choose the framer of a response by its content type."""

from functools import lru_cache

from gateway.core.frames import Framer, LineFramer, WholeFramer
from gateway.core.json_array import ArrayFramer
from gateway.core.sse import SSEFramer

FRAMERS: dict[str, type[Framer]] = {
    "text/event-stream": SSEFramer,
    "application/x-ndjson": LineFramer,
    "application/jsonl": LineFramer,
    "application/json": WholeFramer,
}
"""Framers by content type; a type that is not listed is read as a whole body."""


def framer_for(content_type: str, limit: int, *, streamed: bool, newline: bytes = b"\n") -> Framer:
    """Return the framer for a response.

    ``limit``: largest frame in bytes; ``streamed``: the request asked for a stream, so a JSON body may be an
    array that grows; ``newline``: the line end of this wire's own events.
    """
    kind = _framer(content_type)
    if kind is SSEFramer:
        return SSEFramer(limit, newline)
    if kind is WholeFramer and streamed:
        return ArrayFramer(limit)
    return kind(limit)


@lru_cache(maxsize=64)
def _framer(content_type: str) -> type[Framer]:
    return FRAMERS.get(content_type.partition(";")[0].strip().lower(), WholeFramer)
