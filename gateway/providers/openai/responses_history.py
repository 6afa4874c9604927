"""The history of a response, item by item."""

from collections.abc import Iterator

import msgspec

from gateway.core.view import Message, Part, Speaker, tool_result
from gateway.providers.openai.history import ROLES, content_parts
from gateway.providers.openai.responses_items import (
    CALLS,
    FIXED_NAMES,
    OUTPUTS,
    arguments,
    given,
    string,
    text,
)
from schemas import openai_responses as wire

_decode = msgspec.json.Decoder(wire.Item).decode
_value = msgspec.json.Decoder().decode
_encode = msgspec.json.encode

# Items that are neither messages nor calls, and that an earlier answer brought.
_ANSWERED = frozenset({"reasoning", "mcp_list_tools", "compaction", "item_reference", "program"})


def read_message(element: bytes) -> Message:
    """Read one item."""
    item = _decode(element)
    kind = item.type
    if kind in CALLS:
        return Message("assistant", tuple(_call(item)))
    if kind in OUTPUTS:
        return Message("tool", _result(item))
    if kind == "tool_search_output":
        found = Part("text", bytes(item.tools).decode())
        return Message("tool", tool_result((found,), text(item.call_id), "tool_search"))
    other: Speaker = "assistant" if kind in _ANSWERED else "user"
    role = ROLES.get(text(item.role), other)
    if kind in ("", "message"):
        return Message(role, tuple(_content(item.content)))
    if kind == "reasoning":
        thoughts = (part.text for raw in (item.summary, item.content) for part in _content(raw))
        return Message(role, (Part("reasoning", "\n".join(thoughts)),))
    return Message(role, (Part("other", element.decode()),))


def _content(raw: msgspec.Raw) -> Iterator[Part]:
    return content_parts(_value(raw) if raw else None)


def _call(item: wire.Item) -> Iterator[Part]:
    said = arguments(item) or ""
    if item.type == "custom_tool_call":
        said = _encode({"input": said}).decode()
    name = CALLS[item.type] or text(item.name)
    yield Part("tool_call", "", text(item.call_id) or text(item.id), name, said)
    if item.type in OUTPUTS and string(item.output) is not None:  # a call that the provider ran already
        yield from _result(item)


def _result(item: wire.Item) -> tuple[Part, ...]:
    content = _content(item.result if OUTPUTS[item.type] == "result" else item.output)
    name = FIXED_NAMES.get(item.type) or text(item.name)
    return tool_result(content, text(item.call_id) or text(item.id), name, is_error=failed(item))


def failed(item: wire.Item) -> bool:
    """Whether a result is an error."""
    return item.status == "failed" or (item.type == "mcp_call" and given(item.error))
