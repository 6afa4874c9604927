"""OpenAI responses: items that are opened, filled and closed, with one contiguous sequence of events."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import orjson

from gateway.demo.ask import Ask, Tool, dicts, last, text_of, tokens_of, whole_number
from gateway.demo.openai_chat import openai_error, openai_headers
from gateway.demo.scenario import Call, Script
from gateway.demo.wire import Hole, Template, Wire, encode, event, hexadecimal, token

# Settings that the answer repeats, and their values where the request is silent.
ECHOED: dict[str, Any] = {
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
    "metadata": {},
}


class Item(msgspec.Struct, frozen=True):
    """One output item as it is when complete, and how a stream tells it."""

    value: dict[str, Any]
    deltas: str  # the events that fill it, without `.delta` and `.done`
    pieces: Sequence[str]
    filled: dict[str, Any]  # what `.done` repeats
    index: dict[str, int] = {}  # of the part inside the item, for items that have parts
    part_events: str = ""
    part: dict[str, Any] = {}
    extra: dict[str, Any] = {}  # on every delta


class Responses(Wire):
    """A request to /responses."""

    def read(self) -> Ask:
        body = self.body
        given = body.get("input")
        items = [{"role": "user", "content": given}] if isinstance(given, str) else dicts(given)
        results: list[str] = []
        for item in reversed(items):
            if not str(item.get("type")).endswith("_output"):
                break
            results.insert(0, text_of(item.get("output")))
        choice = body.get("tool_choice")
        tools = [
            tool for tool in _flat(dicts(body.get("tools"))) if tool.get("type") in ("function", "custom")
        ]
        wanted = body.get("text")
        return Ask(
            model=str(body.get("model") or self.target.model),
            stream=body.get("stream") is True,
            prompt=last(text_of(item.get("content")) for item in items if item.get("role") == "user"),
            tokens=tokens_of([body.get("instructions"), items, body.get("tools")]),
            tools=tuple(
                Tool(str(tool.get("name")), tool.get("parameters") or {}, custom=tool["type"] == "custom")
                for tool in tools
            ),
            results=tuple(results),
            may_call=choice != "none",
            must_call=choice == "required",
            only=str(choice.get("name", "")) if isinstance(choice, dict) else "",
            parallel=body.get("parallel_tool_calls") is not False,
            schema=_schema(wanted.get("format") if isinstance(wanted, dict) else None),
            max_tokens=whole_number(body.get("max_output_tokens")),
        )

    def headers(self) -> Mapping[str, str]:
        return openai_headers()

    @classmethod
    def error(cls, status: int, message: str = "") -> tuple[bytes, Mapping[str, str]]:
        body = orjson.dumps({"error": openai_error(status, message)}, option=orjson.OPT_INDENT_2)
        return body, openai_headers(status)

    def whole(self, script: Script) -> bytes:
        items = [item.value for item in self.items(script)]
        body = self.response(f"resp_{hexadecimal(48)}", script, items)
        return orjson.dumps(body, option=orjson.OPT_INDENT_2)

    def frames(self, script: Script) -> Iterator[bytes]:
        name = f"resp_{hexadecimal(48)}"
        number = 0
        done: list[dict[str, Any]] = []

        def emit(kind: str, **fields: Any) -> bytes:
            nonlocal number
            frame = event(kind, {"type": kind, **fields, "sequence_number": number})
            number += 1
            return frame

        opening = self.response(name, None, [])
        yield emit("response.created", response=opening) + emit("response.in_progress", response=opening)
        for index, item in enumerate(self.items(script)):
            at = {"item_id": item.value["id"], "output_index": index, **item.index}
            yield emit("response.output_item.added", item=_blank(item.value), output_index=index)
            if item.part_events:
                yield emit(f"{item.part_events}.added", **at, part={**item.part, "text": ""})
            growing = {
                "type": f"{item.deltas}.delta",
                **at,
                "delta": Hole,
                **item.extra,
                "sequence_number": Hole,
            }
            template = Template(event(f"{item.deltas}.delta", growing))
            for piece in item.pieces:
                yield template.fill(encode(piece), b"%d" % number)
                number += 1
            if script.breaks and item.value["type"] == "message":
                yield from self.broken(name, number, [*done, {**item.value, "status": "incomplete"}])
                return
            yield emit(f"{item.deltas}.done", **at, **item.extra, **item.filled)
            if item.part_events:
                yield emit(f"{item.part_events}.done", **at, part=item.part)
            yield emit("response.output_item.done", item=item.value, output_index=index)
            done.append(item.value)
        ending = "response.incomplete" if script.finish == "length" else "response.completed"
        yield emit(ending, response=self.response(name, script, done))

    def broken(self, name: str, number: int, items: list[dict[str, Any]]) -> Iterator[bytes]:
        """Yield the real error event, and the failed response that follows it."""
        error = openai_error(500)
        yield event("error", {"type": "error", "error": error, "sequence_number": number})
        failed = self.response(name, None, items) | {
            "status": "failed",
            "error": {"code": error["type"], "message": error["message"]},
        }
        yield event(
            "response.failed",
            {"type": "response.failed", "response": failed, "sequence_number": number + 1},
        )

    def items(self, script: Script) -> Iterator[Item]:
        """List the output items, in their order."""
        if script.reasoning:
            sealed = "reasoning.encrypted_content" in str(self.body.get("include"))
            yield _reasoning(script, {"encrypted_content": f"gAAAAAB{token(120)}=="} if sealed else {})
        if script.text or not script.calls:
            yield _message(script)
        for call in script.calls:
            yield _custom_call(call) if call.custom else _function_call(call)

    def response(self, name: str, script: Script | None, items: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the response object: in progress without a script, else complete."""
        cut_short = script is not None and script.finish == "length"
        echoed = {
            key: self.body.get(key) if self.body.get(key) is not None else ECHOED[key] for key in ECHOED
        }
        return {
            "id": name,
            "object": "response",
            "created_at": self.created,
            "status": "in_progress" if script is None else "incomplete" if cut_short else "completed",
            "background": False,
            "completed_at": None if script is None else self.created,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if cut_short else None,
            "model": self.ask.model,
            "output": items,
            **echoed,
            "usage": None if script is None else _usage(script),
        }


def _usage(script: Script) -> dict[str, Any]:
    usage = script.usage
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }


def _reasoning(script: Script, sealed: dict[str, str]) -> Item:
    part = {"type": "summary_text", "text": script.whole_reasoning}
    return Item(
        value={"id": f"rs_{hexadecimal(48)}", "type": "reasoning", "summary": [part], **sealed},
        deltas="response.reasoning_summary_text",
        pieces=script.reasoning,
        filled={"text": script.whole_reasoning},
        index={"summary_index": 0},
        part_events="response.reasoning_summary_part",
        part=part,
    )


def _message(script: Script) -> Item:
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": script.whole_text}
    status = "incomplete" if script.finish == "length" else "completed"
    ids = {"id": f"msg_{hexadecimal(48)}", "type": "message", "status": status}
    return Item(
        value={**ids, "content": [part], "role": "assistant"},
        deltas="response.output_text",
        pieces=script.text,
        filled={"text": script.whole_text},
        index={"content_index": 0},
        part_events="response.content_part",
        part=part,
        extra={"logprobs": []},
    )


def _function_call(call: Call) -> Item:
    ids = {"id": f"fc_{hexadecimal(48)}", "type": "function_call", "status": "completed"}
    return Item(
        value={**ids, "arguments": call.arguments, "call_id": f"call_{token(24)}", "name": call.name},
        deltas="response.function_call_arguments",
        pieces=call.fragments(),
        filled={"arguments": call.arguments},
    )


def _custom_call(call: Call) -> Item:
    ids = {"id": f"ctc_{hexadecimal(48)}", "type": "custom_tool_call", "status": "completed"}
    return Item(
        value={**ids, "call_id": f"call_{token(24)}", "input": call.arguments, "name": call.name},
        deltas="response.custom_tool_call_input",
        pieces=call.fragments(),
        filled={"input": call.arguments},
    )


def _blank(item: dict[str, Any]) -> dict[str, Any]:
    """Return the item as it is when it is announced."""
    blank = {"status": "in_progress", "content": [], "arguments": "", "input": "", "summary": []}
    return {key: blank.get(key, value) for key, value in item.items()}


def _flat(tools: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """List the tools, those inside a namespace too."""
    for tool in tools:
        if tool.get("type") == "namespace":
            yield from dicts(tool.get("tools"))
        else:
            yield tool


def _schema(wanted: Any) -> Mapping[str, Any] | None:
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind == "json_schema":
        return wanted.get("schema") or {}
    return {} if kind == "json_object" else None
