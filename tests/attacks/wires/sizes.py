"""Attacks by size: arguments around the limits, and calls by the thousand."""

from collections.abc import Callable, Sequence
from typing import Any

from tests.attacks.model import PASSES, REFUSED, TWIN, UNJUDGED, Item, Tool
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
    pad = "word " * (size // 5)  # one letter a million times would be counted for seconds
    return text[:-2] + pad[: size - len(text)].ljust(size - len(text)) + text[-2:]


def add_sizes(
    writer: Writer,
    in_stream: StreamCall,
    in_whole: WholeCall,
    many_streamed: Callable[[Sequence[Tool]], Sequence[Item]],
    many_whole: Callable[[Sequence[Tool]], Any],
    *,
    repeats: bool = False,
    ways: Sequence[str] = ("stream", "whole"),
) -> None:
    """Add them; ``repeats``: the wire says each call so often that what is held is over its limit."""
    over: dict[str, Any] = {"denied": UNJUDGED, "twin": UNJUDGED}
    sizes: tuple[tuple[str, int, dict[str, Any]], ...] = (
        ("1 MiB", MIB, {}),
        ("1 MiB and a byte", MIB + 1, {"twin": {"argument": REFUSED, "": PASSES}}),
        ("64 MiB", 64 * MIB, over),
    )
    for way in ways:
        streamed = way == "stream"
        add: Any = getattr(writer, way)
        call: Any = in_stream if streamed else in_whole
        many: Any = many_streamed if streamed else many_whole
        for variant, size, expected in sizes:
            more = over if repeats and streamed else expected
            add(
                "41",
                variant,
                lambda t, size=size, call=call: call(t.name, padded(t, size)),
                splits="huge",
                live=size > 32 * MIB,
                **more,
            )
        more = over if repeats and streamed else {}
        add(
            "42",
            "the last of 10,000",
            lambda t, many=many: many([TWIN] * 9_999 + [t]),
            splits="huge",
            **more,
        )
