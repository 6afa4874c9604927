"""The vendors' own clients, whose conversations hold results that no model may read."""

from collections.abc import AsyncIterator

import anthropic
import openai
import pytest
import pytest_asyncio
from google import genai
from google.genai import types

from tests.dual_llm.models import CANARY, NOTICE, SUMMARY, WIRES, Rig, history, results_in, rig
from tests.harness.dialects import DIALECTS
from tests.harness.upstream import whole

pytestmark = pytest.mark.asyncio(loop_scope="module")
KEY = "client-key-of-this-test"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def asked(tmp_path_factory) -> AsyncIterator[Rig]:
    async with rig(tmp_path_factory.mktemp("dual")) as running:
        yield running


async def chat(url, said, stream):
    async with openai.AsyncOpenAI(base_url=f"{url}/openai", api_key=KEY, max_retries=0) as client:
        got = await client.chat.completions.create(model="gpt-4o-mini", stream=stream, **said)
        if not stream:
            return got.choices[0].message.content
        return "".join([choice.delta.content or "" async for chunk in got for choice in chunk.choices])


async def responses(url, said, stream):
    async with openai.AsyncOpenAI(base_url=f"{url}/openai", api_key=KEY, max_retries=0) as client:
        got = await client.responses.create(model="gpt-4o-mini", stream=stream, **said)
        if not stream:
            return got.output_text
        return "".join([event.delta async for event in got if event.type == "response.output_text.delta"])


async def messages(url, said, stream):
    async with anthropic.AsyncAnthropic(base_url=f"{url}/anthropic", api_key=KEY, max_retries=0) as client:
        more = {"model": "claude-scenario", "max_tokens": 64, **said}
        if not stream:
            return (await client.messages.create(**more)).content[0].text
        async with client.messages.stream(**more) as got:
            return "".join([text async for text in got.text_stream])


async def gemini(url, said, stream):
    client = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=f"{url}/gemini"))
    models = client.aio.models
    more = {"model": "gemini-2.5-flash", "contents": said["contents"]}
    try:
        if not stream:
            return (await models.generate_content(**more)).text
        return "".join([chunk.text or "" async for chunk in await models.generate_content_stream(**more)])
    finally:
        await client.aio.aclose()
        client.close()


CLIENTS = {"chat": chat, "responses": responses, "anthropic": messages, "gemini": gemini}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", WIRES)
async def test_a_client_gets_its_answer_and_the_model_a_summary(asked, name, stream):
    dialect = DIALECTS[name]
    url = f"http://127.0.0.1:{asked.gate.gateway.port}/v1"
    for quarantined, replaced in (
        (lambda _: '{"answer": 1}', SUMMARY),
        (lambda _: [whole(lambda d: d.upstream_error(529), status=529)], NOTICE),
    ):
        models = asked.play(quarantined=quarantined, dialect=dialect)
        said = history(dialect, {"call_1": f"{CANARY} {name} {stream} {replaced}"})
        assert (await CLIENTS[name](url, said, stream)).startswith("Hello")
        (forwarded,) = models.forwarded
        assert results_in(dialect, forwarded.body) == [replaced]
        assert CANARY.encode() not in forwarded.body + b"".join(each.body for each in models.asked_main)
        assert KEY.encode() in forwarded.raw_head
        assert all(KEY.encode() in each.raw_head for each in models.asked)
