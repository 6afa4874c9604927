"""Tools that call other tools: one whose arguments name the tool that is meant, and hold its arguments.

Such a call is judged as what it is, and as what it means, and may go only if both may.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from gateway.core.arguments import Unjudgeable, read_arguments
from gateway.core.patterns import glob_problem
from gateway.core.tool_names import ByTool

_DEEPEST = 8
"""Dispatchers within dispatchers."""


class ToolDispatcher(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One such tool."""

    tool: str
    """A name, or a glob."""
    name: str = "name"
    """The member of its arguments that names the tool that is meant."""
    arguments: str = "arguments"
    """The member that holds that tool's arguments: an object, or its JSON text."""

    @property
    def guards(self) -> bool:
        """It is for whatever may be that tool."""
        return True

    def problem(self) -> tuple[str, str] | None:
        """Return the field that can't be, and why; ``None`` if all can."""
        if why := glob_problem(self.tool):
            return "tool", why
        empty = next((field for field in ("name", "arguments") if not getattr(self, field)), None)
        return (empty, "it names a member of the tool's arguments; it is not empty") if empty else None


Meant = tuple[str, "str | dict[str, Any]"]
"""A tool's name, and its arguments: text as it came, or an object that stood in another one."""


def meant_calls(names: Sequence[str], arguments: str, dispatchers: ByTool[ToolDispatcher]) -> Sequence[Meant]:
    """Return a call under all its names, and what it means; raise ``Unjudgeable`` if that can't be told."""
    calls: list[Meant] = [(name, arguments) for name in names]
    if dispatchers:
        for name in names:
            calls.extend(_within(name, arguments, dispatchers, 0))
    return calls


def _within(
    name: str, arguments: "str | dict[str, Any]", dispatchers: ByTool[ToolDispatcher], depth: int
) -> Iterator[Meant]:
    for dispatcher in dispatchers.of(name):
        if depth >= _DEEPEST:
            raise Unjudgeable("they are in one another too deeply")
        members = read_arguments(arguments) if isinstance(arguments, str) else arguments
        known = (dispatcher.name, dispatcher.arguments)
        if any(key not in known and key.casefold() in map(str.casefold, known) for key in members):
            raise Unjudgeable("a member is there in other letters, too")  # to some tools it is the same one
        meant = members.get(dispatcher.name)
        inner = members.get(dispatcher.arguments, {})
        if not isinstance(meant, str) or not meant:
            raise Unjudgeable(f"its {dispatcher.name!r} is no text")
        if not isinstance(inner, str | dict):
            raise Unjudgeable(f"its {dispatcher.arguments!r} is no object")
        yield meant, inner or "{}"
        yield from _within(meant, inner or "{}", dispatchers, depth + 1)
