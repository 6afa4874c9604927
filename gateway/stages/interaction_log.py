"""One record per interaction, whatever way it ended: a structured line on standard output, and rows that are stored."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
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

Write = Callable[[Sequence[msgspec.Struct]], None]
Store = Callable[[Sequence[Started], Sequence[Record]], None]
_SMALL = 2048
"""Bytes of a request that is stored whole: to share so few with the next turn costs more than it saves."""
_LONGEST = 256
"""Characters of a name that a body says: a database indexes some of them, and takes only so many."""
_SAID = Record.__struct_fields__[: Record.__struct_fields__.index("notes")]
"""Fields of a row that its line has, too."""
_asdict, _astuple = msgspec.structs.asdict, msgspec.structs.astuple
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
        self._redactor = redactor or None  # one without rules is none
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
        redactor = self._redactor
        left = hide(row, i, _bodies(i), redactor) if redactor else None  # before anything is said of it
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

    def _add_bodies(self, row: Record, i: Interaction, left: Bodies | None) -> None:
        body, forwarded, response = left or _bodies(i)
        if left:
            row.request, row.forwarded = self._split(body, i), self._split(forwarded, i)
        else:
            if i.streamed or len(body) > self._small:
                # To read a stream, or a conversation, once more for what is new in it would cost far more than to say it now.
                row.text = _text(i)
            row.request = self._asked(body, i)
            if forwarded:
                row.forwarded = self._sent(forwarded, i)
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
        if pieces is None or len(body) > self._limit:
            return self._split(body, i)
        return Body(pieces[0], tuple(pieces[1]), pieces[2], len(pieces[1]))

    def _split(self, body: bytes, i: Interaction) -> Body | None:
        if not body:
            return None
        history = i.request.history
        cut = split(body, history) if history and len(body) > self._small else None
        return self._capped(*(cut or (body,)))

    def _capped(self, prefix: bytes, messages: Sequence[bytes] = (), suffix: bytes = b"") -> Body:
        if not messages and not suffix:
            return Body(self._cap(prefix))
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
    completion, started = i.completion, i.started
    row = Record(
        id=i.id,
        started_at=i.started_at,
        provider=i.provider.name,
        endpoint=i.endpoint.name,
        outcome=i.outcome,
    )
    # One by one: to find their places among so many would take a struct longer than all the rest.
    row.parent_id = i.parent_id or None
    row.source = i.source
    row.user = i.user or None
    row.external_agent = i.external_agent or None
    row.run = i.run or None
    row.client = i.client or None
    row.streamed = i.streamed
    row.requested_model = i.requested_model[:_LONGEST] or None
    row.model = (i.request.model or i.requested_model)[:_LONGEST] or None
    row.response_model = completion.model[:_LONGEST] or None
    row.status = i.status or None
    row.error_kind = i.error_kind
    row.finish_reason = completion.finish_reason
    row.usage_source = i.usage_source or ("reported" if completion.usage else "none")
    row.cost, row.baseline_cost, row.saved, row.price = i.cost, i.baseline_cost, i.saved, i.price
    row.first_byte_ms = _since(started, i.first_byte)
    row.first_token_ms = _since(started, i.first_token)
    row.duration_ms = _since(started, i.finished)
    row.overhead_ms = None if i.overhead is None else int(i.overhead * 1_000_000) / 1000
    row.blocked_tools = i.blocked_tools
    row.attempts = i.attempts
    row.request_bytes = i.request_bytes
    row.response_bytes = i.response_bytes
    if i.session:
        session, row.session_source = i.session
        row.session = session[:_LONGEST]
    if principal := i.principal:
        row.agent = principal.agent
        row.team = principal.team or None
        row.virtual_key = principal.virtual_key or None
        row.context_trusted = not i.context_untrusted
    if usage := completion.usage:
        row.input_tokens, row.output_tokens = usage.input_tokens, usage.output_tokens
        row.cache_read_tokens, row.cache_write_tokens = usage.cache_read_tokens, usage.cache_write_tokens
        row.cache_write_1h_tokens = usage.cache_write_1h_tokens
        row.reasoning_tokens = usage.reasoning_tokens
    if i.error:
        row.error = i.error.message
    if i.decisions:
        row.decisions = [_asdict(decision) for decision in i.decisions]
    if i.notes or i.unknown:
        row.notes = _notes(i)
    if calls := completion.tool_calls:
        row.tools = tuple(dict.fromkeys(call.name for call in calls))
    return row


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
    line = _Line(*_astuple(row)[: len(_SAID)])
    line.started_at = line.timestamp = datetime.fromtimestamp(row.started_at, UTC)
    line.cost = dollars(row.cost)
    line.baseline_cost = line.cost if row.baseline_cost == row.cost else dollars(row.baseline_cost)
    line.saved = _NOTHING if row.saved == NOTHING_SAVED else _saved(row.saved)
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
