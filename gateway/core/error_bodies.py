"""Bodies of errors, which pass as they are: unless a client that does not look at the status would find a call in one.

Vendors and whatever stands before them write errors in any shape, so nothing is asked of a body but that it holds no
call. What a lenient parser may read counts: a gate must not know less than the client.
"""

import json  # noqa: TID251  # lenient, as clients are
import re
from collections.abc import Iterator
from typing import Any

from gateway.core.frames import Frame, Shape, WholeFramer

_LINE_END = re.compile(r"\r\n|\n|\r")
_MEMBERS = frozenset({"toolcalls", "functioncall", "functioncalls", "partialargs"})
_TYPES = ("call", "tool_use", "approval_request")
_MARKS = re.compile(r"tool_?calls|function_?call|tool_?use\b|_call\b", re.IGNORECASE)


def may_hold_call(body: bytes) -> bool:
    """Whether a client may read a call out of a body: as JSON, as events, or as lines of JSON."""
    text = body.replace(b"\0", b"").decode(
        "utf-8-sig", "replace"
    )  # some parsers know UTF-16 when they see it
    if "{" not in text:
        return False
    try:
        return _holds_call(json.loads(text))
    except (ValueError, RecursionError):
        pass
    for document in _documents(text):
        try:
            if _holds_call(json.loads(document)):
                return True
        except (ValueError, RecursionError):
            if _MARKS.search(document):
                return True
    return False


def _documents(text: str) -> Iterator[str]:
    """Yield what a reader of events or of lines would take for JSON."""
    event: list[str] = []
    for line in (*_LINE_END.split(text), ""):
        name, _, value = line.partition(":")
        if name == "data":
            event.append(value)
        elif line.strip():
            yield line
        elif event:
            yield "\n".join(event)
            event = []


def _holds_call(document: Any) -> bool:
    left = [document]
    while left:  # and no recursion: what is nested deeply would end it
        value = left.pop()
        if isinstance(value, dict):
            for key, child in value.items():
                folded = key.casefold().replace("_", "")
                if folded in _MEMBERS and isinstance(child, dict | list) and child:
                    return True
                if folded == "type" and isinstance(child, str) and child.casefold().endswith(_TYPES):
                    return True
            left += value.values()
        elif isinstance(value, list):
            left += value
    return False


class ErrorFramer(WholeFramer):
    """The body of an error on its way through a gate: as it came, or not at all."""

    __slots__ = ()

    def close(self) -> list[Frame]:
        self.complete = True
        raw = self.drain()
        return [Frame(raw, b"", "", Shape.BROKEN if may_hold_call(raw) else Shape.COMMENT)] if raw else []
