"""Every failure that the gateway can report, as one small tree.

::

    GatewayError
    ├── ClientError             the client's request can't be served as it is
    │   ├── BadRequest          400
    │   ├── Unauthorized        401
    │   ├── BudgetSpent         402
    │   ├── Forbidden           403
    │   ├── NotFound            404
    │   ├── ReplayNeeded        400
    │   ├── BodyTimeout         408
    │   ├── TooLarge            413
    │   ├── UpgradeRequired     426
    │   └── RateLimited         429
    ├── UpstreamError           the provider, or the way to it, failed
    │   ├── UpstreamUnreachable 502  nothing was sent
    │   ├── UpstreamReset       502  the connection broke
    │   ├── UpstreamProtocol    502  what came can't be an answer
    │   ├── UpstreamTimeout     504
    │   └── NotEvaluated        502  an answer that may hold a call which can't be read
    └── GatewayFailure          our own fault or state
        ├── InternalError       500
        ├── Overloaded          503
        └── Draining            503

A class says the status, the kind (``ErrorKind``), whose fault it is and the outcome that the record
gets; a provider says how its own wire writes it.
"""

from enum import StrEnum
from typing import ClassVar


class ErrorKind(StrEnum):
    """What went wrong, in the closed set that logs, metrics and chat use."""

    RATE_LIMIT = "rate_limit"
    AUTHENTICATION = "authentication"
    PERMISSION_DENIED = "permission_denied"
    INVALID_REQUEST = "invalid_request"
    NOT_FOUND = "not_found"
    CONTEXT_TOO_LONG = "context_too_long"
    REQUEST_TOO_LARGE = "request_too_large"
    CONTENT_FILTERED = "content_filtered"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    USAGE_LIMIT_EXCEEDED = "usage_limit_exceeded"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    NETWORK_ERROR = "network_error"
    TIMEOUT = "timeout"
    CLIENT_CANCELLED = "client_cancelled"
    UNKNOWN = "unknown"

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later."""
        return self in _RETRYABLE


_RETRYABLE = frozenset(
    {
        ErrorKind.RATE_LIMIT,
        ErrorKind.OVERLOADED,
        ErrorKind.SERVER_ERROR,
        ErrorKind.NETWORK_ERROR,
        ErrorKind.TIMEOUT,
    }
)

KINDS_BY_STATUS: dict[int, ErrorKind] = {
    400: ErrorKind.INVALID_REQUEST,
    401: ErrorKind.AUTHENTICATION,
    402: ErrorKind.INSUFFICIENT_BALANCE,
    403: ErrorKind.PERMISSION_DENIED,
    404: ErrorKind.NOT_FOUND,
    408: ErrorKind.TIMEOUT,
    413: ErrorKind.REQUEST_TOO_LARGE,
    422: ErrorKind.INVALID_REQUEST,
    429: ErrorKind.RATE_LIMIT,
    503: ErrorKind.OVERLOADED,
    504: ErrorKind.TIMEOUT,
    529: ErrorKind.OVERLOADED,
}


def kind_of_status(status: int) -> ErrorKind:
    """Return the kind that an HTTP status alone stands for."""
    if kind := KINDS_BY_STATUS.get(status):
        return kind
    if status >= 500:
        return ErrorKind.SERVER_ERROR
    return ErrorKind.INVALID_REQUEST if status >= 400 else ErrorKind.UNKNOWN


class Fault(StrEnum):
    """Whose fault a failure is."""

    CLIENT = "client"
    UPSTREAM = "upstream"
    GATEWAY = "gateway"


class GatewayError(Exception):
    """A failure that has a status and a sentence which tells the user what to do."""

    status: ClassVar[int] = 500
    kind: ClassVar[ErrorKind] = ErrorKind.SERVER_ERROR
    fault: ClassVar[Fault] = Fault.GATEWAY
    outcome: ClassVar[str] = "internal"

    def __init__(self, message: str, *, retry_after: int | None = None, may_have_run: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.interaction_id = ""
        """Set by the proxy, so that the answer can be found in the log."""
        self.retry_after = retry_after
        """Seconds; becomes ``Retry-After``."""
        self.may_have_run = may_have_run
        """The upstream may have acted on the request: SDKs must not repeat it by themselves."""

    @property
    def text(self) -> str:
        """The message as the client reads it, with the interaction's id."""
        if not self.interaction_id:
            return self.message
        return f"{self.message} (interaction {self.interaction_id})"

    @property
    def headers(self) -> dict[str, str]:
        """Headers that go with an answer which carries this error."""
        headers = {}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        if self.may_have_run:
            headers["x-should-retry"] = "false"
        return headers

    @staticmethod
    def of(error: BaseException) -> "GatewayError":
        """Return ``error`` itself if it is one of ours, else an internal error that tells nothing."""
        if isinstance(error, GatewayError):
            return error
        return InternalError("The gateway failed to handle this request; its log has the details.")


class ClientError(GatewayError):
    """The request can't be served as it is."""

    fault = Fault.CLIENT
    outcome = "client_error"
    kind = ErrorKind.INVALID_REQUEST


class BadRequest(ClientError):
    """The request is malformed; the message says where."""

    status = 400


class Unauthorized(ClientError):
    """The credential is missing or not known."""

    status = 401
    kind = ErrorKind.AUTHENTICATION


class BudgetSpent(ClientError):
    """A limit on cost or tokens is used up; not a 429, since SDKs repeat those by themselves."""

    status = 402
    kind = ErrorKind.USAGE_LIMIT_EXCEEDED
    outcome = "budget_denied"


class Forbidden(ClientError):
    """The request is understood and not allowed."""

    status = 403
    kind = ErrorKind.PERMISSION_DENIED
    outcome = "policy_blocked"


class NotFound(ClientError):
    """There is no such path, provider or agent."""

    status = 404
    kind = ErrorKind.NOT_FOUND


class ReplayNeeded(ClientError):
    """The request refers to what only the provider has; the client must send all of it.

    Some wires have a status of their own for it.
    """

    status = 400

    def __init__(self, message: str, member: str = "") -> None:
        super().__init__(message)
        self.member = member
        """What in the body refers to it."""


class BodyTimeout(ClientError):
    """The request's body did not arrive in time."""

    status = 408
    kind = ErrorKind.TIMEOUT


class TooLarge(ClientError):
    """The request's body is over the limit."""

    status = 413
    kind = ErrorKind.REQUEST_TOO_LARGE


class UpgradeRequired(ClientError):
    """A WebSocket was asked for; clients fall back to plain HTTP at once on this status."""

    status = 426


class RateLimited(ClientError):
    """Too many requests for a limit on rates."""

    status = 429
    kind = ErrorKind.RATE_LIMIT
    outcome = "rate_limited"


class UpstreamError(GatewayError):
    """The provider, or the way to it, failed."""

    status = 502
    fault = Fault.UPSTREAM
    kind = ErrorKind.NETWORK_ERROR
    attempts = 1
    """How often the request was sent."""


class UpstreamUnreachable(UpstreamError):
    """No connection could be made; nothing was sent."""

    outcome = "upstream_connect"


class UpstreamReset(UpstreamError):
    """The connection broke before the answer was complete."""

    outcome = "upstream_reset"


class UpstreamProtocol(UpstreamError):
    """What the upstream sent can't be an answer."""

    outcome = "upstream_protocol"
    kind = ErrorKind.SERVER_ERROR


class UpstreamTimeout(UpstreamError):
    """The upstream took too long; the message says which of the four timeouts."""

    status = 504
    kind = ErrorKind.TIMEOUT
    outcome = "upstream_timeout"


class NotEvaluated(UpstreamError):
    """A gated answer holds something that can't be read, so no policy could judge it."""

    kind = ErrorKind.SERVER_ERROR
    outcome = "not_evaluated"

    def __init__(self, message: str) -> None:
        super().__init__(message, may_have_run=True)


class GatewayFailure(GatewayError):
    """Our own fault, or a state of ours that passes."""


class InternalError(GatewayFailure):
    """A defect of the gateway."""


class Overloaded(GatewayFailure):
    """More work than the gateway takes on at once."""

    status = 503
    kind = ErrorKind.OVERLOADED
    outcome = "overloaded"


class Draining(GatewayFailure):
    """The gateway is shutting down."""

    status = 503
    kind = ErrorKind.OVERLOADED
    outcome = "draining"
