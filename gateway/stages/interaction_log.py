"""One record per interaction, whatever way it ended: a structured line on standard output, and rows that are stored."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

import msgspec
import structlog

from gateway.core.edit import split
from gateway.core.hiding import Bodies, hide
from gateway.core.interaction import Interaction
from gateway.core.price import dollars
from gateway.core.record import NOTHING_SAVED, Body, Record, Saved, Started
from gateway.core.redaction import Redactor
from gateway.core.search import SEARCHED, searchable
from gateway.core.stage import Stage
from gateway.core.view import Usage

Write = Callable[[Sequence[msgspec.Struct]], None]
Store = Callable[[Sequence[Started], Sequence[Record]], None]
_NO_USAGE = Usage()
_SMALL = 2048
"""Bytes of a request that is stored whole: to share so few with the next turn costs more than it saves."""
_LONGEST = 256
"""Characters of a name that a body says: a database indexes some of them, and takes only so many."""
_NO_LINE = ("request", "forwarded", "response", "text", "tools", "notes")
"""Fields of a row that its line leaves out."""
_SAID = tuple(name for name in Record.__struct_fields__ if name not in _NO_LINE)
_said = attrgetter(*_SAID)
_asdict = msgspec.structs.asdict
# A struct is encoded several times as fast as a dictionary is made and encoded.
_Line: Any = msgspec.defstruct(
    "_Line",
    [
        *((name, Any) for name in _SAID),
        *((name, Any, None) for name in ("unreadable", "unknown")),
        ("event", str, "interaction"),
        ("level", str, "info"),
        ("timestamp", Any, None),
    ],
    gc=False,
)
_log = structlog.get_logger()


class InteractionLog(Stage):
    """Writes and stores interactions, a batch at a time."""

    def __init__(
        self,
        write: Write,
        store: Store,
        worker: str = "",
        *,
        bodies: bool = True,
        body_limit: int = 1 << 20,
        redactor: Redactor | None = None,
    ) -> None:
        """``write``: takes the lines of one batch; ``store``: takes rows.

        ``bodies``: whether bodies are stored; ``body_limit``: bytes of one message that are.
        """
        self._write = write
        self._store = store
        self._worker = worker
        self._bodies = bodies
        self._limit = body_limit
        self._small = min(_SMALL, body_limit)
        self._redactor = redactor or Redactor()
        self._not_admitted = 0
        self._dropped = 0

    async def on_start(self, batch: Sequence[Interaction]) -> None:
        """Store that they have begun, so that a crash can't make them vanish."""
        self._store([self._started(i) for i in batch], [])

    def counts(self) -> dict[str, int]:
        """Return how many interactions were not handed on to be stored, by why."""
        return {"not_admitted": self._not_admitted, "dropped": self._dropped}

    async def on_done(self, batch: Sequence[Interaction]) -> None:
        """Write one line each; store one record each, of those whose caller was known."""
        rows = []
        lines = []
        for i in batch:
            try:
                row, line = self._told(i)
            except Exception:  # noqa: BLE001  # what can't be read of one must not cost the others their records
                self._dropped += 1
                _log.exception("an interaction could not be recorded", id=i.id)
                continue
            lines.append(line)
            # Whoever is not let in leaves a line, but must not be able to fill the database.
            if i.principal is None:
                self._not_admitted += 1
            else:
                rows.append(row)
        if rows:
            self._store([], rows)
        self._write(lines)  # last: standard output may be gone

    def _told(self, i: Interaction) -> tuple[Record, msgspec.Struct]:
        row = _row(i)
        left = self._hide(row, i) if self._redactor else None  # before anything is said of it
        line = _line(row, i)
        if self._bodies and i.principal is not None and not i.endpoint.opaque:
            self._add_bodies(row, i, left)
        return row, line

    def _started(self, i: Interaction) -> Started:
        principal = i.principal
        session, source = i.session or (None, None)
        user, model = i.user, i.requested_model
        if self._redactor:
            # What a body said is looked through when it has ended; until then it is not told.
            user = user if principal and principal.user else self._redactor.text(user)
            shown = session and i.session != i.request.session and self._redactor.text(session) == session
            session, model = session if shown else None, ""
        return Started(
            i.id,
            i.started_at,
            self._worker,
            i.provider.name,
            i.endpoint.name,
            principal.agent if principal else None,
            (principal.virtual_key or None) if principal else None,
            (principal.team or None) if principal else None,
            user or None,
            session and session[:_LONGEST],
            source,
            model[:_LONGEST] or None,
        )

    def _hide(self, row: Record, i: Interaction) -> Bodies:
        return hide(row, i, _bodies(i), self._redactor)

    def _add_bodies(self, row: Record, i: Interaction, left: Bodies | None) -> None:
        body, forwarded, response = left or _bodies(i)
        if self._redactor:
            row.request, row.forwarded = self._split(body, i), self._split(forwarded, i)
        else:
            if i.streamed or len(body) > self._small:
                # To read a stream, or a conversation, once more for what is new in it would cost far more than to say it now.
                row.text = _text(i)
            row.request, row.forwarded = self._asked(body, i), self._sent(forwarded, i)
        row.response = self._capped(response) if response else None

    def _asked(self, body: bytes, i: Interaction) -> Body | None:
        """Return a request as it came, cut at its history unless it is small."""
        if len(body) <= self._small:
            return Body(body) if body else None
        prefix, messages, suffix = i.request.pieces
        if len(body) > self._limit:
            return self._capped(prefix, messages, suffix)
        return Body(prefix, tuple(messages), suffix, i.request.inherited)

    def _sent(self, body: bytes, i: Interaction) -> Body | None:
        """Return a request as it was sent on, which may have the history of the one that came."""
        pieces = i.request.sent_pieces
        if not body or pieces is None or len(body) > self._limit:
            return self._split(body, i)
        return Body(pieces[0], tuple(pieces[1]), pieces[2], len(pieces[1]))

    def _split(self, body: bytes, i: Interaction) -> Body | None:
        if not body:
            return None
        history = i.request.history
        cut = split(body, history) if history and len(body) > self._small else None
        return self._capped(*(cut or (body,)))

    def _capped(self, prefix: bytes, messages: Sequence[bytes] = (), suffix: bytes = b"") -> Body:
        return Body(self._cap(prefix), tuple(map(self._cap, messages)), self._cap(suffix))

    def _cap(self, piece: bytes) -> bytes:
        over = len(piece) - self._limit
        return piece if over <= 0 else b"%b[%d bytes more]" % (piece[: self._limit], over)


def _text(i: Interaction) -> str:
    """Return what search finds; nothing where that can't be said, which is tried once more when there is time."""
    try:
        return searchable(i.request, i.completion, SEARCHED)
    except Exception:  # noqa: BLE001  # whatever is odd about a body, its interaction is recorded
        return ""


def record(i: Interaction) -> dict[str, Any]:
    """Return an interaction as the fields of its line in the log; what is not known is ``None``."""
    return _asdict(_line(_row(i), i))


def _row(i: Interaction) -> Record:
    """Return what is counted of an interaction."""
    completion = i.completion
    usage = completion.usage or _NO_USAGE
    session, session_source = i.session or (None, None)
    principal = i.principal
    calls = completion.tool_calls
    return Record(
        id=i.id,
        started_at=i.started_at,
        provider=i.provider.name,
        endpoint=i.endpoint.name,
        agent=principal.agent if principal else None,
        user=i.user or None,
        team=(principal.team or None) if principal else None,
        virtual_key=(principal.virtual_key or None) if principal else None,
        external_agent=i.external_agent or None,
        session=session and session[:_LONGEST],
        session_source=session_source,
        run=i.run or None,
        client=i.client or None,
        streamed=i.streamed,
        requested_model=i.requested_model[:_LONGEST] or None,
        model=(i.request.model or i.requested_model)[:_LONGEST] or None,
        response_model=completion.model[:_LONGEST] or None,
        status=i.status or None,
        outcome=i.outcome,
        error_kind=i.error_kind,
        error=i.error.message if i.error else None,
        finish_reason=completion.finish_reason,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        usage_source=i.usage_source or ("reported" if completion.usage else "none"),
        cost=i.cost,
        baseline_cost=i.baseline_cost,
        saved=i.saved,
        price=dict(i.price) if i.price else None,
        first_byte_ms=_since(i.started, i.first_byte),
        first_token_ms=_since(i.started, i.first_token),
        duration_ms=_since(i.started, i.finished),
        overhead_ms=None if i.overhead is None else int(i.overhead * 1_000_000) / 1000,
        context_trusted=not i.context_untrusted if principal else None,
        blocked_tools=i.blocked_tools,
        parent_id=i.parent_id or None,
        source=i.source,
        decisions=[_asdict(decision) for decision in i.decisions] if i.decisions else [],
        notes=_notes(i) if i.notes or i.unknown else {},
        attempts=i.attempts,
        request_bytes=i.request_bytes,
        response_bytes=i.response_bytes,
        tools=tuple(dict.fromkeys(call.name for call in calls)) if calls else (),
    )


def _notes(i: Interaction) -> dict[str, Any]:
    """Return what the stages say, by their names, and what the adapter did not know."""
    notes: dict[str, Any] = {name: msgspec.to_builtins(note) for name, note in i.notes.items()}
    if i.unknown:
        notes["unknown"] = i.unknown
    return notes


def _bodies(i: Interaction) -> Bodies:
    return i.request.body, i.forwarded, i.response


def _line(row: Record, i: Interaction) -> msgspec.Struct:
    """Return a row without bodies as people read it."""
    line = _Line(*_said(row))
    line.started_at = line.timestamp = datetime.fromtimestamp(row.started_at, UTC)
    line.cost = dollars(row.cost)
    line.baseline_cost = line.cost if row.baseline_cost == row.cost else dollars(row.baseline_cost)
    line.saved = _NOTHING if row.saved is NOTHING_SAVED else _saved(row.saved)
    line.blocked_tools = row.blocked_tools or None
    line.unreadable = i.unreadable or None
    line.unknown = row.notes.get("unknown")
    found: msgspec.Struct = line
    return found


def _saved(saved: Saved) -> dict[str, str | None]:
    return {name: dollars(amount) for name, amount in _asdict(saved).items()}


_NOTHING = _saved(NOTHING_SAVED)


def _since(start: float, end: float | None) -> float | None:
    """Return milliseconds with three decimals, cut rather than rounded, which takes ten times as long."""
    return None if end is None else int((end - start) * 1_000_000) / 1000
