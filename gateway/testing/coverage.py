"""What the fixtures of a provider must show, at least."""

from collections.abc import Sequence

from gateway.core.provider import Provider
from gateway.testing.cases import Case
from gateway.testing.contract import read_request

MINIMUM = (
    "text",
    "stream",
    "tool call",
    "parallel tool calls",
    "stream with tool call",
    "reasoning",
    "tool result",
    "error",
)
"""What must occur among the cases of each format whose answers may hold a tool call."""


def missing_cases(provider: Provider, cases: Sequence[Case]) -> list[str]:
    """Return what no case shows: endpoints with adapters, and the minimum of each format."""
    seen = {case.match(provider).endpoint: set[str]() for case in cases}
    formats: dict[str, set[str]] = {}
    for case in cases:
        seen[case.match(provider).endpoint] |= _features(provider, case)
    missing = []
    for endpoint in provider.endpoints:
        if not endpoint.opaque and endpoint not in seen:
            missing.append(f"{endpoint.name}: any case")
        if endpoint.carries_calls:
            formats.setdefault(endpoint.response.__name__, set()).update(seen.get(endpoint, ()))
    for name, features in formats.items():
        missing += [f"{name}: {feature}" for feature in MINIMUM if feature not in features]
    return missing


def _features(provider: Provider, case: Case) -> set[str]:
    request = case.expect.get("request", {})
    response = case.expect.get("response", {})
    if case.status >= 400:
        return {"error"} if response.get("error_kind") else set()
    calls = [call for call in response.get("tool_calls", ()) if not call.get("server_executed")]
    streamed = read_request(provider, case.match(provider), case.request).stream
    shown = {
        "text": response.get("text") and not streamed,
        "stream": response.get("text") and streamed,
        "tool call": calls and not streamed,
        "parallel tool calls": len(calls) > 1,
        "stream with tool call": calls and streamed,
        "reasoning": response.get("reasoning"),
        "tool result": request.get("tool_results"),
    }
    return {feature for feature, holds in shown.items() if holds}
