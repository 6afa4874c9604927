"""One request and its answer: the context that stages share, and the record that is logged."""

from collections.abc import Mapping

import msgspec

from gateway.core.adapter import RequestAdapter
from gateway.core.errors import ErrorKind, GatewayError
from gateway.core.provider import Endpoint, Provider
from gateway.core.view import Completion


class Principal(msgspec.Struct, frozen=True):
    """Who calls."""

    agent: str
    user: str = ""
    team: str = ""


class Credential(msgspec.Struct, frozen=True):
    """What goes upstream: the client's own headers as they came, or a stored secret. Never logged."""

    headers: tuple[tuple[str, str], ...] = ()
    secret: str = ""

    def __repr__(self) -> str:
        return "<Credential>"


class Note(msgspec.Struct, tag_field="stage"):
    """What one stage did, and why; a stage has its own subclass."""


class Interaction:
    """One request and its answer.

    Clock readings (``started`` and those below it) are seconds of a monotonic clock; ``started_at`` is the
    time of day in seconds since the epoch.
    """

    __slots__ = (
        "agent",
        "attempts",
        "blocked_tools",
        "client",
        "completion",
        "credential",
        "endpoint",
        "error",
        "error_kind",
        "external_agent",
        "finished",
        "first_byte",
        "first_token",
        "headers",
        "hold",
        "id",
        "notes",
        "outcome",
        "overhead",
        "path",
        "principal",
        "provider",
        "query",
        "refusal",
        "request",
        "request_bytes",
        "requested_model",
        "response_bytes",
        "response_headers",
        "run",
        "session",
        "started",
        "started_at",
        "status",
        "streamed",
        "unknown",
        "unreadable",
        "user",
    )

    def __init__(
        self,
        id: str,  # noqa: A002  # the field's name in records, headers and logs
        provider: Provider,
        endpoint: Endpoint,
        headers: Mapping[str, str],
        *,
        path: str = "",
        query: str = "",
        started: float = 0.0,
        started_at: float = 0.0,
    ) -> None:
        self.id = id
        """Time-ordered (UUIDv7)."""
        self.provider = provider
        self.endpoint = endpoint
        self.headers = headers
        """The client's, case-insensitive."""
        self.path = path
        """What follows the provider's base URL."""
        self.query = query
        self.request = _NO_REQUEST
        self.principal: Principal | None = None
        self.agent = ""
        """The agent that the URL or a header names; empty: the default one."""
        self.session: tuple[str, str] | None = None
        """Its id, and where that was found."""
        self.external_agent = ""
        self.user = ""
        self.run = ""
        self.client = ""
        """The client's name and version."""
        self.credential: Credential | None = None
        self.completion = Completion()
        self.hold = False
        """Whether the answer may have to be withheld."""
        self.refusal: str | None = None
        self.blocked_tools: tuple[str, ...] = ()
        self.notes: dict[str, Note] = {}
        self.response_headers: dict[str, str] = {}
        """Ours, added to the upstream's."""
        self.status = 0
        """What the client got; 0: nothing."""
        self.error: GatewayError | None = None
        self.error_kind: ErrorKind | None = None
        self.outcome = ""
        self.streamed = False
        self.requested_model = ""
        self.attempts = 0
        self.unreadable = 0
        """Frames that could not be read."""
        self.unknown: dict[str, int] = {}
        """What the adapter did not know, by name."""
        self.request_bytes = 0
        self.response_bytes = 0
        self.started = started
        self.started_at = started_at
        self.first_byte: float | None = None
        self.first_token: float | None = None
        self.finished: float | None = None
        self.overhead: float | None = None
        """Seconds of the gateway's own, until the first byte left."""

    def fail(self, error: GatewayError) -> None:
        """Note the failure that ended this interaction."""
        error.interaction_id = self.id
        self.error = error
        self.error_kind = error.kind
        self.outcome = error.outcome


_NO_REQUEST = RequestAdapter(b"")
