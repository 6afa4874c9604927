"""Bodies that are passed on as they come: on which connection, in which form, and who is to blame when they stop."""

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.clients.scripted import Scripted, http, request, scripted
from tests.harness.client import exchange, parse
from tests.harness.dialects import DIALECTS
from tests.harness.upstream import compile_script, fin, send, sleep

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "authorization: Bearer sk-secret-1"
SMALL, LARGE = b"x" * 100, b"x" * 200_000
CHAT = DIALECTS["chat"]


@pytest.fixture(scope="module")
def spare_port() -> int:
    """A port that nobody listens on yet."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gate(spare_port: int) -> AsyncIterator[Scripted]:
    env = {
        "GATEWAY_TOGETHER_BASE_URL": f"http://127.0.0.1:{spare_port}",
        "GATEWAY_TIMEOUTS_FIRST_BYTE": "4",
        "GATEWAY_TIMEOUTS_GAP": "1.5",
    }
    async with scripted(env) as running:
        yield running


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def upstream(port: int, serve: Serve) -> AsyncIterator[None]:
    """An upstream of one's own, which takes little before it is read."""
    listener = socket.create_server(("127.0.0.1", port))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    tasks = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(run, sock=listener, limit=1 << 16)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        server.close()
        await server.wait_closed()


def upload(body: bytes, framing: str = "length", target: str = "/v1/openai/files") -> bytes:
    if framing == "length":
        return request(target, body, [KEY])
    head = request(target, headers=[KEY, "transfer-encoding: chunked"], method="POST")
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


UPLOADS = pytest.mark.parametrize(
    ("body", "framing"),
    [(SMALL, "length"), (LARGE, "length"), (LARGE, "chunked")],
    ids=["small", "large", "chunked"],
)


@UPLOADS
async def test_what_came_unasked_is_no_answer_to_an_upload(gate, body, framing):
    await gate.reset()
    first = [send(http(b'{"first":1}')), sleep(0.05), send(http(b'{"for":"somebody else"}'))]
    gate.upstream.queue.append(compile_script(first, CHAT))
    gate.upstream.queue.append(compile_script([send(http(b'{"mine":1}'))], CHAT))
    got = await exchange(gate.gateway.port, request("/v1/openai/models", headers=[KEY]))
    assert got.response.body == b'{"first":1}'
    await asyncio.sleep(0.2)
    got = await exchange(gate.gateway.port, upload(body, framing))
    assert got.response.body == b'{"mine":1}'
    assert gate.upstream.requests[1].body == body


async def test_a_connection_whose_request_did_not_end_serves_no_other(gate, spare_port):
    """An answer may come before the end of the upload, whose rest would then be read as the next request."""
    heads = []

    async def hasty(reader, writer):
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(http(b'{"hasty":1}'))
        await reader.read()

    async with upstream(spare_port, hasty):
        for _ in range(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", gate.gateway.port)
            sent = request("/v1/together/files", headers=[KEY, "content-length: 1000000"], method="POST")
            writer.write(sent + SMALL)
            raw = await reader.readuntil(b'{"hasty":1}')
            writer.write(LARGE)
            assert parse(raw, eof=False)[0].status == 200
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
    assert len(heads) == 2


@UPLOADS
async def test_uploads_follow_each_other_on_one_connection(gate, body, framing):
    await gate.reset()
    for _ in range(3):
        gate.upstream.queue.append(compile_script([send(http(b"{}"))], CHAT))
        got = await exchange(gate.gateway.port, upload(body, framing))
        assert got.response.status == 200
    assert [one.body for one in gate.upstream.requests] == [body] * 3
    assert len(gate.upstream.connections) == 1


@UPLOADS
async def test_a_connection_that_can_not_be_made_is_tried_twice(gate, body, framing):
    got = await exchange(gate.gateway.port, upload(body, framing, "/v1/together/files"))
    assert got.response.status == 502
    record = await gate.record(got)
    assert (record["outcome"], record["attempts"]) == ("upstream_connect", 2)


@pytest.mark.parametrize(
    ("body", "framing", "status", "attempts"),
    [(SMALL, "length", 200, 2), (LARGE, "length", 502, 1), (LARGE, "chunked", 502, 1)],
    ids=["small", "large", "chunked"],
)
async def test_a_body_that_was_begun_is_never_repeated(gate, body, framing, status, attempts):
    """A reused connection that turns out to be dead: what is still at hand goes out once more, nothing else does."""
    await gate.reset()
    for steps in ([send(http(b"{}"))], [fin()], [send(http(b'{"again":1}'))]):
        gate.upstream.queue.append(compile_script(steps, CHAT))
    await exchange(gate.gateway.port, request("/v1/openai/models", headers=[KEY]))
    got = await exchange(gate.gateway.port, upload(body, framing))
    assert got.response.status == status
    assert (await gate.record(got))["attempts"] == attempts
    assert [one.body for one in gate.upstream.requests[1:]] == [body] * attempts


async def stubborn(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An upstream that takes the head, and nothing more."""
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.pause_reading()
    await asyncio.sleep(30)


def sockets() -> Iterator[tuple[str, str, str, str]]:
    """Local and remote port, state and queues of every TCP connection, as the system tells."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, queues, *_ = line.split()
        yield local[-4:], remote[-4:], state, queues


def connected_to(port: int) -> int:
    """How many connections to a port there are: nobody at their end may be looking."""
    return sum((remote, state) == (f"{port:04X}", "01") for _, remote, state, _ in sockets())


def unread(port: int) -> bool:
    """Whether the system keeps bytes for whoever listens on a port."""
    return any(local == f"{port:04X}" and queues[-8:].strip("0") for local, _, _, queues in sockets())


async def stuff(port: int, data: bytes) -> socket.socket:
    """Send until it is not read any more; what was sent has arrived, so that an end would, too."""
    raw = socket.create_connection(("127.0.0.1", port))
    seen = 0
    for start in range(0, len(data), 1 << 16):
        await asyncio.to_thread(raw.sendall, data[start : start + (1 << 16)])
        await asyncio.sleep(0.01)
        seen = seen + 1 if unread(port) else 0
        if seen == 5:
            break
    else:
        await asyncio.sleep(0.2)
    return raw


def leave(raw: socket.socket, how: str) -> None:
    if how == "rst":
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()


async def check_left(gate: Scripted, port: int) -> None:
    """The upstream is left within a second, and the log says by whose doing."""
    assert connected_to(port) == 1
    before = len(gate.gateway.interactions())
    end = time.monotonic() + 1
    while connected_to(port):
        await asyncio.sleep(0.02)
        assert time.monotonic() < end, "the upstream is still connected a second after the client left"
    while len(gate.gateway.interactions()) == before:
        await asyncio.sleep(0.02)
        assert time.monotonic() < end + 2, "no record"
    record = gate.gateway.interactions()[-1]
    assert (record["outcome"], record["status"]) == ("client_cancelled", None)


LEAVING = pytest.mark.parametrize("how", ["fin", "rst"])


@LEAVING
async def test_client_that_leaves_while_its_upload_waits_for_the_upstream(gate, spare_port, how):
    async with upstream(spare_port, stubborn):
        sent = request("/v1/together/files", headers=[KEY, "content-length: 100000000"], method="POST")
        raw = await stuff(gate.gateway.port, sent + bytes(100_000_000))
        leave(raw, how)
        await check_left(gate, spare_port)


@LEAVING
async def test_client_that_leaves_after_many_pipelined_requests(gate, spare_port, how):
    """From some number of them on nothing more is read from the connection."""
    async with upstream(spare_port, stubborn):
        one = request("/v1/together/chat/completions", b'{"model":"m"}', [KEY])
        raw = await stuff(gate.gateway.port, one * 300)
        leave(raw, how)
        await check_left(gate, spare_port)


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_an_upstream_that_takes_no_more_is_to_blame(gate, spare_port, framing):
    """A client that is told to send its request again, by 408, would do so by itself."""
    async with upstream(spare_port, stubborn):
        sent = upload(bytes(30_000_000), framing, "/v1/together/files")
        got = await exchange(gate.gateway.port, sent)
        assert got.response.status == 504
        assert got.response.header("x-should-retry") == "false"
        record = await gate.record(got)
        assert (record["outcome"], record["error_kind"]) == ("upstream_timeout", "timeout")


async def test_a_client_that_sends_no_more_is_to_blame(gate, spare_port):
    async with upstream(spare_port, stubborn):
        sent = request("/v1/together/files", headers=[KEY, "content-length: 1000000"], method="POST")
        got = await exchange(gate.gateway.port, sent + SMALL)
        assert got.response.status == 408
        assert (await gate.record(got))["outcome"] == "client_error"
