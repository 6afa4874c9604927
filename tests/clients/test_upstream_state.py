"""Conversations that a provider keeps, through a running gateway, with the vendors' clients as they use them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import openai
import orjson
import pytest
import pytest_asyncio

from tests.clients.scripted import Scripted, http, request, scripted
from tests.clients.sdk import async_anthropic_client, async_openai_client, gemini_client
from tests.harness.dialects import DIALECTS
from tests.harness.upstream import Received, chunk, compile_script, head, send, stall

pytestmark = pytest.mark.asyncio(loop_scope="module")

RESULTS = """
[[trusted_data_policies]]
tool = "canary_tool"
action = "block_always"
reason = "Its results stay here."
"""
CALLS = """
[[tool_invocation_policies]]
tool = "canary_tool"
action = "block_always"
"""
UNKNOWN_TOOLS = """
[default_policies]
call = "block_when_context_is_untrusted"
"""
RESPONSES = DIALECTS["responses"]
SECRET = "canary result 7c1"
OUTPUT: Any = {"type": "function_call_output", "call_id": "call_1", "output": SECRET}
TOOLS: Any = [{"type": "function", "name": "canary_tool", "parameters": {"type": "object"}}]


def answers(upstream: Scripted, *bodies: bytes) -> None:
    for body in bodies:
        upstream.upstream.queue.append(compile_script([send(http(body))], RESPONSES))


def bodies(gate: Scripted) -> list[dict[str, Any]]:
    return [orjson.loads(one.body) for one in gate.upstream.requests]


async def recorded(gate: Scripted, provider: str) -> dict[str, Any]:
    """The last line of the log about a provider's request; it comes after the answer."""
    for _ in range(500):
        for record in reversed(gate.gateway.interactions()):
            if record["provider"] == provider:
                return record
        await asyncio.sleep(0.01)
    raise AssertionError(f"no record of a request to {provider}")


async def running(folders: pytest.TempPathFactory, settings: str) -> AsyncIterator[Scripted]:
    config = folders.mktemp("config") / "gateway.toml"
    config.write_text(settings)
    async with scripted({"GATEWAY_CONFIG": str(config)}) as gate:
        yield gate


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scripted]:
    """Results are judged, calls are not."""
    async for gate in running(tmp_path_factory, RESULTS):
        yield gate


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def enforced(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scripted]:
    """Calls of one tool are refused."""
    async for gate in running(tmp_path_factory, CALLS):
        yield gate


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def strict(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scripted]:
    """Tools of which nothing is known are refused once the conversation is untrusted."""
    async for gate in running(tmp_path_factory, UNKNOWN_TOOLS):
        yield gate


async def test_the_second_turn_sends_only_a_result_and_its_call_is_known(opened):
    await opened.reset()
    called = RESPONSES.whole(text="", tool="canary_tool")
    answers(opened, called, RESPONSES.whole("Done."), RESPONSES.whole("Done."))
    async with async_openai_client(opened.gateway) as client:
        first = await client.responses.create(model="m", input="Hi", tools=TOOLS)
        await client.responses.create(model="m", previous_response_id=first.id, input=[OUTPUT], tools=TOOLS)
        await client.responses.create(
            model="m", previous_response_id="resp_other", input=[OUTPUT], tools=TOOLS
        )
    sent = bodies(opened)
    assert "store" not in sent[0]
    assert sent[1]["previous_response_id"] == first.id
    assert SECRET not in sent[1]["input"][0]["output"]
    assert "Its results stay here." in sent[1]["input"][0]["output"]
    # Of an answer that never passed here no call is known, so no policy for its tool applies.
    assert sent[2]["input"] == [OUTPUT]


async def test_the_next_turn_may_come_before_the_end_of_the_stream(opened):
    """The client goes on at the last event; the upstream closes its connection later."""
    await opened.reset()
    frames = [*RESPONSES.start(), *RESPONSES.tool_call("canary_tool", "{}"), *RESPONSES.end()]
    streamed = [head(framing="chunked"), chunk(b"".join(frames)), stall()]
    opened.upstream.queue.append(compile_script(streamed, RESPONSES))
    answers(opened, RESPONSES.whole("Done."))
    async with async_openai_client(opened.gateway) as client:
        events = await client.responses.create(model="m", input="Hi", tools=TOOLS, stream=True)
        async for event in events:
            if event.type == "response.completed":
                break
        await client.responses.create(model="m", previous_response_id="resp_1", input=[OUTPUT], tools=TOOLS)
        await events.close()
    assert "Its results stay here." in bodies(opened)[1]["input"][0]["output"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_under_policies_nothing_is_kept_and_the_client_sends_everything(enforced, stream):
    await enforced.reset()
    allowed = RESPONSES.whole(text="", tool="allowed_tool")
    answers(enforced, allowed, RESPONSES.whole("Done."))
    user: Any = {"role": "user", "content": "Hi"}
    output = {**OUTPUT, "output": "fine"}
    async with async_openai_client(enforced.gateway) as client:
        first = await client.responses.create(model="m", input=[user], reasoning={"effort": "low"})
        with pytest.raises(openai.BadRequestError) as raised:
            await client.responses.create(
                model="m", previous_response_id=first.id, input=[output], stream=stream
            )
        assert raised.value.code == "previous_response_not_found"
        assert raised.value.param == "previous_response_id"
        assert "Send the whole conversation" in raised.value.message
        call: Any = next(item for item in first.output if item.type == "function_call").to_dict()
        reasoned: Any = {"type": "reasoning", "id": "rs_1", "summary": []}
        again = await client.responses.create(model="m", input=[user, reasoned, call, output])
    assert again.output_text == "Done."
    first_sent, again_sent = bodies(enforced)
    assert first_sent["store"] is False
    assert first_sent["include"] == ["reasoning.encrypted_content"]
    assert again_sent["store"] is False
    assert again_sent["input"] == [user, call, output]


async def test_item_references_and_conversations_under_policies(enforced):
    await enforced.reset()
    referring: list[dict[str, Any]] = [
        {"conversation": "conv_1", "input": "Hi"},
        {"input": [{"type": "item_reference", "id": "fc_1"}]},
    ]
    async with async_openai_client(enforced.gateway) as client:
        for body in referring:
            with pytest.raises(openai.BadRequestError, match="Send the whole conversation"):
                await client.responses.create(model="m", **body)
        with pytest.raises(openai.PermissionDeniedError, match="background has the answer fetched"):
            await client.responses.create(model="m", input="Hi", background=True)
    assert not enforced.upstream.requests


def message(text: str, id_: str) -> bytes:
    usage = {"input_tokens": 1, "output_tokens": 1}
    body = {
        "id": id_,
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": text}],
    }
    return orjson.dumps({**body, "stop_reason": "end_turn", "stop_sequence": None, "usage": usage})


def betas(received: Received) -> list[str]:
    return received.header("anthropic-beta").split(",")


async def test_threads_are_kept_without_policies(opened):
    await opened.reset()
    answers(opened, message("One.", "msg_1"), message("Two.", "msg_2"))
    async with async_anthropic_client(opened.gateway) as client:
        thread = client.beta.messages.thread(model="m", max_tokens=9)
        for text in ("Hi", "And now?"):
            await thread.send({"role": "user", "content": text})
    first, second = bodies(opened)
    assert first["thread"] == {"type": "create"}
    assert second["thread"] == {"type": "continue", "previous_message_id": "msg_1"}
    assert any("message-threads" in beta for beta in betas(opened.upstream.requests[0]))


async def test_threads_under_policies_are_replayed_by_the_client_itself(enforced):
    await enforced.reset()
    answers(enforced, message("One.", "msg_1"), message("Two.", "msg_2"))
    async with async_anthropic_client(enforced.gateway) as client:
        thread = client.beta.messages.thread(model="m", max_tokens=9)
        for text in ("Hi", "And now?"):
            answer = await thread.send({"role": "user", "content": text})
        assert answer.id == "msg_2"
        with pytest.raises(anthropic.NotFoundError) as raised:
            await client.beta.messages.create(
                model="m",
                max_tokens=9,
                messages=[{"role": "user", "content": "Hi"}],
                thread={"type": "continue", "previous_message_id": "msg_1"},
            )
    assert type(raised.value).__name__ == "ThreadNotFoundError"
    sent = bodies(enforced)
    assert ["thread" in body for body in sent] == [False, False]
    assert [len(body["messages"]) for body in sent] == [1, 3]
    assert not any("message-threads" in one.header("anthropic-beta") for one in enforced.upstream.requests)


async def test_cached_content_is_untrusted_and_judged_as_tools_that_nobody_sees(opened, enforced, strict):
    whole = DIALECTS["gemini"].whole("Hello.")

    def ask(gate: Scripted) -> Any:
        with gemini_client(gate.gateway) as client:
            config: Any = {"cached_content": "cachedContents/1"}
            return client.models.generate_content(model="m", contents="Hi", config=config)

    for gate in (opened, enforced):
        await gate.reset()
        answers(gate, whole)
        assert (await asyncio.to_thread(ask, gate)).text == "Hello."
        assert bodies(gate)[0]["cachedContent"] == "cachedContents/1"
        assert (await recorded(gate, "gemini"))["context_trusted"] is False
    await strict.reset()
    with pytest.raises(
        Exception, match=r"cachedContent may bring tools .*denied by a tool invocation policy"
    ):
        await asyncio.to_thread(ask, strict)
    assert not strict.upstream.requests


async def test_a_stored_prompt_is_judged_alike(strict):
    await strict.reset()
    async with async_openai_client(strict.gateway) as client:
        with pytest.raises(openai.PermissionDeniedError, match="prompt may bring tools"):
            await client.responses.create(model="m", prompt={"id": "pmpt_1"})
    assert not strict.upstream.requests


async def test_without_policies_bytes_pass_untouched(opened):
    body = orjson.dumps({"model": "m", "previous_response_id": "resp_x", "input": "Hi", "background": True})
    got, received = await opened.ask(
        request("/v1/openai/responses", body, ["authorization: Bearer k", "content-type: application/json"]),
        http(RESPONSES.whole("Hi.")),
    )
    assert received.body == body
    assert got.response.status == 200
