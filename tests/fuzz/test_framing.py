"""What a frame was judged by is what the vendors' clients read of it, whatever the cuts of the network."""

import json  # noqa: TID251  # another parser than the gateway's
import re
from itertools import pairwise

import anthropic._streaming as anthropic_streaming
import httpx2
import openai._streaming as openai_streaming
import pytest
from google.genai._api_client import HttpResponse
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.frames import Shape
from gateway.core.json_array import ArrayFramer
from gateway.core.sse import SSEFramer
from tests.fuzz.profiles import TIMEOUT, examples

pytestmark = pytest.mark.timeout(TIMEOUT)
_LIMIT = 1 << 20
_ENDS = ("\n", "\r\n", "\r")
_LINES = (
    'data: {"a":1}',
    'data: {"b":"x"}',
    'data:{"c":1}',
    'data:  {"d":1}',
    "data: [DONE]",
    "data:",
    "data",
    "data: ",
    'data: {"e":',
    "data: 2}",
    "event: message_stop",
    "event: ping",
    "event:",
    "event",
    ": comment",
    ":",
    ': x\u2028data: {"f":1}',
    ': x\x0bdata: {"g":1}',
    ': x\x85data: {"g":1}',
    "id: 1",
    "id: \x00",
    "retry: 5",
    "retry: x",
    "unknown: 1",
    'Data: {"h":1}',
    ' data: {"i":1}',
    '{"j":1}',
    '{"k":',
    "1}",
    '\ufeffdata: {"l":1}',
    'data: {"m":"\u2028"}',
    'data: {"n":1}\x00',
    "\x00",
    "",
    "",
    "",
    "",
)
_streams = st.lists(st.tuples(st.sampled_from(_LINES), st.sampled_from(_ENDS)), max_size=10).map(
    lambda lines: "".join(line + end for line, end in lines).encode()
)
_cuts = st.lists(st.integers(0, 200), max_size=6)


def _chunks(data, cuts):
    marks = [0, *sorted({min(cut, len(data)) for cut in cuts}), len(data)]
    return [data[start:end] for start, end in pairwise(marks) if end > start]


def _frames(data, cuts):
    framer = SSEFramer(_LIMIT)
    frames = [frame for chunk in _chunks(data, cuts) for frame in framer.feed(chunk)] + framer.close()
    assert b"".join(frame.raw for frame in frames) == data
    return framer, frames


def _leaving(data, cuts):
    """What a gate lets go, framed as it does; and the payloads that it has judged."""
    framer, frames = _frames(data, cuts)
    out, judged = b"", []
    for frame in frames:
        if frame.shape is Shape.BROKEN:
            break
        if not frame.data:
            out += frame.raw if frame.shape is Shape.COMMENT else b""
            continue
        judged.append(frame.data)
        event = frame.event if frame.event.isascii() else "message"
        irregular = frame.shape is Shape.IRREGULAR
        out += framer.wrap(frame.data, event) if irregular else frame.raw
    return out, [_flat(payload) for payload in judged]


def _flat(payload):
    return re.sub(r"\r\n|\n|\r", " ", payload.decode())


def _openai(out):
    return [sse.data for sse in openai_streaming.SSEDecoder().iter_bytes(iter([out])) if sse.data]


def _anthropic(out):
    return [sse.data for sse in anthropic_streaming.SSEDecoder().iter_bytes(iter([out])) if sse.data]


def _genai(out):
    response = httpx2.Response(200, content=out)
    return [one for one in HttpResponse({}, response_stream=response)._iter_response_stream() if one]


def _standard(out):
    """The HTML standard's rules, in the order in which it has them."""
    events, data = [], []
    for line in re.split(r"\r\n|\n|\r", out.decode().removeprefix("\ufeff"))[:-1]:
        if not line:
            events += ["\n".join(data)] if "".join(data) else []
            data = []
            continue
        name, _, value = line.partition(":")
        if name == "data":
            data.append(value.removeprefix(" "))
    return events


@examples(3)
@given(_streams, _cuts)
def test_clients_read_the_payloads_that_were_judged(data, cuts):
    out, judged = _leaving(data, cuts)
    for read in (_standard, _openai, _anthropic):
        assert [each.removeprefix(" ") for each in read(out)] == [
            each.removeprefix(" ") for each in judged
        ], read


@examples()
@given(
    st.lists(st.sampled_from([line for line in _LINES if line.startswith("data: {")]), max_size=6),
    st.sampled_from(_ENDS),
    _cuts,
)
def test_the_client_that_knows_only_one_form_reads_them_too(lines, end, cuts):
    data = "".join(line + end + end for line in lines).encode()
    out, judged = _leaving(data, cuts)
    assert _genai(out) == judged


@examples()
@given(_streams, _cuts, _cuts)
def test_the_cuts_of_the_network_change_nothing(data, cuts, others):
    def told(cuts):
        return [
            (each.data, each.event, each.shape)
            for each in _frames(data, cuts)[1]
            if each.data or each.shape is Shape.BROKEN
        ]

    assert told(cuts) == told(others) == told(range(len(data)))


_elements = st.recursive(
    st.sampled_from(["x", '"]}', "\\", "\u2028", 1, None, True, "[{"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(['a"', "b]", "c{"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@examples()
@given(
    st.lists(st.dictionaries(st.sampled_from(["a", 'b"', "c\\"]), _elements, max_size=3), max_size=4),
    st.sampled_from([None, 1]),
    st.booleans(),
    _cuts,
)
def test_an_array_that_grows_is_the_array_that_it_becomes(documents, indent, ascii_only, cuts):
    data = json.dumps(documents, indent=indent, ensure_ascii=ascii_only).encode()
    framer = ArrayFramer(_LIMIT)
    frames = [frame for chunk in _chunks(data, cuts) for frame in framer.feed(chunk)] + framer.close()
    assert b"".join(frame.raw for frame in frames) == data
    assert [json.loads(frame.data) for frame in frames if frame.data] == documents
    assert not any(frame.shape is Shape.BROKEN for frame in frames)
    assert framer.complete
