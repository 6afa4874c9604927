"""The four kinds of policies, each as a person writes it in ``gateway.toml``, and a request whose answer they judge."""

from typing import Any

import orjson

from tests.attacks.model import CANARY, TWIN, Kind
from tests.harness.dialects import DIALECTS

REASON = "The canary stays where it is."
_DISPATCHER = '\n[[tool_dispatchers]]\ntool = "dispatch"\n'
_OWN = ("shell", "local_shell", "apply_patch", "computer*")
"""Tools of vendors that the client runs, whose names are fixed."""
_PLACES = (
    "canary_arg",
    "arguments.canary_arg",
    "input",
    "any:commands[*]",
    "any:command[*]",
    "diff",
    "text",
)
"""Where the value may stand in what a tool is called with."""


def _policy(tool: str, action: str, *conditions: str) -> str:
    lines = ["[[tool_invocation_policies]]", f'tool = "{tool}"', f'action = "{action}"']
    if action.startswith("block"):
        lines.append(f'reason = "{REASON}"')
    return "\n".join([*lines, *(f"conditions = [{condition}]" for condition in conditions), ""])


def _holds(key: str) -> str:
    return f'{{ key = "{key}", operator = "contains", value = "{CANARY.value}" }}'


_ALLOWED = _policy(TWIN.name, "allow_when_context_is_untrusted")

TOML: dict[Kind, str] = {
    "name": _DISPATCHER + "\n".join(_policy(name, "block_always") for name in (CANARY.name, *_OWN)),
    "argument": _DISPATCHER + "\n".join(_policy("*", "block_always", _holds(key)) for key in _PLACES),
    "list": f'default_policies = {{ call = "block_always" }}\n{_ALLOWED}',
    "untrusted": f'default_policies = {{ call = "block_when_context_is_untrusted" }}\n{_ALLOWED}',
}

_READ = "read_page"
_RESULT = "Whatever a stranger wrote."
_SCHEMA: dict[str, Any] = {"type": "object", "properties": {"canary_arg": {"type": "string"}}}
NAMES = (TWIN.name, CANARY.name, _READ)


def _chat(*, untrusted: bool) -> dict[str, Any]:
    call = {"id": "call_0", "type": "function", "function": {"name": _READ, "arguments": "{}"}}
    history: list[Any] = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_0", "content": _RESULT},
    ]
    tools = [{"type": "function", "function": {"name": name, "parameters": _SCHEMA}} for name in NAMES]
    messages = [{"role": "user", "content": "Hi"}, *(history if untrusted else ())]
    return {"model": "gpt-4o-mini", "messages": messages, "tools": tools}


def _responses(*, untrusted: bool) -> dict[str, Any]:
    history: list[Any] = [
        {"type": "function_call", "call_id": "call_0", "name": _READ, "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_0", "output": _RESULT},
    ]
    tools = [{"type": "function", "name": name, "parameters": _SCHEMA} for name in NAMES]
    items = [{"role": "user", "content": "Hi"}, *(history if untrusted else ())]
    return {"model": "gpt-4o-mini", "input": items, "store": False, "tools": tools}


def _anthropic(*, untrusted: bool) -> dict[str, Any]:
    history: list[Any] = [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_0", "name": _READ, "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_0", "content": _RESULT}]},
    ]
    tools = [{"name": name, "input_schema": _SCHEMA} for name in NAMES]
    messages = [{"role": "user", "content": "Hi"}, *(history if untrusted else ())]
    return {"model": "claude-scenario", "max_tokens": 64, "messages": messages, "tools": tools}


def _gemini(*, untrusted: bool) -> dict[str, Any]:
    history: list[Any] = [
        {"role": "model", "parts": [{"functionCall": {"name": _READ, "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": _READ, "response": {"result": _RESULT}}}]},
    ]
    functions = [{"name": name, "parameters": _SCHEMA} for name in NAMES]
    contents = [{"role": "user", "parts": [{"text": "Hi"}]}, *(history if untrusted else ())]
    return {"contents": contents, "tools": [{"functionDeclarations": functions}]}


_BODIES = {
    "chat": _chat,
    "responses": _responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "gemini_array": _gemini,
}


def members(dialect: str, *, stream: bool, untrusted: bool) -> dict[str, Any]:
    """A request, as an object; ``untrusted``: with a result in its history that nobody vouches for."""
    found = _BODIES[dialect](untrusted=untrusted)
    if stream and not dialect.startswith("gemini"):
        found["stream"] = True
        if dialect == "chat":
            # Usage is asked for, so that the gateway has nothing to add and nothing to hide.
            found["stream_options"] = {"include_usage": True}
    return found


def body(dialect: str, kind: Kind, *, stream: bool, **more: Any) -> bytes:
    return bytes(orjson.dumps({**members(dialect, stream=stream, untrusted=kind == "untrusted"), **more}))


def path(dialect: str, *, stream: bool) -> str:
    return DIALECTS[dialect].path(stream=stream)
