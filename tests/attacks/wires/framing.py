"""Attacks that lie in how an answer is framed, labelled and written: the same on every wire, whatever is in it."""

import gzip
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import brotli

from tests.attacks.model import (
    BROKEN,
    PASSES,
    REFRAMED,
    REFUSED,
    UNJUDGED,
    Attack,
    Expected,
    Table,
    Tool,
)
from tests.attacks.reader import payloads
from tests.harness.sinks import zstd

StreamFrames = Callable[[Tool], Sequence[bytes]]
WholeBytes = Callable[[Tool], bytes]
Pair = tuple[Expected, Expected]
_TORN: Pair = (UNJUDGED, UNJUDGED)
_ANEW: Pair = (REFUSED, REFRAMED)
_SAME: Pair = (REFUSED, PASSES)


def _each(change: Callable[[bytes], bytes]) -> Callable[[Sequence[bytes]], list[bytes]]:
    return lambda frames: [change(frame) for frame in frames]


def _first(before: bytes) -> Callable[[Sequence[bytes]], list[bytes]]:
    return lambda frames: [before + frames[0], *frames[1:]]


def _unix(frame: bytes) -> bytes:
    return frame.replace(b"\r\n", b"\n")


def _at_call(insert: bytes) -> Callable[[Sequence[bytes]], list[bytes]]:
    """Put something between the events before the call."""
    return lambda frames: [*frames[:2], insert, *frames[2:]]


def _field(name: bytes) -> Callable[[bytes], bytes]:
    return lambda frame: frame.replace(b"data: ", name, 1)


_UNREAD = (
    "whole labelled wrong",
    "as lines of JSON",
    "a whole answer to a request for a stream",
)
"""Some client does not read events that it did not ask for, or none where it did."""

FRAMINGS: dict[str, tuple[Callable[[Sequence[bytes]], list[bytes]], Pair]] = {
    "CR ends lines": (_each(lambda f: _unix(f).replace(b"\n", b"\r")), _ANEW),
    "CRLF ends lines": (_each(lambda f: _unix(f).replace(b"\n", b"\r\n")), _SAME),
    "LF ends lines": (_each(_unix), _SAME),
    "every other line ends in CR": (
        lambda frames: [
            _unix(f).replace(b"\n", b"\r" if number % 2 else b"\n") for number, f in enumerate(frames)
        ],
        _ANEW,
    ),
    "a byte order mark": (_first(b"\xef\xbb\xbf"), _ANEW),
    "a byte order mark in the middle": (_at_call(b"\xef\xbb\xbf\n\n"), _TORN),
    "data without a space": (_each(_field(b"data:")), _SAME),
    "data and two spaces": (_each(_field(b"data:  ")), _SAME),
    "data in two lines": (_each(lambda f: f.replace(b"{", b"{\ndata: ", 1)), _ANEW),
    "an empty data line first": (_each(_field(b"data:\ndata: ")), _ANEW),
    "an id": (_each(lambda f: b"id: 1\n" + f), _ANEW),
    "a retry": (_each(lambda f: b"retry: 1\n" + f), _ANEW),
    "an unknown field": (_each(lambda f: b"x: 1\n" + f), _TORN),
    "a field in capitals": (_each(_field(b"Data: ")), _TORN),
    "a space before the field": (_each(_field(b" data: ")), _TORN),
    "a space behind the field": (_each(_field(b"data : ")), _TORN),
    "NUL between events": (_at_call(b"\0\n\n"), _TORN),
    "a comment between events": (_at_call(b": note\n\n"), _SAME),
    "a comment in each event": (_each(lambda f: b": note\n" + f), _SAME),
    "a comment with a line separator": (_each(lambda f: b": \xe2\x80\xa8x\n" + f), _ANEW),
    "a comment with a vertical tab": (_each(lambda f: b": \x0bx\n" + f), _ANEW),
    "no blank line at the end": (lambda frames: [*frames[:-1], frames[-1].rstrip()], _ANEW),
    "an event without data": (_at_call(b"event: x\n\n"), _ANEW),
}
"""What is done to the frames, and what becomes of the canary and of its twin."""

NAMED: dict[str, Callable[[bytes], bytes]] = {
    "named otherwise": lambda name: b"foo",
    "named ping": lambda name: b"ping",
    "named for a thread": lambda name: b"thread.run.step",
    "named error": lambda name: b"error",
}
BESIDE: dict[str, bytes] = {
    "half a surrogate": b'{"x":"\\ud800",',
    "a low surrogate": b'{"x":"\\udc00",',
    "bytes that are no UTF-8": b'{"x":"\xff",',
    "an overlong NUL": b'{"x":"\xc0\x80",',
    "not a number": b'{"x":NaN,',
    "infinity": b'{"x":-Infinity,',
    "a number out of range": b'{"x":1e400,',
    "nesting 2,000 deep": b'{"x":' + b"[" * 2000 + b"]" * 2000 + b",",
    "a control character": b'{"x":"a\x01",',
    "a comment": b'{/* */"x":1,',
    "single quotes": b"{'x':1,",
}


def add_framing(
    table: Table,
    frames: StreamFrames,
    body: WholeBytes,
    *,
    quiet: Sequence[bytes],
    keys: Sequence[str],
    otherwise: Mapping[str, Pair] | None = None,
    sse: bool = True,
    unread: Sequence[str] = (),
) -> None:
    """Add them.

    ``quiet``: a stream that calls nothing; ``keys``: members on the way to a call; ``otherwise``: variants of which this wire makes something else, by
    variant, with ``whole`` or ``stream`` before it where both are; ``unread``: those on which the vendor's client fails.
    """
    differs = dict(otherwise or {})

    def add(
        id_: str,
        variant: str,
        build: Callable[[Tool], Sequence[bytes]],
        pair: Pair,
        *,
        stream: bool,
        **more: Any,
    ) -> None:
        way = "stream" if stream else "whole"
        denied, twin = differs.get(f"{way} {variant}", differs.get(variant, pair))
        readable = not {variant, f"{way} {variant}"} & {*unread, *_UNREAD}
        table.add(
            Attack(
                id_, variant, "", stream=stream, build=build, denied=denied, twin=twin, sdk=readable, **more
            )
        )

    if sse:
        for variant, (change, pair) in FRAMINGS.items():
            add("38", variant, lambda t, change=change: change(frames(t)), pair, stream=True)
        add(
            "38",
            "a call in a comment",
            lambda t: [quiet[0], b": " + body(t) + b"\n\n", *quiet[1:]],
            (REFRAMED, REFRAMED),
            stream=True,
        )
        add(
            "38",
            "17 MB in one event",
            lambda t: [
                *frames(t)[:2],
                *(f.replace(b"{", b'{"x":"' + b"x" * 17_000_000 + b'",', 1) for f in frames(t)[2:3]),
                *frames(t)[3:],
            ],
            _TORN,
            stream=True,
            splits="huge",
        )
        add(
            "38",
            "4 MB in the event before",
            lambda t: [_big(frames(t)[0], 4_000_000), *frames(t)[1:]],
            _SAME,
            stream=True,
            splits="huge",
        )
        for variant, name in NAMED.items():
            add(
                "37",
                variant,
                lambda t, name=name: [_name(f, name(b"")) for f in frames(t)],
                _ANEW,
                stream=True,
            )
    for key in keys:
        quoted = f'"{key}":'.encode()
        for variant, doubled in (
            (f"{key} twice", quoted + b"null," + quoted),
            (f"{key} twice, spelt otherwise", f'"\\u{ord(key[0]):04x}{key[1:]}":null,'.encode() + quoted),
        ):
            for stream in (True, False):
                source: Any = frames if stream else lambda t: [body(t)]
                if not any(quoted in one for one in source(Tool("a", "b"))):
                    continue
                add(
                    "39",
                    variant,
                    lambda t, source=source, quoted=quoted, doubled=doubled: _at_one(
                        source(t), t, quoted, doubled
                    ),
                    _TORN,
                    stream=stream,
                    live="spelt" not in variant,
                )
    for variant, put in BESIDE.items():
        for stream in (True, False):
            source = frames if stream else lambda t: [body(t)]
            add(
                "40",
                f"{variant} beside the call",
                lambda t, source=source, put=put: _at_one(source(t), t, b"{", put),
                _TORN,
                stream=stream,
            )
        if variant in ("half a surrogate", "bytes that are no UTF-8"):
            add(
                "40",
                f"{variant} before the call",
                lambda t, put=put: [frames(t)[0].replace(b"{", put, 1), *frames(t)[1:]],
                _TORN,
                stream=True,
            )
    _add_labels(add, frames, body, sse=sse)


def _add_labels(add: Any, frames: StreamFrames, body: WholeBytes, *, sse: bool) -> None:
    for way, source in (("stream", frames), ("whole", lambda t: [body(t)])):
        stream = way == "stream"
        wrong = "application/json" if stream else "text/event-stream"
        labels: dict[str, tuple[Mapping[str, str], Pair]] = {
            "labelled wrong": ({"content-type": wrong}, _TORN),
            "labelled as text": ({"content-type": "text/plain"}, _TORN if stream else _SAME),
            "without a label": ({"content-type": ""}, _TORN if stream else _SAME),
            "labelled as a page": ({"content-type": "text/html"}, (BROKEN, BROKEN)),
            "in another character set": (
                {"content-type": "application/json; charset=utf-16"},
                (BROKEN, BROKEN),
            ),
            "in UTF-7": ({"content-type": "text/event-stream; charset=utf-7"}, (BROKEN, BROKEN)),
        }
        for variant, (headers, pair) in labels.items():
            add("36", variant, source, pair, stream=stream, headers=headers)
        usual = "text/event-stream" if stream else "application/json"
        if sse or not stream:
            capitals = {"content-type": f'{usual.upper()};Charset="UTF-8"'}
            add("36", "labelled in capitals", source, _SAME, stream=stream, headers=capitals)
        more = {"Content-Type": "text/plain"}  # beside the usual one
        add("36", "labelled twice", source, (BROKEN, BROKEN), stream=stream, headers=more)
        for encoding in ("foo", "gzip, foo", "x-gzip"):
            add(
                "35",
                f"encoded as {encoding}",
                source,
                (BROKEN, BROKEN),
                stream=stream,
                headers={"content-encoding": encoding},
            )
        encoders: dict[str, Callable[[bytes], bytes]] = {
            "gzip": gzip.compress,
            "br": brotli.compress,
            "zstd": zstd.compress,
            "deflate": zlib.compress,
        }
        for encoding, encode in encoders.items():
            add(
                "34",
                encoding,
                source,
                _SAME,
                stream=stream,
                headers={"content-encoding": encoding},
                encode=encode,
            )
        add(
            "34",
            "gzip that is none",
            source,
            (BROKEN, BROKEN),
            stream=stream,
            headers={"content-encoding": "gzip"},
            encode=lambda data: data,
        )
    for encoding in ("utf-16", "utf-16-le", "utf-32", "utf-8-sig"):
        # Python's own reader of JSON finds out the encoding by itself.
        add(
            "40",
            f"a whole answer in {encoding}",
            lambda t, encoding=encoding: [body(t).decode().encode(encoding)],
            _TORN,
            stream=False,
        )
    if sse:
        lines = {"content-type": "application/x-ndjson"}
        add(
            "36",
            "as lines of JSON",
            lambda t: [data + b"\n" for frame in frames(t) for data in payloads(frame)],
            _SAME,
            stream=True,
            headers=lines,
        )
        add(
            "36",
            "a whole answer to a request for a stream",
            lambda t: [body(t)],
            _SAME,
            stream=True,
            headers={"content-type": "application/json"},
        )
        add(
            "36",
            "a whole answer labelled as a stream",
            lambda t: [body(t)],
            _TORN,
            stream=True,
            headers={"content-type": "text/event-stream"},
        )


def _big(frame: bytes, size: int) -> bytes:
    return frame.replace(b"{", b'{"x":"' + b"x" * size + b'",', 1)


def _name(frame: bytes, name: bytes) -> bytes:
    rest = frame.partition(b"\n")[2] if frame.startswith(b"event: ") else frame
    return b"event: " + name + b"\n" + rest


def _at_one(frames: Sequence[bytes], tool: Tool, old: bytes, new: bytes) -> list[bytes]:
    """Change the frame that names the tool, or the first that can be changed."""
    named = [n for n, frame in enumerate(frames) if tool.name.encode() in frame and old in frame]
    at = (named or [n for n, frame in enumerate(frames) if old in frame])[0]
    return [frame.replace(old, new, 1) if n == at else frame for n, frame in enumerate(frames)]
