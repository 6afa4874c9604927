"""What a record says beside its bodies, without what its rules hide."""

import msgspec
import pytest

from gateway.core.adapter import RequestAdapter
from gateway.core.hiding import hide
from gateway.core.interaction import Interaction, Principal, new_id
from gateway.core.provider import Endpoint, Provider, Row
from gateway.core.record import Record
from gateway.core.redaction import Redactor

LIMIT = 1000


class Request(RequestAdapter):
    """Its model and its session are members of its body."""

    def __init__(self, body, *more):
        super().__init__(body, *more)
        said = msgspec.json.decode(body)
        self.model = said["model"]
        self.session = (said["user"], "user")


BODY = b'{"model":"m-1","user":"ann","text":"ann and m-1"}'
ANSWER = b'{"model":"m-1-2026","calls":[{"name":"search"},{"name":"list"}]}'


def hidden(rules, *, body=BODY, answer=ANSWER, changes=None, principal=None, gone=False):
    i = Interaction(
        new_id(1.0), Provider(Row(name="acme", base_url="http://x")), Endpoint("POST", "/x", Request), {}
    )
    i.request = Request(body)
    i.requested_model, i.session, i.request_bytes = i.request.model, i.request.session, len(body)
    i.response, i.ran, i.principal = answer, True, principal
    i.unknown = {"block search": 2, "other": 1}
    row = Record(
        id=i.id,
        started_at=1.0,
        provider="acme",
        endpoint="POST /x",
        outcome="ok",
        user="bob 1234",
        run="r-1234",
        session=i.session[0],
        session_source="user",
        requested_model=i.requested_model,
        model=i.requested_model,
        response_model="m-1-2026",
        tools=("search", "list"),
        blocked_tools=("search",),
        notes={"unknown": i.unknown},
        price={"model": "m-1", "input": "1"},
        error="not for 'm-1'; r-1234",
    )
    for name, value in (changes or {}).items():
        setattr(row, name, value)
    if gone:
        i.drop_bodies()
    bodies = hide(row, i, (i.request.body, b"", bytes(i.response)), Redactor(rules), LIMIT)
    return row, bodies


def test_what_no_rule_names_stays():
    row, bodies = hidden(["$.other", "[0-9]{9}"])
    assert (row.session, row.requested_model, row.response_model) == ("ann", "m-1", "m-1-2026")
    assert (row.tools, row.blocked_tools) == (("search", "list"), ("search",))
    assert row.notes == {"unknown": {"block search": 2, "other": 1}}
    assert row.price == {"model": "m-1", "input": "1"}
    assert bodies == (BODY, b"", ANSWER)


def test_a_place_of_the_request():
    row, _ = hidden(["$.user"])
    assert (row.session, row.session_source, row.requested_model) == (None, "user", "m-1")
    row, _ = hidden(["$.model"])
    assert (row.session, row.requested_model, row.model) == ("ann", "[redacted]", "[redacted]")
    assert row.price == {"input": "1"}
    assert row.error == "not for '[redacted]'; r-1234"


def test_a_place_of_the_answer():
    row, _ = hidden(["$.calls[0].name"])
    assert (row.tools, row.blocked_tools) == (("[redacted]", "list"), ("[redacted]",))
    assert row.notes == {"unknown": {"block [redacted]": 2, "other": 1}}
    assert row.response_model == "m-1-2026"


def test_a_pattern():
    row, _ = hidden(["[0-9]{4}", "search"])
    assert (row.user, row.run, row.response_model) == ("bob [redacted]", "r-[redacted]", "m-1-[redacted]")
    assert row.tools == ("[redacted]", "list")
    assert row.error == "not for 'm-1'; r-[redacted]"
    row, _ = hidden(["ann"])
    assert row.session is None
    row, _ = hidden(["[0-9]{4}"], principal=Principal("a", "bob 1234"))
    assert row.user == "bob 1234"  # whom the operator's own key names


def test_a_pattern_that_takes_out_more_than_the_value():
    row, (request, _, _) = hidden([r'"user":"[^"]*",'], body=BODY.replace(b"ann and", b"and"))
    assert (row.session, row.requested_model) == (None, "m-1")
    assert b"ann" not in request


@pytest.mark.parametrize(
    "answer",
    [b'{"calls":[{"name":"sea', b'{"calls":[{"name":"search"}]}'.ljust(LIMIT), b""],
    ids=["torn", "cut", "not kept"],
)
def test_an_answer_that_is_not_all_there_can_not_be_looked_through(answer):
    row, _ = hidden(["$.calls[0].name"], answer=answer)
    assert (row.tools, row.blocked_tools) == (("[redacted]",), ("[redacted]",))
    assert row.response_model == "[redacted]"
    row, _ = hidden(["[0-9]{9}"], answer=answer)
    assert row.tools == ("search", "list")


def test_a_request_whose_body_was_dropped_can_not_either():
    row, _ = hidden(["$.user"], gone=True)
    assert (row.session, row.requested_model, row.model) == (None, "[redacted]", "[redacted]")
