"""The rows of the client faults: what the client does, and what must come of it."""

import gzip
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from tests.harness.client import Client, leave
from tests.harness.dialects import STREAMED, WHOLE, Dialect
from tests.harness.scenario import Outcome, Scenario, gated, per_dialect
from tests.harness.upstream import (
    PerDialect,
    ScriptStep,
    Step,
    Turn,
    begin,
    call,
    chunk,
    finish,
    head,
    say,
    sleep,
    stall,
    terminator,
    whole,
)

GONE = Outcome("client_cancelled", None, None, "client_cancelled", ended="left")
# How the socket of a client that reads nothing or has half closed looks in the end is not the point.
GONE_ANYHOW = replace(GONE, ended=None)
REFUSED = Outcome("client_error", 400, "body", "invalid_request", None, 0)
LATER = Client(leave_at=0.3)


def streamed(
    number: str,
    upstream: Sequence[ScriptStep],
    client: Client,
    expect: Outcome,
    wires: Sequence[str] = STREAMED,
) -> list[Scenario]:
    return per_dialect(wires, Scenario(number, "", True, upstream, expect, client))


def _endless() -> Step:
    async def play(turn: Turn) -> None:
        # Comments: what a gateway remembers of an answer's text is not what is measured here.
        comment = b": " + b"x" * 60_000 + b"\n\n"
        while True:
            await chunk(comment).play(turn)

    return Step(play)


SLOWLY = [head(), begin(), *(step for n in range(6) for step in (say(f"word-{n} "), sleep(0.05))), stall()]
ENDED = PerDialect(lambda d: [head(), begin(), say("Hello"), finish(), terminator()])
ENDLESS = [head(), begin(), _endless()]
LAST_BYTES = {
    "chat": b"[DONE]",
    "responses": b"response.completed",
    "anthropic": b"message_stop",
    "gemini": b'"STOP"',
}


def _leaving(by: Literal["fin", "rst"]) -> list[Scenario]:
    """Every moment at which a client may go, by FIN or by RST."""
    kind = {"fin": "C-03", "rst": "C-04"}[by]
    at = [leave(f"word-{n}".encode(), by) for n in range(3)]
    first = leave(b"\r\n\r\n", by)
    later = replace(LATER, leave_by=by)
    half = replace(later, send_only=300)
    return [
        *streamed(f"{kind}-unsent", [], half, replace(GONE, requests=0, records=None), ("chat", "anthropic")),
        *streamed(f"{kind}-silent", [stall()], later, GONE),
        *per_dialect(WHOLE, Scenario(f"{kind}-whole", "", False, [stall()], GONE, later)),
        *streamed(f"{kind}-headers", SLOWLY, first, GONE),
        *(row for n, client in enumerate(at) for row in streamed(f"{kind}-event{n}", SLOWLY, client, GONE)),
        *gated(*streamed(f"{kind}-event", SLOWLY, at[1], GONE, ("chat", "anthropic"))),
        *gated(*streamed(f"{kind}-held", [head(), begin(), call("canary_tool"), stall()], later, GONE)),
        *(
            row
            for wire, mark in LAST_BYTES.items()
            for row in streamed(
                f"{kind}-last", [ENDED, stall()], leave(mark, by), Outcome("ok", None, ended="left"), (wire,)
            )
        ),
    ]


LEAVING = [
    *_leaving("fin"),
    *_leaving("rst"),
    *streamed("C-05", [stall()], replace(LATER, leave_by="half_close"), GONE),
    *streamed("C-05e", SLOWLY, leave(b"word-1", "half_close"), GONE),
    *streamed("C-01", ENDLESS, Client(reads=False, deadline=5), GONE_ANYHOW, ("chat",)),
]


Bytes = Callable[[Dialect], bytes]


def _framed(framing: str, body: bytes) -> Bytes:
    """A request whose body's framing is given."""

    def build(dialect: Dialect) -> bytes:
        head_only = dialect.request(stream=False, body=b"").partition(b"content-length")[0]
        return head_only + framing.encode("latin-1") + b"\r\n\r\n" + body

    return build


def _spoiled(spoil: Callable[[bytes], bytes], *, stream: bool = False) -> Bytes:
    """A request whose body went through `spoil`."""
    return lambda dialect: dialect.request(stream=stream, body=spoil(dialect.body(stream=stream)))


def _replacing(old: bytes, new: bytes) -> Bytes:
    """A request with one thing replaced by another."""
    return lambda dialect: dialect.request(stream=False).replace(old, new, 1)


def _hosted(host: str) -> Bytes:
    return _replacing(b"host: 127.0.0.1", b"host: " + host.encode("latin-1"))


OVER = 2 << 20  # the suite's limit is 1 MiB
TOO_LARGE = replace(REFUSED, status=413, error_kind="request_too_large", records=None)


def _raw(
    number: str,
    raw: Bytes,
    expect: Outcome,
    wires: Sequence[str] = ("chat",),
    client: Client | None = None,
) -> list[Scenario]:
    row = Scenario(number, "", False, [], expect, client or Client(deadline=5), raw=raw)
    return per_dialect(wires, row)


def _chunked(data: bytes, size: int = 65536) -> bytes:
    pieces = (data[i : i + size] for i in range(0, len(data), size))
    return b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


BODIES = [
    # The announced length is enough: nothing is read and nothing more is sent.
    *_raw("C-09-length", _framed(f"content-length: {OVER}", b'{"a":"'), TOO_LARGE, WHOLE),
    *_raw(
        "C-09-chunked",
        _framed("transfer-encoding: chunked", _chunked(b'{"a":"' + b"x" * OVER)),
        replace(TOO_LARGE, ended=("complete", "eof")),
        WHOLE,
    ),
]

# Small on the wire, over the limit once unpacked.
BOMB = gzip.compress(b'{"a":"' + b"x" * 8 * OVER + b'"}')
BODIES += _raw(
    "C-09-gzip",
    _framed(f"content-encoding: gzip\r\ncontent-length: {len(BOMB)}", BOMB),
    replace(TOO_LARGE, ended=("complete", "eof")),
    WHOLE,
)

# No gzip at all: the end of a body that is not wanted any more breaks off while it is skipped, and nobody complains.
BODIES += [
    replace(row, headers=f"content-encoding: gzip\r\n{more}")
    for name, more in (("garbage", ""), ("unread", "x_odd: 1\r\n"))
    for row in per_dialect(WHOLE, Scenario(f"C-09-{name}", "", False, [], replace(REFUSED, records=None)))
]

_BAD: dict[str, Callable[[bytes], bytes]] = {
    "not-json": lambda _: b"hello",
    "empty": lambda _: b"",
    "cut": lambda b: b[:-1],
    "bom": lambda b: b"\xef\xbb\xbf" + b,
    "utf16": lambda b: b.decode().encode("utf-16"),
    "trailing": lambda b: b + b" x",
    "two": lambda b: b + b,
    "nul": lambda b: b + b"\x00",
    "nan": lambda b: b[:-1] + b',"extra":NaN}',
    "surrogate": lambda b: b[:-1] + b',"extra":"\\ud800"}',
    "utf8": lambda b: b[:-1] + b',"extra":"\xff\xfe"}',
    "control": lambda b: b[:-1] + b',"extra":"a\x01b"}',
    "array": lambda b: b"[" + b + b"]",
    "deep": lambda b: b[:-1] + b',"extra":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}
BODIES += [
    replace(row, stream=stream)
    for name, spoil in _BAD.items()
    for stream in ((True, False) if name in {"not-json", "surrogate"} else (False,))
    for row in per_dialect(
        WHOLE,
        Scenario(
            f"C-11-{name}",
            "",
            False,
            [],
            REFUSED,
            raw=_spoiled(spoil, stream=stream),
        ),
    )
]
ANSWER = [PerDialect(lambda d: [whole(d.whole())])]
ANSWERED = Outcome("ok", body=lambda d: d.whole())
_EXTRA: dict[str, Callable[[bytes], bytes]] = {
    "1e400": lambda b: b[:-1] + b',"extra":1e400}',
    "digits": lambda b: b[:-1] + b',"extra":' + b"1" * 5000 + b"}",
}
# Numbers that nobody reads are the upstream's business.
BODIES += [
    row
    for name, add in _EXTRA.items()
    for row in per_dialect(WHOLE, Scenario(f"C-11-{name}", "", False, ANSWER, ANSWERED, raw=_spoiled(add)))
]

# A refusal at the level of HTTP itself: closed, and what hides behind the first request is never looked at.
SMUGGLED = b"POST /v1/openai/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer smuggled\r\ncontent-length: 2\r\n\r\n{}"
PATIENT = Client(responses=2, deadline=4)
CLOSED = Outcome("client_error", 400, None, None, None, 0, ended="eof", records=None)
_FRAMINGS = {
    "both": "content-length: 4\r\ntransfer-encoding: chunked",
    "both-reversed": "transfer-encoding: chunked\r\ncontent-length: 4",
    "lengths": "content-length: 2\r\ncontent-length: 3",
    "equal-lengths": "content-length: 2\r\ncontent-length: 2",
    "listed": "content-length: 2, 2",
    "plus": "content-length: +2",
    "minus": "content-length: -2",
    "hex": "content-length: 0x2",
    "huge": "content-length: 1" + "0" * 30,
    "space": "content-length : 2",
    "xchunked": "transfer-encoding: xchunked",
    "identity": "transfer-encoding: identity",
    "listed-te": "transfer-encoding: chunked, identity",
    "twice-te": "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
    "gzip-te": "transfer-encoding: gzip, chunked",
    "folded": "transfer-encoding:\r\n chunked",
    "underscore": "content_length: 2\r\ncontent-length: 2",
    "control": "content-length: 2\r\nx-a: b\x01c",
}
FRAMING = [
    row
    for name, framing in _FRAMINGS.items()
    for row in _raw(
        f"C-19-{name}",
        _framed(framing, (b"2\r\n{}\r\n0\r\n\r\n" if "transfer" in framing else b"{}") + SMUGGLED),
        CLOSED,
        client=PATIENT,
    )
]
FRAMING += [
    row
    for name, body in (
        ("size-hex", b"0x2\r\n{}\r\n0\r\n\r\n"),
        ("size-minus", b"-2\r\n{}\r\n0\r\n\r\n"),
        ("size-wrong", b"5\r\n{}\r\n0\r\n\r\n"),
    )
    for row in _raw(
        f"C-19-{name}",
        _framed("transfer-encoding: chunked", body + SMUGGLED),
        CLOSED,
        client=PATIENT,
    )
]
HTTP10 = _framed("transfer-encoding: chunked", b"2\r\n{}\r\n0\r\n\r\n" + SMUGGLED)
FRAMING += _raw(
    "C-19-http10", lambda d: HTTP10(d).replace(b"HTTP/1.1", b"HTTP/1.0", 1), CLOSED, client=PATIENT
)

BAD_HOST = Outcome("client_error", (400, 421), None, None, None, 0, records=None)
HOSTS = [
    row
    for host in (
        "evil.example",
        "",
        "127.0.0.1@evil/c?d",
        "a b",
        "127.0.0.1:99999999",
        "[::1",
        "1.2.3.4",
        "evil.example:9000",
        "127.0.0.1.evil.example",
    )
    for row in _raw(f"C-23-{host or 'empty'}", _hosted(host), BAD_HOST)
]
HOSTS += [
    replace(row, upstream=ANSWER)
    for host in ("127.0.0.1:1", "localhost", "LocalHost:9000", "[::1]:80")
    for row in _raw(f"C-23-{host}", _hosted(host), ANSWERED)
]
HOSTS += _raw("C-23-missing", _replacing(b"host: 127.0.0.1\r\n", b""), BAD_HOST)
HOSTS += _raw("C-23-two", _hosted("127.0.0.1\r\nhost: 127.0.0.1"), BAD_HOST)

BAD_FORM = replace(BAD_HOST, status=(400, 404, 405))
_TARGETS = {
    "absolute": b"POST http://127.0.0.1/v1/openai/chat/completions",
    "absolute-other": b"POST http://evil.example/v1/openai/chat/completions",
    "connect": b"CONNECT 127.0.0.1:443",
    "asterisk": b"OPTIONS *",
    "trace": b"TRACE /v1/openai/chat/completions",
}
FORMS = [
    row
    for name, target in _TARGETS.items()
    for row in _raw(
        f"C-24-{name}",
        _replacing(b"POST /v1/openai/chat/completions", target),
        BAD_FORM,
    )
]

_PATHS = (
    b"/v1/openai/..%2fanthropic/v1/messages",
    b"/v1/openai/%2e%2e/anthropic/v1/messages",
    b"/v1/openai/../openai/chat/completions",
    b"/v1/openai/..;/chat/completions",
    b"/v1/openai/%252e%252e/chat/completions",
    b"/v1/openai\\chat\\completions",
    b"/v1/openai/chat%5ccompletions",
    b"/v1/openai/chat%2fcompletions",
    b"//evil.example/v1/openai/chat/completions",
    b"/v1//openai/chat/completions",
    b"/v1/openai/chat/completions%00",
    b"/v1/openai/chat/completions%0a",
    b"/v1/openai/chat/%0d%0acompletions",
    b"/v1/openai/%ef%bc%8e%ef%bc%8e/chat/completions",
    b"/v1/openai/\xe2\x80\xa4/chat/completions",
    b"/v1/openai/" + b"a" * 100_000,
)
BAD_PATH = replace(BAD_HOST, status=(400, 404, 414))
PATHS = [
    row
    for path in _PATHS
    for row in _raw(
        f"C-30-{path[:44].decode('latin-1')}",
        _replacing(b"/v1/openai/chat/completions", path),
        BAD_PATH,
    )
]

ROWS = LEAVING + BODIES + FRAMING + HOSTS + FORMS + PATHS
