"""Parameters and bodies: what fits becomes a struct, everything else is refused with its place."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.console.reading import read_body, read_query
from gateway.console.refusals import Refusal
from gateway.core.entities import ToolInvocationPolicy, TrustedDataPolicy


class Query(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    from_: Annotated[datetime, msgspec.Meta(tz=True)] | None = msgspec.field(default=None, name="from")
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    by: Literal["time", "agent"] = "time"
    q: str = ""


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    key: str


class Body(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    conditions: list[Inner] = []


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=", "limit"),
        ("limit=1&limit=2", "limit"),
        ("by=colour", "by"),
        ("from=yesterday", "from"),
        ("from=null", "from"),
        ("from=2027-01-01T00:00:00", "from"),
        ("colour=red", "colour"),
        ("q=%00", "q"),
        ("q=%ff", ""),
        ("q", ""),
        ("&".join(f"a{n}=" for n in range(60)), ""),
    ],
)
def test_a_parameter_that_can_not_be(text, path):
    with pytest.raises(Refusal) as refused:
        read_query(Query, text)
    assert (refused.value.status, refused.value.path) == (400, path)


@pytest.mark.parametrize(
    ("read", "said", "why"),
    [
        (read_query, "limt=3", "There is no such field; did you mean 'limit'?"),
        (read_query, "colour=red", "There is no such field."),
        (read_query, "from=yesterday", "It is no time that can be read: write one as 2027-01-01T09:00:00Z."),
        (
            read_query,
            "from=99999999999999999",
            "It is no time that can be read: write one as 2027-01-01T09:00:00Z.",
        ),
        (read_query, "by=agnet", "Invalid enum value 'agnet': it is one of agent, time."),
        (
            read_body,
            b'{"name":"x","conditions":[{"key":"k","kye":1}]}',
            "There is no such field; did you mean 'key'?",
        ),
        (read_body, b'{"nmae":"x"}', "There is no such field; did you mean 'name'?"),
    ],
)
def test_what_is_said_helps(read, said, why):
    with pytest.raises(Refusal) as refused:
        read(Query if read is read_query else Body, said)
    assert refused.value.message == why


def test_parameters():
    assert read_query(Query, "") == Query()
    assert read_query(Query, "limit=7&q=a%26b+c%25") == Query(limit=7, q="a&b c%")
    assert read_query(Query, "q=null") == Query(q="null")
    assert read_query(None, "") is None
    with pytest.raises(Refusal):
        read_query(None, "x=1")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"", ""),
        (b"[]", ""),
        (b"\xef\xbb\xbf{}", ""),
        (b'{"name":"\xff"}', ""),
        (b'{"name":"x"} {}', ""),
        (b"[" * 5000, ""),
        (b"{}", "name"),
        (b'{"name":1}', "name"),
        (b'{"name":"x","id":"mine"}', "id"),
        (b'{"name":"x","conditions":[{"key":"k"},{"key":1}]}', "conditions[1].key"),
        (b'{"name":"x","conditions":[{"key":"k","more":1}]}', "conditions[0].more"),
        (b'{"name":"x","conditions":[{}]}', "conditions[0].key"),
        (b'{"name":"a\\u0000b"}', "name"),
        (b'{"name":"\\ud800"}', ""),
    ],
)
def test_a_body_that_can_not_be(body, path):
    with pytest.raises(Refusal) as refused:
        read_body(Body, body)
    assert (refused.value.status, refused.value.path) == (400, path)


def test_bodies():
    assert read_body(Body, b'{"name":"x"}') == Body("x")
    assert read_body(None, b"") is None
    assert read_body(None, b"{}") is None
    with pytest.raises(Refusal):
        read_body(None, b'{"x":1}')


@given(st.one_of(st.binary(), st.text().map(str.encode)))
def test_whatever_comes_is_read_or_refused(data):
    for read in (lambda: read_body(Body, data), lambda: read_query(Query, data.decode("latin-1"))):
        try:
            read()
        except Refusal as refusal:
            assert refusal.status == 400


@pytest.mark.parametrize(
    ("kind", "body", "path", "choices"),
    [
        (
            ToolInvocationPolicy,
            b'{"tool":"t","action":"nope"}',
            "action",
            ("block_always", "require_approval"),
        ),
        (TrustedDataPolicy, b'{"tool":"t","action":"block"}', "action", ("mark_as_trusted", "block_always")),
        (
            ToolInvocationPolicy,
            b'{"tool":"t","action":"block_always","conditions":[{"key":"a","operator":"is","value":1}]}',
            "conditions[0].operator",
            ("equal", "regex", "exists"),
        ),
        (
            ToolInvocationPolicy,
            b'{"tool":"t","action":"block_always","mode":"off"}',
            "mode",
            ("enforce", "shadow"),
        ),
    ],
)
def test_a_word_that_is_none_of_some_is_told_which(kind, body, path, choices):
    with pytest.raises(Refusal) as refused:
        read_body(kind, body)
    assert refused.value.path == path
    _, _, said = refused.value.message.partition(": it is one of ")
    assert set(choices) <= set(said.removesuffix(".").split(", "))


def test_of_parameters_too():
    with pytest.raises(Refusal, match=r"^Invalid enum value 'colour': it is one of .*agent"):
        read_query(Query, "by=colour")
