"""Endings of ours for answers of the Responses API: a refusal in place of calls, and an error."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from gateway.core.adapter import Payload
from gateway.core.errors import GatewayError
from gateway.providers.openai.errors import error_object
from gateway.providers.openai.responses_calls import runs_at_client
from gateway.providers.openai.responses_request import elements, text
from schemas import openai_responses as wire

_Raw = msgspec.Raw
_MEMBERS = msgspec.json.Decoder(dict[str, _Raw])
_EVENT = msgspec.json.Decoder(wire.Event)
_ITEM = msgspec.json.Decoder(wire.Item)
_RESPONSE = msgspec.json.Decoder(wire.Response)
_encode = msgspec.json.encode
PROGRESS = ("response.created", "response.queued", "response.in_progress")
"""Events of an answer that has not ended, which carry the response object."""


class Ending:
    """The rest of a stream, told by us; its events are numbered on from ``number``."""

    def __init__(self, opening: wire.Response | None, number: int, *, named: bool) -> None:
        self._opening = opening or wire.Response()
        self._number = number
        self._named = named

    def error(self, error: GatewayError) -> Iterator[Payload]:
        """Yield the real error event, and the failed response without which some clients lose its text."""
        details = error_object(error)
        flat = {key: details[key] for key in ("code", "message", "param")}
        yield self._event("error", {**flat, "error": details})
        failed = {"code": details["code"], "message": details["message"]}
        yield self._event("response.failed", {"response": self._response("failed", []) | {"error": failed}})

    def refusal(self, text: str, kept: Sequence[bytes], place: int, terminal: bytes) -> Iterator[Payload]:
        """Yield what was held and is no call, a message with our text, and the end.

        ``place``: the first output index that the client has not seen used; ``terminal``: the last event as
        the upstream wrote it, empty if it wrote none.
        """
        places: dict[int, int] = {}
        for data in kept:
            event = _EVENT.decode(data)
            members: dict[str, Any] = _MEMBERS.decode(data)
            index = event.output_index
            if isinstance(index, int) and index >= place:
                members["output_index"] = places.setdefault(index, place + len(places))
            if event.type in PROGRESS:
                members["response"] = _MEMBERS.decode(event.response) | {"output": []}
            yield self._event(event.type, members)
        item = message(text, self._opening.id)
        yield from self._message(text, item, place + len(places))
        members = _MEMBERS.decode(terminal) if terminal else {}
        if "response" in members:
            response: Any = refused(_MEMBERS.decode(members["response"]), item)
        else:
            response = self._response("completed", [item])
        yield self._event("response.completed", {**members, "response": response})

    def _message(self, text: str, item: Mapping[str, Any], place: int) -> Iterator[Payload]:
        """Yield the six events of a message."""
        at = {"item_id": item["id"], "output_index": place, "content_index": 0}
        part = item["content"][0]
        yield self._event(
            "response.output_item.added",
            {"output_index": place, "item": {**item, "status": "in_progress", "content": []}},
        )
        yield self._event("response.content_part.added", {**at, "part": {**part, "text": ""}})
        yield self._event("response.output_text.delta", {**at, "delta": text, "logprobs": []})
        yield self._event("response.output_text.done", {**at, "text": text, "logprobs": []})
        yield self._event("response.content_part.done", {**at, "part": part})
        yield self._event("response.output_item.done", {"output_index": place, "item": item})

    def _event(self, kind: str, members: Mapping[str, Any]) -> Payload:
        data = _encode({**members, "type": kind, "sequence_number": self._number})
        self._number += 1
        return Payload(data, kind if self._named else "")

    def _response(self, status: str, output: Sequence[Any]) -> dict[str, Any]:
        """Return a response object of ours, with the members that every client expects."""
        opening = self._opening
        return {
            "id": opening.id,
            "object": "response",
            "created_at": opening.created_at or 0,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "model": opening.model,
            "output": output,
            "parallel_tool_calls": True,
            "temperature": None,
            "tool_choice": "auto",
            "tools": [],
            "top_p": None,
            "usage": None,
        }


def refused_body(body: bytes, text: str) -> bytes:
    """Return a whole answer without its calls and with our text."""
    members = _MEMBERS.decode(body)
    return _encode(refused(members, message(text, _RESPONSE.decode(body).id)))


def refused(response: dict[str, _Raw], item: Mapping[str, Any]) -> dict[str, Any]:
    """Return a response object without its calls and with our message; other members keep their bytes."""
    members: dict[str, Any] = dict(response)
    output = members.get("output")
    if output is not None and bytes(output) != b"null":  # else clients collect the items from the events
        kept = [raw for raw in elements(output) if not runs_at_client(_ITEM.decode(raw))]
        members["output"] = [*kept, item]
    members |= {"status": "completed", "incomplete_details": None, "error": None}
    members.pop("tool_calls", None)
    return members


def message(text_: str, response_id: Any) -> dict[str, Any]:
    """Return an output item that says our text; its id follows from the response's, so it is the same again."""
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": text_}
    return {
        "id": "msg_" + text(response_id).removeprefix("resp_"),
        "type": "message",
        "status": "completed",
        "content": [part],
        "role": "assistant",
    }
