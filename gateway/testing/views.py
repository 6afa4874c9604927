"""A request and its answer as plain values, in the members that ``expect.json`` may have."""

from typing import Any

import msgspec

from gateway.core.adapter import RequestAdapter
from gateway.core.relay import Relay
from gateway.core.view import Completion, Part


def request_view(request: RequestAdapter) -> dict[str, Any]:
    """Return what ``expect.json`` may say of a request."""
    return {
        "model": request.model,
        "stream": request.stream,
        "tools": [tool.name for tool in request.tools],
        "server_tools": [tool.name for tool in request.tools if tool.server_executed],
        "tool_results": [
            {
                "id": result.id,
                "name": result.name,
                "is_error": result.is_error,
                "path": list(result.path),
                "texts": [block.text for block in result.texts],
                "fixed": result.fixed,
            }
            for result in request.tool_results
        ],
        "messages": [
            {"role": message.role, "parts": [_said(part) for part in message.parts]}
            for message in request.messages()
        ],
        "session": list(request.session) if request.session else None,
    }


def _said(part: Part) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(part).items() if value}


def response_view(completion: Completion, relay: Relay) -> dict[str, Any]:
    """Return what ``expect.json`` may say of an answer."""
    return {
        "text": completion.text,
        "reasoning": completion.reasoning,
        "tool_calls": [
            {
                "id": call.id,
                "name": call.name,
                "arguments": call.arguments,
                "server_executed": call.server_executed,
            }
            for call in completion.tool_calls
        ],
        "usage": msgspec.to_builtins(completion.usage),
        "finish_reason": completion.finish_reason,
        "id": completion.response_id,
        "model": completion.model,
        "unknown": sorted(relay.unknown),
        "error_kind": completion.error.kind if completion.error else None,
    }
