"""OpenAI responses: items that are opened, filled and closed, with one contiguous sequence of events."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from gateway.demo.ask import Ask, Tool, dicts, last, text_of, tokens_of, whole_number
from gateway.demo.openai_chat import openai_error, openai_headers
from gateway.demo.scenario import Call, Script
from gateway.demo.wire import Hole, Template, Wire, encode, event, hexadecimal, token

# Settings that the answer repeats, and their values where the request is silent.
ECHOED: dict[str, Any] = {
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
        items = [self.item(kind, script, call) for kind, call in _plan(script)]
        body = self.response(f"resp_{hexadecimal(48)}", script, items)
        return orjson.dumps(body, option=orjson.OPT_INDENT_2)

    def frames(self, script: Script) -> Iterator[bytes]:
        name = f"resp_{hexadecimal(48)}"
        opening = self.response(name, None, [])
        yield event(
            "response.created", {"type": "response.created", "response": opening, "sequence_number": 0}
        ) + (
            event(
                "response.in_progress",
                {"type": "response.in_progress", "response": opening, "sequence_number": 1},
            )
        )
        number = 2
        done: list[dict[str, Any]] = []

        def emit(kind: str, **fields: Any) -> bytes:
            nonlocal number
            frame = event(kind, {"type": kind, **fields, "sequence_number": number})
            number += 1
            return frame

        for index, (kind, call) in enumerate(_plan(script)):
            item = self.item(kind, script, call)
            at = {"item_id": item["id"], "output_index": index}
            yield emit("response.output_item.added", item=_empty(item), output_index=index)
            prefix, around, pieces = _filling(kind, script, call, at)
            for opened, fields in around[:1]:
                yield emit(opened, **fields)
            delta = {
                "type": f"{prefix}.delta",
                **around_index(kind),
                "delta": Hole,
                **at,
                "sequence_number": Hole,
            }
            if kind == "message":
                delta["logprobs"] = []
            template = Template(event(f"{prefix}.delta", delta))
            for piece in pieces:
                yield template.fill(encode(piece), b"%d" % number)
                number += 1
            if script.breaks and kind == "message":
                yield from self.broken(name, number, [*done, {**item, "status": "incomplete"}])
                return
            yield emit(f"{prefix}.done", **around_index(kind), **at, **_filled(kind, script, call))
            for closed, fields in around[1:]:
                yield emit(closed, **fields)
            yield emit("response.output_item.done", item=item, output_index=index)
            done.append(item)
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

    def item(self, kind: str, script: Script, call: Call | None) -> dict[str, Any]:
        """Return one output item as it is when complete."""
        if call is not None and call.custom:
            ids = {
                "id": f"ctc_{hexadecimal(48)}",
                "type": kind,
                "status": "completed",
                "call_id": f"call_{token(24)}",
            }
            return {**ids, "input": call.arguments, "name": call.name}
        if call is not None:
            ids = {"id": f"fc_{hexadecimal(48)}", "type": kind, "status": "completed"}
            return {**ids, "arguments": call.arguments, "call_id": f"call_{token(24)}", "name": call.name}
        if kind == "reasoning":
            summary = [{"type": "summary_text", "text": script.whole_reasoning}]
            item: dict[str, Any] = {"id": f"rs_{hexadecimal(48)}", "type": kind, "summary": summary}
            if "reasoning.encrypted_content" in (self.body.get("include") or ()):
                item["encrypted_content"] = f"gAAAAAB{token(120)}=="
            return item
        content = [{"type": "output_text", "annotations": [], "logprobs": [], "text": script.whole_text}]
        status = "incomplete" if script.finish == "length" else "completed"
        return {
            "id": f"msg_{hexadecimal(48)}",
            "type": kind,
            "status": status,
            "content": content,
            "role": "assistant",
        }

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


def _plan(script: Script) -> list[tuple[str, Call | None]]:
    """List the items of an answer, in their order."""
    plan: list[tuple[str, Call | None]] = []
    if script.reasoning:
        plan.append(("reasoning", None))
    if script.text or not script.calls:
        plan.append(("message", None))
    plan += [("custom_tool_call" if call.custom else "function_call", call) for call in script.calls]
    return plan


def _empty(item: dict[str, Any]) -> dict[str, Any]:
    """Return the item as it is when it is announced."""
    blank = {"status": "in_progress", "content": [], "arguments": "", "input": "", "summary": []}
    return {key: blank.get(key, value) for key, value in item.items()}


def around_index(kind: str) -> dict[str, int]:
    """Return the index of the part inside its item, for items that have parts."""
    return {"message": {"content_index": 0}, "reasoning": {"summary_index": 0}}.get(kind, {})


def _filling(
    kind: str,
    script: Script,
    call: Call | None,
    at: dict[str, Any],
) -> tuple[str, list[tuple[str, dict[str, Any]]], Any]:
    """Return the name of the deltas, the events around them, and the pieces."""
    if call is not None and call.custom:
        return "response.custom_tool_call_input", [], call.fragments()
    if call is not None:
        return "response.function_call_arguments", [], call.fragments()
    if kind == "reasoning":
        name, part, text, pieces = (
            "response.reasoning_summary_part",
            "summary_text",
            script.whole_reasoning,
            script.reasoning,
        )
        prefix, extra = "response.reasoning_summary_text", {}
    else:
        name, part, text, pieces = "response.content_part", "output_text", script.whole_text, script.text
        prefix, extra = "response.output_text", {"annotations": [], "logprobs": []}
    around = [
        (f"{name}.{when}", {**around_index(kind), **at, "part": {"type": part, **extra, "text": said}})
        for when, said in (("added", ""), ("done", text))
    ]
    return prefix, around, pieces


def _filled(kind: str, script: Script, call: Call | None) -> dict[str, Any]:
    """Return what the closing event of the deltas repeats."""
    if call is not None:
        return {"input": call.arguments} if call.custom else {"arguments": call.arguments, "name": call.name}
    if kind == "reasoning":
        return {"text": script.whole_reasoning}
    return {"logprobs": [], "text": script.whole_text}


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
