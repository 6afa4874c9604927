"""A key that was lent is in no answer, and nothing else of the answer is other than it came."""

import aiohttp
import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from gateway import lending
from gateway.lending import without_lent_key
from gateway.origin import Answer

KEY = "sk-lent-0123456789abcdef"
RAW = KEY.encode()
GONE = b"[redacted]"


class Body:
    """A body that comes in these parts; an exception is raised in its place."""

    def __init__(self, *parts):
        self.parts = list(parts)

    def at_eof(self):
        return not self.parts

    async def readany(self):
        if not self.parts:
            return b""
        if isinstance(self.parts[0], Exception):
            raise self.parts[0]
        return self.parts.pop(0)


def answer(*parts, status=401, headers=()):
    return Answer(status, CIMultiDictProxy(CIMultiDict(headers)), Body(*parts), None)


async def read(found):
    parts = []
    while part := await found.content.readany():
        parts.append(part)
    return parts


def cut(body, size):
    return [body[start : start + size] for start in range(0, len(body), size)]


@pytest.mark.parametrize("size", [1, 7, 24, 1000])
@pytest.mark.parametrize(
    "body",
    [
        b'{"error":"Incorrect API key provided: %b. Try again."}' % RAW,
        RAW,
        RAW * 3,
        b"a" + RAW[:-1] + RAW + RAW[:-1],
        b'{"error":"Incorrect API key provided: sk-lent-********cdef."}',
        RAW[:-1],
        b"\xff\x00" * 20,
        b"",
    ],
)
@pytest.mark.parametrize("whole", [10_000, 10])
async def test_only_the_key_is_taken_out(monkeypatch, body, size, whole):
    """Whether the body is read whole, or goes on as it comes."""
    monkeypatch.setattr(lending, "_WHOLE", whole)
    length = str(len(body))
    found = without_lent_key(answer(*cut(body, size), headers=[("Content-Length", length), ("X", "y")]), KEY)
    expected = body.replace(RAW, GONE)
    assert b"".join(await read(found)) == expected
    assert found.content.at_eof()
    assert found.headers["X"] == "y"
    if len(body) <= whole:
        assert found.whole_length == len(expected)
        assert found.headers["Content-Length"] == str(len(expected))


async def test_a_long_body_states_no_length_and_waits_for_nothing_but_a_beginning_of_the_key(monkeypatch):
    monkeypatch.setattr(lending, "_WHOLE", 10)
    parts = [b"x" * 11, b"y", b"z" + RAW[:5], RAW[5:] + b"!", RAW[:3], b"end"]
    found = without_lent_key(answer(*parts, headers=[("Content-Length", "60")]), KEY)
    assert await read(found) == [b"x" * 11 + b"y", b"z", GONE + b"!", RAW[:3] + b"end"]
    assert found.length is None


@pytest.mark.parametrize("status", [200, 204, 399])
async def test_what_is_no_error_is_left_alone(status):
    given = answer(RAW, status=status, headers=[("X-Key", KEY)])
    content = given.content
    found = without_lent_key(given, KEY)
    assert (found is given, found.content is content, found.headers["X-Key"]) == (True, True, KEY)


async def test_a_word_that_stands_for_a_key_where_none_is_needed_is_left_alone():
    given = answer(b"ollama says no")
    assert await read(without_lent_key(given, "ollama")) == [b"ollama says no"]


async def test_headers_are_without_it_too():
    headers = [("WWW-Authenticate", f'Bearer realm="{KEY}"'), ("X-A", "1"), ("X-A", "2")]
    found = without_lent_key(answer(b"", status=403, headers=headers), KEY)
    assert list(found.headers.items()) == [
        ("WWW-Authenticate", 'Bearer realm="[redacted]"'),
        ("X-A", "1"),
        ("X-A", "2"),
    ]


async def test_a_length_that_was_not_stated_is_not_stated_now():
    found = without_lent_key(answer(RAW), KEY)
    assert await read(found) == [GONE]
    assert found.length is None


async def test_an_answer_to_head_keeps_its_length():
    found = without_lent_key(answer(headers=[("Content-Length", "99")]), KEY)
    assert await read(found) == []
    assert found.length == 99


async def test_a_body_that_breaks_off_gives_what_came_of_it():
    found = without_lent_key(answer(b"a" + RAW, aiohttp.ClientPayloadError("cut")), KEY)
    assert await found.content.readany() == b"a" + GONE
    with pytest.raises(aiohttp.ClientPayloadError):
        await found.content.readany()
    with pytest.raises(aiohttp.ClientPayloadError):
        await without_lent_key(answer(aiohttp.ClientPayloadError("cut")), KEY).content.readany()


async def test_what_breaks_off_inside_of_the_key_does_not_tell_its_beginning():
    found = without_lent_key(answer(b"no: " + RAW[:15], aiohttp.ClientPayloadError("cut")), KEY)
    assert await found.content.readany() == b"no: "
    with pytest.raises(aiohttp.ClientPayloadError):
        await found.content.readany()
