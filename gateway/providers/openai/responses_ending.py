"""Endings of ours for answers of the Responses API: a refusal in place of calls, and an error."""

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from gateway.core.adapter import Payload
from gateway.core.errors import GatewayError
from gateway.providers.openai.errors import error_object
from gateway.providers.openai.responses_calls import runs_at_client
from gateway.providers.openai.responses_items import elements, text
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

    def refusal(
        self, item: Mapping[str, Any], kept: Sequence[bytes], place: int, terminal: bytes
    ) -> Iterator[Payload]:
        """Yield what was held and is no call, the message that says our text, and the end.

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
        yield from self._message(item, place + len(places))
        members = _MEMBERS.decode(terminal) if terminal else {}
        if "response" in members:
            response: Any = refused(_MEMBERS.decode(members["response"]), item)
        else:
            response = self._response("completed", [item])
        yield self._event("response.completed", {**members, "response": response})

    def _message(self, item: Mapping[str, Any], place: int) -> Iterator[Payload]:
        """Yield the six events of a message."""
        at = {"item_id": item["id"], "output_index": place, "content_index": 0}
        part = item["content"][0]
        yield self._event(
            "response.output_item.added",
            {"output_index": place, "item": {**item, "status": "in_progress", "content": []}},
        )
        yield self._event("response.content_part.added", {**at, "part": {**part, "text": ""}})
        yield self._event("response.output_text.delta", {**at, "delta": part["text"], "logprobs": []})
        yield self._event("response.output_text.done", {**at, "text": part["text"], "logprobs": []})
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


def refused_body(body: bytes, text: str, taken: Container[str]) -> bytes:
    """Return a whole answer without its calls and with our text; ``taken``: the ids of its items."""
    return _encode(refused(_MEMBERS.decode(body), message(text, _RESPONSE.decode(body), taken)))


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


def message(text_: str, response: wire.Response | None, taken: Container[str]) -> dict[str, Any]:
    """Return an output item that says our text; its id follows from the response's, so it is the same again.

    ``taken``: ids of other items; clients refuse an answer in which one occurs twice.
    """
    stem = identifier = "msg_" + text(response.id if response else "").removeprefix("resp_")
    number = 1
    while identifier in taken:
        number += 1
        identifier = f"{stem}_{number}"
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": text_}
    return {
        "id": identifier,
        "type": "message",
        "status": "completed",
        "content": [part],
        "role": "assistant",
    }
