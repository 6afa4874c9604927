"""Errors in the shape of Google's APIs, ours and theirs."""

from typing import Any

import msgspec

from gateway.core.errors import (
    BadRequest,
    BodyTimeout,
    BudgetSpent,
    Draining,
    ErrorKind,
    Forbidden,
    GatewayError,
    NotFound,
    Overloaded,
    RateLimited,
    ReplayNeeded,
    TooLarge,
    Unauthorized,
    UpgradeRequired,
    UpstreamError,
    UpstreamTimeout,
    kind_of_status,
)
from gateway.core.strict import UNREADABLE
from gateway.providers.gemini.members import Raw, elements, fields, integer, string

_STATUSES: tuple[tuple[type[GatewayError], str], ...] = (
    (BadRequest, "INVALID_ARGUMENT"),
    (Unauthorized, "UNAUTHENTICATED"),
    (BudgetSpent, "RESOURCE_EXHAUSTED"),
    (Forbidden, "PERMISSION_DENIED"),
    (NotFound, "NOT_FOUND"),
    (ReplayNeeded, "FAILED_PRECONDITION"),
    (BodyTimeout, "DEADLINE_EXCEEDED"),
    (TooLarge, "INVALID_ARGUMENT"),
    (UpgradeRequired, "INVALID_ARGUMENT"),
    (RateLimited, "RESOURCE_EXHAUSTED"),
    (UpstreamTimeout, "DEADLINE_EXCEEDED"),
    (UpstreamError, "UNAVAILABLE"),
    (Overloaded, "UNAVAILABLE"),
    (Draining, "UNAVAILABLE"),
    (GatewayError, "INTERNAL"),
)
_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"

_REASONS = {
    "API_KEY_INVALID": ErrorKind.AUTHENTICATION,
    "API_KEY_EXPIRED": ErrorKind.AUTHENTICATION,
    "ACCESS_TOKEN_EXPIRED": ErrorKind.AUTHENTICATION,
    "ACCESS_TOKEN_TYPE_UNSUPPORTED": ErrorKind.AUTHENTICATION,
    "CREDENTIALS_MISSING": ErrorKind.AUTHENTICATION,
    "API_KEY_SERVICE_BLOCKED": ErrorKind.PERMISSION_DENIED,
    "SERVICE_DISABLED": ErrorKind.PERMISSION_DENIED,
    "CONSUMER_SUSPENDED": ErrorKind.PERMISSION_DENIED,
    "BILLING_DISABLED": ErrorKind.INSUFFICIENT_BALANCE,
    "RATE_LIMIT_EXCEEDED": ErrorKind.RATE_LIMIT,
    "RESOURCE_QUOTA_EXCEEDED": ErrorKind.RATE_LIMIT,
}
_KINDS = {
    "UNAUTHENTICATED": ErrorKind.AUTHENTICATION,
    "PERMISSION_DENIED": ErrorKind.PERMISSION_DENIED,
    "NOT_FOUND": ErrorKind.NOT_FOUND,
    "RESOURCE_EXHAUSTED": ErrorKind.RATE_LIMIT,
    "UNAVAILABLE": ErrorKind.OVERLOADED,
    "INTERNAL": ErrorKind.SERVER_ERROR,
    "UNKNOWN": ErrorKind.SERVER_ERROR,
    "DATA_LOSS": ErrorKind.SERVER_ERROR,
    "ABORTED": ErrorKind.SERVER_ERROR,
    "DEADLINE_EXCEEDED": ErrorKind.TIMEOUT,
    "CANCELLED": ErrorKind.CLIENT_CANCELLED,
    "INVALID_ARGUMENT": ErrorKind.INVALID_REQUEST,
    "FAILED_PRECONDITION": ErrorKind.INVALID_REQUEST,
    "OUT_OF_RANGE": ErrorKind.INVALID_REQUEST,
    "ALREADY_EXISTS": ErrorKind.INVALID_REQUEST,
    "UNIMPLEMENTED": ErrorKind.INVALID_REQUEST,
}
# Where Google says INVALID_ARGUMENT for everything, only the words tell.
_WORDS = (
    ("exceeds the maximum number of tokens", ErrorKind.CONTEXT_TOO_LONG),
    ("request payload size exceeds", ErrorKind.REQUEST_TOO_LARGE),
    ("api key not valid", ErrorKind.AUTHENTICATION),
    ("api key expired", ErrorKind.AUTHENTICATION),
)
_BY_STATUS = frozenset({402, 413})
"""HTTP statuses that say more than the name of the status."""


def error_object(error: GatewayError) -> dict[str, Any]:
    """Return the value of the ``error`` member."""
    name = next(name for cls, name in _STATUSES if isinstance(error, cls))
    body: dict[str, Any] = {"code": error.status, "message": error.text, "status": name}
    if error.retry_after is not None:
        body["details"] = [{"@type": _RETRY_INFO, "retryDelay": f"{error.retry_after}s"}]
    return body


def error_kind(status: int, body: bytes) -> ErrorKind:
    """Map the upstream's own error: an object, or an array of one where a stream was asked for."""
    try:
        document = elements(body)[0] if body.lstrip().startswith(b"[") else Raw(body)
    except (*UNREADABLE, IndexError):
        return kind_of_status(status)
    error = fields(document).get("error")
    return kind_of_status(status) if error is None else kind_of(error, status)[0]


def kind_of(error: Raw, http_status: int = 0) -> tuple[ErrorKind, str]:
    """Return the kind of an ``error`` member, which may be a bare string, and its message."""
    members = fields(error)
    if not members:
        return kind_of_status(http_status), string(error)
    message = string(members.get("message"))
    code = integer(members.get("code")) or http_status
    if (kind := _kind_by_reason(members)) or (kind := _kind_by_words(message)):
        return kind, message
    if code in _BY_STATUS:
        return kind_of_status(code), message
    return _KINDS.get(string(members.get("status"))) or kind_of_status(code), message


def _kind_by_reason(members: dict[str, Raw]) -> ErrorKind | None:
    try:
        details = elements(members.get("details"))
    except msgspec.ValidationError:
        return None
    return next(
        (kind for detail in details if (kind := _REASONS.get(string(fields(detail).get("reason"))))), None
    )


def _kind_by_words(message: str) -> ErrorKind | None:
    lower = message.lower()
    return next((kind for words, kind in _WORDS if words in lower), None)
