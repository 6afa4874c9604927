"""Fragments fold into the answer, in whatever order and however often a wire says them."""

import pytest

from gateway.core import view
from gateway.core.errors import ErrorKind
from gateway.core.view import (
    END,
    Completion,
    Finish,
    FinishReason,
    Message,
    Part,
    ReasoningDelta,
    Start,
    StreamError,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Unknown,
    Usage,
    from_client,
    tool_result,
)


def fold(*events):
    completion = Completion()
    for event in events:
        completion.apply(event)
    return completion


def test_nothing():
    completion = fold()
    assert (completion.text, completion.reasoning, completion.tool_calls) == ("", "", ())
    assert (completion.usage, completion.finish_reason, completion.error) == (None, None, None)
    assert (completion.response_id, completion.model, completion.begun) == ("", "", False)


def test_an_answer():
    completion = fold(
        Start("r1", "m1"),
        ReasoningDelta("hm"),
        ReasoningDelta("m"),
        TextDelta("Hel"),
        TextDelta("lo"),
        Start("r2", "m2", 5),
        Unknown("novelty"),
        Finish(FinishReason.STOP),
        END,
    )
    assert (completion.response_id, completion.model) == ("r1", "m1")
    assert (completion.text, completion.reasoning) == ("Hello", "hmm")
    assert completion.finish_reason == "stop"


@pytest.mark.parametrize("event", [TextDelta("a"), ReasoningDelta("a"), ToolCallDelta(0)])
def test_begun(event):
    assert fold(event).begun


@pytest.mark.parametrize("event", [Start("r1"), Usage(1, 2), END, Unknown("x")])
def test_not_begun(event):
    assert not fold(event).begun


@pytest.mark.parametrize(
    ("deltas", "calls"),
    [
        ([ToolCallDelta(0)], [ToolCall("", "", "{}", ("",))]),
        (
            [ToolCallDelta(0, "c1", "f", '{"a"'), ToolCallDelta(0, "", "", ":1}")],
            [ToolCall("c1", "f", '{"a":1}', ("f",))],
        ),
        (  # interleaved, and in the order in which they began
            [ToolCallDelta(3, "c3", "f"), ToolCallDelta(1, "c1", "g"), ToolCallDelta(3, arguments="[]")],
            [ToolCall("c3", "f", "[]", ("f",)), ToolCall("c1", "g", "{}", ("g",))],
        ),
        (  # the first id counts
            [ToolCallDelta(0, "c1", "f"), ToolCallDelta(0, "c2")],
            [ToolCall("c1", "f", "{}", ("f",))],
        ),
        (  # a name in every delta, as some wires repeat it
            [ToolCallDelta(0, "c1", "f"), ToolCallDelta(0, "c1", "f")],
            [ToolCall("c1", "f", "{}", ("f", "ff"))],
        ),
        (  # a name in pieces: clients differ
            [ToolCallDelta(0, "c1", "sh"), ToolCallDelta(0, "", "ell")],
            [ToolCall("c1", "shell", "{}", ("sh", "shell", "ell"))],
        ),
        (  # in three pieces: some clients begin anew in the middle
            [ToolCallDelta(0, "c1", "a"), ToolCallDelta(0, "", "b"), ToolCallDelta(0, "", "c")],
            [ToolCall("c1", "abc", "{}", ("a", "ab", "abc", "b", "bc", "c"))],
        ),
        (
            [ToolCallDelta(0, "c1", "f", aliases=("ns.f", "ns__f"))],
            [ToolCall("c1", "f", "{}", ("f", "ns.f", "ns__f"))],
        ),
        ([ToolCallDelta(0, "c1", "", "")], [ToolCall("c1", "", "{}", ("",))]),
        (
            [
                ToolCallDelta(0, "c1", "f", server_executed=True),
                ToolCallDelta(0, "", "", "1", server_executed=True),
            ],
            [ToolCall("c1", "f", "1", ("f",), server_executed=True)],
        ),
        (  # two calls under one index: what a client would run can't hide behind what the provider runs
            [ToolCallDelta(0, "c1", "f", server_executed=True), ToolCallDelta(0, "c2", "g")],
            [ToolCall("c1", "fg", "{}", ("f", "fg", "g"))],
        ),
    ],
)
def test_tool_calls(deltas, calls):
    assert fold(*deltas).tool_calls == tuple(calls)


def test_a_name_in_very_many_pieces_has_a_bounded_number_of_readings():
    completion = fold(*(ToolCallDelta(0, name="x") for _ in range(1000)))
    (call,) = completion.tool_calls
    assert "x" * 1000 in call.names
    assert len(call.names) <= 200


def test_is_name():
    completion = fold(ToolCallDelta(0, "c1", "sh"), ToolCallDelta(0, "", "ell"), ToolCallDelta(1))
    assert [name for name in ("", "s", "sh", "ell", "shell") if completion.is_name(0, name)] == [
        "sh",
        "ell",
        "shell",
    ]
    assert completion.is_name(1, "")
    assert not completion.is_name(1, "shell")


def test_what_is_kept_is_bounded(monkeypatch):
    monkeypatch.setattr(view, "TEXT_LIMIT", 5)
    completion = fold(TextDelta("abc"), ReasoningDelta("de"), TextDelta("f"), ReasoningDelta("g"))
    assert (completion.text, completion.reasoning, completion.begun) == ("abc", "de", True)


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        ([Usage()], Usage()),
        ([Usage(1, 2)], Usage(1, 2)),
        ([Usage(1, 0), Usage(1, 7), Usage(None, 5)], Usage(1, 5)),
        ([Usage(0), Usage(None, 3, 4, 5, 6, 7)], Usage(0, 3, 4, 5, 6, 7)),
    ],
)
def test_usage_is_what_was_said_last(said, usage):
    assert fold(*said).usage == usage


@pytest.mark.parametrize(
    ("reasons", "finish"),
    [
        (["stop"], "stop"),
        (["stop", "length"], "length"),
        (["tool_calls", "stop"], "tool_calls"),
        (["stop", "tool_calls"], "tool_calls"),
    ],
)
def test_finish_reason(reasons, finish):
    assert fold(*(Finish(FinishReason(reason)) for reason in reasons)).finish_reason == finish


@pytest.mark.parametrize(
    ("events", "parts"),
    [
        ([], ()),
        ([TextDelta("a"), TextDelta("b")], (Part("text", "ab"),)),
        (
            [
                ToolCallDelta(0, "c1", "f"),
                TextDelta("t"),
                ReasoningDelta("r"),
                ToolCallDelta(1, "", "g", "[]"),
            ],
            (
                Part("reasoning", "r"),
                Part("text", "t"),
                Part("tool_call", id="c1", name="f", arguments="{}"),
                Part("tool_call", name="g", arguments="[]"),
            ),
        ),
    ],
)
def test_the_parts_of_an_answer(events, parts):
    assert fold(*events).parts() == parts


def test_a_result_is_one_text_and_what_else_it_has():
    image = Part("image", media_type="image/png")
    parts = tool_result([Part("text", "a"), image, Part("text", "b")], "c1", "f", is_error=True)
    assert parts == (Part("tool_result", "a\nb", "c1", "f", is_error=True), image)
    assert tool_result((), "c1") == (Part("tool_result", id="c1"),)


@pytest.mark.parametrize(
    ("kinds", "role"),
    [
        ((), "user"),
        (("text",), "user"),
        (("image",), "user"),
        (("tool_result",), "tool"),
        (("tool_result", "image"), "tool"),
        (("tool_result", "text"), "user"),
    ],
)
def test_who_sends_results(kinds, role):
    parts = tuple(Part(kind) for kind in kinds)
    assert from_client(parts) == Message(role, parts)


def test_error():
    error = StreamError(ErrorKind.OVERLOADED, "busy")
    assert fold(TextDelta("a"), error).error is error
