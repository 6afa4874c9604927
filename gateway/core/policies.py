"""What policies say of tool calls and of tool results: pure functions of values, the same for every wire.

A policy with conditions is *specific*, one without is its tool's *default*. Specific ones that match go before
defaults; of defaults, one that names the tool goes before a glob. What no policy is for, ``default_policies`` decides.
Policies in shadow mode are judged beside the others and change nothing.
"""

import hashlib
import itertools
from collections.abc import Callable, Container, Hashable, Sequence
from typing import Any, Literal

import msgspec

from gateway.core.arguments import Unjudgeable, arguments_hash, read_arguments
from gateway.core.decision import Decision
from gateway.core.dispatch import Meant, ToolDispatcher, meant_calls
from gateway.core.entities import ToolInvocationPolicy, TrustedDataPolicy
from gateway.core.evaluation import Context
from gateway.core.results import content_of
from gateway.core.rules import (
    ALLOW,
    BLOCK,
    DEFAULT,
    MISTRUST,
    NAME,
    NO_DEFAULTS,
    REASONS,
    RESULT_REASONS,
    SANITIZE,
    TRUST,
    DefaultPolicies,
    Rule,
    applicable,
    refuses,
)
from gateway.core.strict import Ambiguous
from gateway.core.tool_names import ANY, LONGEST, ByTool, is_readable, is_usual
from gateway.core.verdicts import Verdicts
from gateway.core.view import Tool, ToolCall, ToolResult

_MOST = 4096
"""Tools of which a guard knows what their policies read."""
_numbers = itertools.count()


class Verdict(msgspec.Struct):
    """What is said of one call, or of one tool that is declared."""

    decisions: list[Decision] = []
    refused: Decision | None = None
    """The first decision that refuses it."""

    def add(self, decision: Decision) -> None:
        """Add one; the first that refuses is the one whose reason is given."""
        self.decisions.append(decision)
        if decision.blocked and decision.mode == "enforce" and self.refused is None:
            self.refused = decision


class ResultVerdict(msgspec.Struct, frozen=True):
    """What is done with a result."""

    decision: Decision
    shadow: tuple[Decision, ...] = ()

    @property
    def action(self) -> str:
        return self.decision.action


_verdicts: Verdicts[ResultVerdict] = Verdicts()
"""Of all guards, each of which has its number."""


class Guard:
    """All policies that apply to one agent and its teams, of one snapshot."""

    def __init__(
        self,
        calls: Sequence[Rule] = (),
        results: Sequence[Rule] = (),
        defaults: DefaultPolicies = NO_DEFAULTS,
        dispatchers: Sequence[ToolDispatcher] = (),
    ) -> None:
        self.defaults = defaults
        self.call_rules = ByTool(calls)
        self.result_rules = ByTool(results)
        self.dispatchers = ByTool(dispatchers)
        self._number = next(_numbers)
        self._reads: dict[str, int] = {}
        enforced = any(not rule.shadow for rule in calls)
        self.holds = enforced or defaults.call != ALLOW
        """Some answer may be refused: all are gated."""
        self.shadows = any(rule.shadow for rule in calls)
        """Some policy on calls is judged without being enforced."""
        self.judges_results = bool(results) or defaults.result != MISTRUST
        self.enforces = (
            self.holds or any(not rule.shadow for rule in results) or defaults.result in (BLOCK, SANITIZE)
        )
        """Some policy may change a request or its answer."""
        told = [rule.policy for rule in (*calls, *results)]
        self.version = hashlib.sha256(msgspec.json.encode((told, defaults, dispatchers))).digest()[:16]
        """The same for the same policies, in any process."""

    def call(
        self,
        call: ToolCall,
        context: Context,
        *,
        untrusted: bool,
        declares: Callable[[], Container[str]] = frozenset,
    ) -> Verdict:
        """Judge one call, under every name that a client may read.

        ``declares``: returns the names that the request declares, asked only for an unusual name.
        """
        verdict = Verdict()
        hash_ = arguments_hash(call.arguments)
        names = tuple(dict.fromkeys((call.name, *call.names)))
        reason = ""
        calls: Sequence[Meant] = ()
        try:
            calls = meant_calls(names, call.arguments, self.dispatchers)
        except Unjudgeable as error:
            reason = f"It calls another tool, and which one can't be told: {error}."
        for name in (*names, *(name for name, _ in calls)) if self.holds else ():
            if not is_usual(name) and not (is_readable(name) and name in declares()):
                reason = "Its name is not one that every client reads alike, and no tool is declared by it."
                break
        if reason:
            verdict.add(_decided("call", NAME, call, hash_, BLOCK, reason, blocked=True))
            return verdict
        for name, arguments in calls:
            meant = call if name == call.name else msgspec.structs.replace(call, name=name)
            content = _Content(arguments)
            for decision in self._judge_call(meant, hash_, content, context, untrusted=untrusted):
                # A name that clients may also read is told of only if it decides something.
                if name == call.name or decision.blocked:
                    verdict.add(decision)
        return verdict

    def declared(self, tool: Tool, context: Context, *, untrusted: bool) -> Verdict:
        """Judge a tool that the provider would run itself: what it will be called with, nobody knows yet."""
        verdict = Verdict()
        rules = self.call_rules.of(tool.name)
        if tool.name.endswith(ANY):
            rules = (*rules, *self.call_rules.below(tool.name[:-1]))
        decided = any(rule.literal and not rule.specific and not rule.shadow for rule in rules)

        def matches(rule: Rule) -> bool:
            if rule.conditions.reads_content:
                # What may be refused then is refused now: but for globs, where somebody has decided on this very tool.
                return refuses(rule.action, untrusted=untrusted) and (rule.literal or not decided)
            return rule.conditions.hold({}, context)

        call = ToolCall("", tool.name, "{}")
        for decision in self._decide(rules, matches, call, "", untrusted=untrusted):
            verdict.add(msgspec.structs.replace(decision, kind="tool"))
        return verdict

    def result(self, result: ToolResult, context: Context) -> ResultVerdict:
        """Judge one result; what was judged before is remembered."""
        name = result.name if len(result.name) <= LONGEST else ""  # no policy is for such a name
        rules = self.result_rules.of(name)
        key: Hashable
        weight = 0
        if reads := self._read_by(name, rules):
            texts = result.texts
            content = texts[0].text if len(texts) == 1 else tuple(block.text for block in texts)
            weight = len(content) if isinstance(content, str) else sum(map(len, content))
            key = (self._number, name, content, result.partial, context if reads > 1 else None)
        else:
            key = (self._number, name)
        verdict = _verdicts.get(key)
        if verdict is None:
            verdict = self._judge_result(rules, name, result, context)
            _verdicts.keep(key, verdict, weight)
        return verdict

    def _read_by(self, name: str, rules: tuple[Rule, ...]) -> int:
        """Return what a verdict depends on beside the name: 0: on nothing, 1: on the result, 2: on the context too."""
        known = self._reads.get(name)
        if known is None:
            if len(self._reads) >= _MOST:
                self._reads.clear()
            conditions = [rule.conditions for rule in rules if rule.specific]
            known = 2 if any(each.reads_context for each in conditions) else int(bool(conditions))
            self._reads[name] = known
        return known

    def _judge_call(
        self, call: ToolCall, hash_: str, content: "_Content", context: Context, *, untrusted: bool
    ) -> list[Decision]:
        rules = self.call_rules.of(call.name)
        readers = [rule for rule in rules if rule.conditions.reads_content and not rule.shadow]
        if readers and (why := content.problem):
            reason = f"Its arguments can't be judged: {why}."
            return [_decided("call", readers[0].id, call, hash_, BLOCK, reason, blocked=True)]

        def matches(rule: Rule) -> bool:
            if content.problem and rule.conditions.reads_content:
                return False
            return rule.conditions.hold(content.value, context)

        return self._decide(rules, matches, call, hash_, untrusted=untrusted)

    def _decide(
        self,
        rules: Sequence[Rule],
        matches: Callable[[Rule], bool],
        call: ToolCall,
        hash_: str,
        *,
        untrusted: bool,
    ) -> list[Decision]:
        """Return the decision that counts, then those of policies in shadow mode."""
        decisions = []
        matched = applicable([rule for rule in rules if not rule.shadow], matches)
        refusing = next((rule for rule in matched if refuses(rule.action, untrusted=untrusted)), None)
        allowing = next((rule for rule in matched if rule.action == ALLOW), matched[0] if matched else None)
        if decider := refusing or allowing:
            blocked = refusing is not None
            reason = decider.reason if blocked else ""
            decisions.append(
                _decided("call", decider.id, call, hash_, decider.action, reason, blocked=blocked)
            )
        else:
            action = self.defaults.call
            blocked = refuses(action, untrusted=untrusted)
            reason = REASONS[action] if blocked else ""
            decisions.append(_decided("call", DEFAULT, call, hash_, action, reason, blocked=blocked))
        for rule in applicable([rule for rule in rules if rule.shadow], matches):
            blocked = refuses(rule.action, untrusted=untrusted)
            shadow = _decided("call", rule.id, call, hash_, rule.action, rule.reason, blocked=blocked)
            decisions.append(msgspec.structs.replace(shadow, mode="shadow"))
        return decisions

    def _judge_result(
        self, rules: Sequence[Rule], name: str, result: ToolResult, context: Context
    ) -> ResultVerdict:
        def decided(policy: str, action: str, reason: str, mode: Any = "enforce") -> Decision:
            return Decision(
                kind="result",
                policy=policy,
                tool=name,
                action=action,
                mode=mode,
                blocked=action == BLOCK,
                reason=reason,
            )

        readers = [rule for rule in rules if rule.conditions.reads_content]
        try:
            content = content_of(result.texts) if readers else None
        except Ambiguous:
            enforced = [rule for rule in readers if not rule.shadow]
            if enforced:
                reason = "It can't be judged: a key is in it twice."
                return ResultVerdict(decided(enforced[0].id, BLOCK, reason))
            rules = [rule for rule in rules if rule not in readers]
            content = None

        def matches(rule: Rule) -> bool:
            if result.partial and rule.action == TRUST and rule.conditions.reads_content:
                return False  # what nobody has read nobody can trust
            return rule.conditions.hold(content, context)

        matched = applicable([rule for rule in rules if not rule.shadow], matches)
        blocking = next((rule for rule in matched if rule.action == BLOCK), None)
        if decider := blocking or (matched[0] if matched else None):
            decision = decided(decider.id, decider.action, decider.reason)
        else:
            action = self.defaults.result
            decision = decided(DEFAULT, action, RESULT_REASONS[action])
        if decision.action == TRUST and not name:
            # Whose result it is only the client says, or not even the client.
            decision = decided(DEFAULT, MISTRUST, "The call that it answers is not in the conversation.")
        shadows = applicable([rule for rule in rules if rule.shadow], matches)
        return ResultVerdict(
            decision, tuple(decided(rule.id, rule.action, rule.reason, "shadow") for rule in shadows)
        )


class Policies:
    """The policies of a snapshot."""

    def __init__(
        self,
        calls: Sequence[ToolInvocationPolicy] = (),
        results: Sequence[TrustedDataPolicy] = (),
        defaults: DefaultPolicies = NO_DEFAULTS,
        dispatchers: Sequence[ToolDispatcher] = (),
    ) -> None:
        self.on_calls = tuple(calls)
        self.on_results = tuple(results)
        self._calls = tuple(map(Rule, calls))
        self._results = tuple(map(Rule, results))
        self._defaults = defaults
        self._dispatchers = tuple(dispatchers)
        self._guards: dict[tuple[frozenset[str], frozenset[str]], Guard] = {}

    def tried(
        self,
        calls: Sequence[ToolInvocationPolicy] = (),
        results: Sequence[TrustedDataPolicy] = (),
        *,
        instead: bool = False,
    ) -> "Policies":
        """Return these with others, which replace those that have their ids; ``instead``: only the others."""
        new = {policy.id for policy in (*calls, *results)}
        kept = [] if instead else [policy for policy in self.on_calls if policy.id not in new]
        kept_results = [] if instead else [policy for policy in self.on_results if policy.id not in new]
        return Policies((*kept, *calls), (*kept_results, *results), self._defaults, self._dispatchers)

    def guard(self, agents: frozenset[str], teams: frozenset[str]) -> Guard:
        """Return those that apply to an agent and its teams, each known by its slug and its id."""
        known = self._guards.get((agents, teams))
        if known is None:

            def applies(rule: Rule) -> bool:
                policy = rule.policy
                return not (policy.agents or policy.teams) or not (
                    agents.isdisjoint(policy.agents) and teams.isdisjoint(policy.teams)
                )

            known = self._guards[agents, teams] = Guard(
                tuple(filter(applies, self._calls)),
                tuple(filter(applies, self._results)),
                self._defaults,
                self._dispatchers,
            )
        return known


class _Content:
    """Arguments that are read when a policy asks for them, and once."""

    __slots__ = ("_read", "_text", "_value", "_why")

    def __init__(self, arguments: str | dict[str, Any]) -> None:
        self._read = isinstance(arguments, dict)
        self._text = arguments if isinstance(arguments, str) else ""
        self._value = arguments if isinstance(arguments, dict) else {}
        self._why = ""

    @property
    def problem(self) -> str:
        """Why they can't be judged; empty: they can."""
        if not self._read:
            self._read = True
            try:
                self._value = read_arguments(self._text)
            except Unjudgeable as error:
                self._why = str(error)
        return self._why

    @property
    def value(self) -> dict[str, Any]:
        return {} if self.problem else self._value


def _decided(
    kind: Literal["call", "tool"],
    policy: str,
    call: ToolCall,
    hash_: str,
    action: str,
    reason: str,
    *,
    blocked: bool,
) -> Decision:
    return Decision(
        kind=kind,
        policy=policy,
        tool=call.name,
        action=action,
        blocked=blocked,
        reason=reason,
        call_id=call.id,
        arguments_hash=hash_,
    )


NO_POLICIES = Guard()
"""Refuses nothing, holds nothing."""
