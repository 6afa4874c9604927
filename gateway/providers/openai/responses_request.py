"""Requests to OpenAI's Responses API: every tool and tool result, wherever the input hides them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from gateway.core.adapter import DEFAULT_QUIRKS, Quirks, RequestAdapter
from gateway.core.media import without_media
from gateway.core.reference import Reference
from gateway.core.strict import UNREADABLE, load
from gateway.core.view import Message, Part, Path, Prompt, Text, Tool, ToolResult
from gateway.providers.openai.hosted import (
    hosted_name,
    mcp_tools,
    plugins,
    qualified,
    searching,
    unique,
    value,
)
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
from gateway.providers.openai.responses_state import ENCRYPTED, bare_reasoning, is_conversation, references
from schemas import openai_responses as wire

_Raw = msgspec.Raw
_REQUEST = msgspec.json.Decoder(wire.Request)
_TOOL = msgspec.json.Decoder(wire.Tool)
_ITEM = msgspec.json.Decoder(wire.Item)
_PART = msgspec.json.Decoder(wire.Part)

_CLIENT_TOOLS = ("function", "custom", "local_shell", "apply_patch")
_TOOL_SOURCES = ("additional_tools", "tool_search_output", "mcp_list_tools")
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
            if said := text(getattr(self._request, name)):
                self.session = (said, name)
        self._forgets = self._request.store is False

    @cached_property
    def hidden(self) -> Sequence[Reference]:
        return tuple(references(self._request))

    @property
    def keeps(self) -> bool:
        return not self._forgets or is_conversation(self._request)

    def forget(self) -> None:
        self._forgets = True
        self.set(("store",), value=False)
        # What is not kept has to come back whole, and what was not kept can't be looked up.
        include = value(self._request.include)
        asked = include if isinstance(include, list) else []
        if isinstance(value(self._request.reasoning), dict) and ENCRYPTED not in asked:
            self.set(("include",), [*asked, ENCRYPTED])
        for index in bare_reasoning(self._request.input):
            self.remove(("input", index))

    @property
    def other_models(self) -> Sequence[str]:
        return [string(raw) or "" for raw in elements(self._request.models)]

    @cached_property
    def tools(self) -> Sequence[Tool]:
        return tuple(unique(self._tools()))

    def _tools(self) -> Iterator[Tool]:
        for raw in elements(self._request.tools):
            yield from _declared(raw)
        for _, item in self._items:
            if item.type in _TOOL_SOURCES:
                label = text(item.server_label)
                for raw in elements(item.tools):
                    yield from _listed(label, raw) if item.type == "mcp_list_tools" else _declared(raw)
        yield from plugins(self._request.plugins)
        yield from searching((self.model, *self.other_models))
        # A stored prompt may bring tools that only a choice shows.
        yield from (tool for tool in _chosen(self._request.tool_choice) if tool.server_executed)

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
                content = item.result if member == "result" else item.output
                if item.type == "mcp_call" and bytes(content) in (b"", b"null"):
                    continue  # a call that is not answered yet
                results.append(self._result(item, content, ("input", index, member), names))
        return tuple(results)

    def _result(self, item: wire.Item, content: _Raw, path: Path, names: Mapping[str, str]) -> ToolResult:
        call = text(item.call_id) or text(item.id)
        # What an output says of its own name is the client's word; a call that holds its result says both.
        own = text(item.name) if item.type == "mcp_call" else FIXED_NAMES.get(item.type, "")
        name = names.get(call) or own or self.earlier_name(call)
        return ToolResult(call, name, failed(item), path, tuple(_blocks(content, path)))

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


def _declared(raw: _Raw) -> Iterator[Tool]:
    """List what one declaration declares; most declare one tool."""
    try:
        tool = _TOOL.decode(raw)
    except UNREADABLE:
        return
    kind = text(tool.type)
    if kind == "namespace":
        for inner in elements(tool.tools):
            yield from _declared(inner)
    elif kind == "mcp":
        approved = tool.require_approval == "always"
        yield from mcp_tools(text(tool.server_label), tool.allowed_tools, approved=approved)
    else:
        name = text(tool.name) or hosted_name(kind)
        yield Tool(name, text(tool.description), _schema(tool.parameters), not _client_runs(kind, tool))


def _listed(label: str, raw: _Raw) -> Iterator[Tool]:
    """Read a tool that an MCP server listed."""
    try:
        tool = _TOOL.decode(raw)
    except UNREADABLE:
        return
    name = qualified(label, text(tool.name))
    yield Tool(name, text(tool.description), _schema(tool.input_schema), server_executed=True)


def _schema(raw: _Raw) -> _Raw:
    return raw if bytes(raw) != b"null" else _Raw(b"")


def _chosen(raw: _Raw) -> Iterator[Tool]:
    """List the tools that a choice names."""
    try:
        choice = _TOOL.decode(raw)
    except UNREADABLE:
        return
    for named in elements(choice.tools) if choice.type == "allowed_tools" else [raw]:
        yield from _declared(named)


def _client_runs(kind: str, tool: wire.Tool) -> bool:
    if kind == "shell":
        return not runs_upstream(tool.environment)
    if kind == "tool_search":
        return bool(tool.execution == "client")
    return kind in _CLIENT_TOOLS or kind.startswith("computer")


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
