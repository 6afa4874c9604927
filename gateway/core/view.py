"""What a feature may know about any conversation, whatever the provider.

Providers emit *fragments* (events); :class:`Completion` assembles them. A whole body is one frame whose
fragments happen to be complete, so streamed and whole answers are read by the same code.
"""

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from io import StringIO
from typing import Any, ClassVar, Literal

import msgspec

from gateway.core.errors import ErrorKind

Path = tuple[str | int, ...]
"""Where a value lives in a JSON document: keys and indexes from the root."""

Role = Literal["user", "assistant"]
Speaker = Role | Literal["system", "tool"]


class FinishReason(StrEnum):
    """Why the model stopped."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    ERROR = "error"


class Value(msgspec.Struct, frozen=True, gc=False):
    """A short-lived immutable value."""


class Start(Value, frozen=True, gc=False):
    """The answer has begun."""

    id: str = ""
    model: str = ""
    created: int | None = None


class TextDelta(Value, frozen=True, gc=False):
    """A piece of the text that the user reads."""

    text: str


class ReasoningDelta(Value, frozen=True, gc=False):
    """A piece of the model's reasoning."""

    text: str


class ToolCallDelta(Value, frozen=True, gc=False):
    """A piece of a tool call; ``index`` is unique over all choices of a response."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""
    server_executed: bool = False
    """Run by the provider; it can't be withheld."""
    aliases: tuple[str, ...] = ()
    """Other names under which a client may know the tool, such as one with its namespace."""
    restated: bool = False
    """The frame names the call and says its arguments, although the name is nothing new."""


class Usage(Value, frozen=True, gc=False):
    """What the provider says that an answer used; ``None``: not said, ``0``: said to be zero.

    ``input_tokens`` excludes cached ones (``cache_read_tokens``, ``cache_write_tokens``), ``output_tokens``
    includes ``reasoning_tokens``, and ``cache_write_tokens`` includes ``cache_write_1h_tokens``. Tokens of
    sound and images are part of those with the same beginning.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    input_audio_tokens: int | None = None
    cache_read_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    output_image_tokens: int | None = None
    web_searches: int | None = None
    """Searches that the provider charges beside the tokens."""
    service_tier: str | None = None
    """How it was processed, in the provider's own word, where prices depend on that."""
    others: tuple[tuple[str, "Usage"], ...] | None = None
    """What is charged beside all this, by model; an empty name: the same one."""
    input_is_null: bool | None = None
    """It says in so many words that it does not know: then nobody does. What it leaves out is estimated."""
    output_is_null: bool | None = None


class Finish(Value, frozen=True, gc=False):
    """The model has stopped."""

    reason: FinishReason


class StreamError(Value, frozen=True, gc=False):
    """The upstream's own error inside an answer."""

    kind: ErrorKind
    message: str


class End(Value, frozen=True, gc=False):
    """The wire's terminator: nothing belongs to the answer after it."""


class Unknown(Value, frozen=True, gc=False):
    """A frame, block, part or item that the adapter does not know, or that contradicts another one."""

    name: str


Event = Start | TextDelta | ReasoningDelta | ToolCallDelta | Usage | Finish | StreamError | End | Unknown

NULL_USAGE = Usage(input_is_null=True, output_is_null=True)
END = End()
TEXT_LIMIT = 1 << 20
"""Characters of one answer that are kept; more passes, and is forgotten."""
_values = msgspec.structs.astuple


class Tool(Value, frozen=True, gc=False):
    """A tool that a request declares."""

    name: str
    description: str = ""
    parameters: msgspec.Raw = msgspec.Raw(b"")
    """The JSON schema of its arguments, in the bytes that the client sent; empty if it sent none."""
    server_executed: bool = False
    """Run by the provider, such as a web search."""


class ToolCall(Value, frozen=True, gc=False):
    """A complete tool call."""

    id: str
    name: str
    arguments: str
    """JSON text as the model wrote it, which may be invalid; ``{}`` if it wrote none."""
    names: tuple[str, ...] = ()
    """Every name that a client may read: wires that repeat or split the name are read in different ways."""
    server_executed: bool = False


class Text(Value, frozen=True, gc=False):
    """One block of text and where it lives."""

    text: str
    path: Path


class ToolResult(Value, frozen=True, gc=False):
    """One tool result that the client sends."""

    id: str
    name: str
    """Empty when no call in the history matches: orphans are results too."""
    is_error: bool
    path: Path
    """Where the result's content lives."""
    texts: tuple[Text, ...] = ()
    fixed: bool = False
    """It must go back as it came: whoever may not let it pass has to refuse the request."""
    partial: bool = False
    """More is in it than its texts, which no condition can read."""


class Part(Value, frozen=True, gc=False):
    """One part of a message: each type uses the members that it has a use for."""

    type: Literal["text", "reasoning", "image", "tool_call", "tool_result", "other"]
    text: str = ""
    """What is to be read; of an image or a file where it is, and of what is in no other form its JSON."""
    id: str = ""
    name: str = ""
    """Of a tool: a result has it only where the wire says it, or its call is in the conversation. Of a file too."""
    arguments: str = ""
    is_error: bool = False
    media_type: str = ""


class Message(Value, frozen=True, gc=False):
    """One message of a conversation."""

    role: Speaker
    parts: tuple[Part, ...]


def tool_result(
    parts: Iterable[Part], call_id: str, name: str = "", *, is_error: bool = False
) -> tuple[Part, ...]:
    """Return a tool's result: its texts become one, anything else follows it as parts of their own."""
    parts = tuple(parts)
    text = "\n".join(part.text for part in parts if part.type == "text")
    others = (part for part in parts if part.type != "text")
    return (Part("tool_result", text, call_id, name, is_error=is_error), *others)


def from_client(parts: tuple[Part, ...]) -> Message:
    """Return a message of wires on which results are the user's words: the tool's, unless he says more."""
    kinds = {part.type for part in parts}
    return Message("tool" if "tool_result" in kinds and "text" not in kinds else "user", parts)


class Prompt(Value, frozen=True, gc=False):
    """A plain conversation, to be composed in some wire format."""

    system: str
    turns: tuple[tuple[Role, str], ...]
    schema: msgspec.Raw = msgspec.Raw(b"")
    """A JSON schema that the answer must satisfy; empty for free text."""


class _PartialCall:
    """A call that is still arriving."""

    __slots__ = ("aliases", "arguments", "id", "names", "server_executed")

    def __init__(self) -> None:
        self.id = ""
        self.names: list[str] = []
        self.aliases: list[str] = []
        self.arguments: list[str] = []
        self.server_executed = True

    def call(self) -> ToolCall:
        """Return what has arrived so far."""
        joined = "".join(self.names)
        name = self.names[0] if len(set(self.names)) == 1 else joined
        read = tuple(dict.fromkeys([*_readings(self.names), joined, *self.aliases]))
        return ToolCall(self.id, name, "".join(self.arguments) or "{}", read, self.server_executed)

    def replace(self, old: str, new: str) -> None:
        """Have it say something else wherever it says this."""
        call = self.call()
        if any(old in said for said in (call.id, call.arguments, *call.names)):
            self.id, self.arguments = self.id.replace(old, new), [call.arguments.replace(old, new)]
            self.names = [call.name.replace(old, new)]
            self.aliases = [name.replace(old, new) for name in call.names]


_MOST_PIECES = 16


def _readings(pieces: list[str]) -> Iterator[str]:
    """Return what clients may read of a name in several pieces: any run of them, joined.

    Some join all, some keep the first or the last, and some begin anew where an index or an id changes.
    """
    if len(pieces) > _MOST_PIECES:
        pieces = [*pieces[: _MOST_PIECES - 1], "".join(pieces[_MOST_PIECES - 1 :])]
    for start in range(len(pieces)):
        for end in range(start + 1, len(pieces) + 1):
            yield "".join(pieces[start:end])


class Completion:
    """The answer so far."""

    __slots__ = (
        "_calls",
        "_reasoning",
        "_room",
        "_text",
        "error",
        "finish_reason",
        "model",
        "response_id",
        "usage",
    )

    def __init__(self) -> None:
        # Pieces are short and many: a list of them takes ten times the memory of their text.
        self._text = StringIO()
        self._reasoning: StringIO | None = None
        self._room = TEXT_LIMIT
        self._calls: dict[int, _PartialCall] = {}
        self.usage: Usage | None = None
        self.finish_reason: FinishReason | None = None
        self.response_id = ""
        self.model = ""
        self.error: StreamError | None = None

    @property
    def text(self) -> str:
        """The text so far."""
        return self._text.getvalue()

    @property
    def reasoning(self) -> str:
        """The reasoning so far."""
        return self._reasoning.getvalue() if self._reasoning else ""

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls so far, in the order in which they began."""
        return tuple(partial.call() for partial in self._calls.values()) if self._calls else ()

    def parts(self) -> tuple[Part, ...]:
        """Return the answer as a message has it."""
        said = (Part("reasoning", self.reasoning), Part("text", self.text))
        calls = (Part("tool_call", "", call.id, call.name, call.arguments) for call in self.tool_calls)
        return (*(part for part in said if part.text), *calls)

    def is_name(self, index: int, name: str) -> bool:
        """Whether a client may read this name for the call with this index."""
        return name in self._calls[index].call().names

    @property
    def begun(self) -> bool:
        """Whether the model has said anything yet."""
        return self._room < TEXT_LIMIT or bool(self._calls)

    def replace(self, old: str, new: str) -> None:
        """Have it say something else wherever it says this, its pieces joined."""
        self.model, self.response_id = self.model.replace(old, new), self.response_id.replace(old, new)
        for name in ("_text", "_reasoning"):
            if old in (said := getattr(self, name[1:])):
                setattr(self, name, StringIO())
                getattr(self, name).write(said.replace(old, new))
        for partial in self._calls.values():
            partial.replace(old, new)

    def apply(self, event: Event) -> None:
        """Add one event."""
        self._APPLY[type(event)](self, event)

    def add_text(self, text: str) -> None:
        """Add a piece of text."""
        self._room -= len(text)
        if self._room >= 0:
            self._text.write(text)

    def _add_reasoning(self, event: ReasoningDelta) -> None:
        if self._reasoning is None:
            self._reasoning = StringIO()
        self._room -= len(event.text)
        if self._room >= 0:
            self._reasoning.write(event.text)

    def _start(self, event: Start) -> None:
        self.response_id = self.response_id or event.id
        self.model = self.model or event.model

    def _fail(self, event: StreamError) -> None:
        self.error = event

    def _skip(self, event: End | Unknown) -> None:
        """Leave what says nothing about the answer itself."""

    def _add_call(self, delta: ToolCallDelta) -> None:
        partial = self._calls.get(delta.index)
        if partial is None:
            partial = self._calls[delta.index] = _PartialCall()
        if delta.id:
            partial.id = partial.id or delta.id
        if delta.name:
            partial.names.append(delta.name)
        if delta.aliases:
            partial.aliases.extend(delta.aliases)
        if delta.arguments:
            partial.arguments.append(delta.arguments)
        # One piece that the client would run makes it the client's: an index may be used twice.
        partial.server_executed &= delta.server_executed

    def _add_usage(self, usage: Usage) -> None:
        # Wires repeat usage as a running total, and some leave fields out again at the end: the value that
        # was said last is right for all of them, a sum for none.
        if self.usage is not None:
            pairs = zip(_values(self.usage), _values(usage), strict=True)
            usage = Usage(*(old if new is None else new for old, new in pairs))
        self.usage = usage

    def _finish(self, event: Finish) -> None:
        # With several choices the one that calls tools matters most to whoever reads the record.
        if self.finish_reason is not FinishReason.TOOL_CALLS:
            self.finish_reason = event.reason

    _APPLY: ClassVar[dict[type[Any], Callable[..., None]]] = {
        Start: _start,
        TextDelta: lambda self, event: self.add_text(event.text),
        ReasoningDelta: _add_reasoning,
        ToolCallDelta: _add_call,
        Usage: _add_usage,
        Finish: _finish,
        StreamError: _fail,
        End: _skip,
        Unknown: _skip,
    }
