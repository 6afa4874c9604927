"""``GET /metrics`` of a running gateway: it agrees with what clients saw, and with what the log holds."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median

import msgspec
import pytest
import pytest_asyncio
from aioprometheus.collectors import Registry
from aioprometheus.formats.text import TextFormatter

from gateway.console.metrics import exposition
from gateway.series import Counter
from gateway.tasks import spawn
from tests.clients.scripted import Scripted, request, scripted
from tests.harness.client import leave
from tests.harness.dialects import DIALECTS
from tests.harness.invariants import reconciled
from tests.harness.scrape import fetch, scrape, settled
from tests.harness.slow import SECONDS
from tests.harness.upstream import (
    ScriptStep,
    Step,
    Turn,
    answer,
    begin,
    fin,
    finish,
    head,
    last,
    rst,
    say,
    sleep,
    stall,
    terminator,
    whole,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = DIALECTS["chat"]
README = Path(__file__).parents[2] / "README.md"
TIMES = 20
WAIT = 0.1
"""Seconds for which the upstream thinks."""
SLACK = 0.003
"""Seconds of sockets and of the test itself that a client sees and the gateway does not."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gate() -> AsyncIterator[Scripted]:
    async with scripted() as running:
        yield running


async def test_it_is_text_on_the_console_alone(gate):
    got = await fetch(gate.gateway.console_port)
    assert got.status == 200
    assert got.header("content-type") == "text/plain; version=0.0.4; charset=utf-8"
    assert (await fetch(gate.gateway.port)).status == 404
    assert (await fetch(gate.gateway.console_port, "/metric")).status == 404


async def test_every_name_is_in_the_documentation(gate):
    documented = README.read_text()
    shown = await scrape(gate.gateway.console_port)
    names = [name + "_total" * (family.type == "counter") for name, family in shown.families.items()]
    assert len(names) > 15
    assert [name for name in names if f"`{name}`" not in documented] == []


async def test_all_is_of_one_moment_and_written_in_turns():
    registry = Registry()
    first, second = (Counter(registry, f"{name}_total", "Of x.", "a") for name in "xy")
    for n in range(170):
        first.series(str(n)).value = second.series(str(n)).value = n
    expected = sorted(TextFormatter().marshall(registry).splitlines())
    turns = 0

    async def count_on() -> None:
        nonlocal turns
        while True:
            turns += 1
            second.series("0").value += 1
            await asyncio.sleep(0)

    counting = spawn(count_on(), name="counting")
    body = (await exposition(registry)).body
    counting.cancel()
    assert isinstance(body, bytes)
    assert sorted(body.splitlines()) == expected
    assert turns >= 8


async def test_a_family_of_nothing_is_shown_by_its_head():
    registry = Registry()
    Counter(registry, "x_total", "Of x.", "a")
    assert (await exposition(registry)).body == b"# HELP x_total Of x.\n# TYPE x_total counter\n"


WHOLE = [whole(lambda dialect: dialect.whole())]
BROKEN = [head(), begin(), say("He"), rst()]
MIX: list[tuple[str, bool, list[ScriptStep]]] = [
    ("chat", True, answer()),
    ("chat", False, WHOLE),
    ("anthropic", True, answer()),
    ("gemini", True, answer()),
    ("chat", True, [whole(lambda dialect: dialect.upstream_error(429), status=429)]),
    ("anthropic", True, BROKEN),
    ("chat", False, [head(sse=False, length=100), fin()]),
    ("responses", True, answer()),
]


async def test_it_reconciles_with_the_log(gate):
    before, old = await reconciled(gate.gateway)
    for name, stream, steps in MIX * 3:
        await gate.ask(DIALECTS[name].request(stream=stream), steps, dialect=DIALECTS[name])
    await gate.refused(request("/v1/openai/chat/completions", b"{"))
    await gate.refused(request("/v1/openai/nowhere", b"{}"))
    await gate.ask(CHAT.request(stream=True), [head(), begin(), say("Hi"), stall()], client=leave(b"Hi"))
    await gate.ask(request("/v1/openai/models"), [whole(b"{}")])
    after, records = await reconciled(gate.gateway)
    # What was refused or failed used nothing; what used something has no price here, or has one: both count alike.
    sums = msgspec.json.decode((await fetch(gate.gateway.console_port, "/api/statistics?by=provider")).body)
    unpriced = {row["provider"]: row["unpriced"] for row in sums["items"] if row["unpriced"]}
    assert unpriced == {k: n for k, n in after.values("gateway_unknown_price_total", "provider").items() if n}
    assert 0 < sum(unpriced.values()) < after.total("gateway_requests_total")
    new = records[len(old) :]
    assert len(new) == len(MIX) * 3 + 3, "all but the path that leads nowhere"
    assert len({record["outcome"] for record in new}) >= 5

    def grown(name: str, **labels: str) -> float:
        return after.total(name, **labels) - before.total(name, **labels)

    for kind, field in (("input", "input_tokens"), ("output", "output_tokens")):
        assert grown("llm_tokens_total", type=kind) == sum(record[field] or 0 for record in new) > 0
    # Neither what was never sent nor the list of models is a question to a model.
    assert grown("llm_request_duration_seconds_count") == len(MIX) * 3 + 1
    assert grown("gateway_upstream_errors_total", phase="status", kind="rate_limit") == 3
    assert grown("gateway_upstream_errors_total", phase="first_byte", kind="network_error") == 3
    assert grown("gateway_upstream_errors_total", phase="answer", kind="network_error") == 3


async def test_what_is_in_flight_is_seen(gate):
    gateway, seen = gate.gateway, []

    async def look(turn: Turn) -> None:
        """Scrape while the gateway waits for the next event; what came before may still be on its way."""
        await asyncio.sleep(0.05)
        seen.append(await scrape(gateway.console_port))

    await settled(gateway.console_port)
    await gate.ask(CHAT.request(stream=False), [Step(look), *WHOLE])
    await gate.ask(
        CHAT.request(stream=True), [head(), begin(), say("Hi"), Step(look), finish(), terminator(), last()]
    )
    seen.append(await settled(gateway.console_port))
    assert [one.total("gateway_in_flight") for one in seen] == [1, 1, 0]
    assert [one.total("gateway_active_streams") for one in seen] == [0, 1, 0]


async def test_tokens_are_timed_as_they_come(gate):
    console = gate.gateway.console_port
    before = await settled(console)
    pieces = [step for _ in range(7) for step in (say("x"), sleep(0.05))][:-1]
    await gate.ask(
        CHAT.request(stream=True), [head(), begin(), sleep(WAIT), *pieces, finish(), terminator(), last()]
    )
    after = await settled(console)

    def grown(name: str) -> float:
        return after.total(name) - before.total(name)

    assert grown("llm_time_to_first_token_seconds_count") == 1
    assert grown("llm_inter_token_seconds_count") == 1
    assert WAIT <= grown("llm_time_to_first_token_seconds_sum") < WAIT + 0.1
    assert 0.05 <= grown("llm_inter_token_seconds_sum") < 0.07, "seven tokens, six pauses"


@pytest.mark.parametrize("stream", [False, True])
async def test_overhead_is_what_a_client_sees_beyond_its_provider(stream):
    """The upstream thinks, and paces its events; the gateway has a stage that takes 20 ms."""
    answered: list[float] = []

    async def note(_turn: Turn) -> None:
        answered.append(time.monotonic())

    paced = [head(), begin(), *[say("x"), sleep(0.01)] * 3, finish(), terminator(), last()]
    steps = [sleep(WAIT), *(paced if stream else WHOLE), Step(note)]
    said, beyond = [], []
    async with scripted(module="tests.harness.slow") as slow:
        for _ in range(TIMES):
            got, received = await slow.ask(CHAT.request(stream=stream), steps)
            said.append(float(got.response.header("x-gateway-overhead-ms") or 0) / 1000)
            seen = got.arrivals[-1][0] - got.started - (answered[-1] - received.at)
            beyond.append(seen - said[-1])
        shown = await settled(slow.gateway.console_port)
    assert shown.total("gateway_overhead_seconds_count") == TIMES
    assert shown.total("gateway_overhead_seconds_sum") == pytest.approx(sum(said), abs=TIMES * 1e-6)
    assert min(said) > 0.95 * SECONDS
    assert min(beyond) > 0
    assert median(beyond) < SLACK
