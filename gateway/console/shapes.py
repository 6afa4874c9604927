"""Parameters and answers that several routes share, as the description has them.

Rows of the log are answered as they are stored, never checked against these on the way out: one odd row must not
break a list.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from gateway.core.view import Message, Part
from gateway.storage.queries.filter import CLOSED, Filter

Time = Annotated[datetime, msgspec.Meta(tz=True)]
Text = Annotated[str, msgspec.Meta(max_length=256)]
Limit = Annotated[int, msgspec.Meta(ge=1, le=500)]
Money = Annotated[str, msgspec.Meta(description="Dollars, as a decimal number.")]
# Described as closed here, and refused by the filter itself, which says what there is.
Kind = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(CLOSED["error_kind"])})]
Outcome = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(CLOSED["outcome"])})]
Source = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(CLOSED["source"])})]


class Query(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of a request."""


class Listed(Query, frozen=True, kw_only=True):
    """Which page of a list."""

    limit: Limit = 50
    after: Text | None = None
    """The ``next`` of the page before."""


_TERMS = (
    "Words that all occur in what was said, be it as parts of words, whatever their case; what stands between "
    "quotation marks counts as one. A page may be short, or empty, and still have a next one."
)


class Filters(Query, frozen=True, kw_only=True):
    """Which interactions; all that is said applies."""

    from_: Time | None = msgspec.field(default=None, name="from")
    to: Time | None = None
    agent: Text | None = None
    user: Text | None = None
    team: Text | None = None
    session: Text | None = None
    provider: Text | None = None
    model: Text | None = None
    status: Annotated[int, msgspec.Meta(ge=0, le=999)] | None = None
    error_kind: Kind | None = None
    outcome: Outcome | None = None
    tool: Text | None = None
    blocked: bool | None = None
    source: Source | None = None
    q: Annotated[str, msgspec.Meta(min_length=1, max_length=256, description=_TERMS)] | None = None

    def filter(self) -> Filter:
        """Return what the queries take."""
        names = [name for name in Filter.__struct_fields__ if name not in ("from_", "to")]
        own = {name: getattr(self, name) for name in names}
        return Filter(from_=seconds(self.from_), to=seconds(self.to), **own)


class ListedFilters(Filters, frozen=True, kw_only=True):
    """Which page of which interactions."""

    limit: Limit = 50
    after: Text | None = None


def seconds(time: datetime | None) -> float | None:
    """Return a time in seconds since the epoch."""
    return None if time is None else time.timestamp()


class Saved(msgspec.Struct):
    """What was not spent."""

    toon: Money | None = None
    model_optimization: Money | None = None
    cache: Money | None = None


class Used(msgspec.Struct, kw_only=True):
    """Tokens and cost; null where that is not known."""

    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    cache_write_1h_tokens: int | None
    reasoning_tokens: int | None
    cost: Money | None
    baseline_cost: Money | None
    saved: Saved


class Recorded(Used, kw_only=True):
    """What is counted and noted of one request and its answer."""

    id: str
    parent_id: str | None
    source: str | None
    started_at: str | None
    provider: str | None
    endpoint: str | None
    agent: str | None
    user: str | None
    team: str | None
    virtual_key: str | None
    external_agent: str | None
    session: str | None
    session_source: str | None
    run: str | None
    client: str | None
    streamed: bool
    requested_model: str | None
    model: str | None
    response_model: str | None
    status: int | None
    outcome: str | None
    error_kind: str | None
    error: str | None
    finish_reason: str | None
    usage_source: str
    price: dict[str, Any] | None
    first_byte_ms: float | None
    first_token_ms: float | None
    duration_ms: float | None
    overhead_ms: float | None
    context_trusted: bool | None
    blocked: bool
    blocked_tools: list[str]
    decisions: list[dict[str, Any]]
    notes: dict[str, Any]
    attempts: int
    request_bytes: int
    response_bytes: int


class Interaction(Recorded, kw_only=True):
    """One request and its answer, as a list has it."""

    tools: list[str]
    """Those that the answer calls."""


class Interactions(msgspec.Struct):
    """A page of interactions, newest first."""

    items: list[Interaction]
    next: str | None


class Answer(msgspec.Struct):
    """What the model answered."""

    parts: tuple[Part, ...]
    finish_reason: str | None


class DeclaredTool(msgspec.Struct):
    """A tool that the request declares."""

    name: str
    description: str
    parameters: Any


class Conversation(msgspec.Struct, kw_only=True):
    """What was said, whatever the provider."""

    messages: list[Message]
    answer: Answer
    tools: list[DeclaredTool]


class Viewed(Recorded, kw_only=True):
    """One interaction, and the conversation in it."""

    messages: list[Message]
    answer: Answer
    tools: list[DeclaredTool]


class Session(Used, kw_only=True):
    """Interactions that belong together."""

    id: str
    requests: int
    started_at: str | None
    ended_at: str | None
    duration_ms: float
    agents: list[str]
    users: list[str]
    teams: list[str]
    providers: list[str]
    models: list[str]


class Sessions(msgspec.Struct):
    """A page of sessions, those that were last active first."""

    items: list[Session]
    next: str | None


class Statistic(Used, kw_only=True, omit_defaults=True):
    """Sums of one group; the member that names it is the one that was asked for."""

    requests: int
    failed: int
    blocked: int
    unpriced: int
    time: str | None = None
    agent: str | None = None
    team: str | None = None
    user: str | None = None
    model: str | None = None
    provider: str | None = None


class Statistics(msgspec.Struct):
    """Sums by group."""

    items: list[Statistic]


class Entry(msgspec.Struct):
    """One row of the audit log."""

    id: str
    at: str | None
    actor: str
    address: str
    action: str
    kind: str
    entity: str
    result: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class Entries(msgspec.Struct):
    """A page of the audit log, newest first."""

    items: list[Entry]
    next: str | None


Bucket = Literal["hour", "day"]
Dimension = Literal["time", "agent", "team", "user", "model", "provider"]


class Grouping(Query, frozen=True, kw_only=True):
    """What statistics are by, and of which time."""

    by: Dimension = "time"
    bucket: Bucket = "hour"
    from_: Time | None = msgspec.field(default=None, name="from")
    to: Time | None = None
