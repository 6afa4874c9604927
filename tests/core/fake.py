"""An adapter of one-letter events, and relays around it."""

import msgspec

from gateway.core.adapter import Payload, RequestAdapter, ResponseAdapter
from gateway.core.errors import ErrorKind
from gateway.core.frames import LineFramer, OpaqueFramer, WholeFramer
from gateway.core.json_array import ArrayFramer
from gateway.core.relay import Relay
from gateway.core.sse import SSEFramer
from gateway.core.view import (
    END,
    Completion,
    Finish,
    FinishReason,
    Start,
    StreamError,
    TextDelta,
    ToolCallDelta,
    Unknown,
    Usage,
)

FRAMERS = {
    "sse": SSEFramer,
    "lines": LineFramer,
    "array": ArrayFramer,
    "whole": WholeFramer,
    "opaque": OpaqueFramer,
}


class Fake(ResponseAdapter):
    """One letter per event: t text, c call, s call that the provider runs, u usage, f finish, e error."""

    terminator = b"[DONE]"

    def events(self, frame):
        if frame.data == self.terminator:
            return [END]
        self.event_name = ""
        value = msgspec.json.decode(frame.data)
        return [
            event for one in (value if isinstance(value, list) else [value]) for event in self._events(one)
        ]

    def _events(self, value):
        for key, content in value.items():
            match key:
                case "t":
                    yield TextDelta(content)
                case "c":
                    arguments = content.get("arguments", "")
                    written = (
                        arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
                    )
                    yield ToolCallDelta(content.get("i", 0), "", content.get("name", ""), written)
                case "s":
                    yield ToolCallDelta(9, "", content["name"], content["arguments"], server_executed=True)
                case "u":
                    yield Usage(content)
                case "f":
                    yield Finish(FinishReason(content))
                case "e":
                    yield StreamError(ErrorKind.UNKNOWN, content)
                case "id":
                    yield Start(content)
                case "event":
                    self.event_name = content
                case _:
                    yield Unknown(key)

    def hides(self, frame):
        return frame.data.startswith(b'{"u"')

    def error(self, error):
        return [Payload(b'{"e":"%s"}' % error.text.encode(), "error")]

    def refusal(self, text, held, completion):
        return [Payload(b'{"t":"%s"}' % text.encode()), Payload(b'{"f":"stop"}')]


def make(framer="sse", *, gate=True, hiding=False, limit=1000, hold_limit=1000, repeats=False):
    adapter = Fake(RequestAdapter(b"{}"), streamed=True)
    adapter.hiding = hiding
    adapter.repeats = repeats
    completion = Completion()
    return Relay(FRAMERS[framer](limit), adapter, completion, gate=gate, hold_limit=hold_limit), completion


def flags(relay):
    up = [
        name
        for name in ("held", "done", "complete", "failure", "unreadable", "at_boundary", "gated", "whole")
        if getattr(relay, name)
    ]
    return " ".join([*up, *(f"?{name}" for name in relay.unknown)])
