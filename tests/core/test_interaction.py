"""The context of one request: empty at first, and it never shows a secret."""

import uuid

from gateway.core.errors import ErrorKind, RateLimited
from gateway.core.interaction import Credential, Interaction, Note, Principal, new_id
from gateway.core.provider import Endpoint, Provider, Row, UpstreamRequest

PROVIDER = Provider(Row(name="acme", base_url="http://acme.example"))
ENDPOINT = Endpoint("POST", "/talk")


def test_at_first():
    headers = {"accept": "*/*"}
    i = Interaction("i1", PROVIDER, ENDPOINT, headers, path="/talk", query="a=1", started=2.0, started_at=3.0)
    assert (i.id, i.provider, i.endpoint, i.headers) == ("i1", PROVIDER, ENDPOINT, headers)
    assert (i.path, i.query, i.started, i.started_at) == ("/talk", "a=1", 2.0, 3.0)
    assert (i.request.model, i.request.encode(), i.completion.begun) == ("", b"", False)
    assert (i.hold, i.refusal, i.notes, i.response_headers, i.blocked_tools) == (False, None, {}, {}, ())
    assert (i.status, i.error, i.error_kind, i.outcome) == (0, None, None, "")


def test_fail():
    i = Interaction("i1", PROVIDER, ENDPOINT, {})
    error = RateLimited("Slow down.")
    i.fail(error)
    assert (i.error, i.error_kind, i.outcome) == (error, ErrorKind.RATE_LIMIT, "rate_limited")
    assert error.text == "Slow down. (interaction i1)"


def test_drop_bodies():
    i = Interaction("i1", PROVIDER, ENDPOINT, {})
    i.request = ENDPOINT.request(b"x" * 1000)
    i.request.model = "m"
    i.drop_bodies()
    assert i.request.encode() == b""
    assert i.request.model == "m"  # what it costs depends on that


def test_a_credential_is_never_shown():
    headers = (("authorization", "Bearer s3cret"),)
    credential = Credential(headers, "s3cret", "s3cret")
    i = Interaction("i1", PROVIDER, ENDPOINT, {})
    i.presented, i.headers, i.query, i.credential = headers, dict(headers), "key=s3cret", credential
    sent = UpstreamRequest("GET", "http://x/?key=s3cret", headers)
    for each in (credential, i, sent):
        assert "s3cret" not in f"{each} {each!r}"


def test_values():
    class Seen(Note):
        what: str

    assert Seen("it").what == "it"
    assert Principal("agent") == Principal("agent", "", "")


def test_ids_are_uuids_that_sort_by_time():
    ids = [new_id(now) for now in (0.0, 1.0, 1_700_000_000.0, 1_700_000_000.001, 9_999_999_999.0)]
    assert ids == sorted(ids)
    for text, milliseconds in zip(
        ids, (0, 1000, 1_700_000_000_000, 1_700_000_000_001, 9_999_999_999_000), strict=True
    ):
        parsed = uuid.UUID(text)
        assert (str(parsed), parsed.version, parsed.variant) == (text, 7, uuid.RFC_4122)
        assert parsed.int >> 80 == milliseconds
    assert len({new_id(1.0) for _ in range(1000)}) == 1000
