"""Gemini generateContent: every chunk is a whole response, as server-sent events or as elements of a JSON array."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import msgspec
import orjson

from gateway.demo.ask import Ask, Tool, dicts, last, text_of, tokens_of, whole_number
from gateway.demo.scenario import Script, Usage
from gateway.demo.wire import Hole, Template, Wire, encode, token

STATUSES: dict[int, tuple[str, str]] = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
    403: ("PERMISSION_DENIED", "The caller does not have permission."),
    404: ("NOT_FOUND", "models/demo is not found for API version v1beta."),
    429: ("RESOURCE_EXHAUSTED", "You exceeded your current quota. Please retry in 1s."),
    500: ("INTERNAL", "An internal error has occurred."),
    503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    504: ("DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
}
FINISH = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP"}  # there is none for tools


class GenerateContent(Wire):
    """A request to :generateContent or :streamGenerateContent."""

    whole_type: ClassVar[str] = "application/json; charset=UTF-8"

    def read(self) -> Ask:
        body = self.body
        self.stream_type = "text/event-stream" if self.target.sse else self.whole_type
        contents = dicts(body.get("contents"))
        parts = dicts(contents[-1].get("parts")) if contents else []
        results = [result for part in parts if (result := _either(part, "functionResponse"))]
        config = _either(body, "generationConfig") or {}
        calling = _either(_either(body, "toolConfig") or {}, "functionCallingConfig") or {}
        names = _either(calling, "allowedFunctionNames") or []
        tools = [
            Tool(
                str(declared.get("name")),
                _either(declared, "parametersJsonSchema") or declared.get("parameters") or {},
            )
            for tool in dicts(body.get("tools"))
            for declared in dicts(_either(tool, "functionDeclarations"))
        ]
        return Ask(
            model=self.target.model,
            stream=self.target.stream is True,
            prompt=last(
                text_of(content.get("parts")) for content in contents if content.get("role", "user") == "user"
            ),
            tokens=tokens_of([_either(body, "systemInstruction"), contents, body.get("tools")]),
            tools=tuple(tool for tool in tools if not names or tool.name in names),
            results=tuple(_result(result.get("response")) for result in results),
            may_call=calling.get("mode") != "NONE",
            must_call=calling.get("mode") == "ANY",
            schema=_schema(config),
            max_tokens=whole_number(_either(config, "maxOutputTokens")),
        )

    def headers(self) -> Mapping[str, str]:
        return {"x-gemini-service-tier": "standard"}

    @classmethod
    def error(cls, status: int, message: str = "") -> tuple[bytes, Mapping[str, str]]:
        return orjson.dumps(_error(status, message), option=orjson.OPT_INDENT_2) + b"\n", {}

    def whole(self, script: Script) -> bytes:
        parts: list[dict[str, Any]] = []
        if script.reasoning:
            parts.append({"text": script.whole_reasoning, "thought": True})
        if script.text:
            parts.append({"text": script.whole_text})
        parts += _calls(script)
        return self.pretty(parts, self.usage(script.usage), f"{token(22)}Q", script) + b"\n"

    def frames(self, script: Script) -> Iterator[bytes]:
        frame = self.event if self.target.sse else self.element
        name = f"{token(22)}Q"
        spent = script.usage.input
        usage = {"promptTokenCount": spent, "totalTokenCount": spent}
        growing = {"promptTokenCount": spent, "candidatesTokenCount": Hole, "totalTokenCount": Hole}
        said = 0
        yield b"" if self.target.sse else b"["
        first = True
        for thought, pieces in ((True, script.reasoning), (False, script.text)):
            flag = {"thought": True} if thought else {}
            body = self.pretty([{"text": Hole, **flag}], usage if thought else growing, name, None)
            template, later = Template(frame(body, first=first)), Template(frame(body, first=False))
            for piece in pieces:
                said += 0 if thought else len(piece)
                counts = () if thought else (b"%d" % (said // 4), b"%d" % (spent + said // 4))
                yield template.fill(encode(piece), *counts)
                template, first = later, False
        if script.breaks:
            broken = orjson.dumps(_error(503), option=orjson.OPT_INDENT_2)
            yield frame(broken, first=first) + (b"" if self.target.sse else b"\n]")
            return
        for part in _calls(script):  # a call arrives whole
            yield frame(self.pretty([part], usage, name, None), first=first)
            first = False
        closing = self.pretty([{"text": ""}], self.usage(script.usage), name, script)
        yield frame(closing, first=first)
        if not self.target.sse:
            yield b"\n]"

    def event(self, pretty: bytes, *, first: bool) -> bytes:  # first matters to the array
        """Return a chunk as a server-sent event: the same lines without their indentation."""
        return b"data: " + b"".join(line.strip() for line in pretty.split(b"\n")) + b"\r\n\r\n"

    def element(self, pretty: bytes, *, first: bool) -> bytes:
        """Return a chunk as an element of the array."""
        return pretty if first else b"\n,\r\n" + pretty

    def pretty(
        self, parts: list[dict[str, Any]], usage: dict[str, Any], name: str, ending: Script | None
    ) -> bytes:
        """Return one response; the last one says why it ends."""
        candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}}
        if ending is not None:
            candidate["finishReason"] = FINISH[ending.finish]
        candidate["index"] = 0
        body = {
            "candidates": [candidate],
            "usageMetadata": usage,
            "modelVersion": self.target.model,
            "responseId": name,
        }
        return orjson.dumps(body, option=orjson.OPT_INDENT_2)

    def usage(self, usage: Usage) -> dict[str, Any]:
        """Return the counts; `candidatesTokenCount` excludes thoughts."""
        counts: dict[str, Any] = {
            "promptTokenCount": usage.input,
            "candidatesTokenCount": usage.output - usage.reasoning,
            "totalTokenCount": usage.input + usage.output,
        }
        if usage.cached:
            counts["cachedContentTokenCount"] = usage.cached
            counts["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": usage.cached}]
        counts["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": usage.input}]
        if usage.reasoning:
            counts["thoughtsTokenCount"] = usage.reasoning
        return counts


def _either(value: Any, name: str) -> Any:
    """Return a field under its camelCase or its snake_case name."""
    if not isinstance(value, dict):
        return None
    if name in value:
        return value[name]
    return value.get("".join("_" + letter.lower() if letter.isupper() else letter for letter in name))


def _result(response: Any) -> str:
    """Return the text of a tool result; a lone conventional key is not part of it."""
    if isinstance(response, dict) and len(response) == 1:
        response = next(
            (response[key] for key in ("result", "output", "content") if key in response), response
        )
    return response if isinstance(response, str) else encode(response).decode()


def _schema(config: Any) -> Mapping[str, Any] | None:
    schema = _either(config, "responseJsonSchema") or _either(config, "responseSchema")
    if isinstance(schema, dict):
        return schema
    return {} if _either(config, "responseMimeType") == "application/json" else None


def _calls(script: Script) -> list[dict[str, Any]]:
    """Return one part for each call; only the first is signed."""
    parts: list[dict[str, Any]] = []
    for index, call in enumerate(script.calls):
        part: dict[str, Any] = {
            "functionCall": {"name": call.name, "args": msgspec.json.decode(call.arguments)},
        }
        if index == 0:
            part["thoughtSignature"] = f"EpwI{token(124)}"
        parts.append(part)
    return parts


def _error(status: int, message: str = "") -> dict[str, Any]:
    kind, usual = STATUSES.get(status, STATUSES[500 if status >= 500 else 400])
    error: dict[str, Any] = {"code": status, "message": message or usual, "status": kind}
    if status == 429:
        error["details"] = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s"}]
    return {"error": error}
