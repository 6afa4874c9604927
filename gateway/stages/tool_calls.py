"""Tool-invocation policies: the verdict on what a model calls, and on what a provider would run by itself."""

from collections.abc import Sequence
from functools import cache

from gateway.core.decision import Decision
from gateway.core.errors import Forbidden
from gateway.core.evaluation import Context
from gateway.core.interaction import Interaction
from gateway.core.rules import TRUST, refusal_text
from gateway.core.stage import Stage
from gateway.core.tool_names import shown
from gateway.core.view import ToolCall, ToolResult

BLOCKED_TOOLS = "x-gateway-blocked-tools"
_NAMED = 20
"""Tools that a header names."""
_MOST = 1000
"""Decisions on calls that a record holds; all are made."""


class ToolCalls(Stage):
    """Has answers held where a policy on calls is enforced, and judges all calls of an answer at once."""

    gates = False

    async def on_request(self, i: Interaction) -> None:
        """Have the answer held; refuse a request for a tool that the provider would run against a policy."""
        guard = i.guard
        if not guard.holds or i.source == "dual_llm":
            return
        i.hold = True
        if not i.endpoint.carries_calls:
            return
        refused: list[Decision] = []
        for tool in i.request.tools:
            if tool.server_executed:
                verdict = guard.declared(tool, i.context, untrusted=i.context_untrusted)
                i.decisions += verdict.decisions
                refused += [verdict.refused] if verdict.refused else []
        if refused:
            _note_blocked(i, refused)
            names = ", ".join(map(shown, i.blocked_tools))
            raise Forbidden(
                f"{names}, which the provider would run by itself, was denied by a tool invocation policy. "
                f"{refused[0].reason} Send the request without it."
            )

    async def on_tool_calls(self, i: Interaction) -> None:
        """Judge the calls of an answer: one that is refused refuses them all, as agents expect results for each."""
        if not i.guard.holds:
            return
        decisions, refused = _judge(i)
        if len(decisions) > _MOST:
            decisions.sort(
                key=lambda decision: not decision.blocked
            )  # those that refuse are told in any case
        i.decisions += decisions[:_MOST]
        if not refused:
            return
        _note_blocked(i, refused)
        said = i.completion.text
        apart = "\n\n" if said and not said[-1].isspace() else ""  # clients join all texts of an answer
        i.refusal = apart + refusal_text(i.blocked_tools, refused[0].reason, i.id)

    async def on_done(self, batch: Sequence[Interaction]) -> None:
        """Judge what nobody held, where policies are only tried out."""
        for i in batch:
            if i.guard.shadows and not i.guard.holds and i.completion.begun:
                decisions, _ = _judge(i)
                i.decisions += [decision for decision in decisions if decision.mode == "shadow"][:_MOST]


def _judge(i: Interaction) -> tuple[list[Decision], list[Decision]]:
    """Return all decisions, and those that refuse."""
    guard = i.guard
    context = i.context
    calls = i.completion.tool_calls
    i.context_untrusted = untrusted = i.context_untrusted or _reads_untrusted(i, calls, context)
    declares = cache(lambda: {tool.name for tool in i.request.tools})
    decisions: list[Decision] = []
    refused: list[Decision] = []
    for call in calls:
        if call.server_executed:
            continue  # it ran: it was judged before the request was sent
        verdict = guard.call(call, context, untrusted=untrusted, declares=declares)
        decisions += verdict.decisions
        if verdict.refused:
            refused.append(verdict.refused)
    return decisions, refused


def _reads_untrusted(i: Interaction, calls: Sequence[ToolCall], context: Context) -> bool:
    """Whether the model may have read something untrusted in this very answer, of a tool that the provider ran.

    On some wires they run without a trace of a call: then all count that the request declares.
    """
    ran = {call.name for call in calls if call.server_executed}
    if not i.endpoint.response.shows_hosted and any(not call.server_executed for call in calls):
        ran |= {tool.name for tool in i.request.tools if tool.server_executed}
    # What came of them is not told.
    results = (ToolResult("", name, False, ()) for name in ran)  # noqa: FBT003  # as in the line above
    return any(i.guard.result(result, context).action != TRUST for result in results)


def _note_blocked(i: Interaction, refused: Sequence[Decision]) -> None:
    i.blocked_tools = tuple(dict.fromkeys(decision.tool for decision in refused))
    i.response_headers[BLOCKED_TOOLS] = ", ".join(map(_as_header, i.blocked_tools[:_NAMED]))


def _as_header(name: str) -> str:
    return shown(name).encode("ascii", "replace").decode().replace(",", "?")
