"""All that is declared or created, as one immutable value that the hot path reads and never queries.

Declared rows win over rows of the database with the same id or natural key. A new snapshot replaces the old one in a
single assignment; whoever serves a request reads ``snapshots.current`` once and stays with it.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeVar

import msgspec

from gateway.core.dispatch import ToolDispatcher
from gateway.core.dual_llm import DualLlm
from gateway.core.entities import (
    KINDS,
    Agent,
    ConsoleToken,
    Entity,
    Limit,
    ModelOptimizationRule,
    Price,
    Team,
    ToolInvocationPolicy,
    TrustedDataPolicy,
    User,
    VirtualKey,
)
from gateway.core.policies import Guard, Policies
from gateway.core.provider import Providers
from gateway.core.rules import NO_DEFAULTS, DefaultPolicies

AuthMode = Literal["passthrough", "required", "open"]
Entities = Mapping[str, Sequence[Entity]]
"""By kind."""

_REFERENCES = {"agent": "agents", "agents": "agents", "team": "teams", "teams": "teams"}
"""Fields that name other entities, and of which kind."""
_SCOPES = {"agent": "agents", "team": "teams", "virtual_key": "virtual_keys"}
"""The same of ``scope_id``, by the scope."""
_Kind = TypeVar("_Kind", bound=Entity)
_Named = TypeVar("_Named", Agent, Team, User)


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What holds at one moment."""

    version: int = 0
    """Of the database's part."""
    auth: AuthMode = "passthrough"
    default_agent: str = "default"
    agents: Mapping[str, Agent] = {}
    """By slug and by id, as teams and users."""
    teams: Mapping[str, Team] = {}
    users: Mapping[str, User] = {}
    virtual_keys: Mapping[bytes, VirtualKey] = {}
    """By keyed hash."""
    console_tokens: Mapping[bytes, ConsoleToken] = {}
    """By keyed hash."""
    providers: Providers = msgspec.field(default_factory=Providers)
    secrets: Mapping[str, str] = {}
    """The operator's own keys by provider, decrypted. Never logged."""
    policies: Policies = Policies()
    """On calls and on results."""
    dual_llm: DualLlm = DualLlm()
    limits: tuple[Limit, ...] = ()
    model_optimization_rules: tuple[ModelOptimizationRule, ...] = ()
    prices: Mapping[tuple[str, str], Price] = {}
    """By provider and model."""

    @property
    def tool_invocation_policies(self) -> tuple[ToolInvocationPolicy, ...]:
        """Those on calls, as they were written."""
        return self.policies.on_calls

    @property
    def trusted_data_policies(self) -> tuple[TrustedDataPolicy, ...]:
        """Those on results, as they were written."""
        return self.policies.on_results

    def guard(self, agent: Agent, teams: Sequence[str]) -> Guard:
        """Return the policies for an agent and the teams that it, or whoever it works for, belongs to."""
        return self.policies.guard(frozenset((agent.slug, agent.id)), frozenset(teams))

    def team_names(self, references: Sequence[str]) -> tuple[str, ...]:
        """Return the slugs and the ids of the teams that are meant."""
        names: dict[str, None] = {}
        for reference in filter(None, references):
            team = self.teams.get(reference)
            names.update(dict.fromkeys((team.id, team.slug) if team else (reference,)))
        return tuple(names)

    def dangling(self, entity: Entity) -> tuple[str, str] | None:
        """Return the first field that names what is not there, and what is wrong; ``None`` if there is none.

        Users may be anybody: they need not be set up.
        """
        if isinstance(entity, Limit) and entity.scope in _SCOPES:
            kind = _SCOPES[entity.scope]
            there = (
                {key.id for key in self.virtual_keys.values()}
                if kind == "virtual_keys"
                else getattr(self, kind)
            )
            if entity.scope_id not in there:
                return "scope_id", _absent(kind)
        for field in entity.__struct_fields__:
            value = getattr(entity, field)
            for name in value if isinstance(value, tuple) else (value,):
                if not name:
                    continue
                if field in _REFERENCES and name not in getattr(self, _REFERENCES[field]):
                    return field, _absent(_REFERENCES[field])
                if field in ("provider", "providers") and name not in self.providers:
                    return field, "there is no such provider"
        return None

    def __repr__(self) -> str:
        return f"<Snapshot of version {self.version}>"


class Snapshots:
    """Holds the current snapshot."""

    __slots__ = ("current",)

    def __init__(self, current: Snapshot | None = None) -> None:
        self.current = current or Snapshot()


def merged(created: Entities, declared: Entities) -> Entities:
    """Return the rows of the database under those of the file, by kind."""
    result = {}
    for kind in KINDS:
        own = declared.get(kind, ())
        taken = {name for entity in own for name in (entity.id, entity.natural_key)}
        others = (e for e in created.get(kind, ()) if e.id not in taken and e.natural_key not in taken)
        result[kind] = (*own, *others)
    return result


def build(
    entities: Entities,
    *,
    version: int = 0,
    auth: AuthMode = "passthrough",
    default_agent: str = "default",
    providers: Providers | None = None,
    secrets: Mapping[str, str] | None = None,
    default_policies: DefaultPolicies = NO_DEFAULTS,
    tool_dispatchers: Sequence[ToolDispatcher] = (),
    dual_llm: DualLlm = DualLlm(),  # noqa: B008  # immutable
) -> Snapshot:
    """Return the snapshot of merged entities; the default agent is there even if nobody made it."""

    def every(kind: type[_Kind]) -> tuple[_Kind, ...]:
        return tuple(e for rows in entities.values() for e in rows if isinstance(e, kind))

    agents = _by_name(every(Agent))
    if default_agent not in agents:
        agents[default_agent] = Agent(id=default_agent, slug=default_agent)
    return Snapshot(
        version=version,
        auth=auth,
        default_agent=default_agent,
        agents=agents,
        teams=_by_name(every(Team)),
        users=_by_name(every(User)),
        virtual_keys={bytes.fromhex(key.hash): key for key in every(VirtualKey)},
        console_tokens={bytes.fromhex(token.hash): token for token in every(ConsoleToken)},
        providers=Providers() if providers is None else providers,
        secrets=secrets or {},
        policies=Policies(
            every(ToolInvocationPolicy), every(TrustedDataPolicy), default_policies, tool_dispatchers
        ),
        dual_llm=dual_llm,
        limits=every(Limit),
        model_optimization_rules=every(ModelOptimizationRule),
        prices={(price.provider, price.model): price for price in every(Price)},
    )


def _absent(kind: str) -> str:
    return f"there is none of this name among the {kind.replace('_', ' ')}"


def _by_name(entities: Sequence[_Named]) -> dict[str, _Named]:
    """Map slugs and ids; an id beats a slug that someone made equal to it."""
    return {entity.slug: entity for entity in entities} | {entity.id: entity for entity in entities}
