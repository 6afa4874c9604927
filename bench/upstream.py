"""A mock provider that costs far less than what stands before it: raw sockets and prebuilt bytes.

The model's name says how to answer: `bench-100-20` streams 100 events 20 ms apart (0: as fast as they can be
written, each still by itself); `bench-100-20-0-2` only in the first of two turns. Without `"stream": true` the answer is one fixed body.
"""

import argparse
import asyncio
import re

import orjson
import uvloop

from bench.turns import TURN, Turn

MODEL = re.compile(rb'"model":\s*"bench-(\d+)-(\d+)(?:-(\d+)-(\d+))?"')
STREAM = re.compile(rb'"stream":\s*true')
USAGE = re.compile(rb'"include_usage":\s*true')
LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding:\s*chunked", re.IGNORECASE)
SCANNED = 4096  # bytes at both ends of a body in which the fields above are looked for

HEADERS = (
    b"HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nServer: bench\r\nopenai-organization: bench\r\n"
    b"openai-processing-ms: 412\r\nopenai-version: 2020-10-01\r\nx-request-id: req_0123456789abcdef0123456789abcdef\r\n"
    b"x-ratelimit-limit-requests: 10000\r\nx-ratelimit-limit-tokens: 30000000\r\n"
    b"x-ratelimit-remaining-requests: 9999\r\nx-ratelimit-remaining-tokens: 29999980\r\n"
    b"x-ratelimit-reset-requests: 6ms\r\nx-ratelimit-reset-tokens: 0s\r\n"
)
ANSWERING = "gpt-4o-mini-2024-07-18"  # whoever is asked for; it has a price, so that answers are priced
COUNTS = {
    "prompt_tokens": 24,
    "completion_tokens": 96,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "accepted_prediction_tokens": 0},
}


def whole() -> bytes:
    """A chat completion of about 1 kB, with its head."""
    message = {
        "role": "assistant",
        "content": "All work and no play. " * 24,
        "refusal": None,
        "annotations": [],
    }
    body = orjson.dumps(
        {
            "id": "chatcmpl-0123456789abcdefghijklmnopqrs",
            "object": "chat.completion",
            "created": 1704067200,
            "model": ANSWERING,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": COUNTS,
            "service_tier": "default",
            "system_fingerprint": "fp_0123456789",
        }
    )
    return HEADERS + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def event(data: bytes) -> bytes:
    """One server-sent event as one chunk of a chunked body."""
    frame = b"data: " + data + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(frame), frame)


def chunk(delta: dict | None, *, finish: str | None = None, usage: dict | None = None) -> bytes:
    """One chat completion chunk of about 250 bytes; the one with the usage has no choices."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {
        "id": "chatcmpl-0123456789abcdefghijklmnopqrs",
        "object": "chat.completion.chunk",
        "created": 1704067200,
        "model": ANSWERING,
        "system_fingerprint": "fp_0123456789",
        "choices": [] if delta is None else [choice],
    }
    if usage:
        body["usage"] = usage
    return event(orjson.dumps(body))


WHOLE = whole()
STREAM_HEAD = (
    HEADERS + b"Content-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
)
FIRST = chunk({"role": "assistant", "content": ""})
TEXT = chunk({"content": " token"})
LAST = chunk({}, finish="stop")
USAGE_FRAME = chunk(None, usage=COUNTS)
END = event(b"[DONE]") + b"0\r\n\r\n"


class Upstream(asyncio.Protocol):
    """One connection: reads a request, counting its body rather than keeping it, and answers."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.timer: asyncio.TimerHandle | asyncio.Handle | None = None
        self.expect_head()

    def expect_head(self) -> None:
        """Wait for the next request."""
        self.head = b""
        self.missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self.timer:
            self.timer.cancel()

    def data_received(self, data: bytes) -> None:
        if self.missing:
            self.missing -= len(data)
            self.tail = data if len(data) >= SCANNED else self.tail + data
        else:
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return
            length = LENGTH.search(self.head, 0, end)
            if CHUNKED.search(self.head, 0, end):
                self.transport.abort()  # nothing here sends one; better loud than hanging
                return
            self.missing = (int(length[1]) if length else 0) + end + 4 - len(self.head)
            self.tail = b""
        if self.missing <= 0:
            self.answer(self.head[: 2 * SCANNED] + (self.head + self.tail)[-SCANNED:])
            self.expect_head()

    def answer(self, body: bytes) -> None:
        """Write the answer at once, or start the stream."""
        if not STREAM.search(body):
            self.transport.write(WHOLE)
            return
        model = MODEL.search(body)
        if model is None:
            self.transport.abort()
            return
        count, gap = int(model[1]), int(model[2])
        turn = Turn(int(model[3]), int(model[4])) if model[3] else Turn()
        events = [FIRST, *[TEXT] * (count - 2), LAST]
        if USAGE.search(body):
            events.append(USAGE_FRAME)
        self.transport.write(STREAM_HEAD)
        self.stream(iter(events), gap / 1000, turn, self.loop.time())

    def stream(self, events, gap: float, turn: Turn, due: float) -> None:
        """Write one event, and the next one when it is due."""
        data = next(events, END)
        self.transport.write(data)
        if data is END:
            self.timer = None
        elif gap:
            due += gap
            due += TURN * turn.away(due)  # at the same moment of the turn: the events stay spread
            self.timer = self.loop.call_at(due, self.stream, events, gap, turn, due)
        else:
            self.timer = self.loop.call_soon(self.stream, events, gap, turn, due)


async def serve(port: int) -> None:
    """Serve until the process is ended."""
    listener = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=1024)
    await listener.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))
