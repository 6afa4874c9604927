"""The key of a request, where its answer repeats it, is in nothing that can be recorded."""

import msgspec
import pytest

from gateway.core.errors import NotEvaluated
from gateway.core.interaction import Credential, Interaction, new_id
from gateway.core.keys import forget_key
from gateway.core.recollection import Recollection
from gateway.core.view import ReasoningDelta, Start, TextDelta, ToolCallDelta
from gateway.providers import load

OPENAI = load()["openai"]
CHAT = next(e for e in OPENAI.endpoints if e.name == "POST /chat/completions")
KEY = "sk-repeated-0123456789/ab"
GONE = "[redacted]"


def answered(*events, body=b"", credential=None, **changes):
    i = Interaction(
        new_id(1.0), OPENAI, CHAT, {}, credential=credential or Credential(secret=KEY), response=body
    )
    i.request = CHAT.request(b'{"model":"m","messages":[]}')
    for name, value in changes.items():
        setattr(i, name, value)
    for event in events:
        i.completion.apply(event)
    forget_key(i)
    return i


def chunk(**delta):
    return b"data: %b\n\n" % msgspec.json.encode({"choices": [{"index": 0, "delta": delta}]})


@pytest.mark.parametrize("credential", [Credential(secret=KEY), Credential(key=KEY)])
def test_it_is_taken_out_of_the_body_and_of_all_that_was_read_of_it(credential):
    i = answered(
        Start("id", f"m-{KEY}"),
        TextDelta(f"a {KEY}"),
        ReasoningDelta(KEY),
        ToolCallDelta(0, KEY, f"t_{KEY}", f'"{KEY}"', aliases=(f"x_{KEY}",)),
        ToolCallDelta(1, "2", "other"),
        body=f"[{KEY}]".encode(),
        credential=credential,
        unknown={f"unk_{KEY}": 1, f"unk_{GONE}": 2, "b": 3},
        blocked_tools=(f"t_{KEY}",),
        error=NotEvaluated(f"not known: {KEY}"),
    )
    said = i.completion
    assert i.response == b"[[redacted]]"
    assert (said.model, said.text, said.reasoning) == (f"m-{GONE}", f"a {GONE}", GONE)
    first, second = said.tool_calls
    assert (first.id, first.name, first.arguments) == (GONE, f"t_{GONE}", f'"{GONE}"')
    assert KEY not in repr(first.names)
    assert (second.id, second.name, second.arguments) == ("2", "other", "{}")
    assert i.unknown == {f"unk_{GONE}": 3, "b": 3}
    assert i.blocked_tools == (f"t_{GONE}",)
    assert i.error.message == f"not known: {GONE}"


@pytest.mark.parametrize(
    "change",
    [{"unknown": {KEY: 1}}, {"error": NotEvaluated(KEY)}, {"blocked_tools": (KEY,)}],
    ids=lambda change: next(iter(change)),
)
def test_it_is_found_where_no_body_was_kept(change):
    [(name, _)] = change.items()
    left = getattr(answered(**change), name)
    assert KEY not in (left.message if name == "error" else repr(left))


@pytest.mark.parametrize(
    "event", [Start("", KEY), TextDelta(KEY), ReasoningDelta(KEY), ToolCallDelta(0, name=KEY)]
)
def test_it_is_found_in_each_part_of_an_answer(event):
    said = answered(event).completion
    assert KEY not in repr((said.model, said.parts()))


def test_pieces_that_would_be_whole_again_are_not_kept():
    body = chunk(content=f"a {KEY[:9]}") + chunk(content=KEY[9:])
    i = answered(TextDelta(f"a {KEY[:9]}"), TextDelta(KEY[9:]), body=body)
    assert (i.completion.text, i.response) == (f"a {GONE}", GONE.encode())
    i = answered(TextDelta(KEY), body=chunk(content=KEY).replace(b"/", b"\\/"))
    assert i.response == GONE.encode()
    i = answered(TextDelta(KEY), body=chunk(content=KEY))
    assert i.response == chunk(content=GONE)
    assert GONE in Recollection.of(i, i.request.body, i.response).answered()


def test_what_does_not_repeat_it_stays():
    body = chunk(content="a")
    i = answered(TextDelta("a"), body=body, unknown={"b": 1})
    assert i.response is body
    assert (i.completion.text, i.unknown) == ("a", {"b": 1})
    for credential in (Credential(), Credential(secret="a")):
        assert answered(TextDelta("a"), body=body, credential=credential).response is body
