"""What an upstream may try so that a call leaves a gated answer unjudged."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import NotEvaluated
from tests.core.fake import make

# Nothing of these may leave a gated answer, whatever precedes or follows.
CALL = '{"c":{"name":"canary","arguments":"{}"}}'
UNREADABLE = {
    "not JSON": "data: canary⏎⏎",
    "half JSON": 'data: {"t":"canary"⏎⏎',
    "two documents": 'data: {"t":"a"}{"t":"canary"}⏎⏎',
    "duplicate keys": 'data: {"t":"a","t":"canary"}⏎⏎',
    "duplicate keys, spelt differently": 'data: {"t":"a","\\u0074":"canary"}⏎⏎',
    "duplicate keys below": 'data: {"t":"a","u":1,"x":{"canary":1,"canary":1}}⏎⏎',
    "not UTF-8": 'data: {"t":"canary\udcff"}⏎⏎',
    "lone surrogate": 'data: {"t":"canary\\ud800"}⏎⏎',
    "not a number": 'data: {"t":"canary","u":NaN}⏎⏎',
    "too deep": "data: " + "[" * 2000 + "canary⏎⏎",
    "an unknown field": f"data: {CALL}⏎canary: 1⏎⏎",
    "a field in capitals": f"Data: {CALL}⏎⏎",
    "a field with a space": f" data: {CALL}⏎⏎",
    "a field without data": "canary⏎⏎",
    "a byte order mark in the middle": f": a⏎⏎\ufeffdata: {CALL}⏎⏎",
    "a terminator with a space": "data:  [DONE]⏎⏎",
    "a value of another type": 'data: {"t":5,"canary":1}⏎⏎'.replace('"t":5,', '"s":5,'),
}


@pytest.mark.parametrize("doubtful", UNREADABLE.values(), ids=UNREADABLE)
def test_what_can_not_be_read_without_doubt_does_not_leave(doubtful):
    raw = doubtful.replace("⏎", "\n").encode("utf-8", "surrogateescape")
    after = b'data: {"t":"after"}\n\n'
    for before in (b"", b'data: {"t":"before"}\n\n'):
        relay, _ = make(limit=10_000)
        out = relay.feed(before) + relay.feed(raw) + relay.feed(after) + relay.close()
        assert out in (before, before + b": a\n\n")
        assert isinstance(relay.failure, NotEvaluated)
        assert relay.unreadable == 1


HUGE = b'data: {"u":"' + b"x" * 2000 + b'"}\n\n'


@pytest.mark.parametrize("framer", ["sse", "array"])
def test_nothing_that_follows_an_event_over_the_limit_is_relayed(framer):
    frames = [b'data: {"t":"before"}\n\n', HUGE, b'data: {"t":"after"}\n\n', b"data: [DONE]\n\n"]
    if framer == "array":
        frames = [b'[{"t":"before"}', b',{"u":"' + b"x" * 2000 + b'"}', b',{"t":"after"}', b"]"]
    for chunks in ([b"".join(frames)], frames):
        relay, _ = make(framer)
        assert b"".join(map(relay.feed, chunks)) + relay.close() == frames[0]
        assert isinstance(relay.failure, NotEvaluated)


def test_what_follows_the_terminator_is_no_failure():
    done = b"data: [DONE]\n\n"
    relay, _ = make()
    assert relay.feed(done + HUGE) == done
    assert (relay.failure, relay.stopped) == (None, True)


# Objects that look like a call, beside one that is judged: a client may read them in another letter case.
@pytest.mark.parametrize(
    ("event", "explained"),
    [
        (b'{"c":{"name":"good","arguments":"","x":{"name":"","arguments":"{}"}}}', True),
        (b'{"c":{"arguments":"}","x":{"name":"good","arguments":"{}"}}}', False),
        (b'{"c":{"name":"good","arguments":{"name":"evil","arguments":"{}"}}}', True),
        (b'{"c":{"arguments":"}","x":{"name":"evil","arguments":"{}"}}}', False),
        (b'{"c":{"i":1,"x":{"name":"evil","arguments":"{}"}}}', False),
        (b'{"c":{"name":"good","x":[{"NAME":"evil","Input":{}}]}}', False),
        (b'{"c":{"name":"good","arguments":"","Name":"evil"}}', False),
        (b'{"c":{"name":"good","arguments":"","x":{"name":"good","arguments":"{}"}}}', False),
        (b'{"s":{"name":"search","arguments":"","x":{"name":"evil","args":"{}"}}}', False),
    ],
)
def test_a_call_beside_a_call_is_not_judged_as_that_one(event, explained):
    relay, _ = make()
    relay.feed(b'data: {"c":{"name":"good","arguments":"{"}}\n\n')
    assert relay.feed(b"data: " + event + b"\n\ndata: [DONE]\n\n") == b""
    assert (relay.failure is None) is explained


# Pieces that an attacker may put together; the gate must agree with a client that reads everything it can.
pieces = st.lists(
    st.sampled_from(
        [
            b'data: {"t":"a"}\n\n',
            b"data: " + CALL.encode() + b"\n\n",
            b'data: {"t":"x",\ndata: "c":{"name":"canary"}}\r\n\r\n',
            b'data:{"c":{"arguments":"canary"}}\r\r',
            b"event: error\ndata: " + CALL.encode() + b"\n\n",
            b"id: 1\ndata: " + CALL.encode() + b"\n\n",
            b": canary \xe2\x80\xa8data: " + CALL.encode() + b"\n\n",
            b": note\x0bdata: " + CALL.encode() + b'\ndata: {"t":"b"}\n\n',
            CALL.encode() + b"\n\n",
            b'data: {"x":{"name":"canary","input":1}}\n\n',
            b'data: {"x":{"Name":"canary","ARGS":1}}\n\n',
            b'data: {"e":"x","c":{"name":"canary"}}\n\n',
            b"canary\n\n",
            b"data: canary\n\n",
            b"\xef\xbb\xbf",
            b"\n",
            b"\r",
            b": note\n\n",
            b": note\n",
            b": note\r\n",
            b"data: [DONE]\n\n",
        ]
    ),
    max_size=8,
)


def said(passed):
    """What a client reads; a comment passes alone if it came alone, so comments depend on the cuts."""
    lines = re.split(rb"\r\n|\n|\r", passed)
    fields = [line.partition(b":") for line in lines if line and not line.startswith(b":")]
    return [(name, value.strip()) for name, _, value in fields]


@given(pieces, st.lists(st.integers(0, 300), max_size=6), st.booleans())
def test_no_byte_of_a_call_leaves_before_the_verdict(parts, marks, hiding):
    raw = b"".join(parts)
    marks = [0, *sorted(min(mark, len(raw)) for mark in marks), len(raw)]
    outputs = []
    for chunks in ([raw], [raw[a:b] for a, b in pairwise(marks)], [bytes((byte,)) for byte in raw]):
        relay, completion = make(hiding=hiding, limit=10_000, hold_limit=10_000)
        passed = b"".join(map(relay.feed, chunks)) + relay.close()
        assert b"canary" not in passed
        refused = b"" if relay.failure else relay.refuse("no") if relay.held else b""
        assert b"canary" not in refused
        outputs.append((said(passed), refused, relay.failure is None, completion.tool_calls))
    assert outputs[0] == outputs[1] == outputs[2]
