"""What can be read of a whole answer that broke off in its midst: for the record, never for a client or a verdict."""

import re

from gateway.core.adapter import ResponseAdapter
from gateway.core.frames import Frame
from gateway.core.view import Completion, Event, ReasoningDelta, Start, TextDelta, ToolCallDelta, Usage

_MOST = 1 << 20
"""Bytes that are read: some milliseconds' worth."""
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[][{}:,]|[^][{}":,\s]++', re.DOTALL)
_GAP = re.compile(rb"\s*+")
_CLOSING = {b"{": b"}", b"[": b"]"}
_TEXT = re.compile(
    rb'"(?:[^"\\]++|\\[^u]|\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4}'
    rb"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})*+",
    re.DOTALL,
)
"""The beginning of a text, with whole escapes only."""
_READ = (Start, TextDelta, ReasoningDelta, ToolCallDelta, Usage)
"""How it ended, a torn answer can't say."""


def read_torn(body: bytes, adapter: ResponseAdapter, completion: Completion) -> None:
    """Add to a completion what has come of an answer; nothing if that can't be read."""
    if not 0 < len(body) <= _MOST:
        return
    document = mended(body)
    try:
        events: list[Event] = list(adapter.events(Frame(document, document)))
    except Exception:  # noqa: BLE001  # whatever an adapter makes of half an answer, its record is written
        return
    for event in events:
        if isinstance(event, _READ):
            completion.apply(event)


def mended(document: bytes) -> bytes:
    """Return a JSON document that was cut off as a whole one: a last text ends where it was cut, a number is left out."""
    open_: list[bytes] = []
    end = position = 0
    key = False  # whether a member's name comes next
    while True:
        position = _GAP.match(document, position).end()  # type: ignore[union-attr]  # it matches anywhere
        found = _TOKEN.match(document, position)
        if found is None or (found.end() == len(document) and found[0][:1] not in b'"{}[],:'):
            break
        token, position = found[0], found.end()
        if token in _CLOSING:
            open_.append(_CLOSING[token])
            key = token == b"{"
        elif token in (b"}", b"]"):
            if not open_ or open_.pop() != token:
                break
            key = False
        elif token == b",":
            key = bool(open_) and open_[-1] == b"}"
            continue
        elif token == b":" or key:
            key = False
            continue
        end = position
        if not open_:
            break
    if document.startswith(b'"', position) and not key and open_:
        text = _TEXT.match(document, position)[0].decode(errors="ignore").encode()  # type: ignore[index]  # as above
        return b"".join((document[:position], text, b'"', *reversed(open_)))
    return b"".join((document[:end], *reversed(open_)))
