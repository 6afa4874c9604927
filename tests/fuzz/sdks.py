"""The vendors' own clients, in process and without sockets: what they make of the bytes that left the gate."""

import functools
import json  # noqa: TID251  # another parser than the gateway's
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx2
import openai
from google import genai
from google.genai import types as genai_types

_MESSAGES: list[Any] = [{"role": "user", "content": "Hi"}]


class Replay:
    """A transport that answers every request with the same bytes."""

    def __init__(self) -> None:
        self.body = b""
        self.content_type = ""
        transport = httpx2.MockTransport(self._answer)
        self.http = httpx2.Client(transport=transport)
        self.openai = openai.OpenAI(
            api_key="k", base_url="http://replay/v1", http_client=self.http, max_retries=0
        )
        self.anthropic = anthropic.Anthropic(
            api_key="k", base_url="http://replay", http_client=self.http, max_retries=0
        )
        options = genai_types.HttpOptions(base_url="http://replay", httpx_client=self.http)
        self.genai = genai.Client(api_key="k", http_options=options)

    def _answer(self, _: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": self.content_type}, content=self.body)


@functools.cache
def replay() -> Replay:
    return Replay()


def documents(
    format_: str, body: bytes, content_type: str, *, stream: bool
) -> Iterator[tuple[str, list[Any]]]:
    """Yield what each way of using the vendor's client makes of an answer, as JSON documents, with the way's name.

    What it read before it raised counts too.
    """
    made = replay()
    made.body, made.content_type = body, content_type
    for name, read in _WAYS[format_, stream]:
        found: list[Any] = []
        try:
            for model in read(made):
                found.append(_dumped(model))  # what was found counts although the next one raises
        except Exception as error:
            found.append({"error": repr(error)})
        yield name, found


def _dumped(model: Any) -> Any:
    if isinstance(model, dict):
        return model
    kind = {"warnings": "none"} if not isinstance(model, genai_types.GenerateContentResponse) else {}
    return json.loads(json.dumps(model.model_dump(mode="json", exclude_none=True, **kind), default=repr))


def _chat(made: Replay) -> Iterator[Any]:
    yield made.openai.chat.completions.create(model="m", messages=_MESSAGES)


def _chat_stream(made: Replay) -> Iterator[Any]:
    yield from made.openai.chat.completions.create(model="m", messages=_MESSAGES, stream=True)


def _chat_helper(made: Replay) -> Iterator[Any]:
    with made.openai.chat.completions.stream(model="m", messages=_MESSAGES) as stream:
        try:
            for event in stream:
                if event.type == "tool_calls.function.arguments.done":
                    yield {"type": "call", "name": event.name, "arguments": event.arguments}
        finally:
            yield stream.current_completion_snapshot


def _responses(made: Replay) -> Iterator[Any]:
    yield made.openai.responses.create(model="m", input="Hi")


def _responses_stream(made: Replay) -> Iterator[Any]:
    yield from made.openai.responses.create(model="m", input="Hi", stream=True)


def _responses_helper(made: Replay) -> Iterator[Any]:
    with made.openai.responses.stream(model="m", input="Hi") as stream:
        yield from stream
        yield stream.get_final_response()


def _anthropic(made: Replay) -> Iterator[Any]:
    yield made.anthropic.messages.create(model="m", max_tokens=9, messages=_MESSAGES)


def _anthropic_stream(made: Replay) -> Iterator[Any]:
    yield from made.anthropic.messages.create(model="m", max_tokens=9, messages=_MESSAGES, stream=True)


def _anthropic_helper(made: Replay) -> Iterator[Any]:
    with made.anthropic.messages.stream(model="m", max_tokens=9, messages=_MESSAGES) as stream:
        try:
            for event in stream:
                if event.type == "content_block_stop":
                    yield event.content_block
        finally:
            yield stream.current_message_snapshot


def _gemini(made: Replay) -> Iterator[Any]:
    yield made.genai.models.generate_content(model="m", contents="Hi")


def _gemini_stream(made: Replay) -> Iterator[Any]:
    yield from made.genai.models.generate_content_stream(model="m", contents="Hi")


_Way = tuple[str, Callable[[Replay], Iterator[Any]]]
_WAYS: dict[tuple[str, bool], list[_Way]] = {
    ("chat", False): [("create", _chat)],
    ("chat", True): [("raw", _chat_stream), ("helper", _chat_helper)],
    ("responses", False): [("create", _responses)],
    ("responses", True): [("raw", _responses_stream), ("helper", _responses_helper)],
    ("anthropic", False): [("create", _anthropic)],
    ("anthropic", True): [("raw", _anthropic_stream), ("helper", _anthropic_helper)],
    ("gemini", False): [("create", _gemini)],
    ("gemini", True): [("raw", _gemini_stream)],
}
