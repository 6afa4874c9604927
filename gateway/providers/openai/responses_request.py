"""Requests to OpenAI's Responses API: every tool and tool result, wherever the input hides them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from gateway.core.adapter import DEFAULT_QUIRKS, Quirks, RequestAdapter, recent
from gateway.core.media import without_media
from gateway.core.strict import UNREADABLE, load
from gateway.core.view import Message, Part, Path, Prompt, Text, Tool, ToolResult
from gateway.providers.openai.responses_history import failed, read_message
from gateway.providers.openai.responses_items import (
    CLIENT_CALLS,
    FIXED_NAMES,
    OUTPUTS,
    computer_name,
    elements,
    runs_upstream,
    string,
    text,
)
from schemas import openai_responses as wire

_Raw = msgspec.Raw
_REQUEST = msgspec.json.Decoder(wire.Request)
_TOOL = msgspec.json.Decoder(wire.Tool)
_ITEM = msgspec.json.Decoder(wire.Item)
_PART = msgspec.json.Decoder(wire.Part)

_CLIENT_TOOLS = ("function", "custom", "local_shell", "apply_patch")
_TOOL_SOURCES = ("additional_tools", "tool_search_output", "mcp_list_tools")
_BRINGING = tuple(source.encode() for source in _TOOL_SOURCES)
_UNREAD = frozenset({"image_url", "file_data", "encrypted_content"})
"""Members whose bytes are no text."""
_BLANK_IMAGE = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="


class ResponsesRequest(RequestAdapter):
    """A request to create a response."""

    history = ("input",)

    def __init__(
        self, body: bytes, params: Mapping[str, str] | None = None, quirks: Quirks = DEFAULT_QUIRKS
    ) -> None:
        super().__init__(body, params, quirks)
        self._request = load(_REQUEST, body)
        self.model = text(self._request.model)
        self.stream = self._request.stream or False
        for name in ("user", "prompt_cache_key"):
            if value := text(getattr(self._request, name)):
                self.session = (value, name)

    @property
    def other_models(self) -> Sequence[str]:
        return [string(raw) or "" for raw in elements(self._request.models)]

    @cached_property
    def tools(self) -> Sequence[Tool]:
        return tuple(self._tools())

    def _tools(self) -> Iterator[Tool]:
        for raw in elements(self._request.tools):
            yield from _declared(raw)
        for _, item in self._items:
            if item.type in _TOOL_SOURCES:
                for raw in elements(item.tools):
                    yield from _declared(raw, upstream=item.type == "mcp_list_tools")

    @property
    def declarations(self) -> Sequence[bytes | msgspec.Raw]:
        return self._request.tools, recent(self._request.input, _BRINGING)

    @cached_property
    def _items(self) -> Sequence[tuple[int, wire.Item]]:
        """The items of the history that are objects, and their indexes."""
        items = []
        for index, raw in enumerate(elements(self._request.input)):
            try:
                items.append((index, _ITEM.decode(raw)))
            except UNREADABLE:
                continue
        return items

    @cached_property
    def tool_results(self) -> Sequence[ToolResult]:
        names: dict[str, str] = {}
        results = []
        for index, item in self._items:
            if item.type in CLIENT_CALLS:
                name = CLIENT_CALLS[item.type] or text(item.name)
                if name == "computer":
                    name = computer_name(self.tools)
                names.update((key, name) for key in (text(item.call_id), text(item.id)) if key)
            elif member := OUTPUTS.get(item.type):
                value = item.result if member == "result" else item.output
                if item.type == "mcp_call" and bytes(value) in (b"", b"null"):
                    continue  # a call that is not answered yet
                results.append(_result(item, value, ("input", index, member), names))
        return tuple(results)

    def set_tool_result(self, result: ToolResult, text: str) -> None:
        index = result.path[1] if len(result.path) > 1 else None
        kind = next((item.type for place, item in self._items if place == index), "")
        if kind == "shell_call_output":
            outcome = {"type": "exit", "exit_code": 0}
            self.set(result.path, [{"stdout": text, "stderr": "", "outcome": outcome}])
        elif kind == "computer_call_output":
            # Only an image is accepted there.
            self.set(result.path, {"type": "computer_screenshot", "image_url": _BLANK_IMAGE})
        else:
            self.set(result.path, text)

    def preamble(self) -> Iterable[Message]:
        if instructions := text(self._request.instructions):
            yield Message("system", (Part("text", instructions),))
        if prompt := string(self._request.input):
            yield Message("user", (Part("text", prompt),))

    @classmethod
    def parse_message(cls, element: bytes) -> Message:
        return read_message(element)

    def texts(self) -> Iterable[str]:
        request = self._request
        if instructions := text(request.instructions):
            yield instructions
        if (prompt := string(request.input)) is not None:
            yield prompt
        for _, item in self._items:
            # What a drawn image results in are its bytes.
            result = _Raw(b"") if item.type == "image_generation_call" else item.result
            for raw in (item.content, item.summary, item.output, result, item.arguments, item.input):
                yield from _texts(raw)
            for raw in (item.action, item.actions, item.operation, item.code):
                if raw:
                    yield bytes(raw).decode()
        for tool in self.tools:
            yield f"{tool.name} {tool.description} {bytes(tool.parameters).decode()}"

    @classmethod
    def compose(cls, model: str, prompt: Prompt) -> bytes:
        body: dict[str, Any] = {"model": model, "store": False}
        if prompt.system:
            body["instructions"] = prompt.system
        body["input"] = [{"role": role, "content": content} for role, content in prompt.turns]
        if prompt.schema:
            body["text"] = {"format": {"type": "json_schema", "name": "answer", "schema": prompt.schema}}
        return msgspec.json.encode(body)


def _declared(raw: _Raw, *, upstream: bool = False) -> Iterator[Tool]:
    """List what one declaration declares; most declare one tool."""
    try:
        tool = _TOOL.decode(raw)
    except UNREADABLE:
        return
    kind = text(tool.type)
    name = text(tool.name)
    description = text(tool.description)
    if kind == "namespace":
        for inner in elements(tool.tools):
            yield from _declared(inner)
    elif kind == "mcp":
        yield Tool(text(tool.server_label) or kind, description, server_executed=True)
        for allowed in _allowed(tool.allowed_tools):
            yield Tool(allowed, server_executed=True)
    else:
        parameters = tool.input_schema if upstream else tool.parameters
        given = parameters if bytes(parameters) != b"null" else _Raw(b"")
        yield Tool(name or kind, description, given, upstream or not _client_runs(kind, tool))


def _client_runs(kind: str, tool: wire.Tool) -> bool:
    if kind == "shell":
        return not runs_upstream(tool.environment)
    if kind == "tool_search":
        return bool(tool.execution == "client")
    return kind in _CLIENT_TOOLS or kind.startswith("computer")


def _allowed(value: Any) -> list[str]:
    """Return the tools of an MCP server that a request names."""
    names = value.get("tool_names") if isinstance(value, dict) else value
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _result(item: wire.Item, value: _Raw, path: Path, names: Mapping[str, str]) -> ToolResult:
    call = text(item.call_id) or text(item.id)
    name = names.get(call) or FIXED_NAMES.get(item.type) or text(item.name)
    return ToolResult(call, name, failed(item), path, tuple(_blocks(value, path)))


def _blocks(raw: _Raw, path: Path) -> Iterator[Text]:
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


def _texts(raw: _Raw) -> Iterator[str]:
    for block in _blocks(raw, ()):
        yield block.text
    if bytes(raw)[:1] == b"{":
        yield without_media(raw, _UNREAD)
