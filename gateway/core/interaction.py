"""One request and its answer: the context that stages share, and the record that is logged."""

from collections.abc import Mapping, Sequence
from random import getrandbits

import msgspec

from gateway.core.adapter import RequestAdapter
from gateway.core.decision import Decision
from gateway.core.errors import ErrorKind, GatewayError
from gateway.core.evaluation import Context
from gateway.core.policies import NO_POLICIES, Guard
from gateway.core.provider import Endpoint, Provider
from gateway.core.record import NOTHING_SAVED, Saved
from gateway.core.view import Completion, ToolResult


class Principal(msgspec.Struct, frozen=True):
    """Who calls; slugs, but for the virtual key's id."""

    agent: str
    user: str = ""
    """For whom; empty: only what the client says of itself is known."""
    team: str = ""
    agent_id: str = ""
    agent_name: str = ""
    virtual_key: str = ""
    team_names: tuple[str, ...] = ()
    """Slugs and ids of the agent's teams, and of those of whom it works for."""
    labels: Mapping[str, str] = {}
    """The agent's."""
    context_untrusted: bool = False
    """The agent's conversations begin untrusted."""
    models: tuple[str, ...] = ()
    """Names or globs of the models that the virtual key is for; empty: all."""


class Credential(msgspec.Struct, frozen=True):
    """What goes upstream: the client's own headers as they came, or a stored secret. Never logged."""

    headers: tuple[tuple[str, str], ...] = ()
    secret: str = ""
    key: str = ""
    """The client's own, wherever it stood."""

    def __repr__(self) -> str:
        return "<Credential>"


class Note(msgspec.Struct, tag_field="stage"):
    """What one stage did, and why; a stage has its own subclass."""


class Interaction(msgspec.Struct, eq=False, weakref=False):
    """One request and its answer.

    Clock readings (``started`` and those below it) are seconds of a monotonic clock; ``started_at`` is the
    time of day in seconds since the epoch.
    """

    id: str
    """Time-ordered (UUIDv7)."""
    provider: Provider
    endpoint: Endpoint
    headers: Mapping[str, str]
    """The client's, case-insensitive."""
    path: str = ""
    """What follows the provider's base URL."""
    query: str = ""
    started: float = 0.0
    started_at: float = 0.0
    agent: str = ""
    """The agent that the URL or a header names; empty: the default one."""
    hold: bool = False
    """Whether the answer may have to be withheld."""
    parent_id: str = ""
    """The interaction on whose behalf the gateway itself asks; empty: a client asks."""
    source: str = "api"
    """One of ``record.SOURCES``."""
    presented: Sequence[tuple[str, str]] = ()
    """The client's headers that may carry a key. Never logged."""
    ours: Mapping[str, str] = {}
    """The client's headers that are for the gateway, by name in lower case without the prefix."""
    client: str = ""
    """The client's name and version."""
    request: RequestAdapter = RequestAdapter(b"")
    principal: Principal | None = None
    guard: Guard = NO_POLICIES
    """The policies that apply, as they were when the request was let in."""
    session: tuple[str, str] | None = None
    """Its id, and where that was found."""
    context_untrusted: bool = False
    """Whether anything in the conversation is untrusted: the agent or the request says so, or a result is."""
    decisions: list[Decision] = []
    """What policies decided, in the order in which they did."""
    quarantined: list[ToolResult] = []
    """Results that no main model may see before a summary replaces them."""
    external_agent: str = ""
    user: str = ""
    run: str = ""
    credential: Credential | None = None
    completion: Completion = msgspec.field(default_factory=Completion)
    refusal: str | None = None
    blocked_tools: tuple[str, ...] = ()
    notes: dict[str, Note] = {}
    response_headers: dict[str, str] = {}
    """Ours, added to the upstream's."""
    status: int = 0
    """What the client got; 0: nothing."""
    error: GatewayError | None = None
    error_kind: ErrorKind | None = None
    outcome: str = ""
    streamed: bool = False
    requested_model: str = ""
    attempts: int = 0
    unreadable: int = 0
    """Frames that could not be read."""
    unknown: dict[str, int] = {}
    """What the adapter did not know, by name."""
    forwarded: bytes = b""
    """The request's body as it was sent; empty: as it was received."""
    response: bytes = b""
    """The answer's body as the upstream sent it, up to a limit."""
    response_cut: bool = False
    """It may not be all that came: only so much is kept."""
    request_bytes: int = 0
    response_bytes: int = 0
    waited: float = 0.0
    """Seconds that stages waited for models: not the gateway's own."""
    ran: bool = False
    """The upstream got the whole request and has not refused it: it may have used something, whatever came of it."""
    usage_source: str = ""
    """Whence ``completion.usage`` is: ``reported``, ``estimated`` or ``none``; empty until that is settled."""
    cost: int | None = None
    """Nano-dollars, as the two below."""
    baseline_cost: int | None = None
    """What the model that the client asked for would have cost."""
    saved: Saved = NOTHING_SAVED
    price: Mapping[str, str] | None = None
    """What was charged for a million tokens, and who lists that."""
    unknown_price: bool = False
    """It used something, and what that costs is not known."""
    first_byte: float | None = None
    first_token: float | None = None
    last_token: float | None = None
    """When a stream that began to say something had said it all."""
    finished: float | None = None
    overhead: float | None = None
    """Seconds of the gateway's own, until the first byte left."""

    def __repr__(self) -> str:
        return f"<Interaction {self.id}>"

    def fail(self, error: GatewayError) -> None:
        """Note the failure that ended this interaction."""
        error.interaction_id = self.id
        self.error = error
        self.error_kind = error.kind
        self.outcome = error.outcome

    @property
    def context(self) -> Context:
        """What conditions may ask of it beside a call or a result."""
        principal = self.principal
        return Context(
            team_ids=principal.team_names if principal else (),
            agent_id=principal.agent_id if principal else "",
            user_id=self.user,
            external_agent_id=self.external_agent,
            model=self.request.model,
            provider=self.provider.name,
        )

    @property
    def held_bytes(self) -> int:
        """Bytes of the bodies that are kept for the record."""
        return len(self.request.body) + len(self.forwarded) + len(self.response)

    def drop_bodies(self) -> None:
        """Let go of the bodies; what is counted stays."""
        model = self.request.model
        self.request = RequestAdapter(b"")
        self.request.model = model
        self.forwarded = b""
        self.response = b""


class _Ids:
    """UUIDv7 (RFC 9562, 5.7 and 6.2): a counter orders the ids of one millisecond, and of one process."""

    __slots__ = ("_count", "_head", "_millisecond", "_tail")

    def __init__(self) -> None:
        self._millisecond = -1
        self._head = ""
        self._tail = ""
        self._count = 0

    def __call__(self, now: float) -> str:
        """Return an id for a time in seconds since the epoch."""
        millisecond = int(now * 1000)
        self._count += 1
        if millisecond != self._millisecond or self._count > _MOST:
            bits = getrandbits(62)
            self._millisecond = millisecond
            self._head = f"{millisecond >> 16 & 0xFFFFFFFF:08x}-{millisecond & 0xFFFF:04x}-7"
            self._tail = f"-{bits >> 48 | 0x8000:04x}-{bits & 0xFFFFFFFFFFFF:012x}"
            self._count = 0
        return f"{self._head}{self._count:03x}{self._tail}"


_MOST = 0xFFF
new_id = _Ids()
