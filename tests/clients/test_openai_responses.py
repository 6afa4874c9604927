"""OpenAI's client on the responses API."""

import orjson
import pytest

from tests.clients.sdk import async_openai_client, openai_client

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TIME = {**WEATHER, "name": "get_time"}
each_door = pytest.mark.parametrize("door", ["prefix", "root"])


@each_door
def test_text(demo, door):
    with openai_client(demo, door) as client:
        answer = client.responses.create(model="demo-text", input="Hi there")
    assert "Hi there" in answer.output_text
    assert answer.status == "completed"
    assert answer.usage.total_tokens > 0


@each_door
def test_stream(demo, door):
    with openai_client(demo, door) as client:
        events = list(client.responses.create(model="demo-text", input="Hi there", stream=True))
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    deltas = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert deltas == events[-1].response.output_text
    assert "Hi there" in deltas


@pytest.mark.parametrize(
    ("model", "names"), [("demo-tool", ["get_weather"]), ("demo-tools", ["get_weather", "get_time"])]
)
@pytest.mark.parametrize("stream", [False, True])
def test_agent_loop(demo, model, names, stream):
    items = [{"role": "user", "content": "What is it like in Paris?"}]
    with openai_client(demo) as client:

        def turn():
            if not stream:
                return client.responses.create(model=model, input=items, tools=[WEATHER, TIME], store=False)
            with client.responses.stream(
                model=model, input=items, tools=[WEATHER, TIME], store=False
            ) as events:
                return events.get_final_response()

        first = turn()
        calls = [item for item in first.output if item.type == "function_call"]
        assert [call.name for call in calls] == names
        assert all(orjson.loads(call.arguments)["city"] for call in calls)
        items += [item.model_dump(exclude_unset=True, exclude={"parsed_arguments"}) for item in first.output]
        items += [
            {"type": "function_call_output", "call_id": call.call_id, "output": f"sunny-{call.name}"}
            for call in calls
        ]
        second = turn()
    assert not [item for item in second.output if item.type == "function_call"]
    assert all(f"sunny-{name}" in second.output_text for name in names)


def test_reasoning(demo):
    with openai_client(demo) as client, client.responses.stream(model="demo-reasoning", input="Hi") as events:
        kinds = [event.type for event in events]
        final = events.get_final_response()
    assert any(kind.startswith("response.reasoning") for kind in kinds)
    assert [item.type for item in final.output] == ["reasoning", "message"]


@each_door
async def test_async(demo, door):
    async with async_openai_client(demo, door) as client:
        answer = await client.responses.create(model="demo-tool", input="Paris?", tools=[WEATHER])
        assert [item.name for item in answer.output if item.type == "function_call"] == ["get_weather"]
        async with client.responses.stream(model="demo-text", input="Hi there") as events:
            final = await events.get_final_response()
        assert "Hi there" in final.output_text


def test_count(demo):
    with openai_client(demo) as client:
        assert client.responses.input_tokens.count(model="demo-text", input="Hi there").input_tokens > 0
