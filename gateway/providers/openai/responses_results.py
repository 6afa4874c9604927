"""The results in the input of OpenAI's Responses API: what clients bring, and what the provider's own tools brought."""

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

from gateway.core.histories import Log
from gateway.core.media import without_media
from gateway.core.strict import UNREADABLE
from gateway.core.view import Path, Text, ToolResult
from gateway.providers.openai.hosted import cited_by, hosted_name, value
from gateway.providers.openai.responses_history import failed
from gateway.providers.openai.responses_items import (
    CLIENT_CALLS,
    FIXED_NAMES,
    OUTPUTS,
    SERVER_CALLS,
    elements,
    given,
    string,
    text,
)
from schemas import openai_responses as wire

_Raw = msgspec.Raw
_PART = msgspec.json.Decoder(wire.Part)

UNREAD = frozenset({"image_url", "file_data", "encrypted_content"})
"""Members whose bytes are no text."""
_PICTURE = "image_generation_call"
_HOSTED = ("_call", "_output", "_result", "_results")
"""How the types of items end that tell what a tool has done."""
_ENDING = re.compile("|".join(f"{ending}$" for ending in _HOSTED))
_NO_RESULTS = ("program", "tool_search_output")
"""The model's own, whose output is an item by itself; and what only declares tools."""
_BLANK_IMAGE = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
_CITATION = b'_citation"'


def note_results(item: wire.Item, element: bytes, path: Path, log: Log) -> None:
    """Note every result that an item is or holds."""
    kind = item.type
    call = text(item.call_id) or text(item.id)
    if kind == "code_interpreter_call":
        texts = tuple(_logs(item.outputs, (*path, "outputs")))
        log.results.append(ToolResult(call, SERVER_CALLS[kind], failed(item), (*path, "outputs"), texts))
    elif member := OUTPUTS.get(kind):
        _note_output(item, call, (*path, member), log)
    elif _is_hosted(kind):
        # Whatever comes tomorrow has no other name than its type.
        own = SERVER_CALLS.get(kind) or hosted_name(_ENDING.sub("", kind))
        read = (Text(_readable(element, UNREAD | {"result"} if kind == _PICTURE else UNREAD), path),)
        log.results.append(ToolResult(call, log.names.get(call) or own, failed(item), path, read, fixed=True))
    elif kind in ("", "message") and _CITATION in element:
        texts = tuple(blocks(item.content, (*path, "content")))
        for name in cited_by(value(item.content)):
            log.results.append(ToolResult("", name, failed(item), path, texts, fixed=True))


def _is_hosted(kind: str) -> bool:
    """Whether an item is of a tool that the provider ran, and holds what came of it; or of one that nobody knows."""
    if kind in _NO_RESULTS or kind in CLIENT_CALLS:
        return False
    return kind in SERVER_CALLS or kind.startswith("openrouter:") or kind.endswith(_HOSTED)


def _readable(element: bytes, unread: AbstractSet[str]) -> str:
    try:
        return without_media(element, unread)
    except UNREADABLE:
        return element.decode(errors="replace")


def _note_output(item: wire.Item, call: str, path: Path, log: Log) -> None:
    content = item.result if path[-1] == "result" else item.output
    texts = tuple(blocks(content, path))
    partial = len(texts) < len(elements(content))
    # What an output says of its own name is the client's word; a call that holds its result says both.
    own = FIXED_NAMES.get(item.type, "")
    if item.type == "mcp_call":
        if not (given(content) or given(item.error)):
            return  # a call that is not answered yet
        own = text(item.name)
    texts += tuple(_strings(value(item.error), (*path[:-1], "error")))
    if given(item.error) or given(item.current_url):
        path = path[:-1]  # more than one member holds what the tool has said
    name = log.names.get(call) or own
    log.results.append(ToolResult(call, name, failed(item), path, texts, partial=partial))


def replacements(item: wire.Item, path: Path, new: str) -> Iterator[tuple[Path, Any]]:
    """Yield what to set so that a result says this and nothing else; ``None``: it is to be removed."""
    kind = item.type
    content = (*path[:2], OUTPUTS.get(kind, "outputs"))
    if kind == "code_interpreter_call":
        yield content, [{"type": "logs", "logs": new}]
    elif kind == "shell_call_output":
        yield content, [{"stdout": new, "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]
    elif kind == "computer_call_output":
        # Only an image is accepted there.
        yield content, {"type": "computer_screenshot", "image_url": _BLANK_IMAGE}
    else:
        yield content, new
    if given(item.current_url):
        yield (*path[:2], "current_url"), None
    if given(item.error):
        yield (*path[:2], "error"), None


def blocks(raw: _Raw, path: Path) -> Iterator[Text]:
    """List the texts of a result, each with its own place."""
    if (whole := string(raw)) is not None:
        yield Text(whole, path)
        return
    for index, element in enumerate(elements(raw)):
        try:
            part = _PART.decode(element)
        except UNREADABLE:
            continue
        for member in ("text", "stdout", "stderr"):
            if found := text(getattr(part, member)):
                yield Text(found, (*path, index, member))


def _logs(raw: _Raw, path: Path) -> Iterator[Text]:
    found = value(raw)
    for index, output in enumerate(found if isinstance(found, list) else ()):
        if isinstance(output, dict) and (logs := text(output.get("logs"))):
            yield Text(logs, (*path, index, "logs"))


def _strings(said: Any, path: Path) -> Iterator[Text]:
    """List the texts of an error, which some write as a text, and others as what an MCP server said."""
    if isinstance(said, str):
        yield Text(said, path)
    elif isinstance(said, dict):
        for key, each in said.items():
            if key != "type":
                yield from _strings(each, (*path, key))
    elif isinstance(said, list):
        for index, each in enumerate(said):
            yield from _strings(each, (*path, index))
