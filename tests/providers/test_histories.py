"""Messages of every wire: the shapes that no fixture shows, and whatever else a client may send."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.view import Message, Part
from gateway.providers import load
from gateway.providers.anthropic.request import MessagesRequest
from gateway.providers.gemini.request import CountTokensRequest, EmbedContentRequest, GenerateContentRequest
from gateway.providers.openai.chat_request import ChatRequest
from gateway.providers.openai.responses_request import ResponsesRequest
from gateway.testing import load_cases, read_request

ADAPTERS = sorted(
    {endpoint.request for provider in load().values() for endpoint in provider.endpoints},
    key=lambda adapter: adapter.__name__,
)
PNG = "data:image/png;base64,AA=="


def text(said):
    return Part("text", said)


def other(value):
    return Part("other", value if isinstance(value, str) else msgspec.json.encode(value).decode())


def read(adapter, value):
    return adapter.read_message(msgspec.json.encode(value))


@pytest.mark.parametrize(
    ("message", "role", "parts"),
    [
        ({"role": "developer", "content": "be brief"}, "system", [text("be brief")]),
        ({"role": "critic", "content": ""}, "user", [text("")]),
        ({"role": "user"}, "user", []),
        ({"role": 7, "content": 7}, "user", [other("7")]),
        ({"role": "user", "content": {"text": "lone"}}, "user", [text("lone")]),
        (
            {
                "role": "user",
                "content": ["a", {"type": "text", "text": "b"}, None, {"type": "new", "x": [1]}],
            },
            "user",
            [text("a"), text("b"), other("null"), other({"type": "new", "x": [1]})],
        ),
        (
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": "https://x/a.png", "detail": "low"}},
                    {"type": "image_url", "image_url": PNG},
                    {"type": "image_url", "image_url": {}},
                    {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
                    {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf,AA=="}},
                    {"type": "file", "file": {"file_id": "file-1"}},
                    {"type": "file", "file": {}},
                ],
            },
            "user",
            [
                Part("image", "https://x/a.png"),
                Part("image", media_type="image/png"),
                other({"type": "image_url", "image_url": {}}),
                Part("other", media_type="audio/wav"),
                Part("other", name="a.pdf", media_type="application/pdf"),
                Part("other", "file-1"),
                Part("other"),
            ],
        ),
        (
            {"role": "assistant", "reasoning_content": "hm", "content": "so", "refusal": "no"},
            "assistant",
            [Part("reasoning", "hm"), text("so"), text("no")],
        ),
        (
            {"role": "assistant", "reasoning_details": [{"text": "a"}, {"summary": "b"}, {"data": "x"}]},
            "assistant",
            [Part("reasoning", "a"), Part("reasoning", "b")],
        ),
        (
            {
                "role": "assistant",
                "content": [
                    {
                        "type": "thinking",
                        "thinking": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
                    },
                    {"type": "thinking", "thinking": "c"},
                    {"type": "refusal", "refusal": "no"},
                ],
            },
            "assistant",
            [Part("reasoning", "ab"), Part("reasoning", "c"), text("no")],
        ),
        (
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "1", "function": {"name": "f", "arguments": '{"a": 1.50}'}},
                    {"id": 2, "function": {"name": "g", "arguments": {"a": 1}}},
                    {"function": {"name": "h"}},
                    {"custom": {"name": "i", "input": 'say "hi"'}},
                    {"name": "flat", "arguments": "{}"},
                    {"function": "none"},
                    "none",
                ],
            },
            "assistant",
            [
                Part("tool_call", "", "1", "f", '{"a": 1.50}'),
                Part("tool_call", "", "", "g", '{"a":1}'),
                Part("tool_call", "", "", "h"),
                Part("tool_call", "", "", "i", r'{"input":"say \"hi\""}'),
                Part("tool_call", "", "", "flat", "{}"),
                other({"function": "none"}),
                other("none"),
            ],
        ),
        (
            {"role": "assistant", "tool_calls": {"function": {"name": "lone", "arguments": "{}"}}},
            "assistant",
            [Part("tool_call", "", "", "lone", "{}")],
        ),
        (
            {"role": "tool", "tool_call_id": "1", "content": [{"text": "a"}, {"image_url": PNG}, "b"]},
            "tool",
            [Part("tool_result", "a\nb", "1"), Part("image", media_type="image/png")],
        ),
    ],
)
def test_chat(message, role, parts):
    assert read(ChatRequest, message) == Message(role, tuple(parts))


@pytest.mark.parametrize(
    ("item", "role", "parts"),
    [
        ({"role": "assistant", "content": [{"type": "output_text", "text": "a"}]}, "assistant", [text("a")]),
        ({"type": "message", "role": "developer", "content": "a"}, "system", [text("a")]),
        (
            {
                "role": "user",
                "content": [
                    {"type": "input_image", "image_url": PNG, "detail": "auto"},
                    {"type": "input_image", "file_id": "file-1"},
                    {"type": "input_file", "filename": "a.pdf", "file_url": "https://x/a.pdf"},
                ],
            },
            "user",
            [
                Part("image", media_type="image/png"),
                Part("image", "file-1"),
                Part("other", "https://x/a.pdf", name="a.pdf"),
            ],
        ),
        (
            {
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
                "content": [{"type": "reasoning_text", "text": "c"}],
                "encrypted_content": "AA==",
            },
            "assistant",
            [Part("reasoning", "a\nb\nc")],
        ),
        ({"type": "reasoning", "summary": []}, "assistant", [Part("reasoning")]),
        (
            {"type": "web_search_call", "id": "ws_1", "action": {"query": "x"}},
            "assistant",
            [Part("tool_call", "", "ws_1", "web_search", '{"query":"x"}')],
        ),
        (
            {
                "type": "mcp_call",
                "id": "m1",
                "name": "ask",
                "arguments": "{}",
                "output": "no",
                "error": {"code": 1},
            },
            "assistant",
            [Part("tool_call", "", "m1", "ask", "{}"), Part("tool_result", "no", "m1", "ask", is_error=True)],
        ),
        (
            {
                "type": "computer_call_output",
                "call_id": "c1",
                "output": {"type": "computer_screenshot", "image_url": PNG},
            },
            "tool",
            [Part("tool_result", "", "c1"), Part("image", media_type="image/png")],
        ),
        ({"type": "function_call_output", "call_id": "c1"}, "tool", [Part("tool_result", "", "c1")]),
        ({"type": "item_reference", "id": "x"}, "assistant", [other({"type": "item_reference", "id": "x"})]),
        ({"type": "tomorrow", "x": 1}, "user", [other({"type": "tomorrow", "x": 1})]),
        ({"type": 7}, "user", [other({"type": 7})]),
    ],
)
def test_responses(item, role, parts):
    assert read(ResponsesRequest, item) == Message(role, tuple(parts))


def anthropic_result(**members):
    return {"type": "tool_result", "tool_use_id": "t1", **members}


@pytest.mark.parametrize(
    ("message", "role", "parts"),
    [
        ({"role": "user", "content": "a"}, "user", [text("a")]),
        ({"role": "critic"}, "user", []),
        ({"role": "user", "content": {"type": "text", "text": "lone"}}, "user", [text("lone")]),
        (
            {"role": "user", "content": [7, "a", {"type": "new"}]},
            "user",
            [other("7"), other("a"), other({"type": "new"})],
        ),
        (
            {
                "role": "user",
                "content": [
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": "AA=="},
                    },
                    {"type": "image", "source": {"type": "url", "url": "https://x/a.png"}},
                    {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
                    {"type": "document", "title": "t", "source": {"type": "text", "data": "words"}},
                    {
                        "type": "document",
                        "source": {"type": "content", "content": [{"type": "text", "text": "more"}]},
                    },
                    {
                        "type": "document",
                        "title": "p",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="},
                    },
                    {"type": "search_result", "source": "x", "title": "t", "content": [{"text": "hit"}]},
                ],
            },
            "user",
            [
                Part("image", media_type="image/png"),
                Part("image", "https://x/a.png"),
                Part("image", "file_1"),
                Part("text", "words", name="t"),
                text("more"),
                Part("other", name="p", media_type="application/pdf"),
                text("hit"),
            ],
        ),
        (
            {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "AA=="}, {"text": "a"}]},
            "assistant",
            [Part("reasoning"), text("a")],
        ),
        (
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "t1", "name": "f"}, {"type": "tool_use"}],
            },
            "assistant",
            [Part("tool_call", "", "t1", "f", "{}"), other({"type": "tool_use"})],
        ),
        ({"role": "user", "content": [anthropic_result()]}, "tool", [Part("tool_result", "", "t1")]),
        (
            {"role": "user", "content": [anthropic_result(content="no", is_error=True), {"text": "so?"}]},
            "user",
            [Part("tool_result", "no", "t1", is_error=True), text("so?")],
        ),
        (
            {
                "role": "assistant",
                "content": [
                    {
                        "type": "bash_code_execution_tool_result",
                        "tool_use_id": "s1",
                        "content": {"type": "bash_code_execution_result", "stdout": "a", "stderr": "b"},
                    },
                    {
                        "type": "web_search_tool_result",
                        "tool_use_id": "s2",
                        "content": {"type": "web_search_tool_result_error", "error_code": "unavailable"},
                    },
                    {
                        "type": "web_search_tool_result",
                        "tool_use_id": "s3",
                        "content": [{"type": "web_search_result", "url": "u", "encrypted_content": "AA=="}],
                    },
                ],
            },
            "assistant",
            [
                Part("tool_result", "a\nb", "s1"),
                Part("tool_result", "", "s2", is_error=True),
                other({"type": "web_search_tool_result_error", "error_code": "unavailable"}),
                Part("tool_result", "", "s3"),
                other({"type": "web_search_result", "url": "u"}),
            ],
        ),
    ],
)
def test_anthropic(message, role, parts):
    assert read(MessagesRequest, message) == Message(role, tuple(parts))


def gemini(*parts, role="user"):
    return {"role": role, "parts": list(parts)}


@pytest.mark.parametrize(
    ("content", "role", "parts"),
    [
        ("a lone text", "user", [text("a lone text")]),
        (gemini({"text": "a"}, role="model"), "assistant", [text("a")]),
        (gemini({"text": "a", "thought": True}, role="model"), "assistant", [Part("reasoning", "a")]),
        (gemini("a", 7, {"new": 1}), "user", [text("a"), other("7"), other({"new": 1})]),
        (gemini(), "user", []),
        ({"x": 1}, "user", [other({"x": 1})]),
        (
            gemini(
                {"inlineData": {"mimeType": "image/png", "data": "AA=="}},
                {"inline_data": {"mime_type": "audio/wav", "data": "AA=="}},
                {"file_data": {"mime_type": "image/png", "file_uri": "https://x/a.png"}},
                {"fileData": {"fileUri": "https://x/b", "displayName": "b"}},
            ),
            "user",
            [
                Part("image", media_type="image/png"),
                Part("other", media_type="audio/wav"),
                Part("image", "https://x/a.png", media_type="image/png"),
                Part("other", "https://x/b", name="b"),
            ],
        ),
        (
            gemini(
                {"function_call": {"id": "1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "AA=="},
                {"functionCall": {"name": "g", "args": None}},
                {"toolCall": {"id": "2", "toolType": "GOOGLE_SEARCH_WEB", "args": {"q": "x"}}},
                {"executableCode": {"language": "PYTHON", "code": "1+1"}},
                role="model",
            ),
            "assistant",
            [
                Part("tool_call", "", "1", "f", '{"a":1}'),
                Part("tool_call", "", "", "g", "{}"),
                Part("tool_call", "", "2", "googleSearch", '{"q":"x"}'),
                Part("tool_call", "", "", "codeExecution", '{"language":"PYTHON","code":"1+1"}'),
            ],
        ),
        (
            gemini(
                {"functionResponse": {"name": "f", "response": {"result": "a"}, "parts": [{"inlineData": {"mimeType": "image/png"}}]}},
                {"function_response": {"id": "1", "name": "g", "response": {"error": "no"}}},
                {"functionResponse": {"name": "h"}},
                {"toolResponse": {"id": "2", "toolType": "GOOGLE_MAPS", "response": {"output": "b"}}},
                {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}},
                {"codeExecutionResult": {"outcome": "OUTCOME_FAILED", "output": "oops"}},
                role="function",
            ),
            "tool",
            [
                Part("tool_result", "a", "", "f"),
                Part("image", media_type="image/png"),
                Part("tool_result", "no", "1", "g", is_error=True),
                Part("tool_result", "", "", "h"),
                Part("tool_result", "b", "2", "googleMaps"),
                Part("tool_result", "2", "", "codeExecution"),
                Part("tool_result", "oops", "", "codeExecution", is_error=True),
            ],
        ),
        (
            gemini({"functionResponse": {"name": "f", "response": {"result": "a"}}}, {"text": "so?"}),
            "user",
            [Part("tool_result", "a", "", "f"), text("so?")],
        ),
    ],
)  # fmt: skip
def test_gemini(content, role, parts):
    assert read(GenerateContentRequest, content) == Message(role, tuple(parts))


@pytest.mark.parametrize(
    ("adapter", "body", "messages"),
    [
        (ChatRequest, {"prompt": ["a", "b"]}, [Message("user", (text("a"), text("b")))]),
        (ChatRequest, {"prompt": [1, 2]}, []),
        (ChatRequest, {"messages": "none"}, []),
        (ResponsesRequest, {"instructions": "i", "input": "a"}, [Message("system", (text("i"),)), Message("user", (text("a"),))]),
        (ResponsesRequest, {"instructions": ["i"], "input": None}, []),
        (
            MessagesRequest,
            {"system": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "messages": []},
            [Message("system", (text("a"), text("b")))],
        ),
        (MessagesRequest, {"system": None, "messages": {}}, []),
        (
            GenerateContentRequest,
            {"system_instruction": "s", "contents": "a"},
            [Message("system", (text("s"),)), Message("user", (text("a"),))],
        ),
        (EmbedContentRequest, {"content": {"parts": [{"text": "a"}]}}, [Message("user", (text("a"),))]),
    ],
)  # fmt: skip
def test_what_stands_elsewhere(adapter, body, messages):
    assert adapter(msgspec.json.encode(body)).messages() == messages


@pytest.mark.parametrize("root", ["generateContentRequest", "generate_content_request"])
def test_a_history_within_another_request(root):
    body = msgspec.json.encode({root: {"contents": ["a", gemini({"text": "b"})]}})
    assert CountTokensRequest(body).pieces[1:] == (
        [b'"a"', b',{"role":"user","parts":[{"text":"b"}]}'],
        b"]}}",
    )
    assert CountTokensRequest(body).messages() == [
        Message("user", (text("a"),)),
        Message("user", (text("b"),)),
    ]


def words(value):
    """Return the keys of a document, and its short strings."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from words(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from words(inner)
    elif isinstance(value, str) and len(value) < 30:
        yield value


# What clients do write, in places where they don't.
FIXTURES = Path(__file__).parent.parent / "fixtures"
WORDS = sorted(
    {
        word
        for file in FIXTURES.glob("*/*/request.json")
        for word in words(msgspec.json.decode(file.read_bytes()))
    }
)
names = st.sampled_from(WORDS)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | names
values = st.recursive(
    scalars | st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5),
    max_leaves=12,
)


@st.composite
def damaged(draw, value):
    """Put something else in place of some values of a document."""
    if draw(st.integers(0, 9)) == 0:
        return draw(values)
    if isinstance(value, dict):
        return {key: draw(damaged(inner)) for key, inner in value.items()}
    return [draw(damaged(inner)) for inner in value] if isinstance(value, list) else value


def histories(adapter):
    """Return the histories of all fixtures whose requests this adapter reads."""
    return [
        element
        for folder, provider in load().items()
        for case in load_cases(FIXTURES / folder)
        if case.match(provider).endpoint.request is adapter
        for element in read_request(provider, case.match(provider), case.request).pieces[1]
    ]


HISTORIES = {adapter: found for adapter in ADAPTERS if (found := histories(adapter))}


def check(message):
    assert isinstance(message, Message)
    # It can be shown: every member has the type that it says.
    assert msgspec.convert(msgspec.to_builtins(message), Message) == message


@pytest.mark.parametrize("adapter", ADAPTERS)
@given(value=values, junk=st.binary(max_size=8))
def test_whatever_a_client_sends_is_a_message(adapter, value, junk):
    for element in (msgspec.json.encode(value), junk, msgspec.json.encode(value) + junk):
        check(adapter.read_message(element))


@pytest.mark.parametrize("adapter", HISTORIES)
@given(st.data())
def test_a_damaged_message_is_a_message(adapter, data):
    element = data.draw(st.sampled_from(HISTORIES[adapter]))
    value = data.draw(damaged(msgspec.json.decode(element.lstrip(b", \r\n"))))
    check(adapter.read_message(msgspec.json.encode(value)))


MEMBERS = [
    "system",
    "instructions",
    "input",
    "prompt",
    "messages",
    "contents",
    "systemInstruction",
    "content",
]


@pytest.mark.parametrize("adapter", ADAPTERS)
@given(value=st.dictionaries(st.sampled_from([*MEMBERS, "requests", "generateContentRequest"]), values))
def test_whatever_a_body_holds_it_has_messages(adapter, value):
    request = adapter(msgspec.json.encode(value))
    messages = request.messages()
    assert len(messages) >= len(request.pieces[1])
    for message in messages:
        check(message)
