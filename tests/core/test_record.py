"""Records survive the spill file, and say ``None`` for what is not known."""

import msgspec

from gateway.core.record import Body, Record, Saved, Started


def test_a_body_is_its_pieces_joined():
    body = Body(b'{"messages":[', (b'{"a":1}', b',{"b":2}'), b"]}")
    assert bytes(body) == b'{"messages":[{"a":1},{"b":2}]}'
    assert bytes(Body(b"whole")) == b"whole"


def test_what_is_not_said_is_not_known():
    record = Record(id="1", started_at=1.5, provider="acme", endpoint="POST /x", outcome="ok")
    numbers = (record.input_tokens, record.cost, record.saved.cache, record.first_byte_ms, record.status)
    assert numbers == (None,) * 5
    assert (record.source, record.usage_source) == ("api", "none")


def test_records_and_starts_survive_the_spill_file():
    record = Record(
        id="1",
        started_at=1.5,
        provider="acme",
        endpoint="POST /x",
        outcome="ok",
        cost=0,
        saved=Saved(cache=5),
        blocked_tools=("read_file",),
        decisions=[{"kind": "call", "tool": "read_file"}],
        notes={"toon": {"tokens": 3}},
        request=Body(b"[", (b"1", b",2"), b"]"),
        response=Body(b"\xff\x00"),
    )
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(record), type=Record) == record
    started = Started("1", 1.5, "w1", "acme", "POST /x")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(started), type=Started) == started
