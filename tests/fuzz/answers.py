"""Whole cases: an answer of one wire format, mutated, framed, cut, and the policies that it meets."""

from hypothesis import strategies as st

from tests.fuzz import framing, judge
from tests.fuzz.case import JSON, SSE, Case
from tests.fuzz.documents import mutate, render
from tests.fuzz.framing import Event, Literal
from tests.fuzz.source import Source
from tests.fuzz.wires import anthropic, chat, gemini, responses
from tests.fuzz.wires.wire import Wire
from tests.fuzz.words import Called, allowed, call, pair, policy

WIRES: dict[str, Wire] = {each.WIRE.name: each.WIRE for each in (chat, responses, anthropic, gemini)}


def _changed(source: Source, wire: Wire, events: list[Event], bad: Called) -> list[Event]:
    """Change one thing, in a document or in the order of events; ``bad``: a call that may be added."""
    way = source.below(12)
    at = source.below(len(events) + 1)
    if way <= 7 or not events:
        documents = [event.data for event in events if not isinstance(event.data, Literal)]
        mutate(source, documents, wire.extras(bad), wire.words)
    elif way == 8:
        # Most of them hide best near the end, or behind it.
        at = source.pick((len(events), max(0, len(events) - 1), at))
        events[at:at] = wire.events(source, bad)
    elif way == 9:
        del events[at - 1]
    elif way == 10:
        moved = events.pop(source.below(len(events))) if source.chance(60) else source.pick(events)
        events.insert(at, moved)
    else:
        event = events[at - 1]
        events[at - 1] = event._replace(
            name=source.pick((*framing.ODD_NAMES, *(each.name for each in events)))
        )
    return events


@st.composite
def cases(draw: st.DrawFn, name: str) -> Case:
    """Return any case of a format."""
    source = Source(draw)
    wire = WIRES[name]
    chosen = policy(source)
    stream = not source.chance(20)
    content_type = SSE if stream else JSON
    # Mostly one refused call hides in an answer of which the rest is allowed: else anything is in it.
    good, bad = pair(source, chosen)
    hides = source.chance(75)
    calls = [
        allowed(source, chosen, number) if hides else call(source, number)
        for number in range(source.below(3))
    ]
    hidden = None
    if hides and source.chance(20):
        calls.append(bad)
    if hides:
        tricked = stream and source.chance(55)
        events = (
            wire.stream(source, calls, False, (good, bad) if tricked else None)
            if stream
            else [Event(wire.whole(source, calls or [good], False))]
        )
        if not stream or source.chance(25 if tricked else 80):
            events = _changed(source, wire, events, bad)
        hidden = source.pick(wire.events(source, bad)) if source.chance(50) else None
    else:
        events = (
            wire.stream(source, calls, True, None) if stream else [Event(wire.whole(source, calls, True))]
        )
        for _ in range(source.pick((0, 1, 1, 2, 3))):
            events = _changed(source, wire, events, call(source, source.below(2)))
    if not stream:
        body = b"".join(
            event.text(loose=source.chance(20)).encode("utf-8", "surrogatepass") for event in events[:2]
        )
        if source.chance(6):
            body = body[: source.below(len(body) + 1)]
        if source.chance(4):
            body = source.pick((b"\xef\xbb\xbf", b"\n\n ", b"data: ")) + body
    elif name == "gemini" and source.chance(20):
        content_type = JSON
        body = framing.array(source, events)
    elif source.chance(3):
        content_type = "application/x-ndjson"
        body = framing.lines(events)
    elif hidden is None and hides and source.chance(75):
        body = framing.regular(events, wire.newline)
    else:
        body = framing.irregular(source, events, wire.newline, hidden)
    if source.chance(3):
        content_type = source.pick((JSON, SSE, "text/plain", "", "application/x-ndjson"))
    return Case(
        format=name,
        policy=chosen,
        body=body,
        stream=stream,
        content_type=content_type,
        cuts=_cuts(source, len(body)),
    )


def _cuts(source: Source, size: int) -> tuple[int, ...]:
    if source.chance(15):
        return tuple(range(size))
    return tuple(source.below(size + 1) for _ in range(source.below(5)))


@st.composite
def regular_cases(draw: st.DrawFn, name: str) -> Case:
    """Return a case in the vendor's own form."""
    source = Source(draw)
    wire = WIRES[name]
    calls = [call(source, number, odd=False) for number in range(source.below(4))]
    stream = not source.chance(30)
    if not stream:
        body = render(wire.whole(source, calls, False), loose=source.chance(50)).encode()
    elif name == "gemini" and source.chance(30):
        body = framing.array(None, wire.stream(source, calls, False, None))
    else:
        body = framing.regular(wire.stream(source, calls, False, None), wire.newline)
    content_type = SSE if b"data: " in body else JSON
    chosen = policy(source)
    refused = any(judge.refused(chosen, (each.name, each.arguments)) for each in calls)
    return Case(
        format=name,
        policy=chosen,
        body=body,
        stream=stream,
        content_type=content_type,
        cuts=_cuts(source, len(body)),
        ends="refused" if refused else "released",
    )
