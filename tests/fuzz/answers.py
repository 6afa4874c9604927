"""Whole cases: an answer of one wire format, mutated, framed, cut, and the policies that it meets."""

from hypothesis import strategies as st

from tests.fuzz import framing, judge
from tests.fuzz.case import JSON, SSE, Case
from tests.fuzz.documents import mutate, render
from tests.fuzz.framing import Event, Literal
from tests.fuzz.source import Source
from tests.fuzz.wires import anthropic, chat, gemini, responses
from tests.fuzz.wires.wire import Wire
from tests.fuzz.words import call, policy

WIRES: dict[str, Wire] = {each.WIRE.name: each.WIRE for each in (chat, responses, anthropic, gemini)}


def _mutated(source: Source, wire: Wire, events: list[Event]) -> list[Event]:
    """Change a few things, in documents or in their order."""
    for _ in range(source.below(4)):
        way = source.below(10)
        at = source.below(len(events) + 1)
        if way <= 5:
            documents = [event.data for event in events if not isinstance(event.data, Literal)]
            mutate(source, documents, wire.extras(call(source, source.below(2))), wire.words)
        elif way == 6:
            events[at:at] = wire.events(source, call(source, source.below(3)))
        elif not events:
            continue
        elif way == 7:
            del events[at - 1]
        elif way == 8:
            events.insert(at, events.pop(source.below(len(events))))
        elif source.chance(50):
            events.insert(at, events[source.below(len(events))])
        else:
            event = events[at - 1]
            events[at - 1] = event._replace(name=source.pick((*framing.ODD_NAMES, *(each.name for each in events))))
    return events


@st.composite
def cases(draw: st.DrawFn, name: str) -> Case:
    """Return any case of a format."""
    source = Source(draw)
    wire = WIRES[name]
    calls = [call(source, number) for number in range(source.below(4))]
    stream = not source.chance(20)
    content_type = SSE if stream else JSON
    if not stream:
        document = wire.whole(source, calls, True)  # noqa: FBT003
        events = _mutated(source, wire, [Event(document)])
        body = b"".join(
            event.text(loose=source.chance(20)).encode("utf-8", "surrogatepass") for event in events[:2]
        )
        if source.chance(8):
            body = body[: source.below(len(body) + 1)]
        if source.chance(5):
            body = source.pick((b"\xef\xbb\xbf", b"\n\n ", b"data: ")) + body
    else:
        events = _mutated(source, wire, wire.stream(source, calls, True))  # noqa: FBT003
        if name == "gemini" and source.chance(20):
            content_type = JSON
            body = framing.array(source, events)
        elif source.chance(3):
            content_type = "application/x-ndjson"
            body = framing.lines(events)
        else:
            body = framing.irregular(source, events, wire.newline)
    if source.chance(3):
        content_type = source.pick((JSON, SSE, "text/plain", "", "application/x-ndjson"))
    return Case(
        format=name,
        policy=policy(source),
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
        body = render(wire.whole(source, calls, False), loose=source.chance(50)).encode()  # noqa: FBT003
    elif name == "gemini" and source.chance(30):
        body = framing.array(None, wire.stream(source, calls, False))  # noqa: FBT003
    else:
        body = framing.regular(wire.stream(source, calls, False), wire.newline)  # noqa: FBT003
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
