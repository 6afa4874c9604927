"""Events of the Responses API, what a gate makes of them, and how the official SDK reads the outcome."""

import httpx2
import msgspec
import openai

from gateway.core.frames import Frame
from gateway.core.framing import framer_for
from gateway.core.relay import Relay
from gateway.core.view import Completion, ToolCallDelta, Unknown
from gateway.providers.openai.responses import ResponsesResponse
from gateway.providers.openai.responses_request import ResponsesRequest

SSE = "text/event-stream"
TEXT = "Denied by the tool invocation policy: get_weather."
RID = "resp_0a11ce5d2f7b8c910069f2c3a45e1c8193"
DIFFERS = Unknown("restated call differs")


def encode(value) -> bytes:
    return msgspec.json.encode(value)


def adapter(*, streamed: bool = True, request: bytes = b'{"model":"m","stream":true}') -> ResponsesResponse:
    return ResponsesResponse(ResponsesRequest(request), streamed=streamed)


def read(*events: dict) -> list:
    """The view of some events, one after another."""
    reader = adapter()
    seen = [seen for event in events for seen in reader.events(Frame(b"", encode(event)))]
    # That a name is restated, only the gate is interested in.
    return [
        msgspec.structs.replace(each, restated=False) if isinstance(each, ToolCallDelta) else each
        for each in seen
    ]


def sse(*events: dict, named: bool = True) -> bytes:
    frames = []
    for number, event in enumerate(events):
        line = b"event: %s\n" % event["type"].encode() if named else b""
        frames.append(line + b"data: " + encode({**event, "sequence_number": number}) + b"\n\n")
    return b"".join(frames)


def gated(body: bytes, *, content_type: str = SSE, size: int = 0, refusal: str = TEXT) -> tuple[bytes, Relay]:
    """What a client gets when every call is refused."""
    streamed = content_type == SSE
    relay = Relay(
        framer_for(content_type, 1 << 22, streamed=streamed),
        adapter(streamed=streamed),
        Completion(),
        gate=True,
    )
    sent = b""
    for start in range(0, len(body), size or len(body)):
        sent += relay.feed(body[start : start + (size or len(body))])
        if relay.done:
            break
    sent += relay.close()
    if relay.failure:
        return sent + (relay.fail(relay.failure) or b""), relay
    if relay.held:
        assert not any(
            call.server_executed for call in relay._completion.tool_calls if call.name == "get_weather"
        )
        sent += relay.refuse(refusal)
    return sent, relay


def client(body: bytes, content_type: str = SSE) -> openai.AsyncOpenAI:
    """The SDK, whose server answers with these bytes."""

    def answer(_request):
        return httpx2.Response(200, headers={"content-type": content_type}, content=body)

    transport = httpx2.MockTransport(answer)
    return openai.AsyncOpenAI(
        api_key="k",
        base_url="http://test/v1",
        http_client=httpx2.AsyncClient(transport=transport),
        max_retries=0,
    )


async def final(body: bytes):
    """The response that the SDK's stream helper ends with, and all events."""
    events = []
    async with client(body) as sdk, sdk.responses.stream(model="m", input="hi") as stream:
        async for event in stream:
            events.append(event)
        return await stream.get_final_response(), events


CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "get_weather",
    "arguments": '{"a":1}',
}
CREATED = {
    "type": "response.created",
    "response": {
        "id": RID,
        "object": "response",
        "model": "m",
        "created_at": 5,
        "status": "in_progress",
        "output": [],
    },
}


def added(item: dict, index: object = 0) -> dict:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(item: dict, index: object = 0) -> dict:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def completed(*items: dict, kind: str = "completed", **members: object) -> dict:
    response = {
        "id": RID,
        "object": "response",
        "created_at": 5,
        "model": "m",
        "status": kind,
        "output": items,
    }
    return {"type": f"response.{kind}", "response": response | members}


def piece(text: object, index: object = 0, **members: object) -> dict:
    return {"type": "response.function_call_arguments.delta", "output_index": index, "delta": text, **members}


def whole(text: str, index: object = 0, **members: object) -> dict:
    return {
        "type": "response.function_call_arguments.done",
        "output_index": index,
        "arguments": text,
        **members,
    }


def delta(name: str = "", arguments: str = "", index: int = 0, call: str = "call_1", *, server: bool = False):
    return ToolCallDelta(index, call, name, arguments, server)
