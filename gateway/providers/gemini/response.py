"""Gemini answers: every chunk is a whole response, which adds parts to candidates and repeats the usage.

There is no terminator on this wire: an answer is complete when its candidates have said why they finished.
Plain text is read by one narrow decode; whatever doesn't fit that is read member by member, in both spellings.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from gateway.core.adapter import Payload, RequestAdapter, ResponseAdapter
from gateway.core.errors import GatewayError
from gateway.core.frames import Frame
from gateway.core.view import (
    NULL_USAGE,
    Completion,
    Event,
    Finish,
    FinishReason,
    ReasoningDelta,
    Start,
    StreamError,
    TextDelta,
    Unknown,
)
from gateway.providers.gemini.calls import FunctionCalls
from gateway.providers.gemini.errors import error_object, kind_of
from gateway.providers.gemini.members import (
    PART_MEMBERS,
    TOOL_TYPES,
    Raw,
    calls_in,
    elements,
    fields,
    integer,
    is_string,
    members,
    spelt,
    string,
)
from gateway.providers.gemini.usage import lenient_usage, usage_of
from schemas.gemini import Chunk

_chunk = msgspec.json.Decoder(Chunk)

FINISH_REASONS = {
    "STOP": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "CONTINUATION": FinishReason.LENGTH,
    **dict.fromkeys(
        (
            "SAFETY",
            "RECITATION",
            "LANGUAGE",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "MODEL_ARMOR",
            "JAILBREAK",
            "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
        ),
        FinishReason.CONTENT_FILTER,
    ),
}
"""Every other reason, such as a malformed call, is an error; there is none for tool calls."""

_UNSPECIFIED = "UNSPECIFIED"
_EMPTY = Raw(b"{}")
_ZERO = Raw(b"0")

_CHUNK = frozenset({"candidates", "error", "modelVersion", "promptFeedback", "responseId", "usageMetadata"})
_CANDIDATE = frozenset({"content", "finishMessage", "finishReason", "index"})
_CONTENT = frozenset({"parts", "role"})
"""What is read of each, or holds no call."""

_SERVER_CALLS = {
    "executableCode": frozenset({"id", "language", "code"}),
    "toolCall": frozenset({"id", "toolType", "args"}),
}
# Of a candidate whose call is refused: words about the call, and the call itself token by token.
_ABOUT_CALLS = ("finishMessage", "avgLogprobs", "logprobsResult")


class GenerateContentResponse(ResponseAdapter):
    """An answer of ``:generateContent`` or ``:streamGenerateContent``."""

    keep_alive = b"data: {}\r\n\r\n"
    newline = b"\r\n"
    arrays = True
    terminates = False
    echoes = frozenset({"toolResponse", "tool_response", "functionResponse", "function_response"})

    def __init__(self, request: RequestAdapter, *, streamed: bool) -> None:
        super().__init__(request, streamed=streamed)
        self._calls = FunctionCalls()
        self._started = False
        self._unfinished: set[int] = set()
        """Candidates that have begun."""

    @classmethod
    def stream_type(cls, query: str) -> str:
        events = dict(parse_qsl(query)).get("alt") == "sse"
        return "text/event-stream" if events else "application/json; charset=UTF-8"

    def events(self, frame: Frame) -> tuple[Event, ...]:
        try:
            chunk = _chunk.decode(frame.data)
        except msgspec.ValidationError:
            return self._read(frame.data)
        events: list[Event] = []
        if not self._started and (chunk.response_id or chunk.model_version):
            self._started = True
            events.append(Start(chunk.response_id, chunk.model_version))
        finished = False
        for candidate in chunk.candidates:
            self._unfinished.add(candidate.index)
            if candidate.finish_reason:
                finished = True
            if candidate.content is not None:
                for part in candidate.content.parts:
                    if text := part.text:
                        events.append(ReasoningDelta(text) if part.thought else TextDelta(text))  # noqa: PERF401  # one part is usual, and a generator costs more
        counts = chunk.usage_metadata
        if counts is not None and (counts.prompt_token_count is not None or counts.candidates_token_count):
            # Each chunk repeats them; what they were of is told by the last one, which finishes.
            events.append(usage_of(counts, detailed=finished))
        elif counts is None and not self.streamed:
            events += _null_usage(frame.data)
        if finished:
            odd: list[str] = []
            for candidate in chunk.candidates:
                if candidate.finish_reason:
                    events += self._finish(candidate.index, candidate.finish_reason, odd)
            events += map(Unknown, odd)
        return tuple(events)

    def _read(self, data: bytes) -> tuple[Event, ...]:
        """Read a chunk that is more than plain text."""
        odd: list[str] = []
        chunk = members(data, odd)
        _look_for_calls(chunk, _CHUNK, odd)
        events: list[Event] = []
        if "error" in chunk:
            error, message = kind_of(chunk["error"])
            events.append(StreamError(error, message))
        if not self._started and ("responseId" in chunk or "modelVersion" in chunk):
            self._started = True
            events.append(Start(string(chunk.get("responseId")), string(chunk.get("modelVersion"))))
        finished: dict[int, str] = {}
        seen: set[int] = set()
        for raw in elements(chunk.get("candidates")):
            candidate = members(raw, odd)
            _look_for_calls(candidate, _CANDIDATE, odd)
            index = integer(candidate.get("index", _ZERO))
            if index is None or index in seen:
                odd.append("candidate index")
                index = index or 0
            seen.add(index)
            self._unfinished.add(index)
            content = members(candidate.get("content", _EMPTY), odd)
            _look_for_calls(content, _CONTENT, odd)
            for part in elements(content.get("parts")):
                events += self._part(index, part, odd)
            if "finishReason" in candidate:
                finished[index] = string(candidate["finishReason"])
        if "usageMetadata" in chunk:
            events.append(lenient_usage(chunk["usageMetadata"], odd))
        elif not self.streamed:
            events += _null_usage(data)
        for index, reason in finished.items():
            events += self._finish(index, reason, odd)
        if "promptFeedback" in chunk:
            blocked = string(members(chunk["promptFeedback"], odd).get("blockReason"))
            if blocked and _UNSPECIFIED not in blocked:
                events.append(Finish(FinishReason.CONTENT_FILTER))
        events += map(Unknown, odd)
        return tuple(events)

    def _part(self, candidate: int, raw: Raw, odd: list[str]) -> list[Event]:
        part = members(raw, odd)
        odd.extend(f"part {name}" for name in part.keys() - PART_MEMBERS)
        events: list[Event] = []
        if "text" in part:
            if not is_string(part["text"]):
                odd.append("part text")
            elif text := string(part["text"]):
                thought = bytes(part.get("thought", b"")) == b"true"
                events.append(ReasoningDelta(text) if thought else TextDelta(text))
        if "functionCall" in part:
            events += self._calls.read(candidate, part["functionCall"], odd)
        for kind, known in _SERVER_CALLS.items():
            if kind not in part:
                continue
            call = members(part[kind], odd)
            odd.extend(f"{kind}.{name}" for name in call.keys() - known)
            if kind == "toolCall":
                tool_type = string(call.get("toolType"))
                if tool_type not in TOOL_TYPES:
                    odd.append(f"toolCall {tool_type}")  # who runs it?
                name, arguments = TOOL_TYPES.get(tool_type, kind), call.get("args", _EMPTY)
            else:
                name, arguments = "codeExecution", part[kind]
            events.append(
                self._calls.server_executed(string(call.get("id")), name, bytes(arguments).decode())
            )
        return events

    def _finish(self, candidate: int, reason: str, odd: list[str]) -> list[Event]:
        """End one candidate; the answer has finished when all have that began."""
        if _UNSPECIFIED in reason:
            return []
        events = self._calls.finish(candidate, odd)
        self._unfinished.discard(candidate)
        if not self._unfinished or not self.streamed:
            events.append(Finish(FINISH_REASONS.get(reason, FinishReason.ERROR)))
        return events

    def error(self, error: GatewayError) -> Iterable[Payload]:
        return (Payload(msgspec.json.encode({"error": error_object(error)})),)

    def refusal(self, text: str, held: Sequence[Frame], completion: Completion) -> Iterable[Payload]:
        odd: list[str] = []
        response: dict[str, Any] = {"candidates": []}
        endings: dict[int, dict[str, Any]] = {index: {} for index in self._unfinished}
        parts: dict[int, list[Any]] = {index: [] for index in endings}
        for frame in held:
            if not frame.data:
                continue
            chunk = members(frame.data, odd)
            response.update(chunk)
            for raw in elements(chunk.get("candidates")):
                candidate = members(raw, odd)
                index = integer(candidate.get("index")) or 0
                content = members(candidate.get("content", _EMPTY), odd)
                endings.setdefault(index, {}).update(candidate, content=content)
                parts.setdefault(index, []).extend(
                    kept for part in elements(content.get("parts")) if (kept := _without_call(part))
                )
        for index, ending in endings.items():
            ending["content"] = {
                "role": "model",
                **ending.get("content", {}),
                "parts": [*parts[index], {"text": text}],
            }
            ending["finishReason"] = "STOP"
            if index:
                ending["index"] = index
            for name in _ABOUT_CALLS:
                ending.pop(name, None)
        response["candidates"] = [endings[index] for index in sorted(endings)]
        return (Payload(msgspec.json.encode(response)),)


class EmbeddingResponse(ResponseAdapter):
    """An answer of ``:embedContent`` or ``:batchEmbedContents``: only the usage is read."""

    def events(self, frame: Frame) -> tuple[Event, ...]:
        odd: list[str] = []
        body = members(frame.data, odd)
        if "error" in body:
            return (StreamError(*kind_of(body["error"])),)
        return (
            (lenient_usage(body["usageMetadata"], odd),)
            if "usageMetadata" in body
            else _null_usage(frame.data)
        )

    def error(self, error: GatewayError) -> Iterable[Payload]:
        return (Payload(msgspec.json.encode({"error": error_object(error)})),)


class CountTokensResponse(EmbeddingResponse):
    """An answer of ``:countTokens``."""

    billed = False


def _null_usage(data: bytes) -> tuple[Event, ...]:
    """Return what a whole answer says that says no usage: it may say that in so many words."""
    null = any(bytes(raw) == b"null" for _, raw in spelt(fields(data), "usageMetadata"))
    return (NULL_USAGE,) if null else ()


def _look_for_calls(found: Mapping[str, Raw], known: AbstractSet[str], odd: list[str]) -> None:
    """Note the members that nobody reads here, and that hold what looks like a call."""
    odd.extend(f"{name}: a call" for name in found.keys() - known if calls_in(found[name]))


def _without_call(raw: Raw) -> object:
    """Return a part as it is, or only the text of one that holds a call; None if nothing is left."""
    odd: list[str] = []
    part = members(raw, odd)
    if "functionCall" not in part:
        return raw
    return {name: part[name] for name in ("text", "thought") if name in part} if "text" in part else None
