"""What a provider implements for one endpoint: read a request and edit it, read an answer and end it differently.

Rules: an adapter does no I/O, never logs, never reads settings. What it does not know it reports as
``Unknown``, so that a vendor's novelty shows up as a metric and, at worst, as a refusal, never as a bypass.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import ClassVar

import msgspec

from gateway.core.conversation import Conversation, Pieces
from gateway.core.edit import edit
from gateway.core.errors import BadRequest, GatewayError
from gateway.core.frames import Frame
from gateway.core.reference import Reference
from gateway.core.strict import UNREADABLE, duplicate_member
from gateway.core.view import Completion, Event, Message, Part, Path, Prompt, Text, Tool, ToolResult


class Quirks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a compatible provider differs from the one that it is like, as data."""

    stream_usage: str = "ask"
    """Whether a stream carries usage: ``ask`` (only if asked), ``always`` (unasked), ``never``."""


DEFAULT_QUIRKS = Quirks()
Headers = list[tuple[str, str]]
_SEPARATOR = b" \t\r\n,"
_RECENT = 8 << 10
"""Bytes at the end of a history in which something new is looked for."""


class Payload(msgspec.Struct, frozen=True, gc=False):
    """One frame of ours, before it is framed."""

    data: bytes
    event: str = ""
    """The name for wires whose events are named."""


class RequestAdapter(Conversation):
    """One request body in one wire format, and the edits to it."""

    model: str = ""
    stream: bool = False
    session: tuple[str, str] | None = None
    """The vendor's own session field, and its name."""

    def __init__(
        self, body: bytes, params: Mapping[str, str] | None = None, quirks: Quirks = DEFAULT_QUIRKS
    ) -> None:
        super().__init__(body)
        self.params = params or {}
        """What the endpoint's path matched, percent-decoded."""
        self.quirks = quirks
        self.earlier_name: Callable[[str], str] = _unknown
        """Returns the name of a call that the history does not show, by its id; set before ``tool_results`` is read."""
        self.sent_pieces: Pieces | None = None
        """What was encoded, where edits left the history alone: cut there, with the same elements as ``pieces``."""
        self._edits: dict[Path, bytes | None] = {}

    @property
    def other_models(self) -> Sequence[str]:
        """Models that may answer in place of ``model``, where a wire lets a request name some."""
        return ()

    @property
    def tools(self) -> Sequence[Tool]:
        """Every tool that the request declares, wherever it declares it; parsed on first use."""
        return ()

    @property
    def declarations(self) -> Sequence[bytes | msgspec.Raw]:
        """What declares tools, unread: a request in which it is the same declares the same ones.

        By default all that stands beside the history. An adapter that knows better names less, so that less is new,
        and adds what the history brings while that is new. If all of it is empty no tool is declared.
        """
        prefix, _, suffix = self.pieces
        return prefix, suffix

    @cached_property
    def tool_results(self) -> Sequence[ToolResult]:
        """Every tool result in the history; parsed on first use."""
        if not self.may_hold_results():
            return ()
        return tuple(
            result if result.name else msgspec.structs.replace(result, name=self.earlier_name(result.id))
            for result in self._log.results
        )

    @property
    def hidden(self) -> Sequence[Reference]:
        """What it leaves to the provider's memory."""
        return ()

    def hidden_in_history(self) -> Iterable[Reference]:
        """Return the first reference of each kind that the history has."""
        if not self.has_history:
            return ()
        return {reference.kind: reference for reference in reversed(self._log.references)}.values()

    @property
    def keeps(self) -> bool:
        """Whether the provider will keep the answer, so that a later request can refer to it."""
        return False

    def forget(self) -> None:
        """Ask the provider to keep nothing; where a wire has no way to do so, ``keeps`` stays."""

    def preamble(self) -> Iterable[Message]:
        """Return what the model reads before the history, such as a system prompt with a member of its own."""
        return ()

    @classmethod
    def parse_message(cls, element: bytes) -> Message:
        """Read one element of the history; raise one of ``strict.UNREADABLE`` for one that can't be read."""
        return Message("user", (Part("other", element.decode(errors="replace")),))

    @classmethod
    def read_message(cls, element: bytes) -> Message:
        """Read one element of the history, also with the separator before it, and whatever it is."""
        bare = element.lstrip(_SEPARATOR)
        try:
            return cls.parse_message(bare)
        except UNREADABLE:
            return RequestAdapter.parse_message(bare)

    def messages(self) -> Sequence[Message]:
        """Return the whole conversation, the system's text first."""
        elements = (self.read_message(element) for element in self.pieces[1])
        names: dict[str, str] = {}
        return [
            Message(message.role, tuple(_named(part, names) for part in message.parts))
            for message in (*self.preamble(), *elements)
        ]

    def texts(self) -> Iterable[str]:
        """Return every text that the model reads: for token estimates."""
        return ()

    def ask_usage(self) -> bool:
        """Ask for usage where the wire sends it only then; return whether a frame of it must be hidden."""
        return False

    def set(self, path: Path, value: object) -> None:
        """Replace one value; the rest keeps its bytes."""
        self._edits[path] = msgspec.json.encode(value)

    def remove(self, path: Path) -> None:
        """Remove one member or element."""
        self._edits[path] = None

    def set_model(self, name: str) -> None:
        """Send the request to another model."""
        self.set(("model",), name)

    def set_tool_result(self, result: ToolResult, text: str) -> None:
        """Replace a whole tool result by a text."""
        self.set(result.path, text)

    def set_text(self, block: Text, text: str) -> None:
        """Replace one block of text."""
        self.set(block.path, text)

    @property
    def edited(self) -> bool:
        """Whether anything differs from what the client sent."""
        return bool(self._edits)

    def encode(self) -> bytes:
        """Return the body to send: the original object when there are no edits."""
        if not self._edits:
            return self.body
        pieces = self.sent_pieces = self.pieces_with(self._edits)
        if pieces is None:
            return edit(self.body, self._edits)
        history = memoryview(self.body)[len(self.pieces[0]) : len(self.body) - len(self.pieces[2])]
        return b"".join((pieces[0], history, pieces[2]))

    def path(self, path: str) -> str:
        """Return the path to send, for wires that say the model or the streaming in it."""
        return path

    def headers(self, headers: Headers) -> Headers:
        """Return the headers to send, for wires that say in them what was edited."""
        return headers

    def require_unique_members(self) -> None:
        """Refuse a body in which a top-level key occurs twice: what was judged must be what is sent."""
        body = self.without_history()
        if body and (key := duplicate_member(body)) is not None:
            raise BadRequest(f"The request body has the key {key!r} twice at $; send it once.")

    @classmethod
    def compose(cls, model: str, prompt: Prompt) -> bytes:
        """Return the body of a plain request, not streamed.

        Only wires by which a model can be asked have it; ``Endpoint.composes`` says whether this one does.
        """
        raise NotImplementedError


def _unknown(call: str) -> str:  # noqa: ARG001  # of no call anything is known
    return ""


def recent(history: msgspec.Raw, words: Iterable[bytes]) -> bytes:
    """Return the end of a history if one of some words is in it, else nothing."""
    end = bytes(memoryview(history)[-_RECENT:])
    return end if any(word in end for word in words) else b""


def _named(part: Part, names: dict[str, str]) -> Part:
    """Return a result with the name of its call; ``names`` collects those by id."""
    if part.type == "tool_call":
        names[part.id] = part.name
    elif part.type == "tool_result" and part.id and not part.name:
        return msgspec.structs.replace(part, name=names.get(part.id, ""))
    return part


class OpaqueRequest(RequestAdapter):
    """A body that is streamed on unparsed."""


class ResponseAdapter:
    """Reads one response frame by frame, and can end it differently.

    A subclass has what its endpoint needs: nobody refuses an embedding, and an answer without a stream can't break off
    in one. So none of the three below is abstract; one that is missing, and called, fails closed.
    """

    keep_alive: ClassVar[bytes] = b": keep-alive\n\n"
    """What this wire's clients accept between two events while nothing flows."""
    newline: ClassVar[bytes] = b"\n"
    """The line end of this wire's events."""
    terminates: ClassVar[bool] = True
    """Its streams end with an event of their own; else the finish reason is the last thing that counts."""
    arrays: ClassVar[bool] = False
    """A stream may come as a JSON array instead of events."""
    terminator: ClassVar[bytes] = b""
    """A payload that ends the stream and is not JSON, such as ``[DONE]``."""

    call_keys: ClassVar[frozenset[str]] = frozenset()
    """The members, in lower case, through which a client reaches a call: a gate takes no other spelling."""
    nameless_calls: ClassVar[bool] = False
    """Some calls of this wire say what they run by their type alone."""
    shows_hosted: ClassVar[bool] = False
    """Whatever the provider ran by itself is in the answer as a call; else some of it may leave no trace."""
    echoes: ClassVar[frozenset[str]] = frozenset()
    """Members that repeat the request or hold results: nothing in them is a call."""
    padding: ClassVar[frozenset[bytes]] = frozenset()
    """Members of a frame whose strings mean nothing to anybody."""
    billed: ClassVar[bool] = True
    """Its answers cost something, whether they say what they used or not; a count of tokens, or a list, is free."""
    repeats: bool = False
    """A frame that differs from a piece of text only in that text is one more piece, and changes nothing else.

    The text must stand in the frame as one string. An answer that turns out to be read otherwise says so itself.
    """

    def __init__(self, request: RequestAdapter, *, streamed: bool) -> None:
        self.request = request
        self.streamed = streamed
        """The answer comes in many frames; a request for a stream may be answered by a whole body."""
        self.hiding = False
        """Some frame may have to be hidden: usage that the client did not ask for."""
        self.event_name = ""
        """The name that the ``event:`` line of the frame read last must have; empty: none on this wire."""

    @classmethod
    def stream_type(cls, query: str) -> str:  # noqa: ARG003  # some wires say in the query what they want
        """Return the content type of a stream, for who begins one before the upstream does."""
        return "text/event-stream"

    def events(self, frame: Frame) -> Iterable[Event]:
        """Map a frame to events; raise one of ``strict.UNREADABLE`` for a payload that can't be read."""
        raise NotImplementedError

    def hides(self, frame: Frame) -> bool:
        """Whether the client must not see this frame; asked only while ``hiding``."""
        return False

    def error(self, error: GatewayError) -> Iterable[Payload]:
        """Return our error as this wire's own events, after which the stream ends."""
        raise NotImplementedError

    def refusal(self, text: str, held: Sequence[Frame], completion: Completion) -> Iterable[Payload]:
        """Return a valid ending in place of the frames that were held.

        Text in a held frame is repeated before the refusal; id, model and usage are the real ones. A whole
        answer is one held frame, and its replacement one payload.
        """
        raise NotImplementedError


class OpaqueResponse(ResponseAdapter):
    """An answer that is streamed on unparsed."""

    billed = False

    def events(self, frame: Frame) -> Iterable[Event]:
        return ()
