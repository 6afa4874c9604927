"""The OpenAI provider and the rows that are like it: endpoints, root paths, errors, lists of models, embeddings."""

from collections import Counter

import msgspec
import pytest

from gateway.core.errors import BadRequest, BudgetSpent, ErrorKind, RateLimited
from gateway.core.frames import Frame
from gateway.core.provider import UpstreamRequest
from gateway.core.view import END, Start, StreamError, Usage
from gateway.providers import load
from gateway.providers.openai import ChatRequest, ChatResponse, OpenAI
from gateway.providers.openai.embeddings import EmbeddingsRequest, EmbeddingsResponse

PROVIDERS = load()
OPENAI = PROVIDERS["openai"]
ROWS = {
    "groq": ("https://api.groq.com/openai/v1", "ask"),
    "mistral": ("https://api.mistral.ai/v1", "always"),
    "deepseek": ("https://api.deepseek.com", "ask"),
    "xai": ("https://api.x.ai/v1", "ask"),
    "cerebras": ("https://api.cerebras.ai/v1", "always"),
    "openrouter": ("https://openrouter.ai/api/v1", "ask"),
    "perplexity": ("https://api.perplexity.ai", "always"),
    "together": ("https://api.together.ai/v1", "ask"),
    "fireworks": ("https://api.fireworks.ai/inference/v1", "always"),
    "vllm": ("http://localhost:8000/v1", "ask"),
    "ollama": ("http://localhost:11434/v1", "ask"),
    "zhipu": ("https://api.z.ai/api/paas/v4", "always"),
    "minimax": ("https://api.minimax.io/v1", "always"),
    "moonshot": ("https://api.moonshot.ai/v1", "always"),
}


@pytest.mark.parametrize("name", ROWS)
def test_rows(name):
    provider = PROVIDERS[name]
    base_url, stream_usage = ROWS[name]
    assert type(provider) is OpenAI
    assert (provider.base_url, provider.row.quirks.stream_usage) == (base_url, stream_usage)
    assert provider.display_name != name
    assert provider.row.key_variables[0].endswith("_API_KEY")
    assert provider.row.key_page.startswith("https://")
    assert PROVIDERS.claimant("POST", "/v1/chat/completions", {}, "") is not provider


def test_no_endpoint_is_listed_twice():
    names = Counter(endpoint.name for endpoint in OpenAI.endpoints)
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("prefix", ["", "/v1", "/openai/v1", "/v1/v1"])
def test_both_spellings_of_the_version(prefix):
    found = OPENAI.match("POST", prefix + "/chat/completions")
    assert (found.endpoint.request, found.endpoint.response) == (ChatRequest, ChatResponse)
    assert found.endpoint.carries_calls
    assert found.path == "/chat/completions"


@pytest.mark.parametrize(
    ("method", "path", "stateful"),
    [
        ("GET", "/models", False),
        ("GET", "/models/accounts/fireworks/models/x", False),
        ("POST", "/files", False),
        ("GET", "/files/file-1/content", False),
        ("POST", "/audio/transcriptions", False),
        ("POST", "/images/edits", False),
        ("POST", "/moderations", False),
        ("POST", "/fine_tuning/jobs/ft-1/cancel", False),
        ("DELETE", "/vector_stores/vs_1/files/file-1", False),
        ("POST", "/batches", True),
        ("GET", "/chat/completions", True),
        ("GET", "/chat/completions/chatcmpl-1/messages", True),
        ("POST", "/threads/t/runs", True),
        ("POST", "/evals/e/runs", True),
    ],
)
def test_endpoints_that_are_streamed_on(method, path, stateful):
    endpoint = OPENAI.match(method, "/v1" + path).endpoint
    assert endpoint.opaque
    assert endpoint.stateful is stateful
    assert not endpoint.carries_calls


@pytest.mark.parametrize(
    "path", ["/realtime/sessions", "/chat", "/models/", "/organization/users", "/agents"]
)
def test_what_is_not_listed_is_not_found(path):
    assert OPENAI.match("POST", path) is None


@pytest.mark.parametrize(
    ("method", "path", "mine"),
    [
        ("POST", "/v1/chat/completions", True),
        ("GET", "/v1/chat/completions/chatcmpl-1", True),
        ("POST", "/v1/responses", True),
        ("GET", "/v1/responses/resp_1", True),
        ("POST", "/v1/embeddings", True),
        ("GET", "/v1/models", True),
        ("POST", "/v1/messages", False),
        ("POST", "/v1/embeddingsx", False),
        ("POST", "/chat/completions", False),
    ],
)
def test_claims(method, path, mine):
    assert OPENAI.claims(method, path, {}, "") is mine


def test_signing():
    signed = OPENAI.sign(UpstreamRequest("POST", "https://x", ()), "sk-1")
    assert signed.headers == (("Authorization", "Bearer sk-1"),)


def test_errors_of_ours():
    error = BudgetSpent("Spent.")
    error.interaction_id = "i1"
    body = msgspec.json.decode(OPENAI.error(error, None))
    assert body == {
        "error": {
            "message": "Spent. (interaction i1)",
            "type": "usage_limit_exceeded",
            "code": "token_cost_limit_exceeded",
            "param": None,
        }
    }
    assert OPENAI.error_kind(402, OPENAI.error(error, None)) is ErrorKind.USAGE_LIMIT_EXCEEDED
    assert OPENAI.error_kind(429, OPENAI.error(RateLimited("Slow."), None)) is ErrorKind.RATE_LIMIT


ERRORS = [
    (401, b'{"error":{"code":"invalid_api_key","type":"invalid_request_error"}}', "authentication"),
    (401, b'{"error":{"code":null,"type":"invalid_request_error","message":"no key"}}', "authentication"),
    (404, b'{"error":{"code":"model_not_found","type":"invalid_request_error"}}', "not_found"),
    (400, b'{"error":{"code":"context_length_exceeded"}}', "context_too_long"),
    (400, b'{"error":{"message":"This endpoint\'s maximum context length is 8 tokens"}}', "context_too_long"),
    (400, b'{"error":{"message":"prompt too long; exceeded max context length"}}', "context_too_long"),
    (400, b'{"error":{"code":"content_filter","message":"filtered"}}', "content_filtered"),
    (400, b'{"error":{"code":"tool_use_failed","type":"invalid_request_error"}}', "invalid_request"),
    (400, b'{"code":"invalid-argument","error":"Incorrect API key provided: xa***"}', "authentication"),
    (401, b'{"detail":"Invalid API Key"}', "authentication"),
    (422, b'{"detail":[{"type":"missing"}]}', "invalid_request"),
    (402, b'{"error":{"message":"Insufficient Balance","type":"unknown_error"}}', "insufficient_balance"),
    (429, b'{"error":{"type":"insufficient_quota","code":"insufficient_quota"}}', "insufficient_balance"),
    (429, b'{"error":{"code":"1113","message":"balance"}}', "insufficient_balance"),
    (429, b'{"error":{"type":"tokens","code":"rate_limit_exceeded"}}', "rate_limit"),
    (429, b'{"error":{"code":429,"message":"slow","metadata":{}}}', "rate_limit"),
    (503, b'{"error":{"code":"server_is_overloaded"}}', "overloaded"),
    (500, b'{"error":{"type":"server_error","code":[]}}', "server_error"),
    (502, b"<html>bad gateway</html>", "server_error"),
    (413, b"", "request_too_large"),
    (400, b"[]", "invalid_request"),
    (418, b'{"error":{"type":"api_error"}}', "server_error"),
]


@pytest.mark.parametrize(("status", "body", "kind"), ERRORS, ids=[str(body[:60]) for _, body, _ in ERRORS])
def test_kinds_of_errors(status, body, kind):
    assert OPENAI.error_kind(status, body) == kind


def test_lists_of_models():
    assert OPENAI.model_ids(b'{"object":"list","data":[{"id":"a"},{"id":"b/c","created":0}]}') == ["a", "b/c"]
    assert OPENAI.model_ids(b'[{"id":"a"},{"name":"x"}]') == ["a"]
    assert OPENAI.model_ids(b"{}") == []


def embeddings(body: bytes) -> list:
    request = EmbeddingsRequest(b'{"model":"m","input":"a"}')
    return list(EmbeddingsResponse(request, streamed=False).events(Frame(body, body)))


def test_embeddings():
    request = EmbeddingsRequest(b'{"model":"m","input":["a","b"],"user":"u"}')
    assert (request.model, list(request.texts()), request.session) == ("m", ["a", "b"], ("u", "user"))
    assert list(EmbeddingsRequest(b'{"input":[[1,2],[3]]}').texts()) == []
    assert list(EmbeddingsRequest(b'{"input":"a"}').texts()) == ["a"]
    assert embeddings(b'{"model":"m","data":[1],"usage":{"prompt_tokens":4}}') == [
        Start(model="m"),
        Usage(4),
        END,
    ]
    assert embeddings(b'{"error":{"code":"model_not_found","message":"m"}}') == [
        Start(),
        StreamError(ErrorKind.NOT_FOUND, "m"),
        END,
    ]
    with pytest.raises(BadRequest):
        EmbeddingsRequest(b"[]")
