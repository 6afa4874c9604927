"""The rows of the upstream faults: what the upstream does, and what must come of it."""

import gzip
import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import brotli

from tests.harness.dialects import DIALECTS, STREAMED, WHOLE, Dialect
from tests.harness.scenario import Outcome, Scenario, gated, per_dialect, sent_frames
from tests.harness.upstream import (
    PerDialect,
    ScriptStep,
    answer,
    begin,
    call,
    chunk,
    event,
    fin,
    finish,
    head,
    last,
    rst,
    say,
    send,
    sleep,
    stall,
    terminator,
    whole,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SAY_NO_MORE = {"x-should-retry": "false"}  # the request may have run: an SDK must not repeat it
SSE = ("chat", "responses", "anthropic", "gemini")

OK = Outcome("ok", usage="reported", input_tokens=11)
SAME = replace(OK, same=True)
TIMEOUT = Outcome("upstream_timeout", 504, "body", "timeout", headers=SAY_NO_MORE)
RESET = Outcome("upstream_reset", 502, "body", "network_error", headers=SAY_NO_MORE)
PROTOCOL = Outcome("upstream_protocol", 502, "body", "server_error", headers=SAY_NO_MORE)
# A connection that could not be made: nothing was sent, so an SDK may well try again.
UNREACHABLE = Outcome(
    "upstream_connect", 502, "body", "network_error", 2, 0, headers={"x-should-retry": None}
)


def streamed(
    number: str,
    upstream: Sequence[ScriptStep],
    expect: Outcome,
    wires: Sequence[str] = STREAMED,
    **more: object,
) -> list[Scenario]:
    return per_dialect(wires, Scenario(number, "", True, upstream, expect, **more))  # type: ignore[arg-type]  # fields by name


def unstreamed(
    number: str, upstream: Sequence[ScriptStep], expect: Outcome, wires: Sequence[str] = WHOLE, **more: object
) -> list[Scenario]:
    return per_dialect(wires, Scenario(number, "", False, upstream, expect, **more))  # type: ignore[arg-type]  # fields by name


def both(
    number: str, upstream: Sequence[ScriptStep], expect: Outcome, wires: Sequence[str] = WHOLE, **more: object
) -> list[Scenario]:
    return streamed(number, upstream, expect, wires, **more) + unstreamed(
        number, upstream, expect, wires, **more
    )


def answer_of(dialect: Dialect) -> bytes:
    return dialect.whole()


def call_of(name: str) -> Callable[[Dialect], bytes]:
    return lambda dialect: dialect.whole(tool=name)


WHOLE_ANSWER = [whole(answer_of)]
HALF_BODY = PerDialect(lambda d: [head(sse=False, length=len(d.whole())), chunk(d.whole()[:40])])
HALF_CHUNKED = PerDialect(lambda d: [head(sse=False), chunk(d.whole()[:40])])
HALF_UNFRAMED = PerDialect(lambda d: [head(sse=False, framing="eof"), chunk(d.whole()[:40])])
BEGUN = [head(), begin(), say("Hello, ")]
TORN = replace(RESET, status=200, error="in_band", headers={})
ABORTED = replace(RESET, status=200, error="abort", ended=("eof", "reset"), headers={})


def held(name: str) -> list[ScriptStep]:
    return [*BEGUN, call(name)]


def terminal(name: str) -> list[ScriptStep]:
    """The end of an answer that called; on Responses the terminal event repeats the call."""
    return [
        PerDialect(
            lambda d: [finish("tool"), event(_completed(d, name)) if d.name == "responses" else terminator()]
        ),
        last(),
    ]


def _completed(dialect: Dialect, name: str) -> bytes:
    return dialect.end()[0].replace(b'"output":[', b'"output":[' + _call_item(name) + b",", 1)


def _call_item(name: str) -> bytes:
    return (
        b'{"type":"function_call","id":"fc_1","call_id":"call_1","status":"completed","name":"%s",'
        b'"arguments":"{\\"canary_arg\\":\\"c4n4ry\\"}"}' % name.encode()
    )


# What the rest builds on: plain answers, a call that is released, a call that is refused.
PLAIN = [
    *streamed("U-00", answer(), replace(SAME, text="Hello, world."), splits=("event", "whole", "random")),
    *unstreamed("U-00", WHOLE_ANSWER, replace(OK, text="Hello, world.", body=answer_of)),
    *gated(*streamed("U-00", answer(), replace(SAME, text="Hello, world."))),
    *gated(*unstreamed("U-00", WHOLE_ANSWER, replace(OK, text="Hello, world.", body=answer_of))),
]
REFUSED = Outcome(("ok", "policy_blocked"), refused=True, usage="reported")
GATE = [
    *gated(
        *streamed(
            "U-00r",
            [*held("canary_tool"), *terminal("canary_tool")],
            REFUSED,
            splits=("event", "whole", "byte"),
        )
    ),
    *gated(*unstreamed("U-00r", [whole(call_of("canary_tool"))], REFUSED)),
    *gated(
        *streamed(
            "U-00a",
            [*BEGUN, call("allowed_tool", '{"a":1}'), finish("tool"), terminator(), last()],
            replace(SAME, calls=("allowed_tool",)),
            ("chat", "anthropic", "gemini", "gemini_array"),
        )
    ),
]

CONNECT = [
    *streamed("U-01", [], UNREACHABLE, ("chat", "gemini"), config="refused"),
    *unstreamed("U-01", [], UNREACHABLE, ("responses", "gemini"), config="refused"),
    *streamed("U-02", [], replace(UNREACHABLE, attempts=(1, 2)), ("chat", "gemini"), config="dns"),
    *unstreamed("U-02", [], replace(UNREACHABLE, attempts=(1, 2)), ("responses",), config="dns"),
    *streamed("U-03", [], replace(UNREACHABLE, attempts=(1, 2)), ("chat",), config="black_hole"),
    *unstreamed("U-03", [], replace(UNREACHABLE, attempts=(1, 2)), ("gemini",), config="black_hole"),
    # Gemini's upstream has a trusted certificate for another host, OpenAI's one that nobody signed.
    *both(
        "U-04",
        [],
        replace(
            UNREACHABLE,
            attempts=1,
            never_saw=(b"a.invalid", b"self-signed", b"self signed", b"_ssl.c", b"CERTIFICATE"),
        ),
        ("chat", "gemini"),
        config="tls",
    ),
    *streamed("U-04s", [], replace(UNREACHABLE, attempts=1), ("chat",), config="tls_stall"),
]

STALE = replace(OK, attempts=2, requests=2)
BEFORE = [
    *both("U-05", [fin()], RESET),
    *gated(*both("U-05", [fin()], RESET, ("chat", "anthropic"))),
    *streamed("U-06", [fin()], replace(STALE, same=True), SSE, retried=answer(), warm=True),
    *unstreamed("U-06", [fin()], replace(STALE, body=answer_of), retried=WHOLE_ANSWER, warm=True),
    *streamed("U-06r", [rst()], replace(STALE, same=True), ("anthropic",), retried=answer(), warm=True),
    # One byte of an answer came: it may have run, so it is not sent again.
    *both("U-06p", [send(b"HTTP/1.1 2"), fin()], RESET, ("chat",), warm=True),
    *both("U-07", [rst()], RESET),
    *both("U-07s", [send(b"HTTP/1.1 20"), rst()], RESET),
    *both("U-07f", [send(b"HTTP/1.1 20"), fin()], RESET, ("chat",)),
    *both("U-07h", [send(b"HTTP/1.1 200 OK\r\ncontent-type: text/ev"), rst()], RESET),
    *both("U-08", [send(b"SSH-2.0-OpenSSH_9.6\r\n"), fin()], PROTOCOL),
    *both(
        "U-08h",
        [send(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64"), fin()],
        PROTOCOL,
        ("anthropic",),
    ),
    *streamed("U-09", [stall()], TIMEOUT),
    *unstreamed("U-09", [stall()], TIMEOUT),
    *streamed("U-10", [head(), stall()], TIMEOUT),
    *unstreamed("U-10", [head(sse=False, length=100), stall()], TIMEOUT),
]

LATE = replace(TIMEOUT, status=200, error="in_band", headers={})
SILENT_END = replace(TORN, outcome="upstream_protocol", error_kind="server_error")
NOT_JUDGED = ("not_evaluated", "upstream_reset", "upstream_timeout", "upstream_protocol")
UNJUDGED = Outcome(NOT_JUDGED, 200, "in_band", ("server_error", "network_error", "timeout"))
LIVELY = [
    head(),
    begin(),
    *(step for n in range(14) for step in (say(f"word-{n} "), sleep(0.2))),
    finish(),
    terminator(),
    last(),
]


def _counted(rows: Sequence[Scenario]) -> list[Scenario]:
    """What was said of usage before the answer broke is recorded; what has arrived beyond it is estimated."""
    early = {"anthropic": "estimated", "gemini": "reported", "gemini_array": "reported"}
    return [
        replace(row, expect=replace(row.expect, usage=early[row.dialect], input_tokens=11))
        if row.dialect in early
        else replace(row, expect=replace(row.expect, usage="estimated"))
        for row in rows
    ]


MIDWAY = [
    *_counted(streamed("U-11", [*BEGUN, stall()], LATE)),
    # Something every 0.2 s is no gap of a second, wherever the clock's ticks fall.
    *streamed("U-11h", LIVELY, SAME, ("chat",), config="short"),
    *gated(*streamed("U-11", [*BEGUN, stall()], LATE, ("chat", "anthropic"))),
    *gated(*streamed("U-11t", [*held("canary_tool"), stall()], UNJUDGED)),
    *unstreamed(
        "U-11", [HALF_BODY, stall()], replace(ABORTED, outcome="upstream_timeout", error_kind="timeout")
    ),
    *gated(*unstreamed("U-11", [HALF_BODY, stall()], TIMEOUT, ("chat", "anthropic"))),
    *_counted(streamed("U-12", [*BEGUN, rst()], TORN)),
    *streamed("U-12f", [*BEGUN, fin()], TORN),
    *streamed("U-12l", [head(length=100_000), begin(), say("Hello, "), fin()], TORN),
    *gated(*streamed("U-12", [*BEGUN, rst()], TORN)),
    *gated(*streamed("U-12t", [*held("canary_tool"), rst()], UNJUDGED)),
    *gated(*streamed("U-12u", [*held("canary_tool"), fin()], UNJUDGED)),
    # Nothing had been sent when it broke: still a proper status.
    *gated(
        *streamed(
            "U-12v",
            [head(), call("canary_tool"), rst()],
            replace(UNJUDGED, status=502, error="body"),
            ("gemini",),
        )
    ),
    *unstreamed("U-12", [HALF_BODY, rst()], ABORTED),
    *unstreamed("U-12f", [HALF_CHUNKED, fin()], ABORTED),
    *gated(*unstreamed("U-12", [HALF_BODY, rst()], RESET)),
    *streamed("U-13", [*BEGUN, last()], SILENT_END),
    *streamed("U-13e", [head(framing="eof"), begin(), say("Hello, "), last()], SILENT_END),
    *gated(*streamed("U-13", [*BEGUN, last()], SILENT_END)),
    *gated(*streamed("U-13t", [*held("canary_tool"), last()], UNJUDGED)),
    *streamed("U-13g", [*BEGUN, finish(), last()], SAME, ("chat", "anthropic", "gemini")),
    *gated(*streamed("U-13g", [*BEGUN, finish(), last()], SAME, ("chat", "anthropic", "gemini"))),
    *unstreamed(
        "U-13",
        [HALF_UNFRAMED, fin()],
        replace(
            ABORTED,
            outcome=("upstream_protocol", "upstream_reset"),
            error_kind=("server_error", "network_error"),
        ),
    ),
    *gated(
        *unstreamed(
            "U-13",
            [HALF_UNFRAMED, fin()],
            replace(PROTOCOL, outcome=NOT_JUDGED, error_kind=("server_error", "network_error")),
        )
    ),
    *streamed(
        "U-14", [head(framing="eof"), begin(), say("Hello, world."), finish(), terminator(), last()], SAME
    ),
    *unstreamed(
        "U-14",
        [head(sse=False, framing="eof"), PerDialect(lambda d: [chunk(d.whole())]), last()],
        replace(OK, body=answer_of),
    ),
]

ODD_TEXT = 'naïve ñ 世界 \U0001f389 "quoted" back\\slash \u2028 line\nend\r\n'
ODD = [head(), begin(), say(ODD_TEXT), finish(), terminator(), last()]


def _cut_inside(dialect: Dialect) -> Sequence[ScriptStep]:
    """The stream in pieces that end inside a character, a line end, a field name and an escape."""
    data = sent_frames(ODD, dialect)
    marks = {0, len(data)}
    for needle, offset in (
        ("\U0001f389".encode(), 2),
        (b'\\"', 1),
        (b"data:", 3),
        (b"\r\n", 1),
        (b"\n\n", 1),
        (b"\\n", 1),
    ):
        if (found := data.find(needle)) >= 0:
            marks.add(found + offset)
    places = sorted(marks)
    steps: list[ScriptStep] = [head()]
    for start, end in itertools.pairwise(places):
        steps += [chunk(data[start:end]), sleep(0.02)]
    return [*steps, last()]


def _sized(number: str, size: int, expect: Outcome, wires: Sequence[str]) -> list[Scenario]:
    steps = [head(), begin(), say("x" * size), finish(), terminator(), last()]
    return streamed(number, steps, expect, wires, splits=("whole",))


BROKEN_LINE = event(b'data: {"broken": \n\n')
WITH_BROKEN_LINE = [*BEGUN, BROKEN_LINE, say("after"), finish(), terminator(), last()]
# What can't be judged: nothing of it leaves, and the record says so.
CLOSED = Outcome(("not_evaluated", "upstream_protocol"), 200, "in_band", "server_error")
SHAPES = [
    *streamed("U-20", answer(), replace(SAME, text="Hello, world."), splits=("byte",)),
    *gated(*streamed("U-20", answer(), replace(SAME, text="Hello, world."), splits=("byte",))),
    *streamed("U-21", ODD, replace(SAME, text=ODD_TEXT), splits=("random",)),
    *gated(*streamed("U-21", ODD, replace(SAME, text=ODD_TEXT), splits=("random",))),
    *streamed("U-21c", [PerDialect(_cut_inside)], replace(OK, body=lambda d: sent_frames(ODD, d))),
    *gated(*streamed("U-21c", [PerDialect(_cut_inside)], replace(OK, body=lambda d: sent_frames(ODD, d)))),
    *_sized("U-22", 1_000_000, SAME, STREAMED),
    *gated(*_sized("U-22", 1_000_000, SAME, STREAMED)),
    *_sized("U-22b", 16_000_000, SAME, ("chat", "anthropic")),
    *gated(*_sized("U-22b", 16_000_000, SAME, ("chat", "anthropic"))),
    # Over the limit nothing is read any more, usage included; all of it passes.
    *_sized("U-22c", 17_000_000, replace(SAME, usage=None, input_tokens=None), ("chat", "anthropic")),
    *gated(*_sized("U-22c", 17_000_000, replace(CLOSED, never_saw=(b"xxxxxxxx",)), ("chat", "anthropic"))),
    *streamed("U-24", WITH_BROKEN_LINE, replace(SAME, text=None), SSE),
    *gated(*streamed("U-24", WITH_BROKEN_LINE, replace(CLOSED, never_saw=(b"broken", b"after")), SSE)),
]


def _compressed(encoding: str, compress: Callable[[bytes], bytes], *, sse: bool) -> PerDialect:
    def build(dialect: Dialect) -> Sequence[ScriptStep]:
        data = sent_frames(answer(), dialect) if sse else dialect.whole()
        return [head(sse=sse, headers={"content-encoding": encoding}), chunk(compress(data)), last()]

    return PerDialect(build)


COMPRESSED = [
    row
    for encoding, compress in (("gzip", gzip.compress), ("br", brotli.compress), ("zstd", zstd.compress))
    for row in (
        *streamed(
            f"U-28-{encoding}",
            [_compressed(encoding, compress, sse=True)],
            replace(OK, body=lambda d: sent_frames(answer(), d), headers={"content-encoding": None}),
            ("chat", "anthropic", "gemini"),
        ),
        *unstreamed(
            f"U-28-{encoding}",
            [_compressed(encoding, compress, sse=False)],
            replace(OK, body=answer_of, headers={"content-encoding": None}),
            ("chat", "anthropic"),
        ),
    )
]
COMPRESSED += gated(*(row for row in COMPRESSED if row.dialect == "chat"))


def _error(status: int, headers: Mapping[str, str] | None = None) -> list[ScriptStep]:
    return [PerDialect(lambda d: [whole(d.upstream_error(status), status, headers)])]


def _passed(status: int, kind: str, headers: Mapping[str, str] | None = None) -> Outcome:
    return Outcome(
        "upstream_status",
        status,
        "passed",
        kind,
        body=lambda d: d.upstream_error(status),
        headers=headers or {},
    )


WAITS = ({"retry-after": "7"}, {"retry-after": "Fri, 31 Dec 2027 23:59:59 GMT"}, {"retry-after-ms": "700"})
REFUSALS = [
    *(
        row
        for wait in WAITS
        for row in both("U-30", _error(429, wait), _passed(429, "rate_limit", wait), ("chat", "anthropic"))
    ),
    *both(
        "U-30",
        _error(429, {"retry-after": "7"}),
        _passed(429, "rate_limit", {"retry-after": "7"}),
        ("responses", "gemini"),
    ),
    # Senseless hints change nothing for us: one attempt, status and body as they came.
    *both("U-30n", _error(429, {"retry-after": "-5"}), _passed(429, "rate_limit"), ("chat",)),
    *both("U-30m", _error(429, {"retry-after": "1000000000"}), _passed(429, "rate_limit"), ("anthropic",)),
    *(
        row
        for status, kind in (
            (529, "overloaded"),
            (503, "overloaded"),
            (500, "server_error"),
            (502, "server_error"),
            (504, "timeout"),
        )
        for row in both(f"U-31-{status}", _error(status), _passed(status, kind))
    ),
    *gated(*both("U-31-503", _error(503), _passed(503, "overloaded"))),
    *(
        row
        for status, target in (
            (301, "/v1/elsewhere"),
            (302, "http://127.0.0.1:9/x"),
            (307, "file:///etc/passwd"),
            (308, "//127.0.0.1:9/x"),
        )
        for row in both(
            f"U-34-{status}",
            [whole(b"moved", status, {"location": target})],
            replace(PROTOCOL, headers={**SAY_NO_MORE, "location": None}),
        )
    ),
]

ROWS = PLAIN + GATE + CONNECT + BEFORE + MIDWAY + SHAPES + COMPRESSED + REFUSALS
assert {row.dialect for row in ROWS} <= set(DIALECTS)
