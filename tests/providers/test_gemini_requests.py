"""Gemini beyond the contract: paths, root claims, errors, and the edits of requests."""

import msgspec
import pytest

from gateway.core.errors import BadRequest, BudgetSpent, ErrorKind, RateLimited
from gateway.core.frames import Frame
from gateway.core.provider import UpstreamRequest
from gateway.core.view import Prompt, StreamError, Usage
from gateway.providers import load
from gateway.providers.gemini.request import (
    BatchEmbedContentsRequest,
    CountTokensRequest,
    GenerateContentRequest,
)
from gateway.providers.gemini.response import EmbeddingResponse

GEMINI = load()["gemini"]


def test_errors_say_when_to_come_back():
    found = msgspec.json.decode(GEMINI.error(RateLimited("slow", retry_after=7), None))["error"]
    assert found == {
        "code": 429,
        "message": "slow",
        "status": "RESOURCE_EXHAUSTED",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}],
    }
    spent = GEMINI.error(BudgetSpent("spent"), None)
    assert GEMINI.error_kind(402, spent) is ErrorKind.INSUFFICIENT_BALANCE


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, {"code": 400, "status": "INVALID_ARGUMENT", "message": "Bad."}, ErrorKind.INVALID_REQUEST),
        (400, {"message": "API key not valid.", "status": "INVALID_ARGUMENT"}, ErrorKind.AUTHENTICATION),
        (400, {"message": "Request payload size exceeds the limit: 1 bytes."}, ErrorKind.REQUEST_TOO_LARGE),
        (
            403,
            {"status": "PERMISSION_DENIED", "details": [{}, {"reason": "SERVICE_DISABLED"}]},
            ErrorKind.PERMISSION_DENIED,
        ),
        (404, {"status": "NOT_FOUND"}, ErrorKind.NOT_FOUND),
        (429, {"status": "RESOURCE_EXHAUSTED"}, ErrorKind.RATE_LIMIT),
        (499, {"status": "CANCELLED"}, ErrorKind.CLIENT_CANCELLED),
        (500, {"status": "INTERNAL"}, ErrorKind.SERVER_ERROR),
        (503, {"status": "NEW_STATUS"}, ErrorKind.OVERLOADED),
        (504, {"status": "DEADLINE_EXCEEDED"}, ErrorKind.TIMEOUT),
    ],
)
def test_kinds_of_upstream_errors(status, error, kind):
    one = msgspec.json.encode({"error": error})
    assert GEMINI.error_kind(status, one) is kind
    assert GEMINI.error_kind(status, b"[" + one + b"]") is kind


@pytest.mark.parametrize("broken", [b"", b"<html>", b"[]", b"{}", b"[1]"])
def test_an_error_that_is_none_goes_by_its_status(broken):
    assert GEMINI.error_kind(503, broken) is ErrorKind.OVERLOADED


@pytest.mark.parametrize(
    ("method", "path", "endpoint", "sent", "model"),
    [
        ("POST", "/models/m:generateContent", "/models/{model+}:generateContent", "/v1beta/models/m:generateContent", "m"),
        ("POST", "/v1/models/m:streamGenerateContent", "/models/{model+}:streamGenerateContent", "/v1/models/m:streamGenerateContent", "m"),
        ("POST", "/v1beta/v1beta/models/m:generateContent", "/models/{model+}:generateContent", "/v1beta/models/m:generateContent", "m"),
        ("POST", "/v1alpha/models/a/b:c%20d:generateContent", "/models/{model+}:generateContent", "/v1alpha/models/a/b:c%20d:generateContent", "a/b:c d"),
        ("POST", "/v1beta/tunedModels/t:generateContent", "/{collection+}/{model}:generateContent", "/v1beta/tunedModels/t:generateContent", "tunedModels/t"),
        ("POST", "/v1beta/dynamic/d:generateContent", "/{collection+}/{model}:generateContent", "/v1beta/dynamic/d:generateContent", "d"),
        ("POST", "/v1beta1/publishers/google/models/m:generateContent", "/{collection+}/{model}:generateContent", "/v1beta1/publishers/google/models/m:generateContent", "m"),
        ("POST", "/v1beta1/projects/models/locations/l/endpoints/e:streamGenerateContent", "/{collection+}/{model}:streamGenerateContent", "/v1beta1/projects/models/locations/l/endpoints/e:streamGenerateContent", "e"),
    ],
)  # fmt: skip
def test_models_are_in_the_path(method, path, endpoint, sent, model):
    match = GEMINI.match(method, path)
    assert (match.endpoint.path, match.path) == (endpoint, sent)
    request = match.endpoint.request(b"{}", match.params)
    assert request.model == model
    assert not request.edited
    name = "new er:1" if "collection" in match.params else "new/er:1 x"
    request.set_model(name)
    assert request.edited
    assert request.encode() == b"{}"
    moved = GEMINI.match(method, request.path(match.path))
    assert moved.endpoint.carries_calls
    assert moved.endpoint.request(b"{}", moved.params).model == name


def test_a_model_may_be_of_another_collection():
    request = GenerateContentRequest(b"{}", {"collection": "projects/p/locations/l/endpoints", "model": "5"})
    request.set_model("m")
    assert request.path("/v1/projects/p/locations/l/endpoints/5:generateContent") == (
        "/v1/projects/p/locations/l/publishers/google/models/m:generateContent"
    )
    request = GenerateContentRequest(b"{}", {"model": "m"})
    request.set_model("tunedModels/t")
    assert request.path("/v1beta/models/m:generateContent") == "/v1beta/tunedModels/t:generateContent"
    request = GenerateContentRequest(b"{}", {"collection": "tunedModels", "model": "t"})
    request.set_model("models/m")
    assert request.path("/v1beta/tunedModels/t:generateContent") == "/v1beta/models/m:generateContent"


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("POST", "/upload/v1beta/files", "/upload/v1beta/files"),
        ("PUT", "/upload/v1/files", "/upload/v1/files"),
        ("POST", "/upload/files", "/upload/v1beta/files"),
        ("GET", "/download/v1beta/files/a:download", "/download/v1beta/files/a:download"),
        ("POST", "/upload/v1beta/fileSearchStores/s:uploadToFileSearchStore", "/upload/v1beta/fileSearchStores/s:uploadToFileSearchStore"),
        ("GET", "/v1beta/files/a", "/v1beta/files/a"),
        ("GET", "/v1beta/models", "/v1beta/models"),
    ],
)  # fmt: skip
def test_opaque_paths(method, path, sent):
    match = GEMINI.match(method, path)
    assert match.endpoint.opaque
    assert not match.endpoint.stateful
    assert match.path == sent


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1beta/models/m:batchGenerateContent"),
        ("GET", "/v1beta/batches/b"),
        ("POST", "/v1beta/cachedContents"),
        ("POST", "/v1/interactions"),
        ("GET", "/v1/interactions/i"),
    ],
)
def test_what_lives_upstream_is_stateful(method, path):
    assert GEMINI.match(method, path).endpoint.stateful


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/upload/v1beta/models/m:generateContent"),
        ("POST", "/v1beta/upload"),
        ("POST", "/v1beta/models/m%3AgenerateContent"),
        ("POST", "/v1beta/models/m:newMethod"),
        ("POST", "/v1beta/openai/chat/completions"),
        ("GET", "/upload"),
    ],
)
def test_unlisted_paths(method, path):
    assert GEMINI.match(method, path) is None


@pytest.mark.parametrize(
    ("method", "path", "headers", "query", "claimed"),
    [
        ("POST", "/v1beta/models/m:generateContent", {}, "", True),
        ("POST", "/v1/models/m:generateContent", {}, "", True),
        ("POST", "/v1/publishers/google/models/m:countTokens", {}, "", True),
        ("GET", "/v1beta/models", {}, "", True),
        ("POST", "/upload/v1beta/files", {}, "", True),
        ("GET", "/v1/models", {}, "", False),
        ("GET", "/v1/models", {"anthropic-version": "2023-06-01"}, "", False),
        ("GET", "/v1/models", {"x-goog-api-key": "k"}, "", True),
        ("GET", "/v1/models", {"x-goog-api-client": "google-genai-sdk/3.4.0"}, "", True),
        ("GET", "/v1/models", {}, "pageSize=5&key=k", True),
        ("GET", "/v1/models", {}, "monkey=k", False),
        ("GET", "/v1/files", {}, "", False),
        ("POST", "/v1/chat/completions", {"x-goog-api-key": "k"}, "", False),
        ("POST", "/models/m:generateContent", {}, "", False),
    ],
)
def test_claims_on_root_paths(method, path, headers, query, claimed):
    assert GEMINI.claims(method, path, headers, query) is claimed


def test_secrets_go_into_googles_header():
    signed = GEMINI.sign(UpstreamRequest("GET", "https://x/v1beta/models", ()), "s3cret")
    assert signed.headers == (("x-goog-api-key", "s3cret"),)


def test_model_ids_are_those_that_generate():
    listed = {
        "models": [
            {"name": "models/gemini-x", "supportedGenerationMethods": ["generateContent"]},
            {"name": "models/embedding-1", "supportedGenerationMethods": ["embedContent"]},
            {"name": "tunedModels/mine"},
        ]
    }
    assert GEMINI.model_ids(msgspec.json.encode(listed)) == ["gemini-x", "tunedModels/mine"]


def test_counting_edits_the_request_inside():
    data = b'{"generate_content_request":{"model":"models/m","contents":[{"parts":[{"text":"hi"}]}]}}'
    request = CountTokensRequest(data, {"model": "m"})
    assert list(request.texts()) == ["hi"]
    request.set_model("n")
    assert request.encode() == data.replace(b"models/m", b"models/n")


def test_batched_embeddings_name_the_model_again():
    data = b'{"requests":[{"model":"models/m","content":{"parts":[{"text":"hi"}]}},{"content":{"parts":[]}}]}'
    request = BatchEmbedContentsRequest(data, {"model": "m"})
    assert list(request.texts()) == ["hi"]
    request.set_model("n")
    assert request.encode() == data.replace(b"models/m", b"models/n")
    assert request.path("/v1/models/m:batchEmbedContents") == "/v1/models/n:batchEmbedContents"


def test_embeddings_report_their_usage_and_errors():
    reader = EmbeddingResponse(BatchEmbedContentsRequest(b"{}", {}), streamed=False)
    used, broken = b'{"usage_metadata":{"prompt_token_count":3}}', b'{"error":{"code":503,"message":"x"}}'
    assert reader.events(Frame(used, used)) == (Usage(3),)
    assert reader.events(Frame(broken, broken)) == (StreamError(ErrorKind.OVERLOADED, "x"),)


def test_replacing_a_result_drops_its_media():
    data = (
        b'{"contents":[{"parts":[{"functionResponse":{"name":"f","response":{"output":"x"},'
        b'"parts":[{"inlineData":{"data":"AA=="}}]}}]}]}'
    )
    request = GenerateContentRequest(data, {"model": "m"})
    request.set_tool_result(request.tool_results[0], "clean")
    assert request.encode() == (
        b'{"contents":[{"parts":[{"functionResponse":{"name":"f","response":{"result":"clean"}}}]}]}'
    )


@pytest.mark.parametrize(
    "odd", [b'"contents"', b"5", b"null", b'[null,5,"x",[]]', b'{"parts":[null,{"text":5}]}']
)
@pytest.mark.parametrize("key", [b"contents", b"tools", b"systemInstruction"])
def test_odd_requests_are_googles_to_refuse(key, odd):
    request = GenerateContentRequest(b'{"%s":%s}' % (key, odd), {"model": "m"})
    list(request.texts())
    assert request.tool_results == ()
    assert [tool.name for tool in request.tools if not tool.server_executed] == []


@pytest.mark.parametrize("broken", [b"", b"[]", b"{", b"\xef\xbb\xbf{}", b'{"a":"\\ud800"}'])
def test_broken_requests_are_refused(broken):
    with pytest.raises(BadRequest):
        GenerateContentRequest(broken, {"model": "m"})


def test_a_member_in_both_spellings_is_ambiguous():
    request = GenerateContentRequest(
        b'{"cachedContent":"a","cached_content":"b","contents":[]}', {"model": "m"}
    )
    with pytest.raises(BadRequest, match="cachedContent"):
        request.require_unique_members()


def test_a_composed_request_is_googles():
    prompt = Prompt("Be brief.", (("user", "q"), ("assistant", "a")), msgspec.Raw(b'{"type":"object"}'))
    assert msgspec.json.decode(GenerateContentRequest.compose("m", prompt)) == {
        "contents": [
            {"role": "user", "parts": [{"text": "q"}]},
            {"role": "model", "parts": [{"text": "a"}]},
        ],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "generationConfig": {
            "responseMimeType": "application/json",
            "responseJsonSchema": {"type": "object"},
        },
    }


@pytest.mark.parametrize("cut", ["%3f", "%3F", "%23", "%253f", "%252523", "?"])
@pytest.mark.parametrize("method", ["predict", "countTokens", "batchGenerateContent"])
def test_a_model_whose_name_would_end_the_path_is_nobodys(cut, method):
    for collection in ("models", "publishers/google/models", "tunedModels"):
        assert GEMINI.match("POST", f"/v1beta/{collection}/g:generateContent{cut}:{method}") is None


def test_other_escapes_in_a_model_name_stay():
    match = GEMINI.match("POST", "/v1beta/models/a%2Fb%20c:generateContent")
    assert match is not None
    assert match.params == {"model": "a/b c"}
    assert match.path == "/v1beta/models/a%2Fb%20c:generateContent"
