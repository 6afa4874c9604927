"""What a message of the history holds, in OpenAI's formats and those that are like them."""

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.core.view import Part, Speaker
from gateway.providers.openai.chat_parts import string

ROLES: dict[str, Speaker] = {
    "system": "system",
    "developer": "system",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
"""Any other role is a user's."""


def compact(value: Any) -> str:
    """Return a text as it is, and anything else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def content_parts(content: Any) -> Iterator[Part]:
    """Read a content: a text, or a list of parts."""
    if content is not None:
        for part in content if isinstance(content, list) else [content]:
            yield _content_part(part)


def _content_part(part: Any) -> Part:
    match part:
        case str():
            return Part("text", part)
        case {"type": "thinking", "thinking": thinking}:  # Mistral
            pieces = content_parts(thinking)
            return Part("reasoning", "".join(piece.text for piece in pieces))
        case {"text": str(text)} | {"type": "refusal", "refusal": str(text)}:
            return Part("text", text)
        case {"stdout": str(output), "stderr": str(errors)}:
            return Part("text", "\n".join(filter(None, (output, errors))))
        case {"image_url": str(url) | {"url": str(url)}} | {"type": "input_image", "file_id": str(url)}:
            text, media_type = _place(url)
            return Part("image", text, media_type=media_type)
        case {"input_audio": {"format": str(form)}}:
            return Part("other", media_type=f"audio/{form}")
        case {"type": "file", "file": dict(file)}:
            return _file(file)
        case {"type": "input_file"}:
            return _file(part)
    return Part("other", compact(part))


def _file(file: dict[str, Any]) -> Part:
    urls = (string(file.get(member)) for member in ("file_url", "file_id", "file_data"))
    text, media_type = _place(next(filter(None, urls), ""))
    return Part("other", text, name=string(file.get("filename")), media_type=media_type)


def _place(url: str) -> tuple[str, str]:
    """Return where something is, and the type of it; what is in the message itself is nowhere else."""
    if not url.startswith("data:"):
        return url, ""
    return "", url[len("data:") :].partition(",")[0].partition(";")[0]
