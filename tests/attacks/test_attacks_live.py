"""Every attack on an answer once through a real gateway, with the vendors' clients as judges."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.attacks import reader
from tests.attacks.catalog import ATTACKS
from tests.attacks.live import keep, kind_for, play, reads
from tests.attacks.model import (
    BROKEN,
    FAILED,
    PASSES,
    REFRAMED,
    REFUSED,
    STOPPED,
    UNJUDGED,
    Attack,
    Ending,
    Kind,
    ending,
)
from tests.attacks.sdk_replay import Clients, wrong
from tests.harness import sinks
from tests.harness.client import Exchange
from tests.harness.dialects import DIALECTS

pytestmark = pytest.mark.asyncio(loop_scope="package")
LIVE = [attack for attack in ATTACKS if attack.live]
OUTCOMES = {
    REFUSED: {"policy_blocked"},
    UNJUDGED: {"not_evaluated"},
    BROKEN: {"upstream_protocol", "upstream_reset"},
    FAILED: {"upstream_status"},
    PASSES: {"ok"},
    REFRAMED: {"ok"},
    STOPPED: {"ok"},
}
Told = dict[str, tuple[Ending, Attack, Kind]]


@pytest.fixture(scope="module")
def clients() -> Iterator[Clients]:
    made = Clients()
    yield made
    made.close()


@pytest.fixture(scope="module")
def told() -> Told:
    """What each interaction was, for the check of the records at the end."""
    return {}


@pytest.mark.parametrize(
    ("attack", "kind"),
    [(attack, kind_for(attack, number)) for number, attack in enumerate(LIVE)],
    ids=lambda value: value.name if isinstance(value, Attack) else value,
)
async def test_no_client_sees_a_denied_call(gateways, clients, told, attack, kind):
    expected = ending(attack.denied, kind)
    got = await play(gateways[kind], attack, kind)
    keep(attack, expected, got)
    if expected is not PASSES:
        check_bytes(attack, got)
    found = re.search(rb"(?i)x-gateway-interaction-id: ([0-9a-f-]+)", got.raw)
    assert found, got.raw[:300]
    told[found[1].decode()] = (expected, attack, kind)
    if expected is REFUSED and not attack.stream:
        # The head of a stream is sent before its calls come.
        assert got.response.header("x-gateway-blocked-tools")
    if attack.dialect != "gemini_array":
        seen = await asyncio.to_thread(clients.see, attack.dialect, got.raw, stream=attack.stream)
        if expected is PASSES and attack.id not in ("38", "54"):
            return  # what the provider has run itself
        assert not (problem := wrong(seen, expected.value, reads=reads(attack))), problem


def check_bytes(attack: Attack, got: Exchange) -> None:
    """Nothing of the call is in any byte that the client got, headers and framing included."""
    response = got.response
    content_type = response.header("content-type") or ""
    sse = content_type.lower().startswith("text/event-stream")
    answer = reader.read(response.body, sse=sse) if response.complete else None
    reader.check_no_canary(response.body, answer)
    head = got.raw[: len(got.raw) - len(response.body)].partition(b"\r\n\r\n")[0]
    names = [line for line in head.lower().split(b"\r\n") if b"canary" in line]
    assert all(line.startswith(b"x-gateway-blocked-tools:") for line in names), names
    assert b"c4n4ry" not in head
    assert answer is None or not answer.calls, answer.calls
    if response.status != 200:
        DIALECTS[attack.dialect].check_error(response.status, response.body)


async def test_the_records_say_what_was_decided(gateways, told):
    """Runs last: of each answer that was refused, the policy and the tool; of none an argument."""
    if not told:
        pytest.skip("no attack was played")
    rows: dict[str, Any] = {}
    for running in gateways.values():
        for _ in range(100):
            rows |= {row.id: row for row in sinks.rows(running.gateway.state.name)}
            mine = {record["id"] for record in running.gateway.interactions()}
            if mine <= rows.keys():
                break
            await asyncio.sleep(0.05)
    for id_, (expected, attack, kind) in told.items():
        row = rows[id_]
        more = row.more
        assert row.outcome in OUTCOMES[expected], (attack.name, kind, row)
        if expected is not REFUSED:
            assert not more.get("blocked_tools"), (attack.name, kind)
            continue
        assert more["blocked_tools"], attack.name
        blocked = [one for one in more["decisions"] if one.get("blocked") and one["kind"] == "call"]
        assert blocked, (attack.name, kind, more["decisions"])
        assert {one["tool"] for one in blocked} == set(more["blocked_tools"]) or len(more["decisions"]) > 1
        assert all(one["policy"] and one["action"] and one["arguments_hash"] for one in blocked)
        assert "c4n4ry" not in row.data
