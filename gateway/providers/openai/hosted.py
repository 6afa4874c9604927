"""Tools that a provider runs itself, as requests in OpenAI's formats ask for them: by their types, and in passing."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from gateway.core.strict import UNREADABLE
from gateway.core.view import Tool
from gateway.providers.openai.chat_parts import string
from schemas.openai import ChatBody

_decode = msgspec.json.Decoder().decode

_VERSION = re.compile(r"(_preview)?(_\d{4}_\d{2}_\d{2})?")
_VENDOR = "openrouter:"
_SEARCH = "web_search"
_ONLINE = ":online"
"""OpenRouter: what makes any model search the web, as this plugin does."""
_WEB_PLUGIN = "web"
_COMPOUND = re.compile(r"(groq/)?compound(-.+)?")
_COMPOUND_TOOLS = (_SEARCH, "visit_website", "code_interpreter")
"""What Groq's compound systems run unless a request names others."""

_CITED = {
    "file_citation": "file_search",
    "container_file_citation": "code_interpreter",
    "file_path": "code_interpreter",
    "file": "file-parser",
}
"""By the type of what cites its find, the tool; of all others it is the search."""


def unique(tools: Iterable[Tool]) -> Iterator[Tool]:
    """Leave out what the provider runs and was listed before: requests ask for some in several ways."""
    seen = set()
    for tool in tools:
        if not tool.server_executed:
            yield tool
        elif tool.name not in seen:
            seen.add(tool.name)
            yield tool


def hosted_name(kind: str) -> str:
    """Return the name of a tool that is known by its type, whatever its version: the one that its calls have."""
    kind = kind.removeprefix(_VENDOR)
    if kind.startswith(_SEARCH) and _VERSION.fullmatch(kind, len(_SEARCH)):
        return _SEARCH
    return kind


def mcp_tools(label: str, allowed: Any, *, approved: bool = False) -> Iterator[Tool]:
    """List an MCP server and those of its tools that a request names.

    ``approved``: the client is asked before each call, so that a call can be judged when it comes.
    """
    yield Tool(label or "mcp", server_executed=not approved)
    names = allowed.get("tool_names") if isinstance(allowed, dict) else allowed
    if not (isinstance(names, list) or approved):
        yield Tool(qualified(label or "mcp", "*"), server_executed=True)
    for name in names if isinstance(names, list) else ():
        if isinstance(name, str):
            yield Tool(qualified(label, name), server_executed=not approved)


def qualified(label: str, name: str) -> str:
    """Return the name of an MCP server's tool, with the server's."""
    return f"mcp__{label}__{name}" if label else name


def plugins(raw: msgspec.Raw) -> Iterator[Tool]:
    """List OpenRouter's plugins, and those of others who write mere names."""
    found = value(raw)
    for plugin in found if isinstance(found, list) else ():
        name = plugin.get("id") if isinstance(plugin, dict) else plugin
        if (
            isinstance(name, str)
            and name
            and not (isinstance(plugin, dict) and plugin.get("enabled") is False)
        ):
            yield Tool(_SEARCH if name == _WEB_PLUGIN else name, server_executed=True)


def searching(models: Iterable[str]) -> Iterator[Tool]:
    """List the search that a model's name asks for."""
    if any(model.endswith(_ONLINE) for model in models):
        yield Tool(_SEARCH, server_executed=True)


def asked_for(body: ChatBody, models: Iterable[str]) -> Iterator[Tool]:
    """List what a request asks for outside its tools; ``models``: all that may answer it."""
    models = tuple(models)
    if value(body.web_search_options) is not None:
        yield Tool(_SEARCH, server_executed=True)
    search = value(body.search_parameters)
    if search is not None and not (isinstance(search, dict) and search.get("mode") == "off"):
        yield Tool("live_search", server_executed=True)
    yield from plugins(body.plugins)
    yield from searching(models)
    custom = value(body.compound_custom)
    tools = custom.get("tools") if isinstance(custom, dict) else None
    names = tools.get("enabled_tools") if isinstance(tools, dict) else None
    if not isinstance(names, list):
        names = _COMPOUND_TOOLS if any(_COMPOUND.fullmatch(model) for model in models) else ()
    for name in names:
        if isinstance(name, str):
            yield Tool(name, server_executed=True)


def executed_name(tool: Any) -> str:
    """Return the name of a tool that Groq ran."""
    if not isinstance(tool, dict):
        return ""
    return string(tool.get("name")) or string(tool.get("type"))


def cited_by(content: Any) -> Iterator[str]:
    """Name the tools whose finds are cited in the content of a message."""
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and isinstance(annotations := part.get("annotations"), list):
            yield from cited(annotations)


def cited(annotations: Iterable[Any]) -> Iterator[str]:
    """Name the tools that have found what is annotated to a text."""
    kinds = (each.get("type") if isinstance(each, dict) else None for each in annotations)
    yield from dict.fromkeys(
        _CITED.get(kind, _SEARCH) if isinstance(kind, str) else _SEARCH for kind in kinds
    )


def value(raw: msgspec.Raw) -> Any:
    """Return a member's value; None for one that is absent, null, or can't be read."""
    try:
        return _decode(raw) if raw else None
    except UNREADABLE:
        return None
