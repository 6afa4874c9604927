"""Every way in which an interaction can end, as data: what happens, and what its row says afterwards."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gateway.core import errors
from tests.clients.scripted import Scripted
from tests.harness.client import Client, Exchange, exchange, leave
from tests.harness.dialects import DIALECTS, STREAMED, WHOLE, Dialect
from tests.harness.upstream import (
    Frames,
    PerDialect,
    ScriptStep,
    answer,
    begin,
    call,
    chunk,
    compile_script,
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

LIMITS = {
    "GATEWAY_TIMEOUTS_FIRST_BYTE": "1",
    "GATEWAY_TIMEOUTS_GAP": "1",
    "GATEWAY_CLIENT_STALL": "1",
    "GATEWAY_BODY_LIMIT": "65536",
    "TEST_REFUSED_TOOLS": "canary_tool",
}


class Told(NamedTuple):
    """What a row says of an ending."""

    outcome: str
    kind: str | None
    status: int | None
    usage: str = "none"


Steps = Sequence[ScriptStep]


@dataclass(frozen=True)
class Ending:
    """One way to end, on some wires; ``differs``: what other wires' rows say of the same."""

    name: str
    upstream: Steps
    told: Told
    streams: Sequence[bool] = (True, False)
    client: Client = field(default_factory=Client)
    differs: Mapping[str, Told] = field(default_factory=dict)
    wires: Sequence[str] = STREAMED
    gateway: str = "open"
    headers: str = ""
    spoil: Callable[[bytes], bytes] = bytes
    """What the client makes of its body."""

    def cases(self) -> Iterator["Case"]:
        for name in self.wires:
            for stream in self.streams:
                if stream or name in WHOLE:
                    yield Case(self, DIALECTS[name], stream)


@dataclass(frozen=True)
class Case:
    """An ending on one wire. Its name goes along, so that its script is found there, and its row here."""

    ending: Ending
    dialect: Dialect
    stream: bool

    @property
    def name(self) -> str:
        return f"{self.dialect.name}-{'stream' if self.stream else 'whole'}-of-{self.ending.name}"

    @property
    def told(self) -> Told:
        return self.ending.differs.get(self.dialect.name, self.ending.told)

    @property
    def sent(self) -> bytes:
        headers = f"x-case: {self.name};\r\nx-gateway-run-id: {self.name}\r\n{self.ending.headers}"
        body = self.ending.spoil(self.dialect.body(stream=self.stream))
        return self.dialect.request(stream=self.stream, body=body, headers=headers)

    async def play(self, gate: Scripted, sent: bytes = b"") -> Exchange:
        """``sent``: another request of the same case."""
        script = compile_script(self.ending.upstream, self.dialect)
        gate.upstream.marked[f"x-case: {self.name};".encode()] = script
        return await exchange(gate.gateway.port, sent or self.sent, self.ending.client)


def torn(*ending: ScriptStep) -> Steps:
    """A stream's first words, and what comes in place of the others."""
    return [head(), begin(), say("Hello, "), *ending]


def half(*ending: ScriptStep) -> Steps:
    """Half of a whole answer."""
    return [PerDialect(lambda d: [head(sse=False, length=len(d.whole())), chunk(d.whole()[:40])]), *ending]


def after_first_words(outcome: str, kind: str) -> dict[str, Any]:
    """Estimated, but on the wires whose every event says what was used so far."""
    estimated, said = Told(outcome, kind, 200, "estimated"), Told(outcome, kind, 200, "reported")
    return {"told": estimated, "differs": {"gemini": said, "gemini_array": said}, "streams": [True]}


def refusal(status: int) -> Steps:
    return [PerDialect(lambda d: [whole(d.upstream_error(status), status)])]


STATUSES = {
    400: "invalid_request",
    401: "authentication",
    402: "insufficient_balance",
    403: "permission_denied",
    404: "not_found",
    413: "request_too_large",
    429: "rate_limit",
    500: "server_error",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}
ANSWERED = [whole(lambda d: d.whole())]
FAILED = {name: Told("upstream_status", "overloaded", 200, "reported") for name in STREAMED[3:]}
OF_THE_UPSTREAM = [
    Ending("an-answer", answer(), Told("ok", None, 200, "reported"), [True]),
    Ending("an-answer", ANSWERED, Told("ok", None, 200, "reported"), [False]),
    Ending("no-answer", [fin()], Told("upstream_reset", "network_error", 502, "estimated")),
    Ending("junk", [send(b"SSH-2.0-x\r\n"), fin()], Told("upstream_protocol", "server_error", 502)),
    Ending("a-redirect", [whole(b"", 302)], Told("upstream_protocol", "server_error", 502)),
    Ending(
        "a-page",
        [head(media_type="text/html", length=5), chunk(b"<p>Hi")],
        Told("upstream_protocol", "server_error", 502),
    ),
    Ending("silence", [stall()], Told("upstream_timeout", "timeout", 504, "estimated")),
    Ending(
        "silence-after-the-head",
        [head(), stall()],
        Told("upstream_timeout", "timeout", 504, "estimated"),
        [True],
    ),
    Ending("a-torn-stream", torn(rst()), **after_first_words("upstream_reset", "network_error")),
    Ending("a-torn-body", half(rst()), Told("upstream_reset", "network_error", 200, "estimated"), [False]),
    Ending("a-stalled-stream", torn(stall()), **after_first_words("upstream_timeout", "timeout")),
    Ending("a-stalled-body", half(stall()), Told("upstream_timeout", "timeout", 200, "estimated"), [False]),
    Ending("no-terminator", torn(last()), **after_first_words("upstream_protocol", "server_error")),
    Ending(
        "an-error-in-the-stream",
        torn(Frames(lambda d: d.stream_error()), last()),
        Told("upstream_status", "server_error", 200, "estimated"),
        [True],
        differs=FAILED | {"anthropic": Told("upstream_status", "overloaded", 200, "estimated")},
    ),
    *(Ending(f"status-{n}", refusal(n), Told("upstream_status", kind, n)) for n, kind in STATUSES.items()),
    Ending("nobody-there", [], Told("upstream_connect", "network_error", 502), gateway="unreachable"),
]

GONE = Told("client_cancelled", "client_cancelled", None)
MISSED = GONE._replace(usage="estimated")
SOON = Client(leave_at=0.3)
ENDED = PerDialect(lambda d: [head(), begin(), say("Hello"), finish(), terminator()])
LAST = {
    "chat": b"[DONE]",
    "responses": b"response.completed",
    "anthropic": b"message_stop",
    "gemini": b'"STOP"',
}
BEGUN = {name: GONE._replace(status=200, usage="reported") for name in ("anthropic", "gemini_array")}
OF_THE_CLIENT = [
    Ending("leaving-before-the-head", [stall()], MISSED, client=SOON),
    # Gemini's stream begins with its first words.
    Ending(
        "leaving-before-the-first-token",
        [head(), begin(), stall()],
        MISSED._replace(status=200),
        [True],
        client=SOON,
        differs=BEGUN | {"gemini": MISSED},
    ),
    Ending("leaving-while-there-is-no-connection", [], GONE, client=SOON, gateway="unconnected"),
    Ending("leaving-within-a-body", half(stall()), MISSED._replace(status=200), [False], client=SOON),
    Ending(
        "leaving-within-an-event",
        torn(Frames(lambda d: [d.text("half a frame")[0][:-20]]), stall()),
        client=SOON,
        **after_first_words("client_cancelled", "client_cancelled"),
    ),
    *(
        Ending(
            "leaving-after-the-last-event",
            [ENDED, stall()],
            Told("ok", None, 200, "reported"),
            [True],
            client=leave(mark),
            wires=[wire],
        )
        for wire, mark in LAST.items()
    ),
    Ending(
        "bad-json",
        [],
        Told("client_error", "invalid_request", 400),
        [False],
        spoil=lambda body: body[:-1],
    ),
    Ending(
        "too-much",
        [],
        Told("client_error", "request_too_large", 413),
        [False],
        spoil=lambda body: body.ljust(1 << 17),
    ),
]

PASSED = Told("not_evaluated", "server_error", 200, "estimated")
UNREADABLE = torn(event(b'data: {"broken": \n\n'), finish(), terminator(), last())
OF_A_STAGE = [
    Ending(
        "a-refused-call",
        [head(), begin(), call("canary_tool"), finish("tool"), terminator(), last()],
        Told("policy_blocked", None, 200, "reported"),
        [True],
        wires=["chat", "anthropic", "gemini", "gemini_array"],
    ),
    Ending(
        "a-refused-call",
        [whole(lambda d: d.whole(tool="canary_tool"))],
        Told("policy_blocked", None, 200, "reported"),
        [False],
    ),
    Ending("what-can-not-be-judged", UNREADABLE, PASSED, [True], wires=["chat", "responses", "anthropic"]),
    *(
        Ending(
            f"raised-{kind.__name__}",
            [],
            Told(kind.outcome, kind.kind, kind.status),
            headers=f"x-test-raise: {kind.__name__}\r\n",
            # One wire has a status of its own for it.
            differs={"anthropic": Told(kind.outcome, kind.kind, 404)} if kind is errors.ReplayNeeded else {},
        )
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.GatewayError)
    ),
    Ending(
        "a-defect", [], Told("internal", "server_error", 500), headers="x-test-raise: ZeroDivisionError\r\n"
    ),
]


DRAINED = Told("draining", "overloaded", 200, "estimated")
AT_THE_END = [
    Ending(
        "finishing",
        [head(), begin(), say("Hello"), sleep(0.5), finish(), terminator(), last()],
        Told("ok", None, 200, "reported"),
        [True],
    ),
    Ending("silent-at-the-end", [stall()], DRAINED._replace(status=503)),
    Ending("talking-at-the-end", torn(stall()), **after_first_words("draining", "overloaded")),
    Ending("half-said-at-the-end", half(stall()), DRAINED, [False]),
]
