"""A scenario is data: what the upstream does, what the client does, and what must come of it."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from tests.harness import ending, invariants
from tests.harness.client import Client, Ended, Exchange, exchange, read_all
from tests.harness.dialects import DIALECTS, Dialect
from tests.harness.healthy import MODEL as HEALTHY
from tests.harness.healthy import Healthy
from tests.harness.oracle import TYPED, Oracle
from tests.harness.process import Gateway, Sample
from tests.harness.upstream import (
    Frames,
    PerDialect,
    ScriptedUpstream,
    ScriptStep,
    Split,
    compile_script,
    whole,
)

WARM = "warm-model"
RECORD_DEADLINE = 3.0

ErrorForm = Literal["body", "in_band", "abort", "passed"]


@dataclass(frozen=True)
class Outcome:
    """What the client gets and what the log says."""

    outcome: str | tuple[str, ...]
    status: int | tuple[int, ...] | None = 200  # None: no response at all
    error: ErrorForm | None = None  # our body, our event, a broken connection, or the upstream's own
    error_kind: str | tuple[str, ...] | None = None
    attempts: int | tuple[int, ...] | None = 1
    requests: int | None = 1  # how many reached the upstream
    usage: str | tuple[str, ...] | None = None
    input_tokens: int | None = None
    ended: Ended | tuple[Ended, ...] | None = "complete"
    same: bool = False  # the body is byte for byte what the upstream sent
    body: bytes | Callable[[Dialect], bytes] | None = None  # or exactly this
    contains: tuple[bytes, ...] = ()
    never_saw: tuple[bytes, ...] = ()
    headers: Mapping[str, str | None] = field(default_factory=dict)
    text: str | None = None  # what the SDK reads
    calls: tuple[str, ...] | None = None
    refused: bool = False
    records: int | None = 1


@dataclass(frozen=True)
class Scenario:
    """One row of the fault list, on one wire."""

    id: str
    dialect: str
    stream: bool
    upstream: Sequence[ScriptStep]
    expect: Outcome
    client: Client = field(default_factory=read_all)
    retried: Sequence[ScriptStep] | None = None  # what a second request gets
    warm: bool = False  # leave an idle connection in the gateway's pool first
    config: str = "open"
    splits: tuple[Split, ...] = ("event",)
    body: bytes | None = None
    headers: str = ""
    raw: Callable[[Dialect], bytes] | None = None  # the whole request's bytes

    @property
    def name(self) -> str:
        return f"{self.id}-{self.dialect}-{'stream' if self.stream else 'whole'}-{self.config}"


def per_dialect(dialects: Iterable[str], row: Scenario) -> list[Scenario]:
    """The same row on several wires."""
    return [replace(row, dialect=name) for name in dialects]


def gated(*rows: Scenario) -> list[Scenario]:
    """The same rows against a gateway that has a tool-call stage."""
    return [replace(row, config="gated") for row in rows]


@dataclass
class Rig:
    """A running gateway, its scripted upstream, and what it holds when idle."""

    gateway: Gateway
    upstream: ScriptedUpstream
    oracle: Oracle
    healthy: str = "chat"
    reachable: bool = True
    baseline: Sample = field(default_factory=lambda: Sample(0, 0, 0))

    async def measure(self) -> None:
        """Warm everything that is made once, then note what the process holds."""
        for name in ("chat", "anthropic", "gemini") if self.reachable else (self.healthy,):
            await self.good_answer(DIALECTS[name], keep=False)
        async with Healthy(self.gateway, self.upstream, self.healthy):
            await asyncio.sleep(0.05)
        # As many connections to the database as it ever opens, each with a thread and files of its own.
        ask = b"GET /api/statistics HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"
        for _ in range(3):
            await asyncio.gather(*(exchange(self.gateway.console_port, ask) for _ in range(16)))
        await self.upstream.reset()
        await asyncio.sleep(0.2)
        self.baseline = self.gateway.sample()

    async def good_answer(self, dialect: Dialect, *, keep: bool) -> None:
        """An ordinary exchange: a connection for the pool, or only a success for the circuit breaker."""
        headers = {} if keep else {"connection": "close"}
        script = compile_script([whole(lambda d: d.whole(), headers=headers)], dialect)
        self.upstream.marked[WARM.encode()] = script
        got = await exchange(self.gateway.port, dialect.request(stream=False, model=WARM))
        assert got.response.status == 200, f"an ordinary answer failed: {got.raw!r}"

    async def record(self, start: int, since: str) -> dict[str, Any] | None:
        """The first record that these lines hold of an interaction begun since then."""
        end = time.monotonic() + RECORD_DEADLINE
        while not (found := self.records(start, since)):
            if time.monotonic() > end:
                return None
            await asyncio.sleep(0.01)
        return found[0]

    def records(self, start: int, since: str) -> list[dict[str, Any]]:
        """Records come in batches: a late one of the scenario before is told apart by its time."""
        found = self.gateway.interactions(start)
        return [r for r in found if r.get("model") not in {HEALTHY, WARM} and r["started_at"] >= since]


def now() -> str:
    """The wall clock as records write it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def sent_frames(steps: Iterable[ScriptStep], dialect: Dialect) -> bytes:
    """The body that these steps send, as far as it is made of frames."""
    parts: list[bytes] = []
    for step in steps:
        if isinstance(step, Frames):
            parts += step.of(dialect)
        elif isinstance(step, PerDialect):
            parts.append(sent_frames(step.of(dialect), dialect))
    return b"".join(parts)


async def run(scenario: Scenario, split: Split, rig: Rig) -> Exchange:
    """Play a scenario beside a healthy stream, then check what it expects and what always holds."""
    dialect, gateway, upstream = DIALECTS[scenario.dialect], rig.gateway, rig.upstream
    await upstream.reset()
    await invariants.settled(gateway, rig.baseline, slack=0)
    lines, records = len(gateway.output.lines), len(gateway.output.records)
    request = _request(scenario, dialect)
    since = now()
    async with Healthy(gateway, upstream, rig.healthy) as healthy:
        if rig.reachable:
            await rig.good_answer(dialect, keep=scenario.warm)
        known = len(upstream.connections)
        if scenario.upstream:
            upstream.queue.append(compile_script(scenario.upstream, dialect, split))
        if scenario.retried is not None:
            upstream.queue.append(compile_script(scenario.retried, dialect, split))
        got = await exchange(gateway.port, request, scenario.client)
        if got.left_at is not None:
            await invariants.check_upstream_left(upstream.connections[known:], got)
        record = await rig.record(records, since) if scenario.expect.records else None
    received = list(upstream.requests)
    try:
        _check_client(scenario, dialect, got)
        _check_upstream(scenario, dialect, rig, received)
        await _check_sdk(scenario, dialect, rig.oracle, got)
        _check_record(scenario, record)
        await _check_invariants(scenario, rig, got, healthy, lines)
        found = rig.records(records, since)
        if scenario.expect.records is not None:
            assert len(found) == scenario.expect.records, f"{len(found)} interaction records: {found}"
    except Exception as error:
        error.add_note(f"scenario {scenario.name} split {split}; record {record}")
        error.add_note(f"client got ({got.ended}): {got.raw[:600]!r} ... {got.raw[-600:]!r}")
        raise
    return got


def _request(scenario: Scenario, dialect: Dialect) -> bytes:
    if scenario.raw is not None:
        return scenario.raw(dialect)
    return dialect.request(stream=scenario.stream, body=scenario.body, headers=scenario.headers)


def _check_client(scenario: Scenario, dialect: Dialect, got: Exchange) -> None:
    expect = scenario.expect
    if expect.ended is not None:
        allowed = (expect.ended,) if isinstance(expect.ended, str) else expect.ended
        assert got.ended in allowed, f"ended by {got.ended}, not {allowed}"
    if expect.status is None:
        return
    response = got.response
    statuses = (expect.status,) if isinstance(expect.status, int) else expect.status
    assert response.status in statuses, f"status {response.status}: {response.body[:400]!r}"
    for name, value in expect.headers.items():
        assert response.header(name) == value, f"header {name}: {response.header(name)!r}, not {value!r}"
    assert response.header("connection") != "close" or not scenario.stream or response.status != 200, (
        "a stream said close"
    )
    if expect.same:
        body = sent_frames(scenario.retried or scenario.upstream, dialect)
        assert response.body == body, f"{len(response.body)} bytes are not the {len(body)} that were sent"
    if expect.body is not None:
        body = expect.body if isinstance(expect.body, bytes) else expect.body(dialect)
        assert response.body == body, f"body {response.body[:300]!r}, not {body[:300]!r}"
    for part in expect.contains:
        assert part in response.body, f"{part!r} is missing"
    for part in expect.never_saw:
        assert part not in got.raw, f"{part!r} reached the client"


def _check_upstream(scenario: Scenario, dialect: Dialect, rig: Rig, received: Sequence[Any]) -> None:
    expect = scenario.expect
    if expect.requests is not None:
        assert len(received) == expect.requests, (
            f"{len(received)} requests upstream: {[r.line for r in received]}"
        )
    if scenario.raw is None and scenario.body is None and scenario.client.send_only is None:
        sent = dialect.body(stream=scenario.stream)
        assert all(r.body == sent for r in received), "the upstream got another body than the client sent"
    assert not rig.upstream.complaints, rig.upstream.complaints


async def _check_sdk(scenario: Scenario, dialect: Dialect, oracle: Oracle, got: Exchange) -> None:
    expect, stream = scenario.expect, scenario.stream
    if expect.error == "body":
        await invariants.check_our_error(oracle, dialect, got, stream=stream)
    elif expect.error == "in_band":
        await invariants.check_in_band(oracle, dialect, got)
    elif expect.error == "abort":
        await invariants.check_broken(oracle, dialect, got, stream=stream)
    elif expect.error == "passed" and oracle.reads(dialect, stream=stream):
        seen = await oracle.see(dialect, got, stream=stream)
        assert isinstance(seen.error, TYPED), f"the SDK made {seen.error!r} of the vendor's error"
    elif expect.text is not None or expect.calls is not None or expect.refused:
        await _check_seen(scenario, dialect, oracle, got)


async def _check_seen(scenario: Scenario, dialect: Dialect, oracle: Oracle, got: Exchange) -> None:
    if not oracle.reads(dialect, stream=scenario.stream):
        return
    expect = scenario.expect
    seen = await oracle.see(dialect, got, stream=scenario.stream)
    assert seen.error is None, f"the SDK raised {seen.error!r}"
    assert not seen.failed, "the SDK was told that the answer failed"
    if expect.text is not None:
        assert seen.text == expect.text, f"the SDK read {seen.text!r}"
    if expect.calls is not None:
        assert set(seen.calls) == set(expect.calls), f"the SDK saw the calls {seen.calls}"
    if expect.refused:
        assert not seen.calls, f"I3: the SDK saw the calls {seen.calls}"
        for words in ("canary_tool", "denied", "tool invocation policy"):
            assert words in seen.text, f"the refusal lacks {words!r}: {seen.text!r}"


def _check_record(scenario: Scenario, record: dict[str, Any] | None) -> None:
    expect = scenario.expect
    if not expect.records:
        return
    assert record is not None, "no interaction was logged"
    wanted = {"outcome": expect.outcome, "error_kind": expect.error_kind, "attempts": expect.attempts}
    wanted |= {"usage_source": expect.usage, "input_tokens": expect.input_tokens, "status": expect.status}
    for key, value in wanted.items():
        if value is None:
            continue
        allowed = value if isinstance(value, tuple) else (value,)
        assert record.get(key) in allowed, f"record: {key} is {record.get(key)!r}, not {value!r}"
    if expect.error_kind is None and expect.outcome == "ok":
        assert record.get("error_kind") is None, f"record: an ok answer of kind {record['error_kind']}"
    assert record.get("streamed") is scenario.stream or not expect.requests, "record: streamed"


async def _check_invariants(
    scenario: Scenario, rig: Rig, got: Exchange, healthy: Healthy, lines: int
) -> None:
    gateway = rig.gateway
    if scenario.config == "gated":
        invariants.check_nothing_leaked(got, scenario.expect.refused)
    healthy.check()
    await rig.upstream.reset()
    await invariants.check_settled(gateway, rig.baseline)
    await invariants.reconciled(gateway)
    ending.check_output(gateway.output.lines[lines:])
    assert gateway.alive, f"I11: the gateway ended with {gateway.process.returncode}"
    health = await exchange(gateway.port, b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
    assert health.response.status == 200, f"I11: /healthz says {health.response.status}"
