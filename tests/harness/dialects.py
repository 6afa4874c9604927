"""What each wire's requests, answers and errors look like, written by hand and independent of the gateway."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from tests.harness.canaries import CLIENT_KEYS

TOOLS = ("allowed_tool", "canary_tool")
_SCHEMA = {"type": "object", "properties": {"canary_arg": {"type": "string"}}}

# status: (OpenAI type, OpenAI code, Anthropic type, Gemini status), the gateway's table of its own errors.
ERRORS: dict[int, tuple[str, str, str, str]] = {
    400: ("invalid_request_error", "invalid_request", "invalid_request_error", "INVALID_ARGUMENT"),
    404: ("not_found_error", "not_found", "not_found_error", "NOT_FOUND"),
    408: ("timeout_error", "request_timeout", "timeout_error", "DEADLINE_EXCEEDED"),
    413: ("request_too_large", "request_too_large", "request_too_large", "INVALID_ARGUMENT"),
    500: ("server_error", "internal_error", "api_error", "INTERNAL"),
    502: ("server_error", "upstream_error", "api_error", "UNAVAILABLE"),
    503: ("overloaded_error", "overloaded", "overloaded_error", "UNAVAILABLE"),
    504: ("timeout_error", "upstream_timeout", "timeout_error", "DEADLINE_EXCEEDED"),
}


def sse(data: Any, name: str = "", eol: bytes = b"\n") -> bytes:
    payload = data if isinstance(data, bytes) else orjson.dumps(data)
    named = b"event: " + name.encode() + eol if name else b""
    return named + b"data: " + payload + eol + eol


def read_sse(body: bytes) -> list[tuple[str, bytes]]:
    """Events as (name, data); only what canonical framing needs."""
    events = []
    for block in body.replace(b"\r\n", b"\n").split(b"\n\n"):
        name, data = "", []
        for line in block.split(b"\n"):
            key, _, value = line.partition(b":")
            if key == b"event":
                name = value.strip().decode()
            elif key == b"data":
                data.append(value.removeprefix(b" "))
        if data:
            events.append((name, b"\n".join(data)))
    return events


def _load(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None


def _object(body: bytes) -> dict[str, Any]:
    """An error body: JSON, an object, with an error in it."""
    data = _load(body)
    assert isinstance(data, dict), f"not an object: {body[:300]!r}"
    assert isinstance(data.get("error"), dict), f"no error in {body[:300]!r}"
    return data


@dataclass(frozen=True)
class Dialect(ABC):
    """One wire format, as client and upstream speak it."""

    name: ClassVar[str]
    provider: ClassVar[str]
    model: ClassVar[str]
    stream_type: ClassVar[str] = "text/event-stream; charset=utf-8"
    key_header: ClassVar[tuple[str, str]] = ("authorization", f"Bearer {CLIENT_KEYS['openai']}")

    @abstractmethod
    def path(self, *, stream: bool, model: str = "") -> str: ...

    @abstractmethod
    def body(self, *, stream: bool, model: str = "") -> bytes: ...

    def start(self) -> list[bytes]:
        return []

    @abstractmethod
    def text(self, text: str) -> list[bytes]: ...

    @abstractmethod
    def tool_call(self, name: str, arguments: str) -> list[bytes]: ...

    @abstractmethod
    def finish(self, reason: str) -> list[bytes]: ...

    def end(self) -> list[bytes]:
        return []

    @abstractmethod
    def whole(self, text: str = "Hello, world.", tool: str = "") -> bytes: ...

    def upstream_error(self, status: int) -> bytes:
        """An error body as the vendor sends it."""
        return orjson.dumps(
            {"error": {"message": "vendor says no", "type": "vendor_type", "code": "vendor_code"}}
        )

    @abstractmethod
    def stream_error(self) -> list[bytes]:
        """The vendor's own error, in the middle of a stream."""

    def check_error(self, status: int, body: bytes) -> None:
        """A body of ours for this status has the vendor's shape and our names."""
        kind, code, _, _ = ERRORS[status]
        error = _object(body)["error"]
        assert error["type"] == kind, error
        assert error["code"] == code, error
        assert "param" in error, error
        assert error["message"], error

    def in_band_error(self, body: bytes) -> dict[str, Any] | None:
        """The error event that ends a stream."""
        for _, data in read_sse(body):
            error = _load(data)
            if isinstance(error, dict) and isinstance(error.get("error"), dict):
                return dict(error["error"])
        return None

    def request(
        self, *, stream: bool, model: str = "", body: bytes | None = None, headers: str = ""
    ) -> bytes:
        data = self.body(stream=stream, model=model) if body is None else body
        name, value = self.key_header
        lines = (
            f"POST /v1/{self.provider}{self.path(stream=stream, model=model)} HTTP/1.1\r\nhost: 127.0.0.1\r\n"
            f"{name}: {value}\r\ncontent-type: application/json\r\n{headers}content-length: {len(data)}\r\n\r\n"
        )
        return lines.encode("latin-1") + data


class Chat(Dialect):
    """OpenAI chat completions."""

    name = "chat"
    provider = "openai"
    model = "gpt-4o-mini"
    usage: ClassVar = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}

    def path(self, *, stream: bool, model: str = "") -> str:
        return "/chat/completions"

    def body(self, *, stream: bool, model: str = "") -> bytes:
        tools = [{"type": "function", "function": {"name": name, "parameters": _SCHEMA}} for name in TOOLS]
        data = {"model": model or self.model, "messages": [{"role": "user", "content": "Hi"}], "tools": tools}
        # Usage is asked for, so that the gateway has nothing to add and nothing to hide.
        return orjson.dumps(
            data | {"stream": True, "stream_options": {"include_usage": True}} if stream else data
        )

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return sse(self._envelope([choice]))

    def _envelope(self, choices: list[Any]) -> dict[str, Any]:
        ids = {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1700000000,
            "model": self.model,
        }
        return {**ids, "choices": choices}

    def start(self) -> list[bytes]:
        return [self._chunk({"role": "assistant", "content": ""})]

    def text(self, text: str) -> list[bytes]:
        return [self._chunk({"content": text})]

    def tool_call(self, name: str, arguments: str) -> list[bytes]:
        half = len(arguments) // 2
        opening = {
            "index": 0,
            "id": "call_1",
            "type": "function",
            "function": {"name": name, "arguments": ""},
        }
        pieces = [
            {"index": 0, "function": {"arguments": part}} for part in (arguments[:half], arguments[half:])
        ]
        return [self._chunk({"tool_calls": [piece]}) for piece in (opening, *pieces)]

    def finish(self, reason: str) -> list[bytes]:
        usage = self._envelope([]) | {"usage": self.usage}
        return [self._chunk({}, {"tool": "tool_calls"}.get(reason, reason)), sse(usage)]

    def end(self) -> list[bytes]:
        return [sse(b"[DONE]")]

    def stream_error(self) -> list[bytes]:
        error = {"message": "vendor says no", "type": "server_error", "param": None, "code": None}
        return [sse({"error": error})]

    def whole(self, text: str = "Hello, world.", tool: str = "") -> bytes:
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
        if tool:
            function = {"name": tool, "arguments": '{"canary_arg":"c4n4ry"}'}
            message |= {
                "content": None,
                "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
            }
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if tool else "stop"}
        ids = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": self.model}
        return orjson.dumps({**ids, "choices": [choice], "usage": self.usage})


class Responses(Dialect):
    """OpenAI responses; one message item, then perhaps one call item."""

    name = "responses"
    provider = "openai"
    model = "gpt-4o-mini"
    message: ClassVar = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}

    def path(self, *, stream: bool, model: str = "") -> str:
        return "/responses"

    def body(self, *, stream: bool, model: str = "") -> bytes:
        tools = [{"type": "function", "name": name, "parameters": _SCHEMA} for name in TOOLS]
        data = {"model": model or self.model, "input": "Hi", "store": False, "tools": tools}
        return orjson.dumps(data | {"stream": True} if stream else data)

    def _response(self, status: str, output: list[Any]) -> dict[str, Any]:
        usage = {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18}
        details = {
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        }
        ids = {
            "id": "resp_1",
            "object": "response",
            "created_at": 1700000000,
            "model": self.model,
            "status": status,
        }
        rest = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "error": None}
        return {**ids, **rest, "output": output, "usage": usage | details if status == "completed" else None}

    def _event(self, kind: str, **fields: Any) -> bytes:
        return sse({"type": kind, "sequence_number": 0, **fields}, kind)

    def start(self) -> list[bytes]:
        part = {"type": "output_text", "text": "", "annotations": []}
        item = {**self.message, "status": "in_progress", "content": []}
        where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
        return [
            self._event("response.created", response=self._response("in_progress", [])),
            self._event("response.output_item.added", output_index=0, item=item),
            self._event("response.content_part.added", part=part, **where),
        ]

    def text(self, text: str) -> list[bytes]:
        where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
        return [self._event("response.output_text.delta", delta=text, logprobs=[], **where)]

    def tool_call(self, name: str, arguments: str) -> list[bytes]:
        item = self._call(name, arguments)
        half = len(arguments) // 2
        where = {"item_id": "fc_1", "output_index": 1}
        return [
            self._event("response.output_item.added", output_index=1, item={**item, "arguments": ""}),
            self._event("response.function_call_arguments.delta", delta=arguments[:half], **where),
            self._event("response.function_call_arguments.delta", delta=arguments[half:], **where),
            self._event("response.function_call_arguments.done", name=name, arguments=arguments, **where),
            self._event("response.output_item.done", output_index=1, item=item),
        ]

    def _call(self, name: str, arguments: str) -> dict[str, Any]:
        ids = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "status": "completed"}
        return {**ids, "name": name, "arguments": arguments}

    def _output(self, text: str, reason: str) -> list[Any]:
        output: list[Any] = [
            {**self.message, "content": [{"type": "output_text", "text": text, "annotations": []}]}
        ]
        if reason in TOOLS:
            output.append(self._call(reason, '{"canary_arg":"c4n4ry"}'))
        return output

    def finish(self, reason: str) -> list[bytes]:
        """The terminal event carries finish and usage at once, and repeats a call named as the reason."""
        return []

    def end(self) -> list[bytes]:
        return [
            self._event(
                "response.completed", response=self._response("completed", self._output("Hello.", "stop"))
            )
        ]

    def stream_error(self) -> list[bytes]:
        error = {"code": "server_error", "message": "vendor says no"}
        return [self._event("response.failed", response=self._response("failed", []) | {"error": error})]

    def whole(self, text: str = "Hello, world.", tool: str = "") -> bytes:
        return orjson.dumps(self._response("completed", self._output(text, tool)))

    def in_band_error(self, body: bytes) -> dict[str, Any] | None:
        """`event: error` with a nested error, and then `response.failed`: a client may read only one of them."""
        events = [(name, _load(data)) for name, data in read_sse(body)]
        names = [name for name, _ in events]
        if names[-2:] != ["error", "response.failed"]:
            return None
        error, failed = (data for _, data in events[-2:])
        assert failed["type"] == "response.failed", failed
        assert failed["response"]["status"] == "failed", failed
        return error["error"] if error["type"] == "error" else None


class Anthropic(Dialect):
    """Anthropic messages."""

    name = "anthropic"
    provider = "anthropic"
    model = "claude-scenario"
    key_header = ("anthropic-version: 2023-06-01\r\nx-api-key", CLIENT_KEYS["anthropic"])

    def path(self, *, stream: bool, model: str = "") -> str:
        return "/v1/messages"

    def body(self, *, stream: bool, model: str = "") -> bytes:
        tools = [{"name": name, "input_schema": _SCHEMA} for name in TOOLS]
        data = {
            "model": model or self.model,
            "max_tokens": 64,
            "messages": [{"role": "user", "content": "Hi"}],
        }
        return orjson.dumps({**data, "tools": tools, **({"stream": True} if stream else {})})

    def _message(self, content: list[Any], reason: str | None, output_tokens: int) -> dict[str, Any]:
        usage = {"input_tokens": 11, "output_tokens": output_tokens}
        ids = {"id": "msg_1", "type": "message", "role": "assistant", "model": self.model, "content": content}
        return {**ids, "stop_reason": reason, "stop_sequence": None, "usage": usage}

    def _event(self, kind: str, **fields: Any) -> bytes:
        return sse({"type": kind, **fields}, kind)

    def start(self) -> list[bytes]:
        block = {"type": "text", "text": ""}
        return [
            self._event("message_start", message=self._message([], None, 1)),
            self._event("content_block_start", index=0, content_block=block),
        ]

    def text(self, text: str) -> list[bytes]:
        return [self._event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})]

    def tool_call(self, name: str, arguments: str) -> list[bytes]:
        half = len(arguments) // 2
        block = {"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}
        deltas = [
            {"type": "input_json_delta", "partial_json": part}
            for part in ("", arguments[:half], arguments[half:])
        ]
        return [
            self._event("content_block_stop", index=0),
            self._event("content_block_start", index=1, content_block=block),
            *(self._event("content_block_delta", index=1, delta=delta) for delta in deltas),
        ]

    def finish(self, reason: str) -> list[bytes]:
        index = 1 if reason == "tool" else 0
        delta = {"stop_reason": {"tool": "tool_use", "stop": "end_turn"}[reason], "stop_sequence": None}
        return [
            self._event("content_block_stop", index=index),
            self._event("message_delta", delta=delta, usage={"output_tokens": 7}),
        ]

    def end(self) -> list[bytes]:
        return [self._event("message_stop")]

    def stream_error(self) -> list[bytes]:
        return [self._event("error", error={"type": "overloaded_error", "message": "vendor says no"})]

    def whole(self, text: str = "Hello, world.", tool: str = "") -> bytes:
        block: dict[str, Any] = {"type": "text", "text": text}
        if tool:
            block = {"type": "tool_use", "id": "toolu_1", "name": tool, "input": {"canary_arg": "c4n4ry"}}
        return orjson.dumps(self._message([block], "tool_use" if tool else "end_turn", 7))

    def upstream_error(self, status: int) -> bytes:
        return orjson.dumps({"type": "error", "error": {"type": "vendor_type", "message": "vendor says no"}})

    def check_error(self, status: int, body: bytes) -> None:
        data = _object(body)
        assert data["type"] == "error", data
        assert data["error"]["type"] == ERRORS[status][2], data
        assert data["error"]["message"], data

    def in_band_error(self, body: bytes) -> dict[str, Any] | None:
        for name, data in read_sse(body):
            error = _load(data)
            if name == "error" and isinstance(error, dict) and error.get("type") == "error":
                return dict(error["error"])
        return None


class Gemini(Dialect):
    """Gemini generateContent, streamed as server-sent events with CRLF."""

    name = "gemini"
    provider = "gemini"
    model = "gemini-2.5-flash"
    key_header = ("x-goog-api-key", CLIENT_KEYS["gemini"])

    def path(self, *, stream: bool, model: str = "") -> str:
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"/v1beta/models/{model or self.model}:{method}"

    def body(self, *, stream: bool, model: str = "") -> bytes:
        functions = [{"name": name, "parameters": _SCHEMA} for name in TOOLS]
        contents = [{"role": "user", "parts": [{"text": "Hi"}]}]
        return orjson.dumps({"contents": contents, "tools": [{"functionDeclarations": functions}]})

    def chunk(self, part: dict[str, Any], reason: str = "") -> dict[str, Any]:
        candidate: dict[str, Any] = {"content": {"role": "model", "parts": [part]}, "index": 0}
        usage = {"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18}
        if reason:
            candidate["finishReason"] = reason
        return {
            "candidates": [candidate],
            "usageMetadata": usage,
            "modelVersion": self.model,
            "responseId": "r1",
        }

    def encode(self, data: dict[str, Any]) -> bytes:
        return sse(data, eol=b"\r\n")

    def text(self, text: str) -> list[bytes]:
        return [self.encode(self.chunk({"text": text}))]

    def tool_call(self, name: str, arguments: str) -> list[bytes]:
        return [self.encode(self.chunk({"functionCall": {"name": name, "args": orjson.loads(arguments)}}))]

    def finish(self, reason: str) -> list[bytes]:
        return [self.encode(self.chunk({"text": ""}, "STOP"))]

    def stream_error(self) -> list[bytes]:
        error = {"code": 503, "message": "vendor says no", "status": "UNAVAILABLE"}
        return [self.encode({"error": error})]

    def whole(self, text: str = "Hello, world.", tool: str = "") -> bytes:
        call = {"functionCall": {"name": tool, "args": {"canary_arg": "c4n4ry"}}}
        return orjson.dumps(self.chunk(call if tool else {"text": text}, "STOP"))

    def upstream_error(self, status: int) -> bytes:
        return orjson.dumps(
            {"error": {"code": status, "message": "vendor says no", "status": "VENDOR_STATUS"}}
        )

    def check_error(self, status: int, body: bytes) -> None:
        error = _object(body)["error"]
        assert error["code"] == status, error
        assert error["status"] == ERRORS[status][3], error
        assert error["message"], error


class GeminiArray(Gemini):
    """The same without `alt=sse`: one JSON array, element by element."""

    name = "gemini_array"
    stream_type = "application/json; charset=UTF-8"

    def path(self, *, stream: bool, model: str = "") -> str:
        return super().path(stream=stream, model=model).removesuffix("?alt=sse")

    def start(self) -> list[bytes]:
        # The first element has no comma before it, so that every later one may begin with its own.
        return [b"[" + orjson.dumps(self.chunk({"text": ""}))]

    def encode(self, data: dict[str, Any]) -> bytes:
        return b",\r\n" + orjson.dumps(data)

    def end(self) -> list[bytes]:
        return [b"\n]"]

    def in_band_error(self, body: bytes) -> dict[str, Any] | None:
        """The array must be whole, or its client reads nothing at all."""
        elements = _load(body)
        assert isinstance(elements, list), f"not a whole array: {body[-200:]!r}"
        return elements[-1].get("error") if elements else None


DIALECTS: dict[str, Dialect] = {
    d.name: d for d in (Chat(), Responses(), Anthropic(), Gemini(), GeminiArray())
}
STREAMED = tuple(DIALECTS)
WHOLE = ("chat", "responses", "anthropic", "gemini")
