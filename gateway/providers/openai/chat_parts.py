"""What an answer in OpenAI's chat format holds beside its calls: text, reasoning and usage."""

from collections.abc import Iterator
from typing import Any

from gateway.core.counts import count
from gateway.core.view import Event, ReasoningDelta, TextDelta, Unknown, Usage
from schemas import openai as wire
from schemas.openai import InputDetails, OutputDetails

# Parts of a content list that carry neither text nor a call.
_SILENT_PARTS = frozenset(
    {
        "reference",
        "image_url",
        "image",
        "document_url",
        "file",
        "input_audio",
        "audio",
        "audio_url",
        "video_url",
    }
)


def read_usage(usage: wire.Usage, service_tier: Any = None) -> Usage:
    """Normalise a ``usage`` object: cached tokens are part of ``prompt_tokens`` on this wire."""
    prompt = count(usage.prompt_tokens)
    output = count(usage.completion_tokens)
    of_input, of_output = usage.prompt_tokens_details, usage.completion_tokens_details
    read = written = reasoning = heard = spoken = None
    if type(of_input) is InputDetails:
        read = count(of_input.cached_tokens)
        written = count(of_input.cache_write_tokens)
        heard = count(of_input.audio_tokens)
    if read is None:
        read = _first(usage.prompt_cache_hit_tokens, usage.num_cached_tokens, usage.cached_tokens)
    if type(of_output) is OutputDetails:
        reasoning = count(of_output.reasoning_tokens)
        spoken = count(of_output.audio_tokens)
    beside = count(usage.reasoning_tokens)
    if prompt is not None:
        # xAI counts reasoning beside the output, and only the total tells.
        if reasoning and output is not None and count(usage.total_tokens) == prompt + output + reasoning:
            output += reasoning
        elif reasoning is None and beside is not None and output is not None:
            reasoning = beside
            output += beside
        if read or written:
            prompt = max(0, prompt - (read or 0) - (written or 0))
    return Usage(
        prompt,
        output,
        read,
        written,
        reasoning_tokens=reasoning,
        input_audio_tokens=heard,
        output_audio_tokens=spoken,
        web_searches=count(usage.num_search_queries),
        service_tier=string(service_tier) or None,
        input_is_null=usage.prompt_tokens is None or None,
        output_is_null=usage.completion_tokens is None or None,
    )


def _first(*values: Any) -> int | None:
    for value in values:
        if value is not None and (found := count(value)) is not None:
            return found
    return None


def reasoning(part: wire.Delta) -> Iterator[ReasoningDelta]:
    """Read the reasoning of a delta or message, under whichever name."""
    for text in (part.reasoning_content, part.reasoning):
        if text and isinstance(text, str):
            yield ReasoningDelta(text)
            return
    details = part.reasoning_details
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and (text := string(detail.get("text") or detail.get("summary"))):
            yield ReasoningDelta(text)


def content_part(part: Any) -> Iterator[Event]:
    """Read a part of a content that is a list."""
    if isinstance(part, str):
        yield TextDelta(part)
        return
    type_ = string(part.get("type")) if isinstance(part, dict) else "content part"
    if type_ in ("text", "output_text", "refusal"):
        yield TextDelta(string(part.get("text")) or string(part.get("refusal")))
    elif type_ == "thinking":
        thinking = part.get("thinking")
        for piece in thinking if isinstance(thinking, list) else [thinking]:
            yield ReasoningDelta(string(piece.get("text") if isinstance(piece, dict) else piece))
    elif type_ not in _SILENT_PARTS:
        yield Unknown(type_ or "content part")


def string(value: Any) -> str:
    """Return a text, or an empty one in place of anything else."""
    return value if isinstance(value, str) else ""
