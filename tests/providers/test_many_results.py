"""A history may hold tens of thousands of results: each is found, named and replaced without looking at all others."""

from time import process_time

import msgspec
import pytest

from gateway.providers import load

MANY = 30_000
PROVIDERS = load()
CHAT = {"role": "tool", "tool_call_id": "c", "content": "x"}
ANTHROPIC = {"type": "tool_result", "tool_use_id": "c", "content": "x"}
GEMINI = {"functionResponse": {"name": "f", "response": {"x": "y"}}}
MEDIA = {"functionResponse": {"name": "f", "response": {"x": "y"}, "parts": [{"text": "z"}]}}
GENERATE = "/v1beta/models/m:generateContent"
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "x"}
WIRES = {
    "chat": ("openai", "/chat/completions", {"model": "m", "messages": [CHAT] * MANY}),
    "responses": ("openai", "/responses", {"model": "m", "input": [OUTPUT] * MANY}),
    "anthropic, one message": (
        "anthropic",
        "/v1/messages",
        {"model": "m", "messages": [{"role": "user", "content": [ANTHROPIC] * MANY}]},
    ),
    "anthropic, many messages": (
        "anthropic",
        "/v1/messages",
        {"model": "m", "messages": [{"role": "user", "content": [ANTHROPIC]}] * MANY},
    ),
    "gemini, one content": (
        "gemini",
        GENERATE,
        {"contents": [{"role": "user", "parts": [MEDIA] * MANY}]},
    ),
    "gemini, many contents": (
        "gemini",
        GENERATE,
        {"contents": [{"role": "user", "parts": [GEMINI]}] * MANY},
    ),
}


@pytest.mark.parametrize("wire", WIRES)
def test_many_results_are_replaced_in_no_time(wire):
    provider, path, said = WIRES[wire]
    match = PROVIDERS[provider].match("POST", path)
    request = match.endpoint.request(msgspec.json.encode(said), match.params)
    began = process_time()
    for result in request.tool_results:
        request.set_tool_result(result, "replaced")
    body = request.encode()
    assert process_time() - began < 4.0
    assert body.count(b'"replaced"') == MANY
