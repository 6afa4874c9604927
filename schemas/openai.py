"""What the adapters of OpenAI's chat completions, and of all that are like it, read.

Members that compatible servers write in several types are ``Any``: one odd value must not make the rest of a
frame unreadable. ``Raw`` marks what is parsed later, if at all.
"""

from typing import Any

import msgspec

ABSENT = msgspec.Raw(b"")

Odd = None | bool | int | float | str | list[Any]
"""What may stand where an object belongs."""


class Delta(msgspec.Struct, gc=False):
    """A piece of a message in a stream, or the whole message of a body."""

    content: Any = None
    """Text; Mistral also a list of parts."""
    reasoning_content: Any = None
    """DeepSeek, Zhipu, Fireworks, Moonshot."""
    reasoning: Any = None
    """Groq, OpenRouter, Cerebras, Together, vLLM, Ollama."""
    reasoning_details: Any = None
    """OpenRouter beside ``reasoning``, MiniMax in place of it."""
    tool_calls: Any = None
    function_call: Any = None
    """The form of a call before there were ``tool_calls``."""
    refusal: Any = None
    executed_tools: Any = None
    """Groq: tools that it ran by itself."""


class InputDetails(msgspec.Struct, gc=False):
    """``prompt_tokens_details``."""

    cached_tokens: Any = None
    cache_write_tokens: Any = None
    audio_tokens: Any = None


class OutputDetails(msgspec.Struct, gc=False):
    """``completion_tokens_details``."""

    reasoning_tokens: Any = None
    audio_tokens: Any = None


class Usage(msgspec.Struct, gc=False):
    """Numbers of tokens."""

    prompt_tokens: Any = msgspec.UNSET
    completion_tokens: Any = msgspec.UNSET
    total_tokens: Any = None
    prompt_tokens_details: InputDetails | Odd = None
    completion_tokens_details: OutputDetails | Odd = None
    prompt_cache_hit_tokens: Any = None
    """DeepSeek."""
    num_cached_tokens: Any = None
    """Mistral."""
    cached_tokens: Any = None
    """Moonshot."""
    reasoning_tokens: Any = None
    """Perplexity, beside the completion's; as the next."""
    num_search_queries: Any = None


class Groq(msgspec.Struct, gc=False):
    """``x_groq``: what Groq says beside the format that it is like."""

    usage: Usage | Odd = None


class Choice(msgspec.Struct, gc=False):
    """One of the alternatives."""

    index: Any = None
    delta: Delta | None = None
    message: Delta | None = None
    text: Any = None
    """Legacy completions; Together repeats the delta's text in it."""
    finish_reason: Any = None
    usage: Usage | Odd = None
    """Moonshot: on the frame that finishes."""


class Completion(msgspec.Struct, gc=False):
    """A whole answer, or one frame of a stream."""

    choices: list[Choice] | None = None
    id: Any = None
    model: Any = None
    created: Any = None
    usage: Usage | Odd = None
    service_tier: Any = None
    error: Any = None
    x_groq: Groq | Odd = None


class UsageFrame(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """The frame that ``include_usage`` adds to a stream: exactly these members, and nothing else."""

    choices: list[msgspec.Raw]
    usage: dict[str, Any]
    id: Any = None
    object: Any = None
    created: Any = None
    model: Any = None
    system_fingerprint: Any = None
    service_tier: Any = None
    obfuscation: Any = None


class ChatBody(msgspec.Struct, gc=False):
    """A request for a chat completion, or for a legacy completion."""

    model: Any = None
    models: msgspec.Raw = ABSENT
    """OpenRouter: those to turn to."""
    messages: msgspec.Raw = ABSENT
    prompt: msgspec.Raw = ABSENT
    """Legacy completions."""
    stream: Any = None
    stream_options: msgspec.Raw = ABSENT
    n: Any = None
    tools: msgspec.Raw = ABSENT
    functions: msgspec.Raw = ABSENT
    web_search_options: msgspec.Raw = ABSENT
    """OpenAI, Perplexity: searches on the provider's side."""
    search_parameters: msgspec.Raw = ABSENT
    """xAI: the same."""
    plugins: msgspec.Raw = ABSENT
    """OpenRouter: the same, and more."""
    compound_custom: msgspec.Raw = ABSENT
    """Groq: which tools its compound systems may run."""
    tool_choice: msgspec.Raw = ABSENT
    store: Any = None
    metadata: msgspec.Raw = ABSENT
    deferred: Any = None
    """xAI: the answer is to be fetched later."""
    prompt_cache_key: Any = None
    user: Any = None


class Message(msgspec.Struct, gc=False):
    """One message of the history."""

    role: Any = None
    content: msgspec.Raw = ABSENT
    name: Any = None
    tool_call_id: Any = None
    tool_calls: msgspec.Raw = ABSENT
    function_call: msgspec.Raw = ABSENT
    executed_tools: msgspec.Raw = ABSENT
    annotations: msgspec.Raw = ABSENT


class Part(msgspec.Struct, gc=False):
    """A part of a message's content."""

    type: Any = None
    text: Any = None


class Function(msgspec.Struct, gc=False):
    """A function, or a custom tool: as a request declares it, and as a call in the history names it."""

    name: Any = None
    description: Any = None
    parameters: msgspec.Raw = ABSENT
    arguments: Any = None
    input: Any = None


class ToolEntry(msgspec.Struct, gc=False):
    """An element of ``tools``, or of ``tool_calls`` in the history."""

    type: Any = None
    id: Any = None
    name: Any = None
    """Of a function that is written flat, and of some tools that a provider runs."""
    function: msgspec.Raw = ABSENT
    custom: msgspec.Raw = ABSENT
    server_label: Any = None
    """Of an MCP server, with the next."""
    allowed_tools: Any = None


class AllowedTools(msgspec.Struct, gc=False):
    """Those that a choice of tools allows."""

    tools: msgspec.Raw = ABSENT


class AllowedChoice(msgspec.Struct, gc=False):
    """``tool_choice`` of the type ``allowed_tools``."""

    allowed_tools: AllowedTools = msgspec.field(default_factory=AllowedTools)


class Identified(msgspec.Struct, gc=False):
    """Anything with an id: a plugin, a model."""

    id: Any = None


class EmbeddingsBody(msgspec.Struct, gc=False):
    """A request for embeddings."""

    model: Any = None
    input: msgspec.Raw = ABSENT
    user: Any = None


class Embeddings(msgspec.Struct, gc=False):
    """An answer with embeddings; the vectors are skipped."""

    model: Any = None
    usage: Usage | Odd | msgspec.UnsetType = msgspec.UNSET
    error: Any = None


class ErrorBody(msgspec.Struct, gc=False):
    """The ways in which servers say that something failed."""

    error: Any = None
    """An object; xAI writes text."""
    message: Any = None
    code: Any = None
    type: Any = None
    detail: Any = None
    """Mistral, and servers built on FastAPI."""
    object: Any = None
    base_resp: Any = None
    """MiniMax: failures with status 200."""
