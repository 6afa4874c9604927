"""The history of a chat completion, message by message."""

from typing import Any

import msgspec

from gateway.core.view import Message, Part, tool_result
from gateway.providers.openai.chat_parts import reasoning, string
from gateway.providers.openai.history import ROLES, compact, content_parts
from schemas.openai import Delta

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def read_message(element: bytes) -> Message:
    """Read one message."""
    message = _decode(element)
    role = ROLES.get(string(message.get("role")), "user")
    parts = [*_thoughts(message), *content_parts(message.get("content"))]
    if refusal := string(message.get("refusal")):
        parts.append(Part("text", refusal))
    if role == "tool":
        id_ = string(message.get("tool_call_id"))
        return Message(role, tool_result(parts, id_, string(message.get("name"))))
    calls = message.get("tool_calls")
    parts += (_call(call) for call in (calls if isinstance(calls, list) else [calls] if calls else ()))
    if legacy := message.get("function_call"):
        parts.append(_call({"function": legacy}))
    return Message(role, tuple(parts))


def _thoughts(message: dict[str, Any]) -> list[Part]:
    said = Delta(
        reasoning_content=message.get("reasoning_content"),
        reasoning=message.get("reasoning"),
        reasoning_details=message.get("reasoning_details"),
    )
    return [Part("reasoning", event.text) for event in reasoning(said)]


def _call(call: Any) -> Part:
    match call:
        case {"function": {"name": str(name), **written}} | {"custom": {"name": str(name), **written}}:
            pass
        case {"name": str(name), **written}:  # written flat
            pass
        case _:
            return Part("other", compact(call))
    arguments = written.get("arguments")
    if arguments is None and "input" in written:  # the free text of a custom tool
        arguments = {"input": written["input"]}
    said = "" if arguments is None else compact(arguments)
    return Part("tool_call", "", string(call.get("id")), name, said)
