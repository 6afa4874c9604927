"""Errors in the shape of Anthropic's API, ours and theirs."""

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
    UpstreamTimeout,
    kind_of_status,
)
from gateway.core.view import StreamError
from gateway.providers.anthropic.lenient import read, read_text, text
from schemas import anthropic as wire

_TYPES: tuple[tuple[type[GatewayError], str], ...] = (
    (BadRequest, "invalid_request_error"),
    (Unauthorized, "authentication_error"),
    (BudgetSpent, "billing_error"),
    (Forbidden, "permission_error"),
    (NotFound, "not_found_error"),
    (ReplayNeeded, "not_found_error"),
    (BodyTimeout, "timeout_error"),
    (TooLarge, "request_too_large"),
    (UpgradeRequired, "invalid_request_error"),
    (RateLimited, "rate_limit_error"),
    (UpstreamTimeout, "timeout_error"),
    (Overloaded, "overloaded_error"),
    (Draining, "overloaded_error"),
    (GatewayError, "api_error"),
)
_KINDS = {
    "invalid_request_error": ErrorKind.INVALID_REQUEST,
    "authentication_error": ErrorKind.AUTHENTICATION,
    "billing_error": ErrorKind.INSUFFICIENT_BALANCE,
    "permission_error": ErrorKind.PERMISSION_DENIED,
    "not_found_error": ErrorKind.NOT_FOUND,
    "request_too_large": ErrorKind.REQUEST_TOO_LARGE,
    "rate_limit_error": ErrorKind.RATE_LIMIT,
    "timeout_error": ErrorKind.TIMEOUT,
    "api_error": ErrorKind.SERVER_ERROR,
    "overloaded_error": ErrorKind.OVERLOADED,
}
# Most refusals of a request share one type; only the sentence tells these apart.
_WORDINGS = (
    ("prompt is too long", ErrorKind.CONTEXT_TOO_LONG),
    ("exceed context limit", ErrorKind.CONTEXT_TOO_LONG),
    ("context window", ErrorKind.CONTEXT_TOO_LONG),
    ("credit balance is too low", ErrorKind.INSUFFICIENT_BALANCE),
    ("content filtering policy", ErrorKind.CONTENT_FILTERED),
)

_body = msgspec.json.Decoder(wire.ErrorBody)
_error = msgspec.json.Decoder(wire.Error)
_details = msgspec.json.Decoder(wire.ErrorDetails)


def error_body(error: GatewayError) -> bytes:
    """Return our error as a body, which is also the payload of an ``error`` event."""
    kind = next(name for cls, name in _TYPES if isinstance(error, cls))
    said: dict[str, Any] = {"type": kind, "message": error.text}
    if isinstance(error, ReplayNeeded):
        said["details"] = {"error_code": "thread_not_found"}
    body: dict[str, Any] = {"type": "error", "error": said}
    return msgspec.json.encode(body | {"request_id": error.interaction_id or None})


def error_kind(status: int, body: bytes) -> ErrorKind:
    """Map the vendor's error to a kind: by its code, its type, then the status."""
    found = read(_body, msgspec.Raw(body))
    error = read(_error, found.error) if found else None
    return (_kind(error) if error else None) or kind_of_status(status)


def stream_error(raw: msgspec.Raw) -> StreamError:
    """Read the vendor's error inside an answer; some that are like it write a mere string."""
    error = read(_error, raw)
    if error is None:
        return StreamError(ErrorKind.UNKNOWN, read_text(raw) or "")
    return StreamError(_kind(error) or ErrorKind.UNKNOWN, text(error.message))


def _kind(error: wire.Error) -> ErrorKind | None:
    details = read(_details, error.details)
    if details and text(details.error_code).endswith("spend_limit_reached"):
        return ErrorKind.USAGE_LIMIT_EXCEEDED
    kind = _KINDS.get(text(error.type))
    if kind is ErrorKind.INVALID_REQUEST:
        sentence = text(error.message).lower()
        return next((found for words, found in _WORDINGS if words in sentence), kind)
    return kind
