"""Our errors in the shape that OpenAI's API and all that are like it use."""

from typing import Any

from gateway.core.errors import (
    BadRequest,
    BodyTimeout,
    BudgetSpent,
    Draining,
    Forbidden,
    GatewayError,
    NotFound,
    Overloaded,
    RateLimited,
    TooLarge,
    Unauthorized,
    UpgradeRequired,
    UpstreamError,
    UpstreamTimeout,
)

_TYPES: tuple[tuple[type[GatewayError], str, str], ...] = (
    (BadRequest, "invalid_request_error", "invalid_request"),
    (Unauthorized, "authentication_error", "invalid_api_key"),
    (BudgetSpent, "usage_limit_exceeded", "token_cost_limit_exceeded"),
    (Forbidden, "permission_error", "permission_denied"),
    (NotFound, "not_found_error", "not_found"),
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
    for cls, kind, code in _TYPES:
        if isinstance(error, cls):
            return {"message": error.text, "type": kind, "code": code, "param": None}
    raise AssertionError(error)
