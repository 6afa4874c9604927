"""The tools that requests declare, with the policies that are for them; and policies for many tools at once."""

from collections.abc import Mapping, Sequence
from time import time
from typing import Any

import msgspec

from gateway.console.actors import Role
from gateway.console.data import Data
from gateway.console.refusals import Refusal, not_found
from gateway.console.routes import Call, Route
from gateway.console.tool_shapes import (
    Applied,
    Bulk,
    CallSetting,
    Defaults,
    ListedTools,
    OfTool,
    Outcome,
    Outcomes,
    ResultSetting,
    ShownTool,
    ToolFilters,
)
from gateway.core.entities import Agent, Entity, ToolInvocationPolicy, TrustedDataPolicy
from gateway.core.explanation import default_of_calls, default_of_results
from gateway.core.interaction import new_id
from gateway.core.policies import Guard
from gateway.core.rules import Rule
from gateway.core.snapshot import Snapshot
from gateway.core.tool_names import folded, is_glob
from gateway.storage.queries import entities, state, tools

_Policy = ToolInvocationPolicy | TrustedDataPolicy
_KINDS: Mapping[str, tuple[str, type[_Policy]]] = {
    "call": ("tool_invocation_policies", ToolInvocationPolicy),
    "result": ("trusted_data_policies", TrustedDataPolicy),
}


class ToolRoutes:
    """What callers may see of the tools; a virtual key sees its own agent's, and no policies."""

    def __init__(self, data: Data) -> None:
        self._data = data

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route(
                method="GET", path="/api/tools", role=Role.READ, scoped=True, handle=self._list, query=ToolFilters,
                answer=ListedTools, summary="Tools that requests declare, by name, with the policies for them.",
            ),
            Route(
                method="GET", path="/api/tools/{id}", role=Role.READ, scoped=True, handle=self._read,
                answer=ShownTool, summary="One tool, and all that it has said of itself.",
            ),
            Route(
                method="POST", path="/api/tools/policies", role=Role.OPERATE, handle=self._set, body=Bulk,
                answer=Outcomes, summary="Set the default policy, or one with conditions, of many tools.",
            ),
        ]  # fmt: skip

    async def _list(self, call: Call) -> Any:
        query: ToolFilters = call.query
        own = call.actor.agent
        if own is not None and query.agent not in (None, own):
            raise Refusal(403, "This key sees its own agent's tools alone.", "agent")
        async with self._data.read() as connection:
            items, after = await tools.page(connection, query.wanted(own), query.limit, query.after)
        return {"items": [self._with_policies(item, own) for item in items], "next": after}

    async def _read(self, call: Call) -> Any:
        own = call.actor.agent
        async with self._data.read() as connection:
            found = await tools.one(connection, call.params["id"])
        if found is None or (own is not None and found["agent"] != own):
            raise not_found("tool")
        return self._with_policies(found, own)

    def _with_policies(self, item: dict[str, Any], own: str | None) -> dict[str, Any]:
        if own is not None:
            return item | {"policies": None, "default": None}
        name, guard = item["name"], guard_of(self._data.snapshot, item["agent"])
        applied = OfTool(_applied(guard.call_rules.of(name)), _applied(guard.result_rules.of(name)))
        default = Defaults(default_of_calls(guard, name), default_of_results(guard, name))
        return item | {"policies": applied, "default": default}

    async def _set(self, call: Call) -> Any:
        body: Bulk = call.body
        settings = [(kind, each) for kind in _KINDS if (each := getattr(body, kind)) is not None]
        if not settings:
            raise Refusal(400, "Say what is to be done with calls, with results, or with both.", "call")
        async with self._data.write() as connection:
            await state.increase(connection, "version", 0)  # in line: nobody changes what is read here
            names = await self._names(connection, body.tools)
            wanted = [(kind, self._policies(kind, setting, names, body)) for kind, setting in settings]
            self._refuse_declared(wanted)
            change = _Change(connection, call)
            items = [each for kind, policies in wanted for each in await change.put(kind, policies)]
        return Outcomes(items)

    async def _names(self, connection: Any, said: Sequence[str]) -> list[str]:
        """Return the names that are meant; raise ``Refusal`` for what does not mean one tool."""
        by_id, called = await tools.names(connection, said)
        names = []
        for index, each in enumerate(said):
            place = f"tools[{index}]"
            if each in by_id and each in called:
                raise Refusal(400, "This is one tool's id and another one's name.", place)
            name = by_id.get(each, each)
            if is_glob(name):
                raise Refusal(
                    400,
                    f"{name!r} would stand for many tools: create a policy of its own for that.",
                    place,
                )
            names.append(name)
        return list({folded(name): name for name in names}.values())

    def _policies(
        self, kind: str, setting: CallSetting | ResultSetting, names: Sequence[str], body: Bulk
    ) -> list[_Policy]:
        type_ = _KINDS[kind][1]
        values = msgspec.structs.asdict(setting) | {"agents": body.agents, "teams": body.teams}
        policies = [type_(tool=name, id=new_id(time()), **values) for name in names]
        for policy in policies:
            if found := policy.problem() or self._data.snapshot.dangling(policy):
                field, why = found
                # What they have in common is wrong of all; only the name is one tool's.
                place = field if field.startswith(("agents", "teams")) else f"{kind}.{field}"
                if field == "tool":
                    place = "tools"
                raise Refusal(400, f"{why[0].upper()}{why[1:]}.", place)
        return policies

    def _refuse_declared(self, wanted: Sequence[tuple[str, Sequence[_Policy]]]) -> None:
        taken = []
        for kind, policies in wanted:
            declared = {_key(row): row for row in self._data.declared(_KINDS[kind][0])}
            taken += [f"{policy.tool} ({kind})" for policy in policies if _key(policy) in declared]
        if taken:
            raise Refusal(
                409,
                f"The configuration file has the policy of {', '.join(taken)}: change it there. Nothing was changed.",
                "tools",
            )


class _Change:
    """Puts policies in place within one transaction."""

    def __init__(self, connection: Any, call: Call) -> None:
        self._connection = connection
        self._who = (call.actor.name, call.peer)

    async def put(self, kind: str, policies: Sequence[_Policy]) -> list[Outcome]:
        """Create each policy, or put it in the place of those for the same tool, conditions and scope."""
        table, type_ = _KINDS[kind]
        _, rows = await entities.load_all(self._connection, {table: type_})
        there: dict[Any, list[Entity]] = {}
        for row in rows[table]:
            if isinstance(row, type_):
                there.setdefault(_key(row), []).append(row)
        return [
            Outcome(policy.tool, kind, *await self._put(table, policy, there.get(_key(policy), ())))  # type: ignore[arg-type]  # one of both
            for policy in policies
        ]

    async def _put(self, table: str, policy: _Policy, there: Sequence[Entity]) -> tuple[str, Any]:
        if not there:
            await entities.create(self._connection, table, policy, *self._who)
            return policy.id, "created"
        first, *others = there
        # Of several the strictest would go on holding, whatever is said here.
        for other in others:
            await entities.delete(self._connection, table, other.id, *self._who)
        changed = msgspec.structs.replace(policy, id=first.id, tool=getattr(first, "tool", policy.tool))
        if changed != first:
            await entities.update(self._connection, table, changed, *self._who)
        return first.id, "unchanged" if changed == first and not others else "changed"


def guard_of(snapshot: Snapshot, name: str) -> Guard:
    """Return the policies for an agent and its team; of one that is not there any more, those for all."""
    agent = snapshot.agents.get(name) or Agent(id=name, slug=name)
    return snapshot.guard(agent, snapshot.team_names((agent.team,)))


def _applied(rules: Sequence[Rule]) -> list[Applied]:
    return [
        Applied(
            id=rule.id,
            tool=rule.tool,
            action=rule.action,
            mode=rule.policy.mode,
            conditioned=rule.specific,
            declared=rule.policy.declared,
        )
        for rule in rules
    ]


def _key(policy: Entity) -> Any:
    """Return what two policies have in common of which one replaces the other."""
    assert isinstance(policy, ToolInvocationPolicy | TrustedDataPolicy)
    conditions = msgspec.json.encode(policy.conditions)
    return folded(policy.tool), conditions, frozenset(policy.agents), frozenset(policy.teams)
