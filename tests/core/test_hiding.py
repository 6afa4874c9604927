"""What a record says beside its bodies, without what its rules hide."""

import msgspec
import pytest

from gateway.core.adapter import RequestAdapter, ResponseAdapter
from gateway.core.hiding import hide
from gateway.core.interaction import Interaction, Principal, new_id
from gateway.core.provider import Endpoint, Provider, Row
from gateway.core.record import Record
from gateway.core.redaction import REDACTED, Redactor
from gateway.core.view import ToolCallDelta
from gateway.providers import load

PROVIDERS = load()


class Request(RequestAdapter):
    """Its model and its session are members of its body, which is also what it says."""

    history = ("said",)

    def __init__(self, body, *more):
        super().__init__(body, *more)
        said = msgspec.json.decode(body)
        self.model = said["model"]
        self.session = (said["user"], "user")


class Response(ResponseAdapter):
    """Its calls are members of its body."""

    def events(self, frame):
        for index, call in enumerate(msgspec.json.decode(frame.data).get("calls", ())):
            yield ToolCallDelta(index, name=call["name"])


ENDPOINT = Endpoint("POST", "/x", Request, Response)


class Acme(Provider):
    """Has one endpoint."""

    endpoints = (ENDPOINT,)


BODY = b'{"model":"m-1","user":"ann","text":"ann and m-1"}'
ANSWER = b'{"model":"m-1-2026","calls":[{"name":"search"},{"name":"list"}]}'


def hidden(rules, *, body=BODY, answer=ANSWER, changes=None, principal=None, gone=False, cut=False):
    i = Interaction(new_id(1.0), Acme(Row(name="acme", base_url="http://x")), ENDPOINT, {})
    i.request = Request(body)
    i.requested_model, i.session, i.request_bytes = i.request.model, i.request.session, len(body)
    i.response, i.ran, i.principal, i.response_cut = answer, True, principal, cut
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
    bodies = hide(row, i, (i.request.body, b"", bytes(i.response)), Redactor(rules))
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
    ("answer", "cut"),
    [(b'{"calls":[{"name":"sea', False), (b'{"calls":[{"name":"search"}]}', True), (b"", False)],
    ids=["torn", "cut", "not kept"],
)
def test_an_answer_that_is_not_all_there_can_not_be_looked_through(answer, cut):
    row, _ = hidden(["$.calls[0].name"], answer=answer, cut=cut)
    assert (row.tools, row.blocked_tools) == (("[redacted]",), ("[redacted]",))
    assert row.response_model == "[redacted]"
    row, _ = hidden(["[0-9]{9}"], answer=answer)
    assert row.tools == ("search", "list")


def test_a_request_whose_body_was_dropped_can_not_either():
    row, _ = hidden(["$.user"], gone=True)
    assert (row.session, row.requested_model, row.model) == (None, "[redacted]", "[redacted]")


CHAT = next(e for e in PROVIDERS["openai"].endpoints if e.name == "POST /chat/completions")
ASKED = b'{"model":"m","messages":[{"role":"user","content":"why?"}]}'
GONE = b"[redacted]"


def chat(*deltas):
    chunks = (msgspec.json.encode({"choices": [{"index": 0, "delta": delta}]}) for delta in deltas)
    return b"".join(b"data: %b\n\n" % chunk for chunk in chunks) + b"data: [DONE]\n\n"


def call(**function):
    return {"tool_calls": [{"index": 0, "function": function}]}


def hidden_chat(rules, request=ASKED, answer=b"", tools=()):
    i = Interaction(new_id(1.0), PROVIDERS["openai"], CHAT, {}, status=200, response=answer, ran=True)
    i.request = CHAT.request(request)
    row = Record(id=i.id, started_at=1.0, provider="openai", endpoint=CHAT.name, outcome="ok", tools=tools)
    return row, hide(row, i, (request, request, answer), Redactor(rules))


@pytest.mark.parametrize(
    "deltas",
    [
        [{"content": "key is cana"}, {"content": "ry-77 ok"}],
        [{"reasoning_content": "cana"}, {"reasoning_content": "ry-77"}],
        [{**call(name="f", arguments='{"a":"cana')}, call(arguments='ry-77"}')],
        [{**call(name="f", arguments='{"a":"can\\u0061')}, call(arguments='ry-77"}')],
        [call(name="f_cana"), call(name="ry-77")],
    ],
    ids=["text", "reasoning", "arguments", "escaped arguments", "name"],
)
def test_an_answer_that_says_it_in_pieces_is_not_kept(deltas):
    _, (request, _, answer) = hidden_chat(["canary-[0-9]+"], answer=chat(*deltas))
    assert (request, answer) == (ASKED, GONE)
    _, bodies = hidden_chat(["canary-[0-9]{3}"], answer=chat(*deltas))
    assert bodies[2] == chat(*deltas)


def test_a_request_that_says_it_in_pieces_is_not_kept():
    result = {
        "type": "tool_result",
        "tool_use_id": "1",
        "content": [{"type": "text", "text": t} for t in "ab"],
    }
    request = msgspec.json.encode(
        {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [result]}]}
    )
    endpoint = next(e for e in PROVIDERS["anthropic"].endpoints if e.path.endswith("/messages"))
    i = Interaction(new_id(1.0), PROVIDERS["anthropic"], endpoint, {}, status=200)
    i.request = endpoint.request(request)
    row = Record(id=i.id, started_at=1.0, provider="anthropic", endpoint=endpoint.name, outcome="ok")
    assert hide(row, i, (request, request, b""), Redactor([r"a\nb"])) == (GONE, GONE, b"")
    assert hide(row, i, (request, b"", b""), Redactor([r"a\nc"])) == (request, b"", b"")


def test_a_body_that_can_not_be_looked_through_is_not_kept(monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr("gateway.core.recollection.Recollection.answered", broken)
    _, (request, _, answer) = hidden_chat(["canary"])
    assert (request, answer) == (ASKED, GONE)


def test_a_name_that_came_in_pieces_is_hidden_with_them():
    rule = "$.choices[*].delta.tool_calls[*].function.name"
    answer = chat(call(name="secret_"), call(name="tool9"))
    row, bodies = hidden_chat([rule], answer=answer, tools=("secret_tool9",))
    assert row.tools == (REDACTED,)
    assert b"tool9" not in bodies[2]
    row, _ = hidden_chat(["$.choices[*].delta.content"], answer=answer, tools=("secret_tool9",))
    assert row.tools == ("secret_tool9",)
