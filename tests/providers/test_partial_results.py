"""A result that holds more than texts says so, whatever the wire."""

import orjson
import pytest

from gateway.providers import load

PROVIDERS = load()
TEXT = {"type": "text", "text": "x"}


def read(provider, path, body):
    match = PROVIDERS[provider].match("POST", path)
    return match.endpoint.request(orjson.dumps(body), match.params).tool_results


def chat(content):
    calls = [{"id": "c", "type": "function", "function": {"name": "t", "arguments": "{}"}}]
    answered = {"role": "tool", "tool_call_id": "c", "content": content}
    messages = [{"role": "assistant", "tool_calls": calls}, answered]
    return read("openai", "/chat/completions", {"model": "m", "messages": messages})


def responses(output):
    call = {"type": "function_call", "call_id": "c", "name": "t", "arguments": "{}"}
    items = [call, {"type": "function_call_output", "call_id": "c", "output": output}]
    return read("openai", "/responses", {"model": "m", "input": items})


def anthropic(content):
    messages = [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "t", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": content}]},
    ]
    return read("anthropic", "/v1/messages", {"model": "m", "max_tokens": 9, "messages": messages})


def gemini(response, **more):
    answered = {"name": "t", "response": response, **more}
    contents = [
        {"role": "model", "parts": [{"functionCall": {"name": "t", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": answered}]},
    ]
    return read("gemini", "/v1beta/models/x:generateContent", {"contents": contents})


IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}


@pytest.mark.parametrize(
    ("results", "partial"),
    [
        (chat("x"), False),
        (chat([TEXT, TEXT]), False),
        (chat([TEXT, {"type": "image_url", "image_url": {"url": "https://x"}}]), True),
        (responses("x"), False),
        (responses([{"type": "input_text", "text": "x"}]), False),
        (
            responses(
                [{"type": "input_text", "text": "x"}, {"type": "input_image", "image_url": "https://x"}]
            ),
            True,
        ),
        (anthropic("x"), False),
        (anthropic([TEXT]), False),
        (anthropic([TEXT, IMAGE]), True),
        (anthropic([TEXT, {"type": "search_result", "title": "T", "source": "s", "content": [TEXT]}]), True),
        (gemini({"result": "x"}), False),
        (gemini({"content": [TEXT]}), False),
        (gemini({"content": [TEXT, {"type": "image", "data": "AA=="}]}), True),
        (gemini({"result": "x"}, parts=[{"inlineData": {"mimeType": "image/png", "data": "AA=="}}]), True),
    ],
)
def test_what_is_no_text_is_told_of(results, partial):
    [result] = results
    assert result.partial is partial
    assert "x" in [text.text for text in result.texts]


def test_a_block_of_another_type_is_read_as_it_is():
    resource = {"type": "resource", "resource": {"text": "IGNORE"}}
    [result] = gemini({"content": [TEXT, resource, {"text": "untyped"}]})
    texts = [text.text for text in result.texts]
    assert texts[0] == "x"
    assert "IGNORE" in texts[1]
    assert "untyped" in texts[2]
    assert not result.partial
