"""What Gemini says that an answer used.

Thoughts are counted beside the output, what its own tools read beside the prompt, and the cache within it. Tokens
that are not text are told apart where they have prices of their own: sound, and images that the model drew.
"""

from collections.abc import Sequence

import msgspec

from gateway.core.counts import count
from gateway.core.strict import UNREADABLE
from gateway.core.view import Usage
from gateway.providers.gemini.members import Raw, elements, members, string
from schemas.gemini import UsageMetadata

_COUNTS = (
    "promptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "cachedContentTokenCount",
    "toolUsePromptTokenCount",
)
_DETAILS = (
    "promptTokensDetails",
    "candidatesTokensDetails",
    "cacheTokensDetails",
    "toolUsePromptTokensDetails",
)
_any = msgspec.json.Decoder()
_NOTHING = Raw(b"")
_PLAIN = (_NOTHING,) * 4


def usage_of(counts: UsageMetadata, *, detailed: bool) -> Usage:
    """Read counts; ``detailed``: also of what they are."""
    details, tier = _PLAIN, _NOTHING
    if detailed:
        details = (
            counts.prompt_tokens_details,
            counts.candidates_tokens_details,
            counts.cache_tokens_details,
            counts.tool_use_prompt_tokens_details,
        )
        tier = counts.service_tier
    said = (
        counts.prompt_token_count,
        counts.candidates_token_count,
        counts.thoughts_token_count,
        counts.cached_content_token_count,
        counts.tool_use_prompt_token_count,
    )
    return _usage(said, details, tier)


def lenient_usage(raw: Raw, odd: list[str]) -> Usage:
    """Read counts of which some may be no numbers."""
    try:
        found = members(raw, odd)
    except msgspec.ValidationError:
        return Usage()
    details = tuple(found.get(name, _NOTHING) for name in _DETAILS)
    said = [_number(found.get(name)) for name in _COUNTS]
    return _usage(said, details, found.get("serviceTier", _NOTHING))


def _usage(said: Sequence[int | None], details: Sequence[Raw], tier: Raw) -> Usage:
    prompt, output, thoughts, cached, tool_use = map(count, said)
    if thoughts:
        output = thoughts + (output or 0)
    if prompt is not None:
        prompt = max(0, prompt + (tool_use or 0) - (cached or 0))
    if details is _PLAIN:
        return Usage(prompt, output, cached, None, None, thoughts)
    of_prompt, of_output, of_cache, of_tools = details
    heard, cached_heard = _tokens(of_prompt, "AUDIO"), _tokens(of_cache, "AUDIO")
    if heard is not None:
        heard = max(0, heard + (_tokens(of_tools, "AUDIO") or 0) - (cached_heard or 0))
    return Usage(
        prompt,
        output,
        cached,
        None,
        None,
        thoughts,
        heard,
        cached_heard,
        _tokens(of_output, "AUDIO"),
        _tokens(of_output, "IMAGE"),
        service_tier=string(tier) or None,
    )


def _tokens(details: Raw, modality: str) -> int | None:
    """Return the tokens of one kind; ``None``: not said."""
    if modality.encode() not in bytes(details):  # nearly always, and an array is not worth decoding for that
        return None
    odd: list[str] = []
    try:
        found = [members(raw, odd) for raw in elements(details)]
    except msgspec.MsgspecError:
        return None
    counts = [_number(each.get("tokenCount")) for each in found if string(each.get("modality")) == modality]
    return sum(each or 0 for each in counts) if counts else None


def _number(raw: Raw | None) -> int | None:
    try:
        return count(_any.decode(raw)) if raw is not None else None
    except UNREADABLE:
        return None
