"""What a stage does with results: each wire's real requests, and what is told of them."""

import orjson
import pytest

from gateway.core.conditions import Condition
from gateway.core.entities import TrustedDataPolicy
from gateway.core.errors import Forbidden
from gateway.core.interaction import Interaction, Principal
from gateway.core.policies import NO_POLICIES, Policies
from gateway.core.rules import DefaultPolicies
from gateway.providers import load
from gateway.stages.tool_results import ToolResults

PROVIDER = load()["openai"]
ENDPOINT = PROVIDER.match("POST", "/chat/completions").endpoint


def interaction(*results, guard=NO_POLICIES, source="api"):
    messages = [{"role": "user", "content": "Hi"}]
    for number, (tool, text) in enumerate(results):
        function = {"name": tool, "arguments": "{}"}
        call = {"id": f"c{number}", "type": "function", "function": function}
        messages.append({"role": "assistant", "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": f"c{number}", "content": text})
    request = ENDPOINT.request(orjson.dumps({"model": "m", "messages": messages}), {})
    return Interaction(
        "1", PROVIDER, ENDPOINT, {}, principal=Principal("a"), guard=guard, request=request, source=source
    )


def guarded(*policies, result="mark_as_untrusted"):
    made = Policies((), policies, DefaultPolicies(result=result))
    return made.guard(frozenset({"a"}), frozenset())


def policy(tool, action, *conditions, mode="enforce", reason=""):
    return TrustedDataPolicy(
        id=f"{tool}-{action}", tool=tool, action=action, conditions=conditions, mode=mode, reason=reason
    )


EVIL = Condition(key="text", operator="contains", value="evil")
TRUSTED = policy("days", "mark_as_trusted")


async def judged(*results, guard, **more):
    i = interaction(*results, guard=guard, **more)
    await ToolResults().on_request(i)
    return i


async def test_without_results_there_is_nothing_to_tell():
    i = await judged(guard=guarded(TRUSTED))
    assert (i.context_untrusted, i.decisions, i.notes) == (False, [], {})


async def test_trusted_results_leave_it_trusted_and_the_bytes_alone():
    i = await judged(("days", "x"), ("days", "y"), guard=guarded(TRUSTED))
    assert not i.context_untrusted
    assert i.request.encode() is i.request.body
    assert (i.notes["tool_results"].results, i.notes["tool_results"].untrusted) == (2, 0)
    assert i.decisions == []


async def test_the_first_untrusted_one_is_told_of_by_its_call():
    i = await judged(("days", "x"), ("web", "y"), ("web", "z"), ("mail", "z"), guard=guarded(TRUSTED))
    assert i.context_untrusted
    assert [(each.tool, each.policy, each.call_id) for each in i.decisions] == [
        ("web", "default", "c1"),
        ("mail", "default", "c3"),
    ]
    assert i.notes["tool_results"].untrusted == 3
    assert i.request.encode() is i.request.body


async def test_a_blocked_one_is_replaced_and_the_call_stays():
    i = await judged(
        ("web", "evil"), ("web", "fine"), guard=guarded(policy("web", "block_always", EVIL, reason="No."))
    )
    sent = orjson.loads(i.request.encode())["messages"]
    assert sent[2]["content"] == "[The result of web was withheld by a trusted data policy. No.]"
    assert sent[1]["tool_calls"][0]["id"] == "c0"
    assert sent[4]["content"] == "fine"
    assert (i.notes["tool_results"].blocked, i.decisions[0].blocked) == (1, True)
    assert i.context_untrusted


async def test_one_to_be_sanitised_is_left_to_others_and_does_not_count_as_untrusted():
    i = await judged(("web", "x"), guard=guarded(policy("web", "sanitize_with_dual_llm")))
    assert [result.texts[0].text for result in i.quarantined] == ["x"]
    assert not i.context_untrusted
    assert i.notes["tool_results"].sanitized == 1


async def test_what_is_only_tried_out_changes_nothing():
    tried = policy("days", "block_always", mode="shadow")
    i = await judged(("days", "x"), guard=guarded(TRUSTED, tried))
    assert not i.context_untrusted
    assert i.request.encode() is i.request.body
    assert [(each.policy, each.mode, each.blocked) for each in i.decisions] == [
        ("days-block_always", "shadow", True)
    ]


async def test_any_number_of_results_is_judged_and_so_many_decisions_are_told():
    i = await judged(*((f"tool{number}", "x") for number in range(300)), guard=guarded(TRUSTED))
    assert i.notes["tool_results"].untrusted == 300
    assert len(i.decisions) == 100


async def test_the_gateways_own_questions_are_not_judged():
    i = await judged(("web", "evil"), guard=guarded(policy("web", "block_always")), source="dual_llm")
    assert (i.decisions, i.context_untrusted) == ([], False)


@pytest.mark.parametrize(("results", "untrusted"), [((), False), ((("web", "x"),), True)])
async def test_without_policies_the_record_says_whether_there_are_results(results, untrusted):
    stage = ToolResults()
    i = interaction(*results)
    await stage.on_request(i)
    assert (i.context_untrusted, i.notes) == (False, {})
    await stage.on_done([i])
    assert i.context_untrusted is untrusted


async def test_the_history_that_was_dropped_and_the_unknown_caller_say_nothing():
    stage = ToolResults()
    dropped, unknown = interaction(("web", "x")), interaction(("web", "x"))
    dropped.drop_bodies()
    unknown.principal = None
    await stage.on_done([dropped, unknown])
    assert not (dropped.context_untrusted or unknown.context_untrusted)


def searching(guard):
    """Return a conversation in which the provider has searched the web."""
    endpoint = PROVIDER.match("POST", "/responses").endpoint
    search = {"type": "web_search_call", "id": "w", "action": {"type": "search", "query": "x"}}
    request = endpoint.request(orjson.dumps({"model": "m", "input": [search]}), {})
    return Interaction("1", PROVIDER, endpoint, {}, principal=Principal("a"), guard=guard, request=request)


async def test_what_a_tool_of_the_providers_brought_is_untrusted_on_every_later_turn():
    i = searching(guarded(policy("days", "mark_as_trusted")))
    await ToolResults().on_request(i)
    assert i.context_untrusted
    assert [(each.tool, each.call_id) for each in i.decisions] == [("web_search", "w")]
    assert i.request.encode() is i.request.body


async def test_it_is_trusted_where_a_policy_says_so():
    i = searching(guarded(policy("web_search", "mark_as_trusted")))
    await ToolResults().on_request(i)
    assert not i.context_untrusted


@pytest.mark.parametrize("action", ["block_always", "sanitize_with_dual_llm"])
@pytest.mark.parametrize("by_default", [True, False])
async def test_a_request_is_refused_where_nothing_can_take_the_place_of_a_result(action, by_default):
    i = searching(
        guarded(result=action) if by_default else guarded(policy("web_search", action, reason="Not here."))
    )
    with pytest.raises(Forbidden) as refused:
        await ToolResults().on_request(i)
    said = str(refused.value)
    assert "The result of web_search" in said
    assert "denied by a trusted data policy" in said
    assert "leave that item out of the conversation" in said
    assert ("Not here." in said) is not by_default
    assert (i.quarantined, i.context_untrusted) == ([], True)
    assert [(each.tool, each.action, each.blocked) for each in i.decisions] == [("web_search", action, True)]
    assert i.notes["tool_results"].blocked == 1
