"""The provider contract: what every adapter must do with every fixture, usable by plugin authors.

``load_cases`` reads a folder of fixtures (``tests/fixtures/README.md`` describes the files), ``check_contract``
runs every point of the contract over one of them, ``missing_cases`` names what the fixtures do not show yet.
A failure is an ``AssertionError`` that begins with the case and the point.
"""

from gateway.testing.cases import Case, cuts, load_cases
from gateway.testing.contract import check_contract, open_relay, read_request
from gateway.testing.coverage import missing_cases
from gateway.testing.views import request_view, response_view

__all__ = [
    "Case",
    "check_contract",
    "cuts",
    "load_cases",
    "missing_cases",
    "open_relay",
    "read_request",
    "request_view",
    "response_view",
]
