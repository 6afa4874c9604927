"""The relay alone, in process: what reading one frame of a stream costs, observed and gated.

Frames come singly, as from a paced stream, and many to a chunk, as from a fast one.
"""

import argparse
import time
from collections.abc import Iterator, Sequence

from bench import upstream
from bench.load import request
from gateway.core.framing import framer_for
from gateway.core.relay import Relay
from gateway.core.view import Completion
from gateway.providers import load

LIMIT = 16 << 20


PADS = ("", "aZ3", "Qw9Xk2LmP0")


def frames(count: int, extra: str = "") -> list[bytes]:
    """The mock upstream's stream without its chunked framing: an event each.

    ``extra``: nothing; ``padding``, as OpenAI pads its events; or ``number``, which no event shares with another.
    """
    events = [upstream.FIRST, *[upstream.TEXT] * (count - 2), upstream.LAST]
    found = [event.partition(b"\r\n")[2][:-2] for event in events]
    for n, event in enumerate(found):
        if extra == "padding":
            found[n] = event.replace(b"}\n\n", b',"obfuscation":"%b"}\n\n' % PADS[n % 3].encode())
        elif extra == "number":
            found[n] = event.replace(b"}\n\n", b',"number":%d}\n\n' % (1000 + n))
    return [*found, b"data: [DONE]\n\n"]


def relay(*, gate: bool) -> Relay:
    """A relay as the gateway makes it for this stream."""
    match = load()["openai"].match("POST", "/chat/completions")
    assert match is not None
    endpoint = match.endpoint
    body = request(1, stream="bench").partition(b"\r\n\r\n")[2]
    adapter = endpoint.response(endpoint.request(body), streamed=True)
    return Relay(framer_for("text/event-stream", LIMIT, streamed=True), adapter, Completion(), gate=gate)


def seconds_per_frame(chunks: Sequence[bytes], count: int, *, gate: bool) -> float:
    """One pass of a whole stream, which has to come out as it went in."""
    subject = relay(gate=gate)
    feed = subject.feed
    started = time.perf_counter()
    relayed = [feed(chunk) for chunk in chunks]
    elapsed = time.perf_counter() - started
    relayed.append(subject.close())
    assert b"".join(relayed) == b"".join(chunks), "the relay changed the stream"
    assert subject.done, "the relay did not see the end"
    return elapsed / count


def lines(count: int, passes: int) -> Iterator[str]:
    yield "| per frame of some 240 bytes | observing | gating |"
    yield "|---|---:|---:|"
    for name, extra, group in (
        ("alike but for their text, one to a chunk", "", 1),
        ("the same, 16 to a chunk", "", 16),
        ("padded, one to a chunk", "padding", 1),
        ("all different, one to a chunk", "number", 1),
        ("the same, 16 to a chunk", "number", 16),
    ):
        singly = frames(count, extra)
        chunks = [b"".join(singly[start : start + group]) for start in range(0, len(singly), group)]
        cells = (
            1e6 * min(seconds_per_frame(chunks, len(singly), gate=gate) for _ in range(passes))
            for gate in (False, True)
        )
        yield f"| {name} | " + " | ".join(f"{cell:.2f} µs" for cell in cells) + " |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.relay", description=__doc__)
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--passes", type=int, default=20)
    options = parser.parse_args()
    print(*lines(options.frames, options.passes), sep="\n")
