"""What requests leave to a provider's memory, per wire: found in every spelling, and left out on demand."""

from typing import Any

import msgspec
import pytest

from gateway.core.adapter import RequestAdapter
from gateway.core.reference import Reference
from gateway.providers import load
from gateway.testing import load_cases
from tests.test_providers import FIXTURES

PROVIDERS = load()
ENDPOINTS = {
    "chat": ("openai", "/chat/completions"),
    "responses": ("openai", "/responses"),
    "anthropic": ("anthropic", "/v1/messages"),
    "gemini": ("gemini", "/v1beta/models/m:generateContent"),
}


def read(wire: str, body: bytes | dict[str, Any]) -> RequestAdapter:
    name, path = ENDPOINTS[wire]
    match = PROVIDERS[name].match("POST", path)
    assert match
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return match.endpoint.request(raw, match.params)


def sent(request: RequestAdapter) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(request.encode())
    return decoded


R = Reference
COMPACTED = {
    "role": "assistant",
    "content": [{"type": "text", "text": "a"}, {"type": "compaction", "content": "b"}],
}
HIDDEN: list[tuple[str, Any, list[Reference]]] = [
    ("responses", {"previous_response_id": "resp_1"}, [R("answer", "previous_response_id", "resp_1")]),
    ("responses", {"previous_response_id": None, "conversation": None, "prompt": None, "background": None}, []),
    ("responses", {"background": False, "input": "Hi"}, []),
    ("responses", {"conversation": "conv_1"}, [R("history", "conversation")]),
    ("responses", {"conversation": {"id": "conv_1"}}, [R("history", "conversation")]),
    ("responses", {"prompt": {"id": "pmpt_1"}}, [R("tools", "prompt")]),
    ("responses", {"background": True}, [R("deferred", "background")]),
    ("responses", {"input": [{"role": "user", "content": "a"}, {"type": "item_reference", "id": "fc_1"}, {"type": "item_reference", "id": "fc_2"}]}, [R("history", "input[1]", "fc_1")]),
    # A reference need not say that it is one, and other items may be none.
    ("responses", {"input": [{"id": "fc_1"}]}, [R("history", "input[0]", "fc_1")]),
    ("responses", {"input": [7, "x", {"type": None, "id": "fc_1"}]}, [R("history", "input[2]", "fc_1")]),
    ("responses", rb'{"input":[{"\u0074ype":"item_ref\u0065rence","id":"fc_1"}]}', [R("history", "input[0]", "fc_1")]),
    ("responses", {"input": [{"id": "msg_1", "role": "assistant", "content": "a"}]}, []),
    ("responses", {"input": [{"type": "compaction", "encrypted_content": "x"}]}, [R("context", "input[0]")]),
    ("responses", {"input": [{"type": "compaction_trigger"}, {"type": "reasoning", "id": "rs_1", "summary": []}]}, []),
    ("responses", {"tools": [7, {"type": "code_interpreter", "container": {"type": "auto"}}]}, []),
    ("responses", {"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}, [R("context", "tools[0].container")]),
    ("responses", {"tools": [{"type": "shell", "environment": {"type": "container_reference", "container_id": "c"}}]}, [R("context", "tools[0].environment")]),
    ("chat", {"store": True, "prediction": {"type": "content", "content": "x"}}, []),
    ("chat", {"deferred": True}, [R("deferred", "deferred")]),
    ("anthropic", {"thread": {"type": "create"}}, []),
    ("anthropic", {"thread": None, "container": None}, []),
    ("anthropic", {"thread": {"type": "continue", "previous_message_id": "msg_1"}}, [R("answer", "thread", "msg_1")]),
    ("anthropic", {"thread": {"type": "tomorrow"}}, [R("answer", "thread")]),
    ("anthropic", {"container": "container_1"}, [R("context", "container", "container_1")]),
    ("anthropic", {"container": {"id": "container_1", "skills": []}}, [R("context", "container", "container_1")]),
    ("anthropic", {"container": {"skills": [{"skill_id": "pdf"}]}}, []),
    ("anthropic", {"messages": [{"role": "user", "content": "compaction"}, COMPACTED]}, [R("context", "messages[1].content[1]")]),
    ("anthropic", rb'{"messages":[{"role":"assistant","content":[{"type":"comp\u0061ction","content":"x"}]}]}', [R("context", "messages[0].content[0]")]),
    ("gemini", {"cachedContent": "cachedContents/1"}, [R("tools", "cachedContent", "cachedContents/1")]),
    ("gemini", {"cached_content": "cachedContents/1"}, [R("tools", "cached_content", "cachedContents/1")]),
    ("gemini", {"cachedContent": None}, []),
    ("gemini", {"cachedContent": ""}, []),
]  # fmt: skip


@pytest.mark.parametrize(("wire", "body", "expected"), HIDDEN)
def test_hidden(wire, body, expected):
    request = read(wire, body)
    assert list(request.hidden) == expected
    assert request.encode() is request.body


KEEPS: list[tuple[str, dict[str, Any], bool]] = [
    ("responses", {}, True),
    ("responses", {"store": None}, True),
    ("responses", {"store": True}, True),
    ("responses", {"store": "false"}, True),
    ("responses", {"store": False}, False),
    ("responses", {"store": False, "conversation": "conv_1"}, True),
    ("chat", {}, False),
    ("chat", {"store": False}, False),
    ("chat", {"store": True}, True),
    ("anthropic", {}, False),
    ("anthropic", {"thread": None}, False),
    ("anthropic", {"thread": {"type": "create"}}, True),
    ("anthropic", {"thread": {"type": "continue", "previous_message_id": "m"}}, True),
    ("gemini", {"cachedContent": "cachedContents/1"}, False),
]


@pytest.mark.parametrize(("wire", "body", "expected"), KEEPS)
def test_keeps(wire, body, expected):
    assert read(wire, body).keeps is expected


FORGOTTEN: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("responses", {"input": "Hi"}, {"input": "Hi", "store": False}),
    ("responses", {"store": True, "x": 1}, {"store": False, "x": 1}),
    ("chat", {"store": True, "seed": 1}, {"store": False, "seed": 1}),
    # The API accepts them only for what is stored.
    ("chat", {"store": True, "metadata": {"a": "b"}}, {"store": False}),
    ("anthropic", {"thread": {"type": "create"}, "model": "m"}, {"model": "m"}),
    ("anthropic", {"thread": "odd"}, {}),
    # What is not kept has to come back with the next request.
    (
        "responses",
        {"reasoning": {"effort": "low"}},
        {"reasoning": {"effort": "low"}, "store": False, "include": ["reasoning.encrypted_content"]},
    ),
    (
        "responses",
        {"reasoning": {}, "include": ["message.output_text.logprobs", "reasoning.encrypted_content"]},
        {"reasoning": {}, "include": ["message.output_text.logprobs", "reasoning.encrypted_content"], "store": False},
    ),
    # What is only an id could be found nowhere.
    (
        "responses",
        {"input": [{"type": "reasoning", "id": "rs_1", "summary": []}, {"role": "user", "content": "a"}, {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "x"}, {"type": "reasoning", "id": "rs_3", "content": [{"type": "reasoning_text", "text": "a"}]}]},
        {"input": [{"role": "user", "content": "a"}, {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "x"}, {"type": "reasoning", "id": "rs_3", "content": [{"type": "reasoning_text", "text": "a"}]}], "store": False},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("wire", "body", "expected"), FORGOTTEN)
def test_forget(wire, body, expected):
    request = read(wire, body)
    assert request.keeps
    request.forget()
    assert not request.keeps
    assert sent(request) == expected


@pytest.mark.parametrize(
    ("wire", "body"),
    [
        ("responses", {"conversation": "conv_1", "store": True}),
        ("anthropic", {"thread": {"type": "continue", "previous_message_id": "m"}}),
    ],
)
def test_what_can_only_go_on_upstream_stays_kept(wire, body):
    request = read(wire, body)
    request.forget()
    assert request.keeps


@pytest.mark.parametrize(
    ("beta", "left"),
    [
        ("message-threads-2026-08-12", None),
        ("a-1, message-threads-2026-08-12,b-2", "a-1,b-2"),
        ("a-1, b-2", "a-1, b-2"),
    ],
)
def test_the_beta_of_threads_goes_with_the_thread(beta, left):
    headers = [("Anthropic-Beta", beta), ("anthropic-version", "2023-06-01")]
    request = read("anthropic", {"thread": {"type": "create"}})
    assert request.headers(headers) is headers
    request.forget()
    expected = headers[1:] if left is None else [("Anthropic-Beta", left), *headers[1:]]
    assert request.headers(headers) == expected


def test_names_of_calls_that_only_the_provider_shows():
    known = {"call_1": "get_weather", "call_2": "wrong", "toolu_1": "get_time"}

    def name(call: str) -> str:
        return known.get(call, "")

    outputs = [
        {"type": "function_call_output", "call_id": "call_1", "output": "a"},
        {"type": "function_call", "call_id": "call_2", "name": "own", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_2", "output": "b"},
        {"type": "function_call_output", "call_id": "call_3", "name": "claimed", "output": "c"},
    ]
    request = read("responses", {"previous_response_id": "resp_1", "input": outputs})
    request.earlier_name = name
    assert [result.name for result in request.tool_results] == ["get_weather", "own", ""]
    block = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}
    request = read("anthropic", {"messages": [{"role": "user", "content": [block]}]})
    request.earlier_name = name
    assert [result.name for result in request.tool_results] == ["get_time"]


@pytest.mark.parametrize("again", ["the same", "longer", "other"])
@pytest.mark.parametrize("wire", ["responses", "anthropic"])
def test_what_a_history_hides_is_found_at_every_turn(wire, again):
    """Histories that clients resend are read but once."""
    if wire == "responses":
        hiding: Any = {"type": "item_reference", "id": "fc_1"}
        turns: list[Any] = [{"type": "function_call_output", "call_id": "c", "output": "x" * 5000}]
        member, place = "input", "input[1]"
    else:
        hiding = {"role": "assistant", "content": [{"type": "compaction", "content": "x"}]}
        block = {"type": "tool_result", "tool_use_id": "t", "content": "x" * 5000}
        turns = [{"role": "user", "content": [block]}]
        member, place = "messages", "messages[1].content[0]"
    more = [*turns, hiding, *turns]
    assert [one.member for one in read(wire, {member: more}).hidden] == [place]
    assert len(read(wire, {member: more}).tool_results) == 2
    last = {"the same": more, "longer": [*more, *turns], "other": [*turns, *turns]}[again]
    request = read(wire, {member: last})
    assert len(request.tool_results) == (3 if again == "longer" else 2)
    assert [one.member for one in request.hidden] == ([] if again == "other" else [place])


@pytest.mark.parametrize("wire", ENDPOINTS)
def test_no_fixture_hides_by_mistake(wire):
    """Full conversations, as clients send them, hide nothing: what is found hidden says so in its body."""
    name, path = ENDPOINTS[wire]
    endpoint = read(wire, b"{}")
    words = (b"previous_response_id", b"conversation", b"compaction", b"container", b"item_reference", b"cachedContent", b'"prompt"', b'"thread"', b'"background"')  # fmt: skip
    cases = [case for case in load_cases(FIXTURES / name) if case.request]
    read_alike = [
        request
        for case in cases
        if type(request := case.match(PROVIDERS[name]).endpoint.request(case.request)) is type(endpoint)
    ]
    assert read_alike, path
    for request in read_alike:
        assert not request.hidden or any(word in request.body for word in words), request.body
