"""Where a request to Anthropic's messages API declares tools, and who runs them."""

from collections.abc import Iterator

import msgspec

from gateway.core.view import Tool
from gateway.providers.anthropic.lenient import Elements, read, text
from schemas import anthropic as wire

# Of the tools with a version in their type the client runs these; all others, tomorrow's too, run upstream.
_CLIENT_TOOLS = ("bash_", "text_editor_", "memory_", "computer_", "browser_toolset_")
_TOOLSET = "mcp_toolset"
_ANY = "*"
"""Stands for all tools of a server."""

_change = msgspec.json.Decoder(wire.ToolChange)
_tool = msgspec.json.Decoder(wire.ToolDefinition)
_allowed = msgspec.json.Decoder(wire.AllowedTools)
_config = msgspec.json.Decoder(wire.ToolConfig)
_configs = msgspec.json.Decoder(dict[str, wire.ToolConfig])
_blocks = Elements(wire.InputBlock)
_entries = Elements(wire.ToolDefinition)
_servers = Elements(wire.McpServer)
_names = Elements(str)


def declared(tools: msgspec.Raw) -> Iterator[Tool]:
    """List what ``tools`` declares."""
    for _, entry in _entries.read(tools):
        yield from _tools(entry)


def served(servers: msgspec.Raw, tools: msgspec.Raw) -> Iterator[Tool]:
    """List what ``mcp_servers`` declares; where ``tools`` has a toolset, that says which tools of a server there are."""
    described = _TOOLSET.encode() in bytes(tools)
    for _, server in _servers.read(servers):
        name = text(server.name)
        yield Tool(name, server_executed=True)
        allowed = read(_allowed, server.tool_configuration)
        if not ((allowed and allowed.allowed_tools) or described):
            yield Tool(_qualified(name, _ANY), server_executed=True)
        for _, each in _names.read(allowed.allowed_tools) if allowed else ():
            yield Tool(_qualified(name, each), server_executed=True)


def brought(block: wire.InputBlock) -> Iterator[Tool]:
    """List the tools that a block of the history brings."""
    if block.type == "mcp_tool_listing":
        yield from _listed(text(block.mcp_server_name), block.tools)
    elif block.type == "compaction":
        for _, change in _blocks.read(block.tool_changes):
            yield from _added(change)
    else:
        yield from _added(block)


def _tools(entry: wire.ToolDefinition) -> Iterator[Tool]:
    kind = text(entry.type)
    if kind in ("", "custom"):
        yield Tool(text(entry.name), text(entry.description), entry.input_schema)
        return
    server = text(entry.mcp_server_name)
    name = text(entry.name) or server or kind
    yield Tool(name, text(entry.description), entry.input_schema, not kind.startswith(_CLIENT_TOOLS))
    yield from _listed(server, entry.tools)
    if kind != _TOOLSET:
        return
    usual = read(_config, entry.default_config)
    if not (usual and usual.enabled is False):
        yield Tool(_qualified(server, _ANY), server_executed=True)
    for each, config in (read(_configs, entry.configs) or {}).items():
        if config.enabled is not False:
            yield Tool(_qualified(server, each), server_executed=True)


def _listed(server: str, raw: msgspec.Raw) -> Iterator[Tool]:
    """List the tools that an MCP server listed."""
    for _, tool in _entries.read(raw):
        name = _qualified(server, text(tool.name))
        yield Tool(name, text(tool.description), tool.input_schema, server_executed=True)


def _added(block: wire.InputBlock) -> Iterator[Tool]:
    change = read(_change, block.tool) if block.type == "tool_addition" else None
    if change and (definition := read(_tool, change.definition)):
        yield from _tools(definition)


def _qualified(server: str, name: str) -> str:
    """Return the name of an MCP server's tool, with the server's."""
    return f"mcp__{server}__{name}" if server and name else name
