"""Conversations with tools in the four wire formats, for replays: what an agent sends, and which calls it gets.

Written by hand, independent of the gateway's adapters. The answers come from the demo's own writers of these formats.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import msgspec
import orjson

from gateway.demo.anthropic import Messages
from gateway.demo.gemini import GenerateContent
from gateway.demo.openai_chat import ChatCompletions
from gateway.demo.openai_responses import Responses
from gateway.demo.scenario import Call, Script, Usage
from gateway.demo.wire import Target, Wire

GO_ON = "Go on."


class Tool(msgspec.Struct, frozen=True):
    """What a request declares."""

    name: str
    description: str
    parameters: dict[str, Any]


class Step(msgspec.Struct, frozen=True):
    """One turn of the model, and what the agent says to it: a call with its result, or only a text."""

    tool: str = ""
    arguments: Mapping[str, Any] = {}
    result: str = ""
    text: str = ""


class Asked(msgspec.Struct, frozen=True):
    """One call in an answer."""

    tool: str
    arguments: Any


class Answer(msgspec.Struct, frozen=True):
    """What an agent reads of an answer."""

    calls: tuple[Asked, ...]
    text: str


class Dialect(ABC):
    """One wire format."""

    name: ClassVar[str]
    provider: ClassVar[str]
    wire: ClassVar[type[Wire]]

    @abstractmethod
    def path(self, *, stream: bool) -> str:
        """Return the path behind the provider's prefix."""

    @abstractmethod
    def body(
        self, prompt: str, steps: Sequence[Step], tools: Sequence[Tool], *, stream: bool
    ) -> dict[str, Any]:
        """Return a request."""

    @abstractmethod
    def heard(self, body: dict[str, Any]) -> list[str]:
        """Return the prompt, and what was said to each turn of the model in this request's history."""

    @abstractmethod
    def read_whole(self, answer: Any) -> Iterator[Asked | str]:
        """Yield what a whole answer says."""

    @abstractmethod
    def read_events(self, events: Sequence[Any]) -> Iterator[Asked | str]:
        """Yield what a stream says."""

    def read(self, answer: bytes, *, stream: bool) -> Answer:
        """Read an answer's calls and text."""
        if stream:
            lines = [line[5:].strip() for line in answer.splitlines() if line.startswith(b"data:")]
            found = list(self.read_events([orjson.loads(line) for line in lines if line != b"[DONE]"]))
        else:
            found = list(self.read_whole(orjson.loads(answer)))
        return Answer(
            tuple(one for one in found if isinstance(one, Asked)),
            "".join(one for one in found if isinstance(one, str)),
        )

    def write(self, body: dict[str, Any], call: Call | None, *, stream: bool) -> bytes:
        """Return an answer to this request: the call, or a few words."""
        wire = self.wire(body, Target(provider=self.provider, model="dojo", stream=stream))
        usage = Usage(input=20, cached=0, output=10, reasoning=0)
        script = (
            Script(usage=usage, calls=(call,), finish="tool_calls")
            if call
            else Script(usage=usage, text=("Done.",))
        )
        return b"".join(wire.frames(script)) if stream else wire.whole(script)


def encoded(arguments: Mapping[str, Any]) -> str:
    """Arguments as the text that models write."""
    return orjson.dumps(arguments).decode()


class Chat(Dialect):
    """OpenAI chat completions."""

    name = "chat"
    provider = "openai"
    wire = ChatCompletions

    def path(self, *, stream: bool) -> str:
        return "/chat/completions"

    def body(
        self, prompt: str, steps: Sequence[Step], tools: Sequence[Tool], *, stream: bool
    ) -> dict[str, Any]:
        messages: list[dict[str, Any]] = [{"role": "user", "content": prompt}]
        for number, step in enumerate(steps):
            if not step.tool:
                messages.append({"role": "assistant", "content": step.text})
                messages.append({"role": "user", "content": GO_ON})
                continue
            function = {"name": step.tool, "arguments": encoded(step.arguments)}
            call = {"id": f"call_{number}", "type": "function", "function": function}
            messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
            messages.append({"role": "tool", "tool_call_id": f"call_{number}", "content": step.result})
        declared = [{"type": "function", "function": msgspec.to_builtins(tool)} for tool in tools]
        return {"model": "dojo", "messages": messages, "tools": declared, "stream": stream}

    def heard(self, body: dict[str, Any]) -> list[str]:
        return [message["content"] for message in body["messages"] if message["role"] != "assistant"]

    def read_whole(self, answer: Any) -> Iterator[Asked | str]:
        message = answer["choices"][0]["message"]
        yield message.get("content") or ""
        for call in message.get("tool_calls") or []:
            yield Asked(call["function"]["name"], orjson.loads(call["function"]["arguments"]))

    def read_events(self, events: Sequence[Any]) -> Iterator[Asked | str]:
        names: dict[int, str] = {}
        pieces: dict[int, str] = {}
        for choice in (choice for event in events for choice in event["choices"]):
            yield choice["delta"].get("content") or ""
            for call in choice["delta"].get("tool_calls") or []:
                index, function = call["index"], call["function"]
                names.setdefault(index, function.get("name") or "")
                pieces[index] = pieces.get(index, "") + (function.get("arguments") or "")
        for index, name in names.items():
            yield Asked(name, orjson.loads(pieces[index]))


class ResponsesApi(Dialect):
    """OpenAI responses, with the whole history in each request."""

    name = "responses"
    provider = "openai"
    wire = Responses

    def path(self, *, stream: bool) -> str:
        return "/responses"

    def body(
        self, prompt: str, steps: Sequence[Step], tools: Sequence[Tool], *, stream: bool
    ) -> dict[str, Any]:
        items: list[dict[str, Any]] = [{"role": "user", "content": prompt}]
        for number, step in enumerate(steps):
            name = f"call_{number}"
            if not step.tool:
                items.append({"role": "assistant", "content": step.text})
                items.append({"role": "user", "content": GO_ON})
                continue
            call = {"type": "function_call", "call_id": name, "name": step.tool}
            items.append({**call, "arguments": encoded(step.arguments)})
            items.append({"type": "function_call_output", "call_id": name, "output": step.result})
        declared = [{"type": "function", **msgspec.to_builtins(tool)} for tool in tools]
        return {"model": "dojo", "input": items, "tools": declared, "store": False, "stream": stream}

    def heard(self, body: dict[str, Any]) -> list[str]:
        said = ("function_call", "assistant")
        items = [item for item in body["input"] if item.get("type", item.get("role")) not in said]
        return [item["content"] if "content" in item else item["output"] for item in items]

    def read_whole(self, answer: Any) -> Iterator[Asked | str]:
        for item in answer["output"]:
            if item["type"] == "function_call":
                yield Asked(item["name"], orjson.loads(item["arguments"]))
            elif item["type"] == "message":
                yield "".join(part["text"] for part in item["content"])

    def read_events(self, events: Sequence[Any]) -> Iterator[Asked | str]:
        for event in events:
            if event["type"] == "response.output_text.delta":
                yield event["delta"]
            elif event["type"] == "response.output_item.done" and event["item"]["type"] == "function_call":
                yield Asked(event["item"]["name"], orjson.loads(event["item"]["arguments"]))


class AnthropicMessages(Dialect):
    """Anthropic messages."""

    name = "anthropic"
    provider = "anthropic"
    wire = Messages

    def path(self, *, stream: bool) -> str:
        return "/v1/messages"

    def body(
        self, prompt: str, steps: Sequence[Step], tools: Sequence[Tool], *, stream: bool
    ) -> dict[str, Any]:
        messages: list[dict[str, Any]] = [{"role": "user", "content": prompt}]
        for number, step in enumerate(steps):
            said: dict[str, Any] = {"type": "text", "text": step.text}
            heard: dict[str, Any] = {"type": "text", "text": GO_ON}
            if step.tool:
                name = f"toolu_{number}"
                said = {"type": "tool_use", "id": name, "name": step.tool, "input": step.arguments}
                heard = {"type": "tool_result", "tool_use_id": name, "content": step.result}
            messages.append({"role": "assistant", "content": [said]})
            messages.append({"role": "user", "content": [heard]})
        declared = [
            {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
            for tool in tools
        ]
        return {
            "model": "dojo",
            "max_tokens": 1000,
            "messages": messages,
            "tools": declared,
            "stream": stream,
        }

    def heard(self, body: dict[str, Any]) -> list[str]:
        prompt, *rest = [message["content"] for message in body["messages"] if message["role"] == "user"]
        return [prompt, *(block.get("text") or block["content"] for (block,) in rest)]

    def read_whole(self, answer: Any) -> Iterator[Asked | str]:
        for block in answer["content"]:
            yield Asked(block["name"], block["input"]) if block["type"] == "tool_use" else block["text"]

    def read_events(self, events: Sequence[Any]) -> Iterator[Asked | str]:
        names: dict[int, str] = {}
        pieces: dict[int, str] = {}
        for event in events:
            if event["type"] == "content_block_start" and event["content_block"]["type"] == "tool_use":
                names[event["index"]] = event["content_block"]["name"]
            elif event["type"] == "content_block_delta":
                delta, index = event["delta"], event["index"]
                yield delta.get("text", "")
                pieces[index] = pieces.get(index, "") + delta.get("partial_json", "")
        for index, name in names.items():
            yield Asked(name, orjson.loads(pieces.get(index) or "{}"))


class Gemini(Dialect):
    """Gemini generateContent."""

    name = "gemini"
    provider = "gemini"
    wire = GenerateContent

    def path(self, *, stream: bool) -> str:
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"/v1beta/models/dojo:{method}"

    def body(
        self, prompt: str, steps: Sequence[Step], tools: Sequence[Tool], *, stream: bool
    ) -> dict[str, Any]:
        contents: list[dict[str, Any]] = [{"role": "user", "parts": [{"text": prompt}]}]
        for step in steps:
            said: dict[str, Any] = {"text": step.text}
            heard: dict[str, Any] = {"text": GO_ON}
            if step.tool:
                said = {"functionCall": {"name": step.tool, "args": step.arguments}}
                heard = {"functionResponse": {"name": step.tool, "response": {"result": step.result}}}
            contents.append({"role": "model", "parts": [said]})
            contents.append({"role": "user", "parts": [heard]})
        declared = [
            {"name": tool.name, "description": tool.description, "parametersJsonSchema": tool.parameters}
            for tool in tools
        ]
        return {"contents": contents, "tools": [{"functionDeclarations": declared}]}

    def heard(self, body: dict[str, Any]) -> list[str]:
        parts = [content["parts"][0] for content in body["contents"] if content["role"] == "user"]
        return [
            part["text"] if "text" in part else part["functionResponse"]["response"]["result"]
            for part in parts
        ]

    def read_whole(self, answer: Any) -> Iterator[Asked | str]:
        return self.read_events([answer])

    def read_events(self, events: Sequence[Any]) -> Iterator[Asked | str]:
        for event in events:
            for part in event["candidates"][0].get("content", {}).get("parts", []):
                call = part.get("functionCall")
                yield Asked(call["name"], call["args"]) if call else part.get("text", "")


DIALECTS: tuple[Dialect, ...] = (Chat(), ResponsesApi(), AnthropicMessages(), Gemini())

Choose = Callable[[str, Sequence[str]], Call | None]
"""What a scripted model does: it reads the prompt, and what was said to each of its turns; ``None``: it has done."""


def answer(body: bytes, path: str, choose: Choose) -> tuple[bytes, str]:
    """Answer a request that reached the provider; return the body and its content type."""
    dialect = next(one for one in DIALECTS if one.path(stream=False).split(":")[0] in path)
    read = orjson.loads(body)
    stream = read.get("stream") is True or ":streamGenerateContent" in path
    prompt, *heard = dialect.heard(read)
    kind = "text/event-stream" if stream else "application/json"
    return dialect.write(read, choose(prompt, heard), stream=stream), kind
