"""What policies would say of a call or a result, and why; nothing is changed by asking."""

import asyncio
from typing import Any

import msgspec

from gateway.console.actors import Role
from gateway.console.data import Data
from gateway.console.refusals import Refusal
from gateway.console.routes import Call, Route
from gateway.console.tool_shapes import Draft, Explained, Question
from gateway.core.entities import Agent, ToolInvocationPolicy, TrustedDataPolicy
from gateway.core.evaluation import Context
from gateway.core.explanation import Explanation, explain_call, explain_result
from gateway.core.policies import Guard
from gateway.core.snapshot import Snapshot
from gateway.core.view import Text, ToolCall, ToolResult


class Evaluation:
    """Answers what policies decide."""

    def __init__(self, data: Data) -> None:
        self._data = data

    def routes(self) -> list[Route]:
        """Return the route."""
        return [
            Route(
                method="POST", path="/api/policies/evaluate", role=Role.READ, changes=False, handle=self._evaluate,
                body=Question, answer=Explained, summary="What policies decide of a call or a result, and why.",
            )
        ]  # fmt: skip

    async def _evaluate(self, call: Call) -> Explained:
        # Patterns take linear time, but a document may be large, and answers in flight don't wait for it.
        return await asyncio.to_thread(_answer, self._data.snapshot, call.body)


def _answer(snapshot: Snapshot, asked: Question) -> Explained:
    if asked.arguments is not msgspec.UNSET and asked.result is not msgspec.UNSET:
        raise Refusal(400, "Ask about a call's arguments, or about a result.", "result")
    agent = snapshot.agents.get(asked.context.agent or snapshot.default_agent)
    if agent is None:
        raise Refusal(400, "There is no such agent.", "context.agent")
    teams = _teams(snapshot, asked, agent)
    guard = _guard(snapshot, asked, agent, teams)
    said = asked.context
    context = Context(
        team_ids=teams,
        agent_id=agent.id,
        user_id=said.user,
        external_agent_id=said.external_agent,
        model=said.model,
        provider=said.provider,
    )
    untrusted = agent.context_untrusted if said.untrusted is None else said.untrusted
    found: Explanation
    if asked.result is msgspec.UNSET:
        arguments = "{}" if asked.arguments is msgspec.UNSET else _json(asked.arguments) or "{}"
        found = explain_call(guard, ToolCall("", asked.tool, arguments), context, untrusted=untrusted)
    else:
        texts = (Text(_json(asked.result), ()),)
        found = explain_result(guard, ToolResult("", asked.tool, asked.is_error, (), texts), context)
    return Explained(**msgspec.structs.asdict(found), untrusted=untrusted)


def _json(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _teams(snapshot: Snapshot, asked: Question, agent: Agent) -> tuple[str, ...]:
    if asked.context.team_ids is not None:
        return snapshot.team_names(asked.context.team_ids)
    user = snapshot.users.get(asked.context.user)
    return snapshot.team_names((agent.team, user.team if user else ""))


def _guard(snapshot: Snapshot, asked: Question, agent: Agent, teams: tuple[str, ...]) -> Guard:
    if not asked.policies and not asked.instead and asked.context.team_ids is None:
        return snapshot.guard(agent, teams)  # which is kept: teams that somebody makes up must not be
    calls = asked.result is msgspec.UNSET
    kind = ToolInvocationPolicy if calls else TrustedDataPolicy
    drafts = [_draft(kind, index, draft) for index, draft in enumerate(asked.policies)]
    if len({draft.id for draft in drafts}) < len(drafts):
        raise Refusal(400, "Two of them have the same id.", "policies")
    tried = snapshot.policies.tried(**{"calls" if calls else "results": drafts}, instead=asked.instead)
    return tried.guard(frozenset((agent.slug, agent.id)), frozenset(teams))


def _draft(kind: type[ToolInvocationPolicy | TrustedDataPolicy], index: int, draft: Draft) -> Any:
    place = f"policies[{index}]"
    try:
        policy = draft.entity(kind, f"draft-{index}")
    except msgspec.ValidationError:
        what = "a call" if kind is ToolInvocationPolicy else "a result"
        raise Refusal(400, f"This action is not one on {what}.", f"{place}.action") from None
    if found := policy.problem():
        field, why = found
        raise Refusal(400, f"{why[0].upper()}{why[1:]}.", f"{place}.{field}")
    return policy
