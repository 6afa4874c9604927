"""A stage for tests: refuses tools by name, so that the gate can be driven without any policy."""

from collections.abc import Iterable

from gateway.core.interaction import Interaction
from gateway.core.stage import Stage


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
