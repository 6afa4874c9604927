"""What Anthropic says that an answer used: the input without what was cached, in running totals.

Some answers take several runs of a model. The totals have those of the model that was asked; what it asked of
another one (an advisor), or did to shorten its context, is charged beside them, and only listed.
"""

from collections.abc import Iterator

import msgspec

from gateway.core.counts import count
from gateway.core.view import NULL_USAGE, Usage
from gateway.providers.anthropic.lenient import Elements, read, text
from schemas import anthropic as wire

_usage = msgspec.json.Decoder(wire.Usage)
_tools = msgspec.json.Decoder(wire.ServerToolUse)
_cache = msgspec.json.Decoder(wire.CacheCreation)
_details = msgspec.json.Decoder(wire.OutputDetails)
_iterations = Elements(wire.Iteration)


def read_usage(raw: msgspec.Raw) -> Iterator[Usage]:
    """Read a ``usage`` object, if it is one."""
    if (usage := read(_usage, raw)) is not None:
        yield _normalised(usage)
    elif bytes(raw) == b"null":
        yield NULL_USAGE


def _normalised(usage: wire.Usage) -> Usage:
    cache = read(_cache, usage.cache_creation) or wire.CacheCreation()
    details = read(_details, usage.output_tokens_details) or wire.OutputDetails()
    tools = read(_tools, usage.server_tool_use) or wire.ServerToolUse()
    long = count(cache.ephemeral_1h_input_tokens)
    written = count(usage.cache_creation_input_tokens)
    if written is None and (long is not None or count(cache.ephemeral_5m_input_tokens) is not None):
        written = (long or 0) + (count(cache.ephemeral_5m_input_tokens) or 0)
    others = tuple(
        (text(run.model), _normalised(run))
        for _, run in _iterations.read(usage.iterations)
        if run.type != "message"
    )
    return Usage(
        count(usage.input_tokens),
        count(usage.output_tokens),
        count(usage.cache_read_input_tokens),
        written,
        long,
        count(details.thinking_tokens),
        web_searches=count(tools.web_search_requests),
        service_tier=text(usage.speed) or None,
        others=others or None,
        input_is_null=usage.input_tokens is None or None,
        output_is_null=usage.output_tokens is None or None,
    )
