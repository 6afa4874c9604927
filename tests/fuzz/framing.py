"""Events as bytes, framed as the standard has it, or in one of the many ways that some client reads."""

from typing import Any, NamedTuple

from tests.fuzz.documents import render
from tests.fuzz.source import Source


class Event(NamedTuple):
    """An event before it is framed; ``data`` is a document, or text that is none."""

    data: Any
    name: str = ""

    def text(self, *, loose: bool = False) -> str:
        return self.data if isinstance(self.data, Literal) else render(self.data, loose=loose)


class Literal(str):
    """A payload that is no JSON."""

    __slots__ = ()


DONE = Event(Literal("[DONE]"))
ODD_NAMES = (
    "",
    "message",
    "error",
    "ping",
    "thread.run",
    "content_block_start",
    "response.completed",
    "x\u2028data: {}",
)


def regular(events: list[Event], newline: str) -> bytes:
    """Frame events as a vendor does."""
    return "".join(_framed(event, newline) for event in events).encode("utf-8", "surrogatepass")


def _framed(event: Event, newline: str) -> str:
    named = f"event: {event.name}{newline}" if event.name else ""
    return f"{named}data: {event.text()}{newline}{newline}"


def irregular(source: Source, events: list[Event], newline: str, hidden: Event | None = None) -> bytes:
    """Frame events, some of them oddly; ``hidden``: one that may stand where not all clients look."""
    odd = (
        {source.below(max(len(events), 1)) for _ in range(1 + source.below(2))}
        if source.chance(40)
        else set()
    )
    everywhere = source.pick(("\n", "\r\n", "\r", newline)) if source.chance(25) else newline
    parts = ["\ufeff"] if source.chance(5) else []
    for number, event in enumerate(events):
        parts.append(
            _odd(source, event, everywhere, hidden or event) if number in odd else _framed(event, everywhere)
        )
    text = "".join(parts)
    data = text.encode("utf-8", "surrogatepass")
    if source.chance(6):
        at = source.below(len(data) + 1)
        data = (
            data[:at]
            + source.pick((b"\xff", b"\x00", b"\xef\xbb\xbf", b"\n", b"\r", b"\n\n", b"data: "))
            + data[at:]
        )
    return data[: source.below(len(data) + 1)] if source.chance(8) else data


def _odd(source: Source, event: Event, end: str, hidden: Event) -> str:
    text = event.text(loose=source.chance(30))
    other = hidden.text()
    named = f"event: {event.name}{end}" if event.name else ""
    ways = (
        f"{named}data:{text}{end}{end}",
        f"{named}data:  {text}{end}{end}",
        f"{named}Data: {text}{end}{end}",
        f"{named} data: {text}{end}{end}",
        f"{named}data : {text}{end}{end}",
        f"{named}{text}{end}{end}",
        f"{named}data: {text}{end}",
        f"{named}data: {text}\r{end}",
        f"{named}data: {text}{end}{named}{end}",
        f"data: {text}{end}{named}{end}",
        f"{named}id: 1{end}data: {text}{end}{end}",
        f"{named}retry: 1{end}data: {text}{end}{end}",
        f"retry: 1{end}{end}{named}data: {text}{end}{end}",
        f"{named}{end}data: {text}{end}{end}",
        f": c{end}{named}data: {text}{end}{end}",
        f": c\u2028data: {other}{end}{named}data: {text}{end}{end}",
        f": c\x0bdata: {other}{end}{end}",
        f"{named}: data: {text}{end}data: {other}{end}{end}",
        f": data: {other}{end}{named}data: {text}{end}{end}",
        f"data{end}{named}data: {text}{end}{end}",
        f"\ufeff{named}data: {text}{end}{end}",
        f"{named}data: {text}{end}data:{end}{end}",
        f"{named}data: {text}{end}unknown: {other}{end}{end}",
        f"{named}data: {text}{end}{other}{end}{end}",
        f"{other}{end}{named}data: {text}{end}{end}",
        f"{named}data: {_in_lines(source, text, end)}{end}{end}",
        f"event: {source.pick(ODD_NAMES)}{end}data: {text}{end}{end}",
        f"{named}event: {source.pick(ODD_NAMES)}{end}data: {text}{end}{end}",
        f"event: {source.pick(ODD_NAMES)}{end}{named}data: {text}{end}{end}",
        f"{named}data: {text} {other}{end}{end}",
        f"{named}data: [{text},{other}]{end}{end}",
    )
    return source.pick(ways)


def _in_lines(source: Source, text: str, end: str) -> str:
    commas = [at for at, char in enumerate(text) if char in ",:{"]
    if not commas:
        return text
    at = source.pick(commas) + 1
    return f"{text[:at]}{end}data: {text[at:]}"


def array(source: Source | None, events: list[Event]) -> bytes:
    """Write documents as an array that grows; with a source, perhaps oddly."""
    separator = ",\r\n"
    text = separator.join(event.text() for event in events)
    opening, closing = "[", "\n]"
    if source is not None:
        opening = source.pick(("[", "[[", "", " [", "[,", "{")) if source.chance(15) else opening
        closing = source.pick(("\n]", "]", "", "]]", "] {}", ",]")) if source.chance(20) else closing
    data = (opening + text + closing).encode("utf-8", "surrogatepass")
    if source is not None and source.chance(8):
        data = data[: source.below(len(data) + 1)]
    return data


def lines(events: list[Event]) -> bytes:
    return "".join(event.text() + "\n" for event in events).encode("utf-8", "surrogatepass")
