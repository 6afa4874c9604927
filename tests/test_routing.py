"""From a raw path to a provider, an agent and an endpoint."""

import pytest
from multidict import CIMultiDict

from gateway.core.errors import NotFound
from gateway.core.provider import Overrides
from gateway.providers import load
from gateway.routing import Router

PROVIDERS = load({"local": Overrides(like="openai", base_url="http://127.0.0.1:1/v1", forward_unlisted=True)})


@pytest.fixture(scope="module")
def router():
    return Router(PROVIDERS)


def found(router, method, path, query="", **headers):
    route = router.route(
        method, path, CIMultiDict({k.replace("_", "-"): v for k, v in headers.items()}), query
    )
    return route.provider.name, route.agent, route.match.endpoint.path, route.match.path


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/openai/chat/completions", ("openai", "", "/chat/completions", "/chat/completions")),
        ("/v1/openai/v1/chat/completions", ("openai", "", "/chat/completions", "/chat/completions")),
        (
            "/v1/openai/@support/chat/completions",
            ("openai", "support", "/chat/completions", "/chat/completions"),
        ),
        ("/v1/groq/chat/completions", ("groq", "", "/chat/completions", "/chat/completions")),
        ("/v1/anthropic/v1/messages", ("anthropic", "", "/messages", "/v1/messages")),
        ("/v1/anthropic/messages", ("anthropic", "", "/messages", "/v1/messages")),
        ("/v1/anthropic/v1/v1/messages", ("anthropic", "", "/messages", "/v1/messages")),
        ("/v1/anthropic/@a/v1/messages", ("anthropic", "a", "/messages", "/v1/messages")),
    ],
)
def test_below_a_providers_prefix(router, path, expected):
    for _ in range(2):  # the second time from memory
        assert found(router, "POST", path) == expected


@pytest.mark.parametrize("version", ["v1beta", "v1", "v1alpha"])
def test_the_version_that_the_client_wrote_is_kept(router, version):
    path = f"/v1/gemini/{version}/models/gemini-x:generateContent"
    assert found(router, "POST", path)[3] == f"/{version}/models/gemini-x:generateContent"


@pytest.mark.parametrize(
    ("method", "path", "provider"),
    [
        ("POST", "/v1/chat/completions", "openai"),
        ("POST", "/v1/responses", "openai"),
        ("POST", "/v1/embeddings", "openai"),
        ("POST", "/v1/messages", "anthropic"),
        ("POST", "/v1/messages/count_tokens", "anthropic"),
        ("POST", "/v1beta/models/gemini-x:streamGenerateContent", "gemini"),
        ("POST", "/v1/models/gemini-x:generateContent", "gemini"),
        ("GET", "/v1/models", "openai"),
    ],
)
def test_root_paths(router, method, path, provider):
    assert found(router, method, path)[0] == provider


@pytest.mark.parametrize(
    ("given", "provider"),
    [
        ({"Authorization": "Bearer k"}, "openai"),
        ({"anthropic_version": "2023-06-01"}, "anthropic"),
        ({"x_api_key": "k"}, "anthropic"),
        ({"x_goog_api_key": "k"}, "gemini"),
        ({"x_goog_api_client": "google-genai-sdk/3"}, "gemini"),
        ({"query": "key=k"}, "gemini"),
    ],
)
def test_the_list_of_models_belongs_to_whoever_the_headers_say(router, given, provider):
    assert found(router, "GET", "/v1/models", **given)[0] == provider


@pytest.mark.parametrize(
    "path", ["/", "/v2/openai/chat/completions", "/v1/nobody/x", "/v1", "/admin", "/v1/realtime"]
)
def test_nothing_is_served_elsewhere(router, path):
    with pytest.raises(NotFound, match="Nothing is served at"):
        found(router, "POST", path)


def test_an_unlisted_path_names_the_setting_that_forwards_it(router):
    with pytest.raises(NotFound, match=r"providers\.openai\.forward_unlisted = true"):
        found(router, "GET", "/v1/openai/anything")
    with pytest.raises(NotFound, match="no endpoint DELETE"):
        found(router, "DELETE", "/v1/openai/chat/completions")


def test_unlisted_paths_are_forwarded_where_the_operator_says_so(router):
    assert found(router, "GET", "/v1/local/anything/at/all")[3] == "/anything/at/all"
    assert PROVIDERS["local"].match("GET", "/anything").endpoint.opaque


def test_an_error_has_the_shape_of_the_provider_that_the_path_names(router):
    assert router.provider("/v1/anthropic/x").name == "anthropic"
    assert router.provider("/v1/nobody/x").name == "openai"
    assert router.provider("/x").name == "openai"


def test_what_is_remembered_is_bounded(router):
    for number in range(3000):
        found(router, "POST", f"/v1/gemini/v1/models/m{number}:generateContent")
    assert len(router._cache) <= 1024
