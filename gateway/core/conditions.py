"""The language of conditions: what a policy tests of an argument, a result or the context.

What is read here when a policy is saved is what it is evaluated by: a key is parsed once, an expression compiled once.
"""

import difflib
import math
from typing import Any, Literal

import msgspec

from gateway.core.paths import read_path
from gateway.core.patterns import InvalidPattern, TooLarge, compiled
from gateway.core.view import Path

CONTEXT = ("teamIds", "agentId", "userId", "externalAgentId", "model", "provider")
"""What can be asked of the context, after ``context.``."""

_ANY = "any:"
_CONTEXT = "context."
_TEXTS = ("contains", "notContains", "startsWith", "endsWith")
_LARGEST = 1 << 63
"""Of whole numbers: more can't be compared with what JSON holds elsewhere."""
_NUMBERS = ("gt", "gte", "lt", "lte")


class Key(msgspec.Struct, frozen=True):
    """Where a value is."""

    steps: Path
    """Members and indexes; ``EVERY`` stands for all of a list."""
    any: bool = False
    """One of the values that are found is enough; else all must hold."""
    context: bool = False
    """It is a member of the context, not of the arguments or the result."""


class InvalidKey(ValueError):
    """A key that leads nowhere; the message says why."""


def parse_key(text: str) -> Key:
    """Read a key: ``a.b``, ``a[0]``, ``a[*].b[*].c``, ``[*].a``, ``context.model``, each perhaps after ``any:``."""
    path = text.removeprefix(_ANY)
    if path.startswith(_CONTEXT):
        name = path.removeprefix(_CONTEXT)
        if name not in CONTEXT:
            close = difflib.get_close_matches(name, CONTEXT, n=1)
            meant = f"; did you mean {_CONTEXT + close[0]!r}?" if close else ""
            raise InvalidKey(f"the context has no {name!r}, but {', '.join(CONTEXT)}{meant}")
        return Key((name,), any=path != text, context=True)
    steps, position = read_path(path)
    if not steps or position < len(path):
        at = len(text) - len(path) + position + 1
        raise InvalidKey(f"{text!r} is no path from character {at} on; write a.b, a[0], a[*].b or [*]")
    if why := _unlikely(steps):
        raise InvalidKey(f"{text!r} {why}")
    return Key(steps, any=path != text)


def _unlikely(steps: Path) -> str | None:
    """Return why a path that can be read is hardly meant: a block that waits for such a member never blocks."""
    names = [step for step in steps if isinstance(step, str)]
    if steps[0] == "$":
        return "begins with a $, where none is written; a path begins with its first member"
    if "*" in names:
        return "has a * that is the name of a member; all that a list holds are [*]"
    if any(name != name.strip() or not name.isprintable() for name in names):
        return "has white space around a name, or characters that can't be seen; take them out"
    return None


class Condition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One test of a policy, on an argument, a result or the context."""

    key: str
    operator: Literal[
        "equal",
        "notEqual",
        "contains",
        "notContains",
        "startsWith",
        "endsWith",
        "regex",
        "exists",
        "in",
        "gt",
        "gte",
        "lt",
        "lte",
    ]
    value: Any = None
    """What it is compared with; to ``exists``, none is ``True``."""

    def problem(self) -> tuple[str, str] | None:
        """Return the field that can't be, and why; ``None`` if both can."""
        try:
            parse_key(self.key)
        except InvalidKey as error:
            return "key", str(error)
        if why := _value_problem(self.operator, self.value):
            return "value", f"{self.operator} {why}"
        return None


def _value_problem(operator: str, value: Any) -> str | None:
    if isinstance(value, int) and not -_LARGEST < value < _LARGEST:
        return "takes no whole number beyond 63 bits"
    if operator == "regex":
        return _regex_problem(value)
    if operator == "exists":
        return (
            None
            if value is None or isinstance(value, bool)
            else "takes true or false; without a value it is true"
        )
    if operator == "in":
        if not isinstance(value, list | tuple) or not value:
            return "takes a list of texts, numbers, true or false, and not an empty one"
        wrong = next((index for index, each in enumerate(value) if not _is_scalar(each)), None)
        return None if wrong is None else f"takes texts, numbers, true or false; [{wrong}] is none of them"
    if operator in _NUMBERS:
        return None if _is_number(value) else "takes a number"
    if operator in _TEXTS:
        fits = _is_number(value) or (isinstance(value, str) and value != "")
        return None if fits else "takes a text that is not empty, or a number"
    return None if _is_scalar(value) else "takes a text, a number, true or false"


def _regex_problem(value: Any) -> str | None:
    if not isinstance(value, str) or not value:
        return "takes a regular expression"
    try:
        compiled(value)
    except TooLarge as error:
        return f"is too large: {error}"
    except InvalidPattern as error:
        return f"can't be compiled: {error}; the syntax is RE2's, without look-around and back-references"
    return None


def _is_number(value: Any) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) < _LARGEST
    return isinstance(value, float) and math.isfinite(value)


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | bool) or _is_number(value)
