"""Requests to Anthropic's messages API.

A request is decoded narrowly; tools and the history are read when somebody asks for them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from gateway.core.adapter import DEFAULT_QUIRKS, Headers, Quirks, RequestAdapter, recent
from gateway.core.declarations import DECLARATIONS
from gateway.core.histories import Log
from gateway.core.reference import Reference
from gateway.core.view import Message, Path, Prompt, Text, Tool, ToolResult
from gateway.providers.anthropic import hosted
from gateway.providers.anthropic.history import content_parts, read_message
from gateway.providers.anthropic.lenient import Elements, read, read_text, text
from gateway.providers.anthropic.tools import brought, declared, served
from schemas import anthropic as wire

_MAX_TOKENS = 4096
_SESSION = re.compile(r"session_([0-9A-Za-z-]+)")

_CALLS = frozenset(("tool_use", "server_tool_use", "mcp_tool_use"))
_RESULTS = frozenset(("tool_result", "mcp_tool_result"))
# Types of blocks that bring tools of their own; an escape could hide the word.
_BRINGING = (b"tool_addition", b"mcp_tool_listing", b"\\u00")
_BETA = "anthropic-beta"
_THREADS = "message-threads-"

_any = msgspec.json.Decoder()
_body = msgspec.json.Decoder(wire.MessagesBody)
_metadata = msgspec.json.Decoder(wire.Metadata)
_code_session = msgspec.json.Decoder(wire.CodeSession)
_source = msgspec.json.Decoder(wire.Source)
_thread = msgspec.json.Decoder(wire.Thread)
_container = msgspec.json.Decoder(wire.Container)
_turns = Elements(wire.Turn)
_turn = msgspec.json.Decoder(wire.Turn)
_blocks = Elements(wire.InputBlock)


class MessagesRequest(RequestAdapter):
    """A request for an answer."""

    history = ("messages",)
    result_words = (b"tool_result", b"tool_use_id")

    def __init__(
        self, body: bytes, params: Mapping[str, str] | None = None, quirks: Quirks = DEFAULT_QUIRKS
    ) -> None:
        super().__init__(body, params, quirks)
        self._body = self.load(_body)
        self.model = text(self._body.model)
        self.stream = self._body.stream is True
        self.session = _session(self._body.metadata)
        self._unthreaded = False

    @cached_property
    def hidden(self) -> Sequence[Reference]:
        return tuple(self._hidden())

    def _hidden(self) -> Iterator[Reference]:
        if (thread := read(_thread, self._body.thread)) and thread.type != "create":
            yield Reference("answer", "thread", text(thread.previous_message_id))
        place = read(_container, self._body.container)
        if container := text(place.id) if place else read_text(self._body.container):
            yield Reference("context", "container", container)
        yield from self.hidden_in_history()

    @property
    def keeps(self) -> bool:
        return bool(self._body.thread) and bytes(self._body.thread) != b"null" and not self._unthreaded

    def forget(self) -> None:
        thread = read(_thread, self._body.thread)
        if not (
            thread and thread.previous_message_id
        ):  # who goes on from an answer leaves out what came before it
            self._unthreaded = True
            self.remove(("thread",))

    def headers(self, headers: Headers) -> Headers:
        if not self._unthreaded:
            return headers
        return [
            (name, left)
            for name, value in headers
            if (left := _without_threads(value) if name.lower() == _BETA else value)
        ]

    @cached_property
    def tools(self) -> Sequence[Tool]:
        found = [
            *DECLARATIONS.read(self._body.tools, declared),
            *served(self._body.mcp_servers, self._body.tools),
        ]
        messages = bytes(self._body.messages)
        if any(word in messages for word in _BRINGING):
            for _, block in self._blocks():
                found += brought(block)
        # An MCP server is listed both as a server and as a toolset.
        unique = {(tool.name, tool.server_executed, bytes(tool.parameters)): tool for tool in found}
        return [tool for tool in unique.values() if tool.name]

    @property
    def declarations(self) -> Sequence[bytes | msgspec.Raw]:
        body = self._body
        return body.tools, body.mcp_servers, recent(body.messages, _BRINGING[:2])

    def history_array(self) -> bytes:
        messages = bytes(self._body.messages)
        return messages if messages.startswith(b"[") else b""

    def read_element(self, place: int, element: bytes, log: Log) -> None:
        turn = read(_turn, msgspec.Raw(element))
        for index, block in _blocks.read(turn.content) if turn else ():
            kind = text(block.type)
            if kind in _CALLS:
                log.call(text(block.id), text(block.name))
            elif kind in _RESULTS:
                call = text(block.tool_use_id)
                path = ("messages", place, "content", index, "content")
                texts = tuple(_texts(block.content, path))
                # Of a document or a search's result more than its text is read by the model.
                partial = any(part.type != "text" for _, part in _blocks.read(block.content))
                name, failed = log.names.get(call, ""), block.is_error is True
                log.results.append(ToolResult(call, name, failed, path, texts, partial=partial))
            elif kind.endswith(hosted.SUFFIX) or text(block.tool_use_id):
                call = text(block.tool_use_id)
                name = log.names.get(call) or kind.removesuffix(hosted.SUFFIX)
                path = ("messages", place, "content", index, "content")
                failed, texts = hosted.failed(block.content), tuple(hosted.texts(block.content, path))
                log.results.append(ToolResult(call, name, failed, path, texts, fixed=True))
            elif kind == "compaction":
                log.references.append(Reference("context", f"messages[{place}].content[{index}]"))

    def preamble(self) -> Iterable[Message]:
        if parts := tuple(content_parts(read(_any, self._body.system))):
            yield Message("system", parts)

    @classmethod
    def parse_message(cls, element: bytes) -> Message:
        return read_message(element)

    def texts(self) -> Iterable[str]:
        body = self._body
        yield from (block.text for block in _texts(body.system, ("system",)))
        yield from (bytes(entry).decode() for entry in (body.tools, body.mcp_servers) if entry)
        for _, turn in _turns.read(body.messages):
            written = read_text(turn.content)
            if written is not None:
                yield written
                continue
            for _, block in _blocks.read(turn.content):
                yield from _read_by_model(block)

    @classmethod
    def compose(cls, model: str, prompt: Prompt) -> bytes:
        body: dict[str, Any] = {"model": model, "max_tokens": _MAX_TOKENS}
        if prompt.system:
            body["system"] = prompt.system
        body["messages"] = [{"role": role, "content": content} for role, content in prompt.turns]
        if prompt.schema:
            body["output_config"] = {"format": {"type": "json_schema", "schema": prompt.schema}}
        return msgspec.json.encode(body)

    def _blocks(self) -> Iterator[tuple[Path, wire.InputBlock]]:
        for number, turn in _turns.read(self._body.messages):
            for index, block in _blocks.read(turn.content):
                yield ("messages", number, "content", index), block


def _without_threads(betas: str) -> str:
    """Return a list of betas without the one by which conversations are kept."""
    return ",".join(beta for beta in betas.split(",") if not beta.strip().startswith(_THREADS))


def _session(raw: msgspec.Raw) -> tuple[str, str] | None:
    """Return Claude Code's session: ``user_…_account_…_session_…``, or JSON text in newer versions."""
    metadata = read(_metadata, raw)
    user = text(metadata.user_id) if metadata else ""
    found = ""
    if user.startswith("{"):
        code = read(_code_session, msgspec.Raw(user.encode()))
        found = text(code.session_id) if code else ""
    elif match := _SESSION.search(user):
        found = match[1]
    return (found, "metadata.user_id") if found else None


def _texts(raw: msgspec.Raw, path: Path, *, deep: bool = True) -> Iterator[Text]:
    """Find the texts of a content: a string, or blocks of which some hold blocks once more."""
    written = read_text(raw)
    if written is not None:
        yield Text(written, path)
        return
    for index, block in _blocks.read(raw):
        place = (*path, index)
        if isinstance(block.text, str):
            yield Text(block.text, (*place, "text"))
        elif deep and block.type == "search_result":
            yield from _texts(block.content, (*place, "content"), deep=False)
        elif deep and block.type == "document":
            yield from _document(block.source, (*place, "source"))


def _document(raw: msgspec.Raw, path: Path) -> Iterator[Text]:
    source = read(_source, raw)
    if source and source.type == "text" and isinstance(source.data, str):
        yield Text(source.data, (*path, "data"))
    elif source:
        yield from _texts(source.content, (*path, "content"), deep=False)


def _read_by_model(block: wire.InputBlock) -> Iterator[str]:
    if isinstance(block.text, str):
        yield block.text
    elif isinstance(block.thinking, str):
        yield block.thinking
    elif block.input:
        yield bytes(block.input).decode()
    elif block.type == "document":
        yield from (one.text for one in _document(block.source, ()))
    else:
        yield from (one.text for one in _texts(block.content, ()))
