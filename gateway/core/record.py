"""What is stored of one interaction, as a value: msgpack in the spill file, rows in the database.

A value that is not known is ``None``, never 0. Money is whole nano-dollars. Bodies are redacted and capped
before they become part of a record.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

SOURCES = ("api", "chat", "dual_llm")
OUTCOMES = (
    "ok",
    "client_error",
    "client_cancelled",
    "policy_blocked",
    "budget_denied",
    "rate_limited",
    "overloaded",
    "upstream_connect",
    "upstream_timeout",
    "upstream_reset",
    "upstream_protocol",
    "upstream_status",
    "not_evaluated",
    "draining",
    "lost",
    "internal",
)


class Body(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A request or an answer; a request's history is cut into its messages, so that each is stored once."""

    prefix: bytes
    messages: tuple[bytes, ...] = ()
    suffix: bytes = b""
    shared: int = 0
    """Messages at the beginning that an earlier request had, too: the same objects, which take no memory again."""

    @property
    def size(self) -> int:
        """Bytes that are its own."""
        if not self.messages:
            return len(self.prefix) + len(self.suffix)
        return len(self.prefix) + sum(map(len, self.messages[self.shared :])) + len(self.suffix)

    def __bytes__(self) -> bytes:
        """Return what a raw view shows."""
        if not self.messages and not self.suffix:
            return self.prefix
        return b"".join((self.prefix, *self.messages, self.suffix))


class Saved(msgspec.Struct, frozen=True, gc=False):
    """Nano-dollars that an answer would have cost more; ``None``: not known, or nothing that could save any."""

    toon: int | None = None
    model_optimization: int | None = None
    cache: int | None = None


NOTHING_SAVED = Saved()


class Started(msgspec.Struct, frozen=True, gc=False):
    """An interaction in flight: what is left of one whose process died before it ended."""

    id: str
    started_at: float
    """Seconds since the epoch."""
    worker: str
    """The process that has it in hand."""
    provider: str
    endpoint: str
    agent: str | None = None
    virtual_key: str | None = None
    team: str | None = None
    user: str | None = None
    session: str | None = None
    session_source: str | None = None
    requested_model: str | None = None


class Record(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """An interaction that has ended, whatever way it did."""

    id: str
    """Time-ordered (UUIDv7)."""
    parent_id: str | None = None
    source: str = "api"
    """One of ``SOURCES``."""
    started_at: float
    """Seconds since the epoch."""
    provider: str
    endpoint: str
    agent: str | None = None
    user: str | None = None
    team: str | None = None
    virtual_key: str | None = None
    external_agent: str | None = None
    session: str | None = None
    session_source: str | None = None
    run: str | None = None
    client: str | None = None
    streamed: bool = False
    requested_model: str | None = None
    model: str | None = None
    response_model: str | None = None
    status: int | None = None
    outcome: str
    error_kind: str | None = None
    error: str | None = None
    """The message of the error."""
    finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    usage_source: str = "none"
    """``reported``, ``estimated`` or ``none``."""
    cost: int | None = None
    baseline_cost: int | None = None
    """What the requested model would have cost."""
    saved: Saved = NOTHING_SAVED
    price: Mapping[str, Any] | None = None
    """The price that was charged."""
    first_byte_ms: float | None = None
    first_token_ms: float | None = None
    duration_ms: float | None = None
    overhead_ms: float | None = None
    context_trusted: bool | None = None
    blocked_tools: tuple[str, ...] = ()
    decisions: list[dict[str, Any]] = []
    attempts: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    # What a line in the log leaves out comes last.
    notes: dict[str, Any] = {}
    tools: tuple[str, ...] = ()
    """The names of the tools that the answer calls."""
    text: str = ""
    """What text search finds; empty: that is made later, of the bodies."""
    request: Body | None = None
    forwarded: Body | None = None
    """The request as it went upstream, where that differs."""
    response: Body | None = None
