"""The other ending of a chat completion whose calls were refused: ordinary text, and a normal finish."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from gateway.core.adapter import Payload
from gateway.core.edit import edit
from gateway.core.frames import Frame
from gateway.core.view import Completion, Path

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.encode

_DONE = b"[DONE]"
# What a frame of ours has in common with those before it.
_HEAD = ("id", "object", "created", "model", "system_fingerprint", "service_tier", "provider")
# What a held delta may say beside its calls.
_SAID = ("role", "content", "refusal", "reasoning_content", "reasoning", "reasoning_details")
_CALLS = ("tool_calls", "function_call")


def choice_index(value: Any, position: int) -> Any:
    """Return an index as clients read it, who take ``"1"`` and ``1.0`` for ``1``, and the position if there is none."""
    if value is None:
        return position
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return str(value)


def streamed(
    text: str, held: Sequence[Frame], completion: Completion, calling: set[Any], wanted: int
) -> Iterator[Payload]:
    """Yield the frames that end a stream.

    ``calling``: the choices whose calls are refused; ``wanted``: how many the client asked for. What the others
    say goes to the first: clients fail on a choice that they do not expect.
    """
    frames = [_decode(frame.data) for frame in held if frame.data and frame.data != _DONE]
    head = _head(frames, completion)
    refused = sorted({_wanted(number, wanted) for number in calling} or {0})
    finished: dict[int, Any] = {}
    usage: dict[str, Any] = {}
    riding: dict[str, Any] = {}
    for frame in frames:
        for position, choice in enumerate(frame.get("choices") or ()):
            number = _wanted(choice_index(choice.get("index"), position), wanted)
            part = choice.get("delta") or choice.get("message") or {}
            if said := {key: part[key] for key in _SAID if part.get(key)}:
                yield _chunk(head, number, said)
            if choice.get("finish_reason"):
                finished[number] = choice["finish_reason"]
        if isinstance(frame.get("usage"), dict):
            usage, riding = ({}, {"usage": frame["usage"]}) if frame.get("choices") else (frame["usage"], {})
        if isinstance(frame.get("x_groq"), dict):
            riding["x_groq"] = frame["x_groq"]
    for number, reason in finished.items():
        if number not in refused:
            yield _chunk(head, number, {}, reason)
    # A blank line parts the refusal from what the model said before it.
    pause = "\n\n" if completion.text else ""
    for number in refused:
        yield _chunk(head, number, {"content": pause + text})
        yield _chunk(head, number, {}, "stop", riding if number == refused[-1] else {})
    if usage:
        yield Payload(_encode({**head, "choices": [], "usage": usage}))
    yield Payload(_DONE)


def _head(frames: Sequence[dict[str, Any]], completion: Completion) -> dict[str, Any]:
    """Return what the frames of this answer have in common."""
    head = {key: frames[0][key] for key in _HEAD if key in frames[0]}
    if completion.response_id:
        head["id"] = completion.response_id
    if completion.model:
        head["model"] = completion.model
    if any("usage" in frame and frame["usage"] is None for frame in frames):
        head["usage"] = None
    return head


def _wanted(number: Any, wanted: int) -> int:
    return number if isinstance(number, int) and 0 <= number < wanted else 0


def _chunk(
    head: dict[str, Any],
    number: Any,
    delta: dict[str, Any],
    finish: Any = None,
    rest: dict[str, Any] | None = None,
) -> Payload:
    choice = {"index": number, "delta": delta, "finish_reason": finish}
    return Payload(_encode({**head, "choices": [choice], **(rest or {})}))


def whole(text: str, body: bytes) -> Payload:
    """Return the body with text in place of its calls; what is not about them keeps its bytes."""
    choices = _decode(body).get("choices") or []
    changes: dict[Path, bytes | None] = {}
    for position, choice in enumerate(choices):
        if any(part.get("tool_calls") or part.get("function_call") is not None for part in _parts(choice)):
            changes |= _without_calls(("choices", position), choice, text)
    return Payload(edit(body, changes))


def _parts(choice: dict[str, Any]) -> list[dict[str, Any]]:
    return [choice[key] for key in ("message", "delta") if isinstance(choice.get(key), dict)]


def _without_calls(path: Path, choice: dict[str, Any], text: str) -> dict[Path, bytes | None]:
    changes: dict[Path, bytes | None] = {(*path, "finish_reason"): b'"stop"'}
    if "native_finish_reason" in choice:
        changes[*path, "native_finish_reason"] = b'"stop"'
    if choice.get("logprobs") is not None:
        changes[*path, "logprobs"] = b"null"  # of tokens that are gone
    message = choice.get("message")
    if not isinstance(message, dict):
        changes[*path, "delta"] = None
        changes[*path, "message"] = _encode({"role": "assistant", "content": text})
        return changes
    if "delta" in choice:
        changes[*path, "delta"] = None
    for key in _CALLS:
        if key in message:
            changes[*path, "message", key] = None
    if "refusal" in message:
        changes[*path, "message", "refusal"] = b"null"
    changes[*path, "message", "content"] = _encode(_appended(message.get("content"), text))
    return changes


def _appended(content: Any, text: str) -> Any:
    if isinstance(content, list):
        return [*content, {"type": "text", "text": text}]
    return f"{content}\n\n{text}" if content else text
