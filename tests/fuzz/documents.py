"""JSON documents that may be wrong in every way in which JSON can be, and how they are made wrong."""

import json  # noqa: TID251  # writes what a strict encoder would not
import re
from typing import Any

from tests.fuzz.source import Source


class Raw(str):
    """JSON, or what is none, that is written as it is."""

    __slots__ = ()


class Escaped(str):
    """A text that is written with an escaped character."""

    __slots__ = ()


class Obj:
    """An object whose members have an order, and may have equal names."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.pairs = pairs


def tree(value: Any) -> Any:
    """Return a document that can be mutated."""
    if isinstance(value, dict):
        return Obj([(key, tree(child)) for key, child in value.items()])
    return [tree(each) for each in value] if isinstance(value, list) else value


def copy(value: Any) -> Any:
    if isinstance(value, Obj):
        return Obj([(key, copy(child)) for key, child in value.pairs])
    return [copy(each) for each in value] if isinstance(value, list) else value


def render(value: Any, *, loose: bool = False) -> str:
    """Write a document; ``loose``: with white space, as some servers do."""
    comma, colon = (", ", ": ") if loose else (",", ":")
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, Obj):
        members = (_string(key) + colon + render(child, loose=loose) for key, child in value.pairs)
        return "{" + comma.join(members) + "}"
    if isinstance(value, list):
        return "[" + comma.join(render(each, loose=loose) for each in value) + "]"
    return _string(value) if isinstance(value, str) else json.dumps(value)


def _string(text: str) -> str:
    if isinstance(text, Escaped) and text:
        return f'"\\u{ord(text[0]):04x}{json.dumps(text[1:])[1:]}'
    # A lone surrogate can only be written escaped.
    return json.dumps(text, ensure_ascii=any("\ud800" <= char <= "\udfff" for char in text))


def objects(value: Any) -> list[Obj]:
    """Return all objects of a document, the outermost first."""
    found: list[Obj] = []
    if isinstance(value, Obj):
        found.append(value)
        for _, child in value.pairs:
            found += objects(child)
    elif isinstance(value, list):
        for child in value:
            found += objects(child)
    return found


_ODD_VALUES: tuple[Any, ...] = (
    None,
    "",
    0,
    1,
    -1,
    "0",
    "1",
    0.0,
    1.5,
    True,
    1 << 40,
    [],
    Obj([]),
    Raw("1e400"),
    Raw("NaN"),
    Raw('"\\ud800"'),
    Raw("[[[[]]]]"),
)
_ALIASES = {
    "functionCall": "function_call",
    "partialArgs": "partial_args",
    "willContinue": "will_continue",
    "finishReason": "finish_reason",
    "jsonPath": "json_path",
    "stringValue": "string_value",
    "executableCode": "executable_code",
}


def beside(source: Source, members: Obj, others: dict[str, Any]) -> Obj:
    """Have a member of an object stand there a second time, in another spelling or not, with another value."""
    known = [key for key, _ in members.pairs if key in others]
    key = source.pick(known)
    spelt = key if source.chance(25) else _alias(source, key)
    members.pairs.insert(source.below(len(members.pairs) + 1), (spelt, tree(others[key])))
    return members


def _alias(source: Source, key: str) -> str:
    """Return another spelling that some client takes for the same."""
    choices = [key[:1].upper() + key[1:], Escaped(key), key.upper(), key.replace("s", "\u017f", 1)]
    choices.append(_ALIASES.get(key) or re.sub(r"_(\w)", lambda match: match[1].upper(), key))
    choices.append(key + " ")
    return source.pick(choices)


def mutate(
    source: Source, documents: list[Any], extras: list[tuple[str, Any]], words: dict[str, tuple[Any, ...]]
) -> None:
    """Change one thing in one of some documents.

    ``extras``: members that may be added, such as one more call; ``words``: values that a member may have instead.
    """
    found = [each for document in documents for each in objects(document) if each.pairs]
    if not found:
        return
    known = {key for key, _ in extras}
    places = [(each, at) for each in found for at in range(len(each.pairs))]
    telling = [(each, at) for each, at in places if each.pairs[at][0] in known]
    sorted_ = [(each, at) for each, at in places if each.pairs[at][0] in words]
    here, at = source.pick(source.pick((telling, telling, sorted_, places)) or places)
    key, value = here.pairs[at]
    others = [child for name, child in extras if name == key]
    if not others or source.chance(30):
        others = [child for each in found for name, child in each.pairs if name == key]
    way = source.below(11)
    if way <= 1:
        here.pairs.insert(source.below(len(here.pairs) + 1), copy_pair(source.pick(extras)))
    elif way == 2:
        here.pairs.insert(at + source.below(2), (key, copy(source.pick(others))))
    elif way <= 4:
        here.pairs.insert(at + source.below(2), (_alias(source, key), copy(source.pick(others))))
    elif way == 5:
        here.pairs[at] = (key, copy(source.pick(others)))
    elif way == 6:
        here.pairs[at] = (key, copy(source.pick(words.get(key) or _ODD_VALUES)))
    elif way == 7:
        here.pairs[at] = (
            (_alias(source, key), value) if source.chance(50) else (key, copy(source.pick(_ODD_VALUES)))
        )
    elif way == 8:
        del here.pairs[at]
    elif isinstance(value, list) and value:
        value.insert(source.below(len(value) + 1), copy(source.pick(value)))
    else:
        here.pairs[at] = (key, [copy(value)])


def copy_pair(pair: tuple[str, Any]) -> tuple[str, Any]:
    return pair[0], copy(pair[1])
