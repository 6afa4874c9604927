"""The tree of errors: every leaf has a status, a kind, a fault and an outcome of the closed sets."""

import re

import pytest

from gateway.core import errors
from gateway.core.errors import (
    ClientError,
    ErrorKind,
    Fault,
    GatewayError,
    GatewayFailure,
    InternalError,
    NotEvaluated,
    RateLimited,
    UpstreamError,
    kind_of_status,
)
from gateway.testing.contract import every_error

LEAVES = list(every_error())
OUTCOMES = {
    *(
        "client_error",
        "policy_blocked",
        "budget_denied",
        "rate_limited",
        "overloaded",
        "draining",
        "internal",
    ),
    *("upstream_connect", "upstream_timeout", "upstream_reset", "upstream_protocol", "not_evaluated"),
}


@pytest.mark.parametrize("error", LEAVES, ids=lambda error: type(error).__name__)
def test_every_leaf(error):
    assert error.outcome in OUTCOMES
    faults = {ClientError: Fault.CLIENT, UpstreamError: Fault.UPSTREAM, GatewayFailure: Fault.GATEWAY}
    assert [error.fault] == [fault for branch, fault in faults.items() if isinstance(error, branch)]
    assert error.status // 100 == (4 if error.fault is Fault.CLIENT else 5)
    assert error.kind in ErrorKind


def test_the_module_s_drawing_is_the_tree():
    drawn = re.findall(r"── (\w+)(?: +(\d+))?", errors.__doc__)
    leaves = {name: int(status) for name, status in drawn if status}
    assert leaves == {type(error).__name__: error.status for error in LEAVES}
    assert {name for name, status in drawn if not status} == {
        "ClientError",
        "UpstreamError",
        "GatewayFailure",
    }


def test_text():
    error = NotEvaluated("It can't be read.")
    assert error.text == str(error) == "It can't be read."
    error.interaction_id = "i1"
    assert error.text == "It can't be read. (interaction i1)"


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (InternalError(""), {}),
        (RateLimited("", retry_after=0), {"Retry-After": "0"}),
        (
            InternalError("", retry_after=7, may_have_run=True),
            {"Retry-After": "7", "x-should-retry": "false"},
        ),
        # The upstream has answered, so the request has run.
        (NotEvaluated(""), {"x-should-retry": "false"}),
    ],
)
def test_headers(error, headers):
    assert error.headers == headers


def test_of():
    error = NotEvaluated("known")
    assert GatewayError.of(error) is error
    other = GatewayError.of(ValueError("secret"))
    assert isinstance(other, InternalError)
    assert "secret" not in other.text


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, "unknown"),
        (304, "unknown"),
        (400, "invalid_request"),
        (401, "authentication"),
        (402, "insufficient_balance"),
        (403, "permission_denied"),
        (404, "not_found"),
        (408, "timeout"),
        (413, "request_too_large"),
        (418, "invalid_request"),
        (429, "rate_limit"),
        (500, "server_error"),
        (502, "server_error"),
        (503, "overloaded"),
        (504, "timeout"),
        (529, "overloaded"),
        (599, "server_error"),
    ],
)
def test_kind_of_status(status, kind):
    assert kind_of_status(status) == kind


def test_retryable():
    assert {kind for kind in ErrorKind if kind.retryable} == {
        ErrorKind.RATE_LIMIT,
        ErrorKind.OVERLOADED,
        ErrorKind.SERVER_ERROR,
        ErrorKind.NETWORK_ERROR,
        ErrorKind.TIMEOUT,
    }
