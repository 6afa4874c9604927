"""Documents that were cut off, at every byte: what is made of them can be read, and says nothing that was not there."""

import msgspec
import pytest

from gateway.core.adapter import RequestAdapter, ResponseAdapter
from gateway.core.torn import mended, read_torn
from gateway.core.view import END, Completion, Finish, FinishReason, TextDelta, Usage

DOCUMENT = (
    b'{"id":"1", "list" : [ 1, -2.5e3, true, {"a": null}, [], {}, "x,]}"],'
    b' "text": "caf\\u00e9 \\ud83d\\ude00 \\"q\\" \\\\ caf\xc3\xa9 \xf0\x9f\x98\x80", "n": 12345, "last": {"deep": ["end"]}}'
)
WHOLE = msgspec.json.decode(DOCUMENT)


def part_of(value, whole):
    """Whether nothing in a value is anything but the beginning of what is in another."""
    if isinstance(value, dict):
        return isinstance(whole, dict) and all(
            key in whole and part_of(each, whole[key]) for key, each in value.items()
        )
    if isinstance(value, list):
        return isinstance(whole, list) and all(map(part_of, value, whole[: len(value)]))
    if isinstance(value, str):
        return isinstance(whole, str) and whole.startswith(value)
    return value == whole


@pytest.mark.parametrize("cut", range(1, len(DOCUMENT) + 1))
def test_every_cut(cut):
    found = msgspec.json.decode(mended(DOCUMENT[:cut]))
    assert part_of(found, WHOLE)
    if cut == len(DOCUMENT):
        assert found == WHOLE
    if cut > DOCUMENT.index(b"caf") + 3:
        assert found["text"].startswith("caf")
    assert found.get("n") in (None, 12345)


@pytest.mark.parametrize(
    "junk", [b"", b"junk", b"{]", b'"', b"<html>", b"\xff\xfe{", b"[,,", b'{"a" "b', b"}{"]
)
def test_junk_is_nothing(junk):
    completion = Completion()
    read_torn(junk, Chat(RequestAdapter(b""), streamed=False), completion)
    assert not completion.begun


class Chat(ResponseAdapter):
    def events(self, frame):
        found = msgspec.json.decode(frame.data)
        return TextDelta(found["text"]), Usage(1), Finish(FinishReason.STOP), END


def test_what_is_said_counts_and_not_how_it_ended():
    completion = Completion()
    read_torn(b'{"text": "hel', Chat(RequestAdapter(b""), streamed=False), completion)
    assert (completion.text, completion.usage, completion.finish_reason) == ("hel", Usage(1), None)


def test_what_is_very_long_is_not_read():
    completion = Completion()
    read_torn(b'{"text": "' + b"x" * (1 << 20), Chat(RequestAdapter(b""), streamed=False), completion)
    assert not completion.begun
