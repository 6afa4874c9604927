"""What is counted of finished interactions."""

import random
from collections import Counter
from types import SimpleNamespace

import pytest
from aioprometheus.collectors import Registry
from aioprometheus.formats.text import TextFormatter
from multidict import CIMultiDict

from gateway.core.adapter import RequestAdapter
from gateway.core.decision import Decision
from gateway.core.errors import (
    BadRequest,
    ErrorKind,
    NotEvaluated,
    UpstreamReset,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.core.interaction import Interaction, Principal, new_id
from gateway.core.provider import Endpoint, Provider, Row
from gateway.core.view import ReasoningDelta, TextDelta, Usage
from gateway.stages import metrics as module
from gateway.stages.metrics import Metrics
from tests.harness.scrape import Scrape


class Talk(RequestAdapter):
    def __init__(self, model: str) -> None:
        super().__init__(b"")
        self.model = model


ACME = Provider(Row(name="acme", base_url="http://acme.example"))
TALK = Endpoint("POST", "/talk", Talk)
FILES = Endpoint("GET", "/files")
WHOSE = {"provider": "acme", "model": "m-1", "agent_id": "a-1", "agent_name": 'The "support" agent'}


def interaction(model: str = "m-1", endpoint: Endpoint = TALK, *events) -> Interaction:
    """One that went well: the first token after a second, the last after three, all over after four."""
    i = Interaction(new_id(1.0), ACME, endpoint, CIMultiDict(), started=10.0)
    i.principal = Principal("support", agent_id="a-1", agent_name='The "support" agent')
    i.request = Talk(model)
    i.attempts, i.status, i.outcome = 1, 200, "ok"
    i.finished, i.overhead = 14.0, 0.0004
    for event in events:
        i.completion.apply(event)
    return i


def streamed(*events) -> Interaction:
    i = interaction("m-1", TALK, *events)
    i.first_token, i.last_token = 11.0, 13.0
    return i


async def counted(*batch: Interaction) -> Scrape:
    registry = Registry()
    await Metrics(registry).on_done(batch)
    return Scrape(TextFormatter().marshall(registry).decode())


async def test_a_stream():
    usage = Usage(100, 21, cache_read_tokens=7, cache_write_tokens=3)
    i = streamed(TextDelta("Hi"), usage)
    i.cost = 1_234_500
    shown = await counted(i)
    for name, value in {
        "gateway_overhead_seconds_sum": 0.0004,
        "llm_request_duration_seconds_sum": 4.0,
        "llm_time_to_first_token_seconds_sum": 1.0,
        "llm_inter_token_seconds_sum": 2.0 / 20,
        "llm_tokens_per_second_sum": 21 / 4.0,
        "llm_cost_total": 0.0012345,
    }.items():
        assert shown.total(name) == pytest.approx(value), name
    assert shown.values("llm_tokens_total", "type") == {"input": 100, "output": 21}
    assert shown.values("llm_cache_tokens_total", "type") == {"read": 7, "write": 3}
    assert shown.total("gateway_requests_total", provider="acme", outcome="ok") == 1
    assert shown.total("gateway_unknown_price_total") == 0
    assert shown.total("llm_request_duration_seconds_count", **WHOSE, status_code="200") == 1
    assert {tuple(s.labels) for s in shown.samples if s.name == "llm_cost_total"} == {tuple(sorted(WHOSE))}


async def test_one_that_can_not_be_counted_costs_no_other_its_counts(monkeypatch):
    logged = []
    monkeypatch.setattr(
        module, "_log", SimpleNamespace(exception=lambda _, **said: logged.append(said["id"]))
    )
    fine, broken, last = interaction(), interaction(), interaction()
    broken.cost = 10**400
    shown = await counted(fine, broken, last)
    assert shown.total("llm_request_duration_seconds_count", model="m-1") == 3
    assert shown.total("gateway_requests_total") == 3
    assert logged == [broken.id]


async def test_a_whole_answer_has_no_tokens_in_time():
    shown = await counted(interaction("m-1", TALK, TextDelta("Hi"), Usage(1, 50)))
    assert shown.total("llm_tokens_per_second_count") == 1
    assert shown.total("llm_time_to_first_token_seconds_count") == 0
    assert shown.total("llm_inter_token_seconds_count") == 0


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((TextDelta("x"), Usage(1, 11, reasoning_tokens=6)), 2.0 / 4),
        ((ReasoningDelta("hm"), TextDelta("x"), Usage(1, 11, reasoning_tokens=6)), 2.0 / 10),
        ((TextDelta("x"), Usage(1, 7, reasoning_tokens=6)), None),
        ((TextDelta("x"), Usage(1, None)), None),
        ((TextDelta("x"),), None),
    ],
    ids=["thought in silence", "thought aloud", "one token", "not said", "no usage"],
)
async def test_time_between_tokens_is_of_those_that_came(events, expected):
    shown = await counted(streamed(*events))
    assert shown.total("llm_inter_token_seconds_count") == (expected is not None)
    assert shown.total("llm_inter_token_seconds_sum") == pytest.approx(expected or 0)


async def test_usage_without_a_price_is_counted_and_costs_nothing():
    i = interaction("m-1", TALK, Usage(1, 1))
    i.unknown_price = True
    shown = await counted(i, interaction())
    assert shown.total("gateway_unknown_price_total", provider="acme", model="m-1") == 1
    assert shown.total("llm_cost_total") == 0


async def test_what_no_model_answered_is_no_measure_of_one():
    refused = interaction()
    refused.attempts = 0
    refused.fail(BadRequest("no"))
    shown = await counted(refused, interaction(endpoint=FILES))
    assert shown.values("gateway_requests_total", "outcome") == {"client_error": 1, "ok": 1}
    assert not [s for s in shown.samples if s.name.startswith("llm_")]


async def test_a_client_that_got_nothing_has_no_status():
    i = interaction()
    i.status, i.outcome = 0, "client_cancelled"
    assert (await counted(i)).values("llm_request_duration_seconds_count", "status_code") == {"": 1}


def failed(error, status):
    i = interaction()
    i.fail(error)
    i.status = status
    return i


def answered(status, kind):
    i = interaction()
    i.outcome, i.status, i.error_kind = "upstream_status", status, kind
    return i


@pytest.mark.parametrize(
    ("i", "kind", "phase"),
    [
        (failed(UpstreamUnreachable("x"), 502), "network_error", "connect"),
        (failed(UpstreamTimeout("x"), 504), "timeout", "first_byte"),
        (failed(UpstreamReset("x"), 502), "network_error", "first_byte"),
        (failed(UpstreamReset("x"), 200), "network_error", "answer"),
        (failed(NotEvaluated("x"), 200), "server_error", "answer"),
        (answered(429, ErrorKind.RATE_LIMIT), "rate_limit", "status"),
        (answered(200, ErrorKind.OVERLOADED), "overloaded", "answer"),
    ],
)
async def test_how_far_a_provider_came_before_it_failed(i, kind, phase):
    shown = await counted(i)
    assert shown.total("gateway_upstream_errors_total", provider="acme", kind=kind, phase=phase) == 1
    assert shown.total("gateway_upstream_errors_total") == 1


async def test_our_own_and_the_client_s_failures_are_not_the_provider_s():
    assert (await counted(interaction(), failed(BadRequest("x"), 400))).total(
        "gateway_upstream_errors_total"
    ) == 0


async def test_retries_unknown_parts_and_blocked_tools():
    i = interaction()
    i.attempts, i.unknown, i.blocked_tools = 3, {"novel": 2, "odd": 1}, ("shell", "shell", "mail")
    shown = await counted(i, i)
    assert shown.total("gateway_retries_total", provider="acme") == 4
    assert shown.values("gateway_unknown_events_total", "event") == {"novel": 4, "odd": 2}
    assert shown.values("llm_blocked_tools_total", "tool") == {"shell": 4, "mail": 2}


async def test_what_policies_decided():
    i, other = interaction(), failed(BadRequest("x"), 400)
    i.decisions = [
        decided("block_always"),
        decided("block_always", mode="shadow"),
        decided("mark_as_untrusted", kind="result"),
    ]
    other.decisions = [decided("block_always", kind="tool")]
    shown = await counted(i, other)
    name = "gateway_policy_decisions_total"
    assert shown.total(name, action="block_always", mode="enforce") == 2
    assert shown.total(name, action="block_always", mode="shadow") == 1
    assert shown.values(name, "action") == {"block_always": 3, "mark_as_untrusted": 1}
    assert (await counted(interaction())).total(name) == 0


def decided(action, mode="enforce", kind="call"):
    return Decision(kind=kind, policy="p", tool="t", action=action, mode=mode)


async def test_the_model_is_the_one_that_was_asked_in_the_end():
    i = interaction("cheap")
    i.requested_model = "dear"
    dropped = interaction("")
    dropped.requested_model = "dear"
    shown = await counted(i, dropped)
    assert shown.values("llm_request_duration_seconds_count", "model") == {"cheap": 1, "dear": 1}


async def test_names_that_outsiders_choose_are_bounded():
    generator = random.Random(1)
    batch = []
    for n in range(10_000):
        i = interaction(f'model-{generator.random()}"\n', TALK, TextDelta("x"), Usage(1, 1))
        i.unknown = {f"event-{n}": 1}
        i.blocked_tools = (f"tool-{n}",)
        batch.append(i)
    shown = await counted(*batch)
    for name, label in (
        ("llm_request_duration_seconds_count", "model"),
        ("llm_tokens_total", "model"),
        ("gateway_unknown_events_total", "event"),
        ("llm_blocked_tools_total", "tool"),
    ):
        values = shown.values(name, label)
        assert len(values) == 201, name
        assert values["other"] == (2 if "tokens" in name else 1) * 9800
    assert shown.total("llm_request_duration_seconds_count") == 10_000


async def test_the_sum_over_outcomes_is_the_number_of_interactions():
    registry = Registry()
    stage = Metrics(registry)
    generator = random.Random(2)
    outcomes: Counter[str] = Counter()
    for size in (1, 32, 500, 0, 7):
        batch = [interaction() for _ in range(size)]
        for i in batch:
            i.outcome = generator.choice(("ok", "client_error", "upstream_reset", "draining", "internal"))
            outcomes[i.outcome] += 1
        await stage.on_done(batch)
    shown = Scrape(TextFormatter().marshall(registry).decode())
    assert shown.values("gateway_requests_total", "outcome") == outcomes
