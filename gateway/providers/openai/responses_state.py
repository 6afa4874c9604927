"""What a request to the Responses API leaves to the provider's memory, and how it leaves less."""

from collections.abc import Iterator

import msgspec

from gateway.core.reference import Reference
from gateway.core.strict import UNREADABLE
from gateway.providers.openai.hosted import value
from gateway.providers.openai.responses_items import elements, text
from schemas import openai_responses as wire

_MENTIONS = msgspec.json.Decoder(list[wire.Mention])
_MENTION = msgspec.json.Decoder(wire.Mention)
_KEPT = msgspec.json.Decoder(wire.KeptReasoning)

ENCRYPTED = "reasoning.encrypted_content"
"""What brings reasoning to the client in a form that it can send back."""


def references(request: wire.Request) -> Iterator[Reference]:
    """List them; of the items of one sort only the first."""
    if previous := value(request.previous_response_id):
        yield Reference("answer", "previous_response_id", text(previous))
    if value(request.conversation) is not None:
        yield Reference("history", "conversation")
    if value(request.prompt) is not None:
        yield Reference("tools", "prompt")
    if request.background:
        yield Reference("deferred", "background")
    yield from _in_items(request)
    yield from _in_tools(request)


def is_conversation(request: wire.Request) -> bool:
    """Whether the provider adds this turn to a conversation that it keeps."""
    return value(request.conversation) is not None


def bare_reasoning(raw: msgspec.Raw) -> Iterator[int]:
    """Yield where the input has reasoning that says no more than where the provider has kept it."""
    found = [index for index, mention in _mentions(raw) if mention.type == "reasoning"]
    items = elements(raw) if found else []
    for index in found:
        item = _KEPT.decode(items[index])
        if not (item.encrypted_content or item.content):
            yield index


def _in_items(request: wire.Request) -> Iterator[Reference]:
    referred = compacted = False
    for index, mention in _mentions(request.input):
        kind = mention.type
        # A reference need not say that it is one.
        if not referred and (kind == "item_reference" or (not kind and mention.id and not mention.role)):
            referred = True
            yield Reference("history", f"input[{index}]", text(mention.id))
        elif not compacted and kind in ("compaction", "compaction_summary"):
            compacted = True
            yield Reference("context", f"input[{index}]")


def _in_tools(request: wire.Request) -> Iterator[Reference]:
    found = value(request.tools)
    for index, tool in enumerate(found if isinstance(found, list) else ()):
        if not isinstance(tool, dict):
            continue
        environment = tool.get("environment")
        if isinstance(tool.get("container"), str):
            yield Reference("context", f"tools[{index}].container")
        elif isinstance(environment, dict) and environment.get("type") == "container_reference":
            yield Reference("context", f"tools[{index}].environment")


def _mentions(raw: msgspec.Raw) -> Iterator[tuple[int, wire.Mention]]:
    if bytes(memoryview(raw)[:1]) != b"[":
        return
    try:
        yield from enumerate(_MENTIONS.decode(raw))
    except UNREADABLE:
        for index, element in enumerate(elements(raw)):
            try:
                mention = _MENTION.decode(element)
            except UNREADABLE:
                continue
            yield index, mention
