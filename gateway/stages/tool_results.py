"""Trusted-data policies: what a tool's result may do, decided before any model reads it.

A blocked result is replaced by a notice, one to be sanitised is left to the dual LLM, and one that is not trusted
makes the whole conversation untrusted. A request is refused if something would have to take the place of a result that
must go back to the provider as it came. What is decided depends on the result and the policies alone, so a history is
changed in the same way on every turn.
"""

from collections.abc import Sequence

import msgspec
import structlog

from gateway.core.decision import Decision
from gateway.core.errors import Forbidden
from gateway.core.interaction import Interaction, Note
from gateway.core.rules import BLOCK, SANITIZE, TRUST, notice
from gateway.core.stage import Stage
from gateway.core.tool_names import shown
from gateway.core.view import ToolResult

_MOST = 100
"""Decisions on results that a record holds: a history may have any number of them."""
_NAMED = 20
"""Tools that a refusal names."""

_log = structlog.get_logger()


class ResultsNote(Note, tag="tool_results"):
    """What the results of a conversation came to."""

    results: int
    untrusted: int = 0
    blocked: int = 0
    sanitized: int = 0


class ToolResults(Stage):
    """Judges the results that a request sends."""

    async def on_request(self, i: Interaction) -> None:
        """Judge each: withhold it, mark it, or let it be."""
        guard = i.guard
        if not (guard.judges_results or guard.holds) or i.endpoint.opaque or i.source == "dual_llm":
            return
        results = i.request.tool_results
        if not results:
            return
        context = i.context
        note = ResultsNote(len(results))
        told: dict[Decision, None] = {}
        refused: list[tuple[ToolResult, Decision]] = []
        for result in results:
            verdict = guard.result(result, context)
            decision = verdict.decision
            if verdict.shadow:
                told.update(dict.fromkeys(verdict.shadow))
            if decision.action == TRUST:
                continue
            if result.fixed and decision.action in (SANITIZE, BLOCK):
                note.blocked += 1
                decision = msgspec.structs.replace(decision, blocked=True)
                refused.append((result, decision))
            elif decision.action == SANITIZE:
                note.sanitized += 1
                i.quarantined.append(result)
            elif decision.action == BLOCK:
                note.blocked += 1
                i.request.set_tool_result(result, notice(result.name, decision.reason))
            else:
                note.untrusted += 1
            if decision not in told:
                told[decision] = None
                # Of those that are decided alike the first is told apart: it is what made the conversation untrusted.
                i.decisions.append(msgspec.structs.replace(decision, call_id=result.id))
        i.decisions.extend(decision for decision in told if decision.mode == "shadow")
        del i.decisions[_MOST:]
        i.notes["tool_results"] = note
        if note.untrusted or note.blocked:
            i.context_untrusted = True
        if refused:
            raise _refusal(refused)

    async def on_done(self, batch: Sequence[Interaction]) -> None:
        """Say of requests whose results nobody judged whether they have any: no policy trusts those."""
        for i in batch:
            if i.context_untrusted or i.principal is None or i.guard.judges_results or i.guard.holds:
                continue
            try:
                i.context_untrusted = i.request.may_hold_results() and bool(i.request.tool_results)
            except Exception:  # noqa: BLE001  # what can't be read of one must not cost the others their records
                _log.exception("the results of a request could not be read", id=i.id)


def _refusal(refused: Sequence[tuple[ToolResult, Decision]]) -> Forbidden:
    """Return why a request can't be sent on with results that nothing can replace; never what they say."""
    names = list(dict.fromkeys(shown(result.name) if result.name else "a tool" for result, _ in refused))
    named = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    reason = refused[0][1].reason
    return Forbidden(
        f"The result of {named}, which the provider ran by itself, was denied by a trusted data policy. "
        f"{reason}{' ' if reason else ''}"
        "Nothing can take its place, as it must go back as it came: leave that item out of the conversation."
    )
