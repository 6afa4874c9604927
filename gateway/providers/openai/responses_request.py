"""Requests to OpenAI's Responses API: every tool and tool result, wherever the input hides them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from gateway.core.adapter import DEFAULT_QUIRKS, Quirks, RequestAdapter, recent
from gateway.core.declarations import DECLARATIONS
from gateway.core.histories import Log
from gateway.core.media import without_media
from gateway.core.reference import Reference
from gateway.core.strict import UNREADABLE
from gateway.core.view import Message, Part, Prompt, Tool, ToolResult
from gateway.providers.openai.hosted import (
    hosted_name,
    mcp_tools,
    plugins,
    qualified,
    searching,
    unique,
    value,
)
from gateway.providers.openai.responses_history import read_message
from gateway.providers.openai.responses_items import (
    CLIENT_CALLS,
    computer_name,
    elements,
    runs_upstream,
    string,
    text,
)
from gateway.providers.openai.responses_results import UNREAD, blocks, note_results, replacements
from gateway.providers.openai.responses_state import (
    ENCRYPTED,
    bare_reasoning,
    is_conversation,
    mention,
    references,
    referred,
)
from schemas import openai_responses as wire

_Raw = msgspec.Raw
_REQUEST = msgspec.json.Decoder(wire.Request)
_TOOL = msgspec.json.Decoder(wire.Tool)
_ITEM = msgspec.json.Decoder(wire.Item)

_CLIENT_TOOLS = ("function", "custom", "local_shell", "apply_patch")
_TOOL_SOURCES = ("additional_tools", "tool_search_output", "mcp_list_tools")
_BRINGING = tuple(source.encode() for source in _TOOL_SOURCES)


class ResponsesRequest(RequestAdapter):
    """A request to create a response."""

    history = ("input",)
    result_words = (b"_output", b"mcp_call", b'_call"', b"_result", b'"openrouter:', b'_citation"')

    def __init__(
        self, body: bytes, params: Mapping[str, str] | None = None, quirks: Quirks = DEFAULT_QUIRKS
    ) -> None:
        super().__init__(body, params, quirks)
        self._request = self.load(_REQUEST)
        self.model = text(self._request.model)
        self.stream = self._request.stream or False
        for name in ("user", "prompt_cache_key"):
            if said := text(getattr(self._request, name)):
                self.session = (said, name)
        self._forgets = self._request.store is False

    @cached_property
    def hidden(self) -> Sequence[Reference]:
        return (*references(self._request), *self.hidden_in_history())

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
        for index in bare_reasoning(self._request, self._items):
            self.remove(("input", index))

    @property
    def other_models(self) -> Sequence[str]:
        return [string(raw) or "" for raw in elements(self._request.models)]

    @cached_property
    def tools(self) -> Sequence[Tool]:
        return tuple(unique(self._tools()))

    def _tools(self) -> Iterator[Tool]:
        yield from DECLARATIONS.read(self._request.tools, _all_declared)
        history = bytes(self._request.input)
        brought = self._items if any(word in history for word in (*_BRINGING, b"\\u00")) else ()
        for _, item in brought:
            if item.type in _TOOL_SOURCES:
                label = text(item.server_label)
                for raw in elements(item.tools):
                    yield from _listed(label, raw) if item.type == "mcp_list_tools" else _declared(raw)
        yield from plugins(self._request.plugins)
        yield from searching((self.model, *self.other_models))
        # A stored prompt may bring tools that only a choice shows.
        yield from (tool for tool in _chosen(self._request.tool_choice) if tool.server_executed)

    @property
    def declarations(self) -> Sequence[bytes | msgspec.Raw]:
        request = self._request
        named = self.model.encode(), request.models  # some names of models ask for tools
        return (
            *named,
            request.tools,
            request.plugins,
            request.tool_choice,
            recent(request.input, _BRINGING),
        )

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
    def _by_place(self) -> Mapping[str | int, wire.Item]:
        """The items by their indexes."""
        return dict(self._items)

    @cached_property
    def tool_results(self) -> Sequence[ToolResult]:
        found = super().tool_results
        if not any(result.name == "computer" for result in found):
            return found
        name = computer_name(self.tools)  # which depends on what is declared, not on the history
        return tuple(
            msgspec.structs.replace(result, name=name) if result.name == "computer" else result
            for result in found
        )

    def history_array(self) -> bytes:
        items = bytes(self._request.input)
        return items if items.startswith(b"[") else b""

    def read_element(self, place: int, element: bytes, log: Log) -> None:
        try:
            item = _ITEM.decode(element)
        except UNREADABLE:
            item = mention(element)
        if item.type in CLIENT_CALLS:
            name = CLIENT_CALLS[item.type] or text(item.name)
            for id_ in filter(None, (text(item.call_id), text(item.id))):
                log.call(id_, name)
        else:
            note_results(item, element, ("input", place), log)
        if reference := referred(item, place):
            log.references.append(reference)

    def set_tool_result(self, result: ToolResult, text: str) -> None:
        item = self._by_place[result.path[1]]
        for path, new in replacements(item, result.path, text):
            if new is None:
                self.remove(path)
            else:
                self.set(path, new)

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


def _all_declared(tools: _Raw) -> Iterator[Tool]:
    for raw in elements(tools):
        yield from _declared(raw)


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


def _texts(raw: _Raw) -> Iterator[str]:
    for block in blocks(raw, ()):
        yield block.text
    if bytes(raw)[:1] == b"{":
        yield without_media(raw, UNREAD)
