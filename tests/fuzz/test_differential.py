"""Calls that a client sees in what left the gate are a subset of those that policies allow."""

import msgspec
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from tests.fuzz import reader
from tests.fuzz.answers import cases, regular_cases
from tests.fuzz.case import FORMATS
from tests.fuzz.oracle import check
from tests.fuzz.profiles import NIGHT, TIMEOUT, examples

_ENDS = {
    "chat": b'"finish_reason":"',
    "responses": b'"type":"response.completed"',
    "anthropic": b'"stop_reason":"',
    "gemini": b'"finishReason":"',
}
"""What says that nothing of a stream is missing."""
pytestmark = pytest.mark.timeout(TIMEOUT)


@pytest.mark.parametrize("name", FORMATS)
def test_no_client_sees_a_call_that_policies_refuse(name):
    @examples()
    @given(cases(name))
    def run(case):
        got = check(case, silent=NIGHT)
        event("refused" if got.refusal else "failed" if got.error else "released")

    run()


@pytest.mark.parametrize("name", FORMATS)
def test_a_regular_answer_passes_as_it_came_or_is_refused(name):
    @examples(0.15)
    @given(regular_cases(name))
    def run(case):
        event(case.ends)
        check(case, regular=True)

    run()


@pytest.mark.parametrize("name", FORMATS)
def test_an_answer_that_breaks_off_shows_no_call(name):
    @examples(0.15)
    @given(regular_cases(name), st.data())
    def run(case, data):
        last = case.body.rfind(_ENDS[name]) if case.stream else len(case.body.rstrip()) - 1
        end = data.draw(st.integers(0, last))
        got = check(msgspec.structs.replace(case, body=case.body[:end], ends=""))
        assert not reader.calls(got.body)
        event("failed" if got.error else "ended")

    run()
