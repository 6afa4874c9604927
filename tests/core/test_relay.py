"""Transcripts of the relay: what goes in, what must come out, and what the client must never see.

``>>`` feeds bytes (``⏎`` is a line end), ``<<`` is what leaves, nothing if there is no such line; ``close``,
``release``, ``refuse``, ``fail`` and ``keep-alive`` call the method; ``==`` lists the flags that are up.
"""

import msgspec
import pytest

from gateway.core.adapter import Payload, RequestAdapter, ResponseAdapter
from gateway.core.errors import ErrorKind, UpstreamReset
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


def make(framer="sse", *, gate=True, hiding=False, limit=1000, hold_limit=1000):
    adapter = Fake(RequestAdapter(b"{}"), streamed=True)
    adapter.hiding = hiding
    completion = Completion()
    return Relay(FRAMERS[framer](limit), adapter, completion, gate=gate, hold_limit=hold_limit), completion


def flags(relay):
    up = [
        name
        for name in ("held", "done", "complete", "failure", "unreadable", "at_boundary", "gated", "whole")
        if getattr(relay, name)
    ]
    return " ".join([*up, *(f"?{name}" for name in relay.unknown)])


def play(script, **options):
    relay, completion = make(**options)
    steps = [line.strip() for line in script.strip().split("\n")]
    waiting = b""
    for number, step in enumerate(steps):
        verb, _, rest = step.partition(" ")
        data = rest.replace("⏎", "\n").encode()
        if verb == "<<":
            assert waiting == data, f"line {number}"
            waiting = b""
            continue
        if verb == "==":
            assert flags(relay) == rest, f"line {number}"
            continue
        assert waiting == b"", f"line {number}"
        match verb:
            case ">>":
                waiting = relay.feed(data)
            case "close":
                waiting = relay.close()
            case "release":
                waiting = relay.release()
            case "refuse":
                waiting = relay.refuse(rest)
            case "keep-alive":
                waiting = relay.keep_alive()
            case "fail":
                waiting = relay.fail(UpstreamReset("broken"))
                waiting = b"abort" if waiting is None else waiting
            case _:
                raise AssertionError(step)
    assert waiting == b""
    return relay, completion


OBSERVING = {
    "chunks pass as they are": (
        {},
        """
        ==
        keep-alive
        >> data: {"t":"a"}⏎⏎data: {"c":
        << data: {"t":"a"}⏎⏎data: {"c":
        ==
        keep-alive
        >> {"name":"f","arguments":"{}"}}⏎⏎
        << {"name":"f","arguments":"{}"}}⏎⏎
        == at_boundary
        keep-alive
        << : keep-alive⏎⏎
        >> data: {"f":"tool_calls"}⏎⏎
        << data: {"f":"tool_calls"}⏎⏎
        == complete at_boundary
        >> data: [DONE]⏎⏎
        << data: [DONE]⏎⏎
        == done complete at_boundary
        close
        """,
    ),
    "what can't be read passes and is counted": (
        {},
        """
        >> data: {"t":⏎⏎data: {"novel":1}⏎⏎: hi⏎⏎data: {"e":"x"}⏎⏎
        << data: {"t":⏎⏎data: {"novel":1}⏎⏎: hi⏎⏎data: {"e":"x"}⏎⏎
        == complete unreadable at_boundary ?novel
        """,
    ),
    "the rest is read at the end": (
        {},
        """
        >> data: {"f":"stop"}⏎⏎: rest
        << data: {"f":"stop"}⏎⏎: rest
        close
        == complete at_boundary
        """,
    ),
    "an unterminated event counts": (
        {},
        ">> data: [DONE]\n<< data: [DONE]\nclose\n== done complete at_boundary",
    ),
    "too large an event ends the reading, not the stream": (
        {"limit": 20},
        """
        >> data: {"t":"0123456789
        << data: {"t":"0123456789
        == complete unreadable
        >> "}⏎⏎data: [DONE]⏎⏎
        << "}⏎⏎data: [DONE]⏎⏎
        close
        == complete unreadable
        """,
    ),
    "a whole body": (
        {"framer": "whole"},
        """
        >> {"t":
        << {"t":
        >> "a"}
        << "a"}
        keep-alive
        close
        == done complete at_boundary whole
        """,
    ),
    "an array says itself that it has ended": (
        {"framer": "array"},
        """
        >> [{"t":"a"}
        << [{"t":"a"}
        == at_boundary
        keep-alive
        << ⏎
        >> ]
        << ]
        == done complete at_boundary
        """,
    ),
    "nobody reads an opaque body": (
        {"framer": "opaque"},
        """
        >> \xff
        << \xff
        keep-alive
        close
        == done complete at_boundary whole
        """,
    ),
    "a failure closes half an event": (
        {},
        """
        >> data: {"t":"a"}⏎⏎data: {"t"
        << data: {"t":"a"}⏎⏎data: {"t"
        fail
        << ⏎⏎event: error⏎data: {"e":"broken"}⏎⏎
        """,
    ),
    "a failure between events": (
        {},
        """
        >> data: {"t":"a"}⏎⏎
        << data: {"t":"a"}⏎⏎
        fail
        << event: error⏎data: {"e":"broken"}⏎⏎
        """,
    ),
    "a failure in half an element": ({"framer": "array"}, '>> [{"t"\n<< [{"t"\nfail\n<< abort'),
    "a failure between elements": (
        {"framer": "array"},
        '>> [{"t":"a"}\n<< [{"t":"a"}\nfail\n<< ,\r⏎{"e":"broken"}⏎]',
    ),
    "a failure in half a line": ({"framer": "lines"}, '>> {"t"\n<< {"t"\nfail\n<< ⏎{"e":"broken"}⏎'),
    "a failure of a whole body": ({"framer": "whole"}, ">> {\n<< {\nfail\n<< abort"),
}
SIFTING = {
    "one event is hidden": (
        {"hiding": True},
        """
        >> data: {"t":"a"}⏎⏎: hi⏎⏎data: {"u":7}⏎⏎data: {"c":{"name":"f","arguments":""}}⏎⏎data: [DO
        << data: {"t":"a"}⏎⏎: hi⏎⏎data: {"c":{"name":"f","arguments":""}}⏎⏎
        == at_boundary
        >> NE]⏎⏎
        << data: [DONE]⏎⏎
        == done complete at_boundary
        close
        """,
    ),
    "what can't be read passes": (
        {"hiding": True},
        """
        >> data: {⏎⏎foo⏎⏎data: {"novel":1}⏎⏎data: [DONE]
        << data: {⏎⏎foo⏎⏎data: {"novel":1}⏎⏎
        close
        << data: [DONE]
        == done complete unreadable at_boundary ?novel
        """,
    ),
    "too large an event ends the sifting": (
        {"hiding": True, "limit": 20},
        """
        >> data: {"t":"0123456789
        << data: {"t":"0123456789
        >> data: {"u":7}⏎⏎
        << data: {"u":7}⏎⏎
        == complete unreadable
        """,
    ),
    "an array says itself that it has ended": (
        {"hiding": True, "framer": "array"},
        '>> [{"t":"a"}]\n<< [{"t":"a"}]\n== done complete at_boundary',
    ),
    "half an event has not left when it fails": (
        {"hiding": True},
        """
        >> data: {"t":"a"}⏎⏎data: {"t"
        << data: {"t":"a"}⏎⏎
        fail
        << event: error⏎data: {"e":"broken"}⏎⏎
        """,
    ),
}
GATING = {
    "without a call everything leaves, event by event": (
        {},
        """
        >> data: {"id":"r1"}⏎⏎data: {"t":"a"}⏎
        << data: {"id":"r1"}⏎⏎
        == at_boundary gated
        keep-alive
        << : keep-alive⏎⏎
        >> ⏎: hi⏎⏎
        << data: {"t":"a"}⏎⏎: hi⏎⏎
        >> data: [DONE]⏎⏎
        << data: [DONE]⏎⏎
        == done complete at_boundary gated
        close
        """,
    ),
    "everything waits from the first call on": (
        {},
        """
        >> data: {"t":"a"}⏎⏎data: {"t":"b","c":{"name":"f","arguments":""}}⏎⏎
        << data: {"t":"a"}⏎⏎
        == held at_boundary gated
        >> : hi⏎⏎data: {"t":"c"}⏎⏎
        keep-alive
        << : keep-alive⏎⏎
        >> data: {"f":"tool_calls"}⏎⏎data: [DONE]⏎⏎data: {"t":"after"}⏎⏎
        == held done complete at_boundary gated
        >> data: {"t":"later"}⏎⏎
        close
        release
        << data: {"t":"b","c":{"name":"f","arguments":""}}⏎⏎: hi⏎⏎data: {"t":"c"}⏎⏎data: {"f":"tool_calls"}⏎⏎data: [DONE]⏎⏎
        == done complete at_boundary gated
        """,
    ),
    "refused": (
        {},
        """
        >> data: {"t":"a"}⏎⏎data: {"c":{"name":"f","arguments":""}}⏎⏎data: [DONE]⏎⏎
        << data: {"t":"a"}⏎⏎
        refuse no
        << data: {"t":"no"}⏎⏎data: {"f":"stop"}⏎⏎
        == done complete at_boundary gated
        """,
    ),
    "arguments in pieces": (
        {},
        """
        >> data: {"c":{"name":"f","arguments":"{"}}⏎⏎data: {"c":{"arguments":"}"}}⏎⏎data: [DONE]⏎⏎
        release
        << data: {"c":{"name":"f","arguments":"{"}}⏎⏎data: {"c":{"arguments":"}"}}⏎⏎data: [DONE]⏎⏎
        == done complete at_boundary gated
        """,
    ),
    "a call in the first event": (
        {"framer": "array"},
        """
        >> [{"c":{"name":"f","arguments":""}}
        keep-alive
        == held gated
        >> ]
        refuse no
        << [{"t":"no"},\r⏎{"f":"stop"}⏎]
        """,
    ),
    "the provider's own calls pass": (
        {},
        """
        >> data: {"s":{"name":"search","arguments":"{}"}}⏎⏎
        << data: {"s":{"name":"search","arguments":"{}"}}⏎⏎
        == at_boundary gated
        """,
    ),
    "a whole body waits": (
        {"framer": "whole"},
        """
        >> {"t":"a",
        >> "c":{"name":"f","arguments":""}}
        close
        == held done complete gated whole
        release
        << {"t":"a","c":{"name":"f","arguments":""}}
        """,
    ),
    "a whole body without a call": ({"framer": "whole"}, '>> {"t":"a"}\nclose\n<< {"t":"a"}'),
    "a whole body is held whatever its size": (
        {"framer": "whole", "hold_limit": 3},
        '>> {"c":{"name":"f","arguments":""}}\nclose\n== held done complete gated whole\nrefuse no\n<< {"t":"no"}{"f":"stop"}',
    ),
    "usage that nobody asked for is hidden": (
        {"hiding": True},
        """
        >> data: {"c":{"name":"f","arguments":""}}⏎⏎data: {"u":7}⏎⏎data: [DONE]⏎⏎
        release
        << data: {"c":{"name":"f","arguments":""}}⏎⏎data: [DONE]⏎⏎
        """,
    ),
    "irregular framing is framed anew": (
        {},
        """
        >> id: 1⏎data: {"t":⏎data: "a"}⏎⏎event: odd⏎data: {"t":"b"}⏎⏎event: error⏎data: {"t":"c"}⏎⏎
        << data: {"t": "a"}⏎⏎data: {"t":"b"}⏎⏎event: error⏎data: {"t":"c"}⏎⏎
        >> event: odd⏎data: {"event":"good","t":"d"}⏎⏎event: good⏎data: {"event":"good","t":"e"}⏎⏎
        << event: good⏎data: {"event":"good","t":"d"}⏎⏎event: good⏎data: {"event":"good","t":"e"}⏎⏎
        >> id: 2⏎event: error⏎data: {"t":"x"}⏎⏎event: odd⏎⏎
        << event: error⏎data: {"t":"x"}⏎⏎
        >> id: 3⏎data: {"c":{"name":"f","arguments":""}}⏎⏎
        release
        << data: {"c":{"name":"f","arguments":""}}⏎⏎
        >> data: [DONE]
        close
        << data: [DONE]⏎⏎
        """,
    ),
    "a line that is no field beside a payload": (
        {},
        '>> data: {"t":"a"}⏎foo: bar⏎⏎data: {"t":"b"}⏎⏎\n== failure unreadable gated',
    ),
    "a line that is no field": ({}, '>> foo⏎⏎data: {"t":"b"}⏎⏎\n== failure unreadable gated'),
    "what is not known is held, and fails at the end": (
        {},
        """
        >> data: {"t":"a"}⏎⏎data: {"novel":1}⏎⏎data: {"t":"b"}⏎⏎
        << data: {"t":"a"}⏎⏎
        == held at_boundary gated ?novel
        >> data: [DONE]⏎⏎
        == held done complete failure at_boundary gated ?novel
        fail
        << event: error⏎data: {"e":"broken"}⏎⏎
        == done complete failure at_boundary gated ?novel
        """,
    ),
    "what is not known fails when the upstream ends": (
        {},
        '>> data: {"novel":1}⏎⏎data: {"f":"stop"}⏎⏎\nclose\n== held complete failure gated ?novel',
    ),
    "a call in disguise": (
        {},
        """
        >> data: {"t":"a","x":{"Name":"f","n":[{"n\\u0061me":"g","INPUT":{}}]}}⏎⏎
        == held gated ?x ?tool call
        close
        == held failure gated ?x ?tool call
        """,
    ),
    "a call in a place that the adapter does not read": (
        {},
        '>> data: {"c":{"i":1,"x":{"name":"g","args":{}}}}⏎⏎\n== held gated ?tool call',
    ),
    "more calls than the adapter saw": (
        {},
        """
        >> data: {"c":{"name":"f","arguments":"","more":[{"name":"g","args":{}}]}}⏎⏎
        == held gated ?tool call
        """,
    ),
    "from the upstream's error on only the rest of it passes": (
        {},
        """
        >> data: {"t":"a"}⏎⏎data: {"c":{"name":"f","arguments":""}}⏎⏎: held⏎⏎data: {"e":"x"}⏎⏎data: {"t":"b"}⏎⏎
        << data: {"t":"a"}⏎⏎data: {"e":"x"}⏎⏎
        == complete at_boundary gated
        >> : hi⏎⏎data: {"f":"stop"}⏎⏎data: {"e":"y"}⏎⏎data: [DONE]⏎⏎data: {"e":"z"}⏎⏎
        << : hi⏎⏎data: {"e":"y"}⏎⏎
        == done complete at_boundary gated
        """,
    ),
    "a call after the upstream's error": (
        {},
        """
        >> data: {"e":"x"}⏎⏎data: {"c":{"name":"f","arguments":""}}⏎⏎
        << data: {"e":"x"}⏎⏎
        == complete failure unreadable at_boundary gated
        """,
    ),
    "an error with a call in it does not pass": (
        {},
        """
        >> data: {"e":"x","c":{"name":"f","arguments":""}}⏎⏎
        == complete failure unreadable gated
        """,
    ),
    "too many held bytes": (
        {"hold_limit": 60},
        """
        >> data: {"c":{"name":"f","arguments":""}}⏎⏎
        == held gated
        >> data: {"t":"0123456789"}⏎⏎
        == held failure gated
        >> data: {"t":"b"}⏎⏎
        fail
        << event: error⏎data: {"e":"broken"}⏎⏎
        """,
    ),
    "comments are held within the limit too": (
        {"hold_limit": 60},
        '>> data: {"c":{"name":"f","arguments":""}}⏎⏎: 0123456789012345678901234⏎⏎\n== held failure gated',
    ),
    "too large an event": (
        {"limit": 30},
        """
        >> data: {"t":"a"}⏎⏎data: {"t":"01234567890123456789
        << data: {"t":"a"}⏎⏎
        == failure at_boundary gated
        """,
    ),
    "too large an event after a failure": (
        {"limit": 30},
        '>> data: {⏎⏎data: {"t":"01234567890123456789\n== failure unreadable gated',
    ),
    "a failure before anything has left": ({"framer": "array"}, '>> [{"t"\nfail\n<< [{"e":"broken"}⏎]'),
    "a failure of a whole body": ({"framer": "whole"}, ">> {\nfail\n<< abort"),
    "an empty array": ({"framer": "array"}, ">> []\n<< []\n== done complete at_boundary gated"),
    "nothing follows the end of an array": (
        {"framer": "array"},
        '>> [{"t":"a"}]{"t":"b"}\n<< [{"t":"a"}]\n>> {"t":"c"}\nclose\n== done complete at_boundary gated',
    ),
}


@pytest.mark.parametrize(("options", "script"), OBSERVING.values(), ids=OBSERVING)
def test_observing(options, script):
    play(script, gate=False, **options)


@pytest.mark.parametrize(("options", "script"), SIFTING.values(), ids=SIFTING)
def test_sifting(options, script):
    play(script, gate=False, **options)


@pytest.mark.parametrize(("options", "script"), GATING.values(), ids=GATING)
def test_gating(options, script):
    play(script, **options)


@pytest.mark.parametrize(
    ("terminates", "answer", "over"),
    [
        (True, b'data: {"f":"stop"}\n\n', False),
        (False, b'data: {"f":"stop"}\n\n', True),
        (False, b'data: {"t":"a"}\n\n', False),
        (True, b"data: [DONE]\n\n", True),
        (True, b'data: {"e":"x"}\n\n', True),
    ],
)
def test_over(monkeypatch, terminates, answer, over):
    monkeypatch.setattr(Fake, "terminates", terminates)
    relay, _ = make()
    assert not relay.over
    relay.feed(answer)
    assert relay.over is over


def test_observing_returns_the_same_object():
    relay, completion = make(gate=False)
    for chunk in (b"", b"data: {", b'"t":"a"}\n\ndata: [DONE]\n\n', b"trailing"):
        assert relay.feed(chunk) is chunk
    assert completion.text == "a"


def test_gating_returns_the_same_object_for_a_chunk_that_is_one_event():
    relay, _ = make()
    chunk = b'data: {"t":"a"}\n\n'
    assert relay.feed(chunk) is chunk
