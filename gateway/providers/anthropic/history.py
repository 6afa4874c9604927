"""The history of a conversation, message by message."""

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from gateway.core.view import Message, Part, from_client, tool_result
from gateway.providers.anthropic.lenient import text

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.encode


def read_message(element: bytes) -> Message:
    """Read one message."""
    message = _decode(element)
    parts = tuple(content_parts(message.get("content")))
    match message.get("role"):
        case "assistant" | "system" as role:
            return Message(role, parts)
    return from_client(parts)


def content_parts(content: Any) -> Iterator[Part]:
    """Read a content: a text, or a list of blocks."""
    if isinstance(content, str):
        yield Part("text", content)
    elif content is not None:
        for block in content if isinstance(content, list) else [content]:
            yield from _parts(block)


def _parts(block: Any) -> Iterator[Part]:
    match block:
        case {"type": "thinking", "thinking": str(thoughts)}:
            yield Part("reasoning", thoughts)
        case {"type": "redacted_thinking"}:
            yield Part("reasoning")
        case {"type": "tool_use" | "server_tool_use" | "mcp_tool_use", "name": str(name)}:
            arguments = _encode(block.get("input", {})).decode()
            yield Part("tool_call", "", text(block.get("id")), name, arguments)
        case {"tool_use_id": str(id_)}:
            content = block.get("content")
            failed = block.get("is_error") is True or (isinstance(content, dict) and "error_code" in content)
            yield from tool_result(content_parts(content), id_, is_error=failed)
        case {"type": "image", "source": dict(source)}:
            yield _media("image", source)
        case {"type": "document", "source": dict(source)}:
            yield from _document(text(block.get("title")), source)
        case {"type": "search_result", "content": list(content)}:
            yield from content_parts(content)
        case {"text": str(said)} | {"type": "compaction", "content": str(said)}:
            yield Part("text", said)
        case {"stdout": str(output), "stderr": str(errors)}:
            yield Part("text", "\n".join(filter(None, (output, errors))))
        case dict():
            readable = {key: value for key, value in block.items() if not key.startswith("encrypted_")}
            yield Part("other", _encode(readable).decode())
        case _:
            yield Part("other", block if isinstance(block, str) else _encode(block).decode())


def _document(title: str, source: dict[str, Any]) -> Iterator[Part]:
    match source:
        case {"type": "text", "data": str(written)}:
            yield Part("text", written, name=title)
        case {"content": (str() | list()) as content}:
            yield from content_parts(content)
        case _:
            yield _media("other", source, title)


def _media(kind: Literal["image", "other"], source: dict[str, Any], name: str = "") -> Part:
    place = text(source.get("url")) or text(source.get("file_id"))
    return Part(kind, place, name=name, media_type=text(source.get("media_type")))
