"""How the names of tools are compared: by policies that mean one tool, whatever letters a client or a model writes.

A policy is for a name if the two are the same once folded (Unicode's NFKC and case folding), or if the name is that
of an MCP server's tool, ``mcp__<server>__<tool>``, whose last part is. Nothing else is alike.
"""

import re
import unicodedata
from collections.abc import Sequence
from fnmatch import translate
from typing import Generic, Protocol, TypeVar

_MCP = "mcp__"
_GLOB = frozenset("*?[")
_USUAL = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")
LONGEST = 256
"""Characters of a name that any policy can be for."""
_SHOWN = 64
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode's categories of what nobody sees: controls, zero widths, halves of surrogate pairs, the unassigned."""
_KEPT = 4096
"""Names whose rules are remembered: a model may make up any number of them."""


def folded(name: str) -> str:
    """Return what is equal for two names that a policy takes for one."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def forms(name: str) -> tuple[str, ...]:
    """Return all that a name may be known as, folded: itself, and what an MCP server calls it."""
    found = [folded(name)]
    while found[-1].startswith(_MCP):
        _, _, rest = found[-1].removeprefix(_MCP).partition("__")
        if not rest:
            break
        found.append(rest)
    return tuple(found)


def is_usual(name: str) -> bool:
    """Whether every client reads a name alike, as all providers promise of those that they make."""
    return _USUAL.fullmatch(name) is not None


def is_readable(name: str) -> bool:
    """Whether a name that a client declared itself can be told from others: nothing in it is unseen."""
    return 0 < len(name) <= LONGEST and not any(unicodedata.category(char) in _UNSEEN for char in name)


def shown(name: str) -> str:
    """Return a name that may stand in a sentence, whatever a model put into it."""
    visible = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name[:_SHOWN])
    return (visible + "…" if len(name) > _SHOWN else visible) or "(without a name)"


class _ForTools(Protocol):
    @property
    def tool(self) -> str:
        """A name, or a glob."""


_Rule = TypeVar("_Rule", bound=_ForTools)


class ByTool(Generic[_Rule]):
    """Rules by the tools that they are for, in their order."""

    def __init__(self, rules: Sequence[_Rule]) -> None:
        self._literal: dict[str, list[int]] = {}
        self._globs: list[tuple[re.Pattern[str], int]] = []
        self._rules = tuple(rules)
        self._known: dict[str, tuple[_Rule, ...]] = {}
        for number, rule in enumerate(rules):
            if is_glob(rule.tool):
                self._globs.append((re.compile(translate(folded(rule.tool))), number))
            else:
                self._literal.setdefault(folded(rule.tool), []).append(number)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def of(self, name: str) -> tuple[_Rule, ...]:
        """Return the rules for the tool of this name."""
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            known = self._find(name)
            if len(name) <= LONGEST:
                self._known[name] = known
        return known

    def _find(self, name: str) -> tuple[_Rule, ...]:
        numbers: set[int] = set()
        for form in forms(name):
            numbers.update(self._literal.get(form, ()))
            numbers.update(number for pattern, number in self._globs if pattern.match(form))
        return tuple(self._rules[number] for number in sorted(numbers))


def is_glob(tool: str) -> bool:
    """Whether a policy's tool is a pattern rather than a name."""
    return not _GLOB.isdisjoint(tool)
