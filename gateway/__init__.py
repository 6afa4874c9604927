"""llm-gateway: an HTTP reverse proxy for LLM APIs.

The names that a plugin may use, be it a provider or a feature (a stage).
"""

from gateway.core.adapter import Payload, Quirks, RequestAdapter, ResponseAdapter
from gateway.core.errors import ErrorKind, GatewayError
from gateway.core.frames import Frame
from gateway.core.interaction import Interaction, Note, Principal
from gateway.core.provider import Endpoint, Match, Provider, UpstreamRequest, provider
from gateway.core.stage import Stage
from gateway.core.view import (
    Completion,
    End,
    Event,
    Finish,
    FinishReason,
    Message,
    Part,
    Path,
    Prompt,
    ReasoningDelta,
    Start,
    StreamError,
    Text,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolResult,
    Unknown,
    Usage,
)

__all__ = [
    "Completion",
    "End",
    "Endpoint",
    "ErrorKind",
    "Event",
    "Finish",
    "FinishReason",
    "Frame",
    "GatewayError",
    "Interaction",
    "Match",
    "Message",
    "Note",
    "Part",
    "Path",
    "Payload",
    "Principal",
    "Prompt",
    "Provider",
    "Quirks",
    "ReasoningDelta",
    "RequestAdapter",
    "ResponseAdapter",
    "Stage",
    "Start",
    "StreamError",
    "Text",
    "TextDelta",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolResult",
    "Unknown",
    "UpstreamRequest",
    "Usage",
    "provider",
]
