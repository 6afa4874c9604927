"""A refused tool call: the vendors' clients see a finished message that says so, and no call."""

from typing import Any

import pytest
from google.genai import types

from tests.clients.sdk import anthropic_client, gemini_client, openai_client

_CITY: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
each_way = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
each_model = pytest.mark.parametrize("model", ["demo-tool", "demo-tools"])


def is_refusal(text: str) -> bool:
    return "get_weather was denied by a tool invocation policy (interaction " in text


@each_way
@each_model
def test_chat(gateway_for, model, stream):
    tools = [
        {"type": "function", "function": {"name": name, "parameters": _CITY}}
        for name in ("get_weather", "get_time")
    ]
    request: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": "Hi"}],
        "tools": tools,
    }
    with openai_client(gateway_for("gated")) as client:
        if stream:
            with client.chat.completions.stream(**request, stream_options={"include_usage": True}) as events:
                answer = events.get_final_completion()
        else:
            answer = client.chat.completions.create(**request)
        choice = answer.choices[0]
        assert is_refusal(choice.message.content)
        assert not choice.message.tool_calls
        assert choice.finish_reason == "stop"
        assert answer.usage.completion_tokens > 0
        # The conversation goes on.
        request["messages"] += [
            {"role": "assistant", "content": choice.message.content},
            {"role": "user", "content": "demo-text then"},
        ]
        assert (
            client.chat.completions.create(**{**request, "model": "demo-text"}).choices[0].finish_reason
            == "stop"
        )


@each_way
@each_model
def test_responses(gateway_for, model, stream):
    tools = [{"type": "function", "name": name, "parameters": _CITY} for name in ("get_weather", "get_time")]
    request: dict[str, Any] = {"model": model, "input": "Hi", "tools": tools, "store": False}
    with openai_client(gateway_for("gated")) as client:
        if stream:
            with client.responses.stream(**request) as events:
                seen = list(events)
                answer = events.get_final_response()
            assert "call" not in " ".join(event.type for event in seen)
            assert [event.sequence_number for event in seen] == list(range(len(seen)))
        else:
            answer = client.responses.create(**request)
    assert is_refusal(answer.output_text)
    assert {item.type for item in answer.output} == {"message"}
    assert answer.status == "completed"
    assert answer.usage.output_tokens > 0


@each_way
@each_model
def test_anthropic(gateway_for, model, stream):
    tools = [{"name": name, "input_schema": _CITY} for name in ("get_weather", "get_time")]
    request: dict[str, Any] = {
        "model": model,
        "max_tokens": 500,
        "messages": [{"role": "user", "content": "Hi"}],
        "tools": tools,
    }
    with anthropic_client(gateway_for("gated")) as client:
        if stream:
            with client.messages.stream(**request) as events:
                answer = events.get_final_message()
        else:
            answer = client.messages.create(**request)
    assert {block.type for block in answer.content} == {"text"}
    assert is_refusal("".join(block.text for block in answer.content))
    assert answer.stop_reason == "end_turn"
    assert answer.usage.output_tokens > 0


@each_way
@each_model
def test_gemini(gateway_for, model, stream):
    functions = [{"name": name, "parameters": _CITY} for name in ("get_weather", "get_time")]
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=functions)],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    with gemini_client(gateway_for("gated")) as client:
        if stream:
            chunks = list(client.models.generate_content_stream(model=model, contents="Hi", config=config))
        else:
            chunks = [client.models.generate_content(model=model, contents="Hi", config=config)]
    parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts or ()]
    assert not any(part.function_call for part in parts)
    assert is_refusal("".join(part.text or "" for part in parts))
    assert chunks[-1].candidates[0].finish_reason == "STOP"
    assert chunks[-1].usage_metadata.candidates_token_count > 0


def test_allowed_call_passes_the_gate(gateway_for):
    tools: Any = [{"name": "get_time", "input_schema": _CITY}]
    request: dict[str, Any] = {"model": "demo-tool", "max_tokens": 500, "tools": tools}
    with (
        anthropic_client(gateway_for("gated")) as client,
        client.messages.stream(messages=[{"role": "user", "content": "Hi"}], **request) as events,
    ):
        answer = events.get_final_message()
    assert [block.name for block in answer.content if block.type == "tool_use"] == ["get_time"]
