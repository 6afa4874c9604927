"""End an answer of Anthropic's messages API with a text in place of its tool calls.

What was held stays but for the calls: text, thinking with its signature, results of the vendor's own tools and
usage keep their bytes, and only what depends on the calls changes: indexes and the reason for the end.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from gateway.core.adapter import Payload
from gateway.core.edit import edit
from gateway.core.view import Completion, Usage
from gateway.providers.anthropic.lenient import Elements, read
from schemas import anthropic as wire

_encode = msgspec.json.encode
_event = msgspec.json.Decoder(wire.StreamEvent)
_block = msgspec.json.Decoder(wire.OutputBlock)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_elements = Elements(msgspec.Raw)
_NULL = msgspec.Raw(b"null")


def refuse_message(body: bytes, text: str) -> bytes:
    """Return a whole answer that ends with a text and has no call."""
    message = _object.decode(body)
    _end_turn(message)
    blocks = [*_kept_blocks(message.get("content", _NULL)), {"type": "text", "text": text}]
    message["content"] = msgspec.Raw(_encode(blocks))
    return _encode(message)


def refuse_stream(
    text: str, held: Sequence[bytes], completion: Completion, begun: int, still_open: Iterable[int]
) -> Iterator[Payload]:
    """Return the events that end a stream.

    ``begun``: how many blocks have arrived, held ones included; ``still_open``: those that nobody closed.
    """
    ending = _Ending(held, begun, still_open)
    for data, event in ending.events:
        yield from ending.keep(data, event)
    yield from ending.close(text, completion.usage or Usage())


class _Ending:
    """The held events but for the calls, in new places."""

    def __init__(self, held: Sequence[bytes], begun: int, still_open: Iterable[int]) -> None:
        self.events = [(data, _event.decode(data)) for data in held]
        self._next = begun - sum(_begins(event) for _, event in self.events)
        self._open = {index for index in still_open if index < self._next}
        self._places: dict[Any, int | None] = {}
        """Where a held block goes, by its index; None: nowhere, it is a call."""
        self._last = _encode({"type": "message_delta"})
        """The event that says why and how the answer ends."""

    def keep(self, data: bytes, event: wire.StreamEvent) -> Iterator[Payload]:
        """Return what remains of a held event."""
        kind = event.type
        if kind == "message_delta":
            self._last = data
        elif kind == "message_start":
            message = _object.decode(event.message)
            blocks = _kept_blocks(message.get("content", _NULL))
            self._next += len(blocks)
            message |= {"content": msgspec.Raw(_encode(blocks)), "stop_reason": _NULL}
            yield Payload(edit(data, {("message",): _encode(message)}), kind)
        elif kind == "content_block_start":
            yield from self._begin(data, event)
        elif kind in ("content_block_delta", "content_block_stop"):
            place = self._places.get(event.index, event.index)
            if place is not None:
                yield _moved(data, event, place)
            if place is not None and kind == "content_block_stop":
                self._open.discard(place)

    def _begin(self, data: bytes, event: wire.StreamEvent) -> Iterator[Payload]:
        if _is_call(event.content_block):
            self._places[event.index] = None
            return
        place = self._places[event.index] = self._next
        self._open.add(place)
        self._next += 1
        yield _moved(data, event, place)

    def close(self, text: str, usage: Usage) -> Iterator[Payload]:
        """Return the text in a block of its own, and the end."""
        for index in sorted(self._open):
            yield _payload("content_block_stop", index=index)
        index = self._next
        yield _payload("content_block_start", index=index, content_block={"type": "text", "text": ""})
        yield _payload("content_block_delta", index=index, delta={"type": "text_delta", "text": text})
        yield _payload("content_block_stop", index=index)
        last = _object.decode(self._last)
        delta = read(_object, last.get("delta", _NULL)) or {}
        _end_turn(delta)
        last["delta"] = msgspec.Raw(_encode(delta))
        last.setdefault("usage", msgspec.Raw(_encode(_counts(usage))))
        yield Payload(_encode(last), "message_delta")
        yield _payload("message_stop")


def _payload(kind: str, **members: Any) -> Payload:
    return Payload(_encode({"type": kind, **members}), kind)


def _moved(data: bytes, event: wire.StreamEvent, place: int) -> Payload:
    if place != event.index:
        data = edit(data, {("index",): _encode(place)})
    return Payload(data, event.type)


def _begins(event: wire.StreamEvent) -> int:
    """Return how many blocks begin in an event."""
    if event.type == "message_start":
        content = _object.decode(event.message).get("content", _NULL)
        return len(_elements.read(content))
    return int(event.type == "content_block_start")


def _kept_blocks(content: msgspec.Raw) -> list[msgspec.Raw]:
    return [block for _, block in _elements.read(content) if not _is_call(block)]


def _is_call(raw: msgspec.Raw) -> bool:
    return bool(_block.decode(raw).type == "tool_use")


def _end_turn(members: dict[str, msgspec.Raw]) -> None:
    """Write that the model has said what it had to say."""
    members |= {"stop_reason": msgspec.Raw(b'"end_turn"'), "stop_sequence": _NULL}
    if "stop_details" in members:
        members["stop_details"] = _NULL


def _counts(usage: Usage) -> dict[str, int]:
    counts = {
        "input_tokens": usage.input_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "output_tokens": usage.output_tokens or 0,
    }
    return {name: count for name, count in counts.items() if count is not None}
