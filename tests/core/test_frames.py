"""Lines, whole bodies and bodies that nobody reads, at any cut."""

import pytest

from gateway.core.frames import Framer, LineFramer, OpaqueFramer, Shape, WholeFramer
from gateway.testing import cuts

R, C = Shape.REGULAR, Shape.COMMENT
LIMIT = 1 << 20


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", []),
        (b'{"a": 1}\n{"b": 2}\n', [(R, b'{"a": 1}'), (R, b'{"b": 2}')]),
        (b'{"a": 1}\r\n\r\n{"b": 2}', [(R, b'{"a": 1}'), (C, b""), (R, b'{"b": 2}')]),
        (b"\n\n", [(C, b""), (C, b"")]),
        (b'{"a": 1}\r{"b": 2}\n', [(R, b'{"a": 1}\r{"b": 2}')]),
        ('{"a": "\u2028\x85"}\n'.encode(), [(R, '{"a": "\u2028\x85"}'.encode())]),
    ],
)
def test_lines(raw, expected):
    for cut in cuts(raw, repr(raw)):
        framer = LineFramer(LIMIT)
        frames = [frame for chunk in cut for frame in framer.feed(chunk)] + framer.close()
        assert b"".join(frame.raw for frame in frames) == raw
        assert [(frame.shape, frame.data) for frame in frames] == expected
        assert not framer.complete


def test_lines_are_bounded():
    framer = LineFramer(10)
    framer.feed(b"12345\n" * 5 + b"1234567890")
    assert (framer.pending, framer.overflow) == (10, False)
    framer.feed(b"1")
    assert framer.overflow
    assert framer.drain() == b"12345678901"


def test_write_lines():
    framer = LineFramer(LIMIT)
    assert not framer.whole
    assert framer.wrap(b"{}", "ignored", first=True) == b"{}\n"
    assert framer.end() == b""
    assert framer.keep_alive(b": ping\n\n") == b""


def test_whole():
    raw = b' {"a":\n\n1} trailing'
    for cut in cuts(raw, "whole"):
        framer = WholeFramer(LIMIT)
        assert framer.whole
        assert [framer.feed(chunk) for chunk in cut] == [[]] * len(cut)
        assert framer.pending == len(raw)
        assert not framer.complete
        (frame,) = framer.close()
        assert (frame.raw, frame.data, frame.shape) == (raw, raw, R)
        assert framer.complete
        assert framer.pending == 0


def test_whole_without_a_body():
    framer = WholeFramer(LIMIT)
    framer.feed(b"")
    assert framer.close() == []
    assert framer.complete


def test_whole_is_bounded():
    framer = WholeFramer(10)
    framer.feed(b"12345678")
    assert not framer.overflow
    framer.feed(b"901")
    assert framer.overflow


def test_write_whole():
    framer = WholeFramer(LIMIT)
    assert framer.wrap(b"{}", "ignored", first=True) == b"{}"
    assert framer.end() == b""
    assert framer.keep_alive(b": ping\n\n") == b""


def test_opaque():
    framer = OpaqueFramer(10)
    assert framer.whole
    assert framer.feed(b"x" * 100) == []
    assert (framer.pending, framer.overflow, framer.complete) == (0, False, False)
    assert framer.close() == []
    assert framer.complete
    assert framer.keep_alive(b": ping\n\n") == b""
    assert (framer.drain(), framer.wrap(b"{}"), framer.end(first=True)) == (b"", b"{}", b"")


def test_a_framer_must_say_how_it_reads_and_writes():
    with pytest.raises(TypeError, match="close, drain, end, feed, wrap"):
        Framer(10)
