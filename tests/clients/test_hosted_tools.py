"""Tools that a provider runs itself, under policies: the vendors' clients get a 403 that names the one refused."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import anthropic
import openai
import pytest
import pytest_asyncio
from google.genai import errors as genai_errors

from tests.clients.scripted import Scripted, http, scripted
from tests.clients.sdk import anthropic_client, gemini_client, openai_client
from tests.harness.dialects import DIALECTS
from tests.harness.process import Gateway
from tests.harness.upstream import compile_script, send

pytestmark = pytest.mark.asyncio(loop_scope="module")

BLOCKED = (
    "web_search",
    "code_interpreter",
    "file_search",
    "image_generation",
    "wiki",
    "mcp__mail__send",
    "live_search",
    "code_execution",
    "googleSearch",
    "codeExecution",
    "urlContext",
    "computerUse",
    "shell",
)
SETTINGS = "".join(
    f'[[tool_invocation_policies]]\ntool = "{tool}"\naction = "block_always"\nreason = "It leaves the house."\n'
    for tool in BLOCKED
)
SETTINGS += '[[tool_invocation_policies]]\ntool = "web_fetch"\naction = "block_when_context_is_untrusted"\n'
REFUSED = (
    "which the provider would run by itself, was denied by a tool invocation policy. It leaves the house."
)
FORBIDDEN = (openai.PermissionDeniedError, anthropic.PermissionDeniedError, genai_errors.ClientError)
Ask = Callable[[Gateway, dict[str, Any], bool], Any]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scripted]:
    config = tmp_path_factory.mktemp("config") / "gateway.toml"
    config.write_text(SETTINGS)
    async with scripted({"GATEWAY_CONFIG": str(config)}) as running:
        yield running


def chat(provider: str) -> Ask:
    def ask(gateway: Gateway, body: dict[str, Any], stream: bool) -> Any:  # one of a table's columns
        with openai_client(gateway, provider=provider) as client:
            create: Any = client.chat.completions.create
            extra = {name: value for name, value in body.items() if name not in ("model", "tools")}
            known = {name: value for name, value in body.items() if name in ("model", "tools")}
            asked = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": stream} | known
            return create(**asked, extra_body=extra)

    return ask


def responses(gateway: Gateway, body: dict[str, Any], stream: bool) -> Any:
    with openai_client(gateway) as client:
        create: Any = client.responses.create
        return create(**{"model": "m", "input": "Hi", "stream": stream} | body)


def messages(gateway: Gateway, body: dict[str, Any], stream: bool) -> Any:
    with anthropic_client(gateway) as client:
        create: Any = client.beta.messages.create
        turns = [{"role": "user", "content": "Hi"}]
        return create(**{"model": "m", "max_tokens": 9, "messages": turns, "stream": stream} | body)


def gemini(gateway: Gateway, body: dict[str, Any], stream: bool) -> Any:
    with gemini_client(gateway) as client:
        asked: Any = {"model": "m", "contents": "Hi", "config": body}
        if stream:
            return list(client.models.generate_content_stream(**asked))
        return client.models.generate_content(**asked)


WIKI = {"type": "mcp", "server_label": "wiki", "server_url": "https://wiki.example"}
MAIL = {
    "type": "mcp",
    "server_label": "mail",
    "server_url": "https://mail.example",
    "allowed_tools": ["send"],
}
ANTHROPIC_MAIL = {
    "type": "url",
    "name": "mail",
    "url": "https://mail.example",
    "tool_configuration": {"allowed_tools": ["send"]},
}
CASES: list[tuple[Ask, dict[str, Any], str]] = [
    (responses, {"tools": [{"type": "web_search_preview"}]}, "web_search"),
    (responses, {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}, "code_interpreter"),
    (responses, {"tools": [{"type": "file_search", "vector_store_ids": ["v"]}]}, "file_search"),
    (responses, {"tools": [{"type": "image_generation"}]}, "image_generation"),
    (responses, {"tools": [{"type": "shell", "environment": {"type": "container_auto"}}]}, "shell"),
    (responses, {"tools": [WIKI | {"require_approval": "never"}]}, "wiki"),
    (responses, {"tools": [MAIL | {"require_approval": "never"}]}, "mcp__mail__send"),
    (responses, {"model": "vendor/m:online"}, "web_search"),
    (chat("openai"), {"web_search_options": {}}, "web_search"),
    (chat("groq"), {"model": "groq/compound"}, "web_search, code_interpreter"),
    (chat("groq"), {"tools": [{"type": "code_interpreter"}]}, "code_interpreter"),
    (chat("groq"), {"tools": [WIKI]}, "wiki"),
    (chat("mistral"), {"search_parameters": {"mode": "on"}}, "live_search"),
    (chat("openai"), {"plugins": [{"id": "web"}]}, "web_search"),
    (messages, {"tools": [{"type": "web_search_20260318", "name": "web_search"}]}, "web_search"),
    (messages, {"tools": [{"type": "code_execution_20260521", "name": "code_execution"}]}, "code_execution"),
    (messages, {"mcp_servers": [ANTHROPIC_MAIL]}, "mcp__mail__send"),
    (messages, {"tools": [{"type": "mcp_toolset", "mcp_server_name": "wiki"}]}, "wiki"),
    (gemini, {"tools": [{"google_search": {}}]}, "googleSearch"),
    (gemini, {"tools": [{"code_execution": {}}]}, "codeExecution"),
    (gemini, {"tools": [{"url_context": {}}, {"google_search": {}}]}, "googleSearch, urlContext"),
    (gemini, {"tools": [{"computer_use": {"environment": "ENVIRONMENT_BROWSER"}}]}, "computerUse"),
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("ask", "body", "names"), CASES)
async def test_a_refused_tool(gate, ask, body, names, stream):
    await gate.reset()
    with pytest.raises(FORBIDDEN) as raised:
        await asyncio.to_thread(ask, gate.gateway, body, stream)
    said = str(raised.value)
    for name in names.split(", "):
        assert name in said
    assert REFUSED in said
    assert "403" in said
    assert not gate.upstream.requests


ALLOWED: list[tuple[Ask, dict[str, Any], str]] = [
    (responses, {"tools": [WIKI | {"require_approval": "always"}, {"type": "local_shell"}]}, "responses"),
    (responses, {"tools": [{"type": "shell", "environment": {"type": "local"}}]}, "responses"),
    (chat("openai"), {"search_parameters": {"mode": "off"}, "tools": [{"type": "web_fetch"}]}, "chat"),
    (messages, {"tools": [{"type": "web_fetch_20260318", "name": "web_fetch"}]}, "anthropic"),
    (gemini, {"tools": [{"google_maps": {}}]}, "gemini"),
]


@pytest.mark.parametrize(("ask", "body", "wire"), ALLOWED)
async def test_what_no_policy_refuses_passes(gate, ask, body, wire):
    await gate.reset()
    dialect = DIALECTS[wire]
    gate.upstream.queue.append(compile_script([send(http(dialect.whole("Hello.")))], dialect))
    await asyncio.to_thread(ask, gate.gateway, body, False)
    assert len(gate.upstream.requests) == 1


async def test_a_tool_that_only_an_untrusted_conversation_must_not_use(gate):
    await gate.reset()
    tools: Any = [{"type": "web_fetch_20260318", "name": "web_fetch"}]
    block: Any = {"type": "tool_result", "tool_use_id": "t", "content": "from outside"}
    with anthropic_client(gate.gateway) as client, pytest.raises(anthropic.PermissionDeniedError) as raised:
        await asyncio.to_thread(
            client.messages.create,
            model="m",
            max_tokens=9,
            tools=tools,
            messages=[{"role": "user", "content": [block]}],
        )
    assert "web_fetch, which the provider would run by itself, was denied" in str(raised.value)
    assert not gate.upstream.requests
