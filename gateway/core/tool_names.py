"""How the names of tools are compared: by policies that mean one tool, whatever letters a client or a model writes.

A policy is for a name if the two are the same once folded (Unicode's NFKC and case folding), or if the name is that
of an MCP server's tool, ``mcp__<server>__<tool>``, whose last part is. Where that part begins, a name does not say: what
keeps something back is for all that it may be, what lets something pass only for what it certainly is.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from gateway.core.patterns import Globs

_MCP = "mcp__"
_GLOB = frozenset("*?[")
_USUAL = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")
LONGEST = 256
"""Characters of a name that any policy can be for."""
_SHOWN = 64
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode's categories of what nobody sees: controls, zero widths, halves of surrogate pairs, the unassigned."""
ANY = "__*"
"""How the name ends that stands for all tools of an MCP server, where a request does not say which: ``mcp__github__*``."""
_KEPT = 4096
"""Names whose rules are remembered: a model may make up any number of them."""


def folded(name: str) -> str:
    """Return what is equal for two names that a policy takes for one."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def near_forms(name: str) -> tuple[str, ...]:
    """Return what a name certainly stands for, folded: itself, and the tool of the MCP server that it names."""
    own = folded(name)
    rest = own.removeprefix(_MCP).partition("__")[2] if own.startswith(_MCP) else ""
    # A server within a server could call its tools like those of another one.
    return (own, rest) if rest and not rest.startswith(_MCP) else (own,)


def far_forms(name: str) -> tuple[str, ...]:
    """Return all that a name may stand for: of an MCP server's tool nobody knows where the server's name ends."""
    own = folded(name)
    if not own.startswith(_MCP):
        return (own,)
    parts = own.split("__")
    return (own, *("__".join(parts[start:]) for start in range(2, len(parts)) if parts[start]))


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

    @property
    def guards(self) -> bool:
        """It is for whatever may be that tool, since it keeps something back; else for what certainly is it."""


_Rule = TypeVar("_Rule", bound=_ForTools)


class ByTool(Generic[_Rule]):
    """Rules by the tools that they are for, in their order."""

    def __init__(self, rules: Sequence[_Rule]) -> None:
        self._literal: dict[str, list[int]] = {}
        self._rules = tuple(rules)
        self._known: dict[str, tuple[_Rule, ...]] = {}
        globs: list[tuple[str, int]] = []
        for number, rule in enumerate(rules):
            if is_glob(rule.tool):
                globs.append((folded(rule.tool), number))
            else:
                self._literal.setdefault(folded(rule.tool), []).append(number)
        self._globs = Globs([glob for glob, _ in globs])
        self._numbers = [number for _, number in globs]

    def __bool__(self) -> bool:
        return bool(self._rules)

    def of(self, name: str) -> tuple[_Rule, ...]:
        """Return the rules for the tool of this name; of one that is too long the beginning counts."""
        name = name[:LONGEST]
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            known = self._known[name] = self._find(name)
        return known

    def below(self, server: str) -> tuple[_Rule, ...]:
        """Return the rules that keep some tool of an MCP server back, by the beginning of its tools' names."""
        beginning = folded(server)
        numbers = (
            number for tool, of in self._literal.items() if tool.startswith(beginning) for number in of
        )
        return tuple(self._rules[number] for number in sorted(numbers) if self._rules[number].guards)

    def _find(self, name: str) -> tuple[_Rule, ...]:
        near = self._matching(near_forms(name))
        far = self._matching(far_forms(name)) - near
        guarding = {number for number in far if self._rules[number].guards}
        return tuple(self._rules[number] for number in sorted(near | guarding))

    def _matching(self, forms: Sequence[str]) -> set[int]:
        numbers: set[int] = set()
        for form in forms:
            numbers.update(self._literal.get(form, ()))
            numbers.update(self._numbers[found] for found in self._globs.matching(form))
        return numbers


def is_glob(tool: str) -> bool:
    """Whether a policy's tool is a pattern rather than a name."""
    return not _GLOB.isdisjoint(tool)
