"""A secret of its own in every place where secrets go; then all that leaves the gateway is searched for each of them.

What leaves it: the log, the database with its write-ahead log and spill files, metrics, its errors, every answer of
the console, exported lines, the words of commands. Searched as it is, percent-encoded, in JSON and in base64. The log,
the metrics and the state folder of each gateway are searched when it ends, as those of every test are.
"""

import asyncio
import base64
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import orjson
import pytest
import pytest_asyncio

from gateway.console.actors import Actor, Role
from gateway.console.providers import NewKey, ReplacedKey
from gateway.console.routes import Call
from gateway.secrets import Keyring, new_virtual_key
from gateway.settings import Settings
from gateway.storage.database import Database
from tests.clients.scripted import GATED, Scripted, http, request, scripted
from tests.harness import canaries, sinks
from tests.harness.client import Client, Response, exchange
from tests.harness.command import run
from tests.harness.dialects import DIALECTS
from tests.harness.endings import LIMITS, OF_A_STAGE, OF_THE_CLIENT, OF_THE_UPSTREAM
from tests.harness.stages import PROVOKED
from tests.harness.upstream import Play, Turn, compile_script, send, whole
from tests.storage.postgresql import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

OWN, OTHER = canaries.made("own"), canaries.made("other")
REPEATED = canaries.made("repeated", end="")
"""A client's key that its provider repeats: those that providers make have no odd characters."""
SSE = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream"
STORED = {
    "openai": canaries.made("variable", end=""),
    "anthropic": canaries.made("named"),
    "gemini": canaries.made("file"),
    "groq": canaries.made("toml"),
    "mistral": canaries.made("stored"),
}
MASTER, ADMIN = canaries.made("master-" + "m" * 32), canaries.made("admin")
KEY, UNKNOWN = new_virtual_key(), new_virtual_key()
FILE = f"""
[providers.groq]
api_key = "env:SOME_VARIABLE_KEY"
[[virtual_keys]]
name = "declared"
hash = "{Keyring(MASTER).hash(KEY)}"
"""


def carried(secret: str) -> Iterator[tuple[list[str], str]]:
    """Every place where a client may put a key: the headers, and the query."""
    for name in (
        "x-api-key",
        "x-goog-api-key",
        "api-key",
        "authorization",
        "x-auth-token",
        "cookie",
        "proxy-authorization",
    ):
        yield [f"{name}: {secret}"], ""
    yield [f"authorization: Bearer {secret}"], ""
    yield [f"authorization: Basic {base64.b64encode(f'user:{secret}'.encode()).decode()}"], ""
    for name in ("key", "api_key", "access_token", "other"):
        yield [], f"?{name}={quote(secret, safe='')}&alt=sse"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gate(tmp_path_factory) -> AsyncIterator[Scripted]:
    folder: Path = tmp_path_factory.mktemp("canaries")
    (folder / "gateway.toml").write_text(FILE)
    (folder / "key").write_text(f"{STORED['gemini']}\n")
    env = LIMITS | {
        "GATEWAY_CONFIG": str(folder / "gateway.toml"),
        "OPENAI_API_KEY": STORED["openai"],
        "GATEWAY_ANTHROPIC_API_KEY": STORED["anthropic"],
        "GATEWAY_GEMINI_API_KEY_FILE": str(folder / "key"),
        "SOME_VARIABLE_KEY": STORED["groq"],
        "GATEWAY_SECRET_KEY": MASTER,
        "GATEWAY_ADMIN_TOKEN": ADMIN,
        "GATEWAY_LOG_LEVEL": "debug",
        "GATEWAY_RECORD_RETENTION": "0",
    }
    async with scripted(env, GATED) as running:
        gateway = running.gateway
        gateway.tolerated += [PROVOKED]
        gateway.secrets |= {OWN, OTHER, REPEATED, KEY, UNKNOWN, *STORED.values()}
        running.answers = {}
        yield running
        canaries.check(running.answers, gateway.secrets | {MASTER, ADMIN})


async def sent(gate: Scripted, what: str, data: bytes) -> None:
    """Send it to the proxy; what comes back is searched in the end."""
    got = await exchange(gate.gateway.port, data, Client(deadline=3))
    gate.answers[f"the answer to {what}, {len(gate.answers)}"] = got.raw


async def asked(
    gate: Scripted, target: str, token: str = ADMIN, body: object = None, method: str = ""
) -> Response:
    """Ask the console, likewise."""
    data = None if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
    headers = [f"authorization: Bearer {token}", *["content-type: application/json"] * (data is not None)]
    got = await exchange(gate.gateway.console_port, request(target, data, headers, method))
    if got.response.status != 201:  # what was made is shown, this once
        gate.answers[f"the console's answer to {method} {target} {len(gate.answers)}"] = got.raw
    return got.response


async def test_every_ending(gate):
    """With the client's own key in its usual place, and with a virtual key, which the gateway's own stands in for."""
    cases = [case for ending in OF_THE_UPSTREAM + OF_THE_CLIENT + OF_A_STAGE for case in ending.cases()]
    room = asyncio.Semaphore(48)

    async def play(case, secret: str) -> None:
        own = canaries.CLIENT_KEYS[case.dialect.provider]
        async with room:
            got = await case.play(gate, case.sent.replace(own.encode(), secret.encode()))
        gate.answers[f"the answer of {case.name}, {len(gate.answers)}"] = got.raw

    for which in ("own", "virtual"):
        await asyncio.gather(*(play(case, KEY if which == "virtual" else OWN) for case in cases))


@pytest.mark.parametrize("secret", [OWN, KEY, UNKNOWN], ids=["own", "virtual", "unknown"])
async def test_every_carrier_whatever_is_wrong_beside_it(gate, secret):
    chat = DIALECTS["chat"].body(stream=False)
    gate.upstream.marked[b"POST "] = compile_script([whole(DIALECTS["chat"].whole())], DIALECTS["chat"])
    long = "x" * 20_000
    for number, (headers, query) in enumerate(carried(secret)):
        target = f"/v1/openai/chat/completions{query}"
        for what, data in {
            "a good request": request(target, chat, headers),
            "a bad body": request(target, chat[:-9], headers),
            "another agent": request(target, chat, [*headers, "x-gateway-agent: nobody"]),
            "another host": request(target, chat, [*headers, "host: evil.example"]),
            "two keys": request(target, chat, [*headers, f"x-goog-api-key: {OTHER}"]),
            "an odd byte in the value": request(target, chat, [f"{header}\x01\x00" for header in headers]),
            "8 bits in the value": request(target, chat, [f"{header}\xff" for header in headers]),
            "an endless value": request(target, chat, [f"{header}{long}" for header in headers]),
            "an odd name": request(target, chat, [f"x_{header}" for header in headers]),
            "no name": request(target, chat, [header.partition(": ")[2] for header in headers]),
            "two framings": request(target, chat, [*headers, "transfer-encoding: chunked"]),
            "an encoding": request(target, chat, [*headers, "content-encoding: gzip"]),
            "an upgrade": request(target, chat, [*headers, "connection: upgrade", "upgrade: h2c"]),
            "no path": request(f"/v1/openai/nowhere{query}", chat, headers),
            "no provider": request(f"/v1/nobody/chat/completions{query}", chat, headers),
            "an odd path": request(f"/v1/openai/../x{query}", chat, headers),
            "an absolute target": request(f"http://127.0.0.1{target}", chat, headers),
            "an odd method": request(target, chat, headers, "TRACE"),
            "no HTTP": b"\x16\x03\x01" + secret.encode(),
            "an odd version": request(target, chat, headers).replace(b"HTTP/1.1", b"HTTP/9.9"),
        }.items():
            await sent(gate, f"{what}, carrier {number}", data)


def repeating(secret: str) -> Play:
    """A provider that says which key it does not know: in a status, in headers, in a stream."""

    async def play(turn: Turn) -> None:
        head = turn.request.raw_head.decode("latin-1")
        assert secret in head, "the key did not go upstream"
        error = orjson.dumps(
            {"error": {"message": f"Incorrect API key provided: {secret}.", "code": "invalid_api_key"}}
        )
        status = b"HTTP/1.1 401 No\r\ncontent-type: application/json\r\n"
        if b'"stream"' in turn.request.body:
            error = b"data: " + error + b"\n\n"
            status = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
        await turn.connection.write(b"%bcontent-length: %d\r\n\r\n%b" % (status, len(error), error))

    return play


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("key", "secret"), [(REPEATED, REPEATED), (KEY, STORED["openai"])], ids=["own", "lent"]
)
async def test_a_provider_that_repeats_the_key(gate, stream, key, secret):
    """Its words are its client's to read, and nobody else's."""
    gate.upstream.marked.clear()
    gate.upstream.queue.append(repeating(secret))
    dialect = DIALECTS["chat"]
    own = canaries.CLIENT_KEYS["openai"].encode()
    got = await exchange(gate.gateway.port, dialect.request(stream=stream).replace(own, key.encode()))
    assert got.response.status == (200 if stream else 401)
    assert (await gate.record(got))["outcome"] == "upstream_status"


def saying(secret: str) -> Iterator[tuple[str, bytes]]:
    """Answers of status 200 in which the key is a model, a tool, the kind of an event, and a text in two pieces."""

    def chunks(*chunks: dict[str, object]) -> bytes:
        made = (orjson.dumps({"object": "chat.completion.chunk", **chunk}) for chunk in chunks)
        return b"".join(b"data: %b\n\n" % chunk for chunk in made) + b"data: [DONE]\n\n"

    def delta(end: str | None = None, **said: object) -> dict[str, object]:
        return {"choices": [{"index": 0, "delta": said, "finish_reason": end}]}

    half = len(secret) // 2
    call = {"index": 0, "id": "1", "type": "function", "function": {"name": f"t_{secret}", "arguments": "{}"}}
    first, second = ({"index": 0, "function": {"name": part}} for part in (secret[:half], secret[half:]))
    yield "model", chunks({"model": f"m-{secret}", **delta(content="x")}, delta("stop"))
    yield "tool", chunks(delta(tool_calls=[call]), delta("tool_calls"))
    yield "event", chunks(delta(content="x"), {"object": f"unk_{secret}"}, delta("stop"))
    yield (
        "text",
        chunks(delta(content=f"my {secret[:half]}"), delta(content=f"{secret[half:]}!"), delta("stop")),
    )
    yield "split", chunks(delta(tool_calls=[first]), delta(tool_calls=[second]), delta("tool_calls"))


@pytest.mark.parametrize(
    ("key", "secret"), [(REPEATED, REPEATED), (KEY, STORED["openai"])], ids=["own", "lent"]
)
async def test_an_answer_that_repeats_the_key(gate, key, secret):
    """In what is made of it: the log, the metrics, the export, the view, search."""
    dialect = DIALECTS["chat"]
    sent = dialect.request(stream=True).replace(canaries.CLIENT_KEYS["openai"].encode(), key.encode())
    for what, body in saying(secret):
        gate.upstream.marked.clear()
        gate.upstream.queue.append(compile_script([send(http(body, SSE))], dialect))
        got = await exchange(gate.gateway.port, sent)
        assert got.response.status == 200
        line = await gate.record(got)
        assert line["outcome"] in ("ok", "policy_blocked", "not_evaluated"), line
        await asyncio.to_thread(sinks.wait_for, gate.gateway.state.name, {line["id"]})
        await asyncio.sleep(0.3)
        found = (await asked(gate, f"/api/interactions/{line['id']}")).body
        assert b"[redacted]" in found or what in ("text", "split"), found
        assert secret.encode() not in found
    listed = await asked(gate, f"/api/interactions?q={quote(secret)}")
    assert orjson.loads(listed.body)["items"] == []
    scraped = (await asked(gate, "/metrics")).body
    assert b'event="unk_[redacted]"' in scraped
    for name, value in (("own", REPEATED), ("lent", STORED["openai"])):
        canaries.check({name: scraped}, [value])


async def test_the_console(gate):
    """What it makes, shows, refuses, exports and writes into its audit log."""
    gateway = gate.gateway
    for path, body in (
        ("/api/virtual-keys", {"name": "made"}),
        ("/api/console-tokens", {"name": "made", "role": "read"}),
        ("/api/console-tokens", {"name": "made", "role": "operate"}),
    ):
        made = await asked(gate, path, body=body)
        assert made.status == 201, made.body
        gateway.secrets.add(orjson.loads(made.body)["secret"])
        item = orjson.loads(made.body)["id"]
        await asked(gate, f"{path}/{item}")
        await asked(gate, f"{path}/{item}", body={"name": "changed"}, method="PATCH")
    secret = STORED["mistral"]
    assert (
        await asked(gate, "/api/providers", body={"provider": "mistral", "api_key": canaries.made("before")})
    ).status == 201
    for method, path, body in (
        ("PATCH", "/api/providers/mistral", {"api_key": secret}),
        ("POST", "/api/providers", {"provider": "mistral", "api_key": secret}),
        ("POST", "/api/providers", {"provider": "nobody", "api_key": secret}),
        ("POST", "/api/providers", {"provider": "openai", "api_key": f"{secret} {secret}"}),
        ("POST", "/api/providers", {"provider": "openai", "api_key": [secret]}),
        ("POST", "/api/providers", {"provider": "openai", "key": secret}),
        ("POST", "/api/providers", {"provider": secret, "api_key": "x"}),
        ("POST", "/api/providers", f'{{"api_key":"{secret}"'.encode()),
        ("POST", "/api/virtual-keys", {"name": "x", "hash": secret}),
        ("POST", "/api/session", {}),
    ):
        await asked(gate, path, body=body, method=method)
    # Ten wrong ones in a minute are let try: the admin token must still be good for the end.
    for token in (OWN, UNKNOWN, ADMIN[:-1], f"{ADMIN}x"):
        assert (await asked(gate, "/api/interactions", token)).status == 401
        assert (await asked(gate, "/metrics", token)).status == 401
    await asked(gate, "/api/interactions", KEY)
    login = await exchange(
        gateway.console_port,
        request("/api/session", b"{}", [f"authorization: Bearer {ADMIN}", "content-type: application/json"]),
    )
    cookie = (login.response.header("set-cookie") or "").partition("=")[2].partition(";")[0]
    assert len(cookie) > 30
    gateway.secrets.add(cookie)
    described = orjson.loads((await asked(gate, "/openapi.json")).body)["paths"]
    for path in (path for path, methods in described.items() if "get" in methods and "{" not in path):
        assert (await asked(gate, path)).status == 200, path
        assert (await asked(gate, f"{path}?key={quote(secret)}")).status == 400, path
    page = "/api/interactions?limit=500"
    while page:
        listed = orjson.loads((await asked(gate, page)).body)
        for item in listed["items"]:
            for part in ("", "/request", "/forwarded", "/response"):
                await asked(gate, f"/api/interactions/{item['id']}{part}")
        page = listed["next"] and f"/api/interactions?limit=500&after={listed['next']}"
    await asked(gate, "/api/interactions?q=Incorrect")


async def test_what_is_spilled(gate):
    """For as long as the database takes nothing."""
    folder = Path(gate.gateway.state.name)
    spilled = folder / "spill"
    with closing(sqlite3.connect(folder / "gateway.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await test_a_provider_that_repeats_the_key(gate, False, REPEATED, REPEATED)
        await test_a_provider_that_repeats_the_key(gate, True, KEY, STORED["openai"])
        async with asyncio.timeout(20):
            while not any(path.stat().st_size for path in spilled.iterdir()):  # noqa: ASYNC110  # another process writes it
                await asyncio.sleep(0.1)
        held = {path.name: path.read_bytes() for path in spilled.iterdir()}
        canaries.check(held, gate.gateway.secrets | {MASTER, ADMIN})
        assert any(b"[redacted]" in data for data in held.values())


async def test_what_commands_say(gate, tmp_path):
    """Beside the running gateway, with its environment."""
    env = {
        name: value
        for name, value in gate.gateway.env.items()
        if name.startswith(("GATEWAY_", "OPENAI", "SOME"))
    }
    env["GATEWAY_STATE_DIR"] = gate.gateway.state.name
    for command in (["check"], ["keys", "list"], ["export"], ["migrate"], ["doctor"]):
        done = await asyncio.to_thread(run, *command, cwd=tmp_path, **env)
        assert done.returncode == 0 or command == ["doctor"], done.stderr
        gate.answers[f"what {command} says"] = (done.stdout + done.stderr).encode()
    assert b"upstream_status" in gate.answers["what ['export'] says"]


async def test_the_password_of_a_database():
    """While it serves, while it is gone, and in what it stores."""
    server = Server()
    password = canaries.made("password", end="")
    try:
        server.start()
        server.sql("CREATE DATABASE canaries")
        url = server.url("canaries").replace("gateway@", f"gateway:{password}@")
        async with scripted({"GATEWAY_DATABASE_URL": url, "GATEWAY_LOG_LEVEL": "debug"}) as gate:
            dialect = DIALECTS["chat"]
            for there in (True, False):
                if not there:
                    server.stop()
                got, _ = await gate.ask(dialect.request(stream=False), [whole(dialect.whole())])
                await gate.record(got)
                got = await exchange(gate.gateway.console_port, request("/api/interactions"))
                assert got.response.status == (200 if there else 503)
                canaries.check({"the console's answer": got.raw}, [password])
            assert password in canaries.of_process(gate.gateway.env)
            gate.gateway.signal(signal.SIGTERM)  # what it can't store now it keeps for the next start
    finally:
        server.remove()


def shown() -> Iterator[object]:
    """Whatever holds a secret and could be part of an exception's words."""
    yield Settings(admin_token=ADMIN, secret_key=MASTER, database_url=f"postgresql+asyncpg://me:{ADMIN}@x/y")
    yield NewKey(provider="openai", api_key=ADMIN)
    yield Call(Actor("admin_token", Role.ADMIN), {}, None, {"api_key": ADMIN}, "::1", "localhost", ADMIN)
    yield ReplacedKey(api_key=ADMIN)
    yield Keyring(MASTER)
    yield Database(f"postgresql+asyncpg://me:{quote(ADMIN, safe='')}@x/y", MASTER.encode())


async def test_what_objects_say_of_themselves():
    for each in shown():
        words = f"{each} {each!r} {ValueError(each)!r}"
        canaries.check({type(each).__name__: words.encode()}, [ADMIN, MASTER])
