"""Transcripts of the relay: what goes in, what must come out, and what the client must never see.

``>>`` feeds bytes (``⏎`` is a line end), ``<<`` is what leaves, nothing if there is no such line; ``close``,
``release``, ``refuse``, ``fail`` and ``keep-alive`` call the method; ``==`` lists the flags that are up.
"""

import pytest

from gateway.core.adapter import Payload
from gateway.core.errors import UpstreamReset
from tests.core.fake import Fake, flags, make


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
    "events pass as they are, once they are whole": (
        {},
        """
        ==
        keep-alive
        >> data: {"t":"a"}⏎⏎data: {"c":
        << data: {"t":"a"}⏎⏎
        == at_boundary
        >> {"name":"f","arguments":"{}"}}⏎⏎
        << data: {"c":{"name":"f","arguments":"{}"}}⏎⏎
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
        << data: {"f":"stop"}⏎⏎
        close
        << : rest
        == complete at_boundary
        """,
    ),
    "an unterminated event counts": (
        {},
        ">> data: [DONE]\nclose\n<< data: [DONE]\n== done complete at_boundary",
    ),
    "a sign of life does not wait for its blank line": (
        {},
        """
        >> : ping⏎
        << : ping⏎
        >> ⏎data: {"t":"a"}⏎⏎
        << ⏎data: {"t":"a"}⏎⏎
        """,
    ),
    "too large an event that is whole ends the reading too": (
        {"limit": 20},
        """
        >> data: {"t":"0123456789"}⏎⏎data: {"t"
        << data: {"t":"0123456789"}⏎⏎data: {"t"
        == complete unreadable
        fail
        << abort
        """,
    ),
    "too large a whole body ends the reading": (
        {"framer": "whole", "limit": 5},
        ">> {\n<< {\n>> 12345\n<< 12345\n>> 6\n<< 6\n== complete unreadable whole\nclose",
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
        == done complete whole
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
        == done complete whole
        """,
    ),
    "a failure in half an event, which has not left": (
        {},
        """
        >> data: {"t":"a"}⏎⏎data: {"t"
        << data: {"t":"a"}⏎⏎
        fail
        << event: error⏎data: {"e":"broken"}⏎⏎
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
    "a failure in half an element": ({"framer": "array"}, '>> [{"t"\nfail\n<< [{"e":"broken"}⏎]'),
    "a failure between elements": (
        {"framer": "array"},
        '>> [{"t":"a"}\n<< [{"t":"a"}\nfail\n<< ,\r⏎{"e":"broken"}⏎]',
    ),
    "a failure in half a line": ({"framer": "lines"}, '>> {"t"\nfail\n<< {"e":"broken"}⏎'),
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
        << : hi⏎⏎data: {"e":"y"}⏎⏎data: [DONE]⏎⏎
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


@pytest.mark.parametrize("repeats", [False, True])
@pytest.mark.parametrize(("options", "script"), OBSERVING.values(), ids=OBSERVING)
def test_observing(options, script, repeats):
    play(script, gate=False, repeats=repeats, **options)


@pytest.mark.parametrize("repeats", [False, True])
@pytest.mark.parametrize(("options", "script"), SIFTING.values(), ids=SIFTING)
def test_sifting(options, script, repeats):
    play(script, gate=False, repeats=repeats, **options)


@pytest.mark.parametrize("repeats", [False, True])
@pytest.mark.parametrize(("options", "script"), GATING.values(), ids=GATING)
def test_gating(options, script, repeats):
    play(script, repeats=repeats, **options)


@pytest.mark.parametrize("gate", [False, True])
def test_pieces_of_text_that_repeat_are_not_read_again(monkeypatch, gate):
    read = []
    events = Fake.events
    monkeypatch.setattr(Fake, "events", lambda self, frame: read.append(frame.data) or events(self, frame))
    relay, completion = make(gate=gate, repeats=True)
    piece = b'data: {"t":"%b"}\n\n'
    for text in (b"a", b"b"):
        chunk = piece % text
        assert relay.feed(chunk) is chunk
    two = piece % b"c" + piece % b"d"
    assert relay.feed(two) is two
    assert relay.feed((piece % b"e")[:9]) == b""
    assert relay.feed((piece % b"e")[9:]) == piece % b"e"
    # Where nothing is judged, reading a frame costs less than to recognise it among others.
    others = [] if gate else [b'{"t":"c"}', b'{"t":"d"}', b'{"t":"e"}']
    assert (completion.text, read) == ("abcde", [b'{"t":"a"}', *others])
    relay.feed(b"data: {}\n\n" + piece % b"f")
    assert (completion.text, read) == ("abcdef", [b'{"t":"a"}', *others, b"{}", b'{"t":"f"}'])


def test_an_answer_that_turns_out_not_to_repeat_is_read():
    relay, _ = make(repeats=True)
    relay.adapter.repeats = False
    for _ in range(3):
        relay.feed(b'data: {"t":"a"}\n\n')
    relay.adapter.events = None
    relay.feed(b'data: {"t":"a"}\n\n')
    assert relay.failure is not None


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


@pytest.mark.parametrize(
    ("framer", "call", "ending"),
    [
        ("sse", b'data: {"c":{"name":"f"}}\n\n', b'data: {"t":"no"}\n\ndata: [DONE]\n\n'),
        ("lines", b'{"c":{"name":"f"}}\n', b'{"t":"no"}\n'),
    ],
)
def test_a_terminator_that_is_no_json_ends_events_only(monkeypatch, framer, call, ending):
    payloads = [Payload(b'{"t":"no"}'), Payload(Fake.terminator)]
    monkeypatch.setattr(Fake, "refusal", lambda *_: payloads)
    relay, _ = make(framer)
    assert relay.feed(call) == b""
    assert relay.refuse("no") == ending


@pytest.mark.parametrize("gate", [False, True])
def test_a_chunk_of_whole_events_is_the_same_object(gate):
    relay, completion = make(gate=gate)
    for chunk in (b'data: {"t":"a"}\n\n', b'data: {"t":"b"}\n\n: hi\n\ndata: {"t":"c"}\n\n', b": ping\r\n"):
        assert relay.feed(chunk) is chunk
    assert completion.text == "abc"


@pytest.mark.parametrize("framer", ["whole", "opaque"])
def test_any_chunk_of_a_whole_body_is_the_same_object(framer):
    relay, _ = make(framer, gate=False)
    for chunk in (b"", b'{"t":', b'"a"}', b"trailing"):
        assert relay.feed(chunk) is chunk
