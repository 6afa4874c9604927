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


def references(
    request: wire.Request, items: Items, odd: Sequence[tuple[int, msgspec.Raw]]
) -> Iterator[Reference]:
    """List them; of the items of one sort only the first. ``odd``: those of the input that can't be read as items."""
    if previous := value(request.previous_response_id):
        yield Reference("answer", "previous_response_id", text(previous))
    if value(request.conversation) is not None:
        yield Reference("history", "conversation")
    if value(request.prompt) is not None:
        yield Reference("tools", "prompt")
    if request.background:
        yield Reference("deferred", "background")
    yield from _referred(items, odd)
    for index, item in items:
        if item.type in _COMPACTED:
            yield Reference("context", f"input[{index}]")
            break
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


def _referred(items: Items, odd: Sequence[tuple[int, msgspec.Raw]]) -> Iterator[Reference]:
    """Find the first item that is only an id; it need not say that it is one."""
    for index, item in items:
        if item.type == "item_reference" or not (item.type or item.role or not item.id):
            yield Reference("history", f"input[{index}]", text(item.id))
            return
    for index, raw in odd:
        try:
            mention = _MENTION.decode(raw)
        except UNREADABLE:
            continue
        if mention.id and not (mention.type or mention.role):
            yield Reference("history", f"input[{index}]", text(mention.id))
            return


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
