"""OpenAI's API, and the class of all providers that are like it."""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from gateway.core.errors import ErrorKind, GatewayError
from gateway.core.provider import Endpoint, Provider, provider
from gateway.providers.openai import errors
from gateway.providers.openai.chat import ChatResponse
from gateway.providers.openai.chat_request import ChatRequest
from gateway.providers.openai.endpoints import ENDPOINTS
from schemas.openai import Identified

__all__ = ["ChatRequest", "ChatResponse", "OpenAI"]

_models = msgspec.json.Decoder(dict[str, msgspec.Raw] | list[Identified]).decode
_identified = msgspec.json.Decoder(list[Identified]).decode

_CLAIMED = ("/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/models")


@provider(
    "openai",
    base_url="https://api.openai.com/v1",
    display_name="OpenAI",
    key_variables=("OPENAI_API_KEY",),
    key_page="https://platform.openai.com/api-keys",
)
class OpenAI(Provider):
    """OpenAI, or a provider whose API is like OpenAI's."""

    # Groq's own client writes /openai/v1 before an endpoint's path.
    versions = ("v1", "openai")
    session_headers = ("session-id", "x-session-id")
    """Codex, and OpenRouter's clients."""
    # Whose key it is, where it is several's.
    composed_headers: ClassVar[Mapping[str, str]] = {"openai-organization": "", "openai-project": ""}
    claims_last = True
    endpoints = ENDPOINTS

    def claims(self, method: str, path: str, headers: Mapping[str, str], query: str) -> bool:
        return any(path == claimed or path.startswith(claimed + "/") for claimed in _CLAIMED)

    def error(self, error: GatewayError, endpoint: Endpoint | None) -> bytes:
        return msgspec.json.encode({"error": errors.error_object(error)})

    def error_kind(self, status: int, body: bytes) -> ErrorKind:
        return errors.error_kind(status, body)

    def model_ids(self, body: bytes) -> list[str]:
        listed: Any = _models(body)
        if isinstance(listed, dict):  # Together writes the bare list
            listed = _identified(listed.get("data", b"[]"))
        return [model.id for model in listed if isinstance(model.id, str)]
