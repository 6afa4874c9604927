"""A stored interaction is read as far as it can be, whatever happened to it meanwhile."""

import pytest

from gateway.core.recollection import Recollection
from gateway.core.view import TextDelta
from gateway.providers import load

PROVIDERS = load()
RECORD = {"provider": "openai", "endpoint": "POST /chat/completions", "status": 200, "requested_model": "m"}
REQUEST = (b'{"model":"m","messages":[', [b'{"role":"user","content":"why?"}'], b"]}")
WHOLE = b'{"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"so"},"finish_reason":"stop"}]}'
STREAM = (
    b'data: {"choices":[{"index":0,"delta":{"content":"s"}}]}\n\ndata: {"choices":[{"index":0,"delta":{"content":"o"}}]}\n\n'
    b"data: [DONE]\n\n"
)


def recollect(request=REQUEST, response=WHOLE, **changes):
    return Recollection(PROVIDERS, RECORD | changes, request, response)


@pytest.mark.parametrize("response", [WHOLE, STREAM], ids=["whole", "stream"])
def test_request_and_answer(response):
    found = recollect(response=response)
    assert found.is_whole
    assert found.request.model == "m"
    assert found.completion.text == "so"
    assert found.searchable(100) == "why?\nso"


def test_a_model_that_the_path_said():
    request = (b'{"contents":[', [b'{"role":"user","parts":[{"text":"why?"}]}'], b"]}")
    record = {"provider": "gemini", "requested_model": "g-1", "status": 200}
    [endpoint] = [e.name for e in PROVIDERS["gemini"].endpoints if e.path.endswith(":generateContent")][:1]
    found = Recollection(PROVIDERS, record | {"endpoint": endpoint}, request, b"")
    assert (found.request.model, found.searchable(100)) == ("g-1", "why?")


@pytest.mark.parametrize(
    "changes",
    [{"provider": "gone"}, {"provider": None}, {"endpoint": "POST /gone"}, {"endpoint": None}],
    ids=str,
)
def test_a_provider_or_endpoint_that_is_no_more(changes):
    found = recollect(**changes)
    assert found.endpoint is None
    assert found.searchable(100) == ""


def test_a_message_that_was_cut_leaves_the_others():
    cut = (b'{"model":"m","messages":[', [b'{"role":"user","content":"wh[9 bytes more]'], b"]}")
    found = recollect(request=cut)
    assert not found.is_whole
    assert found.completion.text == "so"
    assert found.searchable(100) == "so"


def test_nothing_was_stored():
    found = recollect(request=None, response=b"")
    assert not found.is_whole
    assert found.searchable(100) == ""


@pytest.mark.parametrize("status", [None, 400, 529])
def test_an_error_is_no_answer(status):
    assert recollect(status=status).completion.text == ""


def test_an_event_that_can_not_be_read_leaves_the_others():
    assert recollect(response=STREAM.replace(b'"s"', b'"s')).completion.text == "o"


def test_an_adapter_that_fails_is_no_error(monkeypatch):
    endpoint = recollect().endpoint

    def broken(*_, **__):
        raise LookupError("no")

    monkeypatch.setattr(endpoint.response, "__init__", broken)
    assert recollect().completion.text == ""
    monkeypatch.undo()
    monkeypatch.setattr(endpoint.request, "read_message", broken)
    assert recollect().searchable(100) == ""
    found = recollect()
    found.completion.apply(TextDelta("more"))
    assert found.completion.text == "somore"
