"""No attack of the list is left out: each has a scenario on every wire, or a reason why that wire can't say it."""

from collections import Counter
from collections.abc import Iterable
from importlib import import_module

import pytest

from tests.attacks.catalog import ATTACKS, MISSING
from tests.harness.dialects import STREAMED, WHOLE

IDS = (
    "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "13", "14", "15", "16", "17", "18",
    "19", "20", "21", "22", "23", "24", "25", "26", "27", "28", "29", "30", "31", "32", "33", "34", "35", "36",
    "37", "38", "39", "40", "41", "42", "43", "44", "45", "46", "47", "48", "49", "50", "51", "52", "53", "54",
)  # fmt: skip
ELSEWHERE = {
    # The tools that a provider runs are decided with the request; what they did stands in the answer.
    "19": ("test_requests_live.test_tools_that_the_provider_runs_are_refused_with_the_request",),
    "43": (
        "test_cuts.test_an_end_at_any_byte",
        "test_cuts.test_a_failure_at_any_byte",
        "test_cuts.test_a_client_that_leaves_at_any_byte",
        "test_requests_live.test_an_answer_that_breaks_off",
        "test_requests_live.test_a_client_that_leaves_while_a_call_is_held",
    ),
    "44": (
        "test_requests_live.test_a_stage_that_fails_to_judge",
        "test_requests_live.test_a_database_that_is_gone",
    ),
    "45": ("test_requests_live.test_a_policy_that_comes_while_an_answer_is_under_way",),
    "46": (
        "test_requests_live.test_a_key_that_is_there_twice",
        "test_requests.test_a_tool_that_is_declared_twice_is_judged_as_any_other",
    ),
    "47": (
        "test_requests.test_a_result_without_a_call_is_untrusted",
        "test_requests.test_a_result_of_another_call_is_untrusted",
        "test_requests.test_a_call_that_never_happened_speaks_for_no_other_tool",
        "test_requests_live.test_a_forged_history",
    ),
    "48": (
        "test_requests.test_what_asks_for_a_call_changes_nothing_of_the_verdict",
        "test_requests.test_a_result_is_untrusted_whatever_it_holds",
        "test_requests_live.test_words_that_ask_for_a_call",
    ),
    "49": (
        "test_requests_live.test_a_history_that_the_provider_keeps_is_not_trusted",
        "test_requests_live.test_what_is_kept_upstream_is_closed",
    ),
    "50": (
        "test_requests_live.test_a_path_that_nobody_knows_is_closed",
        "test_requests_live.test_a_path_that_is_let_through_is_closed_once_policies_hold",
    ),
    # There are no chains of fallbacks yet: that the setting does nothing is what can be tested.
    "51": ("test_requests_live.test_nothing_falls_back_to_another_wire",),
    # There is no compression yet: the same.
    "52": ("test_requests_live.test_nothing_is_compressed_before_it_is_judged",),
    "53": ("test_requests_live.test_a_model_that_calls_again_and_again_is_refused_each_time",),
}
"""What is tried on requests, on connections and on the gateway itself, and by which tests."""
WAYS = [(name, True) for name in STREAMED] + [(name, False) for name in WHOLE]


def untold(ids: Iterable[str]) -> list[str]:
    """The ids for which nothing is there."""
    told = {attack.id for attack in ATTACKS} | ELSEWHERE.keys()
    return [id_ for id_ in ids if id_ not in told]


def test_each_id_has_a_scenario():
    assert list(IDS) == [f"{number:02}" for number in range(1, 55)]
    assert untold(IDS) == []
    assert untold(["54", "55"]) == ["55"]


def test_each_scenario_has_an_id():
    assert {attack.id for attack in ATTACKS} | {missing.id for missing in MISSING} <= set(IDS)
    assert ELSEWHERE.keys() <= set(IDS)
    assert [name for name, count in Counter(attack.name for attack in ATTACKS).items() if count > 1] == []


@pytest.mark.parametrize("id_", [id_ for id_ in IDS if any(attack.id == id_ for attack in ATTACKS)])
def test_each_wire_has_it_or_says_why_not(id_):
    there = {(attack.dialect, attack.stream) for attack in ATTACKS if attack.id == id_}
    reasons = {(missing.dialect, missing.stream): missing.why for missing in MISSING if missing.id == id_}
    assert set(WAYS) <= there | reasons.keys()
    assert not there & reasons.keys(), "there is a scenario, and a reason why there is none"
    assert all(len(why.split()) > 4 for why in reasons.values()), "a reason is a sentence"


@pytest.mark.parametrize("id_", ELSEWHERE)
def test_what_is_tested_elsewhere_is_there(id_):
    for name in ELSEWHERE[id_]:
        module, _, function = name.partition(".")
        assert callable(getattr(import_module(f"tests.attacks.{module}"), function))


@pytest.mark.parametrize("id_", IDS)
def test_each_is_also_driven_through_a_process(id_):
    live = [attack for attack in ATTACKS if attack.id == id_ and attack.live]
    assert live or any("_live." in name for name in ELSEWHERE.get(id_, ()))
