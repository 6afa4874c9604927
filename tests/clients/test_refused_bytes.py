"""What leaves the socket of a gating gateway: no byte of a refused call, and all else byte for byte."""

from collections.abc import AsyncIterator

import orjson
import pytest
import pytest_asyncio

from tests.clients.scripted import GATED, Scripted, scripted
from tests.harness.dialects import DIALECTS, STREAMED, WHOLE, Dialect, Responses, read_sse
from tests.harness.upstream import (
    Frames,
    ScriptStep,
    begin,
    call,
    chunk,
    finish,
    head,
    last,
    say,
    terminator,
    whole,
)

LEAKS = (
    b"canary_arg",
    b"c4n4ry",
    b"call_1",
    b"toolu_1",
    b"fc_1",
    b"function_call",
    b"tool_use",
    b"functionCall",
)
pytestmark = pytest.mark.asyncio(loop_scope="module")
each_split = pytest.mark.parametrize("split", ["whole", "event", "byte", "random"])


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gated() -> AsyncIterator[Scripted]:
    async with scripted({"TEST_REFUSED_TOOLS": "canary_tool"}, GATED) as running:
        yield running


def ending(tool: str) -> list[ScriptStep]:
    """How a call ends on each wire: its finish, and the terminal event that repeats it where there is one."""

    def frames(dialect: Dialect) -> list[bytes]:
        if not isinstance(dialect, Responses):
            return [*dialect.finish("tool"), *dialect.end()]
        response = dialect._response("completed", dialect._output("Let me look.", tool))
        return [dialect._event("response.completed", response=response)]

    return [Frames(frames), last()]


def streamed(tool: str) -> list[ScriptStep]:
    return [head(), begin(), say("Let me look."), call(tool), *ending(tool)]


def sent(steps: list[ScriptStep], dialect: Dialect) -> bytes:
    return b"".join(frame for step in steps if isinstance(step, Frames) for frame in step.of(dialect))


def assert_refused(body: bytes) -> None:
    for leak in LEAKS:
        assert leak not in body
    assert body.count(b"canary_tool") == body.count(b"canary_tool was denied by a tool invocation policy") > 0


@each_split
@pytest.mark.parametrize("name", STREAMED)
async def test_no_byte_of_a_refused_stream(gated, name, split):
    dialect = DIALECTS[name]
    got, _ = await gated.ask(
        dialect.request(stream=True), streamed("canary_tool"), dialect=dialect, split=split
    )
    assert got.ended == "complete"
    assert_refused(got.raw)
    assert b"Let me look." in got.response.body
    record = await gated.record(got)
    assert record["outcome"] == "policy_blocked"
    assert record["output_tokens"] == 7
    if name == "gemini_array":
        assert orjson.loads(got.response.body)
    else:
        assert all(data == b"[DONE]" or orjson.loads(data) for _, data in read_sse(got.response.body))


@pytest.mark.parametrize("name", WHOLE)
async def test_no_byte_of_a_refused_body(gated, name):
    dialect = DIALECTS[name]
    answer = [whole(dialect.whole(tool="canary_tool"))]
    got, _ = await gated.ask(dialect.request(stream=False), answer, dialect=dialect)
    assert_refused(got.raw)
    assert orjson.loads(got.response.body)
    assert int(got.response.header("content-length")) == len(got.response.body)


@pytest.mark.parametrize("label", ['APPLICATION/JSON;Charset="UTF-8"', "text/plain"])
@pytest.mark.parametrize("name", WHOLE)
async def test_a_refused_body_is_labelled_as_what_the_gateway_wrote(gated, name, label):
    """Some clients know JSON by its lower case alone; an answer that passes keeps its label."""
    dialect = DIALECTS[name]
    for tool, expected in (("canary_tool", ["application/json"]), ("allowed_tool", [label])):
        body = dialect.whole(tool=tool)
        answer = [head(sse=False, media_type=label, length=len(body)), chunk(body)]
        got, _ = await gated.ask(dialect.request(stream=False), answer, dialect=dialect)
        assert [value for key, value in got.response.headers if key == "content-type"] == expected
        assert (b"canary_arg" in got.raw) is (tool == "allowed_tool")


@each_split
@pytest.mark.parametrize("name", STREAMED)
async def test_allowed_call_is_byte_identical(gated, name, split):
    dialect = DIALECTS[name]
    steps = streamed("allowed_tool")
    got, _ = await gated.ask(dialect.request(stream=True), steps, dialect=dialect, split=split)
    assert got.response.body == sent(steps, dialect)
    assert (await gated.record(got))["outcome"] == "ok"


@each_split
@pytest.mark.parametrize("name", STREAMED)
async def test_text_is_byte_identical(gated, name, split):
    dialect = DIALECTS[name]
    steps = [head(), begin(), say("Hi, é \u2028 there"), finish("stop"), terminator(), last()]
    got, _ = await gated.ask(dialect.request(stream=True), steps, dialect=dialect, split=split)
    assert got.response.body == sent(steps, dialect)


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("tool", ["", "allowed_tool"])
async def test_whole_body_is_byte_identical(gated, name, tool):
    dialect = DIALECTS[name]
    body = b"\n  " + dialect.whole(tool=tool) + b"\n"
    got, _ = await gated.ask(dialect.request(stream=False), [whole(body)], dialect=dialect)
    assert got.response.body == body
