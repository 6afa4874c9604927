"""Which headers pass, in both directions."""

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.core.errors import BadRequest
from gateway.headers import RequestHeaders, client_headers

IDENTITY = ("Accept-Encoding", "identity")


def upstream_headers(headers):
    return RequestHeaders(headers).up


def given(*pairs):
    return CIMultiDictProxy(CIMultiDict(pairs))


@pytest.mark.parametrize(
    "name",
    [
        "Host", "Content-Length", "Accept-Encoding", "Expect", "Cookie", "Authorization", "x-api-key", "api-key",
        "x-goog-api-key", "X-Gateway-Agent", "X-Archestra-User-Id", "X-Forwarded-For", "Forwarded", "X-Real-IP", "Via",
        "Transfer-Encoding", "TE", "Trailer", "Upgrade", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection",
    ],
)  # fmt: skip
def test_headers_that_stop_here_on_the_way_up(name):
    for spelt in (name, name.upper(), name.lower()):
        assert upstream_headers(given((spelt, "x"))) == [("Accept-Encoding", "identity")]


def test_everything_else_goes_up_as_it_came():
    pairs = [
        ("anthropic-beta", "a"),
        ("anthropic-beta", "b"),
        ("OpenAI-Organization", "o"),
        ("User-Agent", "sdk/1"),
        ("Content-Type", "application/json"),
        ("X-Unknown", "é"),
        ("traceparent", "00-1"),
        ("Idempotency-Key", "k"),
    ]
    assert upstream_headers(given(*pairs)) == [*pairs, ("Accept-Encoding", "identity")]


@pytest.mark.parametrize(
    "name", ["X-Auth-Token", "xi-api-key", "X-Vendor-API-Key", "Ocp-Apim-Subscription-Key"]
)
def test_more_headers_carry_keys(name):
    sorted_ = RequestHeaders(given((name, "x")))
    assert sorted_.credentials == [(name, "x")]
    assert sorted_.up == [IDENTITY]


def test_a_virtual_key_goes_up_in_no_header():
    key = "gw_" + "x" * 43
    up = upstream_headers(
        given(("X-Custom", key), ("Cookie2", key), ("X-Note", f"my key: {key}"), ("X-Id", "gw_1"))
    )
    assert up == [("X-Id", "gw_1"), IDENTITY]


def test_what_connection_names_is_for_one_hop():
    up = upstream_headers(
        given(
            ("Connection", "close, X-Hop"),
            ("Connection", "X-Other"),
            ("X-Hop", "1"),
            ("X-Other", "2"),
            ("X-Stays", "3"),
        )
    )
    assert {name for name, _ in up} == {"X-Stays", "Accept-Encoding"}
    down = client_headers(given(("Connection", "X-Secret"), ("X-Secret", "1"), ("X-Stays", "2")))
    assert {name for name, _ in down} == {"X-Stays"}


@pytest.mark.parametrize(
    "name",
    [
        "Set-Cookie", "Alt-Svc", "Strict-Transport-Security", "Server", "CF-Ray", "cf-cache-status", "Content-Length",
        "Content-Encoding", "Transfer-Encoding", "Trailer", "Keep-Alive", "x-gateway-interaction-id",
    ],
)  # fmt: skip
def test_headers_that_stop_here_on_the_way_down(name):
    assert not client_headers(given((name, "x"), (name.upper(), "y")))


def test_everything_else_comes_down():
    pairs = [
        ("request-id", "r"),
        ("retry-after", "7"),
        ("x-ratelimit-remaining", "1"),
        ("x-ratelimit-remaining", "2"),
    ]
    result = client_headers(given(*pairs))
    assert result == pairs


@pytest.mark.parametrize("value", ["a\rb", "a\nb", "a\x00b", "a\x1bb", "a\x7fb"])
def test_a_value_with_control_characters_is_dropped(value):
    assert not client_headers(given(("x-odd", value)))


@pytest.mark.parametrize("name", ["X_Key", "X Key", "Ключ", "X-Key:", ""])
def test_names_that_servers_read_in_different_ways(name):
    for _ in range(2):  # a refusal is not remembered as a pass
        with pytest.raises(BadRequest):
            RequestHeaders(given((name, "1")))


def test_a_request_s_headers_are_sorted_by_what_they_mean():
    headers = RequestHeaders(
        given(
            ("HOST", "localhost"),
            ("authorization", "Bearer k"),
            ("X-Api-Key", "k"),
            ("X-Gateway-Agent", "a"),
            ("X-Archestra-User-Id", "alias"),
            ("X-Gateway-User-Id", "u"),
            ("X-Archestra-Run-Id", "r"),
            ("Transfer-Encoding", "chunked"),
            ("transfer-encoding", "chunked"),
        )
    )
    assert headers.up == [IDENTITY]
    assert headers.credentials == [("authorization", "Bearer k"), ("X-Api-Key", "k")]
    assert headers.ours == {"agent": "a", "user-id": "u", "run-id": "r"}
    assert headers.read == {"host": "localhost", "transfer-encoding": "chunked,chunked"}


def test_ours_counts_before_its_alias_in_either_order():
    pairs = [("X-Gateway-User-Id", "u"), ("X-Archestra-User-Id", "alias")]
    for order in (pairs, pairs[::-1]):
        assert RequestHeaders(given(*order)).ours == {"user-id": "u"}


def test_bytes_that_are_not_utf_8_pass_as_they_came():
    pair = ("x-odd", "caf\udce9")
    assert upstream_headers(given(pair)) == [pair, IDENTITY]
    assert client_headers(given(pair)) == [pair]


@pytest.mark.parametrize("value", ["a\x00b", "a\x7fb", "a\rb"])
def test_control_characters_go_nowhere(value):
    assert upstream_headers(given(("x-odd", value))) == [IDENTITY]


def test_tabs_and_other_alphabets_pass():
    pairs = [("x-tab", "a\tb"), ("x-name", "café ключ"), ("x-empty", ""), ("x-space", "a\u00a0\u3000b\u202e")]
    assert upstream_headers(given(*pairs)) == [*pairs, IDENTITY]
    assert client_headers(given(*pairs)) == pairs


def test_what_is_remembered_is_bounded():
    from gateway import headers

    for number in range(3000):
        RequestHeaders(given((f"X-{number}", "1")))
        client_headers(given((f"X-{number}", "1")))
    assert len(headers._meanings) <= 1024
    assert len(headers._comes_down) <= 1024
