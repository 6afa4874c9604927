"""OpenAI chat completions, and the small ways in which compatible providers differ."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from gateway.demo.ask import Ask, Tool, dicts, last, text_of, tokens_of, whole_number
from gateway.demo.scenario import Call, Script, Usage
from gateway.demo.wire import Hole, Template, Wire, data, encode, hexadecimal, token

# Where a compatible provider puts its thoughts; everyone else says `reasoning_content`.
SAYS_REASONING = frozenset({"groq", "openrouter", "cerebras", "together", "vllm", "ollama"})
# They send usage on the finishing chunk, asked or not.
USAGE_UNASKED = frozenset({"mistral", "zhipu", "zai", "huggingface"})

ERRORS: dict[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", None, "The request is not valid."),
    401: (
        "invalid_request_error",
        "invalid_api_key",
        "Incorrect API key provided: demo. You can find your API key at https://platform.openai.com/account/api-keys.",
    ),
    403: ("invalid_request_error", None, "You are not allowed to use this model."),
    404: (
        "invalid_request_error",
        "model_not_found",
        "The model `demo` does not exist or you do not have access to it.",
    ),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests. Please try again in 1s."),
    503: ("service_unavailable_error", "server_is_overloaded", "The engine is currently overloaded."),
}
SERVER_ERROR = (
    "server_error",
    None,
    "The server had an error while processing your request. Sorry about that!",
)


def openai_error(status: int, message: str = "") -> dict[str, Any]:
    """Return the object that both OpenAI formats put under `error`."""
    kind, code, usual = ERRORS.get(status, SERVER_ERROR if status >= 500 else ERRORS[400])
    return {"message": message or usual, "type": kind, "param": None, "code": code}


def openai_headers(status: int = 200) -> dict[str, str]:
    """Return the headers of an answer of either OpenAI format."""
    headers = {
        "x-request-id": f"req_{hexadecimal(32)}",
        "openai-version": "2020-10-01",
        "openai-processing-ms": "12",
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": "9999",
    }
    if status == 429:
        headers |= {"retry-after": "1", "retry-after-ms": "1000", "x-ratelimit-remaining-requests": "0"}
    return headers


class ChatCompletions(Wire):
    """A request to /chat/completions."""

    def read(self) -> Ask:
        body = self.body
        messages = dicts(body.get("messages"))
        results: list[str] = []
        for message in reversed(messages):
            if message.get("role") not in ("tool", "function"):
                break
            results.insert(0, text_of(message.get("content")))
        choice = body.get("tool_choice")
        named = choice if isinstance(choice, dict) else {}
        return Ask(
            model=str(body.get("model") or self.target.model),
            stream=body.get("stream") is True,
            prompt=last(text_of(m.get("content")) for m in messages if m.get("role") == "user"),
            tokens=tokens_of([messages, body.get("tools")]),
            tools=tuple(filter(None, map(_tool, dicts(body.get("tools"))))),
            results=tuple(results),
            may_call=choice != "none",
            must_call=choice == "required",
            only=str((named.get("function") or named.get("custom") or {}).get("name", "")),
            parallel=body.get("parallel_tool_calls") is not False,
            schema=_schema(body.get("response_format")),
            max_tokens=whole_number(body.get("max_completion_tokens"))
            or whole_number(body.get("max_tokens")),
        )

    def headers(self) -> Mapping[str, str]:
        return openai_headers()

    @classmethod
    def error(cls, status: int, message: str = "") -> tuple[bytes, Mapping[str, str]]:
        body = orjson.dumps({"error": openai_error(status, message)}, option=orjson.OPT_INDENT_2)
        return body, openai_headers(status)

    def whole(self, script: Script) -> bytes:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": script.whole_text or None,
            "refusal": None,
            "annotations": [],
        }
        if script.reasoning:
            message[self.reasoning] = script.whole_reasoning
        choices = []
        for index in range(self.choices):
            if script.calls:
                message = {**message, "tool_calls": [_whole_call(call) for call in script.calls]}
            choices.append(
                {"index": index, "message": message, "logprobs": None, "finish_reason": script.finish},
            )
        body = {
            "id": f"chatcmpl-{token(29)}",
            "object": "chat.completion",
            "created": self.created,
            "model": self.ask.model,
            "choices": choices,
            "usage": self.usage(script.usage),
            "service_tier": "default",
            "system_fingerprint": "fp_demo0000",
        }
        return orjson.dumps(body, option=orjson.OPT_INDENT_2) + b"\n"

    def frames(self, script: Script) -> Iterator[bytes]:
        shared = {
            "id": f"chatcmpl-{token(29)}",
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.ask.model,
            "service_tier": "default",
            "system_fingerprint": "fp_demo0000",
        }
        options = self.body.get("stream_options")
        asked = isinstance(options, dict) and options.get("include_usage") is True
        unasked = self.target.provider in USAGE_UNASKED
        tail: dict[str, Any] = {"usage": None} if asked and not unasked else {}
        templates: dict[str, Template] = {}

        def chunk(index: int, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
            choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
            return {**shared, "choices": [choice], **tail}

        def pieces(field: str, index: int, texts: Any) -> Iterator[bytes]:
            template = templates.setdefault(f"{field} {index}", Template(data(chunk(index, {field: Hole}))))
            for text in texts:
                yield template.fill(encode(text))

        for index in range(self.choices):
            calls = list(enumerate(script.calls))
            said = bool(script.text or script.reasoning)
            role: dict[str, Any] = {"role": "assistant", "content": "" if said or not calls else None}
            if len(calls) == 1 and not said:  # then OpenAI opens the call in the very first chunk
                role["tool_calls"] = [_opened(0, script.calls[0])]
            yield data(chunk(index, {**role, "refusal": None}))
            yield from pieces(self.reasoning, index, script.reasoning)
            yield from pieces("content", index, script.text)
            for number, call in calls:
                if "tool_calls" not in role:
                    yield data(chunk(index, {"tool_calls": [_opened(number, call)]}))
                kind, field = ("custom", "input") if call.custom else ("function", "arguments")
                for fragment in call.fragments():
                    delta = {"tool_calls": [{"index": number, kind: {field: fragment}}]}
                    yield data(chunk(index, delta))
            if script.breaks:
                yield data({"error": openai_error(500)})
                return
            if unasked:
                tail = {"usage": self.usage(script.usage)}
            yield data(chunk(index, {}, script.finish))
        if asked and not unasked:
            yield data({**shared, "choices": [], "usage": self.usage(script.usage)})
        yield b"data: [DONE]\n\n"

    @property
    def reasoning(self) -> str:
        """The field for thoughts."""
        return "reasoning" if self.target.provider in SAYS_REASONING else "reasoning_content"

    @property
    def choices(self) -> int:
        """How many alternatives the client wants."""
        return min(whole_number(self.body.get("n")) or 1, 8)

    def usage(self, usage: Usage) -> dict[str, Any]:
        """Return the counts; `prompt_tokens` includes cached ones."""
        output = usage.output * self.choices
        return {
            "prompt_tokens": usage.input,
            "completion_tokens": output,
            "total_tokens": usage.input + output,
            "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": usage.reasoning * self.choices,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }


def _tool(declared: dict[str, Any]) -> Tool | None:
    if isinstance(custom := declared.get("custom"), dict):
        return Tool(str(custom.get("name")), {}, custom=True)
    if isinstance(function := declared.get("function"), dict):
        return Tool(str(function.get("name")), function.get("parameters") or {})
    return None


def _schema(wanted: Any) -> Mapping[str, Any] | None:
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind == "json_schema":
        return (wanted.get("json_schema") or {}).get("schema") or {}
    return {} if kind == "json_object" else None


def _whole_call(call: Call) -> dict[str, Any]:
    if call.custom:
        return {
            "id": f"call_{token(24)}",
            "type": "custom",
            "custom": {"name": call.name, "input": call.arguments},
        }
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": f"call_{token(24)}", "type": "function", "function": function}


def _opened(index: int, call: Call) -> dict[str, Any]:
    if call.custom:
        return {
            "index": index,
            "id": f"call_{token(24)}",
            "type": "custom",
            "custom": {"name": call.name, "input": ""},
        }
    return {
        "index": index,
        "id": f"call_{token(24)}",
        "type": "function",
        "function": {"name": call.name, "arguments": ""},
    }
