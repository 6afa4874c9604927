"""Where a key may stand in a request, and where none of the gateway's own may."""

from base64 import b64encode
from urllib.parse import unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.credentials import credentials_in, holds_virtual_key, presented_key, without_credentials
from gateway.core.errors import BadRequest

KEY = "gw_" + "aB3_-" * 8 + "xyz"


@pytest.mark.parametrize("name", ["key", "KEY", "k%65y", "api_key", "access_token", "apikey", "api-key"])
def test_a_key_is_read_and_removed_under_every_name(name):
    query = f"a=1&{name}=sk-1&b=%20"
    assert presented_key([], query) == "sk-1"
    assert without_credentials(query) == "a=1&b=%20"
    assert credentials_in(query) == f"{name}=sk-1"


@pytest.mark.parametrize("query", ["", "alt=sse", "pageToken=x&a", "monkey=1", "a=%20+&&b=;", "key2=x"])
def test_a_query_without_a_key_keeps_its_bytes(query):
    assert presented_key([], query) == ""
    assert without_credentials(query) == query
    assert credentials_in(query) == ""


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ([("Authorization", f"Token {KEY}")], ""),
        ([("Authorization", f"Bearer\t{KEY}")], ""),
        ([("Authorization", f"Bearer x {KEY}")], ""),
        ([("Authorization", f"Bearer x,{KEY}")], ""),
        ([("Authorization", "Basic " + b64encode(f"user:{KEY}".encode()).decode())], ""),
        ([("Authorization", "basic " + b64encode(KEY.encode()).decode())], ""),
        ([("x-api-key", f'"{KEY}"')], ""),
        ([], f"other={KEY}"),
        ([], f"a=1;key={KEY}"),
        ([], f"other=%67w_{KEY[3:]}"),
        ([], f"{KEY}"),
        ([], f"key=x{KEY}&other={KEY}"),
        ([("x-api-key", "sk-1")], f"other={KEY}"),
    ],
)
def test_a_virtual_key_where_none_is_read(headers, query):
    with pytest.raises(BadRequest, match="stands where none is read"):
        presented_key(headers, query)


@pytest.mark.parametrize(
    "key", ["sk-proj-abcgw_" + "x" * 60, "gx_" + "x" * 60, "sk.gw_short", "sk-_gw_" + "x" * 60]
)
def test_a_providers_key_may_look_alike_by_chance(key):
    assert presented_key([("Authorization", f"Bearer {key}")], "") == key
    assert not holds_virtual_key(key)


@pytest.mark.parametrize(
    "value", ["Basic ???", "Basic abcde", "Basic é", "Basic", "Basic " + b64encode(b"user:pw").decode()]
)
def test_basic_authentication_is_a_credential_like_any(value):
    if value.isascii():
        assert presented_key([("Authorization", value)], "") == value
    else:
        with pytest.raises(BadRequest, match="not ASCII"):
            presented_key([("Authorization", value)], "")


def test_a_key_of_ours_is_returned_whatever_its_length():
    for key in (KEY, "gw_x", "gw_", KEY + ", Bearer sk-1"):
        assert presented_key([("Authorization", f"Bearer {key}")], "") == key


def spelt(text, encoded):
    """The same text with some of its characters percent-encoded."""
    return "".join(
        f"%{ord(char):02x}" if encode else char for char, encode in zip(text, encoded, strict=True)
    )


keys = st.lists(st.booleans(), min_size=len(KEY), max_size=len(KEY)).map(lambda encoded: spelt(KEY, encoded))
names = st.sampled_from(["key", "KEY", "k%65y", "access_token", "alt", "x", "", "a.b", "api%5Fkey", "+key"])
values = st.one_of(keys, st.text(";,:&=+% abgw_", max_size=5), keys.map(lambda key: f"a {key};"))
pairs = st.one_of(keys, st.tuples(names, st.sampled_from(["=", "=="]), values).map("".join))
queries = st.lists(pairs, max_size=4).map("&".join)
headers = st.lists(
    st.tuples(
        st.sampled_from(["Authorization", "x-api-key"]),
        st.builds(
            "{}{}{}".format,
            st.sampled_from(["", "Bearer ", "bearer  ", "Token ", "Basic ", "Bearer\t", '"']),
            st.sampled_from([KEY, "sk-1", "", b64encode(f"u:{KEY}".encode()).decode()]),
            st.sampled_from(["", " ", ",x", '"']),
        ),
    ),
    max_size=2,
)


@given(headers, queries)
def test_no_virtual_key_goes_anywhere(headers, query):
    """Whatever a client sends: it is refused, or nothing that would be forwarded holds the key."""
    try:
        key = presented_key(headers, query)
    except BadRequest:
        return
    if key.startswith("gw_"):
        headers, query = [], without_credentials(query)
    for text in (query, unquote_plus(query), *(value for _, value in headers)):
        assert KEY not in text
