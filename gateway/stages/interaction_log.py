"""One structured line per interaction, whatever way it ended."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from gateway.core.interaction import Interaction
from gateway.core.price import dollars
from gateway.core.stage import Stage
from gateway.core.view import Usage

Write = Callable[[Sequence[dict[str, Any]]], None]
_NO_USAGE = Usage()


class InteractionLog(Stage):
    """Writes finished interactions, a batch at a time."""

    def __init__(self, write: Write) -> None:
        """``write``: takes the records of one batch."""
        self._write = write

    async def on_done(self, batch: Sequence[Interaction]) -> None:
        """Write one record each."""
        self._write([record(i) for i in batch])


def record(i: Interaction) -> dict[str, Any]:
    """Return an interaction as the fields of ``interfaces.md`` §5; what is not known is ``None``."""
    completion = i.completion
    usage = completion.usage or _NO_USAGE
    session, session_source = i.session or (None, None)
    return {
        "id": i.id,
        "source": "api",
        "started_at": i.started_at,
        "provider": i.provider.name,
        "endpoint": i.endpoint.name,
        "agent": i.principal.agent if i.principal else None,
        "user": i.user or None,
        "external_agent": i.external_agent or None,
        "session": session,
        "session_source": session_source,
        "run": i.run or None,
        "client": i.client or None,
        "streamed": i.streamed,
        "requested_model": i.requested_model or None,
        "model": i.request.model or i.requested_model or None,
        "response_model": completion.model or None,
        "status": i.status or None,
        "outcome": i.outcome,
        "error_kind": i.error_kind,
        "error": i.error.message if i.error else None,
        "finish_reason": completion.finish_reason,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "usage_source": i.usage_source or ("reported" if completion.usage else "none"),
        "cost": dollars(i.cost),
        "baseline_cost": dollars(i.baseline_cost),
        "saved": {name: dollars(amount) for name, amount in msgspec.structs.asdict(i.saved).items()},
        "price": i.price,
        "first_byte_ms": _since(i.started, i.first_byte),
        "first_token_ms": _since(i.started, i.first_token),
        "duration_ms": _since(i.started, i.finished),
        "overhead_ms": None if i.overhead is None else round(i.overhead * 1000, 3),
        "blocked_tools": i.blocked_tools or None,
        "attempts": i.attempts,
        "unreadable": i.unreadable or None,
        "unknown": i.unknown or None,
        "request_bytes": i.request_bytes,
        "response_bytes": i.response_bytes,
    }


def _since(start: float, end: float | None) -> float | None:
    return None if end is None else round((end - start) * 1000, 3)
