"""The items of OpenAI's Responses API, in an input and in an output: which are calls and results, and what they say."""

from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.core.strict import UNREADABLE
from gateway.core.view import Tool
from schemas import openai_responses as wire

_Raw = msgspec.Raw
_ENVIRONMENT = msgspec.json.Decoder(wire.Environment)
_LIST = msgspec.json.Decoder(list[_Raw])
_VALUE = msgspec.json.Decoder()
_encode = msgspec.json.encode

CLIENT_CALLS = {
    "function_call": "",
    "custom_tool_call": "",
    "mcp_approval_request": "",
    "local_shell_call": "local_shell",
    "shell_call": "shell",
    "apply_patch_call": "apply_patch",
    "computer_call": "computer",
    "tool_search_call": "tool_search",
}
"""Items that ask the client to run a tool, and the tool's name where the item does not say it."""

SERVER_CALLS = {
    "mcp_call": "",
    "web_search_call": "web_search",
    "web_fetch_call": "web_fetch",
    "x_search_call": "x_search",
    "file_search_call": "file_search",
    "code_interpreter_call": "code_interpreter",
    "image_generation_call": "image_generation",
    "program": "program",
    "openrouter:web_search": "web_search",
    "openrouter:web_fetch": "web_fetch",
    "openrouter:datetime": "datetime",
    "openrouter:image_generation": "image_generation",
}
CALLS = CLIENT_CALLS | SERVER_CALLS
"""Every item that is a call, whoever runs it, and the tool's name where the item does not say it."""

OUTPUTS = {
    "function_call_output": "output",
    "custom_tool_call_output": "output",
    "local_shell_call_output": "output",
    "shell_call_output": "output",
    "apply_patch_call_output": "output",
    "computer_call_output": "output",
    "mcp_call": "output",
    "program_output": "result",
}
"""Items that are the result of a call, and the member that holds it."""

FIXED_NAMES = {
    "local_shell_call_output": "local_shell",
    "shell_call_output": "shell",
    "apply_patch_call_output": "apply_patch",
    "program_output": "program",
}
"""The names of tools whose results don't name them."""

# Where a shell runs that is the provider's; any other place may be the client's.
_CONTAINERS = ("container_auto", "container_reference")


def elements(raw: _Raw) -> list[_Raw]:
    """Return the elements of an array; none if it is anything else."""
    try:
        return _LIST.decode(raw)
    except UNREADABLE:
        return []


def text(value: Any) -> str:
    """Return a string, or an empty one for anything else."""
    return value if isinstance(value, str) else ""


def given(raw: _Raw) -> bool:
    """Whether a member is there and not null."""
    return bytes(raw) not in (b"", b"null")


def string(raw: _Raw) -> str | None:
    """Return the string that a raw member holds; None if it holds anything else."""
    if bytes(raw)[:1] != b'"':
        return None
    value: str = _VALUE.decode(raw)
    return value


def runs_upstream(environment: _Raw) -> bool:
    """Whether a shell runs in a container of the provider; one that does not say where may be the client's."""
    try:
        return text(_ENVIRONMENT.decode(environment).type) in _CONTAINERS
    except UNREADABLE:
        return False


def computer_name(tools: Sequence[Tool]) -> str:
    """Return the name under which the request declares the computer."""
    return next((tool.name for tool in tools if tool.name.startswith("computer")), "computer")


def whole(raw: _Raw) -> str | None:
    """Return arguments as text, whether they come as text or as JSON; None if they are not said."""
    if (value := string(raw)) is not None:
        return value
    return bytes(raw).decode() if raw and bytes(raw) != b"null" else None


def arguments(item: wire.Item) -> str | None:
    """Return what a call says beside its name; None if it says nothing yet."""
    kind = item.type
    if kind == "custom_tool_call":
        return whole(item.input)
    if kind == "apply_patch_call":
        return whole(item.operation)
    if kind in ("code_interpreter_call", "program"):
        return _member("code", item.code)
    if kind == "file_search_call":
        return _member("queries", item.queries)
    if kind in ("function_call", "mcp_call", "mcp_approval_request", "tool_search_call"):
        return whole(item.arguments)
    action = whole(item.action)
    if action and bytes(item.actions) not in (b"", b"null", b"[]"):
        # Clients read the one or the other.
        return _encode({"action": item.action, "actions": item.actions}).decode()
    return action or _member("actions", item.actions)


def _member(name: str, raw: _Raw) -> str | None:
    return _encode({name: raw}).decode() if raw and bytes(raw) != b"null" else None
