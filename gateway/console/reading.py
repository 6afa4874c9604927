"""What a request says, as the structs that its route declares; whatever does not fit is a 400 that says where."""

import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import inspect

from gateway.console.refusals import Refusal
from gateway.settings import suggest

_MOST_PARAMETERS = 50
_UNKNOWN = re.compile(
    r"Object contains unknown field `(?P<name>.*?)`(?: - at `\$\.?(?P<place>.*)`)?", re.DOTALL
)
_MISSING = re.compile(
    r"Object missing required field `(?P<name>.*?)`(?: - at `\$\.?(?P<place>.*)`)?", re.DOTALL
)
_NO_TIME = ("Invalid RFC3339", "Invalid epoch", "Timestamp is out of range")
"""How complaints of a text or number begin that should be a time."""
_STEP = re.compile(r"[^.\[\]]+|\[[^\]]*\]")
"""One step of the way to a place."""


def read_query(kind: type[msgspec.Struct] | None, text: str) -> Any:
    """Return the parameters of a query; raise ``Refusal`` for an unknown, repeated or impossible one."""
    try:
        pairs = parse_qsl(
            text,
            keep_blank_values=True,
            strict_parsing=bool(text),
            errors="strict",
            max_num_fields=_MOST_PARAMETERS,
        )
    except ValueError:
        raise Refusal(400, "The query can't be read: write name=value&name=value, percent-encoded.") from None
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in values:
            raise Refusal(400, "The parameter is there twice.", name)
        values[name] = value
    _check_texts(values)
    if kind is None:
        if values:
            raise Refusal(400, "There is no such parameter.", next(iter(values)))
        return None
    query = _convert(values, kind, strict=False)
    for field in msgspec.structs.fields(kind):
        if field.encode_name in values and getattr(query, field.name) is None:
            raise Refusal(400, "Leave out what is not said.", field.encode_name)  # it was written as null
    return query


def read_body(kind: type[msgspec.Struct] | None, body: bytes) -> Any:
    """Return a request's body; raise ``Refusal`` for one that is not what the route takes."""
    if kind is None:
        if body.strip() not in (b"", b"{}"):
            raise Refusal(400, "This takes no body.")
        return None
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal(400, "The body is not JSON.") from None
    _check_texts(value)
    return _convert(value, kind, strict=True)


def _convert(value: Any, kind: type[msgspec.Struct], *, strict: bool) -> Any:
    try:
        return msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise _refused(str(error), kind) from None


def _refused(said: str, kind: type[msgspec.Struct]) -> Refusal:
    """Return the complaint of the decoder as a sentence, and the place apart from it."""
    for pattern, sentence in ((_UNKNOWN, "There is no such field"), (_MISSING, "It must be there")):
        if match := pattern.fullmatch(said):
            place, name = match["place"] or "", match["name"]
            meant = suggest(name, _names(kind, place)) if pattern is _UNKNOWN else ""
            return Refusal(400, sentence + (meant or "."), f"{place}.{name}" if place else name)
    what, _, place = said.partition(" - at `$")
    place = place.rstrip("`").lstrip(".")
    if what.startswith(_NO_TIME):
        what = "It is no time that can be read: write one as 2027-01-01T09:00:00Z"
    elif choices := _choices(kind, place):
        what = f"{what}: it is one of {', '.join(choices)}"
    return Refusal(400, what.replace("`", "") + ".", place)


def _names(kind: type[msgspec.Struct], place: str) -> list[str]:
    """Return the fields that are taken at a place."""
    found = _at(inspect.type_info(kind), _STEP.findall(place))
    return [f.encode_name for each in found if isinstance(each, inspect.StructType) for f in each.fields]


def _choices(kind: type[msgspec.Struct], place: str) -> list[str]:
    """Return the words that are taken at a place, if only some are."""
    found = _at(inspect.type_info(kind), _STEP.findall(place))
    return [str(word) for each in found if isinstance(each, inspect.LiteralType) for word in each.values]


def _at(of: inspect.Type, steps: Sequence[str]) -> Iterator[inspect.Type]:
    """Yield the types that a value at a place may have."""
    if isinstance(of, inspect.UnionType):
        for each in of.types:
            yield from _at(each, steps)
    elif not steps:
        yield of
    elif isinstance(of, inspect.StructType):
        for field in of.fields:
            if field.encode_name == steps[0]:
                yield from _at(field.type, steps[1:])
    elif isinstance(of, inspect.ListType | inspect.VarTupleType):
        yield from _at(of.item_type, steps[1:])


def _check_texts(value: Any, place: str = "") -> None:
    """Refuse what no database takes as text: a null character, and half of a surrogate pair."""
    if isinstance(value, str):
        if "\0" in value or not _encodes(value):
            raise Refusal(400, "The text has a character that can't be stored.", place)
    elif isinstance(value, dict):
        for name, inner in value.items():
            _check_texts(name, place)
            _check_texts(inner, f"{place}.{name}" if place else name)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            _check_texts(inner, f"{place}[{number}]")


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
