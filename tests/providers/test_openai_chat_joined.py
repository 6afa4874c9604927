"""Calls that some clients of the chat format put together otherwise than others, judged by what OpenAI's own reads."""

from typing import Any

import pytest

from gateway.core.view import Completion
from gateway.providers import load
from tests.providers.openai_chat_frames import HEAD, call, calls, chunk, frame
from tests.providers.test_openai_chat_gate import client, gated

A = '{"secret_arg":1}'


def piece(index: object, id: str = "", **function: Any) -> dict:  # noqa: A002  # the wire's word
    named = {"id": id, "type": "function"} if id else {}
    return chunk(calls({"index": index, **named, "function": function}))


def judged(*payloads: dict) -> tuple[set[str], str, bytes]:
    """Every name of every call in the verdict, why there can be none, and the whole stream."""
    frames = [chunk({"role": "assistant", "content": ""}), *payloads, chunk({}, "tool_calls"), b"[DONE]"]
    body = b"".join(frame(payload).raw for payload in frames)
    completion = Completion()
    passed, relay = gated(body, 1 << 20, completion=completion)
    assert b"secret_arg" not in passed
    names = {name for call in completion.tool_calls for name in (call.name, *call.names)}
    return names, str(relay.failure or ""), body


def read_by_client(body: bytes) -> set[tuple[str, str]]:
    """Return the calls that the client's own assembly holds."""
    with client(body).chat.completions.stream(model="m", messages=[]) as stream:
        done = stream.get_final_completion()
    said = [call for choice in done.choices for call in choice.message.tool_calls or ()]
    return {(call.function.name, call.function.arguments) for call in said}


DOUBTFUL = {
    "a name split over two ids": [
        piece(0, "a", name="canary_", arguments=A),
        piece(0, "b", name="tool"),
    ],
    "the second of one index is not complete": [
        piece(0, "a", name="canary_", arguments=A),
        piece(0, "b", name="tool", arguments='{"a":'),
        piece(0, arguments="1}"),
    ],
    "the first of one index is not complete": [
        piece(0, "a", name="canary_", arguments=""),
        piece(0, "b", name="tool", arguments=A),
    ],
    "a whole call in the middle of a call": [
        piece(0, "a", name="ok", arguments='{"a":'),
        piece(0, "a", name="ok", arguments=A),
        piece(0, arguments="}"),
    ],
    "a name beside the function": [
        piece(0, "a", name="ok", arguments=""),
        chunk(calls({"index": 0, "name": "canary_tool", "function": {"arguments": A}})),
    ],
    "arguments beside the function": [
        piece(0, "a", name="ok", arguments=""),
        chunk(calls({"index": 0, "arguments": A, "function": {"arguments": ""}})),
    ],
    "counted from the end": [
        piece(0, "a", name="canary_", arguments=A),
        piece(-1, name="tool"),
    ],
    "a fraction": [piece(1.5, "a", name="ok", arguments=A)],
    "a whole fraction": [piece(1.0, "a", name="ok", arguments=A)],
    "a text": [piece("0", "a", name="ok", arguments=A)],
    "a boolean": [piece(False, "a", name="ok", arguments=A)],
    "beyond 32 bits": [piece(1 << 31, "a", name="ok", arguments=A)],
    "an index that goes on as a text": [
        piece(0, "a", name="ok", arguments=""),
        piece("0", arguments=A),
    ],
    "an indexed call that goes on without": [
        piece(0, "a", name="ok", arguments=""),
        chunk(calls({"function": {"arguments": A}})),
    ],
    "no index, no id and no end": [
        chunk(calls({"function": {"name": "ok", "arguments": '{"a":'}})),
        chunk(calls({"function": {"name": "ok", "arguments": A}})),
    ],
    "two kinds in one place": [
        piece(0, "a", name="ok", arguments=A),
        chunk(calls({"index": 0, "type": "custom", "custom": {"name": "canary", "input": ""}})),
    ],
    "a choice counted from the end": [chunk(calls(call(arguments=A)), index=-1)],
    "a choice that is a text": [chunk(calls(call(arguments=A)), index="0")],
    "a choice that is a fraction": [chunk(calls(call(arguments=A)), index=0.5)],
    "a legacy call of such a choice": [
        chunk({"function_call": {"name": "canary", "arguments": A}}, index=-1)
    ],
    "two choices without index": [
        {**HEAD, "choices": [{"delta": {}}, {"delta": calls(call(arguments=A))}]},
    ],
}


@pytest.mark.parametrize("payloads", DOUBTFUL.values(), ids=DOUBTFUL)
def test_what_clients_count_in_different_ways_is_not_judged(payloads):
    names, failure, _ = judged(*payloads)
    assert "index" in failure or "differs" in failure
    assert names


@pytest.mark.parametrize(
    "attack",
    [
        "a name split over two ids",
        "the second of one index is not complete",
        "the first of one index is not complete",
        "counted from the end",
    ],
)
def test_the_client_would_read_a_name_that_no_frame_has(attack):
    _, _, body = judged(*DOUBTFUL[attack])
    assert [name for name, _ in read_by_client(body)] == ["canary_tool"]


JOINED = {
    "complete calls with one index": [
        piece(0, "a", name="canary_", arguments=A),
        piece(0, "b", name="tool", arguments="{}"),
    ],
    "in one frame": [
        chunk(calls(call(0, "a", "canary_", A), call(0, "b", "tool", "{}"))),
    ],
    "three of them": [
        chunk(calls(call(0, "a", "can", A), call(0, "b", "ary_", "{}"), call(0, "c", "tool", "{}"))),
    ],
    "without an id": [
        piece(0, name="canary_", arguments=A),
        piece(0, name="tool", arguments="{}"),
    ],
    "with blank ends": [
        piece(0, "a", name="canary_", arguments=A),
        piece(0, arguments=" "),
        piece(0, arguments="\n"),
        piece(0, "b", name="tool", arguments=" {} "),
    ],
}


@pytest.mark.parametrize("payloads", JOINED.values(), ids=JOINED)
def test_what_a_client_joins_is_judged_under_the_joined_name_too(payloads):
    names, failure, body = judged(*payloads)
    assert failure == ""
    assert {"canary_tool"} <= names
    joined = [arguments for name, arguments in read_by_client(body) if name == "canary_tool"]
    assert joined
    assert joined[0].startswith(A)


def test_calls_with_one_high_index_or_none_are_joined_too():
    names, failure, _ = judged(
        piece(7, "a", name="canary_", arguments=A), piece(7, "b", name="tool", arguments="{}")
    )
    assert (failure, "canary_tool" in names) == ("", True)
    bare = [{"function": {"name": name, "arguments": A}, "id": name} for name in ("canary_", "tool")]
    names, failure, _ = judged(*(chunk(calls(item)) for item in bare))
    assert (failure, names) == ("", {"canary_", "tool", "canary_tool"})


def test_calls_with_one_id_are_joined_too():
    names, failure, _ = judged(
        piece(0, "a", name="canary_", arguments=A), piece(1, "a", name="tool", arguments="{}")
    )
    assert (failure, "canary_tool" in names) == ("", True)
    names, failure, _ = judged(
        piece(0, "a", name="canary_", arguments=A), piece(1, "b", name="tool", arguments="{}")
    )
    assert (failure, "canary_tool" in names) == ("", False)


ORDINARY = {
    "pieces": [piece(0, "a", name="n", arguments=""), piece(0, arguments="{"), piece(0, arguments="}")],
    "an id of its own in every piece": [
        piece(0, "a", name="n", arguments=""),
        piece(0, "b", arguments="{"),
        piece(0, "c", arguments="}"),
    ],
    "an index that begins at one": [
        piece(1, "a", name="n", arguments=""),
        piece(1, arguments="{"),
        piece(1, arguments="}"),
    ],
}


@pytest.mark.parametrize("payloads", ORDINARY.values(), ids=ORDINARY)
def test_a_call_in_pieces_is_one_call(payloads):
    frames = [chunk({"role": "assistant"}), *payloads, chunk({}, "tool_calls"), b"[DONE]"]
    completion = Completion()
    _, relay = gated(b"".join(frame(each).raw for each in frames), 1 << 20, completion=completion)
    assert relay.failure is None
    assert [(call.name, call.arguments) for call in completion.tool_calls] == [("n", "{}")]


def test_parallel_calls_with_their_own_indexes_are_no_more_than_they_are():
    payloads = [
        chunk({"role": "assistant"}),
        chunk(calls(call(0, "a", "n", ""))),
        chunk(calls(call(1, "b", "m", ""))),
        piece(0, arguments="{}"),
        piece(1, arguments="{}"),
        chunk({}, "tool_calls"),
        b"[DONE]",
    ]
    completion = Completion()
    gated(b"".join(frame(each).raw for each in payloads), 1 << 20, completion=completion)
    assert [(call.id, call.name) for call in completion.tool_calls] == [("a", "n"), ("b", "m")]


OTHER_SPELLING = {
    "beside the arguments": chunk(
        calls({"index": 0, "function": {"name": "ok", "arguments": "{}", "Arguments": A}})
    ),
    "in place of the arguments": chunk(calls({"index": 0, "function": {"Arguments": A}})),
    "the calls": chunk({"Tool_Calls": [{"index": 0, "function": {"arguments": A}}]}),
    "the index": chunk(calls({"index": 1, "Index": 0, "function": {"arguments": A}})),
    "the id": chunk(calls({"index": 1, "ID": "a", "function": {"arguments": A}})),
    "the type": chunk(calls({"index": 0, "TYPE": "custom", "function": {"arguments": A}})),
    "free text": chunk(calls({"index": 0, "custom": {"inpuT": A}})),
}


@pytest.mark.parametrize("payload", OTHER_SPELLING.values(), ids=OTHER_SPELLING)
def test_another_spelling_after_a_call_is_not_judged(payload):
    _, failure, _ = judged(piece(0, "a", name="ok", arguments="{}"), payload)
    assert failure


def test_echoes_may_be_spelt_in_any_way():
    first = piece(0, "a", name="ok", arguments="{}")
    assert judged({**first, "metadata": {"ID": "1", "Type": {"Name": "n"}}})[1] == ""


def test_a_call_without_arguments_may_have_those_of_the_one_before():
    def bare(name: str, arguments: str) -> dict:
        return chunk(calls({"id": name, "function": {"name": name, "arguments": arguments}}))

    frames = [bare("canary_", A), bare("tool", ""), chunk({}, "tool_calls"), b"[DONE]"]
    completion = Completion()
    gated(b"".join(frame(each).raw for each in frames), 1 << 20, completion=completion)
    assert [(call.name, call.arguments) for call in completion.tool_calls if "canary_tool" in call.names] == [
        ("canary_", A),
        ("tool", "{}"),
    ]
    assert "index" in judged(bare("n", "{"), bare("m", "}"))[1]
    assert "index" in judged(*(bare(f"n{number}", "") for number in range(20)))[1]


def test_names_of_many_calls_with_one_index_stay_few():
    payloads = [piece(0, f"c{number}", name=f"name{number}", arguments="{}") for number in range(300)]
    completion = Completion()
    frames = [*payloads, chunk({}, "tool_calls"), b"[DONE]"]
    gated(b"".join(frame(each).raw for each in frames), 1 << 20, completion=completion)
    assert len(completion.tool_calls) == 300
    assert max(len(call.names) for call in completion.tool_calls) <= 20
    assert {"name0name1name2", "name298name299"} <= {
        name for call in completion.tool_calls for name in call.names
    }


def test_legacy_completions_are_gated_too():
    endpoint = load()["openai"].match("POST", "/v1/completions").endpoint
    assert endpoint.carries_calls
