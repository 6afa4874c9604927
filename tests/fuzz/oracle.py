"""What must hold of every answer that left the gate, however it came."""

from collections.abc import Iterator
from typing import Any

import orjson

from tests.fuzz import clients, judge, reader, sdks
from tests.fuzz.case import SSE, Case, keep
from tests.fuzz.gate import Result, play
from tests.fuzz.judge import Call
from tests.fuzz.words import VALUE


def check(case: Case, *, regular: bool = False, silent: bool = True) -> Result:
    """Let an answer through, and have everybody read it; a counter-example is written to a file.

    ``regular``: the vendor's client can read it, so that it must show a refusal. ``silent``: what refused calls say is
    said nowhere else; of an answer that was mutated that can be too much to ask.
    """
    try:
        got = _check(case, silent=silent)
        # The vendor's client reads no array that grows.
        if regular and got.refusal and case.stream is (case.content_type == SSE):
            _check_refusal(case, got)
        return got
    except BaseException as error:
        error.add_note(f"Counter-example: {keep(case)}")
        raise


def _check(case: Case, *, silent: bool = True) -> Result:
    got = play(case)
    seen = list(_seen(case, got))
    for who, call in seen:
        assert not judge.refused(case.policy, call), f"{who} sees {call!r}"
        assert not got.refusal, f"{who} sees {call!r} beside a refusal"
        assert got.error is None, f"{who} sees {call!r} beside {got.error!r}"
    documents = reader.documents(got.body)
    if got.body and not got.error:
        known = {_hashable(call) for call in reader.calls(case.body)}
        made_up = [call for call in reader.calls(got.body) if _hashable(call) not in known]
        assert not made_up, f"the gate made up {made_up!r}"
    if silent and _may_not_say(case):
        said = [
            got.body.decode("utf-8", "replace"),
            *(text for each in documents for text in reader.texts(each)),
        ]
        assert not any(VALUE in text for text in said), "an argument of a refused call left"
    if got.refusal:
        assert orjson.dumps(got.refusal)[1:-1] in got.body, "the refusal is not in the answer"
    if case.ends == "released":
        assert got.error is None, got.error
        assert got.body == case.body, "an answer of which all is allowed was changed"
    elif case.ends == "refused":
        assert got.refusal, got
    elif case.ends == "failed":
        assert got.error is not None, got
    return got


def _seen(case: Case, got: Result) -> Iterator[tuple[str, Call]]:
    """Yield the calls that somebody sees in what left the gate, and who does."""
    put_together = clients.CLIENTS[case.format]
    found = reader.documents(got.body)
    for call in reader.calls(got.body):
        yield "a reader of everything", call
    for first in (False, True):
        for call in put_together([reader.plain(each, first=first, fold=True) for each in found]):
            yield "a client that puts calls together", call
    if got.status != 200 or not got.body:
        return
    ways = sdks.documents(case.format, got.body, case.content_type, stream=case.stream)
    for way, documents in ways:
        pairs = [_pairs(document) for document in documents]
        for pair in pairs:
            for call in reader.calls_in(pair):
                yield f"the vendor's client ({way})", call
        for call in put_together([reader.plain(pair, fold=True) for pair in pairs]):
            yield f"the vendor's client ({way}), its calls put together", call


def _pairs(value: Any) -> Any:
    if isinstance(value, dict):
        return reader.Pairs([(key, _pairs(child)) for key, child in value.items()])
    return [_pairs(each) for each in value] if isinstance(value, list) else value


def _may_not_say(case: Case) -> bool:
    """Whether the upstream says the value in calls only, and in none, read in any way, that is allowed."""
    found = reader.documents(case.body)
    if any(_says_elsewhere(document) for document in found):
        return False  # what is said as text is text
    read = list(reader.calls(case.body))
    for first in (False, True):
        read += clients.CLIENTS[case.format]([reader.plain(each, first=first, fold=True) for each in found])
    saying = [call for call in read if VALUE in repr(call[1])]
    return bool(saying) and all(judge.refused(case.policy, call) for call in saying)


_HOLDERS = frozenset(
    {
        ("function", "arguments"),
        ("custom", "input"),
        ("function_call", "arguments"),
        ("input_json_delta", "partial_json"),
        ("response.function_call_arguments.delta", "delta"),
        ("response.function_call_arguments.done", "arguments"),
        ("response.custom_tool_call_input.delta", "delta"),
        ("response.custom_tool_call_input.done", "input"),
    }
)
"""Where a call's arguments are: the member that holds the call, or its type, and the member of it."""
_NAMED = frozenset(
    {
        ("content_block", "input"),
        ("content", "input"),
        ("item", "arguments"),
        ("item", "input"),
        ("output", "arguments"),
        ("output", "input"),
        ("functionCall", "args"),
        ("function_call", "args"),
    }
)
"""The same, where there is a name beside them."""


def _says_elsewhere(value: Any, place: str = "") -> bool:
    """Whether a document says the value where no call has its arguments."""
    if isinstance(value, reader.Pairs):
        kinds = [child for key, child in value if key == "type"]
        kind = kinds[0] if len(kinds) == 1 and isinstance(kinds[0], str) else ""
        holders = _HOLDERS | _NAMED if any(key == "name" for key, _ in value) else _HOLDERS
        return any(
            _says_elsewhere(child, key) for key, child in value if not ({(place, key), (kind, key)} & holders)
        )
    if isinstance(value, list):
        return any(_says_elsewhere(child, place) for child in value)
    return isinstance(value, str) and VALUE in value


def _check_refusal(case: Case, got: Result) -> None:
    for way, documents in sdks.documents(case.format, got.body, case.content_type, stream=case.stream):
        said = "".join(text for document in documents for text in reader.texts(_pairs(document)))
        assert got.refusal in said, f"the vendor's client ({way}) does not show the refusal: {documents!r}"


def _hashable(value: Any) -> str:
    return repr(value)
