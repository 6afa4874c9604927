"""What a rule hides is in no place where anything is kept or said: not in the database, not on standard output.

Each case has a secret of its own, which a rule names by its place or by how it looks; then all that the gateway wrote
is searched for it.
"""

import asyncio
from pathlib import Path

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from gateway.secrets import Keyring, new_virtual_key
from gateway.tasks import spawn
from tests.clients.scripted import Scripted, http, request, scripted
from tests.harness import canaries, sinks
from tests.harness.client import Client, exchange
from tests.harness.dialects import DIALECTS
from tests.harness.upstream import compile_script, head, stall, whole

pytestmark = pytest.mark.asyncio(loop_scope="module")

RULES = [
    "$.user",
    "$.prompt_cache_key",
    "$.metadata",
    "$.a",
    "$.deep.a",
    "$.model",
    "$.choices[*].message.tool_calls[*].function.name",
    r"PAT[0-9]{4,8}x",
    r'"seat": *"[^"]*"',
]
MESSAGES = [{"role": "user", "content": "Hi"}]
CHAT = {"model": "gpt-4o-mini", "messages": MESSAGES}
SECRET = "hidden-"


def body(**members):
    return msgspec.json.encode(CHAT | members)


def cases():
    """Name, wire, headers, the request's body, and how its answer is changed; SECRET stands where a secret does."""
    yield "user", "chat", "", body(user=SECRET), {}
    yield "prompt_cache_key", "chat", "", body(prompt_cache_key=SECRET), {}
    yield (
        "user of responses",
        "responses",
        "",
        msgspec.json.encode({"model": "m", "input": "Hi", "user": SECRET}),
        {},
    )
    yield "duplicate", "chat", "", body()[:-1] + b',"a":"%b","a":"x"}' % SECRET.encode(), {}
    yield (
        "duplicate within",
        "chat",
        "",
        body()[:-1] + b',"deep":{"a":"%b"},"deep":{"a":"x"}}' % SECRET.encode(),
        {},
    )
    yield "duplicate user", "chat", "", body()[:-1] + b',"user":"x","user":"%b"}' % SECRET.encode(), {}
    yield "escaped name", "chat", "", body()[:-1] + b',"\\u0061":"%b"}' % SECRET.encode(), {}
    user_id = {"user_id": f"user_1_account_2_session_{SECRET}"}
    yield (
        "metadata.user_id",
        "anthropic",
        "",
        msgspec.json.encode({"model": "m", "max_tokens": 5, "messages": MESSAGES, "metadata": user_id}),
        {},
    )
    yield "model", "chat", "", body(model=SECRET), {"model": SECRET}
    for header in ("agent-id", "user-id", "run-id", "session-id"):
        yield header, "chat", f"x-gateway-{header}: a PAT{1234}x {SECRET}\r\n", body(), {}
    yield "session-id", "chat", f"session-id: PAT1234x {SECRET}\r\n", body(), {}
    yield "user-agent", "chat", f"user-agent: PAT1234x {SECRET}\r\n", body(), {}
    yield "tool", "chat", "", body(), {"choices": [{"message": {"tool_calls": [{"id": "1", "function": {"name": SECRET}}]}, "finish_reason": "tool_calls"}]}  # fmt: skip
    yield "context", "chat", "", body(seat=SECRET), {}


@pytest_asyncio.fixture(
    loop_scope="module", scope="module", params=["true", "false"], ids=["bodies", "no bodies"]
)
async def gate(request: pytest.FixtureRequest):
    env = {
        "GATEWAY_RECORD_REDACT": msgspec.json.encode(RULES).decode(),
        "GATEWAY_RECORD_BODIES": request.param,
    }
    async with scripted(env) as running:
        yield running


def kept(gate: Scripted) -> dict[str, bytes]:
    found = {"standard output": "\n".join(gate.gateway.output.lines).encode()}
    return found | canaries.in_folder(Path(gate.gateway.state.name))


@pytest.mark.parametrize(
    ("name", "wire", "headers", "data", "changes"), list(cases()), ids=[c[0] for c in cases()]
)
async def test_what_a_rule_hides_is_nowhere(gate, name, wire, headers, data, changes):
    secret = canaries.made(name.replace(" ", "-"), end="")
    pattern = "PAT1234x" in headers
    if pattern:  # the secret is what the pattern matches, and what stands beside it is kept
        secret = f"PAT{abs(hash(name)) % 10**8:08}x"
        headers = headers.replace("PAT1234x", secret).replace(SECRET, "beside")
    put = secret.encode()
    answer = msgspec.json.encode(msgspec.json.decode(DIALECTS[wire].whole()) | changes).replace(
        SECRET.encode(), put
    )
    dialect = DIALECTS[wire]
    sent = dialect.request(stream=False, body=data.replace(SECRET.encode(), put), headers=headers)
    got, _ = await gate.ask(sent, [whole(answer)], dialect=dialect)
    assert got.response.status == 200
    line = await gate.record(got)
    await asyncio.to_thread(sinks.wait_for, gate.gateway.state.name, {line["id"]})
    [row] = [row for row in sinks.rows(gate.gateway.state.name) if row.id == line["id"]]
    canaries.check(kept(gate), [secret])
    assert row.more["usage_source"] == "reported"


async def test_what_a_rule_hides_of_declared_tools(gate):
    secrets = [f"PAT{number:08}x" for number in (11111111, 22222222, 33333333)]
    functions = [
        {"name": secrets[0], "description": "Its name is a secret."},
        {
            "name": "beside",
            "description": f"Uses {secrets[1]}, and \u2028{secrets[1]}.",
            "parameters": {"type": "object", "title": secrets[2], "properties": {secrets[2]: {}}},
        },
    ]
    data = body(tools=[{"type": "function", "function": each} for each in functions])
    await gate.ask(DIALECTS["chat"].request(stream=False, body=data), [whole(lambda d: d.whole())])
    url = f"http://127.0.0.1:{gate.gateway.console_port}/api/tools?limit=500"
    names: set[str] = set()
    async with aiohttp.ClientSession() as session, asyncio.timeout(20):
        while "beside" not in names:
            await asyncio.sleep(0.05)
            names = {each["name"] for each in (await (await session.get(url)).json())["items"]}
    assert not [name for name in names if "redacted" in name]
    canaries.check(kept(gate), secrets)


async def test_what_is_in_flight_hides_it_too(gate):
    secret = canaries.made("flight", end="")
    data = body(user=secret, model=secret)
    gate.upstream.marked[b"x-case: flight"] = compile_script([head(), stall()], DIALECTS["chat"])
    sent = DIALECTS["chat"].request(stream=True, body=data, headers="x-case: flight\r\n")
    asking = spawn(exchange(gate.gateway.port, sent, Client(leave_at=1.5)), name="asking")
    async with asyncio.timeout(5):
        while not sinks.in_flight(gate.gateway.state.name):  # noqa: ASYNC110  # another process writes it
            await asyncio.sleep(0.05)
    canaries.check(kept(gate), [secret])
    await asking
    await asyncio.sleep(0.5)
    canaries.check(kept(gate), [secret])


def streamed(*deltas: dict[str, object]) -> bytes:
    chunks = (msgspec.json.encode({"choices": [{"index": 0, "delta": delta}]}) for delta in deltas)
    return b"".join(b"data: %b\n\n" % chunk for chunk in chunks) + b"data: [DONE]\n\n"


def call(name: str) -> dict[str, object]:
    return {"tool_calls": [{"index": 0, "function": {"name": name}}]}


async def test_what_is_said_in_pieces_or_escaped_is_not_shown():
    """In the view, in search, in a row: what is joined and decoded there was neither in the bytes."""
    rules = ["canary-[a-z0-9]+", "Müller", "$.choices[*].delta.tool_calls[*].function.name"]
    sse = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream"
    whole_answer = (
        rb'{"choices":[{"index":0,"message":{"role":"assistant","content":"Herr M\u00fcller can\u0061ry-one"},'
        rb'"finish_reason":"stop"}]}'
    )
    cases = [
        (body(stream=True), http(streamed({"content": "key is cana"}, {"content": "ry-two"}), sse)),
        (body(), http(whole_answer)),
        (body(stream=True), http(streamed(call("secret_"), call("tool9")), sse)),
        (
            body(messages=[{"role": "user", "content": "Muller"}]).replace(
                b"Muller", rb"the last M\u00fcller can\u0061ry-three"
            ),
            http(DIALECTS["chat"].whole()),
        ),
    ]
    shown = b""
    env = {"GATEWAY_RECORD_REDACT": msgspec.json.encode(rules).decode()}
    async with scripted(env) as gate:

        async def found(query: str) -> list[object]:
            got = await exchange(gate.gateway.console_port, request(f"/api/interactions?q={query}"))
            return msgspec.json.decode(got.response.body)["items"]

        for sent, answer in cases:
            streams = b'"stream":true' in sent
            got, _ = await gate.ask(DIALECTS["chat"].request(stream=streams, body=sent), answer)
            line = await gate.record(got)
            await asyncio.to_thread(sinks.wait_for, gate.gateway.state.name, {line["id"]})
            for path in (
                f"/api/interactions/{line['id']}",
                f"/api/interactions/{line['id']}/request",
                f"/api/interactions/{line['id']}/response",
            ):
                shown += (await exchange(gate.gateway.console_port, request(path))).raw
        async with asyncio.timeout(20):
            while not await found("last"):  # noqa: ASYNC110  # search may lag, and reads them in order
                await asyncio.sleep(0.2)
        shown += (await exchange(gate.gateway.console_port, request("/api/interactions"))).raw
        for query in ("canary-", "M%C3%BCller", "secret_tool"):
            assert not await found(query)
        places = kept(gate) | {"the console": shown}
        canaries.check(
            places, ["canary-one", "canary-two", "canary-three", "secret_tool9", "Müller", r"M\u00fcller"]
        )


async def test_what_no_rule_names_stays():
    rules = msgspec.json.encode(["$.user", "$.choices[*].message.content", r"[0-9]{6}"]).decode()
    dialect = DIALECTS["chat"]
    async with scripted({"GATEWAY_RECORD_REDACT": rules}) as gate:
        headers = "x-gateway-user-id: ann\r\nx-gateway-run-id: r-1\r\nsession-id: s-1\r\n"
        sent = dialect.request(stream=False, body=body(user="u"), headers=headers)
        got, _ = await gate.ask(sent, [whole(dialect.whole(tool="get_weather"))])
        line = await gate.record(got)
        assert (line["user"], line["run"], line["session"]) == ("ann", "r-1", "s-1")
        assert (line["requested_model"], line["model"]) == ("gpt-4o-mini", "gpt-4o-mini")
        assert line["cost"]
        assert line["price"]["model"]
        await asyncio.to_thread(sinks.wait_for, gate.gateway.state.name, {line["id"]})
        [row] = sinks.rows(gate.gateway.state.name)
        assert (row.user, row.session, row.model) == ("ann", "s-1", "gpt-4o-mini")
        assert "get_weather" in repr(kept(gate))


async def test_an_error_does_not_repeat_it(tmp_path):
    """The gateway's own words name the model that a key is not for; the client reads them, and nobody else."""
    key, master = new_virtual_key(), "m" * 32
    (tmp_path / "gateway.toml").write_text(
        f'[[virtual_keys]]\nname = "its"\nhash = "{Keyring(master).hash(key)}"\nmodels = ["other-*"]\n'
        '[record]\nredact = ["$.model"]\n'
    )
    env = {
        "GATEWAY_CONFIG": str(tmp_path / "gateway.toml"),
        "GATEWAY_SECRET_KEY": master,
        "OPENAI_API_KEY": "sk-own",
    }
    secret = canaries.made("model-of-an-error")  # with what is escaped in it
    async with scripted(env) as gate:
        got = await gate.refused(
            request("/v1/openai/chat/completions", body(model=secret), [f"authorization: Bearer {key}"])
        )
        assert got.response.status == 403
        line = await gate.record(got)
        await asyncio.to_thread(sinks.wait_for, gate.gateway.state.name, {line["id"]})
        assert line["error"].startswith("This virtual key is not for the model '[redacted]'")
        canaries.check(kept(gate), [secret])
