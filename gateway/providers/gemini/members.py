"""JSON objects whose members have two spellings each: Gemini reads and writes camelCase, and also snake_case."""

import re
from collections.abc import Iterator, Mapping
from functools import cache

import msgspec

from gateway.core.strict import UNREADABLE

Raw = msgspec.Raw

_object = msgspec.json.Decoder(dict[str, Raw])
_array = msgspec.json.Decoder(list[Raw])
_string = msgspec.json.Decoder(str)
_any = msgspec.json.Decoder()
_CAPITAL = re.compile(r"[A-Z]")

PART_KINDS = frozenset(
    {
        "text",
        "inlineData",
        "fileData",
        "executableCode",
        "codeExecutionResult",
        "functionCall",
        "toolCall",
        "toolResponse",
    }
)
"""What a part of an answer may be."""

PART_MEMBERS = PART_KINDS | {
    "thought",
    "thoughtSignature",
    "videoMetadata",
    "mediaResolution",
    "mediaProcessing",
    "partMetadata",
    "audioTranscription",
    "audioMetadata",
    "speechMetadata",
    "documentMetadata",
    "spreadsheetMetadata",
}
TOOL_TYPES = {
    "GOOGLE_SEARCH_WEB": "googleSearch",
    "GOOGLE_SEARCH_IMAGE": "googleSearch",
    "GOOGLE_MAPS": "googleMaps",
    "URL_CONTEXT": "urlContext",
    "FILE_SEARCH": "fileSearch",
    "MEDIA_PROCESSING": "mediaProcessing",
}
"""The names of the tools that the provider runs, as requests declare them."""

CALL_MEMBERS = frozenset({"id", "name", "args", "partialArgs", "willContinue"})
PARTIAL_ARG_VALUES = frozenset({"stringValue", "numberValue", "boolValue", "nullValue"})

_READ = (
    PART_MEMBERS
    | CALL_MEMBERS
    | PARTIAL_ARG_VALUES
    | {
        "candidates",
        "promptFeedback",
        "blockReason",
        "usageMetadata",
        "modelVersion",
        "responseId",
        "error",
        "content",
        "parts",
        "role",
        "finishReason",
        "finishMessage",
        "avgLogprobs",
        "logprobsResult",
        "index",
        "jsonPath",
        "toolType",
        "language",
        "code",
        "promptTokenCount",
        "candidatesTokenCount",
        "thoughtsTokenCount",
        "cachedContentTokenCount",
        "toolUsePromptTokenCount",
    }
)


@cache
def snake(name: str) -> str:
    """Return the other spelling of a camelCase name."""
    return _CAPITAL.sub(lambda capital: "_" + capital[0].lower(), name)


@cache
def camel(name: str) -> str:
    """Return the camelCase spelling of a name."""
    first, *others = name.split("_")
    return first + "".join(other[:1].upper() + other[1:] for other in others)


_CANONICAL = {spelling: name for name in _READ for spelling in (name, snake(name))}
_CALLS = frozenset({"functioncall", "functioncalls", "partialargs"})
_FOLDED = {name.lower() for name in _READ}


def members(document: bytes | Raw, odd: list[str]) -> dict[str, Raw]:
    """Decode an object whose members are read by their camelCase names; null ones count as absent.

    ``odd`` takes the names that clients may read in different ways: spelt in both ways with two contents, or
    in a way that only case-insensitive clients understand.
    """
    found: dict[str, Raw] = {}
    for key, value in _object.decode(document).items():
        name = _CANONICAL.get(key)
        if name is None:
            if key.replace("_", "").casefold() in _FOLDED:
                odd.append(f"{key}: odd spelling")
            name = key
        if bytes(value) == b"null" and name != "nullValue":
            continue
        if name in found and bytes(found[name]) != bytes(value):
            odd.append(f"{name}: two spellings")
        found[name] = value
    return found


def calls_in(document: bytes | Raw) -> bool:
    """Whether a value has a function call somewhere in it, in any spelling."""
    values = [_any.decode(document)]
    while values:
        value = values.pop()
        if isinstance(value, dict):
            if any(key.replace("_", "").casefold() in _CALLS for key in value):
                return True
            values += value.values()
        elif isinstance(value, list):
            values += value
    return False


def elements(document: bytes | Raw | None) -> list[Raw]:
    """Decode an array; none if it is absent."""
    return [] if document is None else _array.decode(document)


def spelt(document: Mapping[str, Raw], *names: str) -> Iterator[tuple[str, Raw]]:
    """Yield the members that have one of the names, in either spelling, under the key that the client wrote."""
    for name in names:
        for spelling in dict.fromkeys((name, snake(name))):
            if spelling in document:
                yield spelling, document[spelling]


def fields(document: bytes | Raw) -> dict[str, Raw]:
    """Decode an object; anything else has no members."""
    try:
        return _object.decode(document)
    except UNREADABLE:
        return {}


def items(document: bytes | Raw) -> Iterator[tuple[tuple[int, ...], Raw]]:
    """Yield what a repeated member holds, each with its path: the API takes a lone object for an array of one."""
    try:
        found = _array.decode(document)
    except UNREADABLE:
        yield (), Raw(bytes(document))
        return
    for index, value in enumerate(found):
        yield (index,), value


def string(document: bytes | Raw | None) -> str:
    """Decode a string; anything else in a string's place stays JSON text."""
    if document is None:
        return ""
    try:
        return _string.decode(document)
    except UNREADABLE:
        return bytes(document).decode()


def is_string(document: bytes | Raw) -> bool:
    """Whether a value is a string."""
    return bytes(document).startswith(b'"')


def integer(document: Raw | None) -> int | None:
    """Decode a whole number, also one that is written as a string."""
    if document is None:
        return None
    text = bytes(document).strip(b'"')
    return int(text) if text.isdigit() and len(text) < 20 else None
