"""Which paths OpenAI serves, which bodies are read, and which pass unparsed."""

from collections.abc import Iterator

from gateway.core.provider import Endpoint
from gateway.providers.openai.chat import ChatResponse
from gateway.providers.openai.chat_request import ChatRequest
from gateway.providers.openai.embeddings import EmbeddingsRequest, EmbeddingsResponse
from gateway.providers.openai.responses import ResponsesResponse
from gateway.providers.openai.responses_request import ResponsesRequest

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
POST /responses/compact
GET DELETE /responses/{id}
POST /responses/{id}/cancel
GET /responses/{id}/input_items
POST /conversations
GET POST DELETE /conversations/{id}
GET POST /conversations/{id}/items
GET DELETE /conversations/{id}/items/{item}
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


def _unparsed(table: str, *, stateful: bool = False) -> Iterator[Endpoint]:
    for line in table.strip().splitlines():
        *methods, path = line.split()
        for method in methods:
            yield Endpoint(method, path, stateful=stateful)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("POST", "/chat/completions", ChatRequest, ChatResponse, carries_calls=True),
    Endpoint("POST", "/responses", ResponsesRequest, ResponsesResponse, carries_calls=True),
    Endpoint("POST", "/responses/input_tokens", ResponsesRequest),
    Endpoint("POST", "/completions", ChatRequest, ChatResponse, carries_calls=True),
    Endpoint("POST", "/embeddings", EmbeddingsRequest, EmbeddingsResponse),
    *_unparsed(_OPAQUE),
    *_unparsed(_STATEFUL, stateful=True),
)
"""What the provider ``openai`` serves."""
