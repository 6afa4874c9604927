"""The endpoints around the conversation: model lists, token counts and embeddings, in each vendor's form."""

import base64
import hashlib
import math
import struct
from collections.abc import Mapping
from typing import Any

from gateway.demo.ask import dicts, text_of, tokens_of, whole_number
from gateway.demo.scenario import MODELS
from gateway.demo.wire import encode

CREATED = 1767225600
METHODS = ["generateContent", "streamGenerateContent", "countTokens"]
DIMENSIONS = 1536
EMBEDDING_MODEL = "demo-embedding"


def openai_models() -> bytes:
    """List the models, without pages."""
    return encode({"object": "list", "data": [_openai(name) for name in (*MODELS, EMBEDDING_MODEL)]})


def openai_model(name: str) -> bytes:
    """Describe one model."""
    return encode(_openai(name))


def anthropic_models(query: Mapping[str, str]) -> bytes:
    """List a page of the models."""
    names = list(MODELS)
    if (after := query.get("after_id", "")) in names:
        names = names[names.index(after) + 1 :]
    page = names[: _size(query.get("limit"), 20)]
    listed = {
        "data": [_anthropic(name) for name in page],
        "has_more": len(page) < len(names),
        "first_id": page[0] if page else None,
        "last_id": page[-1] if page else None,
    }
    return encode(listed)


def anthropic_model(name: str) -> bytes:
    """Describe one model."""
    return encode(_anthropic(name))


def gemini_models(query: Mapping[str, str]) -> bytes:
    """List a page of the models; the page token is an offset."""
    token = query.get("pageToken", "")
    start = int(token) if token.isdecimal() else 0
    end = start + _size(query.get("pageSize"), 50)
    names = (*MODELS, EMBEDDING_MODEL)
    more = {"nextPageToken": str(end)} if end < len(names) else {}
    return encode({"models": [_gemini(name) for name in names[start:end]], **more})


def gemini_model(name: str) -> bytes:
    """Describe one model."""
    return encode(_gemini(name))


def openai_embeddings(body: dict[str, Any]) -> bytes:
    """Return an embedding for every input, as numbers or as the base64 that SDKs prefer."""
    given = body.get("input")
    one = isinstance(given, str) or (isinstance(given, list) and bool(given) and isinstance(given[0], int))
    inputs = [given] if one else list(given or [])
    size = whole_number(body.get("dimensions")) or DIMENSIONS
    found = []
    for index, text in enumerate(inputs):
        vector: Any = _vector(str(text), size)
        if body.get("encoding_format") == "base64":
            vector = base64.b64encode(struct.pack(f"<{size}f", *vector)).decode()
        found.append({"object": "embedding", "index": index, "embedding": vector})
    tokens = sum(len(text) if isinstance(text, list) else tokens_of(text) for text in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return encode({"object": "list", "data": found, "model": body.get("model"), "usage": usage})


def gemini_embedding(body: dict[str, Any]) -> bytes:
    """Return the embedding of one content."""
    return encode({"embedding": _gemini_vector(body)})


def gemini_embeddings(body: dict[str, Any]) -> bytes:
    """Return the embeddings of a batch, which SDKs use for single ones too."""
    return encode({"embeddings": [_gemini_vector(request) for request in dicts(body.get("requests"))]})


def _gemini_vector(request: dict[str, Any]) -> dict[str, Any]:
    config = request.get("embedContentConfig")
    size = request.get("outputDimensionality") or (config or {}).get("outputDimensionality")
    return {"values": _vector(text_of(request.get("content")), whole_number(size) or DIMENSIONS)}


def _vector(text: str, size: int) -> list[float]:
    """Return a unit vector that depends on the text alone."""
    digest = hashlib.shake_256(text.encode("utf-8", "replace")).digest(size)
    raw = [byte - 127.5 for byte in digest]
    length = math.sqrt(sum(value * value for value in raw))
    return [round(value / length, 8) for value in raw]


def _size(given: str | None, usual: int) -> int:
    return min(int(given), 1000) if given and given.isdecimal() and int(given) else usual


def _openai(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "demo"}


def _anthropic(name: str) -> dict[str, Any]:
    return {
        "type": "model",
        "id": name,
        "display_name": name.replace("-", " ").title(),
        "created_at": "2026-01-01T00:00:00Z",
        "max_input_tokens": 200000,
        "max_tokens": 64000,
    }


def _gemini(name: str) -> dict[str, Any]:
    embeds = name == EMBEDDING_MODEL
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name.replace("-", " ").title(),
        "description": "A model of the demo provider",
        "inputTokenLimit": 1048576,
        "outputTokenLimit": 65536,
        "supportedGenerationMethods": ["embedContent", "batchEmbedContents"] if embeds else METHODS,
    }
