"""A history is read once, and what is read of its beginning is the same as if all of it were read again."""

import random
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.edit import split
from gateway.core.histories import Histories, Log
from gateway.core.view import Text, ToolResult
from gateway.providers import load

KIND = (object, ("m",))


class Reader:
    """Counts what it reads: ``{"c": id, "n": name}`` is a call, ``{"r": id}`` its result."""

    def __init__(self) -> None:
        self.read: list[int] = []

    def __call__(self, place: int, element: bytes, log: Log) -> None:
        self.read.append(place)
        value = msgspec.json.decode(element)
        if isinstance(value, dict) and "c" in value:
            log.call(value["c"], value["n"])
        elif isinstance(value, dict) and "r" in value:
            name = log.names.get(value["r"], "") if value["r"] else "x" * log.was_called("x")
            log.results.append(
                ToolResult(value["r"], name, False, ("m", place), (Text(element.decode(), ("m", place)),))
            )


def call(number: int) -> dict[str, Any]:
    return {"c": f"id{number}", "n": f"tool{number % 7}", "pad": "p" * 40}


def result(number: int) -> dict[str, Any]:
    return {"r": f"id{number}", "text": f"result {number} " + "x" * 60}


def turns(count: int) -> list[Any]:
    return [each(number) for number in range(count) for each in (call, result)]


def written(elements: list[Any], *, spaced: bool = False) -> bytes:
    return msgspec.json.format(orjson.dumps(elements), indent=1) if spaced else orjson.dumps(elements)


def read(histories: Histories, elements: list[Any], **how: bool) -> tuple[list[ToolResult], list[int]]:
    reader = Reader()
    log = histories.read(KIND, written(elements, **how), reader)
    return log.results, reader.read


def fresh(elements: list[Any], **how: bool) -> list[ToolResult]:
    return read(Histories(), elements, **how)[0]


@pytest.mark.parametrize("spaced", [False, True])
def test_the_next_turn_reads_only_what_is_new(spaced):
    histories = Histories()
    first, more = turns(100), turns(103)
    assert read(histories, first, spaced=spaced)[1] == list(range(200))
    results, places = read(histories, more, spaced=spaced)
    assert places == list(range(200, 206))
    assert results == fresh(more, spaced=spaced)
    assert [each.name for each in results] == [f"tool{n % 7}" for n in range(103)]
    assert read(histories, more, spaced=spaced) == (results, [])


def test_a_changed_end_costs_some_elements_and_a_changed_beginning_all():
    histories = Histories()
    elements = turns(100)
    read(histories, elements)
    changed = [*elements[:-2], {**elements[-2], "cache": 1}, {**elements[-1], "cache": 1}, call(100)]
    results, places = read(histories, changed)
    assert places == list(range(197, 201))
    assert results == fresh(changed)
    other = [{**elements[0], "n": "other"}, *elements[1:]]
    results, places = read(histories, other)
    assert places == list(range(200))
    assert results[0].name == "other"


def test_names_of_a_branch_are_not_known_in_another():
    histories = Histories()
    trunk = turns(50)
    read(histories, [*trunk, {"c": "late", "n": "secret"}, {"r": "late"}])
    results, _ = read(histories, [*trunk, {"r": "late"}])
    assert results[-1].name == ""
    read(histories, [*trunk, {"c": "", "n": "x"}, {"r": ""}])
    assert read(histories, [*trunk, {"r": ""}])[0][-1].name == ""
    assert read(histories, [*trunk, {"c": "", "n": "x"}, {"r": ""}])[0][-1].name == "x"


def test_a_number_that_goes_on_is_another_element():
    histories = Histories()
    read(histories, [*turns(50), 12])
    results, places = read(histories, [*turns(50), 123, result(1)])
    assert places[-2:] == [100, 101]
    assert 100 in places
    assert results == fresh([*turns(50), 123, result(1)])


def test_short_histories_take_no_memory():
    histories = Histories()
    assert read(histories, turns(5))[1] == read(histories, turns(5))[1] == list(range(10))
    assert histories._size == 0
    assert read(histories, []) == ([], [])


@pytest.mark.parametrize("spaced", [False, True])
def test_its_pieces_are_the_same_objects_at_every_turn(spaced):
    histories = Histories()
    first = histories.read(KIND, written(turns(50), spaced=spaced), Reader())
    array = written(turns(52), spaced=spaced)
    log = histories.read(KIND, array, Reader())
    assert all(old is new for old, new in zip(first.pieces, log.pieces, strict=False))
    assert array[: log.opening] + b"".join(log.pieces) + array[log.known :] == array
    assert len(log.pieces) == 104
    for piece in log.pieces:
        msgspec.json.decode(piece.lstrip(b", \n"))


def test_the_memory_is_bounded():
    histories = Histories(limit=400_000)
    for number in range(200):
        read(histories, [{"c": "x", "n": f"{number}"}, *turns(60)])
    assert 0 < histories._size <= 400_000
    assert histories._size == sum(log.size for logs in histories._alike.values() for log in logs)
    for number in range(50):  # that begin alike
        read(histories, [*turns(30), {"c": "x", "n": f"{number}"}, *turns(30)])
    assert max(map(len, histories._alike.values())) <= 8
    assert histories._size == sum(log.size for logs in histories._alike.values() for log in logs)
    size = histories._size
    read(histories, turns(5000))
    assert histories._size == size, "one that is larger than a quarter is not kept"
    read(histories, [0] * 5000)
    assert histories._size == size, "nor one of which that is true once its tiny elements are apart"


def test_many_small_texts_count_for_what_they_take():
    histories = Histories()

    def take(place: int, element: bytes, log: Log) -> None:
        texts = tuple(Text("b", ("m", place, number)) for number in range(1000))
        log.results.append(ToolResult("", "", False, ("m", place), texts))

    first = histories.read(KIND, written(turns(30)), take)
    assert first.size > 60 * 1000 * 150
    again = histories.read(KIND, written(turns(31)), take)
    assert again.size == histories.read(KIND, written(turns(31)), take).size > first.size
    assert first.first(10).size < first.size / 5


elements = st.lists(
    st.one_of(
        st.integers(0, 5).map(call),
        st.integers(0, 5).map(result),
        st.sampled_from([{"c": "", "n": "x"}, {"r": ""}, 1, 12, "a", None, [], {}, "p" * 5000]),
    ),
    max_size=12,
)


@given(st.lists(elements, min_size=1, max_size=5), st.integers(0, 2**32))
def test_whatever_came_before_the_same_is_read(pieces, seed):
    histories = Histories()
    chance = random.Random(seed)
    history: list[Any] = ["p" * 5000]
    for piece in pieces:
        history = history[: chance.randrange(1, len(history) + 1)] + piece
        spaced = chance.random() < 0.2
        assert read(histories, history, spaced=spaced)[0] == fresh(history, spaced=spaced)
        array = written(history, spaced=spaced)
        log = histories.read(KIND, array, Reader())
        assert array[: log.opening] + b"".join(log.pieces) + array[log.known :] == array
        assert len(log.pieces) == len(history)


PROVIDERS = load()


def chat(rounds: int) -> tuple[str, str, dict[str, Any]]:
    messages: list[Any] = []
    for n in range(rounds):
        function = {"name": f"tool_{n}", "arguments": "{}"}
        messages.append(
            {"role": "assistant", "tool_calls": [{"id": f"c{n}", "type": "function", "function": function}]}
        )
        messages.append({"role": "tool", "tool_call_id": f"c{n}", "content": f"result {n}" * 20})
    return "openai", "/chat/completions", {"model": "m", "messages": messages}


def responses(rounds: int) -> tuple[str, str, dict[str, Any]]:
    items: list[Any] = []
    for n in range(rounds):
        items.append({"type": "function_call", "call_id": f"c{n}", "name": f"tool_{n}", "arguments": "{}"})
        items.append({"type": "function_call_output", "call_id": f"c{n}", "output": f"result {n}" * 20})
    return "openai", "/responses", {"model": "m", "input": items}


def anthropic(rounds: int) -> tuple[str, str, dict[str, Any]]:
    messages: list[Any] = []
    for n in range(rounds):
        messages.append(
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": f"c{n}", "name": f"tool_{n}", "input": {}}],
            }
        )
        block = {"type": "tool_result", "tool_use_id": f"c{n}", "content": f"result {n}" * 20}
        messages.append({"role": "user", "content": [block]})
    return "anthropic", "/v1/messages", {"model": "m", "max_tokens": 9, "messages": messages}


def gemini(rounds: int) -> tuple[str, str, dict[str, Any]]:
    contents: list[Any] = []
    for n in range(rounds):
        contents.append({"role": "model", "parts": [{"functionCall": {"name": f"tool_{n}", "args": {}}}]})
        answer = {"name": f"tool_{n}", "response": {"result": f"result {n}" * 20}}
        contents.append({"role": "user", "parts": [{"functionResponse": answer}]})
    return "gemini", "/v1beta/models/x:generateContent", {"contents": contents}


@pytest.mark.parametrize("made", [chat, responses, anthropic, gemini])
def test_adapters_read_the_same_turn_by_turn(made):
    for rounds in (30, 31, 33, 33, 29, 40):
        provider, path, body = made(rounds)
        match = PROVIDERS[provider].match("POST", path)
        request = match.endpoint.request(orjson.dumps(body), match.params)
        found = request.tool_results
        assert [each.name for each in found] == [f"tool_{n}" for n in range(rounds)]
        assert [each.texts[0].text for each in found] == [f"result {n}" * 20 for n in range(rounds)]
        assert request.pieces == split(request.body, request.history)
        request.set_tool_result(found[-1], "replaced")
        assert b"replaced" in request.encode()
        assert f"result {rounds - 1}".encode() not in request.encode()
        assert f"result {rounds - 2}".encode() in request.encode()
