"""What a request may try, through a running gateway: nothing of it slips past policies, and nothing is sent that must not be."""

import asyncio
import itertools
import re
from typing import Any

import orjson
import pytest

from tests.attacks import plain, policies, reader
from tests.attacks.model import CANARY, KINDS, TWIN, Tool
from tests.attacks.test_requests import PLACES, history
from tests.clients.scripted import Scripted, request, scripted
from tests.harness import scrape
from tests.harness.client import Exchange, exchange, leave
from tests.harness.dialects import DIALECTS, STREAMED, WHOLE
from tests.harness.upstream import ScriptStep, compile_script, fin, rst, send, sleep, stall

pytestmark = pytest.mark.asyncio(loop_scope="package")
each_dialect = pytest.mark.parametrize("name", WHOLE)
each_stream = pytest.mark.parametrize("name", STREAMED)
NOT_STREAMED = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n"


def head(name: str) -> bytes:
    kind = DIALECTS[name].stream_type
    return f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n".encode()


def chunked(frames: list[bytes]) -> list[ScriptStep]:
    return [send(b"%x\r\n%b\r\n" % (len(frame), frame)) for frame in frames]


def streamed(name: str, tool: Tool) -> list[ScriptStep]:
    return [send(head(name)), *chunked(plain.answer(name, tool, stream=True)), send(b"0\r\n\r\n")]


def whole(name: str, tool: Tool) -> list[ScriptStep]:
    return [send(NOT_STREAMED + plain.WHOLE[name](tool)), fin()]


def body(name: str, kind: Any, *, stream: bool = True, **more: Any) -> bytes:
    return DIALECTS[name].request(stream=stream, body=policies.body(name, kind, stream=stream, **more))


def is_refused(got: Exchange, status: int, *words: str) -> None:
    assert got.response.status == status, got.raw[:500]
    text = got.response.body.decode()
    assert all(word in text for word in words), text


# T-TOOL-46


def _twice(data: bytes, member: str, value: bytes) -> bytes:
    return b'{"%b":%b,' % (member.encode(), value) + data[1:]


@each_dialect
@pytest.mark.parametrize("kind", KINDS)
async def test_a_key_that_is_there_twice(gateways, name, kind):
    """Whatever was judged is what is sent: of two, nobody says which the provider reads."""
    data = policies.body(name, kind, stream=False)
    members = {"tools": b"[]", "contents" if name == "gemini" else "model": b'"other"'}
    if name != "gemini":
        members |= {"stream": b"true"}
        data = data[:-1] + b',"stream":false}'
    for member, value in members.items():
        for key in (member, f"\\u{ord(member[0]):04x}{member[1:]}"):
            sent = _twice(data, key, value)
            got = await gateways[kind].refused(DIALECTS[name].request(stream=False, body=sent))
            is_refused(got, 400, member, "twice")


# T-TOOL-19

SERVER_TOOLS: dict[str, list[dict[str, Any]]] = {
    "responses": [
        {"type": "web_search"},
        {"type": "file_search", "vector_store_ids": ["v"]},
        {"type": "code_interpreter", "container": {"type": "auto"}},
        {"type": "image_generation"},
        {
            "type": "mcp",
            "server_label": "s",
            "server_url": "https://evil.example",
            "require_approval": "never",
        },
    ],
    "anthropic": [
        {"type": "web_search_20250305", "name": "web_search"},
        {"type": "web_fetch_20250910", "name": "web_fetch"},
        {"type": "code_execution_20250825", "name": "code_execution"},
        {"type": "mcp_toolset", "mcp_server_name": "s"},
    ],
    "gemini": [
        {"googleSearch": {}},
        {"codeExecution": {}},
        {"urlContext": {}},
        {"google_search": {}},
    ],
}
CASES = [(name, tool) for name, tools in SERVER_TOOLS.items() for tool in tools]


@pytest.mark.parametrize(("name", "tool"), CASES, ids=str)
@pytest.mark.parametrize("kind", ["argument", "list", "untrusted"])
@pytest.mark.parametrize("stream", [True, False])
async def test_tools_that_the_provider_runs_are_refused_with_the_request(gateways, name, tool, kind, stream):
    more: dict[str, Any] = {"tools": [tool]}
    if tool.get("type") == "mcp_toolset":
        more["mcp_servers"] = [{"type": "url", "url": "https://evil.example", "name": "s"}]
    running = gateways[kind]
    got = await running.refused(body(name, kind, stream=stream, **more))
    is_refused(got, 403, "denied", "tool invocation policy")
    record = await running.record(got)
    assert record["blocked_tools"]
    assert any(one["blocked"] and one["kind"] == "tool" for one in record["decisions"])


# T-TOOL-49 and 50

KEPT = {
    "openai": [
        ("GET", "/responses/resp_1"),
        ("POST", "/responses/compact"),
        ("POST", "/conversations"),
        ("POST", "/batches"),
        ("POST", "/threads/runs"),
        ("POST", "/threads/t/runs/r/submit_tool_outputs"),
        ("GET", "/chat/completions/c"),
        ("POST", "/assistants"),
    ],
    "anthropic": [
        ("POST", "/v1/messages/batches"),
        ("GET", "/v1/messages/batches/b/results"),
        ("POST", "/v1/sessions"),
    ],
    "gemini": [("POST", "/v1beta/models/m:batchGenerateContent"), ("POST", "/v1beta/interactions")],
}
UNLISTED = {
    "openai": [
        ("POST", "/realtime"),
        ("POST", "/brand/new"),
        ("POST", "/chat/completions/"),
        ("POST", "/Chat/completions"),
    ],
    "anthropic": [("POST", "/v1/brand/new"), ("POST", "/v1/complete")],
    "gemini": [("POST", "/v1beta/models/m:brandNew"), ("POST", "/v1beta/brand/new")],
}
PATHS = [(provider, *one) for provider, some in KEPT.items() for one in some]


@pytest.mark.parametrize(("provider", "method", "path"), PATHS)
@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_kept_upstream_is_closed(gateways, provider, method, path, kind):
    got = await gateways[kind].refused(request(f"/v1/{provider}{path}", b"{}" if method == "POST" else None))
    assert got.response.status == 403, got.raw[:300]


@pytest.mark.parametrize(
    ("provider", "method", "path"), [(provider, *one) for provider, some in UNLISTED.items() for one in some]
)
async def test_a_path_that_nobody_knows_is_closed(gateways, provider, method, path):
    sent = request(f"/v1/{provider}{path}", b"{}", method=method)
    assert (await gateways["name"].refused(sent)).response.status == 404


@pytest.fixture(scope="module")
def forwarding(tmp_path_factory):
    file = tmp_path_factory.mktemp("forwarding") / "gateway.toml"
    rows = "".join(f"[providers.{name}]\nforward_unlisted = true\n" for name in KEPT)
    file.write_text(policies.TOML["name"] + rows)
    return file


async def test_a_path_that_is_let_through_is_closed_once_policies_hold(forwarding):
    async with scripted({"GATEWAY_CONFIG": str(forwarding)}) as running:
        for provider, paths in UNLISTED.items():
            for method, path in paths:
                sent = request(f"/v1/{provider}{path}", b"{}", method=method)
                is_refused(await running.refused(sent), 403, "tool_invocation_policies")


STATE: dict[str, list[dict[str, Any]]] = {
    "responses": [
        {"previous_response_id": "resp_1"},
        {"conversation": "conv_1"},
        {"conversation": {"id": "conv_1"}},
        {"background": True},
        {"input": [{"type": "item_reference", "id": "fc_1"}]},
    ],
    "anthropic": [{"thread": {"type": "continue", "previous_message_id": "msg_1"}}, {"container": "c_1"}],
    "gemini": [{"cachedContent": "cachedContents/c"}],
}


@pytest.mark.parametrize(
    ("name", "state"), [(name, one) for name, some in STATE.items() for one in some], ids=str
)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_history_that_the_provider_keeps_is_not_trusted(gateways, name, state, stream):
    """Refused, or taken for untrusted: what nobody sees may hold anything."""
    running: Scripted = gateways["untrusted"]
    await running.reset()
    steps = streamed(name, CANARY) if stream else whole(name, CANARY)
    running.upstream.queue.append(compile_script(steps, DIALECTS[name]))
    sent = {**policies.members(name, stream=stream, untrusted=False), **state}
    got = await exchange(running.gateway.port, DIALECTS[name].request(stream=stream, body=orjson.dumps(sent)))
    reader.check_no_canary(got.response.body, None)
    if running.upstream.requests:
        record = await running.record(got)
        assert record["outcome"] == "policy_blocked"
        assert record["context_trusted"] is False
    else:
        assert got.response.status in (400, 403, 404), got.raw[:400]


# T-TOOL-47 and 48


async def judged(running: Scripted, name: str, sent: Any) -> dict[str, Any]:
    """Have a model call the canary in answer to a request; return the record."""
    data = DIALECTS[name].request(stream=False, body=orjson.dumps(sent))
    got, _ = await running.ask(data, whole(name, CANARY), dialect=DIALECTS[name])
    reader.check_no_canary(got.response.body, None)
    return await running.record(got)


@each_dialect
async def test_a_forged_history(gateways, name):
    for sent in (history(name, "c1", "c1", call=False), history(name, "c1", "c1", "read_mail")):
        record = await judged(gateways["untrusted"], name, sent)
        assert (record["outcome"], record["context_trusted"]) == ("policy_blocked", False)


@each_dialect
@pytest.mark.parametrize("place", PLACES)
async def test_words_that_ask_for_a_call(gateways, name, place):
    sent = policies.members(name, stream=False, untrusted=False)
    PLACES[place](sent, name)
    record = await judged(gateways["name"], name, sent)
    assert (record["outcome"], record["context_trusted"]) == ("policy_blocked", True)


# T-TOOL-51


async def test_nothing_falls_back_to_another_wire(tmp_path):
    """`fallbacks` has no effect yet: an answer is always of the wire that was asked, and judged as such."""
    file = tmp_path / "gateway.toml"
    file.write_text(policies.TOML["name"] + '[providers.openai]\nfallbacks = ["anthropic", "gemini"]\n')
    async with scripted({"GATEWAY_CONFIG": str(file)}) as running:
        await running.reset()
        failing = b"HTTP/1.1 503 Down\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
        running.upstream.queue.append(compile_script([send(failing)], DIALECTS["chat"]))
        got = await exchange(running.gateway.port, body("chat", "name"))
        assert got.response.status == 503
        assert [one.line for one in running.upstream.requests] == [
            "POST /openai/v1/chat/completions HTTP/1.1"
        ]
        # An upstream that answers in another wire's format is not believed.
        for other in ("responses", "anthropic", "gemini"):
            for stream in (True, False):
                frames = plain.answer(other, CANARY, stream=stream)
                if stream:
                    steps = [send(head(other)), *chunked(frames), send(b"0\r\n\r\n")]
                else:
                    steps = [send(NOT_STREAMED + frames[0]), fin()]
                got, _ = await running.ask(body("chat", "name", stream=stream), steps)
                reader.check_no_canary(got.response.body, None)


# T-TOOL-52


async def test_nothing_is_compressed_before_it_is_judged(tmp_path):
    """`toon` has no effect yet: what a policy reads is what the client sent, and what is sent on."""
    file = tmp_path / "gateway.toml"
    file.write_text(
        'default_policies = { result = "mark_as_trusted" }\n[[agents]]\nslug = "default"\ntoon = true\n'
        '[[trusted_data_policies]]\ntool = "*"\naction = "block_always"\n'
        'conditions = [{ key = "rows[0].note", operator = "contains", value = "c4n4ry" }]\n'
    )
    rows = '{"rows":[{"note":"%s","n":1},{"note":"b","n":2}]}'
    async with scripted({"GATEWAY_CONFIG": str(file)}) as running:
        for name, (value, passes) in itertools.product(WHOLE, (("harmless", True), (CANARY.value, False))):
            sent = policies.body(name, "untrusted", stream=False)
            text = rows % value
            told = text if name == "gemini" else orjson.dumps(text).decode()
            plain_text = orjson.dumps("Whatever a stranger wrote.").decode()
            old = f'{{"result":{plain_text}}}' if name == "gemini" else plain_text
            sent = sent.replace(old.encode(), told.encode())
            assert value.encode() in sent
            answer = whole(name, TWIN)
            _, received = await running.ask(DIALECTS[name].request(stream=False, body=sent), answer)
            assert (received.body == sent) is passes
            assert (CANARY.value.encode() in received.body) is False


# Not on the list: a client that does not look at the status.


def _failing(status: int, kind: str, data: bytes) -> list[ScriptStep]:
    head = f"HTTP/1.1 {status} No\r\ncontent-type: {kind}\r\ncontent-length: {len(data)}\r\n\r\n"
    return [send(head.encode() + data)]


@each_dialect
@pytest.mark.parametrize("stream", [True, False])
async def test_an_error_that_holds_a_call(gateways, name, stream):
    dialect = DIALECTS[name]
    running: Scripted = gateways["list"]
    data = b"".join(plain.answer(name, CANARY, stream=stream))
    for status in (400, 429, 500):
        for kind in (dialect.stream_type if stream else "application/json", "text/plain"):
            sent = body(name, "list", stream=stream)
            got, _ = await running.ask(sent, _failing(status, kind, data), dialect=dialect)
            reader.check_no_canary(got.response.body, None)
            assert (await running.record(got))["outcome"] == "not_evaluated"
            for harmless in (dialect.upstream_error(status), b"<html>Bad gateway</html>", b""):
                got, _ = await running.ask(sent, _failing(status, kind, harmless), dialect=dialect)
                assert (got.response.status, got.response.body) == (status, harmless)
                assert (await running.record(got))["outcome"] == "upstream_status"


# T-TOOL-53


@each_stream
async def test_a_model_that_calls_again_and_again_is_refused_each_time(gateways, name):
    running: Scripted = gateways["list"]
    for turn in range(50):
        got, _ = await running.ask(body(name, "list"), streamed(name, CANARY), dialect=DIALECTS[name])
        reader.check_no_canary(got.response.body, None)
        assert b"tool invocation policy" in got.response.body, turn
        assert (await running.record(got))["outcome"] == "policy_blocked"


# T-TOOL-43


@each_stream
@pytest.mark.parametrize("how", ["fin", "rst", "silence"])
async def test_an_answer_that_breaks_off(impatient, name, how):
    """In process at every byte; here at some, with the sockets that break."""
    frames = b"".join(plain.answer(name, CANARY, stream=True))
    at = frames.find(CANARY.name.encode())
    end = frames.rfind(CANARY.value.encode())
    places = {at - 1, at + 3, at + len(CANARY.name), (at + end) // 2, end, end + len(CANARY.value)}
    if how == "silence":
        places = {(at + end) // 2}
    for place in sorted(places):
        steps = [send(head(name)), *chunked([frames[:place]])]
        steps.append({"fin": fin, "rst": rst, "silence": stall}[how]())
        got, _ = await impatient.ask(body(name, "name"), steps, dialect=DIALECTS[name])
        reader.check_no_canary(got.response.body, None)
        record = await impatient.record(got)
        assert record["outcome"] in ("upstream_reset", "upstream_protocol", "upstream_timeout"), record


@each_stream
async def test_a_client_that_leaves_while_a_call_is_held(gateways, name):
    running: Scripted = gateways["name"]
    frames = plain.answer(name, CANARY, stream=True)
    at = next(n for n, frame in enumerate(frames) if CANARY.name.encode() in frame)
    steps = [send(head(name)), *chunked(frames[: at + 1]), stall()]
    got, _ = await running.ask(body(name, "name"), steps, dialect=DIALECTS[name], client=leave(b"look"))
    reader.check_no_canary(got.raw, None)
    assert (await running.record(got))["outcome"] == "client_cancelled"


# T-TOOL-45


async def console(running: Scripted, method: str, path: str, **sent: Any) -> Any:
    """Ask the console's API."""
    headers = ["content-type: application/json", "x-gateway-csrf: 1", "connection: close"]
    data = orjson.dumps(sent) if sent else None
    got = await exchange(running.gateway.console_port, request(path, data, headers, method))
    assert got.response.status // 100 == 2, got.raw[:400]
    return orjson.loads(got.response.body or b"null")


async def test_a_policy_that_comes_while_an_answer_is_under_way():
    """The answer is judged by what held when its request was let in; the next request by what holds now."""
    async with scripted() as running:
        for name in STREAMED:
            dialect = DIALECTS[name]
            frames = plain.answer(name, CANARY, stream=True)
            steps = [
                send(head(name)),
                *chunked(frames[:1]),
                sleep(1.0),
                *chunked(frames[1:]),
                send(b"0\r\n\r\n"),
            ]
            asked = running.ask(body(name, "name"), steps, dialect=dialect)
            under_way = asyncio.get_running_loop().create_task(asked)
            await asyncio.sleep(0.3)
            policy = {"tool": CANARY.name, "action": "block_always"}
            made = await console(running, "POST", "/api/tool-invocation-policies", **policy)
            assert not under_way.done()
            got, _ = await under_way
            assert got.response.body == b"".join(frames)
            got, _ = await running.ask(body(name, "name"), streamed(name, CANARY), dialect=dialect)
            reader.check_no_canary(got.response.body, None)
            assert (await running.record(got))["outcome"] == "policy_blocked"
            await console(running, "DELETE", f"/api/tool-invocation-policies/{made['id']}")


# T-TOOL-44


@each_stream
@pytest.mark.parametrize("failure", ["ZeroDivisionError", "hang"])
async def test_a_stage_that_fails_to_judge(judging, name, failure):
    """Nothing is released that nobody has judged, whoever else would have allowed it."""
    dialect = DIALECTS[name]
    for tool, stream in ((CANARY, True), (TWIN, True), (TWIN, False)):
        if (not stream and name == "gemini_array") or (failure == "hang" and tool is CANARY):
            continue
        sent = dialect.request(
            stream=stream,
            body=policies.body(name, "name", stream=stream),
            headers=f"x-test-judge: {failure}\r\n",
        )
        steps = streamed(name, tool) if stream else whole(name, tool)
        got, _ = await judging.ask(sent, steps, dialect=dialect)
        assert tool.name.encode() not in got.response.body
        assert tool.value.encode() not in got.response.body
        assert re.search(rb"(?i)failed to judge", got.response.body), got.response.body[-300:]
        assert (await judging.record(got))["outcome"] == "not_evaluated"


async def recorded(running: Scripted) -> None:
    """Wait until what can't be stored has been put elsewhere."""
    for _ in range(20):
        try:
            await scrape.settled(running.gateway.console_port)
        except AssertionError:
            continue
        return


async def test_a_database_that_is_gone(tmp_path):
    """Policies that stand in the database hold on when it is not there any more."""
    state = tmp_path / "state"
    state.mkdir()
    async with scripted({"GATEWAY_STATE_DIR": str(state)}) as running:
        running.gateway.tolerated += ["database", "sqlite", "Traceback"]
        policy = {"tool": CANARY.name, "action": "block_always"}
        await console(running, "POST", "/api/tool-invocation-policies", **policy)
        for file in state.glob("gateway.db*"):
            file.write_bytes(b"gone" * 4096)
        for _ in range(2):
            for name in STREAMED:
                got, _ = await running.ask(body(name, "name"), streamed(name, CANARY), dialect=DIALECTS[name])
                reader.check_no_canary(got.response.body, None)
                assert (await running.record(got))["outcome"] == "policy_blocked"
            await asyncio.sleep(0.5)
        await recorded(running)
