"""Policies, compiled, and which of those for one tool count."""

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from gateway.core.entities import ToolInvocationPolicy, TrustedDataPolicy
from gateway.core.evaluation import Conditions
from gateway.core.tool_names import is_glob, shown

ALLOW = "allow_when_context_is_untrusted"
BLOCK_UNTRUSTED = "block_when_context_is_untrusted"
BLOCK = "block_always"
APPROVE = "require_approval"
TRUST = "mark_as_trusted"
MISTRUST = "mark_as_untrusted"
SANITIZE = "sanitize_with_dual_llm"

_NAMED = 20
"""Tools that a refusal names."""
DEFAULT = "default"
"""Stands for a policy's id where ``default_policies`` decide."""
NAME = "tool-name"
"""The same where a name is none that all clients read alike."""
REASONS = {
    BLOCK: "This tool is not allowed.",
    BLOCK_UNTRUSTED: "This tool is not allowed once the conversation holds untrusted data.",
    APPROVE: "This tool needs a person's approval, which nobody can give here.",
    ALLOW: "",
}
"""What is said of a call where a policy gives no reason."""
RESULT_REASONS = {
    BLOCK: "What this tool returns is not let in.",
    TRUST: "",
    MISTRUST: "",
    SANITIZE: "",
}
"""The same of a result."""


class DefaultPolicies(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds for tools without a policy."""

    call: Literal["allow_when_context_is_untrusted", "block_when_context_is_untrusted", "block_always"] = (
        "allow_when_context_is_untrusted"
    )
    result: Literal["mark_as_trusted", "mark_as_untrusted", "block_always", "sanitize_with_dual_llm"] = (
        "mark_as_untrusted"
    )


NO_DEFAULTS = DefaultPolicies()


class Rule:
    """A policy, compiled."""

    __slots__ = (
        "action",
        "conditions",
        "guards",
        "id",
        "literal",
        "policy",
        "reason",
        "shadow",
        "specific",
        "tool",
    )

    def __init__(self, policy: ToolInvocationPolicy | TrustedDataPolicy) -> None:
        self.policy = policy
        self.id = policy.id
        self.tool = policy.tool
        self.action: str = policy.action
        self.guards = policy.action not in (ALLOW, TRUST)
        self.conditions = Conditions(policy.conditions)
        self.specific = bool(policy.conditions)
        self.literal = not is_glob(policy.tool)
        self.shadow = policy.mode == "shadow"
        reasons = REASONS if isinstance(policy, ToolInvocationPolicy) else RESULT_REASONS
        self.reason = policy.reason or reasons[policy.action]


def applicable(rules: Sequence[Rule], matches: Callable[[Rule], bool]) -> list[Rule]:
    """Return the rules that count: specific ones that match, else the defaults, the nearest ones if there are some."""
    matched = [rule for rule in rules if rule.specific and matches(rule)]
    if matched:
        return matched
    defaults = [rule for rule in rules if not rule.specific]
    return [rule for rule in defaults if rule.literal] or defaults


def refuses(action: str, *, untrusted: bool) -> bool:
    """Whether an action on a call refuses it."""
    return action in (BLOCK, APPROVE) or (action == BLOCK_UNTRUSTED and untrusted)


def refusal_text(tools: Sequence[str], reason: str, interaction_id: str) -> str:
    """Return what the model is made to say in place of its calls. It names tools, and nothing else of theirs."""
    different = list(dict.fromkeys(tools))
    names = ", ".join(map(shown, different[:_NAMED]))
    if len(different) > _NAMED:
        names += f" and {len(different) - _NAMED} more"
    return (
        f"The call of {names} was denied by a tool invocation policy. {reason} (interaction {interaction_id})"
    )


def notice(tool: str, reason: str) -> str:
    """Return what stands in the place of a result that is withheld: the same on every turn."""
    return f"[The result of {shown(tool)} was withheld by a trusted data policy. {reason}]"
