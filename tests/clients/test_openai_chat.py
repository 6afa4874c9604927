"""OpenAI's client on chat completions, embeddings and models."""

import orjson
import pytest

from tests.clients.sdk import async_openai_client, openai_client

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
TIME = {"type": "function", "function": {**WEATHER["function"], "name": "get_time"}}
each_door = pytest.mark.parametrize("door", ["prefix", "root"])


def ask(text):
    return [{"role": "user", "content": text}]


@each_door
def test_text(demo, door):
    with openai_client(demo, door) as client:
        answer = client.chat.completions.create(model="demo-text", messages=ask("Hi there"))
    assert "Hi there" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


@each_door
def test_stream(demo, door):
    with openai_client(demo, door) as client:
        chunks = list(
            client.chat.completions.create(model="demo-text", messages=ask("Hi there"), stream=True)
        )
    assert "Hi there" in "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks)


def test_stream_with_usage(demo):
    with openai_client(demo) as client:
        chunks = list(
            client.chat.completions.create(
                model="demo-text", messages=ask("Hi"), stream=True, stream_options={"include_usage": True}
            )
        )
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens > 0


@pytest.mark.parametrize(
    ("model", "names"), [("demo-tool", ["get_weather"]), ("demo-tools", ["get_weather", "get_time"])]
)
@pytest.mark.parametrize("stream", [False, True])
def test_agent_loop(demo, model, names, stream):
    messages = ask("What is it like in Paris?")
    with openai_client(demo) as client:

        def turn():
            if not stream:
                return client.chat.completions.create(model=model, messages=messages, tools=[WEATHER, TIME])
            with client.chat.completions.stream(
                model=model, messages=messages, tools=[WEATHER, TIME]
            ) as events:
                return events.get_final_completion()

        first = turn().choices[0]
        assert first.finish_reason == "tool_calls"
        calls = first.message.tool_calls
        assert [call.function.name for call in calls] == names
        assert all(orjson.loads(call.function.arguments)["city"] for call in calls)
        messages.append(first.message.model_dump(exclude_unset=True, exclude={"parsed"}))
        messages += [
            {"role": "tool", "tool_call_id": call.id, "content": f"sunny-{call.function.name}"}
            for call in calls
        ]
        second = turn().choices[0]
    assert second.finish_reason == "stop"
    assert all(f"sunny-{name}" in second.message.content for name in names)


def test_stream_helper_reasoning(demo):
    with (
        openai_client(demo) as client,
        client.chat.completions.stream(model="demo-reasoning", messages=ask("Hi")) as events,
    ):
        kinds = {event.type for event in events}
        final = events.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert final.choices[0].message.content
    # The reasoning itself is a field that OpenAI's own format does not have: it must survive all the same.
    assert "prompt" in str(final.choices[0].message.model_extra)


def test_raw_response_has_the_vendors_headers_and_ours(demo):
    with openai_client(demo) as client:
        raw = client.chat.completions.with_raw_response.create(model="demo-text", messages=ask("Hi"))
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.headers["x-ratelimit-remaining-requests"]
    assert raw.headers["x-gateway-interaction-id"]
    assert float(raw.headers["x-gateway-overhead-ms"]) >= 0


@each_door
async def test_async(demo, door):
    async with async_openai_client(demo, door) as client:
        answer = await client.chat.completions.create(
            model="demo-tool", messages=ask("Paris?"), tools=[WEATHER]
        )
        assert answer.choices[0].message.tool_calls[0].function.name == "get_weather"
        stream = await client.chat.completions.create(
            model="demo-text", messages=ask("Hi there"), stream=True
        )
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
        assert "Hi there" in text
        async with client.chat.completions.stream(
            model="demo-tools", messages=ask("?"), tools=[WEATHER, TIME]
        ) as events:
            final = await events.get_final_completion()
        assert len(final.choices[0].message.tool_calls) == 2


def test_agent_in_the_path(demo):
    with openai_client(demo, agent="default") as client:
        assert client.chat.completions.create(model="demo-text", messages=ask("Hi")).choices


@each_door
def test_embeddings(demo, door):
    with openai_client(demo, door) as client:
        answer = client.embeddings.create(model="text-embedding-3-small", input=["one", "two"])
    assert len(answer.data) == 2
    assert all(len(item.embedding) > 10 for item in answer.data)
    assert answer.usage.total_tokens > 0


@each_door
def test_models(demo, door):
    with openai_client(demo, door) as client:
        names = [model.id for model in client.models.list()]
        assert "demo-text" in names
        assert client.models.retrieve("demo-text").id == "demo-text"


async def test_async_models_and_embeddings(demo):
    async with async_openai_client(demo) as client:
        assert "demo-text" in [model.id async for model in client.models.list()]
        assert (await client.embeddings.create(model="text-embedding-3-small", input="one")).data[0].embedding


@pytest.mark.parametrize("provider", ["groq", "mistral", "deepseek", "openrouter", "zhipu", "vllm"])
def test_compatible_providers(demo, provider):
    """The same client, a row of the table behind it."""
    with openai_client(demo, provider=provider) as client:
        answer = client.chat.completions.create(model="demo-tool", messages=ask("Hi"), tools=[WEATHER])
        assert answer.choices[0].message.tool_calls[0].function.name == "get_weather"
        with client.chat.completions.stream(model="demo-text", messages=ask("Hi there")) as events:
            assert "Hi there" in events.get_final_completion().choices[0].message.content
