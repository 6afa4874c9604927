"""Attacks by size: arguments around the limits, and calls by the thousand."""

from collections.abc import Callable, Sequence
from typing import Any

from tests.attacks.model import CANARY, PASSES, REFUSED, TWIN, UNJUDGED, Expected, Item, Tool
from tests.attacks.wires.content import StreamCall, WholeCall
from tests.attacks.wires.payloads import Writer

MIB = 1 << 20
_PIECE = 64 << 10


def cut_up(text: str) -> list[str]:
    """A text in the pieces in which a model would write it: two of a short one."""
    size = max(1, min(_PIECE, (len(text) + 1) // 2))
    return [text[at : at + size] for at in range(0, len(text), size)] or [""]


def padded(tool: Tool, size: int) -> str:
    """Arguments of so many bytes."""
    text = f'{{"canary_arg":"{tool.value}","pad":""}}'
    return text[:-2] + "x" * (size - len(text)) + text[-2:]


def add_sizes(
    writer: Writer,
    in_stream: StreamCall,
    in_whole: WholeCall,
    many_streamed: Callable[[Sequence[Tool]], Sequence[Item]],
    many_whole: Callable[[Sequence[Tool]], Any],
) -> None:
    sizes: tuple[tuple[str, int, Expected, Expected], ...] = (
        ("1 MiB", MIB, REFUSED, PASSES),
        ("1 MiB and a byte", MIB + 1, REFUSED, {"argument": REFUSED, "": PASSES}),
        ("64 MiB", 64 * MIB, UNJUDGED, UNJUDGED),
    )
    for variant, size, denied, twin in sizes:
        more: dict[str, Any] = {"denied": denied, "twin": twin, "splits": "huge"}
        writer.stream("41", variant, lambda t, size=size: in_stream(t.name, padded(t, size)), **more)
        writer.whole("41", variant, lambda t, size=size: in_whole(t.name, padded(t, size)), **more)
    last: dict[str, Any] = {"splits": "huge", "denied": REFUSED, "twin": PASSES}

    def row(tool: Tool) -> list[Tool]:
        return [TWIN] * 9_999 + [tool]

    writer.stream("42", "the last of 10,000", lambda t: many_streamed(row(t)), **last)
    writer.whole("42", "the last of 10,000", lambda t: many_whole(row(t)), **last)
    all_of_them: dict[str, Any] = {"splits": "huge", "twin": None}
    writer.whole("42", "10,000 of them", lambda t: many_whole([t] * 10_000), **all_of_them)
    assert CANARY != TWIN
