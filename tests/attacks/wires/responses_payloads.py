"""Payloads of OpenAI's Responses API: items, and the events that announce, fill and repeat them."""

from collections.abc import Sequence
from typing import Any

from tests.attacks.model import Item, Tool
from tests.attacks.wires.payloads import named_sse
from tests.attacks.wires.sizes import cut_up

USAGE = {
    "input_tokens": 11,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 18,
}
_PART = {"type": "output_text", "text": "", "annotations": []}


def response(status: str, output: Sequence[Any], **more: Any) -> dict[str, Any]:
    head = {"id": "resp_1", "object": "response", "created_at": 7, "model": "m", "status": status}
    rest = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "error": None}
    return {**head, **rest, "output": list(output), "usage": USAGE if status == "completed" else None, **more}


def message(text: str = "Let me look.", status: str = "completed") -> dict[str, Any]:
    content = [{**_PART, "text": text}] if status == "completed" else []
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": status, "content": content}


def item(tool: Tool, number: int = 1, **more: Any) -> dict[str, Any]:
    ids = {"type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}", "status": "completed"}
    return {**ids, "name": tool.name, "arguments": tool.arguments, **more}


def custom(tool: Tool, text: str) -> dict[str, Any]:
    ids = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_1", "status": "completed"}
    return {**ids, "name": tool.name, "input": text}


def added(what: Any, index: Any = 1) -> dict[str, Any]:
    return {"type": "response.output_item.added", "output_index": index, "item": what}


def done(what: Any, index: Any = 1) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": index, "item": what}


def delta(text: str, index: Any = 1, id_: str = "fc_1") -> dict[str, Any]:
    kind = "response.function_call_arguments.delta"
    return {"type": kind, "item_id": id_, "output_index": index, "delta": text}


def arguments_done(tool: Tool, index: Any = 1, id_: str = "fc_1", **more: Any) -> dict[str, Any]:
    where = {"item_id": id_, "output_index": index, "name": tool.name, "arguments": tool.arguments}
    return {"type": "response.function_call_arguments.done", **where, **more}


def opening() -> list[Item]:
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    return [
        {"type": "response.created", "response": response("in_progress", [])},
        added(message(status="in_progress"), 0),
        {"type": "response.content_part.added", "part": _PART, **where},
        {"type": "response.output_text.delta", "delta": "Let me look.", "logprobs": [], **where},
        {"type": "response.output_text.done", "text": "Let me look.", "logprobs": [], **where},
        {"type": "response.content_part.done", "part": {**_PART, "text": "Let me look."}, **where},
        done(message(), 0),
    ]


def completed(*output: Any, status: str = "completed", **more: Any) -> dict[str, Any]:
    return {"type": f"response.{status}", "response": response(status, [message(), *output], **more)}


def around(tool: Tool, items: Sequence[Item]) -> list[Item]:
    return [*opening(), *items]


def pieces(what: dict[str, Any], index: Any = 1, id_: str = "fc_1") -> list[Item]:
    """A call as it usually comes, but for the end."""
    begun = {**what, "arguments": "", "status": "in_progress"}
    return [
        added(begun, index),
        *(delta(part, index, id_) for part in cut_up(what["arguments"])),
        {
            **arguments_done(Tool(what["name"], ""), index, id_),
            "arguments": what["arguments"],
        },
        done(what, index),
    ]


def in_stream(name: str, arguments: str) -> list[Item]:
    what = item(Tool(name, ""), arguments=arguments)
    return [*pieces(what), completed(what)]


def body(*output: Any, status: str = "completed", **more: Any) -> dict[str, Any]:
    return response(status, [message(), *output], **more)


def whole_call(name: str, arguments: str) -> dict[str, Any]:
    return body(item(Tool(name, ""), arguments=arguments))


def numbered(items: Sequence[Item]) -> list[bytes]:
    """Frames whose events have numbers."""
    found: list[Item] = []
    for number, one in enumerate(items):
        plain = isinstance(one, dict) and "sequence_number" not in one
        found.append({"type": one["type"], "sequence_number": number, **one} if plain else one)
    return named_sse(found)
