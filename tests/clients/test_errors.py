"""Every error reaches a vendor's client as the exception that it would raise for its own vendor."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
import pytest
from google.genai import errors as genai_errors

from tests.clients.sdk import anthropic_client, gemini_client, openai_client
from tests.harness.process import Gateway

_OPENAI: dict[int, type[Exception]] = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    413: openai.APIStatusError,
    429: openai.RateLimitError,
}
_ANTHROPIC: dict[int, type[Exception]] = {
    400: anthropic.BadRequestError,
    401: anthropic.AuthenticationError,
    403: anthropic.PermissionDeniedError,
    404: anthropic.NotFoundError,
    413: anthropic.RequestTooLargeError,
    429: anthropic.RateLimitError,
    503: anthropic.ServiceUnavailableError,
    504: anthropic.DeadlineExceededError,
    529: anthropic.OverloadedError,
}


@dataclass(frozen=True)
class Wire:
    """How one vendor's client asks, and what it raises."""

    client: Callable[..., Any]
    ask: Callable[[Any, str, bool], object]
    raised: Callable[[int], type[Exception]]
    broken: type[Exception] | tuple[type[Exception], ...]
    message: Callable[[Any], str]
    kind: Callable[[Any], str]
    column: int  # of OURS


def _ask_chat(client: Any, text: str, stream: bool) -> object:
    messages = [{"role": "user", "content": text}]
    answer = client.chat.completions.create(model="demo-text", messages=messages, stream=stream)
    return list(answer) if stream else answer


def _ask_responses(client: Any, text: str, stream: bool) -> object:
    answer = client.responses.create(model="demo-text", input=text, stream=stream)
    return list(answer) if stream else answer


def _ask_anthropic(client: Any, text: str, stream: bool) -> object:
    messages = [{"role": "user", "content": text}]
    answer = client.messages.create(model="demo-text", max_tokens=500, messages=messages, stream=stream)
    return list(answer) if stream else answer


def _ask_gemini(client: Any, text: str, stream: bool) -> object:
    if stream:
        return list(client.models.generate_content_stream(model="demo-text", contents=text))
    return client.models.generate_content(model="demo-text", contents=text)


def _openai_kind(error: Any) -> str:
    return f"{error.body['type']} {error.body['code']}"


_OPENAI_WIRE: dict[str, Any] = {
    "client": openai_client,
    "raised": lambda status: _OPENAI.get(status, openai.InternalServerError),
    "broken": openai.APIError,
    "message": lambda error: error.message,
    "kind": _openai_kind,
    "column": 0,
}
WIRES = {
    "chat": Wire(ask=_ask_chat, **_OPENAI_WIRE),
    "responses": Wire(ask=_ask_responses, **_OPENAI_WIRE),
    "anthropic": Wire(
        client=anthropic_client,
        ask=_ask_anthropic,
        raised=lambda status: _ANTHROPIC.get(status, anthropic.InternalServerError),
        broken=anthropic.APIStatusError,
        message=lambda error: error.body["error"]["message"],
        kind=lambda error: error.body["error"]["type"],
        column=1,
    ),
    "gemini": Wire(
        client=gemini_client,
        ask=_ask_gemini,
        raised=lambda status: genai_errors.ClientError if status < 500 else genai_errors.ServerError,
        broken=genai_errors.APIError,
        message=lambda error: error.message,
        kind=lambda error: error.status,
        column=2,
    ),
}
OURS = {
    400: ("invalid_request_error invalid_request", "invalid_request_error", "INVALID_ARGUMENT"),
    401: ("authentication_error invalid_api_key", "authentication_error", "UNAUTHENTICATED"),
    404: ("not_found_error not_found", "not_found_error", "NOT_FOUND"),
    413: ("request_too_large request_too_large", "request_too_large", "INVALID_ARGUMENT"),
    502: ("server_error upstream_error", "api_error", "UNAVAILABLE"),
    504: ("timeout_error upstream_timeout", "timeout_error", "DEADLINE_EXCEEDED"),
}
each_wire = pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
each_way = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def _code(error: Any) -> int:
    return int(getattr(error, "status_code", None) or error.code)


def _fails(wire: Wire, gateway: Gateway, status: int, text: str, stream: bool, **options: Any) -> Any:
    """Ask, and return the exception, which is the vendor's own for an error of ours with this status."""
    with wire.client(gateway, **options) as client, pytest.raises(wire.raised(status)) as raised:
        wire.ask(client, text, stream)
    error = raised.value
    assert _code(error) == status
    assert wire.kind(error) == OURS[status][wire.column]
    return error


@each_way
@each_wire
def test_unknown_agent(demo, wire, stream):
    error = _fails(wire, demo, 404, "Hi", stream, agent="nobody")
    assert "nobody" in wire.message(error)
    assert "interaction" in wire.message(error)


@each_way
@each_wire
def test_two_credentials(demo, wire, stream):
    other = "x-api-key" if wire.client is not anthropic_client else "x-goog-api-key"
    headers = {"headers" if wire.client is gemini_client else "default_headers": {other: "another"}}
    assert "two different" in wire.message(_fails(wire, demo, 400, "Hi", stream, **headers))


@each_way
@each_wire
def test_virtual_key_required(gateway_for, wire, stream):
    assert "virtual key" in wire.message(_fails(wire, gateway_for("required"), 401, "Hi", stream))


@each_way
@each_wire
def test_body_too_large(gateway_for, wire, stream):
    assert "2048" in wire.message(_fails(wire, gateway_for("strict"), 413, "x" * 3000, stream))


@each_way
@each_wire
def test_upstream_unreachable(gateway_for, wire, stream):
    assert "connection" in wire.message(_fails(wire, gateway_for("unreachable"), 502, "Hi", stream))


@each_wire
def test_upstream_too_slow(gateway_for, wire):
    """A whole answer: on a stream the fake provider's first event comes before its pause."""
    error = _fails(wire, gateway_for("strict"), 504, "demo-slow-9000-1", stream=False)
    assert "first_byte" in wire.message(error)


def test_answers_that_may_have_run_are_not_repeated(gateway_for):
    with openai_client(gateway_for("strict")) as client, pytest.raises(openai.InternalServerError) as raised:
        _ask_chat(client, "demo-slow-9000-1", stream=False)
    assert raised.value.response.headers["x-should-retry"] == "false"


def test_unlisted_path(demo):
    with openai_client(demo) as client, pytest.raises(openai.NotFoundError, match="forward_unlisted"):
        client.post("/nothing/here", cast_to=object, body={})
    with anthropic_client(demo) as client, pytest.raises(anthropic.NotFoundError, match="forward_unlisted"):
        client.post("/v1/nothing/here", cast_to=object, body={})
    with gemini_client(demo) as client, pytest.raises(genai_errors.ClientError, match="forward_unlisted"):
        client.tunings.get(name="nothing/here")


@each_way
@each_wire
@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 429, 500, 503, 529])
def test_upstream_error(demo, wire, status, stream):
    with wire.client(demo) as client, pytest.raises(wire.raised(status)) as raised:
        wire.ask(client, f"demo-error-{status}", stream)
    assert _code(raised.value) == status
    assert "interaction" not in wire.message(raised.value)  # the vendor's own words, not ours


@each_wire
def test_cut_between_events(gateway_for, wire):
    """A gated answer leaves event by event, so the error follows a whole one, wherever the upstream broke off."""
    gateway = gateway_for("gated")
    with wire.client(gateway) as client, pytest.raises(wire.broken) as raised:
        wire.ask(client, "demo-cut", True)
    assert "broke off" in wire.message(raised.value)


@each_way
@each_wire
def test_cut_anywhere(demo, wire, stream):
    """Half an event, or half a JSON body: what is raised is the client's own choice, but a torso is no answer."""
    start = len(demo.output.records)
    with wire.client(demo) as client, pytest.raises(Exception) as raised:
        wire.ask(client, "demo-cut", stream)
    assert not isinstance(
        raised.value, AttributeError | KeyError | IndexError
    )  # it noticed, rather than tripped
    record = demo.output.wait(lambda record: record.get("event") == "interaction", 5, start)
    assert record["outcome"] == "upstream_reset"


@each_wire
def test_upstream_error_in_mid_stream(demo, wire):
    with wire.client(demo) as client, pytest.raises(wire.broken) as raised:
        wire.ask(client, "demo-error-stream", True)
    assert "interaction" not in str(raised.value)


@pytest.mark.parametrize("text", ["demo-cut", "demo-error-stream"])
async def test_mid_stream_with_the_async_gemini_client(gateway_for, text):
    async with gemini_client(gateway_for("gated")).aio as client:
        with pytest.raises(genai_errors.APIError):
            async for _ in await client.models.generate_content_stream(model="demo-text", contents=text):
                pass


@pytest.mark.parametrize("text", ["demo-cut", "demo-error-stream"])
def test_mid_stream_with_stream_helpers(gateway_for, text):
    gateway = gateway_for("gated")
    messages: Any = [{"role": "user", "content": text}]
    with openai_client(gateway) as client:
        with (
            pytest.raises(openai.APIError),
            client.chat.completions.stream(model="demo-text", messages=messages) as s,
        ):
            s.get_final_completion()
        with pytest.raises(openai.APIError), client.responses.stream(model="demo-text", input=text) as r:
            r.get_final_response()
    with (
        anthropic_client(gateway) as other,
        pytest.raises(anthropic.APIStatusError),
        other.messages.stream(model="demo-text", max_tokens=500, messages=messages) as m,
    ):
        m.get_final_message()


def test_clients_repeat_what_may_be_repeated(demo):
    """The vendor's own hints reach the client: it waits as told, and tries again."""
    start = len(demo.output.records)
    with openai_client(demo, max_retries=1) as client, pytest.raises(openai.RateLimitError):
        _ask_chat(client, "demo-error-429", stream=False)
    both = demo.output.wait(lambda _: len(demo.interactions(start)) == 2, 5, start)
    assert both
    assert [record["status"] for record in demo.interactions(start)] == [429, 429]
