"""Whether a request's messages lose anything that the model reads; by what the same adapter gives as texts."""

from collections.abc import Iterator

import msgspec

from gateway.core.adapter import RequestAdapter
from gateway.core.view import Part
from gateway.testing.cases import Case
from gateway.testing.documents import members

POINT = "11 messages"
_SILENT = ("type", "data")


def check_messages(case: Case, request: RequestAdapter) -> None:
    """Check that the pieces are the body, and that every text in it is in some part of some message."""
    prefix, elements, suffix = request.pieces
    case.require(b"".join((prefix, *elements, suffix)) == request.body, POINT, "the pieces are not the body")
    for element in elements:
        bare = request.read_message(element.lstrip(b", \t\r\n"))
        case.require(bare == request.read_message(element), POINT, f"{element!r} reads otherwise")
    messages = request.messages()
    case.require(len(messages) >= len(elements), POINT, "a message is lost")
    parts = [part for message in messages for part in message.parts]
    everything = "\n".join(text for part in parts for text in _shown(part))
    declared = _declarations(request)
    for text in request.texts():
        if text not in declared:
            for string in _strings(text):
                case.require(string in everything, POINT, f"{string!r} is in no message")


def _shown(part: Part) -> Iterator[str]:
    yield from (part.id, part.name, part.media_type, part.text)
    yield from _strings(part.text)
    yield from _strings(part.arguments)


def _declarations(request: RequestAdapter) -> set[str]:
    """Return the texts that are no part of the conversation: declared tools, as adapters write them."""
    whole = (
        {bytes(value).decode() for value in (members(request.body) or {}).values()} if request.body else set()
    )
    named = {f"{tool.name} {tool.description} {bytes(tool.parameters).decode()}" for tool in request.tools}
    return {text for text in whole if text.startswith("[")} | named


def _strings(text: str) -> Iterator[str]:
    """Return what a JSON document says, without types and pictures; any other text as it is."""
    try:
        values = [msgspec.json.decode(text)] if text.startswith(("{", "[")) else []
    except msgspec.DecodeError:
        values = []
    if not values:
        yield text
    while values:
        value = values.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            values += (inner for key, inner in value.items() if key not in _SILENT)
        elif isinstance(value, list):
            values += value
