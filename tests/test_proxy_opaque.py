"""Endpoints without adapters: streamed both ways as they are, under the same admission and the same log."""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator

import orjson
import pytest
import pytest_asyncio

from tests.clients.scripted import GATED, Scripted, http, request, scripted
from tests.harness.client import exchange, parse
from tests.harness.dialects import DIALECTS
from tests.harness.upstream import head, last, send

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "authorization: Bearer sk-secret-1"
NOISE = random.Random(1).randbytes(5 << 20)


@pytest.fixture(scope="module")
def spare_port() -> int:
    """A port that nobody listens on yet."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def forwarding(folders: pytest.TempPathFactory, *providers: str) -> str:
    """Settings by which these providers' unlisted paths are forwarded."""
    config = folders.mktemp("config") / "gateway.toml"
    config.write_text("".join(f"[providers.{name}]\nforward_unlisted = true\n" for name in providers))
    return str(config)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gate(tmp_path_factory: pytest.TempPathFactory, spare_port: int) -> AsyncIterator[Scripted]:
    env = {
        "GATEWAY_CONFIG": forwarding(tmp_path_factory, "groq"),
        "GATEWAY_BODY_LIMIT": "100000",
        "GATEWAY_OPAQUE_BODY_LIMIT": "6000000",
        "GATEWAY_TOGETHER_BASE_URL": f"http://127.0.0.1:{spare_port}",
    }
    async with scripted(env) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gated(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scripted]:
    config = forwarding(tmp_path_factory, "openai", "anthropic", "gemini")
    async with scripted({"TEST_REFUSED_TOOLS": "canary_tool", "GATEWAY_CONFIG": config}, GATED) as running:
        yield running


def multipart() -> tuple[str, bytes]:
    part = b'--xyz\r\ncontent-disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    return "content-type: multipart/form-data; boundary=xyz", part + NOISE + b"\r\n--xyz--\r\n"


@contextlib.asynccontextmanager
async def recorder(port: int) -> AsyncIterator[tuple[bytearray, asyncio.Event]]:
    """An upstream that shows what has come while it is still coming, and answers at the end of the form."""
    arrived, news = bytearray(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            arrived.extend(data)
            news.set()
            if b"--xyz--\r\n" in arrived[-64:]:
                writer.write(http(b'{"id":"file-1"}', "HTTP/1.1 200 OK\r\nconnection: close"))
                break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    async with server:
        yield arrived, news


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
async def test_upload_is_streamed(gate, spare_port, chunked):
    """The upstream has the first half before the client has sent the second."""
    kind, body = multipart()
    half = len(body) // 2
    pieces = [body[:half], body[half:]]
    framing = f"content-length: {len(body)}"
    if chunked:
        framing = "transfer-encoding: chunked"
        pieces = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]
        pieces[1] += b"0\r\n\r\n"
    async with recorder(spare_port) as (arrived, news), asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", gate.gateway.port)
        writer.write(request("/v1/together/files", headers=[KEY, kind, framing], method="POST") + pieces[0])
        while len(arrived) < half:
            news.clear()
            await news.wait()
        assert len(arrived) < half * 1.1
        writer.write(pieces[1])
        raw = await reader.readuntil(b'{"id":"file-1"}')
        writer.close()
        await writer.wait_closed()
    assert parse(raw, eof=False)[0].status == 200
    lines, _, rest = bytes(arrived).partition(b"\r\n\r\n")
    assert kind.encode() in lines.lower()
    assert b"authorization: bearer sk-secret-1" in lines.lower()
    if not chunked:
        assert framing.encode() in lines.lower()
        assert rest == body


async def test_upload_is_recorded(gate):
    kind, body = multipart()
    got, _ = await gate.ask(request("/v1/openai/files", body, [KEY, kind]), http(b'{"id":"file-1"}'))
    record = await gate.record(got)
    assert (record["endpoint"], record["outcome"]) == ("POST /files", "ok")
    assert record["request_bytes"] == len(body)


async def test_upload_over_the_limit(gate):
    got = await gate.refused(
        request("/v1/openai/files", headers=[KEY, "content-length: 6000001"], method="POST")
    )
    assert got.response.status == 413
    DIALECTS["chat"].check_error(413, got.response.body)


async def test_upload_that_grows_over_the_limit(gate):
    body = bytes(6_000_001)
    sent = request("/v1/openai/files", headers=[KEY, "transfer-encoding: chunked"], method="POST")
    await gate.reset()
    got = await exchange(gate.gateway.port, sent + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
    assert got.response.status == 413
    assert "opaque_body_limit" in orjson.loads(got.response.body)["error"]["message"]
    assert (await gate.record(got))["outcome"] == "client_error"


async def test_body_limit_is_not_for_uploads(gate):
    got = await gate.refused(request("/v1/openai/chat/completions", bytes(100_001), [KEY]))
    assert got.response.status == 413


@pytest.mark.parametrize("framing", ["length", "chunked", "eof"])
async def test_download(gate, framing):
    steps = [
        head(media_type="application/octet-stream", framing=framing, length=len(NOISE)),
        send(b"%x\r\n%b\r\n" % (len(NOISE), NOISE) if framing == "chunked" else NOISE),
        last(),
    ]
    target = "/v1/openai/files/file-1/content?a=%20b&c"
    got, received = await gate.ask(request(target, headers=[KEY, "range: bytes=0-"]), steps)
    assert received.line == "GET /openai/v1/files/file-1/content?a=%20b&c HTTP/1.1"
    assert received.header("range") == "bytes=0-"
    assert got.response.body == NOISE
    assert got.response.header("content-type") == "application/octet-stream"
    if framing == "length":
        assert got.response.header("content-length") == str(len(NOISE))
    assert (await gate.record(got))["response_bytes"] == len(NOISE)


async def test_body_that_is_no_json(gate):
    """Nobody looks into what is opaque."""
    got, received = await gate.ask(
        request("/v1/openai/moderations", b"\xff{not json", [KEY]), http(b"\xfe{neither")
    )
    assert received.body == b"\xff{not json"
    assert got.response.body == b"\xfe{neither"


async def test_upstream_error(gate):
    reply = http(b'{"error":{"message":"no"}}', "HTTP/1.1 404 Not Found\r\ncontent-type: application/json")
    got, _ = await gate.ask(request("/v1/openai/files/file-1", headers=[KEY]), reply)
    assert (got.response.status, got.response.body) == (404, b'{"error":{"message":"no"}}')
    assert (await gate.record(got))["error_kind"] == "not_found"


async def test_two_credentials_are_refused_here_too(gate):
    lines = [KEY, "x-api-key: another"]
    assert (await gate.refused(request("/v1/openai/files", b"x", lines))).response.status == 400


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_unlisted_paths(gate, method):
    body = None if method in ("GET", "DELETE") else b"anything"
    target = "/some/new-thing/1?x=%2C"
    got, received = await gate.ask(request(f"/v1/groq{target}", body, [KEY], method), http(b"[]"))
    assert received.line == f"{method} /groq/v1{target} HTTP/1.1"
    assert received.body == (body or b"")
    assert got.response.body == b"[]"
    assert (await gate.record(got))["outcome"] == "ok"
    got = await gate.refused(request(f"/v1/openai{target}", body, [KEY], method))
    assert got.response.status == 404
    assert "providers.openai.forward_unlisted" in orjson.loads(got.response.body)["error"]["message"]


STATEFUL = [
    "GET /v1/openai/responses/resp_1",
    "DELETE /v1/openai/v1/responses/resp_1",
    "POST /v1/openai/conversations",
    "POST /v1/openai/batches",
    "GET /v1/openai/chat/completions/chatcmpl-1",
    "POST /v1/anthropic/v1/messages/batches",
    "GET /v1/anthropic/v1/messages/batches/b1/results",
    "POST /v1/gemini/v1beta/models/m:batchGenerateContent",
    "GET /v1/gemini/v1beta/cachedContents",
    "POST /v1/openai/responses/compact",
    "POST /v1/openai/responses/resp_1/cancel",
    "GET /v1/openai/conversations/conv_1/items",
    "GET /v1/groq/batches/b1",
    "POST /v1/openai/assistants",
    "POST /v1/openai/threads/runs",
    "POST /v1/openai/threads/t1/runs/r1/submit_tool_outputs",
    "POST /v1/openai/evals/e1/runs",
    "POST /v1/anthropic/v1/sessions",
    "GET /v1/anthropic/v1/sessions/s1/events",
    "POST /v1/gemini/v1beta/batches/b1:cancel",
    "POST /v1/gemini/v1beta/cachedContents",
    "POST /v1/gemini/v1beta/interactions",
]
OPAQUE = [
    "POST /v1/openai/files",
    "GET /v1/anthropic/v1/models",
    "GET /v1/gemini/v1beta/models",
    "POST /v1/openai/images/generations",
]


def asked(line: str) -> bytes:
    method, target = line.split(" ")
    return request(target, b"{}" if method == "POST" else None, [KEY], method)


@pytest.mark.parametrize("line", [*STATEFUL, *OPAQUE])
async def test_stateful_endpoints_are_open_without_policies(gate, line):
    got, received = await gate.ask(asked(line), http(b'{"stored":1}'))
    assert got.response.body == b'{"stored":1}'
    assert received.line.startswith(line.split(" ")[0])


@pytest.mark.parametrize("line", STATEFUL)
async def test_stateful_endpoints_are_closed_under_policies(gated, line):
    got = await gated.refused(asked(line))
    assert got.response.status == 403
    assert "tool_invocation_policies" in orjson.loads(got.response.body)["error"]["message"]
    assert (await gated.record(got))["error_kind"] == "permission_denied"


@pytest.mark.parametrize("line", OPAQUE)
async def test_opaque_endpoints_stay_open_under_policies(gated, line):
    got, _ = await gated.ask(asked(line), http(b'{"data":1}'))
    assert got.response.body == b'{"data":1}'


@pytest.mark.parametrize(
    "target",
    [
        "/v1/openai/chat/completions/",
        "/v1/openai/Chat/Completions",
        "/v1/openai/chat/complet%69ons",
        "/v1/openai/v1beta/chat/completions",
        "/v1/anthropic/v1/messages/",
        "/v1/anthropic/v1/complete",
        "/v1/gemini/v1beta/models/m:generateConten%74",
        "/v1/gemini/v1beta/openai/chat/completions",
        "/v1/openai/some/new-thing",
        "/v1/openai/realtime/client_secrets",
        "/v1/openai/live/sessions",
        "/v1/gemini/v1beta/auth_tokens",
        "/v1/gemini/v1beta/models/m:bidiGenerateContent",
    ],
)
async def test_unlisted_paths_are_closed_under_policies(gated, target):
    """They may be a judged endpoint in another spelling, or one more of which nobody knows."""
    got = await gated.refused(request(target, b"{}", [KEY]))
    assert got.response.status == 403
    assert "tool_invocation_policies" in orjson.loads(got.response.body)["error"]["message"]
    assert (await gated.record(got))["error_kind"] == "permission_denied"
