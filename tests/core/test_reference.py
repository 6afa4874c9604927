"""What a request leaves to the provider's memory is a plain value, and none by default."""

from gateway.core.adapter import RequestAdapter
from gateway.core.reference import Reference


def test_it_is_a_value():
    assert Reference("answer", "previous", "1") == Reference("answer", "previous", "1")
    assert {Reference("history", "thread"), Reference("history", "thread")} == {
        Reference("history", "thread")
    }


def test_a_wire_without_memory_hides_and_keeps_nothing():
    request = RequestAdapter(b'{"a":1}')
    request.forget()
    headers = [("a", "b")]
    assert (request.hidden, request.keeps, request.earlier_name("call")) == ((), False, "")
    assert request.encode() is request.body
    assert request.headers(headers) is headers
