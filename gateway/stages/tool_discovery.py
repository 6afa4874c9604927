"""Tools that requests declare are remembered, so that policies can be written for them before they are called.

A client declares the same tools in every request: what declares them is looked at only where it is new, or was last
seen an hour ago.
"""

from collections.abc import Callable, Sequence

import msgspec
import structlog

from gateway.core.discovery import LONGEST_NAME, Sighting, sighting
from gateway.core.interaction import Interaction
from gateway.core.redaction import LEAST_KEY, REDACTED, Redactor
from gateway.core.stage import Stage
from gateway.core.view import Tool
from gateway.storage.known import Bounded

Remember = Callable[[Sequence[Sighting]], bool]
"""Takes what is to be stored soon; returns whether it did."""
_SOURCES = frozenset({"api", "chat"})
_FRESH = 3600.0
"""Seconds for which a tool that was seen need not be told of again."""
_MOST = 512
"""Tools of one request that are looked at; no provider takes as many."""
_SETS = 10_000
"""Ways to declare tools that are known at once."""
_AGENTS = 100
"""Agents whose last way is kept as it was sent, which is compared in no time."""
_SHORT = 64 << 10
"""Bytes of one that is."""

_log = structlog.get_logger()
_NEVER = float("-inf")
_NOTHING: tuple[Sequence[bytes | msgspec.Raw], float] = ((), _NEVER)


class ToolDiscovery(Stage):
    """Tells of the tools that each agent's requests declare."""

    def __init__(
        self, remember: Remember, redactor: Redactor | None = None, *, contents: bool = True
    ) -> None:
        """``contents``: whether descriptions and schemas are kept, which are parts of bodies."""
        self._remember = remember
        self._redactor = redactor or Redactor()
        self._contents = contents
        self._sets: Bounded[int, float] = Bounded(_SETS)
        self._last: Bounded[str, tuple[Sequence[bytes | msgspec.Raw], float]] = Bounded(_AGENTS)
        self._seen: Bounded[tuple[str, str], float] = Bounded()
        self.unfit = 0
        """Tools that were not told of: of what must not be stored, or of what can't be a name."""

    async def on_done(self, batch: Sequence[Interaction]) -> None:
        """Look at each whose caller was let in; one that can't be read must not cost the others."""
        for i in batch:
            if i.principal is None or not i.endpoint.carries_calls or i.source not in _SOURCES:
                continue
            try:
                self._look(i, i.principal.agent)
            except Exception:  # noqa: BLE001  # as above: whatever a client sent
                _log.exception("the tools of a request could not be read", id=i.id)

    def _look(self, i: Interaction, agent: str) -> None:
        declarations = tuple(i.request.declarations)
        last, seen = self._last.get(agent, _NOTHING)
        if declarations == last and i.started - seen < _FRESH:
            return
        declared = tuple(map(bytes, declarations))
        if not any(declared):
            return
        key = hash((agent, declared))
        seen = self._sets.get(key, _NEVER)
        if i.started - seen >= _FRESH:
            if not self._tell(i, agent):
                return  # it comes again with the next request
            seen = self._sets[key] = i.started
        if sum(map(len, declared)) <= _SHORT:
            self._last[agent] = tuple(map(_copied, declarations)), seen

    def _tell(self, i: Interaction, agent: str) -> bool:
        """Tell of what a request declares, where that is new; return whether all is known now."""
        told = {}
        for tool in self._tools(i)[:_MOST]:
            if not tool.name:
                continue
            if len(tool.name) > LONGEST_NAME or REDACTED in tool.name:
                self.unfit += 1
                continue
            found = sighting(
                tool,
                agent=agent,
                client=self._redactor.text(i.client),
                at=i.started_at,
                contents=self._contents,
            )
            one = found.tool, found.version
            if i.started - self._seen.get(one, _NEVER) >= _FRESH:
                told[one] = found
        if told and not self._remember(tuple(told.values())):
            return False
        for one in told:
            self._seen[one] = i.started
        return True

    def _tools(self, i: Interaction) -> Sequence[Tool]:
        """Return the declared tools without what must not be stored, as the log stores the body."""
        request = i.request
        if self._redactor:
            left = self._redactor.body(request.body)
            try:
                request = i.endpoint.request(left, request.params, request.quirks)
            except Exception:  # noqa: BLE001  # a rule may take out what makes it a document
                return ()
        key = i.credential.key if i.credential else ""
        key = key if len(key) >= LEAST_KEY else ""
        if not self._redactor and not key:
            return request.tools
        return [self._hidden(tool, key) for tool in request.tools]

    def _hidden(self, tool: Tool, key: str) -> Tool:
        name, description = self._hide(tool.name, key), self._hide(tool.description, key)
        schema = bytes(tool.parameters)
        if key and key.encode(errors="surrogateescape") in schema:
            schema = b""
        return Tool(name, description, type(tool.parameters)(schema), tool.server_executed)

    def _hide(self, text: str, key: str) -> str:
        text = self._redactor.text(text)
        return text.replace(key, REDACTED) if key and key in text else text


def _copied(piece: bytes | msgspec.Raw) -> bytes | msgspec.Raw:
    """Return a piece of a body that does not keep all of it in memory."""
    return piece.copy() if isinstance(piece, msgspec.Raw) else piece
