"""The history of a conversation, content by content; its members are spelt in camelCase or in snake_case."""

from collections.abc import Iterator
from typing import Literal

from gateway.core.view import Message, Part, Path, from_client, tool_result
from gateway.providers.gemini.members import TOOL_TYPES, Raw, camel, fields, is_string, items, spelt, string
from gateway.providers.gemini.results import read_result

_CODE = "codeExecution"


def parts_of(content: bytes | Raw, path: Path) -> Iterator[tuple[Path, Raw]]:
    """Yield the parts of a content, each with its path."""
    if is_string(content):  # SDKs write a lone text as a part, other clients as a string
        yield path, Raw(bytes(content))
    for key, raw in spelt(fields(content), "parts"):
        for index, part in items(raw):
            yield (*path, key, *index), part


def read_message(content: bytes | Raw) -> Message:
    """Read one content."""
    parts = tuple(part for _, raw in parts_of(content, ()) for part in _read(raw))
    members = fields(content)
    if not parts and "parts" not in members:
        parts = (Part("other", bytes(content).decode()),)
    if string(members.get("role")) == "model":
        return Message("assistant", parts)
    return from_client(parts)


def _read(raw: Raw) -> Iterator[Part]:
    if is_string(raw):
        yield Part("text", string(raw))
        return
    part = _members(raw)
    if "text" in part:
        thought = bytes(part.get("thought", b"")) == b"true"
        yield Part("reasoning" if thought else "text", string(part["text"]))
    elif "functionCall" in part or "toolCall" in part or "executableCode" in part:
        yield _call(part)
    elif "functionResponse" in part or "toolResponse" in part or "codeExecutionResult" in part:
        yield from _result(part)
    elif "inlineData" in part or "fileData" in part:
        yield _media(_members(part.get("inlineData") or part["fileData"]))
    else:
        yield Part("other", bytes(raw).decode())


def _call(part: dict[str, Raw]) -> Part:
    if code := part.get("executableCode"):
        return Part("tool_call", "", string(_members(code).get("id")), _CODE, bytes(code).decode())
    call = _members(part.get("functionCall") or part["toolCall"])
    arguments = bytes(call.get("args", b"{}")).decode()
    return Part("tool_call", "", string(call.get("id")), _name(call), arguments)


def _result(part: dict[str, Raw]) -> Iterator[Part]:
    result = _members(part.get("functionResponse") or part.get("toolResponse") or part["codeExecutionResult"])
    if "codeExecutionResult" in part:
        failed = string(result.get("outcome")) not in ("", "OUTCOME_OK")
        output = (Part("text", string(result.get("output"))),)
        yield from tool_result(output, string(result.get("id")), _CODE, is_error=failed)
        return
    read = read_result(string(result.get("id")), _name(result), (), result)
    media = (one for _, raw in items(result["parts"]) for one in _read(raw)) if "parts" in result else ()
    content = (*(Part("text", block.text) for block in read.texts), *media)
    yield from tool_result(content, read.id, read.name, is_error=read.is_error)


def _media(media: dict[str, Raw]) -> Part:
    media_type = string(media.get("mimeType"))
    kind: Literal["image", "other"] = "image" if media_type.startswith("image/") else "other"
    return Part(
        kind, string(media.get("fileUri")), name=string(media.get("displayName")), media_type=media_type
    )


def _name(call: dict[str, Raw]) -> str:
    kind = string(call.get("toolType"))
    return string(call.get("name")) or TOOL_TYPES.get(kind, kind)


def _members(document: Raw) -> dict[str, Raw]:
    return {camel(key): value for key, value in fields(document).items() if bytes(value) != b"null"}
