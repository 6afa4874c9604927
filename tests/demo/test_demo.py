"""The fake provider, driven by the vendors' official clients."""

import time

import aiohttp
import anthropic
import msgspec
import openai
import pytest
from google import genai
from google.genai import errors as genai_errors
from google.genai import types
from pydantic import BaseModel

from gateway.demo import Running, start

PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
    "required": ["city", "unit"],
}
CHAT_TOOLS = [{"type": "function", "function": {"name": "forecast", "parameters": PARAMETERS}}]
FLAT_TOOLS = [{"type": "function", "name": "forecast", "parameters": PARAMETERS}]
CLAUDE_TOOLS = [{"name": "forecast", "input_schema": PARAMETERS}]
GEMINI_TOOLS = [{"function_declarations": [{"name": "forecast", "parameters_json_schema": PARAMETERS}]}]
PARIS = {"city": "Paris", "unit": "celsius"}
LONDON = {"city": "London", "unit": "fahrenheit"}
HI = [{"role": "user", "content": "Tell me about tides."}]


class Tide(BaseModel):
    """What structured output is asked for."""

    place: str
    metres: float
    rising: bool


@pytest.fixture
async def demo():
    async with await start() as running:
        yield running


@pytest.fixture
async def gpt(demo: Running):
    async with openai.AsyncOpenAI(base_url=f"{demo.url}/openai/v1", api_key="k", max_retries=0) as client:
        yield client


@pytest.fixture
async def claude(demo: Running):
    async with anthropic.AsyncAnthropic(
        base_url=f"{demo.url}/anthropic", api_key="k", max_retries=0
    ) as client:
        yield client


@pytest.fixture
async def google(demo: Running):
    options = types.HttpOptions(base_url=f"{demo.url}/gemini")
    client = genai.Client(api_key="k", http_options=options).aio
    yield client
    await client.aclose()


def ask(client, model: str, **more):
    return client.messages.create(model=model, max_tokens=1000, messages=more.pop("messages", HI), **more)


class TestChat:
    async def test_text_echoes_the_prompt(self, gpt):
        answer = await gpt.chat.completions.create(model="gpt-whatever", messages=HI)
        choice = answer.choices[0]
        assert "Tell me about tides." in choice.message.content
        assert choice.finish_reason == "stop"
        assert answer.id.startswith("chatcmpl-")
        assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0

    @pytest.mark.parametrize("asked", [False, True])
    async def test_stream_carries_usage_only_if_asked(self, gpt, asked):
        options = {"stream_options": {"include_usage": True}} if asked else {}
        stream = await gpt.chat.completions.create(model="demo-text", messages=HI, stream=True, **options)
        chunks = [chunk async for chunk in stream]
        whole = await gpt.chat.completions.create(model="demo-text", messages=HI)
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        assert text == whole.choices[0].message.content
        assert len({chunk.id for chunk in chunks}) == 1
        assert chunks[0].id != whole.id
        assert chunks[-1].usage == (whole.usage if asked else None)
        assert len(chunks) > 20

    async def test_stream_helper_assembles_parallel_calls(self, gpt):
        async with gpt.chat.completions.stream(model="demo-tools", messages=HI, tools=CHAT_TOOLS) as stream:
            final = await stream.get_final_completion()
        message = final.choices[0].message
        assert final.choices[0].finish_reason == "tool_calls"
        assert [msgspec.json.decode(call.function.arguments) for call in message.tool_calls] == [
            PARIS,
            LONDON,
        ]
        assert len({call.id for call in message.tool_calls}) == 2
        assert message.content

    async def test_single_call_comes_in_fragments(self, gpt):
        stream = await gpt.chat.completions.create(
            model="demo-tool", messages=HI, tools=CHAT_TOOLS, stream=True
        )
        calls = [c.choices[0].delta.tool_calls[0] async for c in stream if c.choices[0].delta.tool_calls]
        assert [call.id is not None for call in calls] == [True] + [False] * (len(calls) - 1)
        assert len(calls) > 3
        assert msgspec.json.decode("".join(call.function.arguments for call in calls)) == PARIS

    async def test_agent_loop_ends_with_the_result_quoted(self, gpt):
        messages = [{"role": "user", "content": "use demo-tools please"}]
        for _ in range(3):
            answer = await gpt.chat.completions.create(model="gpt-5", messages=messages, tools=CHAT_TOOLS)
            message = answer.choices[0].message
            messages.append(message.model_dump(exclude_none=True))
            if not message.tool_calls:
                break
            messages += [
                {"role": "tool", "tool_call_id": c.id, "content": f"rain {n}"}
                for n, c in enumerate(message.tool_calls)
            ]
        assert len(messages) == 5
        assert "rain 0" in message.content
        assert "rain 1" in message.content

    async def test_custom_tool(self, gpt):
        tools = [{"type": "custom", "custom": {"name": "shell"}}]
        answer = await gpt.chat.completions.create(model="demo-tool", messages=HI, tools=tools)
        (call,) = answer.choices[0].message.tool_calls
        assert call.custom.name == "shell"
        assert "tides" in call.custom.input

    async def test_tool_choice_is_obeyed(self, gpt):
        chat = gpt.chat.completions
        none = await chat.create(model="demo-tool", messages=HI, tools=CHAT_TOOLS, tool_choice="none")
        assert none.choices[0].message.tool_calls is None
        must = await chat.create(model="demo-text", messages=HI, tools=CHAT_TOOLS, tool_choice="required")
        assert must.choices[0].message.tool_calls[0].function.name == "forecast"
        one = await chat.create(model="demo-tools", messages=HI, tools=CHAT_TOOLS, parallel_tool_calls=False)
        assert len(one.choices[0].message.tool_calls) == 1

    @pytest.mark.parametrize(
        ("provider", "field"), [("deepseek", "reasoning_content"), ("groq", "reasoning")]
    )
    async def test_reasoning_in_the_words_of_the_provider(self, demo, provider, field):
        async with openai.AsyncOpenAI(base_url=f"{demo.url}/{provider}", api_key="k") as client:
            answer = await client.chat.completions.create(model="demo-reasoning", messages=HI)
            stream = await client.chat.completions.create(model="demo-reasoning", messages=HI, stream=True)
            streamed = [getattr(chunk.choices[0].delta, field, None) or "" async for chunk in stream]
        assert getattr(answer.choices[0].message, field) == "".join(streamed)
        assert len(list(filter(None, streamed))) > 10
        assert answer.usage.completion_tokens_details.reasoning_tokens > 10

    async def test_structured_output(self, gpt):
        answer = await gpt.chat.completions.parse(model="demo-text", messages=HI, response_format=Tide)
        assert isinstance(answer.choices[0].message.parsed, Tide)

    async def test_max_tokens_and_alternatives(self, gpt):
        chat = gpt.chat.completions
        answer = await chat.create(model="demo-text", messages=HI, max_completion_tokens=3, n=2)
        assert [(c.index, c.finish_reason) for c in answer.choices] == [(0, "length"), (1, "length")]
        assert answer.usage.completion_tokens == 2 * 3
        stream = await chat.create(model="demo-text", messages=HI, max_completion_tokens=3, n=2, stream=True)
        finished = [(c.choices[0].index, c.choices[0].finish_reason) async for c in stream]
        assert [f for f in finished if f[1]] == [(0, "length"), (1, "length")]

    async def test_usage_unasked_on_the_finishing_chunk(self, demo):
        async with openai.AsyncOpenAI(base_url=f"{demo.url}/mistral/v1", api_key="k") as client:
            stream = await client.chat.completions.create(model="demo-text", messages=HI, stream=True)
            chunks = [chunk async for chunk in stream]
        assert chunks[-1].choices[0].finish_reason == "stop"
        assert chunks[-1].usage.prompt_tokens > 0

    async def test_a_long_prompt_is_partly_cached(self, gpt):
        messages = [{"role": "user", "content": "word " * 4000}]
        usage = (await gpt.chat.completions.create(model="demo-text", messages=messages)).usage
        assert 0 < usage.prompt_tokens_details.cached_tokens < usage.prompt_tokens
        assert usage.prompt_tokens_details.cached_tokens % 128 == 0


class TestResponses:
    async def test_text(self, gpt):
        answer = await gpt.responses.create(model="demo-text", input="Tell me about tides.")
        assert "Tell me about tides." in answer.output_text
        assert answer.status == "completed"
        assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
        assert answer.id.startswith("resp_")

    @pytest.mark.parametrize("model", ["demo-text", "demo-reasoning", "demo-tool", "demo-tools"])
    async def test_stream_helper_agrees_with_the_terminal_event(self, gpt, model):
        events = []
        async with gpt.responses.stream(model=model, input="hello", tools=FLAT_TOOLS) as stream:
            events = [event async for event in stream]
            final = await stream.get_final_response()
        assert [event.sequence_number for event in events] == list(range(len(events)))
        kinds = [item.type for item in final.output]
        assert (
            kinds
            == {
                "demo-text": ["message"],
                "demo-reasoning": ["reasoning", "message"],
                "demo-tool": ["function_call"],
                "demo-tools": ["message", "function_call", "function_call"],
            }[model]
        )
        calls = [item for item in final.output if item.type == "function_call"]
        assert [msgspec.json.decode(call.arguments) for call in calls] == [PARIS, LONDON][: len(calls)]
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        assert text == final.output_text
        thoughts = "".join(e.delta for e in events if e.type == "response.reasoning_summary_text.delta")
        assert thoughts == "".join(i.summary[0].text for i in final.output if i.type == "reasoning")

    async def test_agent_loop_with_custom_tool(self, gpt):
        tools = [{"type": "custom", "name": "shell"}]
        first = await gpt.responses.create(model="demo-tool", input="list files", tools=tools)
        (call,) = first.output
        assert (call.type, call.name) == ("custom_tool_call", "shell")
        result = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "notes.txt"}
        second = await gpt.responses.create(
            model="demo-tool", input=[result], tools=tools, previous_response_id=first.id
        )
        assert "notes.txt" in second.output_text

    async def test_custom_tool_streamed(self, gpt):
        tools = [{"type": "custom", "name": "shell"}]
        stream = await gpt.responses.create(model="demo-tool", input="list", tools=tools, stream=True)
        events = [event async for event in stream]
        text = "".join(e.delta for e in events if e.type == "response.custom_tool_call_input.delta")
        assert events[-1].type == "response.completed"
        assert events[-1].response.output[0].input == text != ""

    async def test_structured_output(self, gpt):
        answer = await gpt.responses.parse(model="demo-text", input="hello", text_format=Tide)
        assert isinstance(answer.output_parsed, Tide)

    async def test_incomplete(self, gpt):
        answer = await gpt.responses.create(model="demo-text", input="hello", max_output_tokens=16)
        assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")

    async def test_mid_stream_error_is_followed_by_a_failed_response(self, gpt, demo):
        with pytest.raises(openai.APIError, match="had an error"):
            async for _ in await gpt.responses.create(model="demo-error-stream", input="hello", stream=True):
                pass
        body = {"model": "demo-error-stream", "input": "hello", "stream": True}
        async with aiohttp.request("POST", f"{demo.url}/openai/responses", json=body) as answer:
            raw = await answer.text()
        kinds = [line for line in raw.split("\n") if line.startswith("event: ")]
        assert kinds[-2:] == ["event: error", "event: response.failed"]

    async def test_counting_agrees_with_usage(self, gpt):
        counted = await gpt.responses.input_tokens.count(
            model="demo-text", input="hello", instructions="Be kind."
        )
        answer = await gpt.responses.create(model="demo-text", input="hello", instructions="Be kind.")
        assert counted.input_tokens == answer.usage.input_tokens > 0


class TestMessages:
    async def test_text(self, claude):
        answer = await ask(claude, "demo-text")
        assert "Tell me about tides." in answer.content[0].text
        assert answer.stop_reason == "end_turn"
        assert answer.id.startswith("msg_01")
        assert answer.usage.input_tokens > 0

    @pytest.mark.parametrize("model", ["demo-text", "demo-reasoning", "demo-tool", "demo-tools"])
    async def test_stream_helper_agrees_with_the_whole_answer(self, claude, model):
        async with claude.messages.stream(
            model=model, max_tokens=1000, messages=HI, tools=CLAUDE_TOOLS
        ) as stream:
            streamed = await stream.get_final_message()
        whole = await ask(claude, model, tools=CLAUDE_TOOLS)
        hidden = {"id", "signature", "container", "parsed_output"}

        def shown(message):
            return [
                {k: v for k, v in block.model_dump().items() if k not in hidden} for block in message.content
            ]

        assert shown(streamed) == shown(whole)
        assert streamed.usage.output_tokens == whole.usage.output_tokens
        assert streamed.stop_reason == whole.stop_reason == ("tool_use" if "tool" in model else "end_turn")
        calls = [block.input for block in whole.content if block.type == "tool_use"]
        assert calls == {"demo-tool": [PARIS], "demo-tools": [PARIS, LONDON]}.get(model, [])

    async def test_thinking_is_signed(self, claude):
        answer = await ask(claude, "demo-reasoning")
        assert [block.type for block in answer.content] == ["thinking", "text"]
        assert answer.content[0].signature

    async def test_agent_loop_ends(self, claude):
        first = await ask(claude, "demo-tool", tools=CLAUDE_TOOLS)
        result = {"type": "tool_result", "tool_use_id": first.content[0].id, "content": "rain, 9 degrees"}
        messages = [
            *HI,
            {"role": "assistant", "content": first.content},
            {"role": "user", "content": [result]},
        ]
        second = await ask(claude, "demo-tool", tools=CLAUDE_TOOLS, messages=messages)
        assert second.stop_reason == "end_turn"
        assert "rain, 9 degrees" in second.content[0].text

    async def test_cache_counts_are_outside_of_input_tokens(self, claude):
        block = {"type": "text", "text": "word " * 4000, "cache_control": {"type": "ephemeral"}}
        cached = await ask(claude, "demo-text", system=[block])
        plain = await ask(claude, "demo-text", system=block["text"])
        assert cached.usage.cache_read_input_tokens > cached.usage.input_tokens
        assert plain.usage.cache_read_input_tokens == 0

    async def test_structured_output(self, claude):
        answer = await claude.messages.parse(
            model="demo-text", max_tokens=1000, messages=HI, output_format=Tide
        )
        assert isinstance(answer.parsed_output, Tide)

    async def test_max_tokens(self, claude):
        answer = await claude.messages.create(model="demo-text", max_tokens=1, messages=HI)
        assert answer.stop_reason == "max_tokens"

    async def test_counting_agrees_with_usage(self, claude):
        counted = await claude.messages.count_tokens(model="demo-text", messages=HI, tools=CLAUDE_TOOLS)
        assert counted.input_tokens == (await ask(claude, "demo-text", tools=CLAUDE_TOOLS)).usage.input_tokens

    async def test_overload_in_the_middle(self, claude):
        with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
            async for _ in await ask(claude, "demo-error-stream", stream=True):
                pass


class TestGenerateContent:
    async def test_text(self, google):
        answer = await google.models.generate_content(model="demo-text", contents="Tell me about tides.")
        assert "Tell me about tides." in answer.text
        assert answer.candidates[0].finish_reason == "STOP"
        usage = answer.usage_metadata
        assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count

    async def test_stream(self, google):
        stream = await google.models.generate_content_stream(model="demo-text", contents="hello")
        chunks = [chunk async for chunk in stream]
        whole = await google.models.generate_content(model="demo-text", contents="hello")
        assert "".join(chunk.text or "" for chunk in chunks) == whole.text
        assert chunks[-1].usage_metadata.total_token_count == whole.usage_metadata.total_token_count
        assert [chunk.candidates[0].finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
        counts = [chunk.usage_metadata.candidates_token_count for chunk in chunks]
        assert counts == sorted(counts)

    @pytest.mark.parametrize(("model", "expected"), [("demo-tool", [PARIS]), ("demo-tools", [PARIS, LONDON])])
    async def test_calls_are_whole_and_only_the_first_is_signed(self, google, model, expected):
        config = types.GenerateContentConfig(tools=GEMINI_TOOLS)
        stream = await google.models.generate_content_stream(model=model, contents="hello", config=config)
        chunks = [chunk async for chunk in stream]
        whole = await google.models.generate_content(model=model, contents="hello", config=config)
        for parts in ([p for c in chunks for p in c.parts or []], whole.parts):
            called = [part for part in parts if part.function_call]
            assert [part.function_call.args for part in called] == expected
            assert [part.thought_signature is not None for part in called] == [True, False][: len(called)]
        assert chunks[-1].candidates[0].finish_reason == "STOP"

    async def test_chat_ends_after_a_function_response(self, google):
        config = types.GenerateContentConfig(tools=GEMINI_TOOLS)
        chat = google.chats.create(model="demo-tool", config=config)
        first = await chat.send_message("hello")
        call = first.function_calls[0]
        part = types.Part.from_function_response(name=call.name, response={"result": "rain"})
        second = await chat.send_message(part)
        assert "“rain”" in second.text

    async def test_thoughts(self, google):
        answer = await google.models.generate_content(model="demo-reasoning", contents="hello")
        assert [bool(part.thought) for part in answer.parts] == [True, False]
        assert answer.usage_metadata.thoughts_token_count > 10

    @pytest.mark.parametrize("key", ["response_schema", "response_json_schema"])
    async def test_structured_output(self, google, key):
        schema = Tide if key == "response_schema" else Tide.model_json_schema()
        config = types.GenerateContentConfig(response_mime_type="application/json", **{key: schema})
        answer = await google.models.generate_content(model="demo-text", contents="hello", config=config)
        assert Tide.model_validate_json(answer.text)

    async def test_counting_agrees_with_usage(self, google):
        counted = await google.models.count_tokens(model="demo-text", contents="hello")
        answer = await google.models.generate_content(model="demo-text", contents="hello")
        assert counted.total_tokens == answer.usage_metadata.prompt_token_count > 0

    async def test_mid_stream_error(self, google):
        with pytest.raises(genai_errors.ServerError, match="UNAVAILABLE"):
            async for _ in await google.models.generate_content_stream(
                model="demo-error-stream", contents="hello"
            ):
                pass

    async def test_array_without_alt_sse(self, demo):
        body = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
        url = f"{demo.url}/gemini/v1beta/models/demo-text:streamGenerateContent"
        async with aiohttp.request("POST", url, json=body) as answer:
            raw = await answer.read()
            assert answer.content_type == "application/json"
        async with aiohttp.request("POST", f"{url}?alt=sse", json=body) as answer:
            sse = await answer.read()
            assert answer.content_type == "text/event-stream"
        assert raw.startswith(b'[{\n  "candidates"')
        assert raw.endswith(b"\n}\n]")
        elements = msgspec.json.decode(raw)
        assert raw.count(b"\n}\n,\r\n{\n") == len(elements) - 1 > 5
        events = sse.split(b"\r\n\r\n")
        assert events.pop() == b""
        chunks = [msgspec.json.decode(event.removeprefix(b"data: ")) for event in events]
        assert [c["candidates"] for c in chunks] == [e["candidates"] for e in elements]

    async def test_broken_array_is_still_json(self, demo):
        url = f"{demo.url}/gemini/v1beta/models/demo-error-stream:streamGenerateContent"
        async with aiohttp.request("POST", url, json={"contents": [{"parts": [{"text": "x"}]}]}) as answer:
            assert msgspec.json.decode(await answer.read())[-1]["error"]["status"] == "UNAVAILABLE"


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (400, openai.BadRequestError),
            (401, openai.AuthenticationError),
            (404, openai.NotFoundError),
            (429, openai.RateLimitError),
            (500, openai.InternalServerError),
        ],
    )
    async def test_openai(self, gpt, status, error):
        with pytest.raises(error) as chat:
            await gpt.chat.completions.create(model=f"demo-error-{status}", messages=HI, stream=True)
        with pytest.raises(error) as responses:
            await gpt.responses.create(model="demo-text", input=f"please demo-error-{status}")
        with pytest.raises(error):
            await gpt.embeddings.create(model=f"demo-error-{status}", input="x")
        assert chat.value.body == responses.value.body
        assert set(chat.value.body) == {"message", "type", "param", "code"}
        assert chat.value.request_id
        assert ("retry-after" in chat.value.response.headers) == (status == 429)

    @pytest.mark.parametrize(
        ("status", "error", "kind"),
        [
            (400, anthropic.BadRequestError, "invalid_request_error"),
            (401, anthropic.AuthenticationError, "authentication_error"),
            (429, anthropic.RateLimitError, "rate_limit_error"),
            (500, anthropic.InternalServerError, "api_error"),
            (529, anthropic.InternalServerError, "overloaded_error"),
        ],
    )
    async def test_anthropic(self, claude, status, error, kind):
        with pytest.raises(error) as caught:
            await ask(claude, f"demo-error-{status}")
        assert caught.value.body["error"]["type"] == kind
        assert caught.value.body["request_id"] == caught.value.request_id
        assert ("retry-after" in caught.value.response.headers) == (status == 429)

    @pytest.mark.parametrize(
        ("status", "error", "kind"),
        [
            (400, genai_errors.ClientError, "INVALID_ARGUMENT"),
            (429, genai_errors.ClientError, "RESOURCE_EXHAUSTED"),
            (503, genai_errors.ServerError, "UNAVAILABLE"),
        ],
    )
    async def test_gemini(self, google, status, error, kind):
        with pytest.raises(error) as caught:
            await google.models.generate_content(model=f"demo-error-{status}", contents="hello")
        assert (caught.value.code, caught.value.status) == (status, kind)
        assert ("RetryInfo" in str(caught.value.details)) == (status == 429)

    async def test_chat_mid_stream(self, gpt):
        said = ""
        with pytest.raises(openai.APIError, match="had an error"):
            async for chunk in await gpt.chat.completions.create(
                model="demo-error-stream", messages=HI, stream=True
            ):
                said += chunk.choices[0].delta.content or ""
        assert said.startswith("Hello")

    @pytest.mark.parametrize("path", ["openai/chat/completions", "openai/responses", "anthropic/v1/messages"])
    async def test_a_body_that_is_not_json(self, demo, path):
        for body in (b"{", b"[]", b""):
            async with aiohttp.request("POST", f"{demo.url}/{path}", data=body) as answer:
                assert answer.status == 400
                assert (await answer.json())["error"]["message"]

    @pytest.mark.parametrize("stream", [True, False])
    @pytest.mark.parametrize("path", ["chat/completions", "responses", "v1/messages"])
    async def test_cut_in_the_middle(self, demo, path, stream):
        body = {"model": "demo-cut", "messages": HI, "input": "hello", "max_tokens": 1000, "stream": stream}
        async with aiohttp.request("POST", f"{demo.url}/any/{path}", json=body) as answer:
            assert answer.status == 200
            received = b""
            with pytest.raises(aiohttp.ClientPayloadError):
                async for chunk in answer.content.iter_any():
                    received += chunk
        assert len(received) > 100
        assert not received.endswith(b"\n")


class TestAround:
    async def test_models(self, demo, gpt, claude, google):
        ids = [model.id async for model in gpt.models.list()]
        assert "demo-text" in ids
        assert (await gpt.models.retrieve("demo-text")).id == "demo-text"
        pages = [model.id async for model in claude.models.list(limit=2)]
        assert pages == [name for name in ids if name != "demo-embedding"]
        assert (await claude.models.retrieve("demo-text")).display_name == "Demo Text"
        names = [m.name async for m in await google.models.list(config={"page_size": 2})]
        assert names == [f"models/{name}" for name in ids]
        assert (await google.models.get(model="demo-text")).name == "models/demo-text"
        for headers, key in (
            ({"x-api-key": "k"}, "has_more"),
            ({"x-goog-api-key": "k"}, "models"),
            ({}, "object"),
        ):
            async with aiohttp.request("GET", f"{demo.url}/v1/models", headers=headers) as answer:
                assert key in await answer.json()

    async def test_openai_embeddings_in_both_encodings(self, gpt):
        decoded = await gpt.embeddings.create(model="demo-embedding", input=["a", "b"], dimensions=8)
        floats = await gpt.embeddings.create(
            model="demo-embedding", input=["a", "b"], dimensions=8, encoding_format="float"
        )
        assert [len(item.embedding) for item in decoded.data] == [8, 8]
        assert decoded.data[0].embedding == pytest.approx(floats.data[0].embedding, abs=1e-6)
        assert decoded.data[0].embedding != decoded.data[1].embedding
        assert decoded.usage.prompt_tokens > 0

    async def test_gemini_embeddings(self, google, demo):
        answer = await google.models.embed_content(model="demo-embedding", contents=["a", "b"])
        assert [len(item.values) for item in answer.embeddings] == [1536, 1536]
        url = f"{demo.url}/gemini/v1beta/models/demo-embedding:embedContent"
        async with aiohttp.request("POST", url, json={"content": {"parts": [{"text": "a"}]}}) as single:
            assert (await single.json())["embedding"]["values"] == pytest.approx(answer.embeddings[0].values)

    async def test_uploads(self, gpt):
        file = await gpt.files.create(file=("a.jsonl", b"x" * 300_000), purpose="batch")
        assert (file.bytes, file.filename, file.purpose) == (300_000, "a.jsonl", "batch")
        heard = await gpt.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"RIFF" * 10))
        assert "40 bytes" in heard.text
        assert not (await gpt.moderations.create(input="hello")).results[0].flagged
        assert (await gpt.files.delete("file-1")).deleted

    async def test_other_doors(self, demo):
        azure = "azure/openai/deployments/demo-tool/chat/completions?api-version=1"
        vertex = "vertex/v1/projects/p/locations/l/publishers/anthropic/models/demo-tool:rawPredict"
        for path, key in (azure, "choices"), (vertex, "content"):
            async with aiohttp.request("POST", f"{demo.url}/{path}", json={"messages": HI}) as answer:
                body = await answer.json()
            assert body["model"] == "demo-tool"
            assert "get_weather" in str(body[key])


class TestRhythm:
    async def test_slow(self, gpt):
        started = time.perf_counter()
        stream = await gpt.chat.completions.create(model="demo-slow-200-20", messages=HI, stream=True)
        opened = time.perf_counter() - started
        times = [time.perf_counter() - started async for chunk in stream]
        assert opened < 0.15
        assert times[0] < 0.15
        assert times[1] >= 0.19
        assert times[-1] - times[1] > 0.02 * (len(times) - 3)

    @pytest.mark.parametrize("path", ["chat/completions", "responses", "v1/messages"])
    async def test_bench_paces_its_events(self, demo, path):
        body = {"model": "bench-20-10-40", "messages": HI, "input": "x", "max_tokens": 9, "stream": True}
        started = time.perf_counter()
        async with aiohttp.request("POST", f"{demo.url}/any/{path}", json=body) as answer:
            raw = await answer.read()
        assert 0.18 < time.perf_counter() - started < 1.0
        piece = ("all work and no play makes jack a dull boy, ")[:40].encode()
        assert raw.count(b'"' + piece + b'"') == 20
        async with aiohttp.request("POST", f"{demo.url}/any/{path}", json=body | {"stream": False}) as answer:
            assert len(await answer.read()) < 3000
