"""Anthropic messages: content blocks that open, grow and close, one after the other."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from gateway.demo.ask import Ask, Tool, dicts, last, text_of, tokens_of, whole_number
from gateway.demo.scenario import Call, Script, Usage
from gateway.demo.wire import Hole, Template, Wire, encode, event, token

ERRORS: dict[int, tuple[str, str]] = {
    400: ("invalid_request_error", "The request is not valid."),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "Your credit balance is too low to access the Anthropic API."),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "model: demo"),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your organization's rate limit."),
    500: ("api_error", "Internal server error"),
    504: ("timeout_error", "Request timed out"),
    529: ("overloaded_error", "Overloaded"),
}
FINISH = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
PING = b'event: ping\ndata: {"type": "ping"}\n\n'


def anthropic_headers(status: int = 200) -> dict[str, str]:
    """Return the headers of an answer."""
    headers = {
        "request-id": f"req_011{token(21)}",
        "anthropic-ratelimit-requests-limit": "4000",
        "anthropic-ratelimit-requests-remaining": "3999",
        "anthropic-ratelimit-requests-reset": "2026-01-15T12:00:00Z",
    }
    if status == 429:
        headers |= {"retry-after": "1", "anthropic-ratelimit-requests-remaining": "0"}
    if status == 529:
        headers["x-should-retry"] = "true"
    return headers


class Messages(Wire):
    """A request to /messages."""

    def read(self) -> Ask:
        body = self.body
        messages = dicts(body.get("messages"))
        blocks = dicts(messages[-1].get("content")) if messages else []
        choice = body.get("tool_choice")
        choice = choice if isinstance(choice, dict) else {}
        wanted = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
        tools = [tool for tool in dicts(body.get("tools")) if tool.get("type") in (None, "custom")]
        return Ask(
            model=str(body.get("model") or self.target.model),
            stream=body.get("stream") is True if self.target.stream is None else self.target.stream,
            prompt=last(_prompt(m.get("content")) for m in messages if m.get("role") == "user"),
            tokens=tokens_of([body.get("system"), messages, body.get("tools")]),
            tools=tuple(Tool(str(tool.get("name")), tool.get("input_schema") or {}) for tool in tools),
            results=tuple(text_of(b.get("content")) for b in blocks if b.get("type") == "tool_result"),
            may_call=choice.get("type") != "none",
            must_call=choice.get("type") == "any",
            only=str(choice.get("name", "")) if choice.get("type") == "tool" else "",
            parallel=choice.get("disable_parallel_tool_use") is not True,
            schema=wanted.get("schema") if wanted.get("type") == "json_schema" else None,
            max_tokens=whole_number(body.get("max_tokens")),
            caching=_caches(
                [body, body.get("system"), body.get("tools"), *(m.get("content") for m in messages)]
            ),
        )

    def headers(self) -> Mapping[str, str]:
        return anthropic_headers()

    @classmethod
    def error(cls, status: int, message: str = "") -> tuple[bytes, Mapping[str, str]]:
        headers = anthropic_headers(status)
        kind, usual = ERRORS.get(status, ERRORS[500 if status >= 500 else 400])
        error = {"type": kind, "message": message or usual}
        return encode({"type": "error", "error": error, "request_id": headers["request-id"]}), headers

    def whole(self, script: Script) -> bytes:
        message = self.message(_usage(script.usage))
        message["content"] = [_whole(kind, script, call) for kind, call in _plan(script)]
        message["stop_reason"] = FINISH[script.finish]
        return encode(message)

    def frames(self, script: Script) -> Iterator[bytes]:
        usage = _usage(script.usage)
        yield event(
            "message_start", {"type": "message_start", "message": self.message({**usage, "output_tokens": 1})}
        )
        for index, (kind, call) in enumerate(_plan(script)):
            opened = _whole(kind, script, call) | _blank(kind)
            opening = event(
                "content_block_start",
                {"type": "content_block_start", "index": index, "content_block": opened},
            )
            yield opening + PING if index == 0 else opening
            delta, field, pieces = _growing(kind, script, call)
            frame = {"type": "content_block_delta", "index": index, "delta": {"type": delta, field: Hole}}
            template = Template(event("content_block_delta", frame))
            for piece in pieces:
                yield template.fill(encode(piece))
            if script.breaks and kind == "text":
                error, _ = self.error(529)
                yield b"event: error\ndata: " + error + b"\n\n"
                return
            if kind == "thinking":
                signed = {"type": "signature_delta", "signature": f"EqEE{token(120)}=="}
                yield event(
                    "content_block_delta",
                    {"type": "content_block_delta", "index": index, "delta": signed},
                )
            yield event("content_block_stop", {"type": "content_block_stop", "index": index})
        finished = {
            "type": "message_delta",
            "delta": {"stop_reason": FINISH[script.finish], "stop_sequence": None},
            "usage": {key: usage[key] for key in COUNTS},
        }
        yield event("message_delta", finished)
        yield event("message_stop", {"type": "message_stop"})

    def message(self, usage: dict[str, Any]) -> dict[str, Any]:
        """Return the message before anything is said."""
        return {
            "model": self.ask.model,
            "id": f"msg_01{token(22)}",
            "type": "message",
            "role": "assistant",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }


COUNTS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")


def _usage(usage: Usage) -> dict[str, Any]:
    """Return the counts; `input_tokens` excludes cached ones."""
    return {
        "input_tokens": usage.input - usage.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": usage.output,
        "service_tier": "standard",
        "inference_geo": "not_available",
    }


def _caches(places: list[Any]) -> bool:
    """Tell whether a cache breakpoint is set anywhere."""
    blocks = [block for place in places for block in (dicts(place) or dicts([place]))]
    return any(block.get("cache_control") for block in blocks)


def _prompt(content: Any) -> str:
    """Return what the user wrote, without what tools answered."""
    if isinstance(content, list):
        content = [block for block in dicts(content) if block.get("type") == "text"]
    return text_of(content)


def _plan(script: Script) -> list[tuple[str, Call | None]]:
    """List the blocks of an answer, in their order."""
    plan: list[tuple[str, Call | None]] = []
    if script.reasoning:
        plan.append(("thinking", None))
    if script.text:
        plan.append(("text", None))
    return plan + [("tool_use", call) for call in script.calls]


def _whole(kind: str, script: Script, call: Call | None) -> dict[str, Any]:
    """Return one block as it is when complete."""
    if call is not None:
        arguments = msgspec.json.decode(call.arguments)
        return {"type": kind, "id": f"toolu_01{token(22)}", "name": call.name, "input": arguments}
    if kind == "thinking":
        return {"type": kind, "thinking": script.whole_reasoning, "signature": f"EqEE{token(120)}=="}
    return {"type": kind, "text": script.whole_text}


def _blank(kind: str) -> dict[str, Any]:
    """Return what a block is without when it opens."""
    if kind == "thinking":
        return {"thinking": "", "signature": ""}
    return {"input": {}} if kind == "tool_use" else {"text": ""}


def _growing(kind: str, script: Script, call: Call | None) -> tuple[str, str, Any]:
    """Return the type of the deltas, the field that grows, and the pieces."""
    if call is not None:
        fragments = call.fragments() if call.arguments != "{}" else []
        return "input_json_delta", "partial_json", ["", *fragments]
    if kind == "thinking":
        return "thinking_delta", "thinking", script.reasoning
    return "text_delta", "text", script.text
