"""One request and its answer: the context that stages share, and the record that is logged."""

from collections.abc import Mapping
from random import getrandbits

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
    client: str = ""
    """The client's name and version."""
    hold: bool = False
    """Whether the answer may have to be withheld."""
    request: RequestAdapter = RequestAdapter(b"")
    principal: Principal | None = None
    session: tuple[str, str] | None = None
    """Its id, and where that was found."""
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
    request_bytes: int = 0
    response_bytes: int = 0
    first_byte: float | None = None
    first_token: float | None = None
    finished: float | None = None
    overhead: float | None = None
    """Seconds of the gateway's own, until the first byte left."""

    def fail(self, error: GatewayError) -> None:
        """Note the failure that ended this interaction."""
        error.interaction_id = self.id
        self.error = error
        self.error_kind = error.kind
        self.outcome = error.outcome

    def drop_bodies(self) -> None:
        """Let go of the bodies; what is counted stays."""
        self.request = RequestAdapter(b"")


def new_id(now: float) -> str:
    """Return a UUIDv7 (RFC 9562, 5.7) for a time in seconds since the epoch."""
    time = int(now * 1000)
    bits = getrandbits(74)
    # The version and the variant stand between the random bits.
    return (
        f"{time >> 16 & 0xFFFFFFFF:08x}-{time & 0xFFFF:04x}-7{bits & 0xFFF:03x}"
        f"-{bits >> 12 & 0x3FFF | 0x8000:04x}-{bits >> 26:012x}"
    )
