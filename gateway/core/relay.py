"""The response state machine: pass, hold, release, refuse. Synchronous, no I/O.

It decides once, at the start, how an answer is relayed:

- *observing* a whole body: every chunk passes as it is, and is read at the end, for the record;
- *observing* a stream: frames pass as they are once they are whole, so that an error can follow wherever the
  upstream breaks off; a chunk that is a whole number of frames is the same object. Nothing that can't be read
  ever breaks the stream. A frame of usage that the client did not ask for can be hidden;
- *gating*: frames are read strictly, and from the first tool call on they are held until there is a verdict.
  What can't be read is not released, and nothing follows the wire's terminator.
"""

from collections.abc import Iterable

from gateway.core.adapter import Payload, ResponseAdapter
from gateway.core.errors import GatewayError, NotEvaluated
from gateway.core.frames import Frame, Framer, Shape
from gateway.core.kept import NOTHING
from gateway.core.repeats import Repeats
from gateway.core.strict import call_names, has_capital_key, tree
from gateway.core.view import (
    Completion,
    End,
    Event,
    Finish,
    ReasoningDelta,
    Start,
    StreamError,
    TextDelta,
    ToolCallDelta,
    Unknown,
    Usage,
)

_HARMLESS = frozenset({Start, TextDelta, ReasoningDelta, Usage, Finish})
"""Events that decide nothing."""


class Relay:
    """Relays one response; what may go to the client is what ``feed`` and the endings return."""

    __slots__ = (
        "_by_chunk",
        "_completion",
        "_failed",
        "_framer",
        "_gate",
        "_held",
        "_held_size",
        "_hold_limit",
        "_reading",
        "_repeats",
        "_sent",
        "_unjudgeable",
        "adapter",
        "done",
        "failure",
        "kept",
        "stopped",
        "unknown",
        "unreadable",
    )

    def __init__(
        self,
        framer: Framer,
        adapter: ResponseAdapter,
        completion: Completion,
        *,
        gate: bool = False,
        hold_limit: int = 4 << 20,
    ) -> None:
        self.adapter = adapter
        self.done = False
        """The wire's terminator has been seen."""
        self.failure: GatewayError | None = None
        """Why a gated answer can't go on; what was returned until then may go out."""
        self.stopped = False
        """Nothing that the upstream still sends would leave a gated answer."""
        self.kept = NOTHING
        """Takes what comes, for the record."""
        self.unreadable = 0
        """Frames that could not be read."""
        self.unknown: dict[str, int] = {}
        """What the adapter did not know, by name."""
        self._completion = completion
        self._framer = framer
        self._gate = gate
        self._by_chunk = framer.whole and not gate
        self._hold_limit = hold_limit
        self._held: list[Frame] = []
        self._held_size = 0
        self._failed, self._unjudgeable, self._reading = False, False, True
        repeats = adapter.repeats and not (framer.whole or adapter.arrays)
        self._repeats = Repeats(framer.limit, adapter.padding) if repeats else None
        self._sent = False

    @property
    def held(self) -> bool:
        """Whether frames wait for a verdict."""
        return bool(self._held)

    @property
    def gated(self) -> bool:
        """Whether nothing leaves unread."""
        return self._gate

    @property
    def whole(self) -> bool:
        """Whether the answer is one frame."""
        return self._framer.whole

    @property
    def complete(self) -> bool:
        """Whether the answer has ended as its wire says answers end."""
        return self.done or self._failed or not self._reading or self._completion.finish_reason is not None

    @property
    def over(self) -> bool:
        """Whether nothing that a client waits for can follow."""
        ended = not self.adapter.terminates and self._completion.finish_reason is not None
        return self.done or self._failed or ended

    @property
    def at_boundary(self) -> bool:
        """Whether no frame is half sent, so that a keep-alive may go out."""
        return self._sent and self._reading and not self._by_chunk

    def keep_alive(self) -> bytes:
        """Return what may go out between two frames while nothing flows; empty: nothing may."""
        return self._framer.keep_alive(self.adapter.keep_alive) if self.at_boundary else b""

    def feed(self, chunk: bytes) -> bytes:
        """Take bytes of the upstream, return those that may go to the client now."""
        framer, repeats = self._framer, self._repeats
        if repeats is not None and not framer.pending and (text := repeats.text(chunk)):
            self._completion.add_text(text)
            self.kept.add_text(text, chunk, repeats)
            return chunk
        self.kept.add(chunk)
        if not self._reading:
            return chunk
        frames = framer.feed(chunk)
        if self._gate:
            return self._gated(frames, chunk)
        if not self._by_chunk:
            return self._observed(frames, chunk)
        if framer.overflow:
            self.unreadable += 1
            self._reading = False
        self._sent = self._sent or bool(chunk)
        return chunk

    def close(self) -> bytes:
        """Take the end of the upstream's bytes, return what may go to the client now."""
        if not self._reading:
            return b""
        framer = self._framer
        rest = framer.close()
        if self._gate:
            ready = self._gated(rest, b"")
            self._fail_closed()
            return ready
        ready = self._observed(rest, b"")
        return b"" if self._by_chunk else ready

    def rest(self) -> bytes:
        """Take what has come of a whole answer that broke off."""
        return self._framer.drain()

    def release(self) -> bytes:
        """Return the bytes that were held: they were judged, and may go."""
        self._sent = True
        held, self._held = self._held, []
        return b"".join(map(self._encode, held))

    def refuse(self, text: str) -> bytes:
        """Return the answer's other ending, in place of what was held."""
        payloads = self.adapter.refusal(text, self._held, self._completion)
        self._held = []
        return self._end(payloads)

    def fail(self, error: GatewayError) -> bytes | None:
        """Return the error in the wire's own form; None where only an abort tells the client."""
        self._held = []
        if self._framer.whole or not self._reading:
            return None
        return self._end(self.adapter.error(error))

    def _end(self, payloads: Iterable[Payload]) -> bytes:
        framer = self._framer
        parts = []
        for payload in payloads:
            if framer.only_json and payload.data == self.adapter.terminator:
                continue
            parts.append(framer.wrap(payload.data, payload.event, first=not self._sent))
            self._sent = True
        parts.append(framer.end(first=not self._sent))
        return b"".join(parts)

    def _repeated(self, frame: Frame) -> bool:
        """Take a frame that is known to be one more piece of text; return whether it was."""
        text = self._repeats.text(frame.raw) if self._repeats is not None else ""
        self._completion.add_text(text)
        return bool(text)

    def _observe(self, frame: Frame) -> tuple[Event, ...]:
        try:
            events = tuple(self.adapter.events(frame))
        except Exception:  # noqa: BLE001  # whatever an adapter can't read, a stream that is only observed goes on
            self.unreadable += 1
            return ()
        if len(events) == 1 and type(events[0]) is TextDelta:
            self._add_text(frame, events[0].text)
            return events
        if self._repeats is not None:
            self._repeats.forget()
        for event in events:
            self._completion.apply(event)
            kind = type(event)
            if kind is End:
                self.done = True
            elif kind is StreamError:
                self._failed = True
            elif kind is Unknown:
                self._count(event.name)  # type: ignore[union-attr]  # `type() is` does not narrow, and isinstance costs more per event
        return events

    def _add_text(self, frame: Frame, text: str) -> None:
        """Take a frame that was a piece of text and nothing else."""
        self._completion.add_text(text)
        if self._repeats is not None and self.adapter.repeats:
            self._repeats.learn(frame, text)

    def _count(self, name: str) -> None:
        self.unknown[name] = self.unknown.get(name, 0) + 1

    def _observed(self, frames: list[Frame], chunk: bytes) -> bytes:
        ready = [frame.raw for frame in frames if self._pass(frame)]
        framer = self._framer
        if framer.overflow:
            ready.append(framer.drain())
            self.unreadable += 1
            self._reading, self._repeats = False, None  # its bytes go on, unread
        elif framer.complete:
            self.done = True
        return self._joined(ready, chunk)

    def _gated(self, frames: list[Frame], chunk: bytes) -> bytes:
        ready = []
        framer = self._framer
        for frame in frames:
            oversized = framer.overflow and len(frame.raw) > framer.limit
            if self.done or self.failure is not None or oversized:
                break  # nor is what follows it read
            if self._judge(frame):
                ready.append(frame.raw if frame.shape is not Shape.IRREGULAR else self._encode(frame))
        if framer.overflow and not self.done:
            self.failure = self.failure or NotEvaluated("The upstream sent an event over the size limit.")
        elif framer.complete:
            self.done = True
        if self.done:
            self._fail_closed()
        if self.done or self.failure is not None:
            self.stopped = True
            self._repeats = None  # nothing follows, not even what is known
        return self._joined(ready, chunk)

    def _joined(self, ready: list[bytes], chunk: bytes) -> bytes:
        """Join what may go; the chunk itself if that is all of it."""
        if not ready:
            return b""
        self._sent = True
        joined = ready[0] if len(ready) == 1 else b"".join(ready)
        return chunk if joined == chunk else joined

    def _fail_closed(self) -> None:
        """At the end of a gated answer: what nobody could interpret is not released."""
        if self._unjudgeable and self.failure is None:
            names = ", ".join(self.unknown)
            self.failure = NotEvaluated(
                f"The upstream's answer holds what the gateway does not know ({names}), so no policy could judge it."
            )

    def _pass(self, frame: Frame) -> bool:
        if not frame.data:
            return True
        self._observe(frame)
        return not (self.adapter.hiding and self.adapter.hides(frame))

    def _encode(self, frame: Frame) -> bytes:
        """Return a gated frame as it may leave: as it came, or its payload framed anew."""
        if frame.shape is not Shape.IRREGULAR:
            return frame.raw
        return self._framer.wrap(frame.data, frame.event, first=not self._sent)

    def _judge(self, frame: Frame) -> bool:
        """Read a gated frame strictly; return whether it may pass now."""
        data = frame.data
        if not data:
            return self._judge_empty(frame)
        if self._repeated(frame):
            return True
        adapter = self.adapter
        try:
            value, canonical = (None, b"") if data == adapter.terminator else tree(data)
            events = tuple(adapter.events(frame))
            plain = len(events) == 1 and type(events[0]) is TextDelta
            keys = adapter.call_keys
            thorough = bool(self._held) or (
                adapter.nameless_calls and not plain and has_capital_key(canonical)
            )
            names = call_names(value, canonical, keys, adapter.echoes, thorough=thorough)
        except Exception:  # noqa: BLE001  # whatever goes wrong while reading, a gate fails closed
            self._refuse_to_read()
            return False
        if frame.shape or frame.event:
            if frame.shape is Shape.BROKEN:
                self._refuse_to_read()
                return False
            if frame.event not in ("", "error", adapter.event_name):
                frame.shape = Shape.IRREGULAR
            if frame.shape is Shape.IRREGULAR and frame.event != "error":
                frame.event = adapter.event_name
        if plain and not (names or self._held or self._failed):
            self._add_text(frame, events[0].text)  # type: ignore[union-attr]  # plain says that it is text
            return not (adapter.hiding and adapter.hides(frame))
        if self._repeats is not None:
            self._repeats.forget()
        holds = self._apply(events, names)
        if self._failed:
            return self._judge_failed(frame, events, holds)
        if adapter.hiding and adapter.hides(frame):
            return False
        if holds or self._held:
            self._hold(frame)
            return False
        return True

    def _judge_failed(self, frame: Frame, events: tuple[Event, ...], holds: bool) -> bool:  # noqa: FBT001  # read at one place
        """Judge a frame from the provider's own error on: only that error's rest and the terminator pass, nothing held."""
        self._held = []
        if holds:
            self._refuse_to_read()
            return False
        return any(type(event) is StreamError for event in events) or frame.data == self.adapter.terminator

    def _judge_empty(self, frame: Frame) -> bool:
        """Judge a frame without a payload: comments pass in their place, lines that are no field never do."""
        if frame.shape is Shape.BROKEN:
            self._refuse_to_read()
        if frame.shape is not Shape.COMMENT:
            return False
        if self._held:
            self._hold(frame)
            return False
        return True

    def _apply(self, events: tuple[Event, ...], names: list[str]) -> bool:
        """Apply a gated frame's events; return whether it must be held.

        ``names``: those of the objects in it that look like a tool call, whether or not the adapter knows them.
        """
        holds = False
        for event in events:
            self._completion.apply(event)
            kind = type(event)
            if kind in _HARMLESS:
                continue
            if isinstance(event, ToolCallDelta):
                # What names its call accounts for one such object, and for none that stands beside it.
                for name in names if event.name or event.restated else ():
                    if name and self._completion.is_name(event.index, name):
                        names.remove(name)
                        break
                holds = holds or not event.server_executed
            elif isinstance(event, Unknown):
                self._count(event.name)
                self._unjudgeable = True
                holds = True
            elif kind is StreamError:
                self._failed = True
            else:
                self.done = True
        if names:
            self._count("tool call")
            self._unjudgeable = holds = True
        return holds

    def _hold(self, frame: Frame) -> None:
        self._held.append(frame)
        self._held_size += len(frame.raw)
        if self._held_size > self._hold_limit and not self._framer.whole:
            self.failure = NotEvaluated("The upstream's tool calls are over the size limit (hold_limit).")

    def _refuse_to_read(self) -> None:
        self.unreadable += 1
        self.failure = self.failure or NotEvaluated(
            "A part of the upstream's answer can't be read without doubt, so no policy could judge it."
        )
