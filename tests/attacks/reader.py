"""What a client may read of the bytes that it gets: every call, wherever it stands, and how the answer ends.

Independent of the gateway and of the vendors' clients, and more curious than any of them.
"""

import json  # noqa: TID251  # another parser than the gateway's
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.attacks.model import CANARY, KEY

_LINE_END = re.compile(rb"\r\n|\n|\r")
_REFUSAL = re.compile(rb"The call of .{0,20000}? was denied by a tool invocation policy", re.DOTALL)
_MEMBERS = frozenset({"toolcalls", "functioncall", "functioncalls", "partialargs", "partialjson"})
_TYPES = re.compile(r".*(?:call|tool_use|approval_request|input_json_delta)|function|custom")
_THREES = tuple(CANARY.value[at : at + 3].encode() for at in range(len(CANARY.value) - 2))
"""Of a value that is cut in two, one of them is in a piece."""


@dataclass
class Read:
    """An answer as it was read."""

    payloads: list[Any] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    """Of the events, empty where they have none."""
    done: bool = False
    """The last event is `[DONE]`."""

    @property
    def calls(self) -> list[Any]:
        return [call for payload in self.payloads for call in _calls(payload)]


def payloads(data: bytes) -> list[bytes]:
    """Events as the standard has them, but for a missing last blank line; else the document itself."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    if data.lstrip()[:1] in b"[{":
        return [data]
    found: list[bytes] = []
    lines: list[bytes] = []
    for line in [*_LINE_END.split(data), b""]:
        name, _, value = line.partition(b":")
        if name == b"data":
            lines.append(value.removeprefix(b" "))
        elif not line:
            found += [b"\n".join(lines)] if lines else []
            lines = []
    return found


def read(data: bytes, *, sse: bool) -> Read:
    """Read what left a gateway; raise for whatever is not well formed."""
    answer = Read()
    if not sse:
        try:
            whole = json.loads(data)
        except json.JSONDecodeError:
            whole = [json.loads(line) for line in data.splitlines()]  # lines of JSON
        answer.payloads = whole if isinstance(whole, list) else [whole]
        return answer
    normal = data.replace(b"\r\n", b"\n")
    assert b"\r" not in normal, "a lone CR left the gateway"
    assert not data or normal.endswith(b"\n\n"), f"the last event has no blank line: {data[-80:]!r}"
    for event in normal.split(b"\n\n")[:-1]:
        name, lines = "", []
        for line in event.split(b"\n"):
            if line.startswith(b"event: "):
                name = line[7:].decode()
            elif line.startswith(b"data:"):
                lines.append(line[5:])
            else:
                assert line.startswith(b":") or not line, f"not a field: {line[:80]!r}"
        if not lines:
            continue
        assert len(lines) == 1, "an event in several lines"
        assert not answer.done, "something follows [DONE]"
        if lines[0].strip() == b"[DONE]":
            answer.done = True
        else:
            answer.payloads.append(json.loads(lines[0]))
            answer.names.append(name)
    return answer


def _calls(value: Any) -> Iterator[Any]:
    """Whatever looks like a call, in any letter case; what echoes the request is none."""
    if isinstance(value, list):
        for each in value:
            yield from _calls(each)
        return
    if not isinstance(value, dict):
        return
    for key, child in value.items():
        plain = key.casefold().replace("_", "")
        if plain in _MEMBERS and child:
            yield {key: child}
        if plain == "type" and isinstance(child, str) and _TYPES.fullmatch(child):
            yield value
        if plain not in ("tools", "toolchoice"):
            yield from _calls(child)


def texts(value: Any) -> Iterator[str]:
    """Every key and every text in a document."""
    if isinstance(value, dict):
        for key, child in value.items():
            yield key
            yield from texts(child)
    elif isinstance(value, list):
        for child in value:
            yield from texts(child)
    elif isinstance(value, str):
        yield value


def check_no_canary(data: bytes, answer: Read | None) -> None:
    """Nothing of the arguments, in any piece or spelling, and the name only where a refusal says it."""
    said = [data, *(text.encode(errors="surrogatepass") for text in texts(answer.payloads if answer else []))]
    for one in said:
        rest = _REFUSAL.sub(b"", one)
        lower = rest.lower()
        assert KEY.encode() not in lower, f"an argument left: {rest[-300:]!r}"
        assert not any(part in rest for part in _THREES), f"an argument left: {rest[-300:]!r}"
        assert b"canary" not in lower.replace(b"the canary stays where it is", b""), (
            f"the name left: {rest[-300:]!r}"
        )


def said(dialect: str, answer: Read) -> str:
    """The text that a person reads."""
    return "".join(_SAID[dialect.removesuffix("_array")](answer.payloads))


def _chat(payloads: list[Any]) -> Iterator[str]:
    for payload in payloads:
        for choice in payload.get("choices") or ():
            yield (choice.get("delta") or choice.get("message") or {}).get("content") or ""


def _responses(payloads: list[Any]) -> Iterator[str]:
    last = payloads[-1]
    for item in (last.get("response") or last).get("output") or ():
        for part in item.get("content") or ():
            yield part.get("text") or ""


def _anthropic(payloads: list[Any]) -> Iterator[str]:
    for payload in payloads:
        yield (payload.get("delta") or {}).get("text") or ""
        yield (payload.get("content_block") or {}).get("text") or ""
        for block in payload.get("content") or ():
            yield block.get("text") or ""


def _gemini(payloads: list[Any]) -> Iterator[str]:
    for payload in payloads:
        for candidate in payload.get("candidates") or ():
            for part in (candidate.get("content") or {}).get("parts") or ():
                yield part.get("text") or ""


_SAID = {"chat": _chat, "responses": _responses, "anthropic": _anthropic, "gemini": _gemini}


def check_finished(dialect: str, answer: Read, *, sse: bool) -> None:
    """A refused answer has ended as one that calls nothing."""
    payloads = answer.payloads
    assert payloads
    stream = sse or len(payloads) > 1
    if dialect == "chat":
        reasons = [c.get("finish_reason") for p in payloads for c in p.get("choices") or ()]
        assert "stop" in reasons, reasons
        assert not {"tool_calls", "function_call"} & set(reasons), reasons
        assert answer.done is sse
    elif dialect == "responses":
        last = payloads[-1]
        if stream:
            assert not sse or answer.names[-1] in ("", "error", last["type"])
            assert last["type"] in ("response.completed", "response.incomplete"), last["type"]
            assert all(
                name in ("", "error", payload["type"])
                for name, payload in zip(answer.names, payloads, strict=sse)
            )
            last = last["response"]
        assert last["status"] in ("completed", "incomplete"), last["status"]
    elif dialect == "anthropic":
        if not stream:
            assert payloads[-1]["stop_reason"] == "end_turn", payloads[-1]
            return
        kinds = [payload["type"] for payload in payloads if payload["type"] != "ping"]
        assert not sse or answer.names == [payload["type"] for payload in payloads]
        assert kinds[-2:] == ["message_delta", "message_stop"], kinds
        assert payloads[-2]["delta"]["stop_reason"] == "end_turn", payloads[-2]
        begun = [payload["index"] for payload in payloads if payload["type"] == "content_block_start"]
        assert begun == list(range(len(begun))), begun
        ended = [payload["index"] for payload in payloads if payload["type"] == "content_block_stop"]
        assert sorted(ended) == begun, (begun, ended)
    else:
        reasons = [
            c["finishReason"] for p in payloads for c in p.get("candidates") or () if "finishReason" in c
        ]
        assert reasons[-1] == "STOP", reasons
