"""Everything that can be declared in ``gateway.toml`` or created through the console's API, one struct each.

The same struct is read from the file, from a request to the API and from the database. A reference to another
entity (``agent``, ``team``, ``user``, ``scope_id``) is its slug or its id. What a value must hold beyond its type is
said by :meth:`Entity.problem`, so that file and API refuse the same things in the same words.
"""

import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

import msgspec

from gateway.core.conditions import Condition
from gateway.core.patterns import glob_problem

SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""What stands for an entity in a URL or a header, and so holds no separator of either."""
_HASH = re.compile(r"[0-9a-f]{64}")
OVER = "this is over already"
"""Said of an ``expires`` that nobody can mean; in the file it is what every key comes to."""
_SLUG_RULE = "write letters, digits and . _ - only, at most 128, a letter or digit first"


class Entity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that an operator sets up."""

    given: ClassVar[frozenset[str]] = frozenset({"declared"})
    """Fields that the gateway itself sets: neither the file nor a request to the API may."""
    minted: ClassVar[frozenset[str]] = frozenset({"id"})
    """Fields that the file may set, and a request to the API may not."""
    required: ClassVar[tuple[str, ...]] = ()

    id: str = ""
    declared: bool = False
    """It stands in the configuration file, and can be changed only there."""

    @property
    def natural_key(self) -> str:
        """What is unique among its kind beside the id: of two with the same one, the declared one holds."""
        return self.id

    def problem(self) -> tuple[str, str] | None:
        """Return the first field that can't be, as ``conditions[1].value``, and why; ``None`` if all can."""
        if self.id and not SLUG.fullmatch(self.id):
            return "id", _SLUG_RULE
        for name in self.required:
            if not str(getattr(self, name)).strip():
                return name, "it must be there, and not be empty"
        for name, (holds, otherwise) in _RULES.items():
            value = getattr(self, name, None)
            if value is not None and not holds(value):
                return name, otherwise
        for name, why in _LISTED.items():
            for index, each in enumerate(getattr(self, name, ())):
                if found := why(each):
                    return f"{name}[{index}]", found
        return None

    def as_declared(self) -> "Entity":
        """Return it as the file declares it: with an id, that of the content if it has no better one."""
        identifier = self.id or getattr(self, "slug", "")
        if not identifier:
            content = msgspec.json.encode(self, order="deterministic")
            identifier = hashlib.sha256(content).hexdigest()[:16]
        return msgspec.structs.replace(self, id=identifier, declared=True)


class _Named(Entity, frozen=True, kw_only=True):
    """What has a slug."""

    required: ClassVar[tuple[str, ...]] = ("slug",)

    slug: str = ""
    name: str = ""

    @property
    def natural_key(self) -> str:
        return self.slug


class Agent(_Named, frozen=True, kw_only=True):
    """An application that sends requests."""

    team: str = ""
    labels: dict[str, str] = {}
    context_untrusted: bool = False
    """Its conversations begin untrusted, whatever is in them."""
    toon: bool = False


class Team(_Named, frozen=True, kw_only=True):
    """A group that agents and users belong to."""


class User(_Named, frozen=True, kw_only=True):
    """A person or machine for whom an agent works."""

    team: str = ""


class VirtualKey(Entity, frozen=True, kw_only=True):
    """A key of the gateway's own, known by its keyed hash alone."""

    given: ClassVar[frozenset[str]] = frozenset({"declared", "hint"})
    minted: ClassVar[frozenset[str]] = frozenset({"id", "hash"})
    required: ClassVar[tuple[str, ...]] = ("name", "hash")

    name: str = ""
    hash: str = ""
    hint: str = ""
    """Its first characters, to tell it from others."""
    agent: str = ""
    """Whose it is; empty: its holder may name any agent."""
    user: str = ""
    team: str = ""
    """Empty: the agent's."""
    providers: tuple[str, ...] = ()
    """Empty: all."""
    models: tuple[str, ...] = ()
    """Names or globs; empty: all."""
    stored: bool = False
    """It may reach what is kept at providers, which all who use the same provider's key share: files, batches …"""
    expires: datetime | None = None
    revoked: bool = False

    @property
    def natural_key(self) -> str:
        return self.hash


class ProviderSecret(Entity, frozen=True, kw_only=True):
    """The operator's own key for one provider, encrypted."""

    given: ClassVar[frozenset[str]] = frozenset({"declared", "hint", "ciphertext"})
    required: ClassVar[tuple[str, ...]] = ("provider",)

    provider: str = ""
    name: str = ""
    hint: str = ""
    """Its last characters."""
    ciphertext: str = ""

    @property
    def natural_key(self) -> str:
        return self.provider


class ConsoleToken(Entity, frozen=True, kw_only=True):
    """What opens the console's API, known by its keyed hash alone."""

    given: ClassVar[frozenset[str]] = frozenset({"declared", "hint", "hash"})
    required: ClassVar[tuple[str, ...]] = ("name", "hash")

    name: str = ""
    hash: str = ""
    hint: str = ""
    role: Literal["read", "operate", "admin"] = "read"
    expires: datetime | None = None

    @property
    def natural_key(self) -> str:
        return self.hash


class _Policy(Entity, frozen=True, kw_only=True):
    """What both kinds of policies have in common."""

    tool: str = ""
    """A name, or a glob."""
    conditions: tuple[Condition, ...] = ()
    """All must hold; none: this is the tool's default."""
    reason: str = ""
    agents: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    """With ``agents``: to whom it applies; both empty: to all."""
    mode: Literal["enforce", "shadow"] = "enforce"
    """``shadow``: judged and recorded, never enforced."""

    def problem(self) -> tuple[str, str] | None:
        if self.tool and (why := glob_problem(self.tool)):
            return "tool", why
        return super().problem() or _first(self.conditions)


class ToolInvocationPolicy(_Policy, frozen=True, kw_only=True):
    """What is done with a call that the model makes."""

    required: ClassVar[tuple[str, ...]] = ("tool", "action")

    action: Literal[
        "",
        "allow_when_context_is_untrusted",
        "block_when_context_is_untrusted",
        "block_always",
        "require_approval",
    ] = ""


class TrustedDataPolicy(_Policy, frozen=True, kw_only=True):
    """What is done with a tool's result that the client sends."""

    required: ClassVar[tuple[str, ...]] = ("tool", "action")

    action: Literal[
        "",
        "mark_as_trusted",
        "mark_as_untrusted",
        "block_always",
        "sanitize_with_dual_llm",
    ] = ""


class Limit(Entity, frozen=True, kw_only=True):
    """How much may be used in a span of time."""

    required: ClassVar[tuple[str, ...]] = ("kind",)

    scope: Literal["organization", "team", "user", "agent", "virtual_key"] = "organization"
    scope_id: str = ""
    kind: Literal["", "cost", "tokens", "requests", "concurrent"] = ""
    amount: float = 0.0
    """Dollars, tokens or requests."""
    window: Literal["minute", "hour", "day", "week", "month", "total"] = "day"
    rolling: bool = False
    """The last day rather than the calendar's."""
    models: tuple[str, ...] = ()
    """Names or globs; empty: all."""
    on_error: Literal["closed", "open"] = "closed"
    """What happens while nobody knows how much is used."""

    def problem(self) -> tuple[str, str] | None:
        if self.scope != "organization" and not self.scope_id:
            return "scope_id", f"say which {self.scope.replace('_', ' ')} it is for"
        if found := super().problem():
            return found
        if self.scope == "organization" and self.scope_id:
            return (
                "scope_id",
                "there is one organization, which has no name; leave this out, or say the scope",
            )
        if self.kind != "cost" and self.amount % 1:
            return "amount", f"a number of {'tokens' if self.kind == 'tokens' else 'requests'} is a whole one"
        return None


class RuleCondition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a cheaper model is good enough; all that is said must hold."""

    min_length: int | None = None
    max_length: int | None = None
    """Tokens of the request."""
    has_tools: bool | None = None
    model: str = ""
    """A glob."""
    hour: tuple[int, int] | None = None
    """Of the day, UTC: from, and until before; ``[22, 6]`` goes over midnight."""

    def problem(self) -> tuple[str, str] | None:
        """Return the field that can't be, and why; ``None`` if all can."""
        for name in ("min_length", "max_length"):
            if (length := getattr(self, name)) is not None and length < 0:
                return name, "a number of tokens is not below 0"
        if self.max_length is not None and self.max_length < (self.min_length or 0):
            return "min_length", "it is more than max_length, so no request is of such a length"
        if self.model and (why := glob_problem(self.model)):
            return "model", why
        if self.hour is not None:
            start, end = self.hour
            if not (0 <= start < 24 and 0 <= end <= 24):
                return "hour", "write two hours of the day, from 0 to 24, as [9, 17] for 9:00 until 16:59 UTC"
            if start == end % 24 and self.hour != (0, 24):
                return "hour", "it begins when it ends; all day is [0, 24], or leave it out"
        return None


class ModelOptimizationRule(Entity, frozen=True, kw_only=True):
    """Which model is used in place of the one that was asked for, and when."""

    required: ClassVar[tuple[str, ...]] = ("provider", "target_model")

    provider: str = ""
    conditions: tuple[RuleCondition, ...] = ()
    target_model: str = ""
    agents: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    enabled: bool = True
    priority: int = 0
    """The highest is tried first."""

    def problem(self) -> tuple[str, str] | None:
        if "*" in self.target_model or self.target_model != self.target_model.strip():
            return (
                "target_model",
                "write the name of one model; a glob is for what a condition asks of the model",
            )
        return super().problem() or _first(self.conditions)


class Price(Entity, frozen=True, kw_only=True):
    """What a model costs, in dollars per million tokens; ``None`` where that is not known."""

    required: ClassVar[tuple[str, ...]] = ("provider", "model")

    provider: str = ""
    model: str = ""
    input: float | None = None
    output: float | None = None
    cache_read: float | None = None
    cache_write: float | None = None
    cache_write_1h: float | None = None

    @property
    def natural_key(self) -> str:
        return f"{self.provider}/{self.model}"


KINDS: Mapping[str, type[Entity]] = {
    "agents": Agent,
    "teams": Team,
    "users": User,
    "virtual_keys": VirtualKey,
    "provider_secrets": ProviderSecret,
    "console_tokens": ConsoleToken,
    "tool_invocation_policies": ToolInvocationPolicy,
    "trusted_data_policies": TrustedDataPolicy,
    "limits": Limit,
    "model_optimization_rules": ModelOptimizationRule,
    "prices": Price,
}
"""Every kind by its name in the file and in the database."""


def is_over(expires: datetime | None) -> bool:
    """Whether a time has come."""
    return expires is not None and expires <= datetime.now(UTC)


def _first(conditions: Sequence[Condition | RuleCondition]) -> tuple[str, str] | None:
    """Return the first field of some conditions that can't be, and why."""
    for index, condition in enumerate(conditions):
        if found := condition.problem():
            return f"conditions[{index}].{found[0]}", found[1]
    return None


def _slug_problem(name: str) -> str | None:
    return None if SLUG.fullmatch(name) else f"{name!r} is no slug or id; {_SLUG_RULE}"


_LISTED: Mapping[str, Callable[[str], str | None]] = {
    "models": glob_problem,
    "agents": _slug_problem,
    "teams": _slug_problem,
}
"""What each of a field's values must hold, whatever kind it is in: the function returns what is wrong."""
_AMOUNT = (lambda value: 0 <= value < math.inf, "it is a finite number, not below 0")
_DEAREST = 1_000_000
_PRICE = (
    lambda value: 0 <= value <= _DEAREST,
    f"it is dollars per million tokens, from 0 to {_DEAREST:,}",
)
_RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "slug": (lambda value: SLUG.fullmatch(value) is not None, _SLUG_RULE),
    **dict.fromkeys(
        ("agent", "team"), (lambda value: not value or SLUG.fullmatch(value) is not None, _SLUG_RULE)
    ),
    "hash": (
        lambda value: not value or _HASH.fullmatch(value) is not None,
        "a hash is the 64 hexadecimal digits that `llm-gateway keys hash` prints",
    ),
    "expires": (lambda value: value.tzinfo is not None, "a time has its offset: 2027-01-01T00:00:00Z"),
    "amount": _AMOUNT,
    **dict.fromkeys(("input", "output", "cache_read", "cache_write", "cache_write_1h"), _PRICE),
}
"""What a field must hold, whatever kind it is in, and what is said otherwise."""
