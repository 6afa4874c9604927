"""What was said in a stored interaction, read again by the adapters that read it when it passed.

A stored body may be capped, redacted or from another version: what can't be read of it is left out, never an error.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.console.shapes import Answer, Conversation, DeclaredTool
from gateway.core.adapter import RequestAdapter, ResponseAdapter
from gateway.core.errors import GatewayError
from gateway.core.frames import Frame
from gateway.core.framing import framer_for
from gateway.core.provider import Endpoint, Provider
from gateway.core.strict import UNREADABLE
from gateway.core.view import Completion, Message, Part, Tool

_FRAME = 16 << 20
"""Bytes of the largest frame that is read."""
_ODD = (GatewayError, *UNREADABLE, ValueError, TypeError, LookupError, AttributeError)
"""What an adapter may raise for a body that it would never have let pass."""
_GAP = b", \t\r\n"

Pieces = tuple[bytes, list[bytes], bytes]


def conversation(
    providers: Mapping[str, Provider], record: Mapping[str, Any], request: Pieces | None, response: bytes
) -> Conversation:
    """Return what was said; ``request``: the stored pieces of the request, its messages one by one."""
    found = _endpoint(providers, record)
    if found is None:
        return Conversation(messages=[], answer=Answer((), record.get("finish_reason")), tools=[])
    provider, endpoint = found
    adapter = _adapter(provider, endpoint, record, request)
    return Conversation(
        messages=_messages(adapter, request),
        answer=_answer(adapter, endpoint, record, response),
        tools=[_declared(tool) for tool in _tools(adapter)],
    )


def _endpoint(
    providers: Mapping[str, Provider], record: Mapping[str, Any]
) -> tuple[Provider, Endpoint] | None:
    provider = providers.get(record.get("provider") or "")
    if provider is None:
        return None
    for endpoint in provider.endpoints:
        if endpoint.name == record.get("endpoint") and not endpoint.opaque:
            return provider, endpoint
    return None


def _adapter(
    provider: Provider, endpoint: Endpoint, record: Mapping[str, Any], request: Pieces | None
) -> RequestAdapter:
    """Return the adapter of a request; for one that it can't read whole, of an empty one."""
    # Where the path says the model, its placeholder is all that mattered of the path.
    names = endpoint.pattern.groupindex if endpoint.pattern else ()
    params = dict.fromkeys(names, str(record.get("requested_model") or ""))
    prefix, messages, suffix = request or (b"", [], b"")
    for body in (b"".join((prefix, *messages, suffix)), b"{}"):
        try:
            return endpoint.request(body, params, provider.row.quirks)
        except _ODD:
            continue
    return RequestAdapter(b"")


def _messages(adapter: RequestAdapter, request: Pieces | None) -> list[Message]:
    if request is None:
        return []
    prefix, messages, suffix = request
    if adapter.body == b"".join((prefix, *messages, suffix)):
        try:
            return list(adapter.messages())
        except _ODD:
            pass
    # One message that was capped makes the whole unreadable; the others are still whole.
    return [_message(adapter, element) for element in messages]


def _message(adapter: RequestAdapter, element: bytes) -> Message:
    try:
        return adapter.read_message(element)
    except _ODD:
        return Message("user", (Part("other", element.lstrip(_GAP).decode(errors="replace")),))


def _tools(adapter: RequestAdapter) -> list[Tool]:
    try:
        return list(adapter.tools)
    except _ODD:
        return []


def _declared(tool: Tool) -> DeclaredTool:
    try:
        parameters = msgspec.json.decode(tool.parameters) if bytes(tool.parameters) else None
    except UNREADABLE:
        parameters = None
    return DeclaredTool(tool.name, tool.description, parameters)


def _answer(adapter: RequestAdapter, endpoint: Endpoint, record: Mapping[str, Any], body: bytes) -> Answer:
    finish_reason = record.get("finish_reason")
    if not body:
        return Answer((), finish_reason)
    if not 200 <= (record.get("status") or 0) < 300:
        return Answer((Part("other", body.decode(errors="replace")),), finish_reason)
    completion = Completion()
    kind = endpoint.response
    content_type = "application/json" if body.lstrip()[:1] in (b"{", b"[") else "text/event-stream"
    framer = framer_for(content_type, _FRAME, streamed=kind.arrays and adapter.stream, newline=kind.newline)
    try:
        response = kind(adapter, streamed=not framer.whole)
    except _ODD:
        return Answer((), finish_reason)
    for frame in (*framer.feed(body), *framer.close()):
        _read(frame, response, completion)
    return Answer(completion.parts(), completion.finish_reason or finish_reason)


def _read(frame: Frame, response: ResponseAdapter, completion: Completion) -> None:
    try:
        for event in response.events(frame) if frame.data else ():
            completion.apply(event)
    except _ODD:
        return  # the others may say more
