"""What is shown of a record, and neither selected nor summed: one JSON value in its row."""

from collections.abc import Mapping
from typing import Any

import msgspec


class Details(msgspec.Struct, omit_defaults=True, gc=False):
    """Fields of ``core.record.Record``, under the same names; what is not known is left out."""

    parent_id: str | None = None
    endpoint: str | None = None
    virtual_key: str | None = None
    external_agent: str | None = None
    session_source: str | None = None
    run: str | None = None
    client: str | None = None
    streamed: bool = False
    requested_model: str | None = None
    response_model: str | None = None
    error: str | None = None
    finish_reason: str | None = None
    usage_source: str = "none"
    price: Mapping[str, Any] | None = None
    first_byte_ms: float | None = None
    first_token_ms: float | None = None
    overhead_ms: float | None = None
    context_trusted: bool | None = None
    blocked_tools: tuple[str, ...] = ()
    decisions: list[dict[str, Any]] = []
    notes: dict[str, Any] = {}
    attempts: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
