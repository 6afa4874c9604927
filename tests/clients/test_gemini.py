"""Google's client on generation, counting, embeddings and models."""

import pytest
from google.genai import types

from tests.clients.sdk import gemini_client

_CITY = {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]}
TOOLS = types.GenerateContentConfig(
    tools=[
        types.Tool(
            function_declarations=[
                {"name": name, "parameters": _CITY} for name in ("get_weather", "get_time")
            ]
        )
    ],
    automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
)
each_door = pytest.mark.parametrize("door", ["prefix", "root"])


@each_door
def test_text(demo, door):
    with gemini_client(demo, door) as client:
        answer = client.models.generate_content(model="demo-text", contents="Hi there")
    assert "Hi there" in answer.text
    assert answer.candidates[0].finish_reason == "STOP"
    assert answer.usage_metadata.total_token_count > 0


@each_door
def test_stream(demo, door):
    with gemini_client(demo, door) as client:
        chunks = list(client.models.generate_content_stream(model="demo-text", contents="Hi there"))
    assert len(chunks) > 3
    assert "Hi there" in "".join(chunk.text or "" for chunk in chunks)
    assert chunks[-1].candidates[0].finish_reason == "STOP"
    assert chunks[-1].usage_metadata.total_token_count > 0


@pytest.mark.parametrize(
    ("model", "names"), [("demo-tool", ["get_weather"]), ("demo-tools", ["get_weather", "get_time"])]
)
@pytest.mark.parametrize("stream", [False, True])
def test_agent_loop(demo, model, names, stream):
    contents = [types.UserContent("What is it like in Paris?")]
    with gemini_client(demo) as client:

        def turn():
            request = {"model": model, "contents": contents, "config": TOOLS}
            if not stream:
                return client.models.generate_content(**request).candidates[0].content.parts
            return [
                part
                for chunk in client.models.generate_content_stream(**request)
                for part in chunk.candidates[0].content.parts or ()
            ]

        first = turn()
        calls = [part.function_call for part in first if part.function_call]
        assert [call.name for call in calls] == names
        assert all(call.args["city"] for call in calls)
        results = [
            types.Part.from_function_response(name=call.name, response={"result": f"sunny-{call.name}"})
            for call in calls
        ]
        contents += [types.ModelContent(first), types.UserContent(results)]
        second = turn()
    text = "".join(part.text or "" for part in second)
    assert not any(part.function_call for part in second)
    assert all(f"sunny-{name}" in text for name in names)


def test_automatic_function_calling(demo):
    """The client's own agent loop: it calls a Python function by itself."""

    def get_weather(city: str) -> str:
        """The weather of a city."""
        return f"sunny in {city}"

    with gemini_client(demo) as client:
        config = types.GenerateContentConfig(tools=[get_weather])
        answer = client.models.generate_content(model="demo-tool", contents="Paris?", config=config)
    assert "sunny in" in answer.text


def test_reasoning(demo):
    with gemini_client(demo) as client:
        config = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True))
        chunks = list(
            client.models.generate_content_stream(model="demo-reasoning", contents="Hi", config=config)
        )
    parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts or ()]
    assert any(part.thought for part in parts)
    assert any(part.text and not part.thought for part in parts)


@each_door
async def test_async(demo, door):
    async with gemini_client(demo, door).aio as client:
        answer = await client.models.generate_content(model="demo-tool", contents="?", config=TOOLS)
        assert answer.function_calls[0].name == "get_weather"
        stream = await client.models.generate_content_stream(model="demo-text", contents="Hi there")
        assert "Hi there" in "".join([chunk.text or "" async for chunk in stream])
        assert (await client.models.count_tokens(model="demo-text", contents="Hi there")).total_tokens > 0
        embedded = await client.models.embed_content(model="gemini-embedding-001", contents=["one", "two"])
        assert len(embedded.embeddings) == 2
        assert "models/demo-text" in [model.name async for model in await client.models.list()]


@each_door
def test_count_embed_and_models(demo, door):
    with gemini_client(demo, door) as client:
        assert client.models.count_tokens(model="demo-text", contents="Hi there").total_tokens > 0
        embedded = client.models.embed_content(model="gemini-embedding-001", contents=["one", "two"])
        assert [len(item.values) > 10 for item in embedded.embeddings] == [True, True]
        assert "models/demo-text" in [model.name for model in client.models.list()]
        assert client.models.get(model="demo-text").name == "models/demo-text"


@pytest.mark.parametrize("version", ["v1", "v1beta", "v1alpha"])
def test_every_version_segment(demo, version):
    with gemini_client(demo) as client:
        config = {"http_options": {"api_version": version}}
        assert client.models.generate_content(model="demo-text", contents="Hi", config=config).text
