"""Why policies decide as they do of one call or one result: the verdict itself, and how each came to count or not."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from gateway.core.arguments import Unjudgeable, read_arguments
from gateway.core.conditions import Condition
from gateway.core.decision import Decision
from gateway.core.dispatch import meant_calls
from gateway.core.evaluation import Conditions, Context, values_at
from gateway.core.policies import Guard
from gateway.core.results import content_of
from gateway.core.rules import BLOCK, BLOCK_UNTRUSTED, DEFAULT, Rule, applicable, refuses
from gateway.core.strict import Ambiguous
from gateway.core.view import ToolCall, ToolResult

_MOST = 20
"""Values of one key that are shown."""


class Tested(msgspec.Struct, frozen=True):
    """One condition, and what came of it."""

    key: str
    operator: str
    value: Any
    held: bool
    found: list[Any]
    """The values that the key leads to; the first ones, if they are many."""


class Considered(msgspec.Struct, frozen=True, kw_only=True):
    """One policy that is for the tool."""

    policy: str
    tool: str
    """What it is for: a name, or a glob."""
    called: str
    """The tool that was judged by it: not the one that was called, if that calls others."""
    action: str
    mode: str
    conditions: list[Tested]
    matched: bool
    """All its conditions hold."""
    decided: bool
    why: str


class Default(msgspec.Struct, frozen=True):
    """What holds where no policy with conditions matches."""

    action: str
    policy: str
    """``default``: no policy is for the tool, ``default_policies`` decides."""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided, and why."""

    decision: Decision
    decisions: list[Decision]
    """All: also those of policies in shadow mode, and of the tools that the call means."""
    considered: list[Considered]
    default: Default


def default_of_calls(guard: Guard, name: str) -> Default:
    """Return what holds for calls of a tool where no policy with conditions matches."""
    rules = _defaults(guard.call_rules.of(name))
    for untrusted in (False, True):
        for rule in rules:
            if refuses(rule.action, untrusted=untrusted):
                return Default(rule.action, rule.id)
    return Default(rules[0].action, rules[0].id) if rules else Default(guard.defaults.call, DEFAULT)


def default_of_results(guard: Guard, name: str) -> Default:
    """Return the same for its results."""
    rules = _defaults(guard.result_rules.of(name))
    return Default(rules[0].action, rules[0].id) if rules else Default(guard.defaults.result, DEFAULT)


def explain_call(guard: Guard, call: ToolCall, context: Context, *, untrusted: bool) -> Explanation:
    """Say why a call may go or not, as if the request declared its tool."""
    verdict = guard.call(call, context, untrusted=untrusted, declares=lambda: {call.name})
    decision = verdict.refused or next(each for each in verdict.decisions if each.mode == "enforce")
    considered: list[Considered] = []
    try:
        meant = meant_calls((call.name,), call.arguments, guard.dispatchers)
    except Unjudgeable:
        meant = ()
    for name, arguments in meant:
        content, problem = _read(arguments)

        def effect(rule: Rule) -> str:
            if refuses(rule.action, untrusted=untrusted):
                return "refuses"
            return "refuses only in an untrusted context" if rule.action == BLOCK_UNTRUSTED else "allows"

        rules = guard.call_rules.of(name)
        considered += _considered(rules, name, content, problem, context, decision, effect)
    return Explanation(
        decision=decision,
        decisions=verdict.decisions,
        considered=considered,
        default=default_of_calls(guard, call.name),
    )


def explain_result(guard: Guard, result: ToolResult, context: Context) -> Explanation:
    """Say what is done with a result, and why."""
    verdict = guard.result(result, context)
    content, problem = None, ""
    try:
        content = content_of(result.texts)
    except Ambiguous:
        problem = "a key is in it twice"

    def effect(rule: Rule) -> str:
        return "withholds it" if rule.action == BLOCK else f"says {rule.action}"

    name = verdict.decision.tool
    rules = guard.result_rules.of(name)
    return Explanation(
        decision=verdict.decision,
        decisions=[verdict.decision, *verdict.shadow],
        considered=_considered(rules, name, content, problem, context, verdict.decision, effect),
        default=default_of_results(guard, name),
    )


def _defaults(rules: Sequence[Rule]) -> list[Rule]:
    return applicable([rule for rule in rules if not rule.specific and not rule.shadow], lambda _: False)


def _read(arguments: str | dict[str, Any]) -> tuple[Any, str]:
    if isinstance(arguments, dict):
        return arguments, ""
    try:
        return read_arguments(arguments), ""
    except Unjudgeable as error:
        return {}, str(error)


def _considered(
    rules: Sequence[Rule],
    called: str,
    content: Any,
    problem: str,
    context: Context,
    decision: Decision,
    effect: Callable[[Rule], str],
) -> list[Considered]:
    """Return how each rule for a tool came to count or not; ``effect``: what one does that counts."""

    def tested(condition: Condition) -> Tested:
        held = Conditions((condition,)).hold(content, context)
        found = list(values_at(condition.key, content, context)[:_MOST])
        return Tested(condition.key, condition.operator, condition.value, held, found)

    def matches(rule: Rule) -> bool:
        if problem and rule.conditions.reads_content:
            return False
        return rule.conditions.hold(content, context)

    counting = {
        rule.id
        for shadow in (False, True)
        for rule in applicable([rule for rule in rules if rule.shadow is shadow], matches)
    }
    result = []
    for rule in rules:
        matched = matches(rule)
        decided = rule.id == decision.policy and called == decision.tool and not rule.shadow
        conditions = [tested(condition) for condition in rule.policy.conditions]
        why = _why(rule, conditions, problem, effect, counts=rule.id in counting, decided=decided)
        result.append(
            Considered(
                policy=rule.id,
                tool=rule.tool,
                called=called,
                action=rule.action,
                mode="shadow" if rule.shadow else "enforce",
                conditions=conditions,
                matched=matched,
                decided=decided,
                why=why,
            )
        )
    return result


def _why(
    rule: Rule,
    conditions: Sequence[Tested],
    problem: str,
    effect: Callable[[Rule], str],
    *,
    counts: bool,
    decided: bool,
) -> str:
    if problem and rule.conditions.reads_content:
        if rule.shadow:
            return f"What it reads can't be judged: {problem}."
        return f"What it reads can't be judged, so nothing may pass: {problem}."
    if failed := [each.key for each in conditions if not each.held]:
        return f"It does not match: what it asks of {', '.join(failed)} does not hold."
    if not counts:
        return (
            "It does not count: a policy with conditions matches, or another default names the tool itself."
        )
    reason = "Its conditions hold" if rule.specific else "It is the tool's default"
    if rule.shadow:
        return f"{reason}: it {effect(rule)}, but only for the record: it is in shadow mode."
    return f"{reason}: it {effect(rule)}{'' if decided else ', but another one decides'}."
