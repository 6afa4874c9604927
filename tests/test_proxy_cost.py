"""What real exchanges used and cost, in the log of a running gateway."""

from collections.abc import AsyncIterator

import orjson
import pytest
import pytest_asyncio

from tests.clients.scripted import Scripted, http, request, scripted
from tests.harness.upstream import begin, finish, head, last, rst, say, terminator

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "authorization: Bearer sk-secret-1"
SAID = {"role": "user", "content": "hello world"}
FIELDS = ("usage_source", "input_tokens", "output_tokens", "cost", "baseline_cost")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gate() -> AsyncIterator[Scripted]:
    async with scripted() as running:
        yield running


ANSWER = [head(), begin(), say("Hi"), finish(), terminator(), last()]

UNLISTED = http(
    b'{"id":"1","model":"in-house","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":11,"completion_tokens":7}}'
)


@pytest.mark.parametrize(
    ("model", "answer", "expected"),
    [
        # $0.15 and $0.60 a million.
        ("gpt-4o-mini", ANSWER, ("reported", 11, 7, "0.00000585", "0.00000585")),
        ("gpt-4o-mini", [head(), begin(), say("hello world"), rst()], ("estimated", 2, 2, "0.0000015", "0.0000015")),
        ("in-house", UNLISTED, ("reported", 11, 7, None, None)),
        ("gpt-4o-mini", http(b'{"error":{"message":"no"}}', "HTTP/1.1 404 Not Found"), ("none", None, None, None, None)),
    ],
    ids=["whole", "broken", "unlisted", "refused"],
)  # fmt: skip
async def test_what_it_cost(gate, model, answer, expected):
    sent = orjson.dumps({"model": model, "messages": [SAID], "stream": True})
    got, _ = await gate.ask(request("/v1/openai/chat/completions", sent, [KEY]), answer)
    record = await gate.record(got)
    assert tuple(record[field] for field in FIELDS) == expected
    assert (record["price"] is None) == (expected[3] is None)
