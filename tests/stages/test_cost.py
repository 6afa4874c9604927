"""The stage that settles usage and cost: once each, exactly, and one failure costs nobody else."""

import asyncio
import threading
from types import SimpleNamespace

import msgspec
import pytest

from gateway.core import tokens
from gateway.core.record import NOTHING_SAVED, Saved
from gateway.core.view import Finish, FinishReason, Start, TextDelta, Usage
from gateway.prices import Prices
from gateway.stages import cost as module
from gateway.stages.cost import Cost
from gateway.stages.interaction_log import record
from tests.harness.finished import finished

STOP = Finish(FinishReason.STOP)
ANSWER = (Start("1", "gpt-4o-2024-08-06"), TextDelta("hello world"), STOP)


async def settle(*batch, rows=None, busy=False):
    rows = rows or {}
    await Cost(Prices(lambda: rows), lambda: busy).on_done(batch)
    return batch[0]


async def test_a_reported_usage_at_the_listed_price():
    i = await settle(finished(*ANSWER, Usage(900, 200, 100)))
    # 900 x $2.50 + 200 x $10 + 100 x $1.25, per million.
    assert (i.cost, i.baseline_cost) == (4_375_000, 4_375_000)
    assert i.saved == Saved(cache=125_000)
    assert i.price["source"].startswith("genai-prices ")
    assert {kind: i.price[kind] for kind in ("model", "input", "output", "cache_read")} == {
        "model": "gpt-4o",
        "input": "2.5",
        "output": "10",
        "cache_read": "1.25",
    }
    assert (i.usage_source, i.unknown_price) == ("reported", False)


async def test_an_estimated_usage_has_a_cost_too():
    i = await settle(finished(*ANSWER))
    assert (i.completion.usage, i.usage_source) == (Usage(2, 2), "estimated")
    assert i.cost == 2 * 2_500 + 2 * 10_000


async def test_an_unknown_price_is_an_unknown_cost_and_counted():
    i = await settle(finished(*ANSWER, Usage(900, 200, 100), prices=""))
    assert (i.cost, i.baseline_cost, i.price, i.saved) == (None, None, None, NOTHING_SAVED)
    assert i.unknown_price


async def test_what_used_nothing_costs_nothing_that_is_known():
    i = await settle(finished(outcome="upstream_connect"))
    assert (i.usage_source, i.cost, i.unknown_price) == ("none", None, False)


async def test_a_price_that_lacks_the_rate_for_a_token_is_unknown():
    rows = {("acme", "gpt-4o"): SimpleNamespace(input=1.0, output=None)}
    i = await settle(finished(*ANSWER, Usage(9, 2)), rows=rows)
    assert (i.cost, i.price, i.unknown_price) == (None, None, True)


async def test_an_operators_price():
    rows = {("acme", "gpt-4o"): SimpleNamespace(input=0.5, output=1.0, cache_read=0.0)}
    i = await settle(finished(*ANSWER, Usage(10, 10, 10)), rows=rows)
    assert (i.cost, i.saved.cache, i.price["source"]) == (15_000, 5_000, "operator")


async def test_a_cheaper_model_saves_the_difference():
    i = finished(Start("1", "gpt-4o-mini"), TextDelta("hi"), STOP, Usage(1000, 100))
    i.request.model = "gpt-4o-mini"
    await settle(i)
    # $0.15 and $0.60 in place of $2.50 and $10.
    assert (i.cost, i.baseline_cost) == (210_000, 3_500_000)
    assert i.saved.model_optimization == 3_290_000


async def test_an_unknown_baseline_leaves_the_cost():
    i = finished(*ANSWER, Usage(1000, 100))
    i.requested_model = "in-house"
    await settle(i)
    assert (i.cost, i.baseline_cost, i.saved.model_optimization) == (3_500_000, None, None)


@pytest.mark.parametrize(
    ("model", "beside"),
    [("gpt-4.1", 1000 * 2_000 + 100 * 8_000), ("", 1000 * 2_500 + 100 * 10_000), ("nobody", None)],
)
async def test_other_runs_are_charged_at_their_own_price(model, beside):
    i = await settle(finished(*ANSWER, Usage(10, 1, others=((model, Usage(1000, 100)),))))
    assert i.cost == (None if beside is None else 35_000 + beside)
    assert i.baseline_cost == i.cost
    assert i.unknown_price is (beside is None)


async def test_a_cost_that_can_not_be_is_not_known():
    rows = {("acme", "gpt-4o"): SimpleNamespace(input=1e6, output=1e6)}
    i = await settle(finished(*ANSWER, Usage(10**12, 0)), rows=rows)
    assert (i.usage_source, i.cost, i.baseline_cost, i.unknown_price) == ("reported", None, None, True)
    half = Usage(2**48 // 10**9 - 1, 0)
    i = await settle(finished(*ANSWER, msgspec.structs.replace(half, others=(("", half),))), rows=rows)
    assert (i.cost, i.unknown_price) == (None, True)
    assert (await settle(finished(*ANSWER, half), rows=rows)).cost == (2**48 // 10**9 - 1) * 10**9


async def test_what_a_provider_does_not_say_has_no_known_cost():
    i = await settle(finished(*ANSWER, Usage(None, 3, input_is_null=True)))
    assert (i.usage_source, i.cost, i.unknown_price) == ("reported", None, True)


async def test_a_batch_that_comes_again_changes_nothing():
    i = finished(*ANSWER)
    await settle(i)
    before = record(i)
    await settle(i)
    assert record(i) == before


async def test_one_failure_costs_nobody_else(monkeypatch):
    broken, unreadable, fine = (
        finished(*ANSWER, Usage(9, 2)),
        finished(*ANSWER),
        finished(*ANSWER, Usage(9, 2)),
    )
    broken.started_at = float("nan")
    unreadable.request.body = b"\xff"
    with_log = []
    monkeypatch.setattr(
        module, "_log", SimpleNamespace(exception=lambda _, **fields: with_log.append(fields["id"]))
    )
    await settle(broken, unreadable, fine)
    assert (broken.usage_source, broken.cost, broken.unknown_price) == ("reported", None, True)
    assert (unreadable.usage_source, unreadable.completion.usage, unreadable.cost) == ("none", None, None)
    assert fine.cost == 9 * 2_500 + 2 * 10_000
    assert with_log == [unreadable.id, broken.id]


@pytest.mark.parametrize(
    ("loaded", "busy", "expected"),
    [
        (False, True, Usage(3, 3)),
        (False, False, Usage(2, 2)),
        (True, True, Usage(2, 2)),
        (True, False, Usage(2, 2)),
    ],
)
async def test_the_table_is_never_loaded_while_answers_are_under_way(monkeypatch, loaded, busy, expected):
    monkeypatch.setattr(tokens, "_table", tokens._Table())
    if loaded:
        tokens.count(["x"])
    i = await settle(finished(*ANSWER), busy=busy)
    assert (i.completion.usage, i.usage_source) == (expected, "estimated")
    assert tokens.loaded() is (loaded or not busy)


@pytest.mark.parametrize(("size", "here"), [(100, True), (60_000, False)])
async def test_long_texts_are_counted_off_the_loop(monkeypatch, size, here):
    tokens.count(["x"])
    threads = []
    monkeypatch.setattr(
        module, "estimate", lambda *_: threads.append(threading.current_thread()) or Usage(1, 1)
    )
    i = await settle(finished(*ANSWER, body=b"a " * (size // 2)))
    assert i.usage_source == "estimated"
    assert (threads == [threading.current_thread()]) is here


async def test_interrupted_while_counting_it_settles_the_next_time(monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(module, "estimate", lambda *_: release.wait(5) and Usage(1, 1))
    i = finished(*ANSWER, body=b"a " * 60_000)
    task = asyncio.get_running_loop().create_task(settle(i))
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait([task])
    release.set()
    await asyncio.sleep(0.05)
    assert (i.usage_source, i.completion.usage) == ("", None)
    await settle(i)
    assert (i.usage_source, i.completion.usage) == ("estimated", Usage(1, 1))


async def test_the_record_has_decimals_of_dollars():
    found = record(await settle(finished(*ANSWER, Usage(900, 200, 100))))
    assert (found["cost"], found["baseline_cost"]) == ("0.004375", "0.004375")
    assert found["saved"] == {"toon": None, "model_optimization": None, "cache": "0.000125"}
    assert found["price"]["input"] == "2.5"
