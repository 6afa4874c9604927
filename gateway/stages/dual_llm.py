"""Results that no main model may see: each is asked about, and a summary takes its place.

All results of a request are asked about at the same time, under one deadline and one budget of tokens. Whatever fails,
fails closed: a notice takes the result's place, and the conversation is untrusted.

A summary is remembered under its tenant's agent, the policies, what the user had said, the tool and the result, in
memory and where it outlives the process, so that the same result is replaced by the same bytes on every later turn:
providers' prompt caches depend on it, and asking costs money. Two requests that need the same summary at once ask once.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha256
from time import monotonic, perf_counter
from typing import Protocol

import msgspec
import structlog

from gateway.core import tokens
from gateway.core.decision import Decision
from gateway.core.dual_llm import (
    Asked,
    DualLlm,
    Unsummarised,
    dual_llm,
    require_plain,
    tasks,
    text_of,
    withheld,
)
from gateway.core.errors import GatewayError
from gateway.core.interaction import Interaction, Note
from gateway.core.snapshot import Snapshots
from gateway.core.stage import Stage
from gateway.core.view import ToolResult

TOKEN_BUDGET = 400_000
"""Tokens that the questions about all results of one request may take together: enough for as many of the longest as
are asked about at the same time, so that those come to an end."""
CONCURRENCY = 4
"""Results of one request that are asked about at the same time."""
_ORGANIZATION = b"default"
_MEMORY = 8 << 20
"""Bytes of summaries that are kept in memory."""
_MOST = 100
"""Decisions on withheld results that a record holds: a history may have any number of them."""
_OVERHEAD = 256
"""Bytes that one takes beside its text, roughly."""
_FRESH = 3600.0
"""Seconds after which the use of a summary is told to where it is stored, which forgets what is not used."""
_STORE = 2.0
"""Seconds to wait for where they are stored."""

_log = structlog.get_logger()


class _Hash(Protocol):
    def copy(self) -> "_Hash":
        """Return one that goes on by itself."""

    def update(self, data: bytes, /) -> None:
        """Hash more."""

    def digest(self) -> bytes:
        """Return what all of it comes to."""


class Reply(msgspec.Struct, frozen=True):
    """What a model answered."""

    text: str
    tokens: int | None = None
    """What it used; ``None``: nobody said."""


Complete = Callable[[Interaction, str, Asked, float], Awaitable[Reply]]
"""Asks a model (``provider/model``, or empty for the request's own) on behalf of an interaction, within seconds."""
Load = Callable[[Sequence[bytes]], Awaitable[Mapping[bytes, str]]]
Save = Callable[[bytes, str], Awaitable[str]]
"""Keeps a summary, and returns the one that holds: another process may have been faster."""


class DualLlmNote(Note, tag="dual_llm"):
    """What became of the results that had to be summarised."""

    summarised: int = 0
    remembered: int = 0
    """Those of them that had been asked about before."""
    withheld: int = 0
    questions: int = 0
    """Prompts that were sent."""
    tokens: int = 0
    reasons: list[str] = msgspec.field(default_factory=list)
    """Why results were withheld; never anything that they say."""


async def _load_nothing(_: Sequence[bytes]) -> Mapping[bytes, str]:
    return {}


async def _save_nowhere(_: bytes, text: str) -> str:
    return text


class DualLlmStage(Stage):
    """Replaces results by summaries."""

    def __init__(
        self,
        snapshots: Snapshots,
        complete: Complete,
        load: Load = _load_nothing,
        save: Save = _save_nowhere,
    ) -> None:
        """``load``, ``save``: where summaries outlive the process."""
        self._snapshots = snapshots
        self._complete = complete
        self._load = load
        self._save = save
        self._memory: OrderedDict[bytes, tuple[str, float]] = OrderedDict()
        self._size = 0
        self._flights: dict[bytes, asyncio.Future[None]] = {}

    async def on_request(self, i: Interaction) -> None:
        """Replace every quarantined result; by a notice, if anything goes wrong. Raises for what can't be replaced."""
        if not i.quarantined or i.source == "dual_llm":
            return
        require_plain(i.request, i.quarantined)
        note = i.notes["dual_llm"] = DualLlmNote()
        run = _Run(i, self._snapshots.current.dual_llm, self._complete, note)
        began = perf_counter()
        try:
            replacements = await self._replacements(run)
        except Exception as error:  # noqa: BLE001  # whatever it is, no result may pass for it
            replacements = [_reason(error, i)] * len(i.quarantined)
        finally:
            i.waited += perf_counter() - began
        for result, found in zip(i.quarantined, replacements, strict=True):
            if isinstance(found, _Withheld):
                i.request.set_tool_result(result, withheld(result.name))
                i.context_untrusted = True
                note.withheld += 1
                if note.withheld <= _MOST:
                    i.decisions.append(_decision(result, found.reason))
                if found.reason not in note.reasons:
                    note.reasons.append(found.reason)
            else:
                i.request.set_tool_result(result, found)
                note.summarised += 1

    async def _replacements(self, run: "_Run") -> "list[str | _Withheld]":
        """Return for each result what stands in its place, or why it is withheld."""
        i = run.i
        agent = i.principal.agent if i.principal else ""
        said = tasks(i.request, i.quarantined)
        key_of = _Keys(agent, run.version)
        keys = [key_of(task, result) for task, result in zip(said, i.quarantined, strict=True)]
        asked = dict(zip(keys, zip(said, i.quarantined, strict=True), strict=True))
        found: dict[bytes, str | _Withheld] = dict(await self._remembered([*asked]))
        run.note.remembered = sum(key in found for key in keys)

        async def ask(key: bytes, task: str, result: ToolResult) -> None:
            try:
                found[key] = await self._summary(run, key, task, result)
            except Exception as error:  # noqa: BLE001  # as above: one that fails is withheld, the others are not
                found[key] = _reason(error, i)

        async with asyncio.TaskGroup() as group:
            for key, (task, result) in asked.items():
                if key not in found:
                    group.create_task(ask(key, task, result))
        return [found[key] for key in keys]

    async def _remembered(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        """Return those that were made before, and keep them from being forgotten."""
        latest = monotonic() - _FRESH
        held = {key: self._memory[key] for key in keys if key in self._memory}
        fresh = {key: text for key, (text, at) in held.items() if at > latest}
        for key in fresh:
            self._memory.move_to_end(key)
        if len(fresh) == len(keys):
            return fresh
        stored = await self._stored([key for key in keys if key not in fresh])
        for key, text in stored.items():
            self._remember(key, text)
        for key in held.keys() - fresh.keys() - stored.keys():
            stored[key] = await self._kept(key, held[key][0])
        return fresh | stored

    async def _stored(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        try:
            async with asyncio.timeout(_STORE):
                return dict(await self._load(keys))
        except Exception as error:  # noqa: BLE001  # drivers raise what they like: what can't be read is asked again
            _log.warning("summaries can't be read", error=type(error).__name__)
            return {}

    async def _kept(self, key: bytes, text: str) -> str:
        """Keep a summary; return the one that holds."""
        try:
            async with asyncio.timeout(_STORE):
                text = await self._save(key, text)
        except Exception as error:  # noqa: BLE001  # as above: then it lasts as long as the process
            _log.warning("a summary can't be stored", error=type(error).__name__)
        self._remember(key, text)
        return text

    def _remember(self, key: bytes, text: str) -> None:
        if before := self._memory.pop(key, None):
            self._size -= _size(before[0])
        self._memory[key] = (text, monotonic())
        self._size += _size(text)
        while self._size > _MEMORY:
            _, (oldest, _at) = self._memory.popitem(last=False)
            self._size -= _size(oldest)

    async def _summary(self, run: "_Run", key: bytes, task: str, result: ToolResult) -> str:
        """Return a summary; whoever needs the same at the same time waits for the first, and asks itself if that fails."""
        while (flight := self._flights.get(key)) is not None:
            await asyncio.wait([flight], timeout=run.left())
            if key in self._memory:
                return self._memory[key][0]
        flight = self._flights[key] = asyncio.get_running_loop().create_future()
        try:
            return await self._kept(key, await run.summarise(task, result))
        finally:
            del self._flights[key]
            flight.set_result(None)


class _Run:
    """All that is asked for one request."""

    def __init__(self, i: Interaction, options: DualLlm, complete: Complete, note: DualLlmNote) -> None:
        self.i = i
        self.note = note
        self._options = options
        self.version = i.guard.version + msgspec.json.encode(options)
        """What differs when policies do, or how results are asked about."""
        self._complete = complete
        self._ends = monotonic() + options.deadline
        self._room = asyncio.Semaphore(CONCURRENCY)

    def left(self) -> float:
        """Return how many seconds are left; raise if none are."""
        if (left := self._ends - monotonic()) <= 0:
            raise Unsummarised("There was no time left to ask about it (dual_llm.deadline).")
        return left

    async def summarise(self, task: str, result: ToolResult) -> str:
        """Lead both models through the protocol."""
        async with self._room:
            protocol = dual_llm(task, result, self._options.max_rounds)
            try:
                asked = next(protocol)
                while True:
                    asked = protocol.send(await self._ask(asked))
            except StopIteration as end:
                return str(end.value)

    async def _ask(self, asked: Asked) -> str:
        """Ask one of the models, if the budget allows it."""
        prompt, note = asked.prompt, self.note
        expected = tokens.guess((prompt.system, *(text for _, text in prompt.turns)))
        if note.tokens + expected > TOKEN_BUDGET:
            raise Unsummarised(f"Asking about it would have taken more than {TOKEN_BUDGET} tokens.")
        note.tokens += expected  # others ask at the same time
        note.questions += 1
        options = self._options
        model = options.quarantined_model if asked.quarantined else options.main_model
        reply = await self._complete(self.i, model, asked, self.left())
        used = reply.tokens
        note.tokens += tokens.guess((reply.text,)) if used is None else used - expected
        return reply.text


class _Withheld(msgspec.Struct, frozen=True):
    reason: str


def _reason(error: Exception, i: Interaction) -> _Withheld:
    """Return why a result is withheld, in a sentence of ours."""
    if isinstance(error, GatewayError | Unsummarised):
        return _Withheld(str(error))
    _log.error("a result could not be summarised", id=i.id, exc_info=error)
    return _Withheld("The gateway failed to ask about it; its log has the details.")


def _decision(result: ToolResult, reason: str) -> Decision:
    return Decision(
        kind="result",
        policy="dual_llm",
        tool=result.name,
        action="sanitize_with_dual_llm",
        blocked=True,
        reason=reason,
        call_id=result.id,
    )


class _Keys:
    """Under what the summaries of one request are remembered; what its results share is hashed once."""

    def __init__(self, agent: str, version: bytes) -> None:
        self._shared = _hashed(sha256(_ORGANIZATION), agent.encode(), version)
        self._tasks: dict[str, _Hash] = {}

    def __call__(self, task: str, result: ToolResult) -> bytes:
        if (known := self._tasks.get(task)) is None:
            known = self._tasks[task] = _hashed(self._shared, task.encode())
        return _hashed(known, result.name.encode(), text_of(result).encode()).digest()


def _hashed(before: _Hash, *parts: bytes) -> _Hash:
    whole = before.copy()
    for part in parts:
        whole.update(sha256(part).digest())
    return whole


def _size(text: str) -> int:
    return 4 * len(text) + _OVERHEAD
