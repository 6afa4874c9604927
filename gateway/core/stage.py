"""Features as stages: an ordered list, each with any of five methods, none of which knows a provider."""

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

from gateway.core.interaction import Interaction


class Stage:
    """One feature; a method that is not overridden costs nothing."""

    gates: ClassVar[bool] = True
    """If it judges tool calls: every answer that may hold one is held; else it says itself which (``i.hold``)."""

    async def on_headers(self, i: Interaction) -> None:
        """Before the body is read: who calls, and may they."""

    async def on_request(self, i: Interaction) -> None:
        """Look at the request, edit it, or raise a ``GatewayError``."""

    async def on_tool_calls(self, i: Interaction) -> None:
        """Judge ``i.completion.tool_calls``, all of them at once; may set ``i.refusal``."""

    async def on_start(self, batch: Sequence[Interaction]) -> None:
        """While answers are awaited that take longer than a moment, in batches, off the path of any client."""

    async def on_done(self, batch: Sequence[Interaction]) -> None:
        """After the answers, in batches, off the path of any client."""


class Pipeline:
    """The stages' methods as tuples, built once from one ordered list."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.stages = tuple(stages)
        self.headers: tuple[Callable[[Interaction], Awaitable[None]], ...] = _overridden(stages, "on_headers")
        self.request: tuple[Callable[[Interaction], Awaitable[None]], ...] = _overridden(stages, "on_request")
        self.tool_calls: tuple[Callable[[Interaction], Awaitable[None]], ...] = _overridden(
            stages, "on_tool_calls"
        )
        self.gated = any(each.gates and _has(each, "on_tool_calls") for each in stages)
        """Every answer that may hold a tool call is held."""
        self.started: tuple[Callable[[Sequence[Interaction]], Awaitable[None]], ...] = _overridden(
            stages, "on_start"
        )
        self.done: tuple[Callable[[Sequence[Interaction]], Awaitable[None]], ...] = _overridden(
            stages, "on_done"
        )


def _overridden(stages: Sequence[Stage], name: str) -> tuple[Callable[..., Awaitable[None]], ...]:
    return tuple(getattr(stage, name) for stage in stages if _has(stage, name))


def _has(stage: Stage, name: str) -> bool:
    return getattr(type(stage), name) is not getattr(Stage, name)
