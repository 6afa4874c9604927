"""Connections on both sides: what is idle is trusted with nothing, and nobody is left waiting."""

import asyncio
import contextlib
import signal

import pytest

from tests.harness.process import Gateway

BODY = b'{"model":"m","messages":[]}'


def asked(path="/v1/openai/chat/completions", body=BODY, *headers):
    head = [f"POST {path} HTTP/1.1", "host: localhost", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(head).encode() + body


def answer(name):
    body = b'{"id":"%b","object":"chat.completion","choices":[]}' % name
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


async def response(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.partition(b":")[2])
        for line in head.lower().splitlines()
        if line.startswith(b"content-length")
    )
    return head, await reader.readexactly(length)


class Upstream:
    """Answers each request on each connection with the number of both, or as it is told."""

    def __init__(self):
        self.writers = []
        self.closing = set()
        self.pause = 0.0

    async def __call__(self, reader, writer):
        number = len(self.writers)
        self.writers.append(writer)
        count = 0
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = [line for line in head.lower().splitlines() if line.startswith(b"content-length")]
                await reader.readexactly(int(length[0].partition(b":")[2]) if length else 0)
                if number in self.closing:
                    break
                await asyncio.sleep(self.pause)
                writer.write(answer(b"%d-%d" % (number, count)))
                count += 1
        writer.close()


@pytest.fixture
async def running():
    upstream = Upstream()
    server = await asyncio.start_server(upstream, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    environment = {
        "GATEWAY_OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1",
        "GATEWAY_DRAIN_ACCEPT": "0.5",
        "GATEWAY_DRAIN_FINISH": "4",
    }
    gateway = await asyncio.to_thread(Gateway(environment).wait_ready)
    try:
        yield gateway, upstream
    finally:
        await asyncio.to_thread(gateway.stop)
        server.close()
        for writer in upstream.writers:
            writer.transport.abort()


async def ask(gateway, request=None):
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(request or asked())
    async with asyncio.timeout(10):
        head, body = await response(reader)
    writer.close()
    return head, body


async def test_what_an_upstream_says_unasked_is_nobodys_answer(running):
    gateway, upstream = running
    assert b'"0-0"' in (await ask(gateway))[1]
    upstream.writers[0].write(answer(b"poison"))
    await asyncio.sleep(0.2)
    for _ in range(3):
        assert b"poison" not in (await ask(gateway))[1]
    assert len(upstream.writers) == 2


async def test_the_one_repetition_is_on_a_new_connection(running):
    gateway, upstream = running
    upstream.pause = 0.2
    await asyncio.gather(*(ask(gateway) for _ in range(4)))
    upstream.pause = 0.0
    assert len(upstream.writers) == 4
    upstream.closing = {0, 1, 2, 3}  # as when it was restarted: all that are in the pool are dead
    head, body = await ask(gateway)
    assert head.startswith(b"HTTP/1.1 200")
    assert b'"4-0"' in body


async def test_a_client_that_waits_to_be_told_is_told(running):
    gateway, _ = running
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(asked("/v1/openai/chat/completions", BODY, "expect: 100-continue")[: -len(BODY)])
    async with asyncio.timeout(3):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(BODY)
        assert b'"0-0"' in (await response(reader))[1]
    writer.close()


async def test_a_client_that_waits_with_an_upload_is_told(running):
    gateway, _ = running
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(asked("/v1/openai/files", b"x" * 10, "expect: 100-continue")[:-10])
    async with asyncio.timeout(3):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"x" * 10)
        assert (await response(reader))[0].startswith(b"HTTP/1.1 200")
    writer.close()


async def test_a_client_that_may_not_send_is_told_at_once(running):
    gateway, upstream = running
    head, _ = await ask(
        gateway, asked("/v1/openai/@nobody/chat/completions", BODY, "expect: 100-continue")[: -len(BODY)]
    )
    assert head.startswith(b"HTTP/1.1 404")
    head, _ = await ask(gateway, asked("/v1/openai/chat/completions", BODY, "expect: a-miracle"))
    assert head.startswith(b"HTTP/1.1 400")
    assert upstream.writers == []


async def test_a_drain_ends_idle_connections_and_those_that_become_idle(running):
    gateway, upstream = running
    idle_reader, idle_writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    idle_writer.write(asked())
    await response(idle_reader)
    busy_reader, busy_writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    upstream.pause = 1.5
    busy_writer.write(asked())
    await asyncio.sleep(0.2)
    gateway.signal(signal.SIGTERM)
    async with asyncio.timeout(1.2):
        assert await idle_reader.read() == b""
    async with asyncio.timeout(3):
        assert b'"' in (await response(busy_reader))[1]
        assert await busy_reader.read() == b""
    idle_writer.close()
    busy_writer.close()
    assert await asyncio.to_thread(gateway.process.wait, 5) == 0
