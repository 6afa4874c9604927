"""The framer follows from the content type, however it is spelt."""

import pytest

from gateway.core.frames import LineFramer, WholeFramer
from gateway.core.framing import FRAMERS, framer_for
from gateway.core.json_array import ArrayFramer
from gateway.core.sse import SSEFramer


@pytest.mark.parametrize(
    ("content_type", "streamed", "kind"),
    [
        ("text/event-stream", False, SSEFramer),
        ("Text/Event-Stream ; charset=UTF-8", True, SSEFramer),
        ("application/x-ndjson", True, LineFramer),
        ("application/jsonl", False, LineFramer),
        ("application/json; charset=utf-8", False, WholeFramer),
        ("application/json", True, ArrayFramer),
        ("text/html", False, WholeFramer),
        ("text/html", True, ArrayFramer),
        ("", False, WholeFramer),
    ],
)
def test_framer_for(content_type, streamed, kind):
    framer = framer_for(content_type, 99, streamed=streamed)
    assert type(framer) is kind
    assert framer.limit == 99


def test_the_line_end_is_the_wire_s_own():
    assert (
        framer_for("text/event-stream", 9, streamed=True, newline=b"\r\n").wrap(b"{}") == b"data: {}\r\n\r\n"
    )


def test_every_type_has_a_framer_that_reads_what_it_writes():
    for content_type in FRAMERS:
        framer = framer_for(content_type, 99, streamed=False)
        frames = framer.feed(framer.wrap(b'{"a":1}', first=True) + framer.end()) + framer.close()
        assert [frame.data for frame in frames] == [b'{"a":1}']
