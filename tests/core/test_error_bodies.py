"""Errors pass a gate as they came, but for those out of which a careless client could read a call."""

import pytest

from gateway.core.error_bodies import ErrorFramer, may_hold_call
from gateway.core.frames import Shape

ERRORS = [
    b"",
    b"no",
    b"<html>{ tools }</html>",
    b'{"error":{"message":"An assistant message with \'tool_calls\' must be followed","type":"invalid_request_error"}}',
    b'{"detail":"Invalid API Key"}',
    b'{"error":{"code":"tool_use_failed","failed_generation":"<tool_call>{}</tool_call>"}}',
    b'[{"error":{"code":429,"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo"}]}}]',
    b'{"type":"error","error":{"type":"overloaded_error","message":"m"}}',
    b'{"tool_calls":null,"tool_calls_limit":{"a":1}}',
    b'event: error\ndata: {"type":"error","message":"no tool_calls"}\n\n',
    b'{"error": cut',
]
CALLS = [
    b'{"choices":[{"message":{"tool_calls":[{"id":"c"}]}}]}',
    b'{"choices":[{"message":{"\\u0074ool_calls":[{"id":"c"}]}}]}',
    b'\xef\xbb\xbf{"Tool_Calls":[1]}',
    b'{"function_call":{"name":"n"},"x":"\xff"}',
    b'{"x":"\\ud800","candidates":[{"content":{"parts":[{"functionCall":{"name":"n"}}]}}]}',
    b'{"n":NaN,"content":[{"type":"tool_use","name":"n","input":{}}]}',
    b'{"output":[{"type":"shell_call","action":{}}]}',
    b'data: {"choices":[{"delta":{"tool_calls":[{"id":"c"}]}}]}\n\ndata: [DONE]\n\n',
    b'data: {"choices":[{"delta":\ndata: {"tool_calls":[{"id":"c"}]}}]}\n\n',
    b'event: x\rdata:{"type":"content_block_start","content_block":{"type":"tool_use"}}',
    b'{"text":1}\n{"function_call":{"name":"n"}}\n',
    b'{"tool_calls":[1]}{"a":1}',
    '{"tool_calls":[1]}'.encode("utf-16"),
    '{"tool_calls":[1]}'.encode("utf-32-le"),
    b"[" * 5000 + b'{"tool_calls":[1]}' + b"]" * 5000,
]


@pytest.mark.parametrize("body", ERRORS)
def test_an_error_holds_no_call(body):
    assert not may_hold_call(body)
    framer = ErrorFramer(1000)
    assert framer.feed(body) == []
    assert [(frame.raw, frame.shape) for frame in framer.close()] == ([(body, Shape.COMMENT)] if body else [])
    assert framer.complete


@pytest.mark.parametrize("body", CALLS)
def test_whatever_a_client_may_take_for_a_call_is_one(body):
    assert may_hold_call(body)
    framer = ErrorFramer(1 << 20)
    framer.feed(body)
    assert [frame.shape for frame in framer.close()] == [Shape.BROKEN]
