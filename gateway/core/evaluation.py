"""Conditions, evaluated: whether what a policy tests holds of an argument, a result or the context.

- All conditions must hold; without any, it holds.
- A key that leads nowhere makes every operator false but ``exists`` with ``false``. ``null`` is a value that is there.
- With ``[*]`` every value that is found must satisfy the operator, with ``any:`` one of them, whatever the operator;
  elements without the rest of the key count for nothing. ``[*]`` and ``[0]`` are of lists, ``a.b`` of objects. What
  can't be reached: a member whose name holds a dot or a bracket, and what is below a member ``context`` at the top.
- Every scalar has a text form, as JavaScript writes it in JSON: ``true``, ``false``, ``null``; a whole number in digits
  (``1.0`` is ``1``, ``1e3`` is ``1000``, ``-0.0`` is ``0``), any other in the fewest that tell it from the next, with an
  exponent below a millionth (``1.5e-7``). Texts are taken as they are: letter case counts, nothing is normalised.
- Equal are the same text, the same number (``1`` and ``1.0``), the same of ``true`` and ``false`` (which are not ``1``
  and ``0``); a text and a boolean or ``null`` if it is the form of that; a text and a number if the text as a whole is
  a decimal number, and the same one. White space around it, a sign and zeros before it are allowed: tools read such
  texts as numbers too. Whole numbers are exact, others as a double holds them; a text of one that is too large for a
  double is larger than any number.
- ``gt`` and the like compare numbers, and texts that as a whole are numbers; nothing else is larger or smaller.
- A list or an object is equal to nothing, begins with nothing and ends with nothing. But ``contains`` and ``regex``
  look into each key and each scalar in it, however deep, lest an argument sent in another shape slip past a block;
  ``notContains`` is the exact negation of ``contains``, ``notEqual`` that of ``equal``. An allow had better ask with
  ``equal``, ``in`` or ``startsWith``: one good text among bad ones satisfies ``contains`` and ``regex``.
- ``context.teamIds`` holds if the operator does for one team, ``notEqual`` and ``notContains`` only if for all; after
  ``any:`` one is enough for these too. What is empty in the context is missing.

The time is linear in what is looked at.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter, ge, gt, le, lt
from typing import Any

import msgspec

from gateway.core.conditions import Condition, Key, parse_key
from gateway.core.paths import EVERY
from gateway.core.patterns import compiled

_NUMBER = re.compile(
    r"[ \t\r\n]*+(?:([+-]?[0-9]++)|[+-]?(?:[0-9]++\.?[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)[ \t\r\n]*+"
)
_LONGEST = 4300
"""Digits of a whole number that are read exactly: as many as the decoder of JSON takes."""
_NEGATIVE = ("notEqual", "notContains")
_MEMBERS = {
    "teamIds": "team_ids",
    "agentId": "agent_id",
    "userId": "user_id",
    "externalAgentId": "external_agent_id",
    "model": "model",
    "provider": "provider",
}


class Context(msgspec.Struct, frozen=True):
    """What ``context.`` keys read."""

    team_ids: tuple[str, ...] = ()
    agent_id: str = ""
    user_id: str = ""
    external_agent_id: str = ""
    model: str = ""
    provider: str = ""


def values_at(key: str, content: Any, context: "Context") -> Sequence[Any]:
    """Return all values that a key leads to."""
    return _finder(parse_key(key))(content, context)


_Test = Callable[[Any, Context], bool]
_Find = Callable[[Any, Context], Sequence[Any]]
"""Return all values that a key leads to."""
_Satisfies = Callable[[Any], bool]
"""Whether a value that is there satisfies an operator."""


class Conditions:
    """The conditions of one policy, read once."""

    def __init__(self, conditions: Sequence[Condition]) -> None:
        """Take conditions of which :meth:`Condition.problem` says that they can be."""
        keys = [parse_key(condition.key) for condition in conditions]
        self.reads_content = any(not key.context for key in keys)
        """Whether some condition is on the arguments or the result."""
        self.reads_context = any(key.context for key in keys)
        self._tests = tuple(map(_test, keys, conditions))

    def hold(self, content: Any, context: Context) -> bool:
        """Whether all of them hold."""
        for test in self._tests:  # noqa: SIM110  # a generator costs as much as the tests
            if not test(content, context):
                return False
        return True


def _test(key: Key, condition: Condition) -> _Test:
    operator = condition.operator
    if operator == "exists":
        return _exists(_finder(key), condition.value is not False)
    satisfies = _OPERATORS[operator](condition.value)
    if not key.context and EVERY not in key.steps:
        return _plain(key.steps, satisfies)
    if key.any or (key.context and operator not in _NEGATIVE):
        return _one(_finder(key), satisfies)
    return _all(_finder(key), satisfies)


def _exists(find: _Find, expected: bool) -> _Test:  # noqa: FBT001  # it is the value of the condition
    return lambda content, context: bool(find(content, context)) is expected


def _plain(steps: Sequence[str | int], satisfies: _Satisfies) -> _Test:
    *above, last = steps
    if not above and isinstance(last, str):

        def member(content: Any, _: Context) -> bool:
            return type(content) is dict and last in content and satisfies(content[last])

        return member

    def below(content: Any, _: Context) -> bool:
        for step in steps:
            if type(content) is dict:
                if step not in content:
                    return False
            elif type(content) is not list or type(step) is not int or step >= len(content):
                return False
            content = content[step]
        return satisfies(content)

    return below


def _one(find: _Find, satisfies: _Satisfies) -> _Test:
    return lambda content, context: any(map(satisfies, find(content, context)))


def _all(find: _Find, satisfies: _Satisfies) -> _Test:
    def every(content: Any, context: Context) -> bool:
        found = find(content, context)
        return bool(found) and all(map(satisfies, found))

    return every


def _finder(key: Key) -> _Find:
    if not key.context:
        return lambda content, _: _found(content, key.steps)
    (name,) = key.steps
    member = attrgetter(_MEMBERS[str(name)])

    def of_context(_: Any, context: Context) -> Sequence[Any]:
        value = member(context)
        return value if type(value) is tuple else (value,) if value else ()

    return of_context


def _found(content: Any, steps: Sequence[str | int]) -> list[Any]:
    found = [content]
    for step in steps:
        if isinstance(step, str):
            found = [each[step] for each in found if type(each) is dict and step in each]
        elif step == EVERY:
            found = [element for each in found if type(each) is list for element in each]
        else:
            found = [each[step] for each in found if type(each) is list and step < len(each)]
    return found


def _number(text: str) -> int | float | None:
    """Return the number that a text is as a whole."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    whole = found[1]
    return int(whole) if whole and len(whole) <= _LONGEST else float(text)


def _text(value: Any) -> str:
    """Return the text form of a scalar."""
    if type(value) is str:
        return value
    if type(value) is float and value.is_integer():
        value = int(value)
    return str(value) if type(value) is int else msgspec.json.encode(value).decode()


def _texts(value: Any) -> Iterator[str]:
    """Yield the text forms of a scalar, or of all keys and scalars in a list or an object."""
    left = [value]
    while left:  # and no recursion: what is nested deeply would end it
        value = left.pop()
        if type(value) is dict:
            yield from value
            left += value.values()
        elif type(value) is list:
            left += value
        else:
            yield _text(value)


def _equal(value: Any) -> _Satisfies:
    return _in((value,))


def _in(values: Sequence[Any]) -> _Satisfies:
    booleans = {value for value in values if type(value) is bool}
    numbers = {value for value in values if type(value) in (int, float)}
    texts = {value for value in values if type(value) is str}
    of_numbers = numbers | {number for number in map(_number, texts) if number is not None}
    of_others = texts | set(map(_text, booleans))

    def equal(value: Any) -> bool:
        if type(value) is str:
            return value in of_others or (bool(numbers) and _number(value) in numbers)
        if type(value) in (int, float):
            return value in of_numbers
        if value is None or type(value) is bool:
            return _text(value) in of_others
        return False

    return equal


def _contains(value: Any) -> _Satisfies:
    part = _text(value)

    def contains(value: Any) -> bool:
        return part in value if type(value) is str else any(part in text for text in _texts(value))

    return contains


def _regex(value: str) -> _Satisfies:
    search = compiled(value).search

    def matches(value: Any) -> bool:
        # Of bytes, for no offsets are then counted; half of a surrogate pair has none, and is a question mark.
        return any(search(text.encode(errors="replace")) for text in _texts(value))

    return matches


def _starts_with(value: Any) -> _Satisfies:
    start = _text(value)
    return lambda value: type(value) not in (list, dict) and _text(value).startswith(start)


def _ends_with(value: Any) -> _Satisfies:
    end = _text(value)
    return lambda value: type(value) not in (list, dict) and _text(value).endswith(end)


def _not(operator: Callable[[Any], _Satisfies]) -> Callable[[Any], _Satisfies]:
    def negated(value: Any) -> _Satisfies:
        satisfies = operator(value)
        return lambda value: not satisfies(value)

    return negated


def _compared(holds: Callable[[Any, Any], bool]) -> Callable[[Any], _Satisfies]:
    def comparison(limit: Any) -> _Satisfies:
        def compares(value: Any) -> bool:
            number = _number(value) if type(value) is str else value
            return type(number) in (int, float) and holds(number, limit)

        return compares

    return comparison


_OPERATORS: dict[str, Callable[[Any], _Satisfies]] = {
    "equal": _equal,
    "notEqual": _not(_equal),
    "contains": _contains,
    "notContains": _not(_contains),
    "startsWith": _starts_with,
    "endsWith": _ends_with,
    "regex": _regex,
    "in": _in,
    "gt": _compared(gt),
    "gte": _compared(ge),
    "lt": _compared(lt),
    "lte": _compared(le),
}
