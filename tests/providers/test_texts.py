"""What counts as text that the model reads: never the bytes of an image, of sound or of a file."""

import base64

import msgspec
import pytest

from gateway.providers.anthropic import MessagesRequest
from gateway.providers.gemini.request import GenerateContentRequest
from gateway.providers.openai.chat_request import ChatRequest
from gateway.providers.openai.responses_request import ResponsesRequest

DATA = base64.b64encode(bytes(range(256)) * 400).decode()
URL = f"data:image/png;base64,{DATA}"


def say(**members):
    return {"type": "message", "role": "user", "content": [members]}


RESPONSES = [
    say(type="input_image", image_url=URL),
    say(type="input_file", file_data=URL, filename="a.pdf"),
    say(type="input_audio", input_audio={"data": DATA, "format": "wav"}),
    {"type": "image_generation_call", "id": "ig", "status": "completed", "result": DATA},
    {
        "type": "computer_call_output",
        "call_id": "c",
        "output": {"type": "computer_screenshot", "image_url": URL},
    },
    {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image", "image_url": URL}]},
    {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_file", "file_data": DATA}]},
    {"type": "function_call_output", "call_id": "c", "output": {"type": "input_image", "image_url": URL}},
    {"type": "function_call_output", "call_id": "c", "output": {"content": [{"type": "file", "file_data": DATA}]}},
    {"type": "reasoning", "summary": [], "encrypted_content": DATA},
    {"type": "compaction", "encrypted_content": DATA},
]  # fmt: skip
CHAT = [
    say(type="image_url", image_url={"url": URL}),
    say(type="input_audio", input_audio={"data": DATA, "format": "wav"}),
    say(type="file", file={"file_data": URL, "filename": "a.pdf"}),
    {"role": "tool", "tool_call_id": "c", "content": [{"type": "image_url", "image_url": {"url": URL}}]},
    {"role": "assistant", "audio": {"id": "a", "data": DATA}, "content": None},
]
SOURCE = {"type": "base64", "media_type": "image/png", "data": DATA}
ANTHROPIC = [
    say(type="image", source=SOURCE),
    say(type="document", source={**SOURCE, "media_type": "application/pdf"}),
    say(type="document", source={"type": "content", "content": [{"type": "image", "source": SOURCE}]}),
    say(type="tool_result", tool_use_id="t", content=[{"type": "image", "source": SOURCE}]),
    say(type="tool_result", tool_use_id="t", content=[{"type": "document", "source": SOURCE}]),
    say(type="redacted_thinking", data=DATA),
    say(type="thinking", thinking="hm", signature=DATA),
    say(
        type="web_search_tool_result",
        tool_use_id="t",
        content=[{"type": "web_search_result", "encrypted_content": DATA}],
    ),
]
BLOB = {"mimeType": "image/png", "data": DATA}
GEMINI = [
    {"inlineData": BLOB},
    {"inline_data": BLOB},
    {"text": "hm", "thoughtSignature": DATA},
    {"functionResponse": {"name": "f", "response": {}, "parts": [{"inlineData": BLOB}]}},
    {"function_response": {"name": "f", "response": {}, "parts": [{"inline_data": BLOB}]}},
    {"functionCall": {"name": "f", "args": {}}, "thought_signature": DATA},
    {"toolResponse": {"toolType": "GOOGLE_SEARCH_IMAGE", "response": {"images": [{"inlineData": BLOB}]}}},
]
REQUESTS = [
    *((ResponsesRequest, {"input": [item]}) for item in RESPONSES),
    *((ChatRequest, {"messages": [message]}) for message in CHAT),
    *((MessagesRequest, {"messages": [message]}) for message in ANTHROPIC),
    *((GenerateContentRequest, {"contents": [{"parts": [part]}]}) for part in GEMINI),
    (GenerateContentRequest, {"systemInstruction": {"parts": [{"inlineData": BLOB}]}}),
]


@pytest.mark.parametrize(("adapter", "body"), REQUESTS)
def test_bytes_are_no_text(adapter, body):
    request = adapter(msgspec.json.encode(body), {"model": "m"})
    assert sum(map(len, request.texts())) < 200


@pytest.mark.parametrize(
    ("adapter", "body", "expected"),
    [
        (ResponsesRequest, {"input": [{"type": "program_output", "result": "so"}]}, ["so"]),
        (
            ResponsesRequest,
            {"input": [{"type": "function_call_output", "output": {"a": ["b", URL], "c": 1}}]},
            ['{"a":["b",""],"c":1}'],
        ),
        (
            GenerateContentRequest,
            {
                "contents": [
                    {
                        "parts": [
                            {
                                "functionResponse": {
                                    "name": "f",
                                    "response": {"a": 1},
                                    "parts": [{"text": "b", "inlineData": BLOB}],
                                }
                            }
                        ]
                    }
                ]
            },
            ['{"name":"f","response":{"a":1},"parts":[{"text":"b"}]}'],
        ),
        (
            ChatRequest,
            {"messages": [{"content": f"look at {URL}"}]},
            [f"look at {URL}"],
        ),  # it is read as text
    ],
)
def test_what_stands_beside_them_is(adapter, body, expected):
    assert list(adapter(msgspec.json.encode(body), {"model": "m"}).texts()) == expected
