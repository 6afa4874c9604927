"""Fidelity over real sockets: what one side sends is what the other side gets."""

import asyncio
import gzip
import sys
import zlib
from collections.abc import AsyncIterator

import brotli
import orjson
import pytest
import pytest_asyncio

from tests.clients.scripted import Scripted, http, request, scripted
from tests.harness.client import Client, exchange
from tests.harness.dialects import DIALECTS, STREAMED, WHOLE
from tests.harness.upstream import (
    answer,
    begin,
    compile_script,
    finish,
    head,
    last,
    say,
    send,
    terminator,
    whole,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

pytestmark = pytest.mark.asyncio(loop_scope="module")

ODD = (
    b'\n{ "model" : "m",\t"messages":[{"role":"user","content":"\\u00e9 \xc3\xa9 \\/"}], "future_field" : '
    b'{"big":123456789012345678901234567890 , "exact":1.10, "empty": [ ]},"max_tokens":5 }\r\n '
)
ODD_ANSWER = (
    b' { "id":"x" , "choices":[{"index":0,"message":{"role":"assistant","content":"\\u0041","novel":{"a":1.0}},'
    b'"finish_reason":"stop"}], "usage":{"prompt_tokens":1,"completion_tokens":1},"new": [1e2, -0]}\n\n'
)
KEY = "authorization: Bearer sk-secret-1"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gate() -> AsyncIterator[Scripted]:
    async with scripted() as running:
        yield running


async def test_odd_bytes_pass_both_ways(gate):
    got, received = await gate.ask(
        request("/v1/openai/chat/completions", ODD, [KEY, "content-type: application/json"]), http(ODD_ANSWER)
    )
    assert received.body == ODD
    assert got.response.body == ODD_ANSWER
    assert got.response.header("content-length") == str(len(ODD_ANSWER))


@pytest.mark.parametrize("name", STREAMED)
async def test_streams_pass_unchanged(gate, name):
    dialect = DIALECTS[name]
    odd = (
        dialect.encode({"novel": 1})
        if hasattr(dialect, "encode")
        else b": hello\n\nevent: novel\ndata:  {}\n\n"
    )
    frames = [*dialect.start(), *dialect.text("Hi"), odd, *dialect.finish("stop"), *dialect.end()]
    body = b"".join(frames)
    sent = dialect.request(stream=True)
    got, received = await gate.ask(
        sent,
        [head(), *(send(b"%x\r\n%b\r\n" % (len(frame), frame)) for frame in frames if frame), last()],
        dialect=dialect,
    )
    assert got.response.body == body
    assert sent.endswith(received.body)
    assert got.response.header("content-type") == dialect.stream_type
    record = await gate.record(got)
    assert (record["outcome"], record["streamed"]) == ("ok", True)


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 429, 500, 503, 529])
async def test_upstream_errors_pass_unchanged(gate, name, status):
    dialect = DIALECTS[name]
    headers = {"retry-after": "7", "request-id": "req_1", "x-should-retry": "true"}
    body = b" " + dialect.upstream_error(status) + b"\n"
    got, _ = await gate.ask(
        dialect.request(stream=True), [whole(body, status=status, headers=headers)], dialect=dialect
    )
    assert got.response.status == status
    assert got.response.body == body
    assert {key: got.response.header(key) for key in headers} == headers
    record = await gate.record(got)
    assert (record["outcome"], record["status"]) == ("upstream_status", status)


# Latin-1 here, so that these are the bytes of a UTF-8 é on the wire.
REQUEST_PASSES = {
    "anthropic-beta": "a, b",
    "openai-organization": "org",
    "idempotency-key": "1",
    "x-stainless-lang": "python",
    "accept": "text/event-stream",
    "user-agent": "odd/1.0 (Ã©)",
    "x-app": "cli",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "x-very-new": "  spaced  out",
}
REQUEST_DROPS = {
    "cookie": "a=1",
    "te": "trailers",
    "keep-alive": "timeout=5",
    "proxy-authorization": "Basic eA==",
    "expect": "100-continue",
    "x-forwarded-for": "10.0.0.1",
    "x-forwarded-proto": "https",
    "forwarded": "for=10.0.0.1",
    "x-real-ip": "10.0.0.1",
    "via": "1.1 someone",
    "x-gateway-user-id": "ada",
    "x-gateway-session-id": "s1",
    "x-archestra-agent-id": "old",
    "x-named": "by connection",
    "accept-encoding": "gzip, br",
}


async def test_request_headers(gate):
    lines = [f"{key}: {value}" for key, value in {**REQUEST_PASSES, **REQUEST_DROPS}.items()]
    got, received = await gate.ask(
        request("/v1/openai/chat/completions", ODD, [*lines, KEY, "connection: x-named, keep-alive"]),
        http(ODD_ANSWER),
    )
    assert got.response.status == 200
    headers = dict(received.headers)
    for key, value in REQUEST_PASSES.items():
        assert headers[key] == value.strip(), key
    for key in REQUEST_DROPS.keys() - {"accept-encoding"}:
        assert key not in headers, key
    assert headers["accept-encoding"] == "identity"
    assert headers["host"] == f"127.0.0.1:{gate.upstream.port}"
    assert headers["content-length"] == str(len(ODD))
    assert "transfer-encoding" not in headers
    record = await gate.record(got)
    assert (record["user"], record["session"], record["external_agent"]) == ("ada", "s1", "old")


async def test_headers_that_are_no_utf8(gate):
    """Any byte but control characters may stand in a header's value; it costs nobody the record."""
    for name in ("user-agent", "x-gateway-user-id", "x-gateway-session-id", "x-gateway-run-id"):
        sent = request("/v1/openai/chat/completions", ODD, [KEY, f"{name}: t\xe9st"])
        got, _ = await gate.ask(sent, http(ODD_ANSWER))
        assert (await gate.record(got))["outcome"] == "ok"


async def test_headers_that_are_no_utf8_are_not_altered(gate):
    """They pass or they are left out; a value with bytes missing is neither."""
    got, received = await gate.ask(
        request("/v1/openai/chat/completions", ODD, [KEY, "x-label: caf\xe9"]),
        http(ODD_ANSWER, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-label: th\xe9"),
    )
    assert received.header("x-label") in ("", "caf\xe9")
    assert got.response.header("x-label") in (None, "th\xe9")


async def test_nothing_is_invented(gate):
    """The gateway's own client library adds headers unless it is told not to."""
    _, received = await gate.ask(request("/v1/openai/chat/completions", ODD, [KEY]), http(ODD_ANSWER))
    assert {key for key, _ in received.headers} == {
        "host",
        "authorization",
        "accept-encoding",
        "content-length",
    }


async def test_repeated_headers_stay_apart(gate):
    lines = [KEY, "anthropic-beta: one", "anthropic-beta: two"]
    got, received = await gate.ask(
        request("/v1/openai/chat/completions", ODD, lines),
        http(ODD_ANSWER, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-many: a\r\nx-many: b"),
    )
    assert [value for key, value in received.headers if key == "anthropic-beta"] == ["one", "two"]
    assert [value for key, value in got.response.headers if key == "x-many"] == ["a", "b"]


RESPONSE_PASSES = {
    "x-request-id": "req_9",
    "request-id": "req_8",
    "retry-after-ms": "5",
    "x-ratelimit-remaining-tokens": "12",
    "anthropic-ratelimit-requests-reset": "2026-01-01T00:00:00Z",
    "openai-processing-ms": "3",
    "x-novel": "Ã©",
    "cache-control": "no-cache",
}
RESPONSE_DROPS = {
    "set-cookie": "a=1",
    "alt-svc": "h3",
    "strict-transport-security": "max-age=1",
    "cf-ray": "1",
    "cf-cache-status": "DYNAMIC",
    "keep-alive": "timeout=5",
    "x-named": "by connection",
    "x-gateway-interaction-id": "forged",
    "x-gateway-blocked-tools": "forged",
}


async def test_response_headers(gate):
    lines = "".join(f"\r\n{key}: {value}" for key, value in {**RESPONSE_PASSES, **RESPONSE_DROPS}.items())
    first = (
        f"HTTP/1.1 200 OK\r\nserver: vendor\r\nconnection: x-named\r\ncontent-type: application/json{lines}"
    )
    got, _ = await gate.ask(request("/v1/openai/chat/completions", ODD, [KEY]), http(ODD_ANSWER, first))
    headers = dict(got.response.headers)
    for key, value in RESPONSE_PASSES.items():
        assert headers[key] == value, key
    for key, value in RESPONSE_DROPS.items():
        assert headers.get(key) != value, key
    assert headers["server"] == "llm-gateway"
    assert "transfer-encoding" not in headers
    assert float(headers["x-gateway-overhead-ms"]) >= 0


ANY_PATH = pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/v1/openai/chat/completions", ODD),
        ("/v1/openai/audio/speech", b"{}"),
        ("/v1/openai/files", b"x" * 100_000),
    ],
    ids=["parsed", "small", "upload"],
)
ODD_HEADERS = [
    ("OpenAI-Beta", "assistants=v2"),
    ("openai-beta", "realtime=v1"),  # the same name in another case is another line
    ("X-Latin", "caf\xe9"),
    ("X-Utf", "caf\xc3\xa9"),
    ("X-Empty", ""),
]


def header_lines(raw_head: bytes) -> list[str]:
    wanted = {name.lower() for name, _ in ODD_HEADERS}
    lines = raw_head.decode("latin-1").split("\r\n")[1:]
    return [line.strip() for line in lines if line.partition(":")[0].lower() in wanted]


@ANY_PATH
async def test_headers_keep_their_bytes_and_their_order(gate, target, body):
    """Up and down, on every kind of path, whatever their encoding."""
    lines = [f"{name}: {value}" for name, value in ODD_HEADERS]
    answer = "\r\n".join(["HTTP/1.1 200 OK", "content-type: application/json", *lines])
    got, received = await gate.ask(request(target, body, [KEY, *lines]), http(ODD_ANSWER, answer))
    assert header_lines(received.raw_head) == [line.strip() for line in lines]
    assert header_lines(got.raw.partition(b"\r\n\r\n")[0]) == [line.strip() for line in lines]
    assert got.response.body == ODD_ANSWER


async def test_headers_of_a_stream_keep_their_bytes(gate):
    steps = [head(headers={"x-latin": "caf\xe9"}), begin(), say("hi"), finish(), terminator(), last()]
    got, _ = await gate.ask(DIALECTS["chat"].request(stream=True), steps)
    assert got.response.header("x-latin") == "caf\xe9"
    assert got.response.body == b"".join(b for one in steps[1:5] for b in one.of(DIALECTS["chat"]))


async def test_compressed_answers_are_decoded(gate):
    """Identity is asked for; an upstream that compresses all the same is understood."""
    packed = gzip.compress(ODD_ANSWER)
    got, _ = await gate.ask(
        request("/v1/openai/chat/completions", ODD, [KEY, "accept-encoding: gzip"]),
        http(packed, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip"),
    )
    assert got.response.body == ODD_ANSWER
    assert got.response.header("content-encoding") is None
    assert (await gate.record(got))["input_tokens"] == 1


CARRIERS = [
    "authorization: Bearer sk-secret-1",
    "x-api-key: sk-secret-1",
    "api-key: sk-secret-1",
    "x-goog-api-key: sk-secret-1",
]


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize(
    "target",
    [
        "/v1/openai/chat/completions",
        "/v1/anthropic/v1/messages",
        "/v1/gemini/v1beta/models/m:generateContent",
    ],
)
async def test_credentials_go_upstream_as_they_came(gate, target, carrier):
    got, received = await gate.ask(request(target, ODD, [carrier]), http(ODD_ANSWER))
    assert got.response.status == 200
    name, _, value = carrier.partition(": ")
    carried = [
        pair
        for pair in received.headers
        if pair[0] in ("authorization", "x-api-key", "api-key", "x-goog-api-key")
    ]
    assert carried == [(name, value)]
    await gate.record(got)
    assert not [line for line in gate.gateway.output.lines if "sk-secret" in line]


async def test_the_same_key_twice_is_one_credential(gate):
    lines = ["authorization: Bearer sk-secret-1", "x-api-key: sk-secret-1"]
    got, received = await gate.ask(request("/v1/anthropic/v1/messages", ODD, lines), http(ODD_ANSWER))
    assert got.response.status == 200
    assert (received.header("authorization"), received.header("x-api-key")) == (
        "Bearer sk-secret-1",
        "sk-secret-1",
    )


@pytest.mark.parametrize(
    "line", ["authorization: bearer sk-secret-1", "authorization: ", "authorization: Bearer "]
)
async def test_no_second_credential(gate, line):
    """A scheme in another case is the same key, and an empty header is none: older clients send both."""
    lines = [line, "x-api-key: sk-secret-1"]
    await gate.reset()
    gate.upstream.queue.append(compile_script([send(http(b"{}"))], DIALECTS["anthropic"]))
    got = await exchange(gate.gateway.port, request("/v1/anthropic/v1/messages", ODD, lines))
    assert got.response.status == 200


@pytest.mark.parametrize(
    "lines",
    [
        ["authorization: Bearer one", "x-api-key: two"],
        ["x-goog-api-key: one", "api-key: two"],
        ["authorization: Bearer one", "authorization: Bearer two"],
    ],
)
async def test_two_credentials_are_refused(gate, lines):
    got = await gate.refused(request("/v1/openai/chat/completions", ODD, lines))
    assert got.response.status == 400
    assert "two different" in orjson.loads(got.response.body)["error"]["message"]
    assert b"one" not in got.response.body.replace(b"send one", b"")


async def test_key_in_the_query(gate):
    target = "/v1/gemini/v1beta/models/m:generateContent?key=AIza-secret-2&alt=json&x=%20y"
    got, received = await gate.ask(request(target, ODD), http(DIALECTS["gemini"].whole()))
    assert received.line == f"POST /gemini{target.removeprefix('/v1/gemini')} HTTP/1.1"
    assert (await gate.record(got))["outcome"] == "ok"
    got = await gate.refused(request(target, ODD, ["x-goog-api-key: another"]))
    assert got.response.status == 400
    assert b"AIza-secret-2" not in got.raw
    assert not [line for line in gate.gateway.output.lines if "AIza-secret" in line]


PATHS = [
    # what the client asks, what the upstream gets
    ("POST /v1/openai/chat/completions", "POST /openai/v1/chat/completions"),
    ("POST /v1/openai/v1/chat/completions", "POST /openai/v1/chat/completions"),
    ("POST /v1/openai/@default/chat/completions", "POST /openai/v1/chat/completions"),
    ("POST /v1/openai/@default/v1/responses?a=b&a=%2F", "POST /openai/v1/responses?a=b&a=%2F"),
    ("POST /v1/groq/chat/completions", "POST /groq/v1/chat/completions"),
    ("POST /v1/anthropic/v1/messages?beta=true", "POST /anthropic/v1/messages?beta=true"),
    ("POST /v1/anthropic/messages", "POST /anthropic/v1/messages"),
    ("POST /v1/anthropic/v1/v1/messages", "POST /anthropic/v1/messages"),
    ("POST /v1/anthropic/@default/v1/messages", "POST /anthropic/v1/messages"),
    ("POST /v1/gemini/v1/models/m:generateContent", "POST /gemini/v1/models/m:generateContent"),
    ("POST /v1/gemini/v1beta/models/m:generateContent", "POST /gemini/v1beta/models/m:generateContent"),
    ("POST /v1/gemini/v1alpha/models/m:generateContent", "POST /gemini/v1alpha/models/m:generateContent"),
    ("POST /v1/gemini/models/m:generateContent", "POST /gemini/v1beta/models/m:generateContent"),
    ("POST /v1/gemini/v1beta/models/a:b-c:countTokens", "POST /gemini/v1beta/models/a:b-c:countTokens"),
    ("POST /v1/chat/completions", "POST /openai/v1/chat/completions"),
    ("POST /v1/responses", "POST /openai/v1/responses"),
    ("POST /v1/embeddings", "POST /openai/v1/embeddings"),
    ("POST /v1/messages", "POST /anthropic/v1/messages"),
    ("POST /v1/messages/count_tokens", "POST /anthropic/v1/messages/count_tokens"),
    ("POST /v1/models/m:generateContent", "POST /gemini/v1/models/m:generateContent"),
    ("POST /v1beta/models/m:generateContent", "POST /gemini/v1beta/models/m:generateContent"),
    ("GET /v1/models", "GET /openai/v1/models"),
    ("GET /v1/models?key=AIza", "GET /gemini/v1/models?key=AIza"),
    ("GET /v1beta/models?pageSize=5", "GET /gemini/v1beta/models?pageSize=5"),
    ("HEAD /v1/anthropic/api/hello", "HEAD /anthropic/api/hello"),
]


@pytest.mark.parametrize(("asked", "expected"), PATHS, ids=[asked for asked, _ in PATHS])
async def test_paths(gate, asked, expected):
    method, target = asked.split(" ")
    if method == "HEAD":
        body, reply = None, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    else:
        body, reply = (ODD if method == "POST" else None), http(ODD_ANSWER)
    got, received = await gate.ask(request(target, body, method=method), reply)
    assert received.line == f"{expected} HTTP/1.1"
    assert got.response.status == 200


@pytest.mark.parametrize(
    ("header", "provider"),
    [
        ("x-goog-api-key: k", "gemini"),
        ("x-goog-api-client: genai", "gemini"),
        ("anthropic-version: 2023-06-01", "anthropic"),
        ("x-api-key: k", "anthropic"),
        ("authorization: Bearer k", "openai"),
    ],
)
@pytest.mark.parametrize("target", ["/v1/models", "/v1/models/some-model"])
async def test_whose_models_at_the_root(gate, target, header, provider):
    # Twice, and in between another's: what was found for one client must not be what the next one gets.
    for line in (header, "authorization: Bearer k", header):
        _, received = await gate.ask(request(target, headers=[line]), http(b"{}"))
        expected = provider if line == header else "openai"
        assert received.line == f"GET /{expected}{target} HTTP/1.1"


async def test_head_has_no_body(gate):
    head_only = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1234\r\nx-request-id: r\r\n\r\n"
    sent = request("/v1/anthropic/api/hello", headers=["x-api-key: k"], method="HEAD")
    got, received = await gate.ask(sent, head_only, client=Client(deadline=0.5))
    assert received.line.startswith("HEAD ")
    assert got.raw.endswith(b"\r\n\r\n")
    assert b"200 OK" in got.raw
    assert b"x-request-id: r" in got.raw.lower()


@pytest.mark.parametrize(
    "target",
    [
        "/v1/openai/chat/../models",
        "/v1/openai/%2e%2e/models",
        "/v1/openai/chat%2Fcompletions",
        "/v1/openai\\chat",
        "/v1/openai//chat/completions",
        "/v1/openai/chat/completions;x",
        "http://elsewhere.example/v1/openai/chat/completions",
    ],
)
async def test_paths_that_mean_two_things(gate, target):
    got = await gate.refused(request(target, ODD, [KEY]))
    assert got.response.status == 400


async def test_websocket_upgrade(gate):
    lines = [
        "connection: Upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    ]
    for target in ("/v1/openai/responses", "/v1/responses"):
        got = await gate.refused(request(target, headers=lines))
        assert got.response.status == 426
        assert orjson.loads(got.response.body)["error"]["message"]
    got = await gate.refused(request("/v1/responses", headers=["connection: Upgrade", "upgrade: h2c"]))
    assert got.response.status == 400


async def test_one_connection_serves_many_requests(gate):
    """Pipelined on one connection, answered in order, each with its own record."""
    await gate.reset()
    for number in range(3):
        body = b'{"number":%d}' % number
        gate.upstream.queue.append(compile_script([send(http(body))], DIALECTS["chat"]))
    got = await exchange(
        gate.gateway.port, request("/v1/openai/chat/completions", ODD, [KEY]) * 3, Client(responses=3)
    )
    assert [orjson.loads(response.body)["number"] for response in got.responses] == [0, 1, 2]
    assert len({response.header("x-gateway-interaction-id") for response in got.responses}) == 3


async def test_chunked_request_body(gate):
    data = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (10, ODD[:10], len(ODD) - 10, ODD[10:])
    sent = (
        request("/v1/openai/chat/completions", headers=[KEY, "transfer-encoding: chunked"], method="POST")
        + data
    )
    _, received = await gate.ask(sent, http(ODD_ANSWER))
    assert received.body == ODD
    assert received.header("content-length") == str(len(ODD))


PACKED = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress, "zstd": zstd.compress}


@pytest.mark.parametrize("encoding", PACKED)
async def test_compressed_request_body(gate, encoding):
    packed = PACKED[encoding](ODD)
    _, received = await gate.ask(
        request("/v1/openai/chat/completions", packed, [KEY, f"content-encoding: {encoding}"]),
        http(ODD_ANSWER),
    )
    assert received.body == ODD
    assert received.header("content-encoding") == ""


async def test_unknown_request_encoding(gate):
    """Passed with its name, or refused; never passed as if it were plain."""
    await gate.reset()
    gate.upstream.queue.append(compile_script([send(http(b"{}"))], DIALECTS["chat"]))
    sent = request("/v1/openai/moderations", b"\x01\x02", [KEY, "content-encoding: novel"])
    got = await exchange(gate.gateway.port, sent)
    encodings = [one.header("content-encoding") for one in gate.upstream.requests]
    assert (got.response.status, encodings) in ((200, ["novel"]), (400, []), (415, []))


async def test_answer_without_length(gate):
    """Chunked stays chunked; one that ends with its connection is framed anew, and is whole."""
    for steps in (
        [head(sse=False, framing="chunked"), send(b"%x\r\n%b\r\n" % (len(ODD_ANSWER), ODD_ANSWER)), last()],
        [head(sse=False, framing="eof"), send(ODD_ANSWER), last()],
    ):
        got, _ = await gate.ask(request("/v1/openai/chat/completions", ODD, [KEY]), steps)
        assert got.response.body == ODD_ANSWER
        assert got.ended == "complete"


async def test_pages_are_no_answers(gate):
    got, _ = await gate.ask(
        DIALECTS["chat"].request(stream=False), http(b"<html>", "HTTP/1.1 200 OK\r\ncontent-type: text/html")
    )
    assert got.response.status == 502
    DIALECTS["chat"].check_error(502, got.response.body)


async def test_redirects_do_not_carry_the_key_away(gate):
    reply = b"HTTP/1.1 302 Found\r\nlocation: http://elsewhere.example/\r\ncontent-length: 0\r\n\r\n"
    got, _ = await gate.ask(DIALECTS["chat"].request(stream=False), reply)
    assert got.response.status == 502
    assert got.response.header("location") is None


async def test_no_header_is_invented_for_the_client(gate):
    """Neither a type where the upstream named none, nor anything else but what the protocol asks for."""
    got, _ = await gate.ask(
        request("/v1/openai/files/f/content", headers=[KEY]),
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab",
    )
    ours = {"x-gateway-interaction-id", "x-gateway-overhead-ms", "server", "content-length"}
    assert {key for key, _ in got.response.headers} == ours


async def test_not_modified(gate):
    """The answer to a conditional request, which some clients make for what they have downloaded before."""
    got, _ = await gate.ask(
        request("/v1/openai/files/f/content", headers=[KEY, 'if-none-match: "a"']),
        b'HTTP/1.1 304 Not Modified\r\netag: "a"\r\n\r\n',
        client=Client(deadline=0.5),
    )
    assert b" 304 " in got.raw.split(b"\r\n")[0]
    assert b'"a"' in got.raw


async def test_many_streams_at_once(gate):
    """Sixty at a time, each gets its own bytes."""
    await gate.reset()
    names = [f"model-{number:02d}-x" for number in range(60)]
    dialect = DIALECTS["anthropic"]
    for name in names:
        gate.upstream.marked[name.encode()] = compile_script(answer(f"text for {name}"), dialect, "random")
    results = await asyncio.gather(
        *(exchange(gate.gateway.port, dialect.request(stream=True, model=name)) for name in names)
    )
    for name, got in zip(names, results, strict=True):
        assert f"text for {name}".encode() in got.response.body
        assert got.response.body.count(b"text for") == 1


@pytest.mark.parametrize(
    ("sent", "status", "identified", "timed"),
    [
        (request("/healthz"), 200, False, False),
        (request("/v1/openai/models", headers=["Bad Header: x"]), 400, False, False),
        (request("/v1/openai/nowhere"), 404, True, False),
        (
            request("/v1/openai/models", headers=["connection: upgrade", "upgrade: websocket"]),
            426,
            True,
            False,
        ),
        (request("/v1/openai/@nobody/models"), 404, True, True),
        (request("/v1/openai/chat/completions", b"{"), 400, True, True),
    ],
    ids=["health", "not HTTP", "no endpoint", "upgrade", "no agent", "no JSON"],
)
async def test_headers_of_ours_on_answers_of_ours(gate, sent, status, identified, timed):
    """What the README says: an id on all that is HTTP, a time where there is an endpoint."""
    got = await gate.refused(sent)
    assert got.response.status == status
    assert (got.response.header("x-gateway-interaction-id") is not None) is identified
    assert (got.response.header("x-gateway-overhead-ms") is not None) is timed
