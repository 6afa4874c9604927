"""Frames of the chat format, for the tests of its adapter."""

import json  # noqa: TID251  # attacks hold what strict encoders refuse to write

from gateway.core.frames import Frame
from gateway.providers.openai import ChatRequest, ChatResponse

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "gpt-x"}


def frame(payload: object, event: str = "") -> Frame:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Frame(b"data: " + data + b"\n\n", data, event)


def chunk(delta: object = None, finish: str | None = None, *, index: object = 0, **rest: object) -> dict:
    return {**HEAD, "choices": [{"index": index, "delta": delta or {}, "finish_reason": finish}], **rest}


def calls(*items: object) -> dict:
    return {"tool_calls": list(items)}


def call(index: object = 0, id: str = "c1", name: str = "canary", arguments: object = '{"a":1}') -> dict:  # noqa: A002  # the wire's word
    return {
        "index": index,
        "id": id,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def adapter(*, streamed: bool = True, body: bytes = b'{"model":"gpt-x","stream":true}') -> ChatResponse:
    return ChatResponse(ChatRequest(body), streamed=streamed)


def whole_message(**message: object) -> dict:
    return {**HEAD, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
