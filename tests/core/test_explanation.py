"""Why policies decide: what is explained is what is decided, whatever the policies and the call."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.dispatch import ToolDispatcher
from gateway.core.evaluation import Context
from gateway.core.explanation import default_of_calls, default_of_results, explain_call, explain_result
from gateway.core.rules import DefaultPolicies
from gateway.core.view import Text, ToolCall, ToolResult
from tests.core.test_policies import (
    A1,
    ALLOW,
    ASK,
    B2,
    BLOCK,
    MISTRUST,
    SANITIZE,
    TRUST,
    WHEN,
    call,
    guard,
    on,
    policy,
    result_policy,
)


def explained(guarded, made=None, *, untrusted=False):
    return explain_call(guarded, made or call(), Context(model="m"), untrusted=untrusted)


def told(found):
    return {each.policy: (each.matched, each.decided, each.why) for each in found.considered}


def test_each_reason_of_a_call():
    found = explained(
        guard(
            policy(BLOCK, conditions=B2, id="b2"),
            policy(ALLOW, conditions=A1, id="a1"),
            policy(WHEN, conditions=A1, id="when"),
            policy(BLOCK, id="default"),
            policy(ASK, conditions=A1, mode="shadow", id="trial"),
            policy(BLOCK, "other", id="other"),
        )
    )
    assert told(found) == {
        "b2": (False, False, "It does not match: what it asks of b does not hold."),
        "a1": (True, True, "Its conditions hold: it allows."),
        "when": (
            True,
            False,
            "Its conditions hold: it refuses only in an untrusted context, but another one decides.",
        ),
        "default": (
            True,
            False,
            "It does not count: a policy with conditions matches, or another default names the tool itself.",
        ),
        "trial": (
            True,
            False,
            "Its conditions hold: it refuses, but only for the record: it is in shadow mode.",
        ),
    }
    [tested] = found.considered[0].conditions
    assert (tested.key, tested.operator, tested.value, tested.held, tested.found) == (
        "b",
        "equal",
        2,
        False,
        [],
    )
    assert found.considered[1].conditions[0].found == [1]
    assert [each.policy for each in found.decisions] == ["a1", "trial"]
    assert (found.default.action, found.default.policy) == (BLOCK, "default")


def test_what_can_not_be_judged():
    found = explained(
        guard(
            policy(ALLOW, conditions=A1, id="reader"), policy(BLOCK, conditions=A1, mode="shadow", id="trial")
        ),
        call("{"),
    )
    assert (found.decision.policy, found.decision.blocked) == ("reader", True)
    assert told(found)["reader"][:2] == (False, True)
    assert "nothing may pass" in told(found)["reader"][2]
    assert told(found)["trial"] == (False, False, "What it reads can't be judged: they are no JSON.")


def test_a_call_that_means_another_one():
    guarded = guard(policy(BLOCK, "rm", id="rm"), dispatchers=[ToolDispatcher(tool="t")])
    found = explained(guarded, call('{"name":"rm","arguments":{"a":1}}'))
    assert (found.decision.policy, found.decision.tool) == ("rm", "rm")
    assert [(each.called, each.policy, each.decided) for each in found.considered] == [("rm", "rm", True)]
    unclear = explained(guarded, call('{"name":5}'))
    assert (unclear.decision.blocked, unclear.considered) == (True, [])


def test_a_name_that_only_a_declaration_makes_readable():
    found = explained(guard(policy(BLOCK, "wetter-ä", id="x")), call(name="wetter-ä"))
    assert found.decision.policy == "x"


def test_many_values_are_not_all_shown():
    [considered] = explained(
        guard(policy(BLOCK, conditions=on("a[*]", 1))), call(msgspec.json.encode({"a": [1] * 50}).decode())
    ).considered
    assert considered.conditions[0].found == [1] * 20


def test_each_reason_of_a_result():
    guarded = guard(
        result_policy(TRUST, conditions=A1, id="a1"),
        result_policy(BLOCK, conditions=A1, id="block"),
        result_policy(SANITIZE, id="default"),
        result_policy(BLOCK, mode="shadow", id="trial"),
    )
    result = ToolResult("", "t", False, (), (Text('{"a":1}', ()),))
    found = explain_result(guarded, result, Context())
    assert told(found) == {
        "a1": (True, False, "Its conditions hold: it says mark_as_trusted, but another one decides."),
        "block": (True, True, "Its conditions hold: it withholds it."),
        "default": (
            True,
            False,
            "It does not count: a policy with conditions matches, or another default names the tool itself.",
        ),
        "trial": (
            True,
            False,
            "It is the tool's default: it withholds it, but only for the record: it is in shadow mode.",
        ),
    }
    assert [each.policy for each in found.decisions] == ["block", "trial"]
    twice = explain_result(guarded, ToolResult("", "t", False, (), (Text('{"a":1,"a":2}', ()),)), Context())
    assert (twice.decision.policy, told(twice)["a1"][:2]) == ("a1", (False, True))


def test_what_holds_where_nothing_with_conditions_matches():
    strict = DefaultPolicies(call=BLOCK, result=TRUST)
    assert default_of_calls(guard(defaults=strict), "t").policy == "default"
    assert default_of_calls(guard(defaults=strict), "t").action == BLOCK
    assert default_of_results(guard(defaults=strict), "t").action == TRUST
    only = guard(
        policy(BLOCK, conditions=A1), policy(BLOCK, mode="shadow"), result_policy(MISTRUST, "*", id="r")
    )
    assert default_of_calls(only, "t").action == ALLOW
    assert default_of_results(only, "t").policy == "r"


CONDITIONS = st.sampled_from([(), A1, B2, on("context.model", "m"), on("context.model", "other")])
TOOLS = st.sampled_from(["t", "*", "mcp__x__t", "u"])
MODES = st.sampled_from(["enforce", "shadow"])
CALLS = st.tuples(st.sampled_from([ALLOW, WHEN, BLOCK, ASK]), TOOLS, CONDITIONS, MODES)
RESULTS = st.tuples(st.sampled_from([TRUST, MISTRUST, BLOCK, SANITIZE]), TOOLS, CONDITIONS, MODES)
TEXTS = st.sampled_from(['{"a":1}', '{"b":2}', '{"a":1,"b":2}', "{", '{"a":1,"a":1}', "words"])
NAMES = st.sampled_from(["t", "T", "mcp__x__t", ""])


@settings(max_examples=300, deadline=None)
@given(st.lists(CALLS, max_size=6), TEXTS, NAMES, st.booleans())
def test_of_a_call_the_one_that_decides_is_told_of(made, arguments, name, untrusted):
    guarded = guard(*(policy(a, t, c, mode=m, id=f"p{n}") for n, (a, t, c, m) in enumerate(made)))
    asked, context = ToolCall("", name, arguments), Context(model="m")
    found = explain_call(guarded, asked, context, untrusted=untrusted)
    verdict = guarded.call(asked, context, untrusted=untrusted, declares=lambda: {name})
    assert found.decision.blocked is (verdict.refused is not None)
    check(found)
    if found.decision.policy == found.default.policy and all(
        each.mode == "enforce" for each in found.considered
    ):
        assert found.default.action == found.decision.action


@settings(max_examples=300, deadline=None)
@given(st.lists(RESULTS, max_size=6), TEXTS, NAMES)
def test_of_a_result_too(made, text, name):
    guarded = guard(*(result_policy(a, t, c, mode=m, id=f"p{n}") for n, (a, t, c, m) in enumerate(made)))
    result = ToolResult("", name, False, (), (Text(text, ()),))
    found = explain_result(guarded, result, Context(model="m"))
    assert found.decision.action == guarded.result(result, Context(model="m")).action
    check(found)


def check(found):
    deciders = [each for each in found.considered if each.decided]
    named = found.decision.policy.startswith("p")
    assert [each.policy for each in deciders] == ([found.decision.policy] if named else [])
    for each in deciders:
        assert each.mode == "enforce"
        assert each.matched or "can't be judged" in each.why
    for each in found.considered:
        assert each.why.endswith(".")
