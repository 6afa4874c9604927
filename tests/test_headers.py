"""Which headers pass, in both directions."""

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.headers import client_headers, upstream_headers


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


@pytest.mark.parametrize("value", ["a\rb", "a\nb", "a\x00b", "a\x1bb", "a\x7fb", "a\u202eb"])
def test_a_value_with_control_characters_is_dropped(value):
    assert not client_headers(given(("x-odd", value)))
