"""A made-up wire format, as short as an adapter can be: lines of JSON, or one object that holds them all."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import msgspec

from gateway.core.adapter import DEFAULT_QUIRKS, Payload, Quirks, RequestAdapter, ResponseAdapter
from gateway.core.errors import GatewayError
from gateway.core.frames import Frame
from gateway.core.provider import Endpoint, Provider, provider
from gateway.core.strict import load
from gateway.core.view import (
    END,
    Completion,
    Event,
    Finish,
    FinishReason,
    Message,
    Part,
    Prompt,
    ReasoningDelta,
    Start,
    StreamError,
    Text,
    TextDelta,
    Tool,
    ToolCallDelta,
    ToolResult,
    Unknown,
    Usage,
    tool_result,
)


class Turn(msgspec.Struct):
    """A line of the history: somebody says something, or reports what was done."""

    who: str
    say: str = ""
    did: str | None = None
    id: str = ""


class Can(msgspec.Struct):
    """A tool."""

    name: str


class Talk(msgspec.Struct):
    """A request."""

    model: str
    talk: list[Turn]
    stream: bool = False
    can: list[Can] = []


class Do(msgspec.Struct):
    """A tool call."""

    id: str
    name: str
    args: str = ""


class Oops(msgspec.Struct):
    """An error."""

    message: str


class Line(msgspec.Struct):
    """A line of an answer; a whole answer holds them all."""

    id: str = ""
    model: str = ""
    say: str | None = None
    think: str | None = None
    do: Do | None = None
    bye: str | None = None
    cost: tuple[int, int] | None = None
    oops: Oops | None = None
    lines: list["Line"] | None = None


_talk = msgspec.json.Decoder(Talk)
_turn = msgspec.json.Decoder(Turn)
_line = msgspec.json.Decoder(Line)
_REASONS = {"stop": FinishReason.STOP, "do": FinishReason.TOOL_CALLS}


class ChatRequest(RequestAdapter):
    """Reads a talk."""

    history = ("talk",)

    def __init__(
        self, body: bytes, params: Mapping[str, str] | None = None, quirks: Quirks = DEFAULT_QUIRKS
    ) -> None:
        super().__init__(body, params, quirks)
        self._talk = load(_talk, body)
        self.model = self._talk.model
        self.stream = self._talk.stream

    @property
    def tools(self) -> Sequence[Tool]:
        return [Tool(can.name) for can in self._talk.can]

    @cached_property
    def tool_results(self) -> Sequence[ToolResult]:
        return [
            ToolResult(turn.id, "", False, path, (Text(turn.did, path),))
            for index, turn in enumerate(self._talk.talk)
            if turn.did is not None and (path := ("talk", index, "did"))
        ]

    @classmethod
    def parse_message(cls, element: bytes) -> Message:
        turn = _turn.decode(element)
        if turn.did is not None:
            return Message("tool", tool_result((Part("text", turn.did),), turn.id))
        return Message("assistant" if turn.who == "assistant" else "user", (Part("text", turn.say),))

    def texts(self) -> Iterable[str]:
        return [turn.say for turn in self._talk.talk]

    @classmethod
    def compose(cls, model: str, prompt: Prompt) -> bytes:
        turns = [{"who": who, "say": say} for who, say in (("system", prompt.system), *prompt.turns)]
        body = {"model": model, "talk": turns}
        if prompt.schema:
            body["shape"] = prompt.schema
        return msgspec.json.encode(body)


class ChatResponse(ResponseAdapter):
    """Reads an answer."""

    def __init__(self, request: RequestAdapter, *, streamed: bool) -> None:
        super().__init__(request, streamed=streamed)
        self._calls = 0

    def events(self, frame: Frame) -> Iterable[Event]:
        line = _line.decode(frame.data)
        return [event for one in line.lines or [line] for event in self._events(one)]

    def _events(self, line: Line) -> list[Event]:
        events: list[Event] = []
        if line.id:
            events.append(Start(line.id, line.model))
        if line.think is not None:
            events.append(ReasoningDelta(line.think))
        if line.say is not None:
            events.append(TextDelta(line.say))
        if line.do:
            events.append(ToolCallDelta(self._calls, line.do.id, line.do.name, line.do.args))
            self._calls += 1
        if line.oops:
            events.append(StreamError("unknown", line.oops.message))
        if line.bye is not None:
            usage = [Usage(*line.cost)] if line.cost else []
            events += [*usage, Finish(_REASONS[line.bye]), END]
        return events or [Unknown("line")]

    def error(self, error: GatewayError) -> Iterable[Payload]:
        return [Payload(msgspec.json.encode({"oops": {"message": error.text}}))]

    def refusal(self, text: str, held: Sequence[Frame], completion: Completion) -> Iterable[Payload]:
        lines = [
            line for frame in held for line in (_line.decode(frame.data).lines or [_line.decode(frame.data)])
        ]
        said = [{"say": line.say} for line in lines if line.say is not None]
        usage = completion.usage and (completion.usage.input_tokens, completion.usage.output_tokens)
        ending = [*said, {"say": text}, {"bye": "stop", "cost": usage}]
        if self.streamed:
            return [Payload(msgspec.json.encode(line)) for line in ending]
        start = {"id": completion.response_id, "model": completion.model}
        return [Payload(msgspec.json.encode({"lines": [start, *ending]}))]


class Toy(Provider):
    """The vendor of the made-up format."""

    endpoints = (
        Endpoint("POST", "/talk", ChatRequest, ChatResponse, carries_calls=True),
        Endpoint("GET", "/models"),
    )

    def error(self, error: GatewayError, endpoint: Endpoint | None) -> bytes:
        return msgspec.json.encode({"oops": {"message": error.text}})


def register() -> None:
    """Register the toy, as importing a real provider's module does."""
    provider("toy", base_url="http://toy.example")(Toy)
