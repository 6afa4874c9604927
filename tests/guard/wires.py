"""Each wire's conversation with tools, as its vendor's client sends it and as its upstream answers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import anthropic
import openai
import orjson
from google import genai
from google.genai import types

from tests.harness.canaries import CLIENT_KEYS
from tests.harness.dialects import DIALECTS

ANY: dict[str, Any] = {"type": "object", "properties": {"file_path": {"type": "string"}}}
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
QUESTION = "What is new?"


@dataclass
class Seen:
    """What an application reads of an answer."""

    text: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Result:
    """One call that was made, and what came of it."""

    tool: str
    text: str
    call_id: str = "call_0"


class Wire(ABC):
    """One format; ``ask`` sends a question, the results so far and the declared tools through the vendor's client."""

    name: ClassVar[str]
    error: ClassVar[type[Exception]]

    @abstractmethod
    def whole(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]: ...

    def answer(self, name: str, arguments: dict[str, Any], *, stream: bool) -> bytes:
        """The upstream's answer that calls a tool, head and all."""
        if stream:
            dialect = DIALECTS[self.name]
            call = dialect.tool_call(name, orjson.dumps(arguments).decode())
            frames = [
                *dialect.start(),
                *dialect.text("Well. "),
                *call,
                *dialect.finish("tool"),
                *self.end(name, arguments),
            ]
            return STREAM_HEAD + b"".join(frames)
        body = orjson.dumps(self.whole(name, arguments))
        return (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
            + body
        )

    def end(self, name: str, arguments: dict[str, Any]) -> list[bytes]:
        return DIALECTS[self.name].end()

    @abstractmethod
    async def ask(
        self, port: int, tools: Sequence[str], results: Sequence[Result] = (), *, stream: bool, built_in: bool = False,
        headers: dict[str, str] | None = None,
    ) -> Seen:  # fmt: skip
        ...


def _openai(port: int, headers: dict[str, str] | None) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        base_url=f"http://127.0.0.1:{port}/v1/openai",
        api_key=CLIENT_KEYS["openai"],
        max_retries=0,
        default_headers=headers,
    )


class Chat(Wire):
    name = "chat"
    error = openai.PermissionDeniedError

    def whole(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        body: dict[str, Any] = orjson.loads(DIALECTS["chat"].whole(tool=name))
        body["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] = orjson.dumps(
            arguments
        ).decode()
        return body

    async def ask(self, port, tools, results=(), *, stream, built_in=False, headers=None):
        messages: list[Any] = [{"role": "user", "content": QUESTION}]
        for result in results:
            call = {
                "id": result.call_id,
                "type": "function",
                "function": {"name": result.tool, "arguments": "{}"},
            }
            messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
            messages.append({"role": "tool", "tool_call_id": result.call_id, "content": result.text})
        declared = [{"type": "function", "function": {"name": name, "parameters": ANY}} for name in tools]
        more: dict[str, Any] = {"web_search_options": {}} if built_in else {}
        async with _openai(port, headers) as client:
            answer = await client.chat.completions.create(
                model="gpt-4o-mini", messages=messages, tools=declared, stream=stream, **more
            )
            seen = Seen()
            parts: dict[int, list[str]] = {}
            if stream:
                async for chunk in answer:
                    for choice in chunk.choices:
                        self._read(choice.delta, seen, parts)
            else:
                self._read(answer.choices[0].message, seen, parts)
        seen.calls = [(name, orjson.loads(arguments)) for name, arguments in parts.values()]
        return seen

    def _read(self, message: Any, seen: Seen, parts: dict[int, list[str]]) -> None:
        seen.text += message.content or ""
        for number, call in enumerate(message.tool_calls or ()):
            part = parts.setdefault(getattr(call, "index", number), ["", ""])
            part[0] += call.function.name or ""
            part[1] += call.function.arguments or ""


class Responses(Wire):
    name = "responses"
    error = openai.PermissionDeniedError

    def whole(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        body: dict[str, Any] = orjson.loads(DIALECTS["responses"].whole())
        call = {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_1",
            "status": "completed",
            "name": name,
        }
        body["output"].append(call | {"arguments": orjson.dumps(arguments).decode()})
        return body

    def end(self, name: str, arguments: dict[str, Any]) -> list[bytes]:
        response = self.whole(name, arguments)
        response["output"][0]["content"][0]["text"] = "Well. "
        event = {"type": "response.completed", "sequence_number": 99, "response": response}
        return [b"event: response.completed\ndata: " + orjson.dumps(event) + b"\n\n"]

    async def ask(self, port, tools, results=(), *, stream, built_in=False, headers=None):
        items: list[Any] = [{"role": "user", "content": QUESTION}]
        for result in results:
            items.append(
                {"type": "function_call", "call_id": result.call_id, "name": result.tool, "arguments": "{}"}
            )
            items.append({"type": "function_call_output", "call_id": result.call_id, "output": result.text})
        declared: list[Any] = [
            {"type": "function", "name": name, "parameters": ANY, "strict": False} for name in tools
        ]
        if built_in:
            declared.append({"type": "web_search"})
        seen = Seen()
        async with _openai(port, headers) as client:
            answer = await client.responses.create(
                model="gpt-4o-mini", input=items, tools=declared, store=False, stream=stream
            )
            if stream:
                async for event in answer:
                    if event.type == "response.completed":
                        answer = event.response
                        break
            for item in answer.output:
                if item.type == "function_call":
                    seen.calls.append((item.name, orjson.loads(item.arguments)))
            seen.text = answer.output_text
        return seen


class Anthropic(Wire):
    name = "anthropic"
    error = anthropic.PermissionDeniedError

    def whole(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        body: dict[str, Any] = orjson.loads(DIALECTS["anthropic"].whole(tool=name))
        body["content"][0]["input"] = arguments
        return body

    async def ask(self, port, tools, results=(), *, stream, built_in=False, headers=None):
        messages: list[Any] = [{"role": "user", "content": QUESTION}]
        for result in results:
            call = {"type": "tool_use", "id": result.call_id, "name": result.tool, "input": {}}
            messages.append({"role": "assistant", "content": [call]})
            answered = {"type": "tool_result", "tool_use_id": result.call_id, "content": result.text}
            messages.append({"role": "user", "content": [answered]})
        declared: list[Any] = [{"name": name, "input_schema": ANY} for name in tools]
        if built_in:
            declared.append({"type": "web_search_20250305", "name": "web_search"})
        request: dict[str, Any] = {
            "model": "claude-x",
            "max_tokens": 99,
            "messages": messages,
            "tools": declared,
        }
        async with anthropic.AsyncAnthropic(
            base_url=f"http://127.0.0.1:{port}/v1/anthropic",
            api_key=CLIENT_KEYS["anthropic"],
            max_retries=0,
            default_headers=headers,
        ) as client:
            if stream:
                async with client.messages.stream(**request) as events:
                    answer = await events.get_final_message()
            else:
                answer = await client.messages.create(**request)
        return Seen(
            "".join(block.text for block in answer.content if block.type == "text"),
            [(block.name, block.input) for block in answer.content if block.type == "tool_use"],
        )


class Gemini(Wire):
    name = "gemini"
    error = genai.errors.ClientError

    def whole(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        body: dict[str, Any] = orjson.loads(DIALECTS["gemini"].whole(tool=name))
        body["candidates"][0]["content"]["parts"][0]["functionCall"]["args"] = arguments
        return body

    async def ask(self, port, tools, results=(), *, stream, built_in=False, headers=None):
        contents: list[Any] = [types.Content(role="user", parts=[types.Part(text=QUESTION)])]
        for result in results:
            call = types.FunctionCall(name=result.tool, args={})
            answered = types.FunctionResponse(name=result.tool, response={"result": result.text})
            contents.append(types.Content(role="model", parts=[types.Part(function_call=call)]))
            contents.append(types.Content(role="user", parts=[types.Part(function_response=answered)]))
        declared = [
            types.Tool(
                function_declarations=[{"name": name, "parameters_json_schema": ANY} for name in tools]
            )
        ]
        if built_in:
            declared.append(types.Tool(google_search=types.GoogleSearch()))
        config = types.GenerateContentConfig(
            tools=declared, automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True)
        )
        options = types.HttpOptions(base_url=f"http://127.0.0.1:{port}/v1/gemini", headers=headers)
        client = genai.Client(api_key=CLIENT_KEYS["gemini"], http_options=options)
        models = client.aio.models
        if stream:
            found = [
                chunk
                async for chunk in await models.generate_content_stream(
                    model="gemini-2.5-flash", contents=contents, config=config
                )
            ]
        else:
            found = [
                await models.generate_content(model="gemini-2.5-flash", contents=contents, config=config)
            ]
        await client.aio.aclose()
        client.close()
        seen = Seen()
        for chunk in found:
            for part in chunk.candidates[0].content.parts or ():
                seen.text += part.text or ""
                if part.function_call:
                    seen.calls.append((part.function_call.name, part.function_call.args))
        return seen


WIRES = {wire.name: wire for wire in (Chat(), Responses(), Anthropic(), Gemini())}
