"""The normalised view of a stored interaction: what was said, whatever the wire."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.console.shapes import Answer, Conversation, DeclaredTool
from gateway.core.adapter import RequestAdapter
from gateway.core.provider import Provider
from gateway.core.recollection import ODD, Pieces, Recollection
from gateway.core.strict import UNREADABLE
from gateway.core.view import Message, Part, Tool

_GAP = b", \t\r\n"


def conversation(
    providers: Mapping[str, Provider], record: Mapping[str, Any], request: Pieces | None, response: bytes
) -> Conversation:
    """Return what was said; ``request``: the stored pieces of the request, its messages one by one."""
    found = Recollection(providers, record, request, response)
    return Conversation(
        messages=_messages(found),
        answer=_answer(found, record, response),
        tools=[_declared(tool) for tool in _tools(found.request)],
    )


def _messages(found: Recollection) -> list[Message]:
    if found.endpoint is None or found.pieces is None:
        return []
    if found.is_whole:
        try:
            return list(found.request.messages())
        except ODD:
            pass
    # One message that was capped makes the whole unreadable; the others are still whole.
    return [_message(found.request, element) for element in found.pieces[1]]


def _message(adapter: RequestAdapter, element: bytes) -> Message:
    try:
        return adapter.read_message(element)
    except ODD:
        return Message("user", (Part("other", element.lstrip(_GAP).decode(errors="replace")),))


def _tools(adapter: RequestAdapter) -> list[Tool]:
    try:
        return list(adapter.tools)
    except ODD:
        return []


def _declared(tool: Tool) -> DeclaredTool:
    try:
        parameters = msgspec.json.decode(tool.parameters) if bytes(tool.parameters) else None
    except UNREADABLE:
        parameters = None
    return DeclaredTool(tool.name, tool.description, parameters)


def _answer(found: Recollection, record: Mapping[str, Any], body: bytes) -> Answer:
    finish_reason = record.get("finish_reason")
    if found.endpoint is not None and body and not 200 <= (record.get("status") or 0) < 300:
        return Answer((Part("other", body.decode(errors="replace")),), finish_reason)
    return Answer(found.completion.parts(), found.completion.finish_reason or finish_reason)
