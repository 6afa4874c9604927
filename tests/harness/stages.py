"""Stages for tests: what features will do, so that their effects can be driven before there are any."""

from collections.abc import Iterable

from gateway.core import errors
from gateway.core.interaction import Interaction
from gateway.core.stage import Stage

PROVOKED = "A test has provoked this."


class RefuseTools(Stage):
    """Refuses the whole answer when one of its calls may be read as a refused name."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = frozenset(names)

    async def on_tool_calls(self, i: Interaction) -> None:
        refused = [
            call.name for call in i.completion.tool_calls if self.names.intersection((call.name, *call.names))
        ]
        if refused:
            i.refusal = f"{', '.join(refused)} was denied by a tool invocation policy (interaction {i.id})."


class Raise(Stage):
    """Raises the error whose class the header ``X-Test-Raise`` names, as any feature may."""

    async def on_request(self, i: Interaction) -> None:
        if name := i.headers.get("x-test-raise"):
            raise getattr(errors, name, ZeroDivisionError)(PROVOKED)
