"""Anthropic's client on messages, counting and models."""

import anthropic
import pytest

from tests.clients.sdk import anthropic_client, async_anthropic_client
from tests.harness.canaries import CLIENT_KEYS

WEATHER = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TIME = {**WEATHER, "name": "get_time"}
each_door = pytest.mark.parametrize("door", ["prefix", "root"])


def ask(text):
    return [{"role": "user", "content": text}]


@each_door
def test_text(demo, door):
    with anthropic_client(demo, door) as client:
        answer = client.messages.create(model="demo-text", max_tokens=500, messages=ask("Hi there"))
    assert "Hi there" in answer.content[0].text
    assert answer.stop_reason == "end_turn"
    assert answer.usage.input_tokens > 0
    assert answer._request_id.startswith("req_")


@each_door
def test_stream(demo, door):
    with anthropic_client(demo, door) as client:
        events = list(
            client.messages.create(model="demo-text", max_tokens=500, messages=ask("Hi there"), stream=True)
        )
    assert events[0].type == "message_start"
    assert events[-1].type == "message_stop"


@pytest.mark.parametrize(
    ("model", "names"), [("demo-tool", ["get_weather"]), ("demo-tools", ["get_weather", "get_time"])]
)
@pytest.mark.parametrize("stream", [False, True])
def test_agent_loop(demo, model, names, stream):
    messages = ask("What is it like in Paris?")
    with anthropic_client(demo) as client:

        def turn():
            request = {"model": model, "max_tokens": 500, "messages": messages, "tools": [WEATHER, TIME]}
            if not stream:
                return client.messages.create(**request)
            with client.messages.stream(**request) as events:
                return events.get_final_message()

        first = turn()
        assert first.stop_reason == "tool_use"
        calls = [block for block in first.content if block.type == "tool_use"]
        assert [call.name for call in calls] == names
        assert all(call.input["city"] for call in calls)
        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": f"sunny-{call.name}"} for call in calls
        ]
        messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
        second = turn()
    assert second.stop_reason == "end_turn"
    assert all(f"sunny-{name}" in second.content[0].text for name in names)


def test_reasoning(demo):
    with (
        anthropic_client(demo) as client,
        client.messages.stream(model="demo-reasoning", max_tokens=2000, messages=ask("Hi")) as events,
    ):
        kinds = {event.type for event in events}
        final = events.get_final_message()
    assert {"thinking", "signature", "text"} <= kinds
    assert [block.type for block in final.content] == ["thinking", "text"]
    assert final.content[0].signature


@each_door
async def test_async(demo, door):
    async with async_anthropic_client(demo, door) as client:
        answer = await client.messages.create(
            model="demo-tool", max_tokens=500, messages=ask("?"), tools=[WEATHER]
        )
        assert [block.name for block in answer.content if block.type == "tool_use"] == ["get_weather"]
        async with client.messages.stream(
            model="demo-text", max_tokens=500, messages=ask("Hi there")
        ) as events:
            text = "".join([piece async for piece in events.text_stream])
            final = await events.get_final_message()
        assert text == final.content[0].text
        assert "Hi there" in text
        assert (
            await client.messages.count_tokens(model="demo-text", messages=ask("Hi there"))
        ).input_tokens > 0


@each_door
def test_count(demo, door):
    with anthropic_client(demo, door) as client:
        assert client.messages.count_tokens(model="demo-text", messages=ask("Hi there")).input_tokens > 0


@each_door
def test_models(demo, door):
    with anthropic_client(demo, door) as client:
        assert "demo-text" in [model.id for model in client.models.list(limit=2)]
        assert client.models.retrieve("demo-text").display_name


def test_older_clients_key_header(demo):
    """Older versions send `x-api-key` alone."""
    headers = {
        "authorization": anthropic.Omit(),
        "x-api-key": CLIENT_KEYS["anthropic"],
        "anthropic-version": "2023-06-01",
    }
    with anthropic_client(demo, default_headers=headers) as client:
        assert client.messages.create(model="demo-text", max_tokens=50, messages=ask("Hi")).content
