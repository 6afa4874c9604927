"""What a request asks for, in no vendor's words, and how large it is."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

# Base64 and addresses are not prose: a picture must not count as a hundred thousand tokens.
NOT_PROSE = frozenset({"data", "url", "image_url", "file_data", "fileUri", "signature", "thoughtSignature"})


class Tool(msgspec.Struct, frozen=True):
    """A tool that the request declares; a custom one takes free text instead of JSON."""

    name: str
    schema: Mapping[str, Any]
    custom: bool = False


class Ask(msgspec.Struct, frozen=True):
    """One request, as far as the choice of an answer depends on it."""

    model: str
    stream: bool
    prompt: str  # the last text a user wrote
    tokens: int
    tools: tuple[Tool, ...] = ()
    results: tuple[str, ...] = ()  # tool results, if they are the last thing said
    may_call: bool = True
    must_call: bool = False
    only: str = ""  # the one tool that must be called
    parallel: bool = True
    schema: Mapping[str, Any] | None = None  # structured output; empty: any object
    max_tokens: int | None = None
    caching: bool = True


def text_of(content: Any) -> str:
    """All text in a string, a part, or a list of parts, whatever the vendor calls them."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(filter(None, map(text_of, content)))
    if isinstance(content, dict):
        return text_of(content.get("text") or content.get("content") or content.get("parts") or "")
    return ""


def tokens_of(value: Any) -> int:
    """Estimate: about four characters a token, at least one for each string."""
    if isinstance(value, str):
        return len(value) // 4 + 1
    if isinstance(value, dict):
        return sum(1 + tokens_of(item) for key, item in value.items() if key not in NOT_PROSE)
    if isinstance(value, list):
        return sum(map(tokens_of, value))
    return 0 if value is None else 1


def dicts(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list, and nothing where a client sent something else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def last(texts: Iterable[str]) -> str:
    """Return the last text that is not blank."""
    found = ""
    for text in texts:
        found = text if text.strip() else found
    return found


def whole_number(value: Any) -> int | None:
    """Return a limit on tokens if the client gave a sensible one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
