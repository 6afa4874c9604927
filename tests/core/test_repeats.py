"""One more piece of text is recognised only where reading it again could tell nothing else."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.frames import Frame, LineFramer, Shape
from gateway.core.json_array import ArrayFramer
from gateway.core.relay import Relay
from gateway.core.repeats import Repeats
from gateway.core.sse import SSEFramer
from gateway.core.view import Completion
from gateway.providers.openai.chat import ChatResponse
from gateway.providers.openai.chat_request import ChatRequest
from tests.core.fake import Fake, flags

SEEN = b'data: {"id":"r1","t":"Hello"}\n\n'


def learnt(raw=SEEN, text="Hello", shape=Shape.REGULAR, limit=1000):
    repeats = Repeats(limit)
    repeats.learn(Frame(raw, raw[6:-2], "", shape), text)
    return repeats


@pytest.mark.parametrize("text", ["Hello", "a", "{", "data: x", "☂ ü", "H" * 900, ",", ":", " ", "}]"])
def test_another_text_in_the_same_frame(text):
    assert learnt().text(b'data: {"id":"r1","t":"%b"}\n\n' % text.encode()) == text


@pytest.mark.parametrize(
    "chunk",
    [
        b"",
        b'data: {"id":"r1","t":""}\n\n',
        b'data: {"id":"r2","t":"a"}\n\n',
        b'data: {"id":"r1","t":"a"}\n',
        b'data: {"id":"r1","t":"a"}\n\n\n',
        b'data: {"id":"r1","t":"a"}\n\ndata: {"id":"r1","t":"b"}\n\n',
        b'data: {"id":"r1","t":"a","c":"b"}\n\n',
        b'data: {"id":"r1","t":"\\u0061"}\n\n',
        b'data: {"id":"r1","t":"a\\"}\n\n',
        b'data: {"id":"r1","t":"a\nb"}\n\n',
        b'data: {"id":"r1","t":"a\rb"}\n\n',
        b'data: {"id":"r1","t":"a\x00"}\n\n',
        b'data: {"id":"r1","t":"a\x7f"}\n\n',
        b'data: {"id":"r1","t":"a\xff"}\n\n',
        b'data: {"id":"r1","t":"a\xe2\x98"}\n\n',
        b'data: {"id":"r1","t":"a\xed\xa0\x80"}\n\n',
        'data: {"id":"r1","t":"a\u2028"}\n\n'.encode(),
        'data: {"id":"r1","t":"a\x85"}\n\n'.encode(),
        b'data: {"id":"r1","t":"%b"}\n\n' % (b"a" * 1000),
        # Where both ends share their quote there is no text at all.
        b'data: {"id":"r1","t":"}\n\n',
    ],
)
def test_anything_else_is_read(chunk):
    assert learnt().text(chunk) == ""


@pytest.mark.parametrize(
    ("raw", "text", "shape"),
    [
        (b'data: {"x":"t","t":"t"}\n\n', "t", Shape.REGULAR),
        (b'data: {"a":"a"}\n\n', "a", Shape.REGULAR),
        (b'data: {"x":"a","t":"a"}\n\n', "a", Shape.REGULAR),
        (b': "a"\ndata: {"t":"a"}\n\n', "a", Shape.REGULAR),
        (b'data: {"t":"\\u0061"}\n\n', "a", Shape.REGULAR),
        (b'data: {"x":"\\"","t":"a"}\n\n', "a", Shape.REGULAR),
        (b'data: {"t":"a"}\r\r', "a", Shape.IRREGULAR),
        (b'data: {"t":["a","b"]}\n\n', "ab", Shape.REGULAR),
        # Between two strings, and as a string, overlapping.
        (b'data: {"t":":"}\n\n', ":", Shape.REGULAR),
        (b'data: {"t":["a",","]}\n\n', ",", Shape.REGULAR),
    ],
)
def test_a_text_that_may_stand_elsewhere_is_not_learnt(raw, text, shape):
    repeats = learnt()
    repeats.learn(Frame(raw, raw[6:-2], "", shape), text)
    assert repeats.text(raw) == ""
    assert repeats.text(SEEN) == ""
    for new in (b"b", b"other", b'"', b"{}"):
        assert repeats.text(raw.replace(text.encode(), new)) == ""


def test_an_empty_text_may_be_any_value_that_is_empty():
    assert learnt(b'data: {"name":""}\n\n', "").text(b'data: {"name":"f"}\n\n') == ""


def test_forgotten():
    repeats = learnt()
    repeats.forget()
    assert repeats.text(SEEN) == ""


def test_patience_ends_where_nothing_repeats():
    repeats = Repeats(1000)
    for number in range(20):
        raw = b'data: {"id":%d,"t":"a"}\n\n' % number
        repeats.learn(Frame(raw, raw[6:-2]), "a")
        assert bool(repeats.text(b'data: {"id":%d,"t":"b"}\n\n' % number))
    for number in range(20):
        raw = b'data: {"id":%d,"t":"a"}\n\n' % number
        repeats.learn(Frame(raw, raw[6:-2]), "a")
    repeats.forget()
    repeats.learn(Frame(SEEN, SEEN[6:-2]), "Hello")
    assert repeats.text(SEEN) == ""


# From here on: with and without, a relay does the same.


class Repeating(Fake):
    repeats = True
    call_keys = frozenset({"c"})


class Plain(Repeating):
    repeats = False


class RepeatingArray(Repeating):
    arrays = True


class PlainChat(ChatResponse):
    repeats = False


BODY = b'{"model":"m","messages":[],"stream":true}'


def outcome(adapter_class, framer, chunks, *, gate, hiding, ending, hold_limit=400):
    """All that a client and a record may see of an answer."""
    request = ChatRequest(BODY) if issubclass(adapter_class, ChatResponse) else None
    adapter = adapter_class(request, streamed=True)
    adapter.hiding = hiding
    completion = Completion()
    relay = Relay(framer, adapter, completion, gate=gate, hold_limit=hold_limit)
    seen = []
    for chunk in chunks:
        seen.append((relay.feed(chunk), flags(relay), relay.over, completion.text))
    seen.append((relay.close(), flags(relay), relay.over, completion.text))
    if ending == "release":
        seen.append(relay.release())
    if ending == "refuse" and relay.held:
        seen.append(relay.refuse("no"))
    return (
        seen,
        relay.unknown,
        relay.unreadable,
        str(relay.failure),
        completion.reasoning,
        completion.tool_calls,
        completion.usage,
        completion.finish_reason,
        completion.error,
    )


plain_texts = b"a|b|t|c|id|r1|,|:|, |{|}|| |Hello|[DONE]|data: a".split(b"|")
odd_texts = [b"\\n", b"\\u0061", b'\\"', b"\\", b"\x00", b"\x7f", b"\xff", b"\xe2\x98", b"\xed\xa0\x80"]
line_ends = [b"\n", b"\r", b"\n\n", b"\r\n\r\n", "\u2028".encode(), "\x85".encode(), "\u200d".encode()]
closing_texts = [
    b'a","c":{"name":"f","arguments":""},"x":"a',
    b'a"}\n\ndata: {"c":{"name":"f","arguments":"',
    b'a","t":"b',
]
texts = st.sampled_from(
    [*plain_texts, "☂".encode(), b"x" * 60, b"x" * 200, *odd_texts, *line_ends, *closing_texts]
)
ends = st.sampled_from([*[b"\n\n"] * 6, b"\r\n\r\n", b"\r\r", b"\n\r\n", b"\n", b"\r\n", b"", b"\n\n\n"])
odd_starts = [
    b"event: error\ndata: ",
    b"event: x\ndata: ",
    b": hi\ndata: ",
    b"id: 1\ndata: ",
    b': "a"\ndata: ',
]
starts = st.sampled_from(
    [*[b"data: "] * 6, b"data:", b"", b"\n", b"Data: ", b"\xef\xbb\xbfdata: ", *odd_starts]
)
fake_shapes = [
    b'{"t":"%b"}',
    b'{"id":"r1","t":"%b"}',
    b'{"t":"%b","event":"x"}',
    b'{"t": "%b" }',
    b'{"t":"%b","c":{"name":"f","arguments":"{}"}}',
    b'{"c":{"name":"%b","arguments":"{}"}}',
    b'{"C":{"name":"%b"}}',
    b'{"s":{"name":"%b","arguments":"{}"}}',
    b'{"f":"stop"}',
    b'{"u":7}',
    b'{"e":"%b"}',
    b'{"novel":"%b"}',
    b'[{"t":"%b"}]',
    b'{"t":"%b","t":"a"}',
    b"[DONE]",
    b"{",
]
chat_shapes = [
    b'{"id":"i","model":"m","choices":[{"index":0,"delta":{"content":"%b"}}]}',
    b'{"choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":null}]}',
    b'{"choices":[{"delta":{"content":"%b"}}]}',
    b'{"choices":[{"delta":{"content":"%b","role":"%b"}}]}',
    b'{"choices":[{"delta":{"content":[{"type":"text","text":"%b"}]}}]}',
    b'{"choices":[{"delta":{"content":["%b"]}}]}',
    b'{"choices":[{"delta":{"refusal":"%b"}}]}',
    b'{"choices":[{"delta":{"reasoning":"%b"}}]}',
    b'{"id":"i","choices":[{"message":{"content":"%b"}}]}',
    b'{"choices":[{"message":{"content":"%b"}}]}',
    b'{"choices":[{"delta":{"content":"x"},"message":{"content":"%b"}}]}',
    b'{"choices":[{"delta":{"content":""},"%b":{"tool_calls":[{"index":0,"function":{"name":"f"}}]}}]}',
    b'{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"1","function":{"name":"f","arguments":"%b"}}]}}]}',
    b'{"choices":[{"delta":{"Tool_Calls":[{"index":0,"function":{"name":"%b"}}]}}]}',
    b'{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}',
    b'{"choices":[{"delta":{},"finish_reason":"%b"}]}',
    b'{"error":{"message":"%b"}}',
    b'{"novel":"%b"}',
    b"[DONE]",
    b"{",
]


@st.composite
def streams(draw, shapes):
    """Streams of few shapes, so that frames repeat, and cuts that are mostly between them."""
    few = draw(st.lists(st.tuples(starts, st.sampled_from(shapes), ends), min_size=1, max_size=4))
    frames = []
    for _ in range(draw(st.integers(1, 14))):
        start, shape, end = draw(st.sampled_from(few))
        frames.append(start + shape.replace(b"%b", draw(texts)) + end)
    raw = b"".join(frames)
    marks, at = {0, len(raw)}, 0
    for frame in frames:
        at += len(frame)
        if draw(st.integers(0, 9)):
            marks.add(at)
    marks |= {min(mark, len(raw)) for mark in draw(st.lists(st.integers(0, 600), max_size=3))}
    ordered = sorted(marks)
    return [raw[a:b] for a, b in pairwise(ordered)]


endings = st.sampled_from(["", "release", "refuse"])


@settings(max_examples=400)
@given(
    streams(fake_shapes), st.booleans(), st.booleans(), endings, st.sampled_from([80, 10_000]), st.booleans()
)
def test_nothing_changes(chunks, gate, hiding, ending, limit, lines):
    kind = LineFramer if lines else SSEFramer
    options = {"gate": gate, "hiding": hiding, "ending": ending}
    assert outcome(Repeating, kind(limit), chunks, **options) == outcome(
        Plain, kind(limit), chunks, **options
    )


@settings(max_examples=400)
@given(streams(chat_shapes), st.booleans(), st.booleans(), endings)
def test_nothing_changes_for_chat(chunks, gate, hiding, ending):
    options = {"gate": gate, "hiding": hiding, "ending": ending}
    with_repeats = outcome(ChatResponse, SSEFramer(10_000), chunks, **options)
    assert with_repeats == outcome(PlainChat, SSEFramer(10_000), chunks, **options)


@pytest.mark.parametrize(
    ("between", "passes"),
    [
        (b": ping\n\n", True),
        (b"data: \n\n", True),
        (b'data: {"f":"stop"}\n\n', True),
        (b"foo\n\n", False),
        (b"data: {\n\n", False),
        (b"data: [DONE]\n\n", False),
        (b'data: {"c":{"name":"f","arguments":""}}\n\n', False),
        (b'data: {"novel":1}\n\n', False),
        (b'data: {"e":"x"}\n\n', False),
        (b"data: %b\n\n" % (b"x" * 200), False),
    ],
)
def test_what_is_known_does_not_pass_a_gate_that_has_closed(between, passes):
    relay = Relay(SSEFramer(100), Repeating(None, streamed=True), Completion(), gate=True)
    piece = b'data: {"t":"a"}\n\n'
    assert relay.feed(piece) is piece
    assert relay.feed(piece) is piece
    relay.feed(between)
    assert relay.feed(piece) == (piece if passes else b"")


def test_a_frame_that_has_begun_is_read_with_what_follows():
    relay = Relay(SSEFramer(1000), Repeating(None, streamed=True), Completion(), gate=True)
    piece = b'data: {"t":"a"}\n\n'
    assert relay.feed(piece) is piece
    assert relay.feed(b'data: {"c":{"name":"f",\n') == b""
    assert relay.feed(piece) == b""
    assert relay.failure is not None


def test_elements_of_an_array_are_read():
    first, second = b'[{"t":"a"}', b'[{"t":"b"}'
    relay = Relay(ArrayFramer(1000), RepeatingArray(None, streamed=True), Completion(), gate=True)
    assert relay.feed(first) is first
    assert relay.feed(second) == b""


def test_a_stream_whose_frames_say_all_of_the_text_is_read():
    frame = b'data: {"id":"i","choices":[{"message":{"content":"%b"}%b}]}\n\n'
    chunks = [
        frame % (b"a", b""),
        # A piece of text that is also a key, which another key could replace.
        frame % (b"a x", b',"x":{"tool_calls":[{"index":0,"function":{"name":"f"}}]}'),
        frame % (b"a x", b',"delta":{"tool_calls":[{"index":0,"function":{"name":"f"}}]}'),
    ]
    for adapter_class in (ChatResponse, PlainChat):
        completion = Completion()
        adapter = adapter_class(ChatRequest(BODY), streamed=True)
        relay = Relay(SSEFramer(1000), adapter, completion, gate=True)
        assert [bool(relay.feed(chunk)) for chunk in chunks] == [True, True, False]
        assert relay.held


PADDED = b'data: {"id":"r1","t":"Hello","obfuscation":"aZ3"}\n\n'


def padded(raw=PADDED, text="Hello"):
    repeats = Repeats(1000, frozenset({b"obfuscation", b"p"}))
    repeats.learn(Frame(raw, raw[6:-2]), text)
    return repeats


@pytest.mark.parametrize(
    ("chunk", "text"),
    [
        (b'data: {"id":"r1","t":"a","obfuscation":"Qw9Xk2LmP0"}\n\n', "a"),
        (b'data: {"id":"r1","t":"a","obfuscation":""}\n\n', "a"),
        (b'data: {"id":"r1","t":"a","obfuscation":"a b"}\n\n', ""),
        (b'data: {"id":"r1","t":"a","obfuscation":"a\nb"}\n\n', ""),
        (b'data: {"id":"r1","t":"a","obfuscation":1}\n\n', ""),
        (b'data: {"id":"r2","t":"a","obfuscation":"b"}\n\n', ""),
        (b'data: {"id":"r1","t":"a","obfuscation":"b","tool":"c"}\n\n', ""),
        (b'data: {"id":"r1","t":"a","tool_calls":"b"}\n\n', ""),
    ],
)
def test_padding_may_be_any_letters_and_digits(chunk, text):
    assert padded().text(chunk) == text


def test_padding_before_the_text():
    repeats = padded(b'data: {"p" : "abc", "t":"Hello"}\n\n')
    assert repeats.text(b'data: {"p" : "xy", "t":"b"}\n\n') == "b"
    assert repeats.text(b'data: {"q" : "xy", "t":"b"}\n\n') == ""


@pytest.mark.parametrize(
    "raw",
    [
        b'data: {"Hello":1,"x":"\\u0048ello"}\n\n',  # a key looks like the text, which is escaped
        b'data: {"Hello" :1,"t":2}\n\n',  # a key, and no such string
        b'data: {"t":"Hello","type":"Hello"}\n\n',
        b'data: {"t":"Hell","o":1}\n\n',
    ],
)
def test_a_text_that_may_be_something_else_is_not_learnt(raw):
    assert padded(raw).text(raw) == ""


def test_a_value_that_is_called_like_padding_is_no_padding():
    repeats = padded(b'data: {"kind":"p","t":"Hello"}\n\n')
    assert repeats.text(b'data: {"kind":"p","t":"b"}\n\n') == "b"
    assert repeats.text(b'data: {"kind":"q","t":"b"}\n\n') == ""
