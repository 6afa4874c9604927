"""What was said in a stored interaction, read again by the adapters that read it when it passed.

A stored body may be capped, redacted or from another version: what can't be read of it is left out, never an error.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gateway.core.adapter import RequestAdapter, ResponseAdapter
from gateway.core.edit import split
from gateway.core.errors import GatewayError
from gateway.core.frames import Frame
from gateway.core.framing import framer_for
from gateway.core.interaction import Interaction
from gateway.core.provider import Endpoint, Provider
from gateway.core.search import searchable
from gateway.core.strict import UNREADABLE
from gateway.core.view import Completion, Message, Part, Tool

ODD = (GatewayError, *UNREADABLE, ValueError, TypeError, LookupError, AttributeError)
"""What an adapter may raise for a body that it would never have let pass."""
_FRAME = 16 << 20
"""Bytes of the largest frame that is read."""

_GAP = b", \t\r\n"

Pieces = tuple[bytes, list[bytes], bytes]
"""A request cut at its history: what stands before that, its messages, what stands after it."""


class Recollection:
    """One stored interaction: its endpoint, its request and its answer, as far as they can be read."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        record: Mapping[str, Any],
        request: Pieces | None,
        response: bytes,
    ) -> None:
        """``record``: the interaction's fields, as its line in the log has them."""
        self.pieces = request
        self.endpoint: Endpoint | None = None
        self.request = RequestAdapter(b"")
        self.completion = Completion()
        provider = providers.get(record.get("provider") or "")
        if provider is None:
            return
        for endpoint in provider.endpoints:
            if endpoint.name == record.get("endpoint") and not endpoint.opaque:
                self.endpoint = endpoint
                self._read_request(endpoint, provider, str(record.get("requested_model") or ""))
                if 200 <= (record.get("status") or 0) < 300:
                    self._read_response(endpoint, response)
                return

    @classmethod
    def of(cls, i: Interaction, request: bytes, response: bytes) -> "Recollection":
        """Return what would be read of these if they were stored, as the bodies of this interaction."""
        record = {"provider": i.provider.name, "endpoint": i.endpoint.name, "status": 200}
        history = i.request.history
        prefix, messages, suffix = (split(request, history) if history else None) or (request, (), b"")
        return cls({i.provider.name: i.provider}, record, (prefix, list(messages), suffix), response)

    @property
    def is_whole(self) -> bool:
        """Whether the request could be read whole."""
        return self.pieces is not None and self.request.body == _joined(self.pieces)

    def messages(self) -> list[Message]:
        """Return the conversation, without what can't be read."""
        if self.endpoint is None or self.pieces is None:
            return []
        if self.is_whole:
            try:
                return list(self.request.messages())
            except ODD:
                pass
        # One message that was capped makes the whole unreadable; the others are still whole.
        return [self._message(element) for element in self.pieces[1]]

    def tools(self) -> list[Tool]:
        """Return the tools that the request declares."""
        try:
            return list(self.request.tools)
        except ODD:
            return []

    def asked(self) -> Iterator[str]:
        """Return every text that the request is shown with."""
        for message in self.messages():
            yield from _texts(message.parts)
        for tool in self.tools():
            yield from (tool.name, tool.description)

    def answered(self) -> Iterator[str]:
        """Return every text that the answer is shown with, its pieces joined."""
        yield from _texts(self.completion.parts())

    def searchable(self, limit: int) -> str:
        """Return the text by which the interaction is found."""
        try:
            return searchable(self.request, self.completion, limit)
        except ODD:
            return ""

    def _message(self, element: bytes) -> Message:
        try:
            return self.request.read_message(element)
        except ODD:
            return Message("user", (Part("other", element.lstrip(_GAP).decode(errors="replace")),))

    def _read_request(self, endpoint: Endpoint, provider: Provider, model: str) -> None:
        # Where the path says the model, its placeholder is all that mattered of the path.
        names = endpoint.pattern.groupindex if endpoint.pattern else ()
        params = dict.fromkeys(names, model)
        for body in (_joined(self.pieces or (b"", [], b"")), b"{}"):
            try:
                self.request = endpoint.request(body, params, provider.row.quirks)
            except ODD:
                continue
            return

    def _read_response(self, endpoint: Endpoint, body: bytes) -> None:
        kind = endpoint.response
        content_type = "application/json" if body.lstrip()[:1] in (b"{", b"[") else "text/event-stream"
        streamed = kind.arrays and self.request.stream
        framer = framer_for(content_type, _FRAME, streamed=streamed, newline=kind.newline)
        try:
            response = kind(self.request, streamed=not framer.whole)
        except ODD:
            return
        for frame in (*framer.feed(body), *framer.close()):
            self._read_frame(frame, response)

    def _read_frame(self, frame: Frame, response: ResponseAdapter) -> None:
        try:
            for event in response.events(frame) if frame.data else ():
                self.completion.apply(event)
        except ODD:
            return  # the others may say more


def _texts(parts: Iterable[Part]) -> Iterator[str]:
    for part in parts:
        yield from (part.text, part.id, part.name, part.arguments)


def _joined(pieces: Pieces) -> bytes:
    prefix, messages, suffix = pieces
    return b"".join((prefix, *messages, suffix))
