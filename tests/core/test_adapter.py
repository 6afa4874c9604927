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
    recent,
)
from gateway.core.errors import BadRequest, InternalError
from gateway.core.frames import Frame
from gateway.core.histories import HISTORIES
from gateway.core.view import Completion, Message, Part, Prompt, Text, ToolResult

BODY = b'{"model": "m", "messages": [{"content": "one"}, {"content": [{"text": "two"}]}], "x": 1.0}'


def test_an_empty_view():
    request = RequestAdapter(BODY)
    assert (request.model, request.stream, request.session) == ("", False, None)
    assert request.other_models == ()
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


class Talk(RequestAdapter):
    """Numbers are calls, strings are results, and anything else is odd."""

    history = ("talk",)

    def preamble(self):
        return [Message("system", (Part("text", "be brief"),))]

    @classmethod
    def parse_message(cls, element):
        value = msgspec.json.decode(element, type=int | str)
        if isinstance(value, int):
            return Message("assistant", (Part("tool_call", id=str(value), name=f"f{value}"),))
        return Message("tool", (Part("tool_result", id=value), Part("image", id=value)))


def test_pieces():
    request = Talk(b'{"talk": [1, "1"], "x": 2}')
    assert request.pieces == (b'{"talk": [', [b"1", b', "1"'], b'], "x": 2}')
    assert request.pieces is request.pieces
    for body in (b'{"talk": "hi"}', b'{"x": [1]}', b"", b"\xff"):
        assert Talk(body).pieces == (body, (), b"")
        assert [message.role for message in Talk(body).messages()] == ["system"]
    assert OpaqueRequest(b"[1]").pieces == (b"[1]", (), b"")


def test_what_may_declare_tools():
    class Talk(RequestAdapter):
        history = ("messages",)

    assert Talk(BODY).declarations == (b'{"model": "m", "messages": [', b'], "x": 1.0}')
    assert RequestAdapter(BODY).declarations == (BODY, b"")
    assert not any(RequestAdapter(b"").declarations)


def test_what_is_new_in_a_history():
    history = msgspec.Raw(b'["brings", ' + b'"", ' * 5000 + b'"word"]')
    assert recent(history, [b"other", b"word"]) == bytes(history)[-8192:]
    assert recent(history, [b"brings"]) == b""
    assert recent(msgspec.Raw(b""), [b"word"]) == b""


def test_messages():
    assert Talk(b'{"talk": [1, "1", "2" , [ ]]}').messages() == [
        Message("system", (Part("text", "be brief"),)),
        Message("assistant", (Part("tool_call", id="1", name="f1"),)),
        Message("tool", (Part("tool_result", id="1", name="f1"), Part("image", id="1"))),
        Message("tool", (Part("tool_result", id="2"), Part("image", id="2"))),
        Message("user", (Part("other", "[ ]"),)),
    ]
    assert RequestAdapter(BODY).messages() == []


@pytest.mark.parametrize("element", [b"", b"{", b"[" * 5000, b"\xff", b'"\\ud800"', b"1.5"])
def test_a_message_that_can_not_be_read(element):
    odd = Message("user", (Part("other", element.decode(errors="replace")),))
    assert Talk.read_message(element) == Talk.read_message(b" ,\r\n\t" + element) == odd
    assert RequestAdapter.read_message(element) == odd


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


def test_a_history_that_is_too_deep_for_where_it_is_read_is_refused_and_yet_recorded(monkeypatch):
    """How deep is too deep depends on how deep the caller is: who decoded the body may have been higher up."""

    def read(*_):
        raise RecursionError

    body = b'{"talk":[' + b"1," * 4096 + b"1]}"
    monkeypatch.setattr(HISTORIES, "read", read)
    request = Talk(body)
    request.history_array = lambda: body[8:-1]
    with pytest.raises(BadRequest, match="nested too deeply"):
        _ = request.tool_results
    assert request.pieces == (body, (), b"")
