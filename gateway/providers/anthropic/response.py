"""Answers of Anthropic's messages API.

A stream is a row of content blocks that open, grow and close. Blocks are numbered densely from zero; whatever
breaks that order is reported as unknown, since clients disagree on what they then read.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from gateway.core.adapter import Payload, RequestAdapter, ResponseAdapter
from gateway.core.errors import ErrorKind, GatewayError
from gateway.core.frames import Frame, Shape
from gateway.core.view import (
    END,
    Completion,
    Event,
    Finish,
    FinishReason,
    ReasoningDelta,
    Start,
    StreamError,
    TextDelta,
    ToolCallDelta,
    Unknown,
)
from gateway.providers.anthropic.errors import error_body, stream_error
from gateway.providers.anthropic.lenient import Elements, read, read_text, text
from gateway.providers.anthropic.refusal import refuse_message, refuse_stream
from gateway.providers.anthropic.usage import read_usage
from schemas import anthropic as wire

_REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "pause_turn": FinishReason.STOP,
    "compaction": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "refusal": FinishReason.CONTENT_FILTER,
}
_JOINTS = ("", ".", "_", "__", "-", "/", ":")
_SERVER_CALLS = frozenset(("server_tool_use", "mcp_tool_use"))
# Blocks without a call in them, besides text and thinking.
_OTHER_BLOCKS = frozenset(
    (
        "redacted_thinking",
        "compaction",
        "fallback",
        "container_upload",
        "mcp_tool_listing",
        "advisor_tool_result",
        "bash_code_execution_tool_result",
        "code_execution_tool_result",
        "mcp_tool_result",
        "text_editor_code_execution_tool_result",
        "tool_search_tool_result",
        "web_fetch_tool_result",
        "web_search_tool_result",
    )
)
_OTHER_DELTAS = frozenset(("signature_delta", "citations_delta", "compaction_delta"))
# Events that may follow the reason for the end.
_AFTERWORDS = frozenset(("message_delta", "message_stop", "ping", "error"))

_event = msgspec.json.Decoder(wire.StreamEvent).decode
_message = msgspec.json.Decoder(wire.Message)
_block = msgspec.json.Decoder(wire.OutputBlock)
_content = msgspec.json.Decoder(list[wire.OutputBlock])
_elements = Elements(wire.OutputBlock)
_any = msgspec.json.Decoder()


class _Block:
    """One content block of an answer."""

    __slots__ = (
        "call",
        "grown",
        "names",
        "number",
        "open",
        "plain",
        "prefilled",
        "server_executed",
        "settled",
    )

    def __init__(self, number: int, kind: str) -> None:
        self.number = number
        self.names: tuple[str, ...] = ()
        """Of a call that the client runs."""
        self.server_executed = kind in _SERVER_CALLS
        self.call = kind == "tool_use" or self.server_executed
        self.open = True
        self.plain = not self.call
        """It is open, and no call: what most deltas go to."""
        self.prefilled = ""
        """Arguments that a call began with: they count if no others follow."""
        self.grown = ""
        """Arguments that followed such a beginning."""
        self.settled = False
        """The call is complete."""

    def close(self) -> None:
        """Nothing more belongs to the block."""
        self.open = self.plain = False

    def settle(self) -> Iterator[Event]:
        """Decide between the arguments that the call began with and those that followed."""
        given, grown = self.prefilled, self.grown
        self.prefilled = ""
        self.settled = self.call
        if given and not grown:
            yield ToolCallDelta(self.number, arguments=given, server_executed=self.server_executed)
        elif given and read(_any, msgspec.Raw(grown.encode())) != _any.decode(given):
            # Some clients put one behind the other, others keep the later ones.
            yield Unknown("input that differs from how it began")


class MessagesResponse(ResponseAdapter):
    """An answer, whole or streamed."""

    keep_alive = b'event: ping\ndata: {"type": "ping"}\n\n'
    shows_hosted = True
    call_keys = frozenset(
        (
            "type",
            "message",
            "content",
            "index",
            "content_block",
            "delta",
            "id",
            "name",
            "toolset_name",
            "caller",
            "input",
            "partial_json",
        )
    )
    # What an MCP server has to offer, with the schemas.
    echoes = frozenset(("tools", "input_schema"))

    def __init__(self, request: RequestAdapter, *, streamed: bool) -> None:
        super().__init__(request, streamed=streamed)
        self._blocks: dict[Any, _Block] = {}
        """By the index that the wire gives them."""
        self._begun = 0
        self._latest = _Block(0, "")
        """The block that began last."""
        self._started = False
        self._reason: Event | None = None
        """Why the answer ends, as long as nothing proves that it is complete."""
        self._ended = False
        """The reason has been said: no content follows."""

    def events(self, frame: Frame) -> Iterable[Event]:
        if not self.streamed:
            return tuple(self._whole(_message.decode(frame.data)))
        event = _event(frame.data)
        kind = event.type
        if not frame.event and frame.shape is Shape.REGULAR:
            # Some clients skip it, and would read other arguments than were judged; framed anew it has a name.
            frame.shape = Shape.IRREGULAR
        if kind == "content_block_delta" and not (self._ended or event.content_block or event.message):
            self.event_name = kind
            delta = event.delta
            block = self._blocks.get(event.index)
            if block is not None and block.plain and delta is not None and delta.type == "text_delta":
                piece = delta.text
                if type(piece) is str and frame.event != "error":
                    return (TextDelta(piece),) if piece else ()
        if kind is None and event.error:
            kind = "error"
        self.event_name = text(kind)
        events = tuple(self._event(self.event_name, event))
        if frame.event == "error" and kind != "error":
            # Clients go by the name of the event, and raise.
            return (*events, StreamError(ErrorKind.UNKNOWN, "An error event without an error."))
        return events

    def _event(self, kind: str, event: wire.StreamEvent) -> Iterator[Event]:
        if event.content_block and kind != "content_block_start":
            yield Unknown("content_block in another event")
        if event.message and kind not in ("message_start", "error"):
            yield Unknown("message in another event")
        if self._ended and kind not in _AFTERWORDS:
            # Clients that go by the reason have stopped reading, others have not.
            yield Unknown(f"{kind or 'event'} after the reason for the end")
        if kind == "content_block_start":
            yield from self._begin(event)
        elif kind == "content_block_delta":
            yield from self._grow(self._blocks.get(event.index), event.delta)
        elif kind == "content_block_stop":
            yield from self._close(event.index)
        elif kind == "message_start":
            yield from self._start(event.message)
        elif kind == "message_delta":
            yield from read_usage(event.usage)
            if event.delta and event.delta.stop_reason is not None:
                yield from self._end(event.delta.stop_reason)
        elif kind == "message_stop":
            yield from self._settle()
            if self._reason:
                yield self._reason
            yield END
        elif kind == "error":
            yield stream_error(event.error)
        elif kind != "ping":
            yield Unknown(kind or "event without a type")

    def _start(self, raw: msgspec.Raw) -> Iterator[Event]:
        message = read(_message, raw)
        if message is None:
            yield Unknown("message_start without a message")
            return
        self._started = True
        yield Start(text(message.id), text(message.model))
        before = self._begun
        for event in self._content(message.content):
            # Some upstreams repeat the event; what a second one holds is read by some clients only.
            if before:
                yield Unknown("message_start with content after other content")
            yield event
        yield from read_usage(message.usage)
        if message.stop_reason is not None:
            self._reason = _finish(message.stop_reason)  # more content may follow

    def _whole(self, message: wire.Message) -> Iterator[Event]:
        if message.type == "error" or (message.error and not message.content):
            yield stream_error(message.error)
            return
        yield Start(text(message.id), text(message.model))
        yield from self._content(message.content)
        yield from read_usage(message.usage)
        if message.stop_reason is not None:
            yield _finish(message.stop_reason)
        yield END

    def _content(self, raw: msgspec.Raw) -> Iterator[Event]:
        """Read blocks that are complete."""
        blocks = read(_content, raw)
        if blocks is None:
            if written := read_text(raw):
                yield TextDelta(written)
            else:
                yield Unknown("content that is no list of blocks")
            blocks = [block for _, block in _elements.read(raw)]
        for block in blocks:
            opened = self._open(block)
            opened.close()
            opened.settled = opened.call
            arguments = bytes(block.input).decode()
            yield from self._read(block, opened, "" if arguments == "null" else arguments)

    def _open(self, block: wire.OutputBlock) -> _Block:
        opened = _Block(self._begun, text(block.type))
        self._blocks[self._begun] = self._latest = opened
        self._begun += 1
        return opened

    def _begin(self, event: wire.StreamEvent) -> Iterator[Event]:
        block = read(_block, event.content_block)
        if block is None:
            yield Unknown("content_block_start without a block")
            return
        if event.index != self._begun or not self._started:
            # Twice the same index, a gap, a negative one: clients take the arguments of another block, or none.
            yield Unknown("content_block_start out of order")
        opened = self._open(block)
        self._blocks[event.index] = opened
        given = bytes(block.input).decode()
        if opened.call and given and read(_any, block.input) not in ({}, None):
            opened.prefilled = given
        yield from self._read(block, opened, "")

    def _read(self, block: wire.OutputBlock, opened: _Block, arguments: str) -> Iterator[Event]:
        """Read what a block begins with, or all of a block that is complete."""
        kind = text(block.type)
        if opened.call:
            name = text(block.name)
            aliases = _aliases(text(block.toolset_name), name)
            if not opened.server_executed:
                opened.names = (name, *aliases)
            yield ToolCallDelta(
                opened.number, text(block.id), name, arguments, opened.server_executed, aliases
            )
            if block.toolset_name is not None and not aliases:
                yield Unknown("toolset_name")
            if not name:
                yield Unknown(f"{kind} without a name")
            elif opened.server_executed and not block.input:
                # What need not be held must be what it says it is.
                yield Unknown(f"{kind} without input")
        elif kind == "text":
            if text(block.text):
                yield TextDelta(block.text)
        elif kind == "thinking":
            if text(block.thinking):
                yield ReasoningDelta(block.thinking)
        elif kind not in _OTHER_BLOCKS:
            yield Unknown(kind or "block without a type")

    def _grow(self, block: _Block | None, delta: wire.Delta | None) -> Iterator[Event]:
        if delta is None:
            yield Unknown("content_block_delta without a delta")
            return
        kind = text(delta.type)
        if block is None:
            yield Unknown("content_block_delta without a block")
        elif not block.open:
            yield Unknown("content_block_delta after its block")
        if kind == "input_json_delta":
            yield from self._grow_call(block, delta.partial_json)
            return
        if block is not None and block.call:
            yield Unknown(f"{kind} in a call")
        if kind == "text_delta":
            if text(delta.text):
                yield TextDelta(delta.text)
        elif kind == "thinking_delta":
            if text(delta.thinking):
                yield ReasoningDelta(delta.thinking)
        elif kind not in _OTHER_DELTAS:
            yield Unknown(kind or "delta without a type")

    def _grow_call(self, block: _Block | None, piece: Any) -> Iterator[Event]:
        if block is None or not block.call:
            yield Unknown("input_json_delta without a call")
        elif not isinstance(piece, str):
            yield Unknown("input_json_delta without text")
        elif piece:
            if block.settled:
                yield Unknown("input_json_delta after its call")
            if block.prefilled:
                block.grown += piece
            # Some clients don't look at the index, and take it for a piece of the call that began last.
            aliases = self._latest.names if self._latest is not block else ()
            yield ToolCallDelta(block.number, "", "", piece, block.server_executed, aliases)

    def _close(self, index: Any) -> Iterator[Event]:
        block = self._blocks.get(index)
        if block is None or not block.open:
            yield Unknown("content_block_stop without a block")
            return
        block.close()
        yield from block.settle()

    def _end(self, reason: Any) -> Iterator[Event]:
        """Take the reason for the end; of an answer with calls it counts once nothing can follow."""
        yield from self._settle()
        self._ended = True
        self._reason = _finish(reason)
        if not any(block.call and not block.server_executed for block in self._blocks.values()):
            yield self._reason
            self._reason = None

    def _settle(self) -> Iterator[Event]:
        """Settle the calls that nobody closed; more of them may have been to come."""
        for block in self._blocks.values():
            if block.call and not block.settled:
                yield Unknown("call without content_block_stop")
                yield from block.settle()

    def error(self, error: GatewayError) -> Iterable[Payload]:
        return (Payload(error_body(error), "error"),)

    def refusal(self, text: str, held: Sequence[Frame], completion: Completion) -> Iterable[Payload]:
        payloads = [frame.data for frame in held if frame.data]
        if not self.streamed:
            return (Payload(refuse_message(payloads[0], text)),)
        still_open = {block.number for block in self._blocks.values() if block.open}
        return refuse_stream(text, payloads, completion, self._begun, still_open)


def _finish(reason: Any) -> Finish:
    return Finish(_REASONS.get(text(reason), FinishReason.STOP))


def _aliases(toolset: str, name: str) -> tuple[str, ...]:
    """Return what a member of a toolset may be called: its name alone is another tool's."""
    return (toolset, *(f"{toolset}{joint}{name}" for joint in _JOINTS)) if toolset else ()
