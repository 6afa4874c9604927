"""Payloads as bytes that strict encoders refuse to write, and frames as each wire has them."""

import json  # noqa: TID251  # attacks hold what strict encoders refuse to write
from collections.abc import Callable, Sequence
from typing import Any

from tests.attacks.model import Attack, Item, Raw, Table, Tool

Build = Callable[[Tool], Sequence[Item]]


def dumps(value: Any) -> bytes:
    """As the vendors write JSON: compact, and in UTF-8."""
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def payload(item: Item) -> bytes:
    assert not isinstance(item, Raw)
    return item if isinstance(item, bytes) else dumps(item)


def plain_sse(items: Sequence[Item], newline: bytes = b"\n") -> list[bytes]:
    """Events without names."""
    return [item.data if isinstance(item, Raw) else b"data: " + payload(item) + newline * 2 for item in items]


def named_sse(items: Sequence[Item]) -> list[bytes]:
    """Events that are named by their type."""
    frames = []
    for item in items:
        if isinstance(item, Raw):
            frames.append(item.data)
            continue
        data = payload(item)
        kind = json.loads(data)["type"] if isinstance(item, bytes) else item["type"]
        frames.append(b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n")
    return frames


def array(items: Sequence[Item]) -> list[bytes]:
    """The elements of a JSON array that grows."""
    frames = [b"[" if not number else b",\r\n" for number, _ in enumerate(items)]
    return [mark + payload(item) for mark, item in zip(frames, items, strict=True)] + [b"\n]"]


class Writer:
    """Adds attacks to a table, framed as its wire frames them."""

    def __init__(
        self,
        dialect: str,
        frame: Callable[[Sequence[Item]], list[bytes]],
        around: Callable[[Tool, Sequence[Item]], Sequence[Item]],
    ) -> None:
        """``around``: what stands before and behind the frames of an attack, unless they are all there is."""
        self.table = Table(dialect)
        self._frame = frame
        self._around = around

    def stream(self, id_: str, variant: str, build: Build, *, all_of_it: bool = False, **more: Any) -> None:
        """Add an attack; ``all_of_it``: the frames are the whole stream."""

        def frames(tool: Tool) -> list[bytes]:
            items = build(tool)
            return self._frame(items if all_of_it else self._around(tool, items))

        self.table.add(Attack(id_, variant, "", stream=True, build=frames, **more))

    def whole(self, id_: str, variant: str, build: Callable[[Tool], Any], **more: Any) -> None:
        def frames(tool: Tool) -> list[bytes]:
            body = build(tool)
            return [body if isinstance(body, bytes) else dumps(body)]

        self.table.add(Attack(id_, variant, "", stream=False, build=frames, **more))
