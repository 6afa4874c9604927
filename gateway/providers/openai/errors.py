"""Errors in the shape that OpenAI's API and all that are like it use: ours as they write them, and what theirs mean."""

import re
from typing import Any

import msgspec

from gateway.core.errors import (
    KINDS_BY_STATUS,
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
from gateway.core.view import StreamError
from schemas.openai import ErrorBody

_decode = msgspec.json.Decoder(ErrorBody).decode

_OURS: tuple[tuple[type[GatewayError], str, str], ...] = (
    (BadRequest, "invalid_request_error", "invalid_request"),
    (Unauthorized, "authentication_error", "invalid_api_key"),
    (BudgetSpent, "usage_limit_exceeded", "token_cost_limit_exceeded"),
    (Forbidden, "permission_error", "permission_denied"),
    (NotFound, "not_found_error", "not_found"),
    (ReplayNeeded, "invalid_request_error", "previous_response_not_found"),
    (BodyTimeout, "timeout_error", "request_timeout"),
    (TooLarge, "request_too_large", "request_too_large"),
    (UpgradeRequired, "invalid_request_error", "upgrade_required"),
    (RateLimited, "rate_limit_exceeded", "rate_limit_exceeded"),
    (UpstreamTimeout, "timeout_error", "upstream_timeout"),
    (UpstreamError, "server_error", "upstream_error"),
    (Overloaded, "overloaded_error", "overloaded"),
    (Draining, "overloaded_error", "overloaded"),
    (GatewayError, "server_error", "internal_error"),
)


def error_object(error: GatewayError) -> dict[str, Any]:
    """Return the value of the ``error`` member."""
    for cls, kind, code in _OURS:
        if isinstance(error, cls):
            param = error.member or None if isinstance(error, ReplayNeeded) else None
            return {"message": error.text, "type": kind, "code": code, "param": param}
    raise AssertionError(error)


# What theirs mean: the vendor's code says most, then its type, then the status.
_CODES = {
    "invalid_api_key": ErrorKind.AUTHENTICATION,
    "account_deactivated": ErrorKind.AUTHENTICATION,
    "context_length_exceeded": ErrorKind.CONTEXT_TOO_LONG,
    "too_many_prompt_tokens": ErrorKind.CONTEXT_TOO_LONG,
    "model_not_found": ErrorKind.NOT_FOUND,
    "DeploymentNotFound": ErrorKind.NOT_FOUND,
    "insufficient_quota": ErrorKind.INSUFFICIENT_BALANCE,
    "credit_balance_exhausted": ErrorKind.INSUFFICIENT_BALANCE,
    "billing_hard_limit_reached": ErrorKind.INSUFFICIENT_BALANCE,
    "token_cost_limit_exceeded": ErrorKind.USAGE_LIMIT_EXCEEDED,
    "content_filter": ErrorKind.CONTENT_FILTERED,
    "content_policy_violation": ErrorKind.CONTENT_FILTERED,
    "image_content_policy_violation": ErrorKind.CONTENT_FILTERED,
    "bio_policy": ErrorKind.CONTENT_FILTERED,
    "misalignment_policy_violation": ErrorKind.CONTENT_FILTERED,
    "invalid_prompt": ErrorKind.INVALID_REQUEST,
    "vector_store_timeout": ErrorKind.TIMEOUT,
    "rate_limit_exceeded": ErrorKind.RATE_LIMIT,
    "RateLimitReached": ErrorKind.RATE_LIMIT,
    "slow_down": ErrorKind.RATE_LIMIT,
    "server_is_overloaded": ErrorKind.OVERLOADED,
    "upstream_timeout": ErrorKind.TIMEOUT,
    "request_timeout": ErrorKind.TIMEOUT,
    "upstream_error": ErrorKind.SERVER_ERROR,
    # Zhipu's codes are numbers, as text.
    "1113": ErrorKind.INSUFFICIENT_BALANCE,
    "1211": ErrorKind.NOT_FOUND,
    "1261": ErrorKind.CONTEXT_TOO_LONG,
    "1301": ErrorKind.CONTENT_FILTERED,
}
_TYPES = {
    "authentication_error": ErrorKind.AUTHENTICATION,
    "permission_error": ErrorKind.PERMISSION_DENIED,
    "not_found_error": ErrorKind.NOT_FOUND,
    "insufficient_quota": ErrorKind.INSUFFICIENT_BALANCE,
    "exceeded_current_quota_error": ErrorKind.INSUFFICIENT_BALANCE,
    "usage_limit_exceeded": ErrorKind.USAGE_LIMIT_EXCEEDED,
    "rate_limit_exceeded": ErrorKind.RATE_LIMIT,
    "rate_limit_error": ErrorKind.RATE_LIMIT,
    "rate_limit_reached_error": ErrorKind.RATE_LIMIT,
    "request_too_large": ErrorKind.REQUEST_TOO_LARGE,
    "overloaded_error": ErrorKind.OVERLOADED,
    "engine_overloaded_error": ErrorKind.OVERLOADED,
    "service_unavailable_error": ErrorKind.OVERLOADED,
    "timeout_error": ErrorKind.TIMEOUT,
    "content_filter": ErrorKind.CONTENT_FILTERED,
}
_BASE_RESP = {
    1001: ErrorKind.TIMEOUT,
    1002: ErrorKind.RATE_LIMIT,
    1004: ErrorKind.AUTHENTICATION,
    1008: ErrorKind.INSUFFICIENT_BALANCE,
    1026: ErrorKind.CONTENT_FILTERED,
    1027: ErrorKind.CONTENT_FILTERED,
    1039: ErrorKind.RATE_LIMIT,
    2013: ErrorKind.INVALID_REQUEST,
}
# Types that say less than the status does: OpenAI calls a missing key an invalid request too. A failed response has
# no type, and such a word as its code.
_WEAK_TYPES = {
    "invalid_request_error": ErrorKind.INVALID_REQUEST,
    "server_error": ErrorKind.SERVER_ERROR,
    "internal_server_error": ErrorKind.SERVER_ERROR,
    "api_error": ErrorKind.SERVER_ERROR,
}
# Where a vendor has no code for it, the wording tells.
_WORDING = (
    (
        re.compile(
            r"context[ _](length|window|size)|prompt (is )?too long|too many tokens|maximum (context|prompt)|"
            r"reduce the length",
            re.IGNORECASE,
        ),
        ErrorKind.CONTEXT_TOO_LONG,
    ),
    (re.compile(r"(invalid|incorrect) api key|api key not valid", re.IGNORECASE), ErrorKind.AUTHENTICATION),
)
_UNSPECIFIC = (ErrorKind.INVALID_REQUEST, ErrorKind.REQUEST_TOO_LARGE, ErrorKind.UNKNOWN)


def stream_error(error: Any, code: Any = None) -> StreamError:
    """Return the event for the value of an ``error`` member inside an answer; ``code``: one beside it."""
    details = error if isinstance(error, dict) else {"message": error}
    code = details.get("code") or code
    message = details.get("message") or details.get("detail") or code or "The provider reports an error."
    if not isinstance(message, str):
        message = msgspec.json.encode(message).decode()
    return StreamError(_kind(code, details.get("type"), message, 0), message)


def odd_error(data: bytes, *, named: bool = False) -> StreamError | None:
    """Read an error that is not under ``error``; ``named``: the frame's name says that it is one."""
    body = _decode(data)
    if isinstance(body.base_resp, dict) and (code := body.base_resp.get("status_code")):
        kind = _BASE_RESP.get(code, ErrorKind.SERVER_ERROR) if isinstance(code, int) else ErrorKind.UNKNOWN
        return StreamError(kind, str(body.base_resp.get("status_msg")))
    if named or body.object == "error" or body.detail or (body.message and (body.code or body.type)):
        return stream_error({"message": body.message or body.detail, "code": body.code, "type": body.type})
    return None


def error_kind(status: int, body: bytes) -> ErrorKind:
    """Map an error answer to a kind."""
    try:
        read = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return kind_of_status(status)
    error = read.error
    if isinstance(error, dict):
        return _kind(error.get("code"), error.get("type"), error.get("message"), status)
    return _kind(read.code, read.type, error or read.message or read.detail, status)


def _kind(code: Any, type_: Any, message: Any, status: int) -> ErrorKind:
    for table, value in ((_CODES, code), (_TYPES, code), (_TYPES, type_)):
        if isinstance(value, str) and (kind := table.get(value)):
            return kind
    if not status:
        status = _status(code)
    kind = kind_of_status(status)
    if status not in KINDS_BY_STATUS:
        words = (word for word in (type_, code) if isinstance(word, str))
        kind = next((_WEAK_TYPES[word] for word in words if word in _WEAK_TYPES), kind)
    if kind in _UNSPECIFIC and isinstance(message, str):
        for pattern, meant in _WORDING:
            if pattern.search(message):
                return meant
    return kind


def _status(code: Any) -> int:
    """Return an HTTP status that was written as a code, as OpenRouter does; 0: it is none."""
    try:
        status = int(code)
    except (TypeError, ValueError):
        return 0
    return status if 400 <= status < 600 else 0
