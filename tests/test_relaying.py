"""How an answer is relayed is decided once, by its head."""

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.core.adapter import RequestAdapter, ResponseAdapter
from gateway.core.errors import UpstreamProtocol
from gateway.core.interaction import Interaction
from gateway.core.provider import Endpoint, Provider, Row
from gateway.origin import Answer
from gateway.relaying import foreign_encoding, relay_for
from gateway.settings import Settings

SETTINGS = Settings(state_dir="/nowhere")
CALLS = Endpoint("POST", "/x", RequestAdapter, ResponseAdapter, carries_calls=True)
OPAQUE = Endpoint("POST", "/files")


def relayed(*headers, status=200, endpoint=CALLS, hold=True):
    provider = Provider(Row(name="acme", base_url="http://acme.example"))
    i = Interaction("id", provider, endpoint, {}, hold=hold)
    answer = Answer(status, CIMultiDictProxy(CIMultiDict(headers)), None, None)
    return relay_for(i, answer, SETTINGS, asked=False), i


def typed(*values):
    return [("Content-Type", value) for value in values]


@pytest.mark.parametrize(
    "value",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        'text/event-stream; charset="utf-8"; x=y',
        "application/json; charset=us-ascii",
        "",
    ],
)
def test_a_gated_answer_in_utf_8_is_read(value):
    relay, _ = relayed(*typed(value))
    assert relay.gated


@pytest.mark.parametrize(
    "values",
    [
        ["application/json; charset=utf-7"],
        ["application/json; charset=utf-16"],
        ["application/json; charset=unicode_escape"],
        ["application/json; charset=utf-8; charset=utf-7"],
        ["application/json; charset=utf-8x"],
        ["application/json; charset = utf-7"],
        ["application/json", "text/event-stream"],
        ["application/json", "application/json"],
    ],
)
def test_a_gated_answer_that_may_be_read_in_other_characters_is_none(values):
    with pytest.raises(UpstreamProtocol, match="UTF-8"):
        relayed(*typed(*values))
    relay, _ = relayed(*typed(*values), hold=False)
    assert not relay.gated


@pytest.mark.parametrize("status", [101, 199, 300, 301, 304, 399, 600, 999])
def test_a_status_that_no_client_expects(status):
    with pytest.raises(UpstreamProtocol, match=str(status)):
        relayed(status=status)


def test_not_modified_is_an_answer_where_nothing_is_read():
    relay, _ = relayed(status=304, endpoint=OPAQUE)
    assert relay.whole


def test_a_page_is_no_answer_of_an_api():
    for label in ("text/html; charset=utf-8", "Text/HTML"):
        with pytest.raises(UpstreamProtocol, match="page"):
            relayed(*typed(label))
    relayed(*typed("text/html"), status=502)


def test_an_encoding_that_nobody_undoes():
    headers = [*typed("application/json"), ("Content-Encoding", "foo")]
    with pytest.raises(UpstreamProtocol, match="'foo'"):
        relayed(*headers)
    _, i = relayed(*headers, endpoint=OPAQUE)
    assert i.response_headers == {"Content-Encoding": "foo"}
    assert [foreign_encoding(name) for name in ("", "GZIP", "identity", "zstd", "foo")] == [
        "",
        "",
        "",
        "",
        "foo",
    ]
