"""Anthropic: requests, and the provider around the messages API."""

from typing import Any

import anthropic
import httpx2
import msgspec
import pytest

from gateway.core.errors import BadRequest, ErrorKind
from gateway.core.provider import UpstreamRequest
from gateway.core.view import Prompt, Text, Tool, ToolResult
from gateway.providers import load
from gateway.providers.anthropic import Anthropic, MessagesRequest

PROVIDERS = load()
PROVIDER = PROVIDERS["anthropic"]
KEYED = {"x-api-key": "k"}
VERSIONED = {"anthropic-version": "2023-06-01"}


def request(**members: Any) -> MessagesRequest:
    return MessagesRequest(msgspec.json.encode({"model": "claude", **members}))


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def test_the_request_without_a_stream():
    for stream in ({}, {"stream": None}, {"stream": False}):
        assert request(**stream).stream is False
    assert request(stream=True).stream is True


@pytest.mark.parametrize("stream", ["true", 1, 0, [], {}])
def test_a_stream_that_is_no_boolean(stream):
    with pytest.raises(BadRequest, match=r"at \$\.stream"):
        request(stream=stream)


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"{", b'{"model":"a"}x', b'{"model":"\\ud800"}'])
def test_a_body_that_is_no_request(body):
    with pytest.raises(BadRequest):
        MessagesRequest(body)


@pytest.mark.parametrize(
    "odd", [None, 3, "text", [], {}, [3], [[]], [{}], [None], {"a": 1}, [{"type": ["x"]}]]
)
@pytest.mark.parametrize(
    "member", ["model", "system", "messages", "tools", "mcp_servers", "metadata", "content", "tool_result"]
)
def test_odd_members_are_the_upstreams_business(member, odd):
    if member == "content":
        read = request(messages=[user({"type": "text", "text": "kept"}), {"role": "user", "content": odd}])
    elif member == "tool_result":
        result = {"type": "tool_result", "tool_use_id": odd, "content": odd, "is_error": odd}
        read = request(messages=[user({"type": "tool_result", "content": "first"}, result, odd)])
        assert [one.is_error for one in read.tool_results] == [False, False]
    else:
        read = request(**{member: odd})
    assert isinstance(read.model, str)
    assert all(isinstance(text, str) for text in [*read.texts(), *(tool.name for tool in read.tools)])
    assert read.encode() is read.body


def test_tools():
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    read = request(
        tools=[
            {"name": "plain", "description": "Does it.", "input_schema": schema},
            {"type": "custom", "name": "custom", "input_schema": {}},
            {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
            {"type": "memory_20250818", "name": "memory"},
            {"type": "computer_20251124", "name": "computer"},
            {"type": "browser_toolset_20260801"},
            {"type": "web_fetch_20260318", "name": "web_fetch"},
            {"type": "tool_search_tool_bm25_20251119", "name": "tool_search_tool_bm25"},
            {"type": "advisor_20260301", "name": "advisor", "model": "claude"},
            {"type": "mcp_toolset", "mcp_server_name": "wiki"},
            {"type": "tomorrow_20270101", "name": "tomorrow"},
        ],
        mcp_servers=[{"name": "wiki", "url": "https://example.com"}, {"name": "mail", "url": "https://m"}],
    )
    assert read.tools[0] == Tool("plain", "Does it.", msgspec.Raw(msgspec.json.encode(schema)))
    assert [(tool.name, tool.server_executed) for tool in read.tools[1:]] == [
        ("custom", False),
        ("str_replace_based_edit_tool", False),
        ("memory", False),
        ("computer", False),
        ("browser_toolset_20260801", False),
        ("web_fetch", True),
        ("tool_search_tool_bm25", True),
        ("advisor", True),
        ("wiki", True),
        ("mcp__wiki__*", True),
        ("tomorrow", True),
        ("mail", True),
    ]


def test_a_tool_in_the_history_is_found_in_any_spelling():
    body = (
        rb'{"messages":[{"role":"user","content":[{"type":"\u0074ool_addition","tool":'
        rb'{"type":"tool_definition","definition":{"name":"hidden","input_schema":{}}}}]}]}'
    )
    assert [tool.name for tool in MessagesRequest(body).tools] == ["hidden"]


def test_two_tools_of_one_name_are_two():
    tools = [{"name": "a", "input_schema": {}}, {"name": "a", "input_schema": {"type": "object"}}]
    assert [tool.name for tool in request(tools=tools).tools] == ["a", "a"]


def test_the_name_of_a_result_is_that_of_the_call_before_it():
    def called(name: str) -> dict[str, Any]:
        return {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "t", "name": name, "input": {}}],
        }

    result = user({"type": "tool_result", "tool_use_id": "t", "content": "x"})
    read = request(messages=[result, called("one"), result, called("two"), result])
    assert [one.name for one in read.tool_results] == ["", "one", "two"]


def test_edits_keep_the_rest():
    body = (
        b'{"model": "claude",  "x": 1.50, "messages": [{"role": "user", "content": [{"type": "tool_result",'
        b' "tool_use_id": "t", "is_error": true, "content": [{"type": "text", "text": "a", "y": 1e2}],'
        b' "cache_control": {"type": "ephemeral"}}]}]}'
    )
    read = MessagesRequest(body)
    path = ("messages", 0, "content", 0, "content")
    [result] = read.tool_results
    assert result == ToolResult("t", "", True, path, (Text("a", (*path, 0, "text")),))
    read.set_text(result.texts[0], "b")
    assert b'{"type":"text","text":"b","y":1e2}' in read.encode().replace(b" ", b"")
    read = MessagesRequest(body)
    read.set_tool_result(result, "c")
    edited = read.encode().replace(b" ", b"")
    assert b'"is_error":true,"content":"c","cache_control":{"type":"ephemeral"}' in edited
    assert b'"x":1.50' in edited


def test_results_of_the_vendors_own_tools_are_never_edited():
    search = {
        "type": "web_search_tool_result",
        "tool_use_id": "s",
        "content": [{"url": "u", "encrypted_content": "E"}],
    }
    (result,) = request(messages=[user(search)]).tool_results
    assert (result.name, result.fixed) == ("web_search", True)
    assert [block.text for block in result.texts] == ['[{"url":"u"}]']


@pytest.mark.parametrize(
    ("user_id", "session"),
    [
        ("user_1_account_2_session_0a-1B", "0a-1B"),
        ('{"device_id":"d","session_id":"0a-1B"}', "0a-1B"),
        ('{"device_id":"d"}', None),
        ('{"session_id":3}', None),
        ("{session_id", None),
        ("somebody", None),
        (7, None),
    ],
)
def test_session(user_id, session):
    expected = (session, "metadata.user_id") if session else None
    assert request(metadata={"user_id": user_id}).session == expected


def test_texts():
    read = request(
        system="be nice",
        tools=[{"name": "lookup", "input_schema": {}}],
        messages=[
            {"role": "user", "content": "hello"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "tool_use", "id": "t", "name": "lookup", "input": {"q": "query"}},
                ],
            },
            user(
                {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "found"}]},
                {"type": "image", "source": {"type": "base64", "data": "iVBOR"}},
                {"type": "document", "source": {"type": "text", "data": "paper"}},
                {"type": "document", "source": {"type": "content", "content": "inline"}},
            ),
        ],
    )
    texts = list(read.texts())
    for text in ("be nice", "lookup", "hello", "hm", "query", "found", "paper", "inline"):
        assert any(text in one for one in texts), text
    assert not any("iVBOR" in one for one in texts)


def test_a_deep_request_is_read_without_recursion():
    nested: Any = "deep"
    for _ in range(300):
        nested = [{"type": "search_result", "content": nested}]
    read = request(messages=[user({"type": "tool_result", "content": nested})])
    assert [result.texts for result in read.tool_results] == [()]
    assert list(read.texts()) == []


def test_compose():
    prompt = Prompt("", (("user", "Hi"),), msgspec.Raw(b'{"type": "object"}'))
    assert MessagesRequest.compose("claude", prompt) == (
        b'{"model":"claude","max_tokens":4096,"messages":[{"role":"user","content":"Hi"}],'
        b'"output_config":{"format":{"type":"json_schema","schema":{"type": "object"}}}}'
    )


@pytest.mark.parametrize(
    ("method", "path", "sent", "stateful"),
    [
        ("POST", "/v1/messages", "/v1/messages", False),
        ("POST", "/messages", "/v1/messages", False),
        ("POST", "/v1/v1/messages", "/v1/messages", False),
        ("POST", "/messages/count_tokens", "/v1/messages/count_tokens", False),
        ("GET", "/v1/models/claude-opus-4-5", "/v1/models/claude-opus-4-5", False),
        ("POST", "/v1/messages/batches", "/v1/messages/batches", True),
        ("GET", "/v1/messages/batches/b/results", "/v1/messages/batches/b/results", True),
        ("POST", "/v1/files", "/v1/files", False),
        ("GET", "/v1/skills/s/versions/1/content", "/v1/skills/s/versions/1/content", False),
        ("GET", "/v1/organizations/cost_report", "/v1/organizations/cost_report", False),
        ("POST", "/v1/sessions", "/v1/sessions", True),
        ("GET", "/v1/sessions/s/events/stream", "/v1/sessions/s/events/stream", True),
        ("HEAD", "/api/hello", "/api/hello", False),
    ],
)
def test_endpoints(method, path, sent, stateful):
    match = PROVIDER.match(method, path)
    assert match is not None
    assert (match.path, match.endpoint.stateful) == (sent, stateful)
    assert match.endpoint.opaque is (match.endpoint.request is not MessagesRequest)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/messages"), ("POST", "/v1/complete"), ("POST", "/v1/organizations/users")],
)
def test_other_paths_lead_nowhere(method, path):
    assert PROVIDER.match(method, path) is None


@pytest.mark.parametrize(
    ("method", "path", "headers", "query", "claimed"),
    [
        ("POST", "/v1/messages", {}, "beta=true", True),
        ("POST", "/v1/messages/count_tokens", {}, "", True),
        ("POST", "/v1/messages/batches", {}, "", True),
        ("GET", "/v1/models", KEYED, "", True),
        ("GET", "/v1/models/claude", VERSIONED, "limit=1000", True),
        ("GET", "/v1/models", {}, "", False),
        ("GET", "/v1/models", {"authorization": "Bearer k"}, "", False),
        ("GET", "/v1/models", {**VERSIONED, "x-goog-api-key": "k"}, "", False),
        ("GET", "/v1/models", VERSIONED, "key=k", False),
        ("POST", "/v1/models/m:generateContent", KEYED, "", False),
        ("POST", "/v1/messages_of_others", KEYED, "", False),
        ("POST", "/v1/chat/completions", VERSIONED, "", False),
    ],
)
def test_root_paths(method, path, headers, query, claimed):
    assert PROVIDER.claims(method, path, headers, query) is claimed


def test_a_stored_secret_is_sent_with_a_version():
    plain = UpstreamRequest("POST", "https://api.anthropic.com/v1/messages", (("accept", "*/*"),))
    assert PROVIDER.sign(plain, "s").headers[1:] == (("x-api-key", "s"), ("anthropic-version", "2023-06-01"))
    theirs = plain.with_header("Anthropic-Version", "2026-10-21")
    assert PROVIDER.sign(theirs, "s").headers[1:] == (
        ("Anthropic-Version", "2026-10-21"),
        ("x-api-key", "s"),
    )


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (401, {"type": "authentication_error"}, ErrorKind.AUTHENTICATION),
        (402, {"type": "billing_error"}, ErrorKind.INSUFFICIENT_BALANCE),
        (403, {"type": "permission_error"}, ErrorKind.PERMISSION_DENIED),
        (404, {"type": "not_found_error"}, ErrorKind.NOT_FOUND),
        (413, {"type": "request_too_large"}, ErrorKind.REQUEST_TOO_LARGE),
        (429, {"type": "rate_limit_error"}, ErrorKind.RATE_LIMIT),
        (500, {"type": "api_error"}, ErrorKind.SERVER_ERROR),
        (504, {"type": "timeout_error"}, ErrorKind.TIMEOUT),
        (529, {"type": "overloaded_error"}, ErrorKind.OVERLOADED),
        (529, None, ErrorKind.OVERLOADED),
        (418, {"type": "tomorrow"}, ErrorKind.INVALID_REQUEST),
        (400, {"type": "invalid_request_error", "message": "messages: missing"}, ErrorKind.INVALID_REQUEST),
        (
            400,
            {"type": "invalid_request_error", "message": "prompt is too long: 9 tokens > 8 maximum"},
            ErrorKind.CONTEXT_TOO_LONG,
        ),
        (
            400,
            {"type": "invalid_request_error", "message": "Your credit balance is too low to access"},
            ErrorKind.INSUFFICIENT_BALANCE,
        ),
        (
            400,
            {"type": "invalid_request_error", "message": "Output blocked by content filtering policy"},
            ErrorKind.CONTENT_FILTERED,
        ),
        (
            429,
            {"type": "rate_limit_error", "details": {"error_code": "enforced_spend_limit_reached"}},
            ErrorKind.USAGE_LIMIT_EXCEEDED,
        ),
    ],
)
def test_error_kinds(status, error, kind):
    assert PROVIDER.error_kind(status, msgspec.json.encode({"type": "error", "error": error})) is kind


def test_an_error_body_that_is_none():
    assert PROVIDER.error_kind(502, b"<html>") is ErrorKind.SERVER_ERROR
    assert PROVIDER.error_kind(404, b"") is ErrorKind.NOT_FOUND


def test_model_ids():
    assert PROVIDER.model_ids(b'{"data":[{"type":"model","id":"claude-a"}],"has_more":false}') == ["claude-a"]


def test_every_path_of_the_vendors_client_leads_somewhere():
    asked: list[tuple[str, str]] = []

    def answer(asking: httpx2.Request) -> httpx2.Response:
        asked.append((asking.method, asking.url.path))
        return httpx2.Response(400, json={"type": "error", "error": {"type": "api_error", "message": "x"}})

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    ask: Any = {"model": "claude", "messages": [{"role": "user", "content": "Hi"}]}
    with anthropic.Anthropic(api_key="k", base_url="http://test", http_client=http, max_retries=0) as client:
        calls: list[Any] = [
            lambda: client.messages.create(**ask, max_tokens=1),
            lambda: client.beta.messages.create(**ask, max_tokens=1),
            lambda: client.messages.count_tokens(**ask),
            lambda: client.models.list(limit=5),
            lambda: client.models.retrieve("claude"),
            lambda: client.messages.batches.create(requests=[]),
            client.messages.batches.list,
            lambda: client.messages.batches.retrieve("b"),
            lambda: client.messages.batches.cancel("b"),
            lambda: client.messages.batches.delete("b"),
            client.files.list,
            lambda: client.files.upload(file=b"x"),
            lambda: client.files.download("f"),
            lambda: client.files.delete("f"),
            client.beta.skills.list,
            client.beta.agents.list,
            lambda: client.beta.sessions.retrieve("s"),
        ]
        for one in calls:
            with pytest.raises(anthropic.APIStatusError):
                one()
    assert len(asked) == len(calls)
    assert [place for place in asked if PROVIDER.match(*place) is None] == []


def test_it_is_registered_with_its_key():
    assert isinstance(PROVIDER, Anthropic)
    assert (PROVIDER.base_url, PROVIDER.row.key_variables) == (
        "https://api.anthropic.com",
        ("ANTHROPIC_API_KEY",),
    )
