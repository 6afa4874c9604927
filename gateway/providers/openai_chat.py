"""Answers to requests for chat completions, in the format of OpenAI and of all that are like it.

A frame of a stream and a whole body are read by the same code. Where compatible servers differ, the reading
follows the frame, never the provider's name: reasoning under several names, content in parts, arguments as
objects, calls without an index, usage on any frame, a ``message`` beside or in place of a ``delta``.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from gateway.core.adapter import Payload, RequestAdapter, ResponseAdapter
from gateway.core.errors import GatewayError
from gateway.core.frames import Frame
from gateway.core.strict import UNREADABLE
from gateway.core.view import (
    END,
    Completion,
    Event,
    Finish,
    FinishReason,
    ReasoningDelta,
    Start,
    TextDelta,
    ToolCallDelta,
    Unknown,
)
from gateway.providers import openai_chat_refusal
from gateway.providers.openai_chat_parts import content_part, read_usage, reasoning, string
from gateway.providers.openai_chat_refusal import choice_index
from gateway.providers.openai_chat_request import ChatRequest
from gateway.providers.openai_error_kinds import odd_error, stream_error
from gateway.providers.openai_errors import error_object
from schemas.openai import Choice, Delta, UsageFrame
from schemas.openai import Completion as Chunk

__all__ = ["ChatRequest", "ChatResponse"]

_decode = msgspec.json.Decoder(Chunk).decode
_decode_any = msgspec.json.Decoder().decode
_decode_usage_frame = msgspec.json.Decoder(UsageFrame).decode
_encode = msgspec.json.encode

_DONE = b"[DONE]"
_LONG = 1 << 16  # arguments over this size are not parsed to find out whether another call begins

# What is not listed here ended the answer too, and is no reason to withhold it.
_FINISH = {
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,  # Mistral
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    "sensitive": FinishReason.CONTENT_FILTER,  # Zhipu
    "error": FinishReason.ERROR,  # Mistral, OpenRouter
    "network_error": FinishReason.ERROR,  # Zhipu
    "insufficient_system_resource": FinishReason.ERROR,  # DeepSeek
    "abort": FinishReason.ERROR,  # vLLM
}


class _Call:
    """A call so far, as its fragments and its restatements must agree on it."""

    __slots__ = ("closed", "custom", "id", "index", "name", "pieces", "size")

    def __init__(self, index: int, id_: str) -> None:
        self.index = index
        self.id = id_
        self.name = ""
        self.pieces: list[str] = []
        self.size = 0
        self.custom = False
        self.closed = False

    def add(self, piece: str) -> None:
        """Take one more piece of the arguments."""
        if piece:
            self.pieces.append(piece)
            self.size += len(piece)

    @property
    def arguments(self) -> str:
        """What has arrived of the arguments."""
        return "".join(self.pieces)

    @property
    def complete(self) -> bool:
        """Whether the arguments so far are a JSON object, to which nothing can be added."""
        if self.size > _LONG or not self.pieces or not self.pieces[-1].rstrip().endswith("}"):
            return False
        try:
            return isinstance(_decode_any(self.arguments), dict)
        except UNREADABLE:
            return False


class ChatResponse(ResponseAdapter):
    """A chat completion."""

    terminator = _DONE
    repeats = True
    call_keys = frozenset(
        {"choices", "delta", "message", "tool_calls", "function_call", "function", "custom", "name"}
    )

    def __init__(self, request: RequestAdapter, *, streamed: bool) -> None:
        super().__init__(request, streamed=streamed)
        self._started = False
        self._by_message = False  # the stream writes `message` where others write `delta`
        self._said: dict[Any, str] = {}  # the text of such a stream, by choice
        self._calls: dict[
            tuple[Any, ...], _Call
        ] = {}  # by choice and index, and by other ways to name a call
        self._open: dict[Any, list[_Call]] = {}  # custom tools whose text has not ended, by choice
        self._next = 0
        self._usage_data = b""  # a frame that may be the one to hide

    def events(self, frame: Frame) -> Iterable[Event]:
        data = frame.data
        if data == _DONE:
            return self._end()
        try:
            chunk = _decode(data)
        except msgspec.DecodeError:
            if data.strip().startswith(_DONE):  # as clients read it
                return self._end()
            raise
        choices = chunk.choices
        # Nearly all frames of a stream are a piece of text, of reasoning or of arguments, and nothing else.
        if choices is not None and len(choices) == 1 and self._started and chunk.usage is None:
            choice = choices[0]
            delta = choice.delta
            if (
                delta is not None
                and choice.finish_reason is None
                and choice.message is None
                and chunk.error is None
                and chunk.x_groq is None
                and delta.function_call is None
                and delta.refusal is None
                and delta.executed_tools is None
                and delta.reasoning_details is None
            ):
                text = delta.content
                thought = delta.reasoning_content or delta.reasoning
                if delta.tool_calls is not None:
                    if not text and not thought and (piece := self._piece(choice.index, delta.tool_calls)):
                        return (piece,)
                elif not thought:
                    if type(text) is str:
                        return (TextDelta(text),) if text else ()
                elif type(thought) is str and not text:
                    return (ReasoningDelta(thought),)
        return tuple(self._read(chunk, frame))

    def _piece(self, number: Any, calls: Any) -> ToolCallDelta | None:
        """Read one more piece of the arguments of a known call; None for anything else."""
        call = calls[0] if type(calls) is list and len(calls) == 1 else None
        if type(call) is not dict or len(call) != 2:
            return None
        index, function = call.get("index"), call.get("function")
        if type(index) is not int or type(function) is not dict or len(function) != 1:
            return None
        arguments = function.get("arguments")
        known = self._calls.get((number, index)) if type(number) is int else None
        if known is None or known.custom or type(arguments) is not str:
            return None
        known.add(arguments)
        self._calls[number, "no index"] = known
        return ToolCallDelta(known.index, "", "", arguments)

    def _read(self, chunk: Chunk, frame: Frame) -> Iterator[Event]:
        choices = chunk.choices
        if not self._started and (chunk.id or chunk.model):
            if choices:
                self._started = True
                self._by_message = self.streamed and all(choice.delta is None for choice in choices)
            created = chunk.created if isinstance(chunk.created, int) else None
            yield Start(string(chunk.id), string(chunk.model), created)
        for position, choice in enumerate(choices or ()):
            yield from self._choice(position, choice)
        usage = chunk.usage
        if usage is None and isinstance(chunk.x_groq, dict):
            usage = chunk.x_groq.get("usage")
        if isinstance(usage, dict):
            if choices == [] and self.hiding:
                self._usage_data = frame.data
            yield read_usage(usage)
        if chunk.error:
            yield stream_error(chunk.error, _decode_any(frame.data).get("code"))
        elif not choices and (frame.event == "error" or (choices is None and usage is None)):
            yield self._odd(frame, named=frame.event == "error")
        if not self.streamed:
            yield END

    def _end(self) -> tuple[Event, ...]:
        return (*(event for choice in list(self._open) for event in self._close(choice)), END)

    def _odd(self, frame: Frame, *, named: bool) -> Event:
        if (error := odd_error(frame.data, named=named)) is not None:
            return error
        members = _decode_any(frame.data)
        return Unknown(string(members.get("object")) or string(members.get("type")) or "frame")

    def _choice(self, position: int, choice: Choice) -> Iterator[Event]:
        number = choice_index(choice.index, position)
        delta, message = choice.delta, choice.message
        first, second = (delta, message) if self.streamed else (message, delta)
        if first is not None:
            yield from self._part(number, first)
            if second is not None:
                # Perplexity repeats the whole message so far beside each delta.
                yield from self._calls_of(number, second, again=True)
        elif second is None:
            if choice.text and isinstance(choice.text, str):
                yield TextDelta(choice.text)
        elif not self.streamed:
            yield from self._part(number, second)
        else:
            if self._by_message:
                yield from self._new_text(number, second)
            yield from self._calls_of(number, second, again=True)
        if isinstance(choice.usage, dict):
            yield read_usage(choice.usage)
        if reason := string(choice.finish_reason):
            yield from self._close(number)
            yield Finish(_FINISH.get(reason, FinishReason.STOP))

    def _new_text(self, number: Any, message: Delta) -> Iterator[Event]:
        """Read the message of a frame without delta: all of the text so far, or one more piece of it."""
        said = self._said.get(number, "")
        text = string(message.content)
        new = text.removeprefix(said) if text.startswith(said) else text
        self._said[number] = said + new
        if new:
            yield TextDelta(new)

    def _part(self, number: Any, part: Delta) -> Iterator[Event]:
        yield from reasoning(part)
        if isinstance(part.content, list):
            for item in part.content:
                yield from content_part(item)
        elif isinstance(part.content, str):
            if part.content:
                yield TextDelta(part.content)
        elif part.content is not None:
            yield Unknown("content")
        if part.refusal and isinstance(part.refusal, str):
            yield TextDelta(part.refusal)
        yield from self._calls_of(number, part, again=False)

    def _calls_of(self, number: Any, part: Delta, *, again: bool) -> Iterator[Event]:
        """Read the calls of a delta or message; ``again``: it may repeat what was read before."""
        if part.function_call is not None:
            legacy = {"type": "function", "function": part.function_call}
            yield from self._call((number, "legacy"), legacy, again=again)
        calls = part.tool_calls
        for position, call in enumerate(calls if isinstance(calls, list) else [calls] if calls else ()):
            if not isinstance(call, dict):
                yield Unknown("tool call")
                continue
            yield from self._call(self._key(number, position, call, again=again), call, again=again)
        executed = part.executed_tools
        for position, tool in enumerate(executed if isinstance(executed, list) else ()):
            if isinstance(tool, dict):
                yield self._executed((number, "executed", choice_index(tool.get("index"), position)), tool)

    def _key(self, number: Any, position: int, call: dict[str, Any], *, again: bool) -> tuple[Any, ...]:
        """Return what tells a call from the others of its choice."""
        index = call.get("index")
        if not self.streamed:
            return number, position
        if index is not None:
            return number, choice_index(index, position)
        by_id = (number, "id", _id(call.get("id")))
        if by_id in self._calls:
            return by_id
        return (number, position) if again else (number, "no index")

    def _call(self, key: tuple[Any, ...], call: dict[str, Any], *, again: bool) -> Iterator[Event]:
        function, custom = call.get("function"), call.get("custom")
        if function is None and custom is None and ("name" in call or "arguments" in call):
            function = call  # written flat
        body = function if custom is None else custom
        if body is None and call.get("type") in (None, "", "function", "custom"):
            body = {}
        # What nobody can read in one way only is not judged, so it must not pass.
        if not isinstance(body, dict) or (function is not None and custom is not None):
            yield Unknown(f"tool call {string(call.get('type'))}".strip())
            return
        name = body.get("name") or ""
        written = body.get("arguments") if custom is None else body.get("input")
        arguments = written if isinstance(written, str) else _compact(written)
        if not isinstance(name, str):
            yield Unknown("tool call name")
            return
        id_ = _id(call.get("id"))
        known = self._find(key, id_, name)
        if custom is not None and not known.custom:
            known.custom = True
            self._open.setdefault(key[0], []).append(known)
        if again and (known.name or known.pieces):
            before = known.arguments
            if name != known.name or not arguments.startswith(before):
                yield Unknown("tool call differs")
                return
            name = ""
            arguments = arguments[len(before) :]
        if known.closed and arguments:
            yield Unknown("tool call goes on after its end")
            return
        piece = self._as_json(known, arguments) if known.custom else arguments
        known.name += name
        known.add(arguments)
        yield ToolCallDelta(known.index, id_, name, piece)

    def _find(self, key: tuple[Any, ...], id_: str, name: str) -> _Call:
        """Return the call that a fragment belongs to, a new one if it begins one."""
        number = key[0]
        call = self._calls.get(key)
        # Some servers give parallel calls one index, or none: then a name after complete arguments is a new one.
        another = id_ != call.id if call and id_ else key[-1] == "no index"
        if call is None or (name and another and call.complete):
            call = self._calls[key] = _Call(self._next, id_)
            self._next += 1
            if id_:
                self._calls.setdefault((number, "id", id_), call)
        self._calls[number, "no index"] = call
        return call

    def _as_json(self, call: _Call, text: str) -> str:
        """Return a piece of a custom tool's free text as a piece of ``{"input": text}``."""
        piece = _encode(text)[1:-1].decode()
        if not self.streamed:
            call.closed = True
            return f'{{"input":"{piece}"}}'
        return piece if call.pieces or not text else f'{{"input":"{piece}'

    def _close(self, number: Any) -> Iterator[Event]:
        """End the free text of a choice's custom tools."""
        for call in self._open.pop(number, ()):
            if not call.closed:
                call.closed = True
                yield ToolCallDelta(call.index, arguments='"}' if call.pieces else '{"input":""}')

    def _executed(self, key: tuple[Any, ...], tool: dict[str, Any]) -> Event:
        """Read a tool that Groq ran; it is said once before and once after."""
        name = string(tool.get("name")) or string(tool.get("type"))
        known = self._calls.get(key)
        if known is not None:
            return ToolCallDelta(known.index, "", name, server_executed=True)
        call = self._calls[key] = _Call(self._next, "")
        self._next += 1
        arguments = tool.get("arguments")
        arguments = arguments if isinstance(arguments, str) else _compact(arguments)
        return ToolCallDelta(call.index, "", name, arguments, server_executed=True)

    def hides(self, frame: Frame) -> bool:
        if frame.data is not self._usage_data:
            return False
        try:
            return not _decode_usage_frame(frame.data).choices
        except UNREADABLE:
            return False

    def error(self, error: GatewayError) -> Iterable[Payload]:
        # Without `[DONE]`: a stream that broke has not ended.
        return (Payload(_encode({"error": error_object(error)})),)

    def refusal(self, text: str, held: Sequence[Frame], completion: Completion) -> Iterable[Payload]:
        if not self.streamed:
            return (openai_chat_refusal.whole(text, held[0].data),)
        calling = {key[0] for key in self._calls if "executed" not in key}
        wanted = self.request.choices if isinstance(self.request, ChatRequest) else 1
        return openai_chat_refusal.streamed(text, held, completion, calling, wanted)


def _compact(value: Any) -> str:
    return "" if value is None else _encode(value).decode()


def _id(value: Any) -> str:
    return str(value) if isinstance(value, str | int) else ""
