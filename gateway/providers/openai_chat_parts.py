"""What an answer in OpenAI's chat format holds beside its calls: text, reasoning and usage."""

from collections.abc import Iterator
from typing import Any

from gateway.core.view import Event, ReasoningDelta, TextDelta, Unknown, Usage
from schemas.openai import Delta

_LARGEST = 1 << 53

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


def read_usage(usage: dict[str, Any]) -> Usage:
    """Normalise a ``usage`` object: cached tokens are part of ``prompt_tokens`` on this wire."""
    prompt = _count(usage.get("prompt_tokens"))
    output = _count(usage.get("completion_tokens"))
    total = _count(usage.get("total_tokens"))
    of_input = _details(usage.get("prompt_tokens_details"))
    of_output = _details(usage.get("completion_tokens_details"))
    read = _first(
        of_input.get("cached_tokens"),
        usage.get("prompt_cache_hit_tokens"),  # DeepSeek
        usage.get("num_cached_tokens"),  # Mistral
        usage.get("cached_tokens"),  # Moonshot
    )
    written = _first(of_input.get("cache_write_tokens"))
    reasoning = _first(of_output.get("reasoning_tokens"), usage.get("reasoning_tokens"))
    # xAI counts reasoning beside the output, and only the total tells.
    if prompt is not None and output is not None and reasoning and total == prompt + output + reasoning:
        output += reasoning
    if prompt is not None:
        prompt = max(0, prompt - (read or 0) - (written or 0))
    return Usage(
        input_tokens=prompt,
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=reasoning,
    )


def _details(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _first(*values: Any) -> int | None:
    for value in values:
        if (count := _count(value)) is not None:
            return count
    return None


def _count(value: Any) -> int | None:
    """Return a number of tokens; None for what can't be one."""
    return value if type(value) is int and 0 <= value < _LARGEST else None


def reasoning(part: Delta) -> Iterator[Event]:
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
