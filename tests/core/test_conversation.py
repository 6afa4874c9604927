"""A body that goes on from one that was read is read only where it is new, and as if all of it were read."""

import re
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core import conversation
from gateway.core.adapter import RequestAdapter
from gateway.core.edit import edit
from gateway.core.errors import GatewayError
from gateway.core.histories import Histories
from gateway.providers import load

PROVIDERS = load()
HISTORY = {"chat": "messages", "responses": "input", "anthropic": "messages", "gemini": "contents"}
PATHS = {
    "chat": ("openai", "/chat/completions"),
    "responses": ("openai", "/responses"),
    "anthropic": ("anthropic", "/v1/messages"),
    "gemini": ("gemini", "/v1beta/models/x:generateContent"),
}


def element(wire: str, number: int) -> dict[str, Any]:
    text = f"result {number}, é " * 20
    if wire == "chat":
        return {"role": "tool", "tool_call_id": f"c{number}", "content": text}
    if wire == "responses":
        return {"type": "function_call_output", "call_id": f"c{number}", "output": text}
    if wire == "anthropic":
        block = {"type": "tool_result", "tool_use_id": f"c{number}", "content": text}
        return {"role": "user", "content": [block]}
    answer = {"name": f"tool_{number}", "response": {"result": text}}
    return {"role": "user", "parts": [{"functionResponse": answer}]}


def written(wire: str, count: int, first: str = "", last: str = ', "tools": []') -> bytes:
    history = b", ".join(orjson.dumps(element(wire, number)) for number in range(count))
    head, tail = f'{{"model": "m", {first}"{HISTORY[wire]}": ['.encode(), f"]{last}}}".encode()
    return head + history + tail


def read(wire: str, body: bytes) -> RequestAdapter:
    provider, path = PATHS[wire]
    match = PROVIDERS[provider].match("POST", path)
    request: RequestAdapter = match.endpoint.request(body, match.params)
    return request


def outcome(wire: str, body: bytes) -> tuple[Any, ...]:
    """All that is known of a body, or why nothing is."""
    try:
        request = read(wire, body)
        results = request.tool_results
        pieces = request.pieces
        names = [tool.name for tool in request.tools]
        texts = list(request.texts())
    except GatewayError as error:
        return (type(error), error.message)
    assert b"".join((pieces[0], *pieces[1], pieces[2])) == body
    try:
        request.require_unique_members()
    except GatewayError as error:
        return request.model, results, pieces, names, texts, error.message
    return request.model, results, pieces, names, texts, ""


@pytest.fixture
def decoded(monkeypatch):
    """The sizes of what was decoded, with nothing that was read before."""
    sizes: list[int] = []
    whole = conversation.load

    def load(decoder, body):
        sizes.append(len(body))
        return whole(decoder, body)

    monkeypatch.setattr(conversation, "load", load)
    monkeypatch.setattr(conversation, "HISTORIES", Histories())
    return sizes


@pytest.mark.parametrize("wire", HISTORY)
def test_only_what_is_new_is_decoded(wire, decoded):
    for count in (30, 31, 33, 33):
        found = read(wire, written(wire, count))
        assert len(found.tool_results) == count
        assert found.tool_results[-1].texts[0].text == f"result {count - 1}, é " * 20
    assert decoded[0] > 9000
    assert max(decoded[1:]) < 2000
    assert read(wire, written(wire, 29)).tool_results[-1].texts[0].text == "result 28, é " * 20


CHANGES: dict[str, tuple[bytes, bytes]] = {
    "a comma too many": (b"], ", b",], "),
    "no comma": (b"}, {", b"} {"),
    "no end": (b"], ", b", "),
    "bytes that are no UTF-8 in what is new": (b"result 33", b"result \xff"),
    "bytes that are no UTF-8 in what is known": (b"result 3,", b"result \xff,"),
    "bytes that are no UTF-8 before": (b'"m"', b'"\xff"'),
    "bytes that are no UTF-8 behind": (b'"tools"', b'"\xff"'),
    "another model": (b'"m"', b'"n"'),
    "the history again, behind": (b"], ", b'], "%b": [{"role": "user", "content": "x"}], '),
    "an empty history behind": (b"], ", b'], "%b": [], '),
    "the same history, behind": (b"], ", b'], "%b": [%e], '),
    "an earlier history": (b'"model"', b'"%b": [%e], "model"'),
    "a history within another member": (b'"model"', b'"metadata": {"%b": [%e]}, "model"'),
    "the end of it within another member": (b'"tools"', b'"x": {"%b": [%n]}, "tools"'),
    "the end of it again": (b"], ", b'], "%b": [%n], '),
    "another end": (b'"tools": []', b'"tools": [{"type": "web_search"}]'),
    "a key twice": (b'"tools"', b'"model": "n", "tools"'),
    "more behind the end": (b'"tools": []}', b'"tools": []} x'),
    "a number that goes on": (b"], ", b", 1], "),
    "a longer one": (b"], ", b", 12], "),
    "nothing": (b"x", b"x"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("first", ["", '"metadata": {"a": "b"}, '])
@pytest.mark.parametrize("wire", HISTORY)
def test_whatever_changes_it_is_read_as_by_who_knows_nothing(wire, first, change, monkeypatch):
    old, new = CHANGES[change]
    body = written(wire, 34, first)
    known = ", ".join(orjson.dumps(element(wire, number)).decode() for number in range(34))
    latest = orjson.dumps(element(wire, 32)).decode()
    values = {
        b"%b": HISTORY[wire].encode(),
        b"%e": known.encode(),
        b"%n": known[known.rindex(latest) :].encode(),
    }
    new = re.sub(rb"%[ben]", lambda match: values[match[0]], new)
    at = body.rfind(old)
    changed = body[:at] + new + body[at + len(old) :] if at >= 0 else body
    assert (changed == body) is (change == "nothing")
    monkeypatch.setattr(conversation, "HISTORIES", Histories())
    outcome(wire, written(wire, 33, first))
    warm = outcome(wire, changed)
    again = outcome(wire, changed)
    after = outcome(wire, written(wire, 35, first))
    monkeypatch.setattr(conversation, "HISTORIES", Histories())
    assert warm == again == outcome(wire, changed)
    monkeypatch.setattr(conversation, "HISTORIES", Histories())
    assert after == outcome(wire, written(wire, 35, first))


@st.composite
def edits(draw):
    """Where a body is cut, and what is put in the place of how much."""
    where = draw(st.floats(0, 1))
    gone = draw(st.integers(0, 40))
    put = draw(
        st.sampled_from(
            [
                b"",
                b",",
                b"]",
                b"[",
                b"{",
                b"}",
                b'"',
                b"\\",
                b"\xc3",
                b"1",
                b" ",
                b'"messages":[]',
                b'"input":[],',
            ]
        )
    )
    return where, gone, put


@settings(max_examples=300)
@given(st.sampled_from(list(HISTORY)), st.integers(20, 40), st.lists(edits(), max_size=2), st.booleans())
def test_any_damage_is_found_as_by_who_knows_nothing(wire, count, damage, backwards):
    body = written(wire, count)
    for where, gone, put in damage:
        at = int(where * len(body))
        at = len(body) - at // 20 if backwards else at  # mostly the end is new
        body = body[:at] + put + body[at + gone :]
    outcomes = []
    before = conversation.HISTORIES
    try:
        for warm in (True, False):
            conversation.HISTORIES = Histories()
            if warm:
                outcome(wire, written(wire, 30))
            outcomes.append(outcome(wire, body))
    finally:
        conversation.HISTORIES = before
    assert outcomes[0] == outcomes[1]


def test_a_log_that_was_let_go_meanwhile_is_still_of_use(monkeypatch):
    monkeypatch.setattr(conversation, "HISTORIES", histories := Histories())
    _ = read("chat", written("chat", 30)).tool_results
    request = read("chat", written("chat", 31))
    assert request._recalled
    histories._alike.clear()
    histories._size = 0
    assert len(request.tool_results) == 31
    assert histories._size == sum(log.size for logs in histories._alike.values() for log in logs)


def test_places_are_noted_of_so_many(monkeypatch):
    monkeypatch.setattr(conversation, "HISTORIES", histories := Histories())
    for number in range(1100):
        histories.note((RequestAdapter, ("m",)), b"%d" % number, number)
    assert len(histories._starts) == 1024
    assert read("chat", written("chat", 30))._recalled is None


EDITS: dict[str, dict[tuple[str | int, ...], Any]] = {
    "a value": {("model",): "another"},
    "a new member": {("stream_options",): {"include_usage": True}},
    "several": {("model",): "n", ("new",): 1, ("tools",): [1]},
    "one less": {("tools",): None},
    "all others less": {("tools",): None, ("model",): None},
    "one within another": {("metadata", "a"): "c"},
    "the history itself": {("HISTORY",): []},
    "no history": {("HISTORY",): None},
    "in an element": {("HISTORY", 3, "role"): "x"},
    "an element less, and a value": {("HISTORY", 0): None, ("model",): "n"},
}


@pytest.mark.parametrize("edit_of", EDITS)
@pytest.mark.parametrize("gap", ["", " ", " \n  "])
@pytest.mark.parametrize("wire", HISTORY)
def test_an_edited_body_is_what_editing_all_of_it_gives(wire, gap, edit_of, monkeypatch):
    monkeypatch.setattr(conversation, "HISTORIES", Histories())
    text = written(wire, 30, '"metadata": {"a": "b"}, ').decode()
    body = text.replace(": [{", f": [{gap}{{", 1).replace("}], ", f"}}{gap}], ", 1).encode()
    for _ in range(2):  # for the second time it is known
        request = read(wire, body)
        changes = {
            tuple(HISTORY[wire] if key == "HISTORY" else key for key in path): value
            for path, value in EDITS[edit_of].items()
        }
        for path, value in changes.items():
            if value is None:
                request.remove(path)
            else:
                request.set(path, value)
        sent = request.encode()
        whole = {path: None if value is None else orjson.dumps(value) for path, value in changes.items()}
        assert sent == edit(body, whole)
        beside = all(path[0] != HISTORY[wire] for path in changes)
        assert (request.sent_pieces is not None) is beside
        if request.sent_pieces:
            prefix, elements, suffix = request.sent_pieces
            assert b"".join((prefix, *elements, suffix)) == sent
            assert list(elements) == list(request.pieces[1])
        assert request.inherited in (0, 30)


def test_a_short_body_or_one_with_its_history_twice_is_edited_as_a_whole(monkeypatch):
    monkeypatch.setattr(conversation, "HISTORIES", Histories())
    twice = written("chat", 30)[:-1] + b', "messages": ' + written("chat", 30).split(b": ", 2)[2][:-14] + b"}"
    for body in (written("chat", 2), b'{"model": "m", "messages": 5}' + b" " * 5000, twice):
        request = read("chat", body)
        request.set_model("n")
        assert request.encode() == edit(body, {("model",): b'"n"'})
        assert request.sent_pieces is None
        assert request.inherited == 0


def test_a_count_whose_subject_is_a_request_of_its_own_is_not_taken_for_the_one_beside_it(monkeypatch):
    monkeypatch.setattr(conversation, "HISTORIES", Histories())
    match = PROVIDERS["gemini"].match("POST", "/v1beta/models/x:countTokens")

    def count(body: bytes) -> RequestAdapter:
        request: RequestAdapter = match.endpoint.request(body, match.params)
        return request

    contents = orjson.dumps([element("gemini", number) for number in range(31)])
    assert len(count(b'{"contents":%b}' % contents).tool_results) == 31
    own = orjson.dumps([element("gemini", 99)])
    request = count(b'{"contents":%b,"generateContentRequest":{"contents":%b}}' % (contents, own))
    assert [result.path[:2] for result in request.tool_results] == [("generateContentRequest", "contents")]
    request.set_tool_result(request.tool_results[0], "gone")
    assert b"result 99" not in request.encode()


def test_what_stands_where_a_history_was_need_not_be_one(monkeypatch):
    monkeypatch.setattr(conversation, "HISTORIES", Histories())
    before = b'{"systemInstruction":{"parts":[{"text":"%b"}]},' % (b"s" * 300)
    contents = orjson.dumps([element("gemini", number) for number in range(31)])
    assert len(read("gemini", before + b'"contents":%b}' % contents).tool_results) == 31
    assert read("gemini", before + b'"Contents":%b}' % contents).tool_results == ()


def test_an_array_that_stands_twice_is_cut_and_edited_where_the_history_is(monkeypatch):
    body = written("chat", 30)
    array = body[body.index(b"[") : body.index(b"]") + 1]
    twice = b'{"model":"m","z":"%b","tools":%b,"messages":%b}' % (b"z" * 300, array, array)
    outcomes = []
    for primed in (False, True):
        monkeypatch.setattr(conversation, "HISTORIES", Histories())
        if primed:
            before = b'{"model":"m","z":"%b","tools":%b,"messages":%b}' % (
                b"z" * 300,
                b"[" + b"1," * (len(array) // 2 - 1) + b"1]",
                array,
            )
            _ = read("chat", before).tool_results
        request = read("chat", twice)
        request.set(("tools", 3), 1)
        assert request.encode() == edit(twice, {("tools", 3): b"1"})
        outcomes.append(outcome("chat", twice))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][2][0].endswith(b'"messages":[')
