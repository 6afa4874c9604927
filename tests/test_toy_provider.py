"""A provider of a made-up format takes one module and one folder of fixtures, and nothing else.

The format: NDJSON whose lines are ``{"say": …}``, ``{"do": …}`` and ``{"bye": …}``.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from gateway.core import provider as registry
from gateway.core.provider import Provider, Providers
from gateway.testing import check_contract, load_cases, missing_cases
from tests.toy import toy

FIXTURES = Path(__file__).parent / "toy" / "fixtures"
CASES = load_cases(FIXTURES / "toy")


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setattr(registry, "_REGISTERED", {})
    toy.register()
    yield Providers()["toy"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_toy_fulfils_the_contract(provider, case):
    check_contract(provider, case)


def test_the_toy_has_every_case_that_a_provider_needs(provider):
    assert missing_cases(provider, CASES) == []
    assert "ChatResponse: tool call" in missing_cases(
        provider, [case for case in CASES if "tool_call" not in case.name]
    )
    assert "POST /talk: any case" in missing_cases(provider, [])


class Leaky(toy.ChatResponse):
    """Forgets that a ``do`` line is a call."""

    def events(self, frame):
        return () if b'"do"' in frame.data else super().events(frame)


class Forgetful(toy.ChatResponse):
    """Forgets what stood beside the call."""

    def refusal(self, text, held, completion):
        return list(super().refusal(text, held, completion))[1:]


class Rewriting(toy.ChatRequest):
    """Encodes bodies that nobody edited."""

    def encode(self):
        return msgspec.json.encode(msgspec.json.decode(super().encode()))


class Careless(toy.ChatRequest):
    """Edits more than it was asked to."""

    def set_tool_result(self, result, text):
        super().set_tool_result(result, text)
        self.set(("user",), "careless")


@pytest.mark.parametrize(
    ("request_class", "response_class", "case", "complaint"),
    [
        (toy.ChatRequest, Leaky, "tool_call_stream", "5 view"),
        (toy.ChatRequest, Forgetful, "tool_call_stream", "6 refusal"),
        (Rewriting, toy.ChatResponse, "text", "7 identity"),
        (Careless, toy.ChatResponse, "tool_result", "8 edits"),
    ],
)
def test_the_contract_notices_a_broken_adapter(
    provider, monkeypatch, request_class, response_class, case, complaint
):
    endpoint = provider.endpoints[0]
    monkeypatch.setattr(endpoint, "request", request_class)
    monkeypatch.setattr(endpoint, "response", response_class)
    with pytest.raises(AssertionError, match=complaint):
        check_contract(provider, next(c for c in CASES if c.name == f"toy/{case}"))
