"""What the adapters read of OpenAI's Responses API: wide structs, since items and events gain members monthly.

Members of which an odd type must not make the rest unreadable are ``Any`` or ``Raw``; an empty ``Raw`` means
that the member is absent.
"""

from typing import Any

import msgspec

_ABSENT = msgspec.Raw(b"")


class Wire(msgspec.Struct, gc=False):
    """A part of a document, decoded in one go and soon dropped."""


class Request(Wire, gc=False):
    """A request body, without what only some features need."""

    model: Any = ""
    models: msgspec.Raw = _ABSENT
    """OpenRouter: those to turn to."""
    stream: bool | None = None
    input: msgspec.Raw = _ABSENT
    tools: msgspec.Raw = _ABSENT
    instructions: Any = None
    prompt_cache_key: Any = None
    user: Any = None
    previous_response_id: msgspec.Raw = _ABSENT
    conversation: msgspec.Raw = _ABSENT
    prompt: msgspec.Raw = _ABSENT
    background: Any = None
    store: Any = None
    include: msgspec.Raw = _ABSENT
    reasoning: msgspec.Raw = _ABSENT
    tool_choice: msgspec.Raw = _ABSENT
    plugins: msgspec.Raw = _ABSENT
    """OpenRouter: searches on the provider's side, and more."""


class Mention(Wire, gc=False):
    """As much of an item as tells whether it is only mentioned."""

    type: Any = None
    id: Any = None
    role: Any = None


class KeptReasoning(Wire, gc=False):
    """What a reasoning item may say beside its id."""

    encrypted_content: Any = None
    content: Any = None


class Tool(Wire, gc=False):
    """One declared tool, of any kind."""

    type: Any = ""
    name: Any = ""
    description: Any = ""
    parameters: msgspec.Raw = _ABSENT
    input_schema: msgspec.Raw = _ABSENT
    tools: msgspec.Raw = _ABSENT
    environment: msgspec.Raw = _ABSENT
    execution: Any = ""
    server_label: Any = ""
    allowed_tools: Any = None
    require_approval: Any = None


class Item(Wire, gc=False):
    """One item of ``input`` or ``output``, of any kind."""

    type: str = ""
    role: Any = ""
    id: Any = ""
    call_id: Any = ""
    name: Any = ""
    namespace: Any = ""
    status: Any = ""
    execution: Any = ""
    error: msgspec.Raw = _ABSENT
    arguments: msgspec.Raw = _ABSENT
    input: msgspec.Raw = _ABSENT
    action: msgspec.Raw = _ABSENT
    actions: msgspec.Raw = _ABSENT
    operation: msgspec.Raw = _ABSENT
    queries: msgspec.Raw = _ABSENT
    code: msgspec.Raw = _ABSENT
    environment: msgspec.Raw = _ABSENT
    content: msgspec.Raw = _ABSENT
    summary: msgspec.Raw = _ABSENT
    output: msgspec.Raw = _ABSENT
    outputs: msgspec.Raw = _ABSENT
    result: msgspec.Raw = _ABSENT
    tools: msgspec.Raw = _ABSENT
    server_label: Any = ""
    current_url: msgspec.Raw = _ABSENT


class Environment(Wire, gc=False):
    """Where a shell runs."""

    type: Any = ""


class Part(Wire, gc=False):
    """One part of a message, of a reasoning item or of a tool's output."""

    type: Any = ""
    text: Any = ""
    refusal: Any = ""
    transcript: Any = ""
    stdout: Any = ""
    stderr: Any = ""


class Delta(Wire, gc=False):
    """What the most frequent events hold."""

    type: str = ""
    delta: str = ""
    output_index: int = -1
    content_index: int = 0


class Event(Wire, gc=False):
    """One event of a stream, of any kind."""

    type: str = ""
    sequence_number: Any = None
    output_index: Any = None
    content_index: Any = 0
    command_index: Any = 0
    item_id: Any = ""
    name: Any = ""
    delta: Any = ""
    text: Any = ""
    refusal: Any = ""
    command: Any = ""
    diff: Any = ""
    arguments: msgspec.Raw = _ABSENT
    input: msgspec.Raw = _ABSENT
    item: msgspec.Raw = _ABSENT
    part: msgspec.Raw = _ABSENT
    response: msgspec.Raw = _ABSENT
    error: msgspec.Raw = _ABSENT
    code: Any = ""
    message: Any = ""


class Response(Wire, gc=False):
    """The response object: a whole answer, and what lifecycle events carry."""

    id: Any = ""
    model: Any = ""
    created_at: Any = None
    status: Any = ""
    output: msgspec.Raw = _ABSENT
    tool_calls: Any = None
    usage: msgspec.Raw = _ABSENT
    service_tier: Any = None
    error: msgspec.Raw = _ABSENT
    incomplete_details: Any = None


class Error(Wire, gc=False):
    """An error object, wherever one is."""

    type: Any = ""
    code: Any = ""
    message: Any = ""


class Usage(Wire, gc=False):
    """Token counts; input includes what came from the cache."""

    input_tokens: Any = msgspec.UNSET
    output_tokens: Any = msgspec.UNSET
    input_tokens_details: Any = None
    output_tokens_details: Any = None
