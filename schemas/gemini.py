"""Gemini's generateContent as msgspec structs: the ordinary chunk of text, and lists of models.

Unknown members are forbidden in the chunk's structs: a chunk with anything else than plain text, and one in
snake_case, doesn't fit and is read member by member instead. So what no adapter reads is listed as ``Raw``.
"""

import msgspec

_NOTHING = msgspec.Raw(b"")


class Part(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """A piece of text, or of the model's thoughts."""

    text: str = ""
    thought: bool = False
    thought_signature: msgspec.Raw = _NOTHING


class Content(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """What one chunk adds to one candidate."""

    parts: list[Part] = []
    role: msgspec.Raw = _NOTHING


class Candidate(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """One of several answers."""

    content: Content | None = None
    finish_reason: str = ""
    index: int = 0
    avg_logprobs: msgspec.Raw = _NOTHING
    citation_metadata: msgspec.Raw = _NOTHING
    continuation_token: msgspec.Raw = _NOTHING
    finish_message: msgspec.Raw = _NOTHING
    grounding_attributions: msgspec.Raw = _NOTHING
    grounding_metadata: msgspec.Raw = _NOTHING
    logprobs_result: msgspec.Raw = _NOTHING
    safety_ratings: msgspec.Raw = _NOTHING
    token_count: msgspec.Raw = _NOTHING
    url_context_metadata: msgspec.Raw = _NOTHING


class UsageMetadata(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """Token counts so far: each chunk repeats them."""

    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    cached_content_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    total_token_count: int | None = None
    cache_tokens_details: msgspec.Raw = _NOTHING
    candidates_tokens_details: msgspec.Raw = _NOTHING
    prompt_tokens_details: msgspec.Raw = _NOTHING
    service_tier: msgspec.Raw = _NOTHING
    tool_use_prompt_tokens_details: msgspec.Raw = _NOTHING
    traffic_type: msgspec.Raw = _NOTHING


class Chunk(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """A response, or one chunk of a streamed one."""

    candidates: list[Candidate] = []
    usage_metadata: UsageMetadata | None = None
    model_version: str = ""
    response_id: str = ""
    create_time: msgspec.Raw = _NOTHING
    model_status: msgspec.Raw = _NOTHING


class Model(msgspec.Struct, rename="camel"):
    """A model, and the methods that it has."""

    name: str
    supported_generation_methods: list[str] | None = None


class Models(msgspec.Struct):
    """A page of models."""

    models: list[Model] = []
