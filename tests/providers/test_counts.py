"""A number of tokens is a whole number that can be one; any other is not known, on every wire."""

import msgspec
import pytest

from gateway.core.frames import Frame
from gateway.core.view import Completion
from gateway.providers.anthropic import MessagesRequest, MessagesResponse
from gateway.providers.gemini.request import GenerateContentRequest
from gateway.providers.gemini.response import EmbeddingResponse, GenerateContentResponse
from gateway.providers.openai.chat import ChatResponse
from gateway.providers.openai.chat_request import ChatRequest
from gateway.providers.openai.embeddings import EmbeddingsRequest, EmbeddingsResponse
from gateway.providers.openai.responses import ResponsesResponse
from gateway.providers.openai.responses_request import ResponsesRequest

WORDS = [{"message": {"content": "Hi"}, "finish_reason": "stop"}]
ITEMS = [{"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}]
CANDIDATES = [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}]
BLOCKS = [{"type": "text", "text": "Hi"}]
# Of each wire: its adapters, an answer without its usage, and the names of that, of its input and of its output.
WIRES = {
    "chat": (
        ChatRequest,
        ChatResponse,
        {"id": "1", "model": "m", "created": 1, "choices": WORDS},
        ("usage", "prompt_tokens", "completion_tokens"),
    ),
    "embeddings": (
        EmbeddingsRequest,
        EmbeddingsResponse,
        {"model": "m"},
        ("usage", "prompt_tokens", "completion_tokens"),
    ),
    "responses": (
        ResponsesRequest,
        ResponsesResponse,
        {"object": "response", "id": "1", "status": "completed", "output": ITEMS},
        ("usage", "input_tokens", "output_tokens"),
    ),
    "anthropic": (
        MessagesRequest,
        MessagesResponse,
        {"type": "message", "id": "1", "content": BLOCKS, "stop_reason": "end_turn"},
        ("usage", "input_tokens", "output_tokens"),
    ),
    "gemini": (
        GenerateContentRequest,
        GenerateContentResponse,
        {"responseId": "1", "candidates": CANDIDATES},
        ("usageMetadata", "promptTokenCount", "candidatesTokenCount"),
    ),
    "gemini embeddings": (
        GenerateContentRequest,
        EmbeddingResponse,
        {},
        ("usageMetadata", "promptTokenCount", "candidatesTokenCount"),
    ),
}
CACHED = {
    "chat": {"prompt_tokens_details": {"cached_tokens": ...}},
    "responses": {"input_tokens_details": {"cached_tokens": ...}},
    "anthropic": {"cache_read_input_tokens": ...},
    "gemini": {"cachedContentTokenCount": ...},
}
ODD = [-1, -(2**40), True, 7.0, 7.5, "7", 2**53, 2**63, 10**30, [], {}]


def usage(wire, **members):
    """What an answer on a wire says that it used; nothing: ``None``."""
    request, response, answer, _ = WIRES[wire]
    data = msgspec.json.encode({**answer, **members})
    completion = Completion()
    for event in response(request(b"{}", {"model": "m"}), streamed=False).events(Frame(data, data)):
        completion.apply(event)
    return completion.usage


@pytest.mark.parametrize("odd", ODD, ids=str)
@pytest.mark.parametrize("wire", WIRES)
def test_what_can_be_no_count_is_not_known(wire, odd):
    name, given, got = WIRES[wire][3]
    found = usage(wire, **{name: {given: odd, got: 9}})
    assert (found.input_tokens, found.output_tokens) == (None, 9)
    found = usage(wire, **{name: {given: 9, got: odd}})
    assert (found.input_tokens, found.output_tokens) == (9, None)


@pytest.mark.parametrize("odd", ODD, ids=str)
@pytest.mark.parametrize("wire", CACHED)
def test_nor_is_it_of_the_cache(wire, odd):
    name, given, got = WIRES[wire][3]
    more = msgspec.json.decode(msgspec.json.encode(CACHED[wire], enc_hook=lambda _: "odd"))
    member = next(iter(more))
    more[member] = {"cached_tokens": odd} if isinstance(more[member], dict) else odd
    found = usage(wire, **{name: {given: 9, got: 9, **more}})
    assert (found.input_tokens, found.output_tokens, found.cache_read_tokens) == (9, 9, None)


@pytest.mark.parametrize("wire", ["chat", "responses", "gemini"])
def test_more_from_the_cache_than_there_was_is_no_negative_rest(wire):
    name, given, _ = WIRES[wire][3]
    more = msgspec.json.decode(msgspec.json.encode(CACHED[wire], enc_hook=lambda _: 12))
    assert usage(wire, **{name: {given: 9, **more}}).input_tokens == 0
