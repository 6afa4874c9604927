"""What an adapter gets for nothing, and what it must say itself."""

import msgspec
import pytest

from gateway.core.adapter import (
    DEFAULT_QUIRKS,
    OpaqueRequest,
    OpaqueResponse,
    Payload,
    Quirks,
    RequestAdapter,
    ResponseAdapter,
)
from gateway.core.errors import BadRequest, InternalError
from gateway.core.frames import Frame
from gateway.core.view import Completion, Prompt, Text, ToolResult

BODY = b'{"model": "m", "messages": [{"content": "one"}, {"content": [{"text": "two"}]}], "x": 1.0}'


def test_an_empty_view():
    request = RequestAdapter(BODY)
    assert (request.model, request.stream, request.session) == ("", False, None)
    assert (list(request.tools), list(request.tool_results), list(request.texts())) == ([], [], [])
    assert (request.params, request.quirks) == ({}, DEFAULT_QUIRKS)
    assert request.ask_usage() is False
    assert request.path("/chat") == "/chat"
    assert RequestAdapter(BODY, {"id": "7"}, Quirks("never")).params == {"id": "7"}


def test_without_edits_the_body_is_the_same_object():
    request = RequestAdapter(BODY)
    assert not request.edited
    assert request.encode() is BODY


def test_edits():
    request = RequestAdapter(BODY)
    request.set_model("n")
    request.set_tool_result(ToolResult("1", "f", False, ("messages", 0, "content")), "ONE")
    request.set_text(Text("two", ("messages", 1, "content", 0, "text")), "TWO ☂")
    request.set(("y",), {"z": [True]})
    assert request.edited
    assert (
        request.encode()
        == (
            '{"model": "n", "messages": [{"content": "ONE"}, {"content": [{"text": "TWO ☂"}]}], "x": 1.0,"y":{"z":[true]}}'
        ).encode()
    )
    request.remove(("messages",))
    assert request.encode() == b'{"model": "n", "x": 1.0,"y":{"z":[true]}}'


def test_unique_members():
    RequestAdapter(b"").require_unique_members()
    RequestAdapter(BODY).require_unique_members()
    with pytest.raises(BadRequest, match="'model' twice"):
        RequestAdapter(b'{"model": "a", "mod\\u0065l": "b"}').require_unique_members()


def test_a_response_adapter_reads_and_ends_nothing_by_itself():
    response = ResponseAdapter(RequestAdapter(BODY), streamed=True)
    assert (response.streamed, response.hiding, response.event_name) == (True, False, "")
    assert response.hides(Frame(b"", b"")) is False
    calls = (
        lambda: response.events(Frame(b"", b"")),
        lambda: response.error(InternalError("")),
        lambda: response.refusal("", [], Completion()),
        lambda: RequestAdapter.compose("m", Prompt("", ())),
    )
    for call in calls:
        with pytest.raises(NotImplementedError):
            call()


def test_opaque():
    response = OpaqueResponse(OpaqueRequest(b"\xff"), streamed=False)
    assert list(response.events(Frame(b"\xff", b"\xff"))) == []


def test_values():
    assert Payload(b"{}").event == ""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"stream_use": "ask"}, Quirks)
