"""OpenAI's API, and the class of all providers that are like it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from gateway.core.adapter import DEFAULT_QUIRKS, Payload, Quirks, RequestAdapter, ResponseAdapter
from gateway.core.errors import ErrorKind, GatewayError
from gateway.core.frames import Frame
from gateway.core.provider import Endpoint, Provider, provider
from gateway.core.strict import load
from gateway.core.view import END, Event, Start
from gateway.providers import openai_error_kinds, openai_responses
from gateway.providers.openai_chat import ChatRequest, ChatResponse
from gateway.providers.openai_chat_parts import read_usage, string
from gateway.providers.openai_chat_request import strings
from gateway.providers.openai_errors import error_object
from schemas.openai import Embeddings, EmbeddingsBody, Identified

_embeddings_body = msgspec.json.Decoder(EmbeddingsBody)
_embeddings = msgspec.json.Decoder(Embeddings).decode
_models = msgspec.json.Decoder(dict[str, msgspec.Raw] | list[Identified]).decode
_identified = msgspec.json.Decoder(list[Identified]).decode
_encode = msgspec.json.encode


class EmbeddingsRequest(RequestAdapter):
    """A request for embeddings."""

    def __init__(
        self, body: bytes, params: Mapping[str, str] | None = None, quirks: Quirks = DEFAULT_QUIRKS
    ) -> None:
        super().__init__(body, params, quirks)
        self._body = load(_embeddings_body, body)
        self.model = string(self._body.model)
        if user := string(self._body.user):
            self.session = (user, "user")

    def texts(self) -> Iterable[str]:
        return strings(self._body.input)


class EmbeddingsResponse(ResponseAdapter):
    """Embeddings: a model and its usage; the vectors pass unread."""

    def events(self, frame: Frame) -> Iterable[Event]:
        return tuple(self._read(frame))

    def _read(self, frame: Frame) -> Iterator[Event]:
        body = _embeddings(frame.data)
        yield Start(model=string(body.model))
        if isinstance(body.usage, dict):
            yield read_usage(body.usage)
        if body.error:
            yield openai_error_kinds.stream_error(body.error)
        yield END

    def error(self, error: GatewayError) -> Iterable[Payload]:
        return (Payload(_encode({"error": error_object(error)})),)


# Bodies that neither declare tools nor carry calls: streamed on unparsed.
_OPAQUE = """
GET /models
GET DELETE /models/{model+}
GET POST /files
GET DELETE /files/{file}
GET /files/{file}/content
POST /uploads
POST /uploads/{upload}/parts
POST /uploads/{upload}/complete
POST /uploads/{upload}/cancel
POST /audio/speech
POST /audio/transcriptions
POST /audio/translations
POST /audio/voices
DELETE /audio/voices/{voice}
GET POST /audio/voice_consents
GET POST DELETE /audio/voice_consents/{consent}
POST /images/generations
POST /images/edits
POST /images/variations
GET POST /videos
GET DELETE /videos/{video}
GET /videos/{video}/content
POST /videos/{video}/remix
POST /videos/edits
POST /videos/extensions
POST /videos/characters
GET /videos/characters/{character}
POST /moderations
POST /content_provenance_checks
GET POST /fine_tuning/jobs
GET /fine_tuning/jobs/{job}
POST /fine_tuning/jobs/{job}/cancel
POST /fine_tuning/jobs/{job}/pause
POST /fine_tuning/jobs/{job}/resume
GET /fine_tuning/jobs/{job}/events
GET /fine_tuning/jobs/{job}/checkpoints
GET POST /fine_tuning/checkpoints/{checkpoint}/permissions
DELETE /fine_tuning/checkpoints/{checkpoint}/permissions/{permission}
POST /fine_tuning/alpha/graders/run
POST /fine_tuning/alpha/graders/validate
GET POST /vector_stores
GET POST DELETE /vector_stores/{store}
POST /vector_stores/{store}/search
GET POST /vector_stores/{store}/files
GET POST DELETE /vector_stores/{store}/files/{file}
GET /vector_stores/{store}/files/{file}/content
POST /vector_stores/{store}/file_batches
GET /vector_stores/{store}/file_batches/{batch}
POST /vector_stores/{store}/file_batches/{batch}/cancel
GET /vector_stores/{store}/file_batches/{batch}/files
GET POST /containers
GET DELETE /containers/{container}
GET POST /containers/{container}/files
GET DELETE /containers/{container}/files/{file}
GET /containers/{container}/files/{file}/content
GET POST /skills
GET POST DELETE /skills/{skill}
GET /skills/{skill}/content
GET POST /skills/{skill}/versions
GET DELETE /skills/{skill}/versions/{version}
GET /skills/{skill}/versions/{version}/content
"""

# Models run, or their answers are kept, where no policy sees the calls.
_STATEFUL = """
GET /chat/completions
GET POST DELETE /chat/completions/{completion}
GET /chat/completions/{completion}/messages
GET POST /batches
GET /batches/{batch}
POST /batches/{batch}/cancel
GET POST /evals
GET POST DELETE /evals/{eval}
GET POST /evals/{eval}/runs
GET POST DELETE /evals/{eval}/runs/{run}
POST /evals/{eval}/runs/{run}/cancel
GET /evals/{eval}/runs/{run}/output_items
GET /evals/{eval}/runs/{run}/output_items/{item}
GET POST /assistants
GET POST DELETE /assistants/{assistant}
POST /threads
POST /threads/runs
GET POST DELETE /threads/{thread}
GET POST /threads/{thread}/messages
GET POST DELETE /threads/{thread}/messages/{message}
GET POST /threads/{thread}/runs
GET POST /threads/{thread}/runs/{run}
POST /threads/{thread}/runs/{run}/cancel
POST /threads/{thread}/runs/{run}/submit_tool_outputs
GET /threads/{thread}/runs/{run}/steps
GET /threads/{thread}/runs/{run}/steps/{step}
POST /chatkit/sessions
POST /chatkit/sessions/{session}/cancel
GET /chatkit/threads
GET DELETE /chatkit/threads/{thread}
GET /chatkit/threads/{thread}/items
"""

_CLAIMED = ("/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/models")


def _endpoints(table: str, *, stateful: bool = False) -> Iterator[Endpoint]:
    for line in table.strip().splitlines():
        *methods, path = line.split()
        for method in methods:
            yield Endpoint(method, path, stateful=stateful)


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
    claims_last = True
    endpoints = (
        Endpoint("POST", "/chat/completions", ChatRequest, ChatResponse, carries_calls=True),
        *openai_responses.ENDPOINTS,
        Endpoint("POST", "/completions", ChatRequest, ChatResponse),
        Endpoint("POST", "/embeddings", EmbeddingsRequest, EmbeddingsResponse),
        *_endpoints(_OPAQUE),
        *_endpoints(_STATEFUL, stateful=True),
    )

    def claims(self, method: str, path: str, headers: Mapping[str, str], query: str) -> bool:
        return any(path == claimed or path.startswith(claimed + "/") for claimed in _CLAIMED)

    def error(self, error: GatewayError, endpoint: Endpoint | None) -> bytes:
        return _encode({"error": error_object(error)})

    def error_kind(self, status: int, body: bytes) -> ErrorKind:
        return openai_error_kinds.error_kind(status, body)

    def model_ids(self, body: bytes) -> list[str]:
        listed: Any = _models(body)
        if isinstance(listed, dict):  # Together writes the bare list
            listed = _identified(listed.get("data", b"[]"))
        return [model.id for model in listed if isinstance(model.id, str)]
