"""What a request to the Responses API leaves to the provider's memory, and how it leaves less."""

from collections.abc import Iterator, Sequence

import msgspec

from gateway.core.reference import Reference
from gateway.core.strict import UNREADABLE
from gateway.providers.openai.hosted import value
from gateway.providers.openai.responses_items import elements, text
from schemas import openai_responses as wire

_MENTION = msgspec.json.Decoder(wire.Mention)
_KEPT = msgspec.json.Decoder(wire.KeptReasoning)

_COMPACTED = ("compaction", "compaction_summary")
_CONTAINERS = (b"container", b"\\u00")
"""What declares a container; an escape could hide the word."""
ENCRYPTED = "reasoning.encrypted_content"
"""What brings reasoning to the client in a form that it can send back."""


Items = Sequence[tuple[int, wire.Item]]


def references(request: wire.Request) -> Iterator[Reference]:
    """List what members other than the input refer to."""
    if previous := value(request.previous_response_id):
        yield Reference("answer", "previous_response_id", text(previous))
    if value(request.conversation) is not None:
        yield Reference("history", "conversation")
    if value(request.prompt) is not None:
        yield Reference("tools", "prompt")
    if request.background:
        yield Reference("deferred", "background")
    yield from _in_tools(request)


def is_conversation(request: wire.Request) -> bool:
    """Whether the provider adds this turn to a conversation that it keeps."""
    return value(request.conversation) is not None


def bare_reasoning(request: wire.Request, items: Items) -> Iterator[int]:
    """Yield where the input has reasoning that says no more than where the provider has kept it."""
    found = [index for index, item in items if item.type == "reasoning"]
    raws = elements(request.input) if found else []
    for index in found:
        said = _KEPT.decode(raws[index])
        if not (said.encrypted_content or said.content):
            yield index


def referred(item: wire.Item, place: int) -> Reference | None:
    """Return what an item of the input stands for without saying it."""
    # An item that is only an id need not say that it is one.
    if item.type == "item_reference" or not (item.type or item.role or not item.id):
        return Reference("history", f"input[{place}]", text(item.id))
    return Reference("context", f"input[{place}]") if item.type in _COMPACTED else None


def mention(element: bytes) -> wire.Item:
    """Read of an item that can't be read as one what says that it is only an id."""
    try:
        found = _MENTION.decode(element)
    except UNREADABLE:
        return wire.Item()
    return wire.Item(id="" if found.type else found.id, role=found.role)


def _in_tools(request: wire.Request) -> Iterator[Reference]:
    raw = bytes(request.tools)
    found = value(request.tools) if any(word in raw for word in _CONTAINERS) else None
    for index, tool in enumerate(found if isinstance(found, list) else ()):
        if not isinstance(tool, dict):
            continue
        environment = tool.get("environment")
        if isinstance(tool.get("container"), str):
            yield Reference("context", f"tools[{index}].container")
        elif isinstance(environment, dict) and environment.get("type") == "container_reference":
            yield Reference("context", f"tools[{index}].environment")
