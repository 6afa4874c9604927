"""Read the events of the Responses API: items that begin, are filled and end, and what the last event repeats."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

import msgspec

from gateway.core.adapter import RequestAdapter
from gateway.core.counts import count
from gateway.core.strict import UNREADABLE
from gateway.core.view import (
    END,
    NULL_USAGE,
    Event,
    Finish,
    FinishReason,
    ReasoningDelta,
    Start,
    TextDelta,
    Unknown,
    Usage,
)
from gateway.providers.openai.errors import stream_error
from gateway.providers.openai.responses_calls import DIFFERS, Calls
from gateway.providers.openai.responses_ending import PROGRESS
from gateway.providers.openai.responses_items import CALLS, elements, string, text, whole
from schemas import openai_responses as wire

_RESPONSE = msgspec.json.Decoder(wire.Response)
_ITEM = msgspec.json.Decoder(wire.Item)
_PART = msgspec.json.Decoder(wire.Part)
_RUNNING = ("queued", "in_progress")
_UNCOUNTED = (*_RUNNING, "failed", "cancelled")
"""Of such a response the usage is null by nature, which says nothing."""
_USAGE = msgspec.json.Decoder(wire.Usage)
_VALUE = msgspec.json.Decoder()

_TEXT_PARTS = ("output_text", "refusal", "text", "output_audio")
_REASONING_PARTS = ("reasoning_text", "summary_text")
_OTHER_PARTS = ("input_text", "input_image", "input_file", "output_image")
# Items that hold no call: results of tools that the provider ran, lists of tools, sealed state.
_OTHER_ITEMS = frozenset(
    {
        "additional_tools",
        "apply_patch_call_output",
        "compaction",
        "computer_call_output",
        "context_compaction",
        "custom_tool_call_output",
        "function_call_output",
        "local_shell_call_output",
        "mcp_approval_response",
        "mcp_list_tools",
        "program_output",
        "shell_call_output",
        "tool_search_output",
    }
)
# Progress, and what is repeated elsewhere.
_OTHER_EVENTS = frozenset(
    {
        "keepalive",
        "ping",
        "codex.rate_limits",
        "response.audio.delta",
        "response.audio.done",
        "response.audio.transcript.done",
        "response.output_text.annotation.added",
        "response.output_text_annotation.added",
        "response.reasoning_part.added",
        "response.reasoning_part.done",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_part.done",
        "response.compaction.compacting",
        "response.code_interpreter_call_code.delta",
        "response.code_interpreter_call_code.done",
        "response.shell_call_output_content.delta",
        "response.shell_call_output_content.done",
        "response.image_generation_call.partial_image",
        *(
            f"response.{item}.{progress}"
            for item in (
                "code_interpreter_call",
                "file_search_call",
                "image_generation_call",
                "mcp_call",
                "mcp_list_tools",
                "web_search_call",
                "x_search_call",
            )
            for progress in (
                "in_progress",
                "searching",
                "interpreting",
                "generating",
                "completed",
                "failed",
            )
        ),
    }
)
TERMINAL = ("response.completed", "response.incomplete", "response.failed")
# Events that fill a call, and the item that it is.
_ARGUMENTS = {
    "response.function_call_arguments": "function_call",
    "response.custom_tool_call_input": "custom_tool_call",
    "response.mcp_call_arguments": "mcp_call",
    "response.mcp_call.arguments": "mcp_call",
}
# Events that fill one part of a call.
_PARTS = {
    "response.shell_call_command": "shell_call",
    "response.apply_patch_call_operation_diff": "apply_patch_call",
}
_INCOMPLETE = {"content_filter": FinishReason.CONTENT_FILTER, "steered": FinishReason.STOP}


class Reader:
    """Knows what an answer has said so far, and what of a frame is therefore new."""

    def __init__(self, request: RequestAdapter) -> None:
        self.calls = Calls(request)
        self.opening: wire.Response | None = None
        """Whose answer it is, as its first event said."""
        self.places: dict[int, None] = {}
        """Output indexes, in the order in which they were used."""
        self._told: set[tuple[int, int]] = set()  # texts that have arrived, by place and part
        self._reasoned: set[int] = set()
        self.ids: dict[str, int] = {}
        """The ids of all items, and where the items are."""

    def read(self, event: wire.Event) -> Iterable[Event]:
        """Map one event of a stream."""
        if reader := self._readers.get(event.type):
            return reader(self, event)
        if event.type in _OTHER_EVENTS:
            return ()
        if not event.type and event.error:
            return self._error(event)
        return (Unknown(f"event {event.type}"),)

    def arrive(self, place: int, part: int) -> None:
        """Note that a text arrives in pieces, so that its repetition is not read again."""
        self._told.add((place, part))

    def _text(self, event: wire.Event) -> Iterator[Event]:
        self.arrive(whole_number(event.output_index), whole_number(event.content_index))
        yield TextDelta(text(event.delta))

    def _text_done(self, event: wire.Event) -> Iterator[Event]:
        key = (whole_number(event.output_index), whole_number(event.content_index))
        if key not in self._told and (whole_text := text(event.text) or text(event.refusal)):
            self._told.add(key)
            yield TextDelta(whole_text)

    def _transcript(self, event: wire.Event) -> Iterator[Event]:
        yield TextDelta(text(event.delta))

    def _reasoning(self, event: wire.Event) -> Iterator[Event]:
        self._reasoned.add(whole_number(event.output_index))
        piece = event.delta.get("text") if isinstance(event.delta, dict) else event.delta
        yield ReasoningDelta(text(piece))

    def _reasoning_done(self, event: wire.Event) -> Iterator[Event]:
        place = whole_number(event.output_index)
        if place not in self._reasoned and (whole_text := text(event.text)):
            self._reasoned.add(place)
            yield ReasoningDelta(whole_text)

    def _content_part(self, event: wire.Event) -> Iterator[Event]:
        """Look at the kind of a part; what it holds comes in other events too, and again with its item."""
        kind = _PART.decode(event.part).type
        if kind not in (*_TEXT_PARTS, *_REASONING_PARTS, *_OTHER_PARTS):
            yield Unknown(f"part {kind}")

    def _item_added(self, event: wire.Event) -> Iterator[Event]:
        if event.item and bytes(event.item) != b"null":  # some providers announce nothing
            yield from self._item(_ITEM.decode(event.item), whole_number(event.output_index), complete=False)

    def _item_done(self, event: wire.Event) -> Iterator[Event]:
        yield from self._item(_ITEM.decode(event.item), whole_number(event.output_index), complete=True)

    def _item(
        self, item: wire.Item, place: int, *, complete: bool, snapshot: bool = False
    ) -> Iterator[Event]:
        kind = item.type
        identifier = text(item.id)
        if snapshot:
            place = self.ids.get(identifier, place)
        if identifier:
            self.ids[identifier] = place
        self.places[place] = None
        if kind == "message":
            yield from self._message(item, place)
        elif kind == "reasoning":
            yield from self._reasoning_item(item, place)
        elif kind in CALLS:
            yield from self.calls.item(item, place, complete=complete, snapshot=snapshot)
        elif kind not in _OTHER_ITEMS:
            yield Unknown(f"item {kind}")

    def _message(self, item: wire.Item, place: int) -> Iterator[Event]:
        ours = item.role in ("", "assistant")
        plain = string(item.content)
        for index, (kind, value) in enumerate(
            [("text", plain)] if plain is not None else _parts(item.content)
        ):
            if kind in _TEXT_PARTS:
                if ours and value and (place, index) not in self._told:
                    self._told.add((place, index))
                    yield TextDelta(value)
            elif kind not in _OTHER_PARTS:
                yield Unknown(f"part {kind}")

    def _reasoning_item(self, item: wire.Item, place: int) -> Iterator[Event]:
        told = place in self._reasoned
        for kind, value in (*_parts(item.summary), *_parts(item.content)):
            if kind not in (*_REASONING_PARTS, *_TEXT_PARTS):
                yield Unknown(f"part {kind}")
            elif value and not told:
                self._reasoned.add(place)
                yield ReasoningDelta(value)

    def _piece(self, event: wire.Event) -> Iterator[Event]:
        call, elsewhere = self.calls.of(event, whole_number(event.output_index), _call_kind(event))
        piece = event.delta
        yield call.piece(piece if isinstance(piece, str) else msgspec.json.encode(piece).decode())
        if elsewhere:
            yield DIFFERS

    def _arguments(self, event: wire.Event) -> Iterator[Event]:
        call, elsewhere = self.calls.of(event, whole_number(event.output_index), _call_kind(event))
        said = [value for value in map(whole, (event.input, event.arguments)) if value is not None]
        yield from call.state(text(event.name), said[0] if said else None, complete=True)
        if elsewhere or len(said) > 1:
            yield DIFFERS

    def _call_part(self, event: wire.Event) -> Iterator[Event]:
        kind = _call_kind(event)
        call, elsewhere = self.calls.of(event, whole_number(event.output_index), kind)
        whole_part = event.command if kind == "shell_call" else event.diff
        said = event.delta if event.type.endswith(".delta") else whole_part
        finished = event.type.endswith(".done")
        yield from call.part(whole_number(event.command_index), text(said), whole=finished)
        if elsewhere:
            yield DIFFERS

    def _error(self, event: wire.Event) -> Iterator[Event]:
        nested = _VALUE.decode(event.error) if event.error else None
        yield stream_error(nested or {"message": event.message, "code": event.code})

    def _progress(self, event: wire.Event) -> Iterator[Event]:
        response = _RESPONSE.decode(event.response)
        yield from self._start(response)
        yield from self._output(response, complete=False)

    def _end(self, event: wire.Event) -> Iterator[Event]:
        response = _RESPONSE.decode(event.response) if event.response else wire.Response()
        yield from self._start(response)
        yield from self._output(response, complete=True)
        yield from self.calls.settle()
        yield from self._outcome(response, event.type.removeprefix("response."))
        yield END

    def whole(self, response: wire.Response) -> Iterator[Event]:
        """Map a whole answer."""
        failed = bool(response.error) and bytes(response.error) != b"null"
        if failed and not response.output:
            yield stream_error(_VALUE.decode(response.error))
            return
        if not response.output:
            yield Unknown("body without output")
        yield from self._start(response)
        yield from self._output(response, complete=True)
        yield from self.calls.settle()
        yield from self._outcome(response, text(response.status) or ("failed" if failed else "completed"))
        yield END

    def _start(self, response: wire.Response) -> Iterator[Event]:
        if self.opening is None:
            self.opening = wire.Response(id=response.id, model=response.model, created_at=response.created_at)
            created = response.created_at
            if isinstance(created, float):
                created = int(created)
            yield Start(
                text(response.id), text(response.model), created if isinstance(created, int) else None
            )

    def _output(self, response: wire.Response, *, complete: bool) -> Iterator[Event]:
        items = elements(response.output)
        if not items and bytes(response.output).strip(b"[] \t\r\n") not in (b"", b"null"):
            yield Unknown("output")
        for place, raw in enumerate(items):
            yield from self._item(_ITEM.decode(raw), place, complete=complete, snapshot=True)
        if response.tool_calls:
            yield Unknown("tool_calls")

    def _outcome(self, response: wire.Response, status: str) -> Iterator[Event]:
        if usage := _usage(response):
            yield usage
        if status == "incomplete":
            details = response.incomplete_details
            reason = details.get("reason") if isinstance(details, dict) else ""
            yield Finish(_INCOMPLETE.get(text(reason), FinishReason.LENGTH))
        elif status == "failed":
            error = _VALUE.decode(response.error) if response.error else None
            yield Finish(FinishReason.ERROR)
            yield stream_error(error or {})
        elif status == "cancelled":
            yield Finish(FinishReason.ERROR)
        elif status not in _RUNNING:
            yield Finish(FinishReason.TOOL_CALLS if self.calls.waiting else FinishReason.STOP)

    _readers: ClassVar[dict[str, Callable[["Reader", wire.Event], Iterator[Event]]]] = {
        **dict.fromkeys(PROGRESS, _progress),
        **dict.fromkeys(TERMINAL, _end),
        "response.output_item.added": _item_added,
        "response.output_item.done": _item_done,
        "response.content_part.added": _content_part,
        "response.content_part.done": _content_part,
        "response.output_text.delta": _text,
        "response.output_text.done": _text_done,
        "response.refusal.delta": _text,
        "response.refusal.done": _text_done,
        "response.audio.transcript.delta": _transcript,
        "response.reasoning.delta": _reasoning,
        "response.reasoning.done": _reasoning_done,
        "response.reasoning_text.delta": _reasoning,
        "response.reasoning_text.done": _reasoning_done,
        "response.reasoning_summary.delta": _reasoning,
        "response.reasoning_summary.done": _reasoning_done,
        "response.reasoning_summary_text.delta": _reasoning,
        "response.reasoning_summary_text.done": _reasoning_done,
        **dict.fromkeys(
            (f"{name}.{end}" for name in _PARTS for end in ("added", "delta", "done")), _call_part
        ),
        **dict.fromkeys((f"{name}.delta" for name in _ARGUMENTS), _piece),
        **dict.fromkeys((f"{name}.done" for name in _ARGUMENTS), _arguments),
        "error": _error,
    }


def _call_kind(event: wire.Event) -> str:
    name = event.type.rpartition(".")[0]
    return _ARGUMENTS.get(name) or _PARTS[name]


def whole_number(value: Any) -> int:
    """Return an index, or -1 for what is none."""
    return value if type(value) is int else -1


def _parts(raw: msgspec.Raw) -> Iterator[tuple[Any, str]]:
    """List the kind and the text of each part."""
    for element in elements(raw):
        part = _PART.decode(element)
        yield part.type, text(part.text) or text(part.refusal) or text(part.transcript)


def _usage(response: wire.Response) -> Usage | None:
    try:
        usage = _USAGE.decode(response.usage)
    except UNREADABLE:
        return NULL_USAGE if bytes(response.usage) == b"null" and response.status not in _UNCOUNTED else None
    total, output = count(usage.input_tokens), count(usage.output_tokens)
    read = _detail(usage.input_tokens_details, "cached_tokens")
    written = _detail(usage.input_tokens_details, "cache_write_tokens")
    return Usage(
        input_tokens=None if total is None else max(total - (read or 0) - (written or 0), 0),
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=_detail(usage.output_tokens_details, "reasoning_tokens"),
        service_tier=text(response.service_tier) or None,
        input_is_null=usage.input_tokens is None or None,
        output_is_null=usage.output_tokens is None or None,
    )


def _detail(details: Any, name: str) -> int | None:
    return count(details.get(name)) if isinstance(details, dict) else None
