"""What policies say of calls and results: the order in which they count, and what can't be judged."""

import msgspec
import pytest

from gateway.core.conditions import Condition
from gateway.core.dispatch import ToolDispatcher
from gateway.core.entities import ToolInvocationPolicy, TrustedDataPolicy
from gateway.core.evaluation import Context
from gateway.core.policies import NO_POLICIES, Policies
from gateway.core.rules import DefaultPolicies
from gateway.core.view import Text, Tool, ToolCall, ToolResult

ALLOW = "allow_when_context_is_untrusted"
WHEN = "block_when_context_is_untrusted"
BLOCK = "block_always"
ASK = "require_approval"
TRUST, MISTRUST, SANITIZE = "mark_as_trusted", "mark_as_untrusted", "sanitize_with_dual_llm"


def on(key, value, operator="equal"):
    return (Condition(key=key, operator=operator, value=value),)


A1 = on("a", 1)
B2 = on("b", 2)


def policy(action, tool="t", conditions=(), kind=ToolInvocationPolicy, **more):
    more.setdefault("id", f"{action}-{len(conditions)}-{tool}")
    return kind(tool=tool, action=action, conditions=conditions, **more)


def result_policy(action, tool="t", conditions=(), **more):
    return policy(action, tool, conditions, TrustedDataPolicy, **more)


def guard(*policies, agents=("a",), teams=(), defaults=None, dispatchers=()):
    calls = [each for each in policies if isinstance(each, ToolInvocationPolicy)]
    results = [each for each in policies if isinstance(each, TrustedDataPolicy)]
    made = Policies(calls, results, defaults or DefaultPolicies(), dispatchers)
    return made.guard(frozenset(agents), frozenset(teams))


def call(arguments='{"a":1}', name="t", names=()):
    return ToolCall("c1", name, arguments, names)


def judge(guarded, made=None, *, untrusted=False, context=None, declares=()):
    return guarded.call(made or call(), context or Context(), untrusted=untrusted, declares=lambda: declares)


# What is refused, with arguments {"a": 1}: trusted, untrusted.
@pytest.mark.parametrize(
    ("policies", "default", "trusted", "untrusted"),
    [
        ((), ALLOW, False, False),
        ((), WHEN, False, True),
        ((), BLOCK, True, True),
        ((policy(ALLOW),), BLOCK, False, False),
        ((policy(WHEN),), ALLOW, False, True),
        ((policy(BLOCK),), ALLOW, True, True),
        ((policy(ASK),), ALLOW, True, True),
        # Specific ones that match go before defaults, whatever those say.
        ((policy(BLOCK), policy(ALLOW, conditions=A1)), BLOCK, False, False),
        ((policy(ALLOW), policy(BLOCK, conditions=A1)), ALLOW, True, True),
        ((policy(ALLOW), policy(WHEN, conditions=A1)), ALLOW, False, True),
        ((policy(BLOCK), policy(WHEN, conditions=A1)), ALLOW, False, True),
        ((policy(ALLOW), policy(ASK, conditions=A1)), ALLOW, True, True),
        # One that does not match counts for nothing.
        ((policy(BLOCK, conditions=B2),), ALLOW, False, False),
        ((policy(ALLOW, conditions=B2),), BLOCK, True, True),
        ((policy(BLOCK, conditions=B2), policy(WHEN)), ALLOW, False, True),
        ((policy(BLOCK, conditions=(*A1, *B2)),), ALLOW, False, False),
        # Several that match: any refusal refuses, wherever it stands.
        ((policy(ALLOW, conditions=A1), policy(BLOCK, conditions=A1)), ALLOW, True, True),
        ((policy(BLOCK, conditions=A1), policy(ALLOW, conditions=A1)), ALLOW, True, True),
        ((policy(ALLOW, conditions=A1), policy(WHEN, conditions=A1)), ALLOW, False, True),
        ((policy(BLOCK, conditions=B2), policy(ALLOW, conditions=A1)), BLOCK, False, False),
        # Of defaults, one that names the tool goes before a glob.
        ((policy(BLOCK, "*"), policy(ALLOW)), BLOCK, False, False),
        ((policy(ALLOW, "*"), policy(BLOCK)), ALLOW, True, True),
        ((policy(ALLOW, "*"), policy(BLOCK, "t*")), ALLOW, True, True),
        ((policy(WHEN, "*"),), ALLOW, False, True),
        ((policy(BLOCK, "*", A1), policy(ALLOW)), ALLOW, True, True),
        # Others' policies.
        ((policy(BLOCK, "other"),), ALLOW, False, False),
        ((policy(BLOCK, agents=("b",)),), ALLOW, False, False),
        ((policy(BLOCK, agents=("b", "a")),), ALLOW, True, True),
        ((policy(BLOCK, teams=("x",)),), ALLOW, False, False),
        ((policy(BLOCK, teams=("y",), agents=("b",)),), ALLOW, True, True),
        # Tried out only.
        ((policy(BLOCK, mode="shadow"),), ALLOW, False, False),
        ((policy(ALLOW, mode="shadow", conditions=A1), policy(BLOCK)), ALLOW, True, True),
    ],
)
def test_calls(policies, default, trusted, untrusted):
    guarded = guard(*policies, teams=("y",), defaults=DefaultPolicies(call=default))
    verdicts = [judge(guarded, untrusted=each) for each in (False, True)]
    assert [verdict.refused is not None for verdict in verdicts] == [trusted, untrusted]
    for verdict in verdicts:
        first = verdict.decisions[0]
        assert (first.kind, first.tool, first.call_id, first.mode) == ("call", "t", "c1", "enforce")
        assert first.blocked is (verdict.refused is not None)


def test_the_decision_says_which_policy_and_why():
    guarded = guard(policy(BLOCK, conditions=A1, id="no-a", reason="Not with a."))
    refused = judge(guarded).refused
    assert (refused.policy, refused.action, refused.reason) == ("no-a", BLOCK, "Not with a.")
    allowed = judge(guarded, call('{"a":2}'))
    assert (allowed.decisions[0].policy, allowed.decisions[0].reason, allowed.refused) == (
        "default",
        "",
        None,
    )
    same = judge(guarded, call('{ "a" : 1 }')).decisions[0].arguments_hash
    assert same == refused.arguments_hash != allowed.decisions[0].arguments_hash
    for action in (BLOCK, WHEN, ASK):
        assert judge(guard(policy(action)), untrusted=True).refused.reason


def test_context_is_part_of_what_conditions_ask():
    guarded = guard(policy(BLOCK, conditions=on("context.model", "m")))
    assert judge(guarded, context=Context(model="m")).refused
    assert not judge(guarded, context=Context(model="n")).refused


UNJUDGEABLE = ["", "[1]", '"a"', "no", '{"a":1,"a":2}', '{"b":{"c":[{"d":1,"d":1}]}}', '{"a":NaN}', '{"a":"\\ud800"}',
               '{"a":' * 70 + "1" + "}" * 70, '{"a":1}{"a":2}', '{"a":"' + "x" * (1 << 20) + '"}', '{"a":1']  # fmt: skip


@pytest.mark.parametrize("arguments", UNJUDGEABLE, ids=range(len(UNJUDGEABLE)))
def test_arguments_that_can_not_be_judged_are_refused_where_a_policy_reads_them(arguments):
    reads = guard(policy(ALLOW), policy(ALLOW, conditions=B2))
    refused = judge(reads, call(arguments)).refused
    assert refused.blocked
    assert "can't be judged" in refused.reason
    assert judge(guard(policy(ALLOW)), call(arguments)).refused is None
    assert judge(guard(policy(BLOCK, "other", A1)), call(arguments)).refused is None
    assert judge(guard(policy(BLOCK, conditions=on("context.model", "m"))), call(arguments)).refused is None
    assert judge(guard(policy(BLOCK, conditions=A1, mode="shadow")), call(arguments)).refused is None


def test_a_name_that_is_read_in_several_ways_is_judged_in_all():
    guarded = guard(policy(BLOCK, "evil"))
    refused = judge(guarded, call(name="good", names=("good", "evil", "goodevil"))).refused
    assert refused.tool == "evil"
    assert judge(guarded, call(name="good", names=("good", "fine"))).refused is None


@pytest.mark.parametrize("name", ["", "b\u0430sh", "bash ", "ba\u200dsh", "ba\0sh", "x" * 300, "\ud800"])
def test_a_name_that_clients_may_read_otherwise_is_refused_unless_it_is_declared(name):
    guarded = guard(policy(ALLOW, "*"))
    assert judge(guarded, call(name=name)).refused.policy == "tool-name"
    declared = judge(guarded, call(name=name), declares={name})
    assert (declared.refused is None) is (name in ("b\u0430sh", "bash "))
    assert judge(NO_POLICIES, call(name=name)).refused is None


def test_a_dispatcher_is_judged_as_what_it_calls_too():
    guarded = guard(
        policy(BLOCK, "evil"),
        policy(BLOCK, "read", on("path", "/etc", "contains")),
        dispatchers=[
            ToolDispatcher(tool="call_tool"),
            ToolDispatcher(tool="run", name="tool", arguments="input"),
        ],
    )

    def refused(arguments, name="call_tool"):
        return judge(guarded, call(arguments, name)).refused

    assert refused('{"name":"good","arguments":{}}') is None
    assert refused('{"name":"good"}') is None
    assert refused('{"name":"EVIL","arguments":{}}').tool == "EVIL"
    assert refused('{"name":"read","arguments":{"path":"/etc/passwd"}}').tool == "read"
    assert refused('{"name":"read","arguments":"{\\"path\\":\\"/etc/passwd\\"}"}').tool == "read"
    assert refused('{"name":"read","arguments":{"path":"/tmp"}}') is None
    assert refused('{"tool":"call_tool","input":{"name":"mcp__x__evil"}}', "run").tool == "mcp__x__evil"
    for odd in ('{"name":5}', "{}", "no", '{"name":"read","arguments":5}', '{"name":"a","name":"evil"}'):
        assert refused(odd).policy == "tool-name"
    within = '{"name":"good"}'
    for _ in range(10):
        within = '{"name":"call_tool","arguments":' + within + "}"
    assert "too deeply" in refused(within).reason


def test_shadow_policies_are_told_of_beside_what_counts():
    guarded = guard(
        policy(BLOCK, mode="shadow", id="try"), policy(WHEN, id="real"), policy(BLOCK, "x", mode="shadow")
    )
    decisions = judge(guarded, untrusted=False).decisions
    assert [(each.policy, each.mode, each.blocked) for each in decisions] == [
        ("real", "enforce", False),
        ("try", "shadow", True),
    ]
    assert guarded.holds
    only = guard(policy(BLOCK, mode="shadow"))
    assert (only.holds, only.shadows, only.enforces) == (False, True, False)
    assert judge(only).refused is None


@pytest.mark.parametrize(
    ("policies", "trusted", "untrusted"),
    [
        ((), False, False),
        ((policy(BLOCK, "web_search"),), True, True),
        ((policy(WHEN, "web_search"),), False, True),
        # What it will be called with nobody knows: what may be refused then is refused now.
        ((policy(BLOCK, "web_search", A1),), True, True),
        ((policy(WHEN, "web_search", A1),), False, True),
        ((policy(BLOCK, "web_search"), policy(ALLOW, "web_search", A1)), True, True),
        ((policy(BLOCK, "*", A1),), True, True),
        ((policy(BLOCK, "*", A1), policy(ALLOW, "web_search")), False, False),
        ((policy(BLOCK, "*", A1), policy(WHEN, "web_search")), False, True),
        ((policy(BLOCK, "web_search", A1), policy(ALLOW, "web_search")), True, True),
        ((policy(BLOCK, "web_search"), policy(ALLOW, "web_search", on("context.model", "m"))), False, False),
    ],
)
def test_tools_that_the_provider_runs(policies, trusted, untrusted):
    tool = Tool("web_search", server_executed=True)
    for state, refused in ((False, trusted), (True, untrusted)):
        verdict = guard(*policies).declared(tool, Context(model="m"), untrusted=state)
        assert (verdict.refused is not None) is refused
        assert verdict.decisions[0].kind == "tool"


@pytest.mark.parametrize(
    ("policies", "default", "refused"),
    [
        ((), ALLOW, False),
        ((), BLOCK, True),
        ((policy(BLOCK, "mcp__gh__delete"),), ALLOW, True),
        ((policy(BLOCK, "MCP__GH__delete"),), ALLOW, True),
        ((policy(BLOCK, "mcp__gh__delete", A1),), ALLOW, True),
        ((policy(WHEN, "mcp__gh__delete"),), ALLOW, False),
        ((policy(BLOCK, "mcp__gh__*"),), ALLOW, True),
        ((policy(BLOCK, "mcp__other__delete"), policy(BLOCK, "read_file")), ALLOW, False),
        ((policy(ALLOW, "mcp__gh__read"),), BLOCK, True),
        ((policy(ALLOW, "mcp__gh__*"),), BLOCK, False),
        ((policy(ALLOW, "mcp__gh__*"), policy(BLOCK, "mcp__gh__delete")), BLOCK, True),
    ],
)
def test_a_server_whose_tools_are_not_listed_may_run_any_of_them(policies, default, refused):
    guarded = guard(*policies, defaults=DefaultPolicies(call=default))
    tool = Tool("mcp__gh__*", server_executed=True)
    assert (guarded.declared(tool, Context(), untrusted=False).refused is not None) is refused


def result(*texts, name="t"):
    return ToolResult("c1", name, False, ("x",), tuple(Text(text, ("x", n)) for n, text in enumerate(texts)))


R1 = '{"a":1}'


@pytest.mark.parametrize(
    ("policies", "default", "action"),
    [
        ((), MISTRUST, MISTRUST),
        ((), TRUST, TRUST),
        ((), BLOCK, BLOCK),
        ((), SANITIZE, SANITIZE),
        ((result_policy(TRUST),), MISTRUST, TRUST),
        ((result_policy(TRUST), result_policy(MISTRUST, conditions=A1)), MISTRUST, MISTRUST),
        ((result_policy(MISTRUST), result_policy(TRUST, conditions=A1)), MISTRUST, TRUST),
        ((result_policy(MISTRUST), result_policy(TRUST, conditions=B2)), MISTRUST, MISTRUST),
        # A block that matches goes first, then the first that matches.
        ((result_policy(TRUST, conditions=A1), result_policy(BLOCK, conditions=A1)), MISTRUST, BLOCK),
        ((result_policy(TRUST, conditions=A1), result_policy(SANITIZE, conditions=A1)), MISTRUST, TRUST),
        ((result_policy(SANITIZE, conditions=A1), result_policy(TRUST, conditions=A1)), MISTRUST, SANITIZE),
        ((result_policy(TRUST, conditions=A1), result_policy(BLOCK)), MISTRUST, TRUST),
        ((result_policy(BLOCK, "*"), result_policy(TRUST)), MISTRUST, TRUST),
        ((result_policy(TRUST, "other"),), MISTRUST, MISTRUST),
        ((result_policy(TRUST, agents=("b",)),), MISTRUST, MISTRUST),
        ((result_policy(BLOCK, mode="shadow"), result_policy(TRUST)), MISTRUST, TRUST),
    ],
)
def test_results(policies, default, action):
    guarded = guard(*policies, defaults=DefaultPolicies(result=default))
    for _ in range(2):  # the second time it is remembered
        verdict = guarded.result(result(R1), Context())
        assert verdict.action == action
        assert verdict.decision.blocked is (action == BLOCK)


def test_a_result_without_its_call_is_never_trusted():
    guarded = guard(result_policy(TRUST, "*"), result_policy(BLOCK, "*", A1))
    assert guarded.result(result("{}", name=""), Context()).action == MISTRUST
    assert guarded.result(result(R1, name=""), Context()).action == BLOCK
    assert guarded.result(result("{}"), Context()).action == TRUST


def test_what_a_result_says():
    guarded = guard(result_policy(BLOCK, conditions=on("text", "spam", "contains")))
    assert guarded.result(result("some spam"), Context()).action == BLOCK
    assert guarded.result(result("fine"), Context()).action == MISTRUST
    assert guarded.result(result("{no spam"), Context()).action == BLOCK
    every = guard(result_policy(TRUST, conditions=on("[*].from", "@us", "endsWith")))
    assert every.result(result('[{"from":"a@us"},{"from":"b@us"}]'), Context()).action == TRUST
    assert every.result(result('[{"from":"a@us"},{"from":"b@them"}]'), Context()).action == MISTRUST
    # Several blocks are a list of what each says.
    assert every.result(result('{"from":"a@us"}', '{"from":"b@us"}'), Context()).action == TRUST
    assert every.result(result('{"from":"a@us"}', '{"from":"b@them"}'), Context()).action == MISTRUST


def test_a_result_that_parsers_read_differently_is_withheld_where_policies_read_it():
    twice = '{"a":2,"a":1}'
    assert guard(result_policy(TRUST, conditions=A1)).result(result(twice), Context()).action == BLOCK
    assert guard(result_policy(TRUST)).result(result(twice), Context()).action == TRUST
    tried = guard(result_policy(BLOCK, conditions=A1, mode="shadow"), result_policy(TRUST))
    assert tried.result(result(twice), Context()).action == TRUST


def test_verdicts_are_remembered_by_all_that_they_depend_on():
    guarded = guard(
        result_policy(TRUST, conditions=A1),
        result_policy(TRUST, "u", on("context.userId", "me")),
    )
    first = guarded.result(result(R1), Context())
    assert guarded.result(result(R1), Context()) is first
    assert guarded.result(result('{"a":2}'), Context()).action == MISTRUST
    assert guarded.result(result(R1, name="v"), Context()).action == MISTRUST
    assert guarded.result(result(R1, "{}"), Context()).action == MISTRUST
    assert guarded.result(result("", name="u"), Context(user_id="me")).action == TRUST
    assert guarded.result(result("", name="u"), Context(user_id="you")).action == MISTRUST


def test_what_one_agents_policies_decided_is_nothing_to_another():
    one, other = guard(result_policy(TRUST, conditions=A1)), guard(result_policy(BLOCK, conditions=A1))
    assert one.result(result(R1), Context()).action == TRUST
    assert other.result(result(R1), Context()).action == BLOCK


def test_of_two_defaults_for_results_a_block_counts():
    for policies in ((TRUST, BLOCK), (SANITIZE, BLOCK), (BLOCK, TRUST)):
        guarded = guard(*(result_policy(action, id=str(number)) for number, action in enumerate(policies)))
        assert guarded.result(result(R1), Context()).action == BLOCK


def test_what_a_dispatcher_calls_needs_a_name_that_can_be_judged():
    guarded = guard(policy(BLOCK, "rm"), dispatchers=[ToolDispatcher(tool="call_tool")])
    for name in (" rm", "rm\n", "r\u200bm", "\0rm", "r\u00adm", "r\u043c"):
        arguments = msgspec.json.encode({"name": name}).decode()
        assert judge(guarded, call(arguments, "call_tool")).refused.policy == "tool-name", repr(name)
    for arguments in ('{"name":"x","Name":"rm"}', '{"name":"x","Arguments":{}}', '{"NAME":"rm"}'):
        assert judge(guarded, call(arguments, "call_tool")).refused.policy == "tool-name"
    assert judge(guarded, call('{"name":"x"}', "call_tool")).refused is None


def test_what_keeps_back_is_for_all_that_a_name_may_be_and_what_lets_pass_for_what_it_is():
    blocking = guard(policy(BLOCK, "delete_repo"))
    for name in (
        "mcp__my__server__delete_repo",
        "mcp__a__mcp__b__delete_repo",
        "mcp__a__delete_repo",
        "DELETE_repo",
    ):
        assert judge(blocking, call(name=name)).refused, name
    allowing = guard(
        policy(ALLOW, "mcp__bank__pay"), policy(ALLOW, "read"), defaults=DefaultPolicies(call=BLOCK)
    )
    for name, allowed in (
        ("mcp__bank__pay", True),
        ("mcp__evil__mcp__bank__pay", False),
        ("mcp__files__read", True),
        ("mcp__evil__delete__read", False),
    ):
        assert (judge(allowing, call(name=name)).refused is None) is allowed, name
    trusting = guard(result_policy(TRUST, "mcp__bank__read"))
    assert trusting.result(result(R1, name="mcp__bank__read"), Context()).action == TRUST
    assert trusting.result(result(R1, name="mcp__evil__mcp__bank__read"), Context()).action == MISTRUST


def test_the_version_is_that_of_the_policies_alone():
    one = guard(policy(BLOCK, conditions=A1)).version
    assert one == guard(policy(BLOCK, conditions=A1)).version
    others = {
        guard(policy(BLOCK, conditions=B2)).version,
        guard(policy(BLOCK, conditions=A1, mode="shadow")).version,
        guard(policy(BLOCK, conditions=A1), defaults=DefaultPolicies(call=BLOCK)).version,
        guard(policy(BLOCK, conditions=A1), result_policy(TRUST)).version,
    }
    assert len(others) == 4
    assert one not in others


def test_policies_that_are_tried():
    stored = Policies([policy(BLOCK, id="a"), policy(WHEN, id="b")], [result_policy(TRUST, id="r")])
    tried = stored.tried([policy(ALLOW, id="a"), policy(ASK, id="c")])
    assert [(each.id, each.action) for each in tried.on_calls] == [("b", WHEN), ("a", ALLOW), ("c", ASK)]
    assert tried.on_results == stored.on_results
    assert [each.id for each in stored.tried(results=[result_policy(BLOCK, id="r")]).on_results] == ["r"]
    alone = stored.tried([policy(ASK, id="c")], instead=True)
    assert ([each.id for each in alone.on_calls], alone.on_results) == (["c"], ())
    assert len(stored.on_calls) == 2


def test_a_result_of_which_not_all_can_be_read_is_not_trusted_by_what_it_says():
    partly = msgspec.structs.replace(result(R1), partial=True)
    assert guard(result_policy(TRUST, conditions=A1)).result(partly, Context()).action == MISTRUST
    assert guard(result_policy(TRUST, conditions=A1)).result(result(R1), Context()).action == TRUST
    assert guard(result_policy(TRUST)).result(partly, Context()).action == TRUST
    assert guard(result_policy(BLOCK, conditions=A1)).result(partly, Context()).action == BLOCK
    by_context = guard(result_policy(TRUST, conditions=on("context.userId", "me")))
    assert by_context.result(partly, Context(user_id="me")).action == TRUST
