"""Patterns that operators write: regular expressions, matched in linear time (RE2), and globs."""

from collections.abc import Sequence
from typing import Any

import re2

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.never_capture = True
"""Nobody asks what a group matched, and without that question a search need not keep track of it."""
_MANY = re2.Options()
_MANY.log_errors = False
_MANY.max_mem = 64 << 20
_LONGEST = 20_000
_LARGEST = 10_000
"""Instructions of a program: linear time is the length of a text times these, at worst."""
_SAID = 200
"""Characters of what is said of a pattern, which may repeat all of it."""


class InvalidPattern(ValueError):
    """A pattern that means nothing; the message says why."""


class TooLarge(InvalidPattern):
    """A pattern that means something, but would take too long to match."""


def compiled(pattern: str | bytes) -> Any:
    """Compile a regular expression, for texts or for bytes as it is itself; raise ``InvalidPattern``.

    Parentheses only group, unless they give a name.
    """
    if len(pattern) > _LONGEST:
        raise TooLarge(f"it is {len(pattern):,} characters long, and may be {_LONGEST:,}")
    try:
        expression = re2.compile(pattern, _OPTIONS)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        words = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        if words.startswith("pattern too large"):
            raise TooLarge("it repeats too much; repeat less often, or shorter pieces") from None
        raise InvalidPattern(words if len(words) <= _SAID else f"{words[:_SAID]}…") from None
    except UnicodeEncodeError:
        raise InvalidPattern("half of a surrogate pair") from None
    if expression.programsize > _LARGEST:
        raise TooLarge(
            f"it comes to {expression.programsize:,} instructions, and may to {_LARGEST:,}; "
            "repeat less often, or shorter pieces"
        )
    return expression


def glob_problem(glob: str) -> str | None:
    """Return why a name or glob (``*``, ``?``, ``[abc]``) can match nothing; ``None``: it can."""
    if not glob.strip():
        return "it is empty; write a name or a glob, * for all"
    if glob != glob.strip() or not glob.isprintable():
        return f"{glob!r} has white space around it, or characters that can't be seen; take them out"
    position = 0
    while (start := glob.find("[", position)) >= 0:
        # As fnmatch reads it: a ] right after the [ or [! belongs to the set.
        end = _set_end(glob, start + 1)
        if end < 0:
            return f"{glob!r} has a [ without its ] at character {start + 1}; the character itself is written [[]"
        position = end + 1
    return None


class Globs:
    """Many globs at once (``*``, ``?``, ``[abc]``, ``[!abc]``), matched in linear time."""

    def __init__(self, globs: Sequence[str]) -> None:
        self._set: Any = None
        if globs:
            self._set = re2.Set.FullMatchSet(_MANY)
            for glob in globs:
                try:
                    self._set.Add(_translated(glob))
                except re2.error:  # a set that ends before it begins: it stands for itself
                    self._set.Add(re2.escape(glob))
            self._set.Compile()

    def matching(self, text: str) -> list[int]:
        """Return the places of those that match all of a text."""
        if self._set is None:
            return []
        return self._set.Match(text.encode(errors="replace").decode()) or []


def _translated(glob: str) -> str:
    """Return a glob as a regular expression; a ``[`` without its ``]`` stands for itself."""
    parts = []
    position = 0
    while position < len(glob):
        char = glob[position]
        position += 1
        if char == "*":
            parts.append(".*")
        elif char == "?":
            parts.append(".")
        elif char == "[" and (end := _set_end(glob, position)) > 0:
            members = glob[position:end]
            negated = members.startswith("!")
            ranges = re2.escape(members[1:] if negated else members).replace("\\-", "-")
            parts.append(f"[{'^' if negated else ''}{ranges}]")
            position = end + 1
        else:
            parts.append(re2.escape(char))
    return "(?s)" + "".join(parts)


def _set_end(glob: str, start: int) -> int:
    """Return where the ``]`` of a set is; one right after its beginning belongs to it."""
    first = start + 1 if glob.startswith("!", start) else start
    return glob.find("]", first + 1)
