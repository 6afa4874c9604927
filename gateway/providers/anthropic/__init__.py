"""Anthropic: the messages API, the count of its tokens, and what lies around it.

https://docs.claude.com/en/api/overview
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar
from urllib.parse import parse_qsl

from gateway.core.errors import ErrorKind, GatewayError, NotFound, ReplayNeeded
from gateway.core.frames import Frame
from gateway.core.provider import Endpoint, Match, Provider, UpstreamRequest, provider
from gateway.core.view import Event
from gateway.providers.anthropic.errors import error_body, error_kind
from gateway.providers.anthropic.request import MessagesRequest
from gateway.providers.anthropic.response import MessagesResponse

__all__ = ["Anthropic", "CountResponse", "MessagesRequest", "MessagesResponse"]

_PROBE = Endpoint("HEAD", "/api/hello")
# Agents that run upstream, with what they work on: their calls never pass here.
_AGENTS = (
    "agents",
    "deployments",
    "deployment_runs",
    "dreams",
    "environments",
    "memory_stores",
    "sessions",
    "vaults",
)


class CountResponse(MessagesResponse):
    """The count of a request's tokens: a number that nobody is billed for, so no usage."""

    billed = False

    def events(self, frame: Frame) -> Iterable[Event]:
        return ()


@provider(
    "anthropic",
    base_url="https://api.anthropic.com",
    display_name="Anthropic",
    key_variables=("ANTHROPIC_API_KEY",),
    key_page="https://console.anthropic.com/settings/keys",
    token_factor=1.2,  # from 1.1 for models of 2025 to 1.4 for those of 2026, in recorded answers
)
class Anthropic(Provider):
    """Anthropic's API."""

    endpoints = (
        Endpoint("POST", "/messages", MessagesRequest, MessagesResponse, carries_calls=True),
        Endpoint("POST", "/messages/count_tokens", MessagesRequest, CountResponse),
        Endpoint("GET", "/models"),
        Endpoint("GET", "/models/{model}"),
        Endpoint("POST", "/messages/batches", stateful=True),
        Endpoint("GET", "/messages/batches", stateful=True),
        Endpoint("GET", "/messages/batches/{batch}", stateful=True),
        Endpoint("DELETE", "/messages/batches/{batch}", stateful=True),
        Endpoint("POST", "/messages/batches/{batch}/cancel", stateful=True),
        Endpoint("GET", "/messages/batches/{batch}/results", stateful=True),
        Endpoint("POST", "/files"),
        Endpoint("GET", "/files"),
        Endpoint("GET", "/files/{file}"),
        Endpoint("DELETE", "/files/{file}"),
        Endpoint("GET", "/files/{file}/content"),
        Endpoint("POST", "/skills"),
        Endpoint("GET", "/skills"),
        Endpoint("GET", "/skills/{rest+}"),
        Endpoint("POST", "/skills/{skill}/versions"),
        Endpoint("DELETE", "/skills/{rest+}"),
        Endpoint("GET", "/organizations/{rest+}"),
        *(Endpoint(method, f"/{root}", stateful=True) for root in _AGENTS for method in ("GET", "POST")),
        *(
            Endpoint(method, f"/{root}/{{rest+}}", stateful=True)
            for root in _AGENTS
            for method in ("GET", "POST", "DELETE")
        ),
        _PROBE,
    )
    versions = ("v1",)
    session_headers = ("x-claude-code-session-id",)
    # The API insists on the first; some kinds of credentials are only taken with the second.
    composed_headers: ClassVar[Mapping[str, str]] = {"anthropic-version": "2023-06-01", "anthropic-beta": ""}
    default_version = "v1"

    def match(self, method: str, path: str) -> Match | None:
        # Claude Code asks for it before anything else, where its base URL has a path; it has no version.
        if (method, path) == (_PROBE.method, _PROBE.path):
            return Match(_PROBE, {}, path)
        return super().match(method, path)

    def claims(self, method: str, path: str, headers: Mapping[str, str], query: str) -> bool:
        if path == "/v1/messages" or path.startswith("/v1/messages/"):
            return True
        # Three vendors list their models here; their clients differ in their headers.
        if method != "GET" or not (path == "/v1/models" or path.startswith("/v1/models/")):
            return False
        theirs = "x-goog-api-key" in headers or "x-goog-api-client" in headers
        keyed = theirs or any(name == "key" for name, _ in parse_qsl(query))
        return not keyed and ("anthropic-version" in headers or "x-api-key" in headers)

    def sign(self, request: UpstreamRequest, secret: str) -> UpstreamRequest:
        signed = request.with_header("x-api-key", secret)
        if any(name.lower() == "anthropic-version" for name, _ in request.headers):
            return signed
        # Requests of our own have none, and the API insists on it.
        return signed.with_header("anthropic-version", "2023-06-01")

    def error(self, error: GatewayError, endpoint: Endpoint | None) -> bytes:
        return error_body(error)

    def error_status(self, error: GatewayError) -> int:
        # Its clients read this one as a thread that is not there any more, and send the whole conversation.
        return NotFound.status if isinstance(error, ReplayNeeded) else error.status

    def error_kind(self, status: int, body: bytes) -> ErrorKind:
        return error_kind(status, body)
