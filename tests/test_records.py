"""Every way in which an interaction can end leaves exactly one record that says so, on every wire.

The rows are read from the database by another program. What holds for every row (closed sets, times in order, usage
with its source) and between rows, lines and metrics is checked when each gateway of these tests ends.
"""

import asyncio
import contextlib
import re
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from gateway.secrets import Keyring, new_virtual_key
from tests.clients.scripted import GATED, Scripted, request, scripted
from tests.harness import places, sinks
from tests.harness.client import Client, exchange
from tests.harness.dialects import DIALECTS
from tests.harness.endings import (
    AT_THE_END,
    GONE,
    LIMITS,
    OF_A_STAGE,
    OF_THE_CLIENT,
    OF_THE_UPSTREAM,
    SOON,
    Ending,
    Told,
)
from tests.harness.sinks import Row
from tests.harness.stages import PROVOKED
from tests.harness.upstream import (
    begin,
    chunk,
    compile_script,
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

DEADLINE = 5.0
MASTER = "m" * 32
KEY = new_virtual_key()
DECLARED = f"""
auth = "required"
[[agents]]
slug = "support"
team = "care"
[[virtual_keys]]
id = "k-1"
name = "its own"
hash = "{Keyring(MASTER).hash(KEY)}"
agent = "support"
user = "ann"
models = ["other-*"]
"""


async def recorded(gate: Scripted, names: Sequence[str], each: int = 1) -> dict[str, list[Row]]:
    """The rows of these runs, by name, once each has so many; whoever waits in vain gets what there is."""
    end = time.monotonic() + DEADLINE
    while True:
        found: dict[str, list[Row]] = {name: [] for name in names}
        for row in await asyncio.to_thread(sinks.rows, gate.gateway.state.name):
            if (name := row.more.get("run")) in found:
                found[name].append(row)
        if all(len(rows) >= each for rows in found.values()) or time.monotonic() > end:
            return found
        await asyncio.sleep(0.05)


def told(row: Row) -> Told:
    return Told(row.outcome, row.error_kind, row.status, row.more.get("usage_source", "none"))


def check_usage(row: Row) -> None:
    """What the upstream said is kept as it said it; what it did not say is estimated, and is something."""
    used = row.input_tokens, row.output_tokens
    source = row.more.get("usage_source", "none")
    if source == "reported":
        assert used in ((11, 7), (11, 1)), row
    elif source == "estimated":
        # Where nothing came, what was written is not known.
        assert row.input_tokens, row
        assert row.output_tokens != 0, row
        assert row.output_tokens or not row.more.get("first_token_ms"), row
    if source != "none":
        assert row.status is None or row.status == 200 or row.output_tokens is None, row


def behind(port: int) -> dict[str, str]:
    return {
        f"GATEWAY_{name}_BASE_URL": f"http://127.0.0.1:{port}" for name in ("OPENAI", "ANTHROPIC", "GEMINI")
    }


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gates() -> AsyncIterator[Callable[[str], Scripted]]:
    """Running gateways: open, with stages of the tests, and with nobody behind them."""
    async with contextlib.AsyncExitStack() as stack:
        closed = stack.enter_context(places.closed_port())
        full = stack.enter_context(places.black_hole())
        running = {
            "open": await stack.enter_async_context(scripted(LIMITS)),
            "gated": await stack.enter_async_context(scripted(LIMITS, GATED)),
            "unreachable": await stack.enter_async_context(scripted(behind(closed))),
            "unconnected": await stack.enter_async_context(scripted(behind(full))),
        }
        running["gated"].gateway.tolerated.append(PROVOKED)
        yield running.__getitem__


async def check(gate: Scripted, endings: Sequence[Ending]) -> list[Row]:
    """Play them all at the same time; each leaves one row, which says what it should."""
    cases = [case for ending in endings for case in ending.cases()]
    await asyncio.gather(*(case.play(gate) for case in cases))
    rows = await recorded(gate, [case.name for case in cases])
    found = {name: [told(row) for row in own] for name, own in rows.items()}
    assert found == {case.name: [case.told] for case in cases}
    for [row] in rows.values():
        check_usage(row)
        row.check()
    return [row for [row] in rows.values()]


def by_name(endings: Sequence[Ending]) -> Any:
    names = dict.fromkeys(ending.name for ending in endings)
    same = [[ending for ending in endings if ending.name == name] for name in names]
    return pytest.mark.parametrize("endings", same, ids=list(names))


@by_name(OF_THE_UPSTREAM + OF_THE_CLIENT)
async def test_an_ending_leaves_one_record(gates, endings):
    await check(gates(endings[0].gateway), endings)


@by_name(OF_A_STAGE)
async def test_what_a_stage_ends_leaves_one_record(gates, endings):
    await check(gates("gated"), endings)


async def test_every_outcome_is_among_them():
    """But for that of a process which was killed, told of where processes are killed."""
    endings = OF_THE_UPSTREAM + OF_THE_CLIENT + OF_A_STAGE
    assert {case.told.outcome for ending in endings for case in ending.cases()} == sinks.OUTCOMES - {"lost"}


@pytest.mark.parametrize(
    ("patience", "expected"),
    [
        (SOON, GONE),
        # Ten seconds without a byte of the body.
        (Client(deadline=14), Told("client_error", "timeout", 408)),
    ],
    ids=["gone", "slow"],
)
async def test_a_request_that_is_never_whole(gates, patience, expected):
    gate = gates("open")
    endings = [Ending(f"half-a-request-{expected.status}", [], expected, [False])]
    cases = [case for ending in endings for case in ending.cases()]
    await asyncio.gather(*(exchange(gate.gateway.port, case.sent[:-10], patience) for case in cases))
    rows = await recorded(gate, [case.name for case in cases])
    assert {name: [told(row) for row in own] for name, own in rows.items()} == {
        case.name: [expected] for case in cases
    }


SAID = {"chat": "usage", "responses": "usage", "anthropic": "usage", "gemini": "usageMetadata"}
COUNTS = {
    "chat": ("prompt_tokens", "completion_tokens"),
    "responses": ("input_tokens", "output_tokens"),
    "anthropic": ("input_tokens", "output_tokens"),
    "gemini": ("promptTokenCount", "candidatesTokenCount"),
}


@pytest.mark.parametrize("wire", SAID)
async def test_absent_null_and_zero_usage_are_three_things(gates, wire):
    name, (given, got) = SAID[wire], COUNTS[wire]
    answer = msgspec.json.decode(DIALECTS[wire].whole())
    del answer[name]
    usages = {
        "absent": ({}, ("estimated", True, True)),
        "empty": ({name: {}}, ("estimated", True, True)),
        "null": ({name: None}, ("none", None, None)),
        "zero": ({name: {given: 0, got: 0}}, ("reported", 0, 0)),
        "odd": ({name: {given: -5, got: 3}}, ("estimated", True, 3)),
    }
    if wire != "gemini":  # where a member that is null is one that is not there
        usages["null-input"] = ({name: {given: None, got: 3}}, ("reported", None, 3))
        usages["null-counts"] = ({name: {given: None, got: None}}, ("none", None, None))
    cases = {
        case.name: (case, expected)
        for what, (members, expected) in usages.items()
        for ending in [
            Ending(
                f"usage-{what}",
                [whole(msgspec.json.encode(answer | members))],
                Told("ok", None, 200, expected[0]),
                [False],
                wires=[wire],
            )
        ]
        for case in ending.cases()
    }
    gate = gates("open")
    await asyncio.gather(*(case.play(gate) for case, _ in cases.values()))
    rows = await recorded(gate, list(cases))
    for run, (case, (_, *tokens)) in cases.items():
        [row] = rows[run]
        assert told(row) == case.told, run
        used = row.input_tokens, row.output_tokens
        assert used == tuple(u if t is True else t for t, u in zip(tokens, used, strict=True)), run
        assert all(u or t is not True for t, u in zip(tokens, used, strict=True)), run
        assert row.cost is None or None not in tokens, run
        row.check()


async def test_what_arrived_of_a_whole_answer_is_counted(gates):
    """The words before the tear are estimated, however many came; the brackets and names around them are not."""
    words = "several words that were written " * 40
    cases = {}
    for wire in SAID:
        body = DIALECTS[wire].whole(words)
        cut = body.index(b"several") + len(words) // 2
        steps = [head(sse=False, length=len(body)), chunk(body[:cut]), rst()]
        [case] = Ending("a-torn-text", steps, Told("upstream_reset", "", 200), [False], wires=[wire]).cases()
        cases[case.name] = case
    gate = gates("open")
    await asyncio.gather(*(case.play(gate) for case in cases.values()))
    for run, [row] in (await recorded(gate, list(cases))).items():
        assert row.more["usage_source"] == "estimated", run
        assert 80 <= row.output_tokens <= 200, (run, row.output_tokens)  # a hundred, some at a factor
        assert row.input_tokens, run


async def test_a_client_that_does_not_read(gates):
    much = [head(), begin(), *[say("x" * 60_000)] * 300, stall()]
    client = Client(reads=False, deadline=6)
    stalled = Told("client_cancelled", "client_cancelled", 200, "estimated")
    await check(
        gates("open"), [Ending("not-reading", much, stalled, [True], client, wires=["chat", "anthropic"])]
    )


async def test_endpoints_that_nobody_reads(gates):
    gate = gates("open")
    gate.upstream.marked[b"x-case: opaque"] = compile_script([whole(b'{"data":[]}')], DIALECTS["chat"])
    for target, body in (
        ("/v1/openai/models", None),
        ("/v1/openai/files", b"x"),
        ("/v1/openai/batches", b"{}"),
    ):
        sent = request(target, body, ["x-case: opaque", "x-gateway-run-id: opaque"])
        assert (await exchange(gate.gateway.port, sent)).response.status == 200
    rows = (await recorded(gate, ["opaque"], 3))["opaque"]
    assert [told(row) for row in rows] == [Told("ok", None, 200)] * 3


async def test_whoever_is_not_let_in_leaves_a_line_and_no_row(tmp_path):
    (tmp_path / "gateway.toml").write_text(DECLARED)
    env = {
        "GATEWAY_CONFIG": str(tmp_path / "gateway.toml"),
        "GATEWAY_SECRET_KEY": MASTER,
        "OPENAI_API_KEY": "sk-own",
    }
    async with scripted(env) as gate:
        chat = DIALECTS["chat"].body(stream=False)
        for headers, status, line in (
            ([], 401, ("client_error", "authentication", None)),
            (["x-api-key: sk-other"], 401, ("client_error", "authentication", None)),
            (
                [f"x-api-key: {KEY}", "x-gateway-agent: default"],
                400,
                ("client_error", "invalid_request", None),
            ),
            ([f"x-api-key: {KEY}"], 403, ("policy_blocked", "permission_denied", "support")),
        ):
            got = await gate.refused(request("/v1/openai/chat/completions", chat, headers))
            assert got.response.status == status
            record = await gate.record(got)
            assert (record["outcome"], record["error_kind"], record["agent"]) == line
        assert (await gate.refused(request("/v1/openai/nowhere", chat))).response.status == 404
        assert len(gate.gateway.interactions()) == 4
        await asyncio.to_thread(sinks.wait_for, gate.gateway.state.name, {record["id"]})
        [row] = sinks.rows(gate.gateway.state.name)
        assert (row.agent, row.team, row.user, row.more["virtual_key"]) == ("support", "care", "ann", "k-1")
        assert told(row) == Told("policy_blocked", "permission_denied", 403)


async def test_times_are_those_of_the_upstream(gates):
    paced = [
        sleep(0.3),
        head(),
        begin(),
        sleep(0.3),
        say("Hello"),
        sleep(0.3),
        finish(),
        terminator(),
        last(),
    ]
    before = time.time()
    rows = await check(gates("open"), [Ending("a-pace", paced, Told("ok", None, 200, "reported"), [True])])
    for row in rows:
        more, slack = row.more, 250
        assert before <= row.started_at <= time.time()
        first_byte = (
            600 if more["run"].startswith("gemini-") else 300
        )  # whose stream begins with its first words
        assert first_byte <= more["first_byte_ms"] <= first_byte + slack, row
        assert 600 <= more["first_token_ms"] <= 600 + slack, row
        assert 900 <= row.duration_ms <= 900 + slack, row
        assert more["overhead_ms"] < slack, row


async def test_a_stream_of_many_pieces_is_kept_whole(gates):
    pieces = [step for n in range(700) for step in (say(f"piece-{n};"), sleep(0.002))]
    many = [head(), begin(), *pieces, finish(), terminator(), last()]
    gate = gates("open")
    await check(gate, [Ending("many", many, Told("ok", None, 200, "reported"), [True], wires=["chat"])])
    [stored] = [each for each in sinks.decompressed(gate.gateway.state.name) if b"piece-0;" in each]
    assert re.findall(rb"piece-(\d+);", stored) == [b"%d" % n for n in range(700)]


@pytest.mark.parametrize("module", ["gateway", GATED], ids=["open", "gated"])
async def test_what_is_drained_leaves_one_record(module, tmp_path):
    env = LIMITS | {
        "GATEWAY_STATE_DIR": str(tmp_path),
        "GATEWAY_DRAIN_FINISH": "1",
        "GATEWAY_TIMEOUTS_GAP": "9",
    }
    env |= {"GATEWAY_TIMEOUTS_FIRST_BYTE": "9"}
    cases = [case for ending in AT_THE_END for case in ending.cases()]
    async with scripted(env, module) as gate:
        playing = asyncio.gather(*(case.play(gate) for case in cases))
        await asyncio.sleep(0.4)
        gate.gateway.signal(signal.SIGTERM)
        await playing
        assert await asyncio.to_thread(gate.gateway.process.wait, 15) == 0
    rows = {row.more["run"]: row for row in sinks.rows(tmp_path)}
    assert len(rows) == len(sinks.rows(tmp_path)) == len(cases)
    expected = {case.name: case.told for case in cases}
    if module == GATED:  # half of a body is not released, so it can still be answered as an error
        expected |= {
            name: each._replace(status=503) for name, each in expected.items() if "half-said" in name
        }
    assert {name: told(row) for name, row in rows.items()} == expected
    for row in rows.values():
        check_usage(row)
        row.check()
    assert not sinks.in_flight(tmp_path)
