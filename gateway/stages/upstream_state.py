"""Conversations that the provider keeps: what is known of their earlier turns, and what happens where nothing is.

What a request leaves to the provider's memory no policy can see. So the names of the calls that an answer made are
remembered under the answer's id, with whether its conversation was trusted; what is not remembered is untrusted.
Where policies on calls are enforced, nothing more is kept upstream, for a refused call would stay in it, and a
request that leaves out what nobody here remembers gets the error by which clients send the whole conversation.
"""

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import TypeVar

import msgspec
import structlog

from gateway.core.errors import Forbidden, ReplayNeeded
from gateway.core.interaction import Interaction, Note
from gateway.core.reference import Reference
from gateway.core.rules import TRUST
from gateway.core.stage import Stage
from gateway.core.view import Tool, ToolResult

_MOST = 50_000
"""Answers that are remembered, and calls."""
_MOST_PENDING = 10_000
_UNSEEN = Tool("", server_executed=True)
"""Stands for whatever tools a stored object brings."""

_NAME = "upstream_state"

_log = structlog.get_logger()

_Scope = tuple[str, str]
"""A provider and an agent: what one agent's conversations hold is nothing to another one's."""
_Key = tuple[_Scope, str]
_Value = TypeVar("_Value")


class StateNote(Note, tag=_NAME):
    """What a request left to the provider's memory."""

    hidden: tuple[str, ...] = ()
    """What in the body did so, and hid what nobody here remembers."""
    remembered: bool = False
    """It went on from an answer that is remembered."""
    forgotten: bool = False
    """The provider was asked to keep nothing of it."""


class Kept(msgspec.Struct, frozen=True, gc=False):
    """What is remembered of an answer that the provider keeps."""

    untrusted: bool
    broken: bool
    """The client has not got all of it, such as a refused call: to go on from it would fail upstream."""
    policies: bytes
    """The version of those that judged the conversation."""


class UpstreamState(Stage):
    """Remembers what providers keep, and has them keep nothing where calls may be refused."""

    def __init__(self) -> None:
        self._answers: OrderedDict[_Key, Kept] = OrderedDict()
        self._calls: OrderedDict[_Key, str] = OrderedDict()
        self._pending: OrderedDict[str, Interaction] = OrderedDict()
        """Answers that may have reached their clients and are not remembered yet: ``on_done`` comes later."""

    async def on_request(self, i: Interaction) -> None:
        """Look up what the request refers to; refuse what can't be looked up where policies on calls are enforced."""
        if not _is_seen(i):
            return
        request = i.request
        keeps = request.keeps
        if _is_judged(i):
            note = self._look(i)
            if i.guard.holds and keeps:
                request.forget()
                note.forgotten = True
                i.notes[_NAME] = note
                if keeps := request.keeps:
                    raise _replay(next((reference.member for reference in request.hidden), ""))
        if keeps:
            self._await(i)

    async def on_done(self, batch: Sequence[Interaction]) -> None:
        """Remember answers that have ended; say of requests that nobody judged whether something was hidden."""
        for i in batch:
            if _is_seen(i) and not _is_judged(i):
                try:
                    self._look(i)
                except Exception:  # noqa: BLE001  # what can't be read of one must not cost the others their records
                    _log.exception("what a request refers to could not be read", id=i.id)
            if self._pending.pop(i.id, None) is not None:
                self._remember(i)

    def _look(self, i: Interaction) -> StateNote:
        """Look up all that a request refers to."""
        note = StateNote()
        hidden = i.request.hidden
        for reference in hidden:
            self._look_up(i, reference, note)
        if hidden:
            i.notes[_NAME] = note
        return note

    def _look_up(self, i: Interaction, reference: Reference, note: StateNote) -> None:
        """Have the request say what is remembered, or raise; what is not remembered can't be trusted."""
        scope = _scope(i)
        member = reference.member
        holds = i.guard.holds
        if reference.kind == "deferred":
            if holds:
                raise Forbidden(
                    f"{member} has the answer fetched where no policy on tool calls can judge it; "
                    "leave it out while tool_invocation_policies are enforced."
                )
            return
        if reference.kind == "answer":
            kept = self._find(scope, reference.id)
            if kept is not None and not kept.broken:
                i.request.earlier_name = partial(self._name, scope)
                i.context_untrusted |= kept.untrusted or kept.policies != i.guard.version
                note.remembered = True
                return
            if holds or (kept is not None and i.hold):
                raise _replay(member)
        elif reference.kind == "history":
            if holds:
                raise _replay(member)
            for other in self._pending.values():
                if _scope(other) == scope:
                    self._remember(other)
            i.request.earlier_name = partial(self._name, scope)
        elif reference.kind == "tools":
            self._judge_unseen(i, member)
        note.hidden = (*note.hidden, member)
        i.context_untrusted = True

    def _judge_unseen(self, i: Interaction, member: str) -> None:
        """Refuse tools that nobody sees, where one of which nothing is known would be refused."""
        if not i.guard.holds:
            return
        verdict = i.guard.declared(_UNSEEN, i.context, untrusted=True)
        if verdict.refused:
            i.decisions += verdict.decisions
            raise Forbidden(
                f"{member} may bring tools that the provider runs by itself and that the gateway can't see, which was "
                f"denied by a tool invocation policy. {verdict.refused.reason} Send the request without it."
            )

    def _await(self, i: Interaction) -> None:
        self._pending[i.id] = i
        if len(self._pending) > _MOST_PENDING:
            self._remember(self._pending.popitem(last=False)[1])

    def _find(self, scope: _Scope, id_: str) -> Kept | None:
        """Return what is known of an answer, also of one whose last byte has just left."""
        if (scope, id_) not in self._answers:
            for i in self._pending.values():
                if i.completion.response_id == id_ and _scope(i) == scope:
                    self._remember(i)
        return self._answers.get((scope, id_))

    def _name(self, scope: _Scope, call: str) -> str:
        return self._calls.get((scope, call), "")

    def _remember(self, i: Interaction) -> None:
        completion = i.completion
        if not completion.response_id:
            return
        scope = _scope(i)
        calls = completion.tool_calls
        ran = (ToolResult(call.id, call.name, False, ()) for call in calls if call.server_executed)  # noqa: FBT003  # what came of it is not told
        untrusted = (
            i.context_untrusted
            or completion.finish_reason is None  # what else is in it, nobody here has seen
            or _unjudged(i)
            or any(i.guard.result(result, i.context).action != TRUST for result in ran)
        )
        broken = i.refusal is not None or i.error is not None
        kept = Kept(untrusted, broken, i.guard.version)
        _put(self._answers, (scope, completion.response_id), kept)
        for call in calls:
            if not call.server_executed:
                _put(self._calls, (scope, call.id), call.name)


def _scope(i: Interaction) -> _Scope:
    return i.provider.name, i.principal.agent if i.principal else ""


def _is_seen(i: Interaction) -> bool:
    """Whether an answer may hold calls, and is a client's."""
    return i.endpoint.carries_calls and i.source != "dual_llm"


def _is_judged(i: Interaction) -> bool:
    """Whether anything may come of what is known; else it is looked at when the answer has ended."""
    return i.guard.holds or i.guard.judges_results or i.hold


def _unjudged(i: Interaction) -> bool:
    """Whether results were sent that no policy has judged, so that none can have trusted them."""
    if i.guard.judges_results or i.guard.holds:
        return False
    return not i.request.body or bool(i.request.tool_results)


def _put(kept: "OrderedDict[_Key, _Value]", key: _Key, value: _Value) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > _MOST:
        kept.popitem(last=False)


def _replay(member: str) -> ReplayNeeded:
    return ReplayNeeded(
        f"What {member} refers to is kept by the provider, where no policy on tool calls can judge it, or was not "
        "kept. Send the whole conversation instead, with every item in full.",
        member,
    )
