"""Answers to requests for chat completions, in the format of OpenAI and of all that are like it.

A frame of a stream and a whole body are read by the same code. Where compatible servers differ, the reading
follows the frame, never the provider's name: reasoning under several names, content in parts, arguments as
objects, calls without an index, usage on any frame, a ``message`` beside or in place of a ``delta``.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from gateway.core.adapter import Payload, RequestAdapter, ResponseAdapter
from gateway.core.errors import GatewayError
from gateway.core.frames import Frame
from gateway.core.strict import UNREADABLE
from gateway.core.view import (
    END,
    NULL_USAGE,
    Completion,
    Event,
    Finish,
    FinishReason,
    ReasoningDelta,
    Start,
    TextDelta,
    Unknown,
)
from gateway.providers.openai import chat_refusal
from gateway.providers.openai.chat_calls import Calls
from gateway.providers.openai.chat_parts import content_part, read_usage, reasoning, string
from gateway.providers.openai.chat_refusal import choice_index
from gateway.providers.openai.chat_request import ChatRequest
from gateway.providers.openai.errors import error_object, odd_error, stream_error
from schemas.openai import Choice, Delta, Groq, Usage, UsageFrame
from schemas.openai import Completion as Chunk

_decode = msgspec.json.Decoder(Chunk).decode
_decode_any = msgspec.json.Decoder().decode
_decode_usage_frame = msgspec.json.Decoder(UsageFrame).decode
_encode = msgspec.json.encode

_DONE = b"[DONE]"

_STOP = Finish(FinishReason.STOP)
_LENGTH = Finish(FinishReason.LENGTH)
_TOOL_CALLS = Finish(FinishReason.TOOL_CALLS)
_CONTENT_FILTER = Finish(FinishReason.CONTENT_FILTER)
_ERROR = Finish(FinishReason.ERROR)
# What is not listed here ended the answer too, and is no reason to withhold it.
_FINISH = {
    "length": _LENGTH,
    "max_tokens": _LENGTH,
    "model_length": _LENGTH,  # Mistral
    "tool_calls": _TOOL_CALLS,
    "function_call": _TOOL_CALLS,
    "content_filter": _CONTENT_FILTER,
    "sensitive": _CONTENT_FILTER,  # Zhipu
    "error": _ERROR,  # Mistral, OpenRouter
    "network_error": _ERROR,  # Zhipu
    "insufficient_system_resource": _ERROR,  # DeepSeek
    "abort": _ERROR,  # vLLM
}


class ChatResponse(ResponseAdapter):
    """A chat completion."""

    terminator = _DONE
    repeats = True
    padding = frozenset({b"obfuscation", b"p"})
    call_keys = frozenset(
        {
            *("choices", "delta", "message", "tool_calls", "function_call", "function", "custom"),
            *("index", "id", "type", "name", "arguments", "input"),
        }
    )
    echoes = frozenset({"metadata"})

    _started = False
    # The text so far, by choice, of a stream that writes `message` where others write `delta`.
    _said: dict[Any, str] | None = None
    _usage_data = b""  # a frame that may be the one to hide

    def __init__(self, request: RequestAdapter, *, streamed: bool) -> None:
        super().__init__(request, streamed=streamed)
        self._calls = Calls(streamed)

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
        if choices is None or len(choices) != 1:
            return self._read(chunk, frame)
        choice = choices[0]
        if not self._started:
            if not self.streamed and (plain := _plain(chunk, choice)):
                self._started = True
                return plain
            return self._read(chunk, frame)
        # Nearly all frames of a stream are a piece of text, of reasoning or of arguments, and nothing else.
        delta = choice.delta
        if (
            delta is not None
            and choice.finish_reason is None
            and choice.message is None
            and chunk.usage is None
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
                if not text and not thought and (piece := self._calls.piece(choice.index, delta.tool_calls)):
                    return (piece,)
            elif not thought:
                if type(text) is str:
                    return (TextDelta(text),) if text else ()
            elif type(thought) is str and not text:
                return (ReasoningDelta(thought),)
        return self._read(chunk, frame)

    def _read(self, chunk: Chunk, frame: Frame) -> tuple[Event, ...]:
        events: list[Event] = []
        choices = chunk.choices
        if not self._started and (chunk.id or chunk.model):
            if choices:
                self._started = True
                if self.streamed and all(choice.delta is None for choice in choices):
                    self._said = {}
                    self.repeats = False  # what a frame says depends on the ones before
            created = chunk.created if isinstance(chunk.created, int) else None
            events.append(Start(string(chunk.id), string(chunk.model), created))
        for position, choice in enumerate(choices or ()):
            self._choice(events, self._number(position, choice), choice)
        usage = chunk.usage
        if usage is None and isinstance(chunk.x_groq, Groq):
            usage = chunk.x_groq.usage
        if isinstance(usage, Usage):
            if self.hiding and choices == []:
                self._usage_data = frame.data
            events.append(read_usage(usage, chunk.service_tier))
        elif usage is None and not self.streamed and _decode_any(frame.data).get("usage", ...) is None:
            events.append(NULL_USAGE)  # in a stream it only comes later
        if chunk.error:
            events.append(stream_error(chunk.error, _decode_any(frame.data).get("code")))
        elif not choices and (frame.event == "error" or (choices is None and usage is None)):
            events.append(self._odd(frame, named=frame.event == "error"))
        if not self.streamed:
            events.append(END)
        return tuple(events)

    def _end(self) -> tuple[Event, ...]:
        return (*self._calls.end(), END)

    def _odd(self, frame: Frame, *, named: bool) -> Event:
        if (error := odd_error(frame.data, named=named)) is not None:
            return error
        members = _decode_any(frame.data)
        return Unknown(string(members.get("object")) or string(members.get("type")) or "frame")

    def _number(self, position: int, choice: Choice) -> Any:
        """Return what tells a choice from the others; no number where clients count in different ways."""
        if type(choice.index) is int:
            return choice.index
        if not self.streamed:
            return choice_index(choice.index, position)
        return 0 if choice.index is None and position == 0 else f"{position} {choice.index}"

    def _choice(self, events: list[Event], number: Any, choice: Choice) -> None:
        delta, message = choice.delta, choice.message
        first, second = (delta, message) if self.streamed or message is None else (message, delta)
        if first is not None:
            self._part(events, number, first)
            if second is not None:
                # Perplexity repeats the whole message so far beside each delta.
                events.extend(self._calls.read(number, second, again=True))
        elif second is None:
            if choice.text and isinstance(choice.text, str):
                events.append(TextDelta(choice.text))
        else:
            if self._said is not None and (new := _news(self._said, number, second)):
                events.append(TextDelta(new))
            events.extend(self._calls.read(number, second, again=True))
        if isinstance(choice.usage, Usage):
            events.append(read_usage(choice.usage))
        if reason := string(choice.finish_reason):
            if self._calls.open:
                events.extend(self._calls.close(number))
            events.append(_FINISH.get(reason, _STOP))

    def _part(self, events: list[Event], number: Any, part: Delta) -> None:
        if part.reasoning_content or part.reasoning or part.reasoning_details:
            events.extend(reasoning(part))
        content = part.content
        if isinstance(content, str):
            if content:
                events.append(TextDelta(content))
        elif isinstance(content, list):
            for item in content:
                events.extend(content_part(item))
        elif content is not None:
            events.append(Unknown("content"))
        if part.refusal and isinstance(part.refusal, str):
            events.append(TextDelta(part.refusal))
        if part.tool_calls or part.function_call is not None or part.executed_tools:
            events.extend(self._calls.read(number, part, again=False))

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
            return (chat_refusal.whole(text, held[0].data),)
        wanted = self.request.choices if isinstance(self.request, ChatRequest) else 1
        return chat_refusal.streamed(text, held, completion, self._calls.choices, wanted)


def _news(said: dict[Any, str], number: Any, message: Delta) -> str:
    """Read the message of a frame without delta: all of the text so far, or one more piece of it."""
    before = said.get(number, "")
    text = string(message.content)
    new = text.removeprefix(before)
    said[number] = before + new
    return new


def _plain(chunk: Chunk, choice: Choice) -> tuple[Event, ...]:
    """Read a whole answer that is one text; nothing for any other."""
    message, usage = choice.message, chunk.usage
    if (
        message is None
        or message.function_call is not None
        or message.tool_calls
        or message.refusal
        or message.reasoning_content
        or message.reasoning
        or message.reasoning_details
        or message.executed_tools
        or choice.delta is not None
        or choice.usage is not None
        or chunk.error
        or chunk.x_groq is not None
    ):
        return ()
    text, reason, id_, model, created = (
        message.content,
        choice.finish_reason,
        chunk.id,
        chunk.model,
        chunk.created,
    )
    if (
        type(text) is str
        and text
        and type(reason) is str
        and reason
        and type(id_) is str
        and type(model) is str
        and (id_ or model)
        and type(created) is int
        and type(usage) is Usage
    ):
        finish = _FINISH.get(reason, _STOP)
        return Start(id_, model, created), TextDelta(text), finish, read_usage(usage, chunk.service_tier), END
    return ()
