"""Answers of OpenAI's Responses API: a numbered sequence of events, or one object."""

from collections.abc import Iterable, Sequence

import msgspec

from gateway.core.adapter import Payload, RequestAdapter, ResponseAdapter
from gateway.core.errors import GatewayError
from gateway.core.frames import Frame
from gateway.core.view import END, Completion, Event, TextDelta, ToolCallDelta, Unknown
from gateway.providers.openai.responses_ending import PROGRESS, Ending, message, refused_body
from gateway.providers.openai.responses_reader import TERMINAL, Reader, whole_number
from schemas import openai_responses as wire

_DELTA = msgspec.json.Decoder(wire.Delta)
_EVENT = msgspec.json.Decoder(wire.Event)
_RESPONSE = msgspec.json.Decoder(wire.Response)
_DONE = b"[DONE]"


class ResponsesResponse(ResponseAdapter):
    """An answer of the Responses API."""

    terminator = _DONE
    nameless_calls = True
    shows_hosted = True
    call_keys = frozenset(
        {
            "action",
            "actions",
            "arguments",
            "call_id",
            "code",
            "command",
            "command_index",
            "commands",
            "content",
            "delta",
            "diff",
            "environment",
            "execution",
            "id",
            "input",
            "item",
            "item_id",
            "name",
            "namespace",
            "operation",
            "output",
            "output_index",
            "part",
            "response",
            "server_label",
            "type",
        }
    )
    echoes = frozenset(
        {
            "arguments",  # as an object, they are the tool's own business
            "attributes",
            "env",
            "input_schema",
            "instructions",
            "metadata",
            "parameters",
            "prompt",
            "results",
            "text",
            "tool_choice",
            "tools",
        }
    )

    def __init__(self, request: RequestAdapter, *, streamed: bool) -> None:
        super().__init__(request, streamed=streamed)
        self._reader = Reader(request)
        self._named = True  # the upstream names its events, and so do we
        self._last = b""
        self._sent: int | None = None  # how many items had begun before the first frame that a gate holds
        self._place = -1  # of the text that is arriving
        self._part = -1

    def events(self, frame: Frame) -> Iterable[Event]:
        data = frame.data
        if not self.streamed:
            return tuple(self._reader.whole(_RESPONSE.decode(data)))
        if data == _DONE:
            self.event_name = ""
            return (*self._reader.calls.settle(), END)
        try:
            delta = _DELTA.decode(data)
        except msgspec.ValidationError:
            return self._events(frame)
        if delta.type != "response.output_text.delta":
            return self._events(frame)
        self._last = data
        if frame.event or self.event_name:
            self.event_name = delta.type
        if delta.output_index != self._place or delta.content_index != self._part:
            self._place = delta.output_index
            self._part = delta.content_index
            self._reader.arrive(self._place, self._part)
        return (TextDelta(delta.delta),)

    def error(self, error: GatewayError) -> Iterable[Payload]:
        number = whole_number(_EVENT.decode(self._last).sequence_number) + 1 if self._last else 0
        return Ending(self._reader.opening, number, named=self._named).error(error)

    def refusal(self, text: str, held: Sequence[Frame], completion: Completion) -> Iterable[Payload]:
        if not self.streamed:
            return (Payload(refused_body(held[-1].data, text, self._reader.ids)),)
        # What holds no call is told again, under new numbers.
        calls = self._reader.calls
        again = type(self)(self.request, streamed=True)
        events = [(_EVENT.decode(frame.data), frame) for frame in held if frame.data not in (b"", _DONE)]
        kept: list[bytes] = []
        terminal = b""
        for event, frame in events:
            holds = _holds(again.events(frame))
            if event.type in TERMINAL:
                terminal = frame.data
            elif event.type in PROGRESS or not (holds or calls.client_runs(event.output_index)):
                kept.append(frame.data)
        numbers = [whole_number(event.sequence_number) for event, _ in events]
        sent = list(self._reader.places)[: self._sent]
        ending = Ending(self._reader.opening, max(numbers[0], 0), named=self._named)
        item = message(text, self._reader.opening, self._reader.ids)
        return ending.refusal(item, kept, max(sent, default=-1) + 1, terminal)

    def _events(self, frame: Frame) -> tuple[Event, ...]:
        """Read any event but the most frequent one."""
        event = _EVENT.decode(frame.data)
        self._last = frame.data
        if frame.event or self.event_name:
            self.event_name = event.type
        if self._reader.opening is None:
            self._named = bool(frame.event)
        begun = len(self._reader.places)
        events = tuple(self._reader.read(event))
        if self._sent is None and _holds(events):
            self._sent = begun
        return events


def _holds(events: Iterable[Event]) -> bool:
    """Whether a gate holds a frame that means these events."""
    return any(
        isinstance(event, Unknown) or (isinstance(event, ToolCallDelta) and not event.server_executed)
        for event in events
    )
