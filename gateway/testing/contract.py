"""The points of the provider contract, over one case.

1. Frames joined give the input.
2. Observing returns the input; a chunk of whole frames, and any of a whole body, is the same object.
3. What passed and what was released is the input.
4. Before the verdict exactly what precedes the first tool call has left.
5. The view is the expected one, whatever the cuts.
6. A refusal is a valid answer of its own: no call, finish reason ``stop``, our text last.
7. A request without edits is the same object.
8. Edits are local.
9. What is composed reads back.
10. Errors read back, as a body and within a stream.
11. The messages of a request hold everything that the model reads.
"""

from collections.abc import Iterator, Sequence

import msgspec

from gateway.core.adapter import RequestAdapter, ResponseAdapter
from gateway.core.errors import ErrorKind, GatewayError
from gateway.core.frames import Framer
from gateway.core.framing import framer_for
from gateway.core.provider import Match, Provider
from gateway.core.relay import Relay
from gateway.core.strict import tree
from gateway.core.view import Completion, FinishReason, Path, Prompt, Role, ToolCallDelta, Unknown
from gateway.testing.cases import Case, cuts
from gateway.testing.conversation import check_messages
from gateway.testing.documents import differences, value_at
from gateway.testing.views import request_view, response_view

LIMIT = 16 << 20
REFUSAL = 'The tool call was not allowed: policy "contract" ☂ ask <someone> else.'
EDIT = 'replaced "by" the contract ☂'


def check_contract(provider: Provider, case: Case) -> None:
    """Run every point that applies to this case."""
    match = case.match(provider)
    check_error_bodies(provider, case, match)
    if match.endpoint.opaque:
        return
    check_request(provider, case, match)
    if case.status >= 400:
        kind = provider.error_kind(case.status, case.response)
        case.compare(case.expect.get("response", {}), {"error_kind": kind}, "5 view", "response")
        return
    for cut in cuts(case.response, case.name):
        check_frames(provider, case, match, cut)
        check_observing(provider, case, match, cut)
        if match.endpoint.carries_calls:
            check_gating(provider, case, match, cut)
    check_stream_errors(provider, case, match)
    if match.endpoint.carries_calls:
        check_compose(provider, case, match)


def read_request(provider: Provider, match: Match, body: bytes) -> RequestAdapter:
    """Return the adapter of a request body."""
    return match.endpoint.request(body, match.params, provider.row.quirks)


def open_answer(match: Match, request: RequestAdapter, content_type: str) -> tuple[Framer, ResponseAdapter]:
    """Return the framer and the adapter for an answer, as the proxy makes them."""
    kind = match.endpoint.response
    framer = framer_for(content_type, LIMIT, streamed=kind.arrays and request.stream, newline=kind.newline)
    return framer, kind(request, streamed=not framer.whole)


def open_relay(
    match: Match, request: RequestAdapter, content_type: str, *, gate: bool
) -> tuple[Relay, Completion]:
    """Return a relay for an answer, and what it will have read."""
    completion = Completion()
    framer, adapter = open_answer(match, request, content_type)
    return Relay(framer, adapter, completion, gate=gate), completion


def feed(relay: Relay, chunks: Sequence[bytes]) -> bytes:
    """Feed an answer as the proxy does; return what has left."""
    ready = []
    for chunk in chunks:
        ready.append(relay.feed(chunk))
        if relay.done or relay.failure:
            break
    ready.append(relay.close())
    return b"".join(ready)


def first_call(framer: Framer, adapter: ResponseAdapter, body: bytes) -> int | None:
    """Return where the first frame with a tool call begins, by the framer and the adapter alone."""
    offset = 0
    for frame in [*framer.feed(body), *framer.close()]:
        for event in adapter.events(frame) if frame.data else ():
            if isinstance(event, Unknown) or (isinstance(event, ToolCallDelta) and not event.server_executed):
                return offset
        offset += len(frame.raw)
    return None


def check_frames(provider: Provider, case: Case, match: Match, cut: Sequence[bytes]) -> None:
    """Point 1."""
    framer, _ = open_answer(match, read_request(provider, match, case.request), case.content_type)
    frames = [frame for chunk in cut for frame in framer.feed(chunk)] + framer.close()
    joined = b"".join(frame.raw for frame in frames)
    case.require(joined == case.response, "1 frames", "joined they are not the input")
    case.require(not framer.overflow, "1 frames", "a frame is over the limit")


def check_observing(provider: Provider, case: Case, match: Match, cut: Sequence[bytes]) -> None:
    """Points 2 and 5."""
    request = read_request(provider, match, case.request)
    relay, completion = open_relay(match, request, case.content_type, gate=False)
    passed = []
    for chunk in cut:
        passed.append(relay.feed(chunk))
        case.require(
            passed[-1] is chunk or not (relay.whole or passed[-1] == chunk),
            "2 observing",
            "a chunk that passes is not the same object",
        )
    passed.append(relay.close())
    case.require(b"".join(passed) == case.response, "2 observing", "the bytes are not those of the upstream")
    case.require(not relay.unreadable, "2 observing", f"{relay.unreadable} frames could not be read")
    expected = {"unknown": [], **case.expect.get("response", {})}
    case.compare(expected, response_view(completion, relay), "5 view", "response")
    case.require(relay.complete, "2 observing", "the answer does not count as complete")


def check_gating(provider: Provider, case: Case, match: Match, cut: Sequence[bytes]) -> None:
    """Points 3, 4, 5 and 6."""
    request = read_request(provider, match, case.request)
    call_at = first_call(*open_answer(match, request, case.content_type), case.gated)
    free = case.gated if call_at is None else case.gated[:call_at]
    expected = {"unknown": [], **case.expect.get("response", {})}

    relay, completion = open_relay(match, request, case.content_type, gate=True)
    passed = feed(relay, cut)
    case.require(
        free.startswith(passed), "4 no leak", f"left before the verdict: {passed[len(free) :][:200]!r}"
    )
    if expected["unknown"]:
        case.require(relay.failure, "4 no leak", "what is not known must fail closed")
        return
    case.require(relay.failure is None, "3 release", f"it failed: {relay.failure}")
    case.require(passed == free, "3 release", f"held without a call: {free[len(passed) :][:200]!r}")
    case.require(relay.held is (call_at is not None), "3 release", "held, and no call is in it, or not held")
    case.compare(expected, response_view(completion, relay), "5 view", "gated response")
    case.require(passed + relay.release() == case.gated, "3 release", "passed and released are not the input")
    if call_at is None:
        return

    relay, completion = open_relay(match, request, case.content_type, gate=True)
    passed = feed(relay, cut)
    check_refusal(case, match, request, passed + relay.refuse(REFUSAL), completion)


def check_refusal(
    case: Case, match: Match, request: RequestAdapter, answer: bytes, original: Completion
) -> None:
    """Point 6."""
    relay, completion = open_relay(match, request, case.content_type, gate=True)
    out = feed(relay, [answer])
    point = "6 refusal"
    case.require(relay.failure is None, point, f"read back it fails: {relay.failure} in {answer!r}")
    case.require(not relay.held and out == answer, point, f"read back it is held: {answer[len(out) :]!r}")
    case.require(relay.complete, point, f"the answer does not count as complete: {answer!r}")
    calls = [call for call in completion.tool_calls if not call.server_executed]
    case.require(not calls, point, f"it has tool calls: {calls}")
    case.compare(FinishReason.STOP, completion.finish_reason, point, "finish_reason")
    case.require(completion.text.endswith(REFUSAL), point, f"its text is {completion.text!r}")
    case.require(completion.text.startswith(original.text), point, f"lost text: {original.text!r}")
    case.compare(original.response_id, completion.response_id, point, "id")
    case.compare(original.model, completion.model, point, "model")
    case.compare(msgspec.to_builtins(original.usage), msgspec.to_builtins(completion.usage), point, "usage")


def check_request(provider: Provider, case: Case, match: Match) -> None:
    """Points 5, 7, 8 and 11 for the request."""
    request = read_request(provider, match, case.request)
    check_messages(case, request)
    case.compare(case.expect.get("request", {}), request_view(request), "5 view", "request")
    case.require(request.encode() is case.request, "7 identity", "encode() is not the object that came")
    case.require(request.path(match.path) == match.path, "7 identity", "path() changes the path")
    if not case.request:
        return

    request.set_model("contract-model")
    moved = provider.match(case.method, request.path(match.path))
    case.require(moved, "8 edits", f"set_model leads to no endpoint: {request.path(match.path)}")
    again = read_request(provider, moved or match, request.encode())
    case.compare("contract-model", again.model, "8 edits", "model after set_model")
    changed = differences(case.request, request.encode())
    case.require(len(changed) < 2, "8 edits", f"set_model changed {changed}")

    for number, result in enumerate(read_request(provider, match, case.request).tool_results):
        if result.fixed:
            continue  # nobody may edit it
        check_result_edit(provider, case, match, number, None)
        for position, block in enumerate(result.texts):
            value = msgspec.json.decode(value_at(case.request, block.path))
            held = value == block.text or msgspec.json.encode(value) == _compact(block.text)
            case.require(held, "8 edits", f"at {block.path} is {value!r}, not {block.text!r}")
            check_result_edit(provider, case, match, number, position)


def check_result_edit(
    provider: Provider, case: Case, match: Match, number: int, position: int | None
) -> None:
    """Point 8 for one tool result, or for one block of it."""
    request = read_request(provider, match, case.request)
    result = request.tool_results[number]
    path: Path = result.path
    if position is None:
        request.set_tool_result(result, EDIT)
    else:
        path = result.texts[position].path
        request.set_text(result.texts[position], EDIT)
    changed = differences(case.request, request.encode())
    off = [place for place in changed if place[: len(path)] != path]
    case.require(not off, "8 edits", f"an edit of {path} changed {off}")
    texts = [
        block.text for block in read_request(provider, match, request.encode()).tool_results[number].texts
    ]
    found = texts if position is None else texts[position : position + 1]
    escaped = msgspec.json.encode(EDIT).decode()[1:-1]
    case.require(any(EDIT in text or escaped in text for text in found), "8 edits", f"{path} reads {found}")
    if position is None:
        case.require(len(texts) == 1, "8 edits", f"set_tool_result leaves other texts: {texts}")


def _compact(text: str) -> bytes:
    try:
        return msgspec.json.encode(msgspec.json.decode(text))
    except msgspec.DecodeError:
        return b""


def check_compose(provider: Provider, case: Case, match: Match) -> None:
    """Point 9."""
    schema = msgspec.Raw(
        b'{"type":"object","properties":{"answer":{"type":"integer"}},"required":["answer"]}'
    )
    turns: tuple[tuple[Role, str], ...] = (
        ("user", "first ☂"),
        ("assistant", 'second "two"'),
        ("user", "third\n3"),
    )
    for prompt in (Prompt("be brief", turns), Prompt("be brief", turns, schema)):
        body = match.endpoint.request.compose("contract-model", prompt)
        tree(body)
        request = read_request(provider, match, body)
        case.require("model" in match.params or request.model == "contract-model", "9 compose", "other model")
        texts = list(request.texts())
        for text in ("be brief", *(text for _, text in turns)):
            case.require(any(text in one for one in texts), "9 compose", f"{text!r} is not among {texts}")
        case.require(not request.tools and not request.tool_results, "9 compose", "it has tools")
        case.require((b'"answer"' in body) is bool(prompt.schema), "9 compose", "the schema is lost")


def check_error_bodies(provider: Provider, case: Case, match: Match) -> None:
    """Point 10 for bodies: strict JSON that holds our sentence, of a kind that is ours again."""
    for error in every_error():
        body = provider.error(error, match.endpoint)
        tree(body)
        sentence = msgspec.json.encode(error.text)
        case.require(sentence in body, "10 errors", f"the sentence of {error!r} is not in {body!r}")
        kind = provider.error_kind(provider.error_status(error), body)
        case.require(kind is not ErrorKind.UNKNOWN, "10 errors", f"{error!r} reads back as unknown")
        case.compare(error.kind.retryable, kind.retryable, "10 errors", f"retryable of {error!r} as {kind}")


def check_stream_errors(provider: Provider, case: Case, match: Match) -> None:
    """Point 10 within an answer: after any part of it, the error is read by whoever reads the wire."""
    request = read_request(provider, match, case.request)
    for gate in {False, match.endpoint.carries_calls}:
        for error, share in zip(every_error(), range(100), strict=False):
            relay, _ = open_relay(match, request, case.content_type, gate=gate)
            half = case.response[: len(case.response) * share // 25]
            sent = relay.feed(half) if half else b""
            if relay.done or (ending := relay.fail(error)) is None:
                continue
            reader, completion = open_relay(match, request, case.content_type, gate=False)
            reader.feed(sent + ending)
            reader.close()
            found = completion.error
            case.require(found and error.text in found.message, "10 errors", f"{ending!r} reads as {found}")


def every_error(kind: type[GatewayError] = GatewayError) -> Iterator[GatewayError]:
    """Return one error of each class that a client may see: the leaves of the core's tree."""
    children = [child for child in kind.__subclasses__() if child.__module__ == GatewayError.__module__]
    for child in children:
        yield from every_error(child)
    if not children:
        yield kind(f'{kind.__name__}: what "went" wrong')
