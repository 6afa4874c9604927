"""What a stage does with calls: when an answer is held, what refuses it, what is told."""

import orjson
import pytest

from gateway.core.conditions import Condition
from gateway.core.entities import ToolInvocationPolicy, TrustedDataPolicy
from gateway.core.errors import Forbidden
from gateway.core.interaction import Interaction, Principal
from gateway.core.policies import NO_POLICIES, Policies
from gateway.core.rules import DefaultPolicies
from gateway.core.view import ToolCallDelta
from gateway.providers import load
from gateway.stages.tool_calls import ToolCalls

PROVIDER = load()["openai"]
BLOCK, WHEN, ALLOW = "block_always", "block_when_context_is_untrusted", "allow_when_context_is_untrusted"


def policy(tool, action=BLOCK, *conditions, mode="enforce"):
    return ToolInvocationPolicy(
        id=f"{tool}-{action}",
        tool=tool,
        action=action,
        conditions=conditions,
        mode=mode,
        reason=f"Not {tool}.",
    )


def guarded(*policies, results=(), call=ALLOW):
    made = Policies(policies, results, DefaultPolicies(call=call))
    return made.guard(frozenset({"a"}), frozenset())


def interaction(guard, *calls, path="/chat/completions", tools=(), **more):
    endpoint = PROVIDER.match("POST", path).endpoint
    body = orjson.dumps({"model": "m", "messages": [], "input": [], "tools": list(tools)})
    request = endpoint.request(body, {})
    i = Interaction(
        "id-1", PROVIDER, endpoint, {}, principal=Principal("a"), guard=guard, request=request, **more
    )
    for index, call in enumerate(calls):
        name, arguments, *hosted = call
        i.completion.apply(ToolCallDelta(index, f"c{index}", name, arguments, server_executed=bool(hosted)))
    return i


async def verdict(i):
    await ToolCalls().on_tool_calls(i)
    return i


def test_the_stage_says_itself_what_is_held():
    assert ToolCalls.gates is False


@pytest.mark.parametrize(
    ("guard", "held"),
    [
        (NO_POLICIES, False),
        (guarded(policy("x", mode="shadow")), False),
        (guarded(results=[TrustedDataPolicy(tool="x", action="mark_as_trusted")]), False),
        (guarded(policy("x")), True),
        (guarded(policy("x", ALLOW)), True),
        (guarded(call=WHEN), True),
    ],
)
async def test_an_answer_is_held_where_a_policy_is_enforced(guard, held):
    i = interaction(guard)
    await ToolCalls().on_request(i)
    assert i.hold is held


async def test_the_gateways_own_questions_are_not_held():
    i = interaction(guarded(policy("x")), source="dual_llm")
    await ToolCalls().on_request(i)
    assert not i.hold


async def test_one_refused_call_refuses_all_and_every_decision_is_told():
    i = await verdict(
        interaction(guarded(policy("b"), policy("c")), ("a", "{}"), ("b", "{}"), ("c", "{}"), ("b", "{}"))
    )
    assert i.refusal == "The call of b, c was denied by a tool invocation policy. Not b. (interaction id-1)"
    assert i.blocked_tools == ("b", "c")
    assert [(each.tool, each.blocked, each.call_id) for each in i.decisions] == [
        ("a", False, "c0"),
        ("b", True, "c1"),
        ("c", True, "c2"),
        ("b", True, "c3"),
    ]
    assert i.response_headers == {"x-gateway-blocked-tools": "b, c"}


@pytest.mark.parametrize(("said", "apart"), [("", ""), ("Well.", "\n\n"), ("Well.\n", ""), ("Well. ", "")])
async def test_a_refusal_stands_apart_from_what_was_said_before(said, apart):
    i = interaction(guarded(policy("b")), ("b", "{}"))
    i.completion.add_text(said)
    await verdict(i)
    assert i.refusal.startswith(apart + "The call of b")


async def test_allowed_calls_are_told_of_and_pass():
    i = await verdict(interaction(guarded(policy("b")), ("a", '{"x":1}')))
    assert (i.refusal, i.blocked_tools, i.response_headers) == (None, (), {})
    assert [each.policy for each in i.decisions] == ["default"]


async def test_the_arguments_are_what_conditions_ask():
    etc = policy("read", BLOCK, Condition(key="path", operator="startsWith", value="/etc/"))
    assert (await verdict(interaction(guarded(etc), ("read", '{"path":"/etc/x"}')))).refusal
    assert not (await verdict(interaction(guarded(etc), ("read", '{"path":"/tmp/x"}')))).refusal


async def test_trust_is_that_of_the_conversation_and_of_what_the_provider_ran_in_this_answer():
    guard = guarded(policy("send", WHEN))
    assert not (await verdict(interaction(guard, ("send", "{}")))).refusal
    assert (await verdict(interaction(guard, ("send", "{}"), context_untrusted=True))).refusal
    assert (await verdict(interaction(guard, ("web_search", "{}", "hosted"), ("send", "{}")))).refusal
    trusting = guarded(
        policy("send", WHEN), results=[TrustedDataPolicy(tool="web_search", action="mark_as_trusted")]
    )
    assert not (await verdict(interaction(trusting, ("web_search", "{}", "hosted"), ("send", "{}")))).refusal


async def test_what_the_provider_ran_can_not_be_refused_any_more():
    i = await verdict(interaction(guarded(policy("web_search")), ("web_search", "{}", "hosted")))
    assert (i.refusal, i.decisions) == (None, [])


async def test_ten_thousand_calls_are_all_judged_and_so_many_are_told():
    calls = [("a", "{}")] * 9_999 + [("b", "{}")]
    i = await verdict(interaction(guarded(policy("b")), *calls))
    assert i.refusal
    assert len(i.decisions) == 1000
    assert any(each.blocked for each in i.decisions)


async def test_a_header_holds_names_that_a_header_can_hold():
    i = await verdict(interaction(guarded(call=BLOCK), ("b\r\nx: y", "{}"), ("größe, a", "{}")))
    assert "\r" not in i.response_headers["x-gateway-blocked-tools"]
    assert i.response_headers["x-gateway-blocked-tools"].isascii()
    assert i.response_headers["x-gateway-blocked-tools"].count(",") == 1


async def test_policies_that_are_tried_out_are_judged_when_the_answer_has_ended():
    i = interaction(guarded(policy("b", mode="shadow")), ("b", "{}"), ("a", "{}"))
    await ToolCalls().on_done([i])
    assert [(each.tool, each.mode, each.blocked) for each in i.decisions] == [("b", "shadow", True)]
    assert i.refusal is None
    held = interaction(guarded(policy("b", mode="shadow"), policy("c")), ("b", "{}"))
    await ToolCalls().on_done([held])
    assert held.decisions == []


SEARCH = {"type": "web_search"}


async def test_a_hosted_tool_is_refused_on_the_request():
    i = interaction(guarded(policy("web_search"), policy("x", WHEN)), path="/responses", tools=[SEARCH])
    with pytest.raises(
        Forbidden, match=r"web_search.* was denied by a tool invocation policy. Not web_search"
    ):
        await ToolCalls().on_request(i)
    assert i.blocked_tools == ("web_search",)
    assert i.response_headers == {"x-gateway-blocked-tools": "web_search"}
    assert [(each.kind, each.blocked) for each in i.decisions] == [("tool", True)]


async def test_a_hosted_tool_depends_on_trust_like_any_other():
    guard = guarded(policy("web_search", WHEN))
    trusted = interaction(guard, path="/responses", tools=[SEARCH])
    await ToolCalls().on_request(trusted)
    assert [(each.kind, each.blocked) for each in trusted.decisions] == [("tool", False)]
    with pytest.raises(Forbidden):
        await ToolCalls().on_request(
            interaction(guard, path="/responses", tools=[SEARCH], context_untrusted=True)
        )


MAIL = ("send_mail", "{}")
SEARCH = {"type": "web_search"}


def trusting(*tools):
    return [TrustedDataPolicy(id=tool, tool=tool, action="mark_as_trusted") for tool in tools]


@pytest.mark.parametrize(
    ("trusted", "tools", "refused"),
    [
        ((), (), False),
        ((), (SEARCH,), True),
        (("web_search",), (SEARCH,), False),
        (("web_search",), (SEARCH, {"type": "code_interpreter"}), True),
        ((), ({"type": "function", "function": {"name": "send_mail"}},), False),
    ],
)
async def test_a_search_that_leaves_no_call_counts_where_it_is_declared(trusted, tools, refused):
    i = await verdict(
        interaction(guarded(policy("send_mail", WHEN), results=trusting(*trusted)), MAIL, tools=tools)
    )
    assert bool(i.refusal) is refused
    assert i.context_untrusted is refused  # and so the record says it


async def test_a_declared_search_alone_makes_no_answer_untrusted():
    i = await verdict(
        interaction(
            guarded(policy("send_mail", WHEN), results=trusting("web_search")),
            ("web_search", "{}", True),
            tools=(SEARCH, {"type": "code_interpreter"}),
        )
    )
    assert not i.context_untrusted


async def test_the_record_says_that_an_answer_has_read_something_untrusted():
    i = await verdict(interaction(guarded(policy("send_mail", WHEN)), ("web_search", "{}", True)))
    assert (i.context_untrusted, i.refusal) == (True, None)
