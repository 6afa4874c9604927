"""Anthropic's messages API, as far as the adapters read it.

Structs are wide, and members whose type somebody may get wrong are ``Any`` or raw: one odd member must not
make the rest unreadable.
"""

from typing import Any

import msgspec
from msgspec import Raw


class MessagesBody(msgspec.Struct, gc=False):
    """The body of a request to ``/v1/messages``."""

    model: Any = ""
    stream: bool | None = None
    system: Raw = Raw(b"")
    messages: Raw = Raw(b"")
    tools: Raw = Raw(b"")
    mcp_servers: Raw = Raw(b"")
    metadata: Raw = Raw(b"")
    thread: Raw = Raw(b"")
    container: Raw = Raw(b"")


class Metadata(msgspec.Struct, gc=False):
    """``metadata`` of a request."""

    user_id: Any = None


class CodeSession(msgspec.Struct, gc=False):
    """What newer versions of Claude Code write into ``metadata.user_id``, as JSON text."""

    session_id: Any = None


class Thread(msgspec.Struct, gc=False):
    """``thread``: the conversation begins to be kept upstream, or goes on there."""

    type: Any = None
    previous_message_id: Any = None


class Container(msgspec.Struct, gc=False):
    """``container``, where it is an object: where code runs, and what is in it from earlier turns."""

    id: Any = None


class Turn(msgspec.Struct, gc=False):
    """One message of the history."""

    content: Raw = Raw(b"")


class InputBlock(msgspec.Struct, gc=False):
    """One content block of a request, whatever its type."""

    type: Any = None
    id: Any = None
    tool_use_id: Any = None
    name: Any = None
    is_error: Any = None
    text: Any = None
    thinking: Any = None
    input: Raw = Raw(b"")
    content: Raw = Raw(b"")
    source: Raw = Raw(b"")
    tool: Raw = Raw(b"")
    tools: Raw = Raw(b"")
    tool_changes: Raw = Raw(b"")
    mcp_server_name: Any = None


class Source(msgspec.Struct, gc=False):
    """Where a document's content is."""

    type: Any = None
    data: Any = None
    content: Raw = Raw(b"")


class ToolChange(msgspec.Struct, gc=False):
    """``tool`` of a ``tool_addition``: a reference, or a definition by value."""

    type: Any = None
    definition: Raw = Raw(b"")


class ToolDefinition(msgspec.Struct, gc=False):
    """One entry of ``tools``, whatever its type."""

    type: Any = None
    name: Any = None
    description: Any = None
    input_schema: Raw = Raw(b"")
    mcp_server_name: Any = None
    tools: Raw = Raw(b"")
    default_config: Raw = Raw(b"")
    configs: Raw = Raw(b"")


class ToolConfig(msgspec.Struct, gc=False):
    """What ``configs`` of an MCP server's toolset say of one tool, and ``default_config`` of all others."""

    enabled: Any = None


class AllowedTools(msgspec.Struct, gc=False):
    """``tool_configuration`` of an MCP server."""

    allowed_tools: Raw = Raw(b"")


class McpServer(msgspec.Struct, gc=False):
    """One entry of ``mcp_servers``."""

    name: Any = None
    tool_configuration: Raw = Raw(b"")


class Delta(msgspec.Struct, gc=False):
    """``delta`` of ``content_block_delta`` and of ``message_delta``."""

    type: Any = None
    text: Any = None
    thinking: Any = None
    partial_json: Any = None
    stop_reason: Any = None


class StreamEvent(msgspec.Struct, gc=False):
    """One event of a stream, whatever its type."""

    type: Any = None
    index: Any = None
    delta: Delta | None = None
    content_block: Raw = Raw(b"")
    message: Raw = Raw(b"")
    usage: Raw = Raw(b"")
    error: Raw = Raw(b"")


class Message(msgspec.Struct, gc=False):
    """An answer, whole or as it begins."""

    type: Any = None
    id: Any = None
    model: Any = None
    content: Raw = Raw(b"")
    stop_reason: Any = None
    usage: Raw = Raw(b"")
    error: Raw = Raw(b"")


class OutputBlock(msgspec.Struct, gc=False):
    """One content block of an answer, whatever its type."""

    type: Any = None
    id: Any = None
    name: Any = None
    toolset_name: Any = None
    text: Any = None
    thinking: Any = None
    input: Raw = Raw(b"")


class CacheCreation(msgspec.Struct, gc=False):
    """Tokens written to the cache, by how long they stay."""

    ephemeral_5m_input_tokens: Any = None
    ephemeral_1h_input_tokens: Any = None


class OutputDetails(msgspec.Struct, gc=False):
    """What output tokens were spent on."""

    thinking_tokens: Any = None


class Usage(msgspec.Struct, gc=False):
    """``usage``; in ``message_delta`` its numbers are totals."""

    input_tokens: Any = msgspec.UNSET
    output_tokens: Any = msgspec.UNSET
    cache_read_input_tokens: Any = None
    cache_creation_input_tokens: Any = None
    cache_creation: Raw = Raw(b"")
    output_tokens_details: Raw = Raw(b"")
    server_tool_use: Raw = Raw(b"")
    speed: Any = None
    iterations: Raw = Raw(b"")


class Iteration(Usage, gc=False):
    """One of several runs of a model for one answer; the totals have those of type ``message``."""

    type: Any = None
    model: Any = None


class ServerToolUse(msgspec.Struct, gc=False):
    """What the provider's own tools did."""

    web_search_requests: Any = None


class Error(msgspec.Struct, gc=False):
    """``error`` of an error body or event."""

    type: Any = None
    message: Any = None
    details: Raw = Raw(b"")


class ErrorDetails(msgspec.Struct, gc=False):
    """``details`` of an error."""

    error_code: Any = None


class ErrorBody(msgspec.Struct, gc=False):
    """An error's body."""

    error: Raw = Raw(b"")
