"""Gemini: generateContent, counting and embeddings; files, batches and caches unparsed.

Vertex AI serves the same methods under longer paths, so a row that is like this provider reads it too.
"""

import re
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import parse_qs

import msgspec

from gateway.core.errors import ErrorKind, GatewayError
from gateway.core.provider import Endpoint, Match, Provider, UpstreamRequest, provider
from gateway.providers.gemini import errors
from gateway.providers.gemini.request import (
    BatchEmbedContentsRequest,
    CountTokensRequest,
    EmbedContentRequest,
    GenerateContentRequest,
    StreamGenerateContentRequest,
)
from gateway.providers.gemini.response import CountTokensResponse, EmbeddingResponse, GenerateContentResponse
from schemas.gemini import Models

_models = msgspec.json.Decoder(Models)

_GENERATED = "generateContent"
_HEADERS = ("x-goog-api-key", "x-goog-api-client")
_MEDIA = ("upload", "download")
_CUT = re.compile(r"[?#]|%(?:25)*(?:3f|23)", re.IGNORECASE)
"""What ends a path, also encoded more than once."""


def _adapted(model: str) -> tuple[Endpoint, ...]:
    """Return the methods of a model whose bodies are read; ``model``: how its path is spelt."""
    return (
        Endpoint(
            "POST",
            f"/{model}:streamGenerateContent",
            StreamGenerateContentRequest,
            GenerateContentResponse,
            carries_calls=True,
        ),
        Endpoint(
            "POST",
            f"/{model}:generateContent",
            GenerateContentRequest,
            GenerateContentResponse,
            carries_calls=True,
        ),
        Endpoint("POST", f"/{model}:countTokens", CountTokensRequest, CountTokensResponse),
        Endpoint("POST", f"/{model}:embedContent", EmbedContentRequest, EmbeddingResponse),
        Endpoint("POST", f"/{model}:batchEmbedContents", BatchEmbedContentsRequest, EmbeddingResponse),
    )


def _kept(collection: str, *more: tuple[str, str], stateful: bool = False) -> tuple[Endpoint, ...]:
    """Return the usual methods of a collection that lives upstream, and more of them."""
    methods = (
        ("GET", f"/{collection}"),
        ("POST", f"/{collection}"),
        ("GET", f"/{collection}/{{name+}}"),
        ("PATCH", f"/{collection}/{{name+}}"),
        ("DELETE", f"/{collection}/{{name+}}"),
        *more,
    )
    return tuple(Endpoint(method, path, stateful=stateful) for method, path in methods)


@provider(
    "gemini",
    base_url="https://generativelanguage.googleapis.com",
    display_name="Google Gemini",
    key_variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    key_page="https://aistudio.google.com/apikey",
    models_path="/models",
    prices="google",
)
class Gemini(Provider):
    """Google's Gemini API."""

    versions = ("v1beta", "v1", "v1alpha", "v1beta1")
    default_version = "v1beta"
    composed_headers: ClassVar[Mapping[str, str]] = {"x-goog-user-project": ""}
    endpoints = (
        *_adapted("models/{model+}"),
        Endpoint("GET", "/models"),
        Endpoint("GET", "/models/{model+}"),
        # Images and video: no calls in them.
        Endpoint("POST", "/models/{model+}:predict"),
        Endpoint("POST", "/models/{model+}:predictLongRunning"),
        Endpoint("POST", "/models/{model+}:computeTokens"),
        # A batch's answers may hold calls, and no gate reads them.
        Endpoint("POST", "/models/{model+}:batchGenerateContent", stateful=True),
        Endpoint("POST", "/models/{model+}:asyncBatchEmbedContent", stateful=True),
        *_kept(
            "batches",
            ("POST", "/batches/{name+}:cancel"),
            ("POST", "/batches/{name+}:updateGenerateContentBatch"),
            stateful=True,
        ),
        # A cache holds the beginning of a conversation, an interaction all of it.
        *_kept("cachedContents", stateful=True),
        *_kept("interactions", ("POST", "/interactions/{name+}"), stateful=True),
        *_kept("files", ("POST", "/files:register"), ("POST", "/upload/files"), ("PUT", "/upload/files")),
        Endpoint("GET", "/download/files/{name+}"),
        *_kept(
            "fileSearchStores",
            ("POST", "/fileSearchStores/{name+}:importFile"),
            ("POST", "/upload/fileSearchStores/{name+}:uploadToFileSearchStore"),
            ("PUT", "/upload/fileSearchStores/{name+}:uploadToFileSearchStore"),
        ),
        Endpoint("GET", "/operations/{name+}"),
        Endpoint("POST", "/operations/{name+}:cancel"),
        # Tuned models, and Vertex AI's: publishers/google/models/…, projects/…/endpoints/….
        *_adapted("{collection+}/{model}"),
        *_kept("tunedModels"),
    )

    def match(self, method: str, path: str) -> Match | None:
        # Uploads and downloads have their version behind this segment: /upload/v1beta/files.
        media, _, rest = path[1:].partition("/")
        if media not in _MEDIA:
            found = super().match(method, path)
            # Whoever decodes them would read another method: models/m:generateContent%3f:predict.
            return None if found and any(_CUT.search(value) for value in found.params.values()) else found
        version, _, resource = rest.partition("/")
        if version in self.versions:
            path = f"/{version}/{media}/{resource}"
        found = super().match(method, path)
        if found is None or found.endpoint.path[1:].partition("/")[0] != media:
            return None
        version, _, resource = found.path[1:].partition("/")
        return msgspec.structs.replace(
            found, path=f"/{media}/{version}/{resource.removeprefix(media).lstrip('/')}"
        )

    def claims(self, method: str, path: str, headers: Mapping[str, str], query: str) -> bool:
        if self.match(method, path) is None:
            return False
        segments = path[1:].split("/")
        version = segments[1] if segments[0] in _MEDIA else segments[0]
        if version != "v1":
            return version in self.versions
        if method == "POST" and ":" in segments[-1]:
            return True
        return any(name in headers for name in _HEADERS) or "key" in parse_qs(query)

    def sign(self, request: UpstreamRequest, secret: str) -> UpstreamRequest:
        return request.with_header("x-goog-api-key", secret)

    def error(self, error: GatewayError, endpoint: Endpoint | None) -> bytes:
        return msgspec.json.encode({"error": errors.error_object(error)})

    def error_kind(self, status: int, body: bytes) -> ErrorKind:
        return errors.error_kind(status, body)

    def model_ids(self, body: bytes) -> list[str]:
        return [
            model.name.removeprefix("models/")
            for model in _models.decode(body).models
            if model.supported_generation_methods is None or _GENERATED in model.supported_generation_methods
        ]
