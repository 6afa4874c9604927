"""A tool's result: an object in a part, which most clients only wrap around a text."""

from collections.abc import Iterator, Mapping

from gateway.core.media import without_media
from gateway.core.strict import UNREADABLE
from gateway.core.view import Path, Text, ToolResult
from gateway.providers.gemini.members import TOOL_TYPES, Raw, camel, fields, is_string, items, snake, string

_CONVENTIONAL = frozenset({"result", "output", "content", "error", "return_value"})
"""Members of a tool's response that only wrap it; the last is pydantic-ai's."""
_PICTURES = ("image", "audio")
"""Types of blocks whose bytes are no text."""
_MEDIA = ("inlineData", "fileData", "thoughtSignature")
UNREAD = frozenset({*_MEDIA, *map(snake, _MEDIA)})
"""Members whose bytes are no text."""


def read_result(call_id: str, name: str, path: Path, members: Mapping[str, Raw]) -> ToolResult:
    """Return a tool result; its content lives in ``response``, and in ``parts`` if there is media."""
    response = members.get("response", Raw(b"null"))
    held = {key: raw for key, raw in fields(response).items() if bytes(raw) != b"null"}
    failed = "error" in held and held.keys().isdisjoint(("result", "output", "content"))
    texts = tuple(_texts(response, held, (*path, "response")))
    pictures = (block for raw in held.values() if bytes(raw).startswith(b"[") for _, block in items(raw))
    partial = "parts" in members or any(string(fields(each).get("type")) in _PICTURES for each in pictures)
    return ToolResult(call_id, name, failed, path, texts, partial=partial)


def read_hosted(path: Path, value: Raw) -> Iterator[ToolResult]:
    """Yield what a tool of the provider's own brought: of code that ran there the output can be replaced."""
    if bytes(value) == b"null":
        return
    members = {camel(key): raw for key, raw in fields(value).items()}
    call_id = string(members.get("id"))
    if camel(str(path[-1])) == "codeExecutionResult":
        failed = string(members.get("outcome")) not in ("", "OUTCOME_OK")
        output = members.get("output")
        texts = () if output is None else (Text(string(output), (*path, "output")),)
        fixed = not bytes(value).startswith(b"{")
        yield ToolResult(call_id, "codeExecution", failed, path, texts, fixed=fixed)
        return
    kind = string(members.get("toolType"))
    said = members.get("response", value)
    try:
        text = without_media(said, UNREAD)
    except UNREADABLE:
        text = bytes(said).decode(errors="replace")
    yield ToolResult(call_id, TOOL_TYPES.get(kind, kind), False, path, (Text(text, path),), fixed=True)  # noqa: FBT003  # the wire has no sign of an error


def _texts(response: Raw, members: Mapping[str, Raw], path: Path) -> Iterator[Text]:
    """Yield a response's blocks: the members that wrap it each on its own, anything else as one document."""
    if bytes(response) == b"null" or (not members and not is_string(response)):
        return
    if not members or not _wraps(members):
        yield Text(string(response), path)
        return
    for key, raw in members.items():
        blocks = list(_blocks(raw, (*path, key)))
        yield from blocks or [Text(string(raw), (*path, key))]


def _wraps(members: Mapping[str, Raw]) -> bool:
    if members.keys() <= _CONVENTIONAL:
        return True
    return any(is_string(raw) for key, raw in members.items() if key in _CONVENTIONAL)


def _blocks(raw: Raw, path: Path) -> Iterator[Text]:
    """Yield the texts of a list of blocks, as MCP servers send them."""
    if not bytes(raw).startswith(b"["):
        return
    for index, block in items(raw):
        members = fields(block)
        if string(members.get("type")) == "text" and "text" in members and is_string(members["text"]):
            yield Text(string(members["text"]), (*path, *index, "text"))
        elif string(members.get("type")) not in _PICTURES:
            yield Text(string(block), (*path, *index))  # the model reads it as it is
