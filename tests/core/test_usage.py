"""What an answer used: what was said stays, what was not is estimated, and what did not run used nothing."""

import msgspec
import pytest

from gateway.core.adapter import OpaqueResponse
from gateway.core.provider import Endpoint
from gateway.core.usage import estimate, needs_estimate, settled, size
from gateway.core.view import (
    NULL_USAGE,
    Finish,
    FinishReason,
    ReasoningDelta,
    Start,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from tests.harness.finished import Free, Request, Response, finished

SAID = TextDelta("hello world")  # two tokens
STOP = Finish(FinishReason.STOP)
CUT = "upstream_reset"


def used(i):
    """Return the usage and its source, as they are settled."""
    usage = estimate(i) if needs_estimate(i) else i.completion.usage
    return usage, settled(i, usage)


@pytest.mark.parametrize(
    ("events", "outcome", "expected"),
    [
        # Nothing was left out.
        ([SAID, STOP, Usage(7, 3)], "ok", (Usage(7, 3), "reported")),
        ([SAID, STOP, Usage(7, 0)], "ok", (Usage(7, 0), "reported")),
        ([SAID, STOP, Usage(0, 0)], "ok", (Usage(0, 0), "reported")),
        ([Usage(7)], "ok", (Usage(7), "reported")),  # embeddings have no output
        ([SAID, STOP, Usage(7, 3)], "client_cancelled", (Usage(7, 3), "reported")),
        ([SAID, Usage(7, 1)], "ok", (Usage(7, 1), "reported")),
        # Nothing was said, or not all: null and absent are not zero.
        ([SAID, STOP], "ok", (Usage(2, 2), "estimated")),
        ([SAID, STOP, Usage()], "ok", (Usage(2, 2), "estimated")),
        ([SAID, STOP, Usage(None, 9, 4)], "ok", (Usage(2, 9, 4), "estimated")),
        ([SAID, STOP, Usage(9, None, 4)], "ok", (Usage(9, 2, 4), "estimated")),
        ([STOP], "ok", (Usage(2), "estimated")),
        ([Start("1", "m")], "ok", (Usage(2), "estimated")),
        # It broke off: what had been said by then is a lower bound.
        ([SAID], CUT, (Usage(2, 2), "estimated")),
        ([SAID], "client_cancelled", (Usage(2, 2), "estimated")),
        ([Usage(9, 1), SAID], CUT, (Usage(9, 2), "estimated")),
        ([Usage(9, 8), SAID], CUT, (Usage(9, 8), "reported")),
        ([SAID, STOP], CUT, (Usage(2, 2), "estimated")),
        ([Usage(9, 1)], CUT, (Usage(9, 1), "reported")),
        # It says that nobody knows; but of what broke off it has not had its last word.
        ([SAID, STOP, NULL_USAGE], "ok", (NULL_USAGE, "none")),
        ([SAID, NULL_USAGE], "ok", (NULL_USAGE, "none")),
        (
            [SAID, STOP, Usage(None, 3, input_is_null=True)],
            "ok",
            (Usage(None, 3, input_is_null=True), "reported"),
        ),
        ([SAID, STOP, Usage(3, output_is_null=True)], "ok", (Usage(3, output_is_null=True), "reported")),
        (
            [SAID, STOP, NULL_USAGE, Usage(7, 3)],
            "ok",
            (msgspec.structs.replace(NULL_USAGE, input_tokens=7, output_tokens=3), "reported"),
        ),
        (
            [NULL_USAGE, SAID],
            CUT,
            (msgspec.structs.replace(NULL_USAGE, input_tokens=2, output_tokens=2), "estimated"),
        ),
        # It never ran.
        ([], CUT, (None, "none")),
        ([], "upstream_status", (None, "none")),
        ([Usage()], "upstream_status", (Usage(), "none")),
        ([Start("1", "m")], CUT, (None, "none")),
    ],
)
def test_settling(events, outcome, expected):
    assert used(finished(*events, outcome=outcome)) == expected


@pytest.mark.parametrize("response", [OpaqueResponse, Free])
def test_what_is_free_or_unread_used_nothing_that_is_known(response):
    assert used(finished(response=response)) == (None, "none")


def test_the_answer_is_text_reasoning_and_calls():
    i = finished(SAID, ReasoningDelta("hello world"), ToolCallDelta(0, "1", "hello", '{"a":1}'), STOP)
    assert estimate(i).output_tokens == 2 + 2 + 1 + 5


def test_a_providers_factor_counts_up():
    assert estimate(finished(SAID, STOP, factor=1.2)) == Usage(3, 3)


def test_without_its_body_a_request_is_estimated_by_its_size():
    i = finished(SAID, STOP, body=b"x" * 401)
    i.drop_bodies()
    assert estimate(i) == Usage(100, 2)


def test_size():
    i = finished(SAID, body=b"x" * 10)
    i.response_bytes = 5
    assert size(i) == 15


def test_an_answer_that_nobody_could_read_used_what_nobody_knows():
    i = finished(STOP)
    i.unreadable = 1
    assert used(i) == (None, "none")
    i = finished(SAID, STOP)
    i.unreadable = 1
    assert used(i) == (Usage(2, 2), "estimated")  # what could be read of it is a lower bound


def test_an_answer_of_a_conversation_that_is_nothing_at_all_is_not_known_either():
    i = finished()
    i.endpoint = Endpoint("POST", "/chat", Request, Response, carries_calls=True)
    assert used(i) == (None, "none")


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        ("client_cancelled", (Usage(2), "estimated")),
        ("upstream_reset", (Usage(2), "estimated")),
        ("upstream_timeout", (Usage(2), "estimated")),
        ("draining", (Usage(2), "estimated")),
        ("upstream_status", (None, "none")),  # it refused
    ],
)
def test_what_reached_the_provider_whole_was_read_there(outcome, expected):
    i = finished(outcome=outcome)
    assert used(i) == (None, "none")
    i.ran = True
    assert used(i) == expected
