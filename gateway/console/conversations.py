"""The normalised view of a stored interaction: what was said, whatever the wire."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.console.shapes import Answer, Conversation, DeclaredTool
from gateway.core.provider import Provider
from gateway.core.recollection import Pieces, Recollection
from gateway.core.strict import UNREADABLE
from gateway.core.view import Part, Tool


def conversation(
    providers: Mapping[str, Provider], record: Mapping[str, Any], request: Pieces | None, response: bytes
) -> Conversation:
    """Return what was said; ``request``: the stored pieces of the request, its messages one by one."""
    found = Recollection(providers, record, request, response)
    return Conversation(
        messages=found.messages(),
        answer=_answer(found, record, response),
        tools=[_declared(tool) for tool in found.tools()],
    )


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
