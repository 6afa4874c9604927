"""A growing JSON array, element by element, at any cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.frames import Shape
from gateway.core.json_array import ArrayFramer
from gateway.testing import cuts

R, C, B = Shape.REGULAR, Shape.COMMENT, Shape.BROKEN
LIMIT = 1 << 20


def read(chunks):
    framer = ArrayFramer(LIMIT)
    frames = [frame for chunk in chunks for frame in framer.feed(chunk)]
    return frames + framer.close(), framer


@pytest.mark.parametrize(
    ("raw", "expected", "complete"),
    [
        (b"", [], False),
        (b" \n", [(C, b"")], False),
        (b"[]", [(C, b"")], True),
        (b'[{"a": 1}]', [(R, b'{"a": 1}'), (C, b"")], True),
        (b' \n[ {"a": 1}\r\n,\r\n{"b": {"c": [{}, []]}}\n]\n', [(R, b'{"a": 1}'), (R, b'{"b": {"c": [{}, []]}}'), (C, b""), (C, b"")], True),
        (b'[{"a": "}]\\"\\\\"},{"b\\\\": "{"}]', [(R, b'{"a": "}]\\"\\\\"}'), (R, b'{"b\\\\": "{"}'), (C, b"")], True),
        ('[{"a": "\u2028☂"}]'.encode(), [(R, '{"a": "\u2028☂"}'.encode()), (C, b"")], True),
        (b'[{"a": 1},{"b"', [(R, b'{"a": 1}'), (B, b"")], False),
        (b'[{"a": 1}]{"b": 2}', [(R, b'{"a": 1}'), (C, b""), (B, b"")], True),
        # Elements that are no objects: nobody reads them, so nobody may be sure of them.
        (b"[1, 2]", [(B, b"")], True),
        (b'[[{"a": 1}]]', [(B, b"")], True),
        (b'[[1], {"a": 1}]', [(R, b'1], {"a": 1}'), (C, b"")], True),
        (b"[}", [(R, b"}")], True),
        (b'[\\{"a": 1}]', [(R, b'\\{"a": 1}'), (C, b"")], True),
        # Any other body is a whole one.
        (b' {"a": [1]}\n', [(R, b' {"a": [1]}\n')], True),
        (b'\xef\xbb\xbf[{"a": 1}]', [(R, b'\xef\xbb\xbf[{"a": 1}]')], True),
    ],
)  # fmt: skip
def test_read(raw, expected, complete):
    for cut in cuts(raw, repr(raw)):
        frames, framer = read(cut)
        assert b"".join(frame.raw for frame in frames) == raw
        assert [(frame.shape, frame.data) for frame in frames] == expected
        assert framer.complete is complete
        assert framer.whole is (len(expected) == 1 and raw.lstrip()[:1] not in (b"", b"["))


def test_an_empty_chunk_changes_nothing():
    frames, _ = read([b'[{"a": "\\', b"", b'"}"}]'])
    assert [frame.data for frame in frames] == [b'{"a": "\\"}"}', b""]


json_values = st.recursive(
    st.none() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text(max_size=4), json_values, max_size=3), min_size=1), st.randoms())
def test_elements_come_out_as_they_went_in(elements, random):
    import msgspec

    raw = msgspec.json.encode(elements)
    marks = [0, *sorted(random.choices(range(len(raw) + 1), k=5)), len(raw)]
    frames, framer = read([raw[a:b] for a, b in pairwise(marks)])
    assert [msgspec.json.decode(frame.data) for frame in frames if frame.data] == elements
    assert framer.complete


def test_bounded():
    framer = ArrayFramer(50)
    assert len(framer.feed(b'[{"a": 1}' + b',{"a": 1}' * 20)) == 21
    assert not framer.overflow
    framer.feed(b',{"a": "' + b"x" * 50)
    assert framer.overflow
    assert framer.drain() == b',{"a": "' + b"x" * 50


def test_write():
    framer = ArrayFramer(LIMIT)
    framer.feed(b"[")
    assert framer.wrap(b"{}", first=True) == b"[{}"
    assert framer.wrap(b"{}") == b",\r\n{}"
    assert framer.end() == b"\n]"
    assert framer.end(first=True) == b"[]"
    assert framer.keep_alive(b": ping\n\n") == b"\n"


def test_write_a_whole_body():
    framer = ArrayFramer(LIMIT)
    framer.feed(b"{")
    assert framer.wrap(b"{}", first=True) == b"{}"
    assert framer.end() == b""
    assert framer.keep_alive(b": ping\n\n") == b""
