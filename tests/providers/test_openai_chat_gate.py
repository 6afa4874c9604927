"""What of the chat format passes a gate, and how a refused answer ends, judged by OpenAI's own client."""

import json  # noqa: TID251  # attacks hold what strict encoders refuse to write
from collections.abc import Iterator

import httpx2
import openai
import pytest

from gateway.core.errors import NotEvaluated
from gateway.core.framing import framer_for
from gateway.core.relay import Relay
from gateway.core.view import Completion
from gateway.providers.openai import ChatResponse
from tests.providers.openai_chat_frames import HEAD, adapter, call, calls, chunk, frame, whole_message

REFUSAL = "The tool canary was denied."


def gated(
    body: bytes,
    step: int,
    *,
    streamed: bool = True,
    reader: ChatResponse | None = None,
    completion: Completion | None = None,
) -> tuple[bytes, Relay]:
    relay = Relay(
        framer_for("text/event-stream" if streamed else "application/json", 1 << 20, streamed=False),
        reader or adapter(streamed=streamed),
        completion or Completion(),
        gate=True,
    )
    passed = b""
    for start in range(0, len(body), step):
        passed += relay.feed(body[start : start + step])
        if relay.done or relay.failure:
            break
    return passed + relay.close(), relay


def client(body: bytes, content_type: str = "text/event-stream") -> openai.OpenAI:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": content_type}, content=body)

    transport = httpx2.Client(transport=httpx2.MockTransport(answer))
    return openai.OpenAI(api_key="sk", base_url="http://test/v1", http_client=transport, max_retries=0)


def seen_calls(body: bytes) -> Iterator[object]:
    """Whatever the client shows of a call, the members included that its types do not name."""
    for seen in client(body).chat.completions.create(model="m", messages=[], stream=True):
        for choice in seen.choices:
            parts = [choice.delta, getattr(choice, "message", None)]
            for part in filter(None, parts):
                said = part if isinstance(part, dict) else part.model_dump()
                yield from filter(None, (said.get("tool_calls"), said.get("function_call")))


SPLIT = call(arguments="")
SPLIT["function"]["name"] = "can"
ATTACKS = {
    "plain": [chunk(calls(call()))],
    "choice 3": [chunk(calls(call()), index=3)],
    "legacy": [chunk({"function_call": {"name": "canary", "arguments": "{}"}})],
    "custom": [chunk(calls({"index": 0, "type": "custom", "custom": {"name": "canary", "input": "x"}}))],
    "after the finish": [chunk({}, "stop"), chunk(calls(call()))],
    "mixed with text": [chunk({"content": "secret", **calls(call())})],
    "message": [whole_message(tool_calls=[call()])],
    "message beside delta": [{**HEAD, "choices": [{"index": 0, "delta": {}, "message": calls(call())}]}],
    "with usage": [chunk(calls(call()), "tool_calls", usage={"prompt_tokens": 1, "completion_tokens": 1})],
    "string index": [chunk(calls(call("0")))],
    "huge index": [chunk(calls(call(10**30)))],
    "negative index": [chunk(calls(call(-1)))],
    "no index": [chunk(calls({"id": "c1", "function": {"name": "canary", "arguments": "{}"}}))],
    "unknown kind": [chunk(calls({"index": 0, "type": "x", "x": {"name": "canary"}}))],
    "name in pieces": [
        chunk(calls(SPLIT)),
        chunk(calls({"index": 0, "function": {"name": "ary", "arguments": "{}"}})),
    ],
    "in an error": [chunk(calls(call()), error={"message": "m"})],
    "escaped key": [json.dumps(chunk(calls(call()))).replace("tool_calls", "\\u0074ool_calls").encode()],
    "two keys": [
        json.dumps(chunk({"content": "x", "x": 1}))
        .replace('"x": 1', '"tool_calls": [], "tool_calls": [1]')
        .encode()
    ],
    "in another member": [chunk({"content": "a", "calls": [{"name": "canary", "args": {}}]})],
}


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
@pytest.mark.parametrize("attack", ATTACKS)
def test_no_call_passes_a_gate_before_the_verdict(attack, step):
    payloads = [
        chunk({"role": "assistant", "content": "Hi"}),
        *ATTACKS[attack],
        chunk({}, "tool_calls"),
        b"[DONE]",
    ]
    body = b"".join(frame(payload).raw for payload in payloads)
    passed, relay = gated(body, step)
    assert b"ary" not in passed
    assert relay.failure or relay.held or attack == "in an error"
    assert list(seen_calls(passed)) == []
    if not relay.failure:
        ending = relay.refuse(REFUSAL)
        assert b"ary" not in ending.replace(REFUSAL.encode(), b"")
        assert list(seen_calls(passed + ending)) == []
        with client(passed + ending).chat.completions.stream(model="m", messages=[]) as stream:
            done = stream.get_final_completion()
        answer = {choice.index: choice for choice in done.choices}
        assert done.id == "chatcmpl-1"
        assert any((choice.message.content or "").endswith(REFUSAL) for choice in answer.values())
        assert {choice.finish_reason for choice in answer.values()} <= {"stop", "tool_calls"}
        assert not any(choice.message.tool_calls for choice in answer.values())
    else:
        ending = relay.fail(relay.failure)
        with pytest.raises(openai.APIError):
            list(seen_calls(passed + ending))


def test_a_refusal_takes_the_place_of_held_frames_only():
    frames = [
        chunk({"role": "assistant", "content": "One"}, service_tier="default", usage=None),
        chunk({"content": " two", "reasoning": "h", **calls(call())}, usage=None),
        chunk({"content": " three"}, usage=None),
        chunk({}, "tool_calls", usage=None),
        {**HEAD, "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}},
        b"[DONE]",
    ]
    passed, relay = gated(b"".join(frame(payload).raw for payload in frames), 1 << 20)
    assert passed == frame(frames[0]).raw
    payloads = relay.refuse(REFUSAL).decode().split("\n\n")
    assert payloads[-2:] == ["data: [DONE]", ""]
    sent = [json.loads(payload.removeprefix("data: ")) for payload in payloads[:-2]]
    assert all({key: one[key] for key in HEAD} == HEAD for one in sent)
    assert [one["choices"][0]["delta"] for one in sent[:-1]] == [
        {"content": " two", "reasoning": "h"},
        {"content": " three"},
        {"content": "\n\n" + REFUSAL},
        {},
    ]
    assert [one["choices"][0]["finish_reason"] for one in sent[:-1]] == [None, None, None, "stop"]
    assert [one["usage"] for one in sent[:-1]] == [None] * 4
    assert sent[-1] == frames[4]


def test_a_refusal_of_one_choice_leaves_the_others():
    frames = [
        chunk({"role": "assistant"}),
        chunk({"role": "assistant", **calls(call())}, index=1),
        chunk({"content": "Sunny."}),
        chunk({}, "stop"),
        chunk({}, "tool_calls", index=1),
        b"[DONE]",
    ]
    reader = adapter(body=b'{"model":"gpt-x","stream":true,"n":2}')
    passed, relay = gated(b"".join(frame(payload).raw for payload in frames), 1 << 20, reader=reader)
    assert passed == frame(frames[0]).raw
    with client(passed + relay.refuse(REFUSAL)).chat.completions.stream(model="m", messages=[]) as stream:
        done = stream.get_final_completion()
    by_index = {choice.index: choice for choice in done.choices}
    assert (by_index[0].message.content, by_index[0].finish_reason) == ("Sunny.", "stop")
    assert by_index[1].message.content.endswith(REFUSAL)
    assert (by_index[1].finish_reason, by_index[1].message.role) == ("stop", "assistant")


def test_a_refused_body_keeps_what_is_not_about_the_calls():
    message = {"role": "assistant", "content": "Look.", "extra": 1.50, "refusal": None, **calls(call())}
    one = {"index": 0, "message": message, "finish_reason": "tool_calls", "logprobs": {"content": ["canary"]}}
    other = {"index": 1, "message": {"content": "B"}, "finish_reason": "length", "logprobs": None}
    odd = {"index": 2, "delta": {"function_call": {}}, "finish_reason": "function_call"}
    body = json.dumps({**HEAD, "choices": [one, other, odd], "vendor": {"n": 1.0}}).encode()
    passed, relay = gated(body, 11, streamed=False)
    assert passed == b""
    answer = relay.refuse(REFUSAL)
    assert b"canary" not in answer.replace(REFUSAL.encode(), b"")
    assert b'"vendor": {"n": 1.0}' in answer
    read_back = json.loads(answer)
    first, second, third = read_back.pop("choices")
    kept = {"role": "assistant", "content": "Look.\n\n" + REFUSAL, "extra": 1.5, "refusal": None}
    assert first == {"index": 0, "message": kept, "finish_reason": "stop", "logprobs": None}
    assert second == other
    assert third == {
        "index": 2,
        "message": {"role": "assistant", "content": REFUSAL},
        "finish_reason": "stop",
    }
    done = client(answer, "application/json").chat.completions.create(model="m", messages=[])
    assert done.choices[0].message.tool_calls is None


def test_our_error_ends_a_stream_without_its_terminator():
    passed, relay = gated(frame(chunk({"role": "assistant", "content": "Hi"})).raw, 1 << 20)
    ending = relay.fail(NotEvaluated("the gateway can't judge it"))
    assert b"[DONE]" not in ending
    with pytest.raises(openai.APIError, match="can't judge it"):
        list(seen_calls(passed + ending))
