"""Server-sent events at any cut: the standard's rules, and how sure one can be that a client reads the same."""

import re
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.frames import Shape
from gateway.core.sse import SSEFramer
from gateway.testing import cuts

R, I, C, E, B = Shape.REGULAR, Shape.IRREGULAR, Shape.COMMENT, Shape.EMPTY, Shape.BROKEN  # noqa: E741  # a table reads better so
BOM = b"\xef\xbb\xbf"
LIMIT = 1 << 20
_COMMENT = re.compile(rb"(?:^|[\r\n]):[^\r\n]*\r?\n\Z")


def read(chunks, limit=LIMIT):
    framer = SSEFramer(limit)
    frames = [frame for chunk in chunks for frame in framer.feed(chunk)]
    assert framer.pending == len(b"".join(chunks)) - sum(len(frame.raw) for frame in frames)
    return frames + framer.close()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", []),
        (b"data: a\n\n", [(R, b"a", "")]),
        (b"data: a\n\ndata: b\n\n", [(R, b"a", ""), (R, b"b", "")]),
        (b"data:a\n\n", [(R, b"a", "")]),
        (b"data:  a\n\n", [(R, b" a", "")]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [(R, b"a", ""), (R, b"b", "")]),
        (b"data: a\r\rdata: b\r\r", [(I, b"a", ""), (I, b"b", "")]),
        (b"data: a\r\n\ndata: b\n\r\ndata: c\n\n", [(R, b"a", ""), (R, b"b", ""), (R, b"c", "")]),
        (b"data: a\n\rdata: b\n\n", [(I, b"a", ""), (R, b"b", "")]),
        (b"event: go\ndata: a\n\n", [(R, b"a", "go")]),
        (b"event: go\r\ndata: a\r\n\r\n", [(R, b"a", "go")]),
        (b"data: a\nevent: go\n\n", [(R, b"a", "go")]),
        (b"event: go\ndata: a\ndata: b\n\n", [(I, b"a\nb", "go")]),
        (b"event: one\nevent: two\ndata: a\n\n", [(I, b"a", "two")]),
        (b"event: \xff\ndata: a\n\n", [(R, b"a", "\ufffd")]),
        (b"event: \xff\r\ndata: a\r\n\r\n", [(R, b"a", "\ufffd")]),
        (b"event: go\n\n", [(E, b"", "go")]),
        (b"data\n\n", [(E, b"", "")]),
        (b"data:\n\n", [(E, b"", "")]),
        (b"data: \n\n", [(E, b"", "")]),
        (b"event: go\ndata: \n\n", [(E, b"", "go")]),
        (b"id: 1\ndata: a\n\n", [(I, b"a", "")]),
        (b"retry: 10\n\n", [(E, b"", "")]),
        (b": comment\n\n", [(C, b"", "")]),
        (b": comment\ndata: a\n\n", [(R, b"a", "")]),
        (b":\n\n\n\n", [(C, b"", ""), (C, b"", "")]),
        (b"\n\ndata: a\n\n", [(C, b"", ""), (R, b"a", "")]),
        (b"\ndata: a\n\n", [(R, b"a", "")]),
        (b": odd \xe2\x80\xa8data: x\n\n", [(E, b"", "")]),
        (b": odd \x0bdata: x\ndata: a\n\n", [(I, b"a", "")]),
        (b": data: {}\ndata: a\n\n", [(I, b"a", "")]),
        (BOM + b"data: a\n\ndata: b\n\n", [(I, b"a", ""), (R, b"b", "")]),
        (b"data: a\n\n" + BOM + b"data: b\n\n", [(R, b"a", ""), (B, b"", "")]),
        (b": c\n\n" + BOM + b"data: b\n\n", [(C, b"", ""), (B, b"", "")]),
        (b"foo: bar\ndata: a\nid: 1\n\n", [(B, b"a", "")]),
        (b"data: a\nfoo\n\n", [(B, b"a", "")]),
        (b"foo\n\n", [(B, b"", "")]),
        (b"Data: a\n\n", [(B, b"", "")]),
        (b" data: a\n\n", [(B, b"", "")]),
        (b"data : a\n\n", [(B, b"", "")]),
        (b'{"a": 1}\n\n', [(I, b'{"a": 1}', "")]),
        (b'[{"a":\n1}]\n\n', [(I, b'[{"a":\n1}]', "")]),
        (b'data: a\n{"a": 1}\n\n', [(B, b"a", "")]),
        (b'event: x\n{"a": 1}\n\n', [(B, b"", "x")]),
        ('data: {"a": "\u2028\u2029\x85"}\n\n'.encode(), [(R, '{"a": "\u2028\u2029\x85"}'.encode(), "")]),
        (b"data: a\x0b\x0c\x1cb\n\n", [(R, b"a\x0b\x0c\x1cb", "")]),
        (b"data: a", [(I, b"a", "")]),
        (b"data: a\n", [(I, b"a", "")]),
        (b"data: a\n\ndata: b\r\n", [(R, b"a", ""), (I, b"b", "")]),
        (b"data: a\n\n: com", [(R, b"a", ""), (C, b"", "")]),
        (b"data: a\n\n\n", [(R, b"a", ""), (C, b"", "")]),
    ],
)
def test_read(raw, expected):
    for cut in cuts(raw, repr(raw)):
        frames = read(cut)
        assert b"".join(frame.raw for frame in frames) == raw
        assert [(frame.shape, frame.data, frame.event) for frame in frames] == expected


@given(
    st.lists(
        st.sampled_from(
            [
                b"data: ",
                b"data",
                b"event: ",
                b": ",
                b"{}",
                b"x",
                b"\n",
                b"\r",
                b"\r\n",
                b"\n\n",
                b"\r\n\r\n",
                BOM,
            ]
        ),
        max_size=24,
    ),
    st.lists(st.integers(0, 120), max_size=8),
)
def test_cuts_do_not_matter(pieces, marks):
    raw = b"".join(pieces)
    marks = [0, *sorted(min(mark, len(raw)) for mark in marks), len(raw)]
    parts = [raw[a:b] for a, b in pairwise(marks)]
    uncut = read([raw])
    for chunks in (parts, [bytes((byte,)) for byte in raw]):
        frames = read(chunks)
        assert b"".join(frame.raw for frame in frames) == raw
        assert [(frame.data, frame.event) for frame in frames if frame.data] == [
            (frame.data, frame.event) for frame in uncut if frame.data
        ]
        # A comment that came alone passes alone: what follows it is then another frame.
        if not any(_COMMENT.search(raw[:end]) for end in accumulate(map(len, chunks))):
            assert frames == uncut


@pytest.mark.parametrize(
    ("chunk", "passes"),
    [
        (b": ping\n", True),
        (b": ping\r\n", True),
        (b":\n: two lines\n", True),
        (b"data: a\n\n: ping\n", True),
        (b": ping", False),
        (b": ping\r", False),
        (b": ping\n:", False),
        (b": ping\ndata: a\n", False),
        (b": ping\rdata: a\n", False),
        (b"data: a\n: ping\n", False),
        (b"\n: ping\n", False),
    ],
)
def test_a_whole_comment_line_does_not_wait_for_its_blank_line(chunk, passes):
    framer = SSEFramer(LIMIT)
    frames = framer.feed(chunk)
    assert (framer.pending == 0) is passes
    if passes:
        assert frames[-1].shape is C
        assert b"".join(frame.raw for frame in frames) == chunk
    framer.feed(b"\n" if chunk.endswith(b"\n") else b"\n\n")
    assert [frame.data for frame in framer.feed(b"data: b\n\n")] == [b"b"]


def test_json_without_a_field_may_follow_a_comment():
    (frame,) = read([b': c\n{"a":\r\n1}\r\n\r\n'])
    assert (frame.shape, frame.data) == (I, b'{"a":\n1}')


def test_a_comment_that_clients_cut_elsewhere_is_none():
    (frame,) = SSEFramer(LIMIT).feed(": \u2028data: x\n".encode())
    assert frame.shape is E
    (frame,) = SSEFramer(LIMIT).feed(b': data: {"a":1}\n\n')
    assert frame.shape is E


def test_an_unfinished_event_is_bounded():
    framer = SSEFramer(100)
    assert framer.feed(b"data: " + b"x" * 90) == []
    assert (framer.pending, framer.overflow) == (96, False)
    assert framer.feed(b"x" * 10) == []
    assert framer.overflow
    assert framer.drain() == b"data: " + b"x" * 100
    assert framer.pending == 0
    assert framer.drain() == b""


def test_a_finished_event_is_bounded():
    framer = SSEFramer(100)
    assert len(framer.feed(b"data: a\n\n" * 50)) == 50
    assert not framer.overflow
    assert len(framer.feed(b"data: " + b"x" * 92 + b"\n\n")) == 1
    assert not framer.overflow
    assert len(framer.feed(b"data: " + b"x" * 93 + b"\n\n")) == 1
    assert framer.overflow


def test_many_small_chunks_cost_no_copies():
    framer = SSEFramer(LIMIT)
    chunk = b"x" * 100
    for _ in range(10_000):
        assert framer.feed(chunk) == []
    assert framer.pending == 1_000_000
    assert len(framer.feed(b"\n\n")) == 1


def test_write():
    framer = SSEFramer(LIMIT)
    assert not framer.whole
    assert framer.wrap(b'{"a":1}', first=True) == b'data: {"a":1}\n\n'
    assert framer.wrap(b'{"a":\r\n1\r,\n}', "go") == b'event: go\ndata: {"a": 1 , }\n\n'
    assert framer.end(first=True) == b""
    assert framer.keep_alive(b": ping\n\n") == b": ping\n\n"
    crlf = SSEFramer(LIMIT, b"\r\n")
    assert crlf.wrap(b"{}", "go") == b"event: go\r\ndata: {}\r\n\r\n"
