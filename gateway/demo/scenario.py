"""Which answer a request gets: chosen by the model's name, or by the same word in the last prompt.

    demo-text           a few sentences that echo the prompt; also for every model nobody knows
    demo-reasoning      thoughts before the text
    demo-tool           one call of the first declared tool, else of get_weather
    demo-tools          two parallel calls
    demo-slow           long pauses; demo-slow-<first ms>-<gap ms> says how long
    demo-cut            the connection breaks in the middle
    demo-error-<status> the vendor's own error body
    demo-error-stream   a stream that begins well and ends with the vendor's own error event
    bench-<events>-<interval ms>-<bytes of text per event>

Agent loops end: tool results are answered with text that quotes them.
"""

import re
from collections.abc import Sequence
from typing import Literal

import msgspec
import orjson

from gateway.demo.ask import Ask, Tool
from gateway.demo.synthesis import synthesise

MODELS = (
    "demo-text",
    "demo-reasoning",
    "demo-tool",
    "demo-tools",
    "demo-slow",
    "demo-cut",
    "demo-error-429",
    "demo-error-500",
    "demo-error-stream",
)

WORD = re.compile(
    r"demo-(?P<kind>reasoning|tools?|cut|text|error-(?P<status>[45]\d\d|stream)"
    r"|slow(?:-(?P<first>\d{1,6})-(?P<gap>\d{1,6}))?)(?![a-z0-9])"
    r"|bench-(?P<events>\d{1,7})-(?P<interval>\d{1,6})-(?P<size>\d{1,6})",
)
PIECE = re.compile(r"\s*\S+|\s+")
FRAGMENT = re.compile(r".{1,8}", re.DOTALL)
BREAK_AFTER = 5  # pieces of a stream that ends with an error
CACHED_FROM = 1024  # vendors cache no shorter prefix
CACHED_STEP = 128

WEATHER = Tool(
    name="get_weather",
    schema={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
THOUGHTS = (
    "The user wants to see how reasoning looks. First I read the prompt, then I decide what to say. "
    "Nothing here is computed, but it streams the way real thoughts do."
)


class Call(msgspec.Struct, frozen=True):
    """One tool call; a custom one has free text for arguments."""

    name: str
    arguments: str
    custom: bool = False

    def fragments(self) -> list[str]:
        """Return the arguments as they arrive on the wire."""
        return FRAGMENT.findall(self.arguments)


class Usage(msgspec.Struct, frozen=True):
    """Token counts: `input` includes `cached`, `output` includes `reasoning`."""

    input: int
    cached: int
    output: int
    reasoning: int


class Script(msgspec.Struct, frozen=True):
    """One answer: what to say, how fast, and how it goes wrong."""

    usage: Usage
    text: Sequence[str] = ()
    reasoning: Sequence[str] = ()
    calls: tuple[Call, ...] = ()
    finish: Literal["stop", "length", "tool_calls"] = "stop"
    status: int = 200
    breaks: bool = False  # the vendor's error event ends the stream
    cut: bool = False
    first_pause: float = 0.0
    pause: float = 0.0

    @property
    def whole_text(self) -> str:
        """The text in one piece."""
        return "".join(self.text)

    @property
    def whole_reasoning(self) -> str:
        """The thoughts in one piece."""
        return "".join(self.reasoning)


def status_of(model: str) -> int:
    """Return the status a model's name asks for, for endpoints that answer without a script."""
    word = WORD.search(model)
    status = word["status"] if word else None
    return int(status) if status and status != "stream" else 200


def select(ask: Ask) -> Script:
    """Choose the answer. The model's name decides, unless it is plain demo-text and the prompt says more."""
    word = WORD.search(ask.model)
    if word is None or word["kind"] == "text":
        word = WORD.search(ask.prompt) or word
    if word is None:
        return _speak(ask)
    if word["events"]:
        return _bench(ask, int(word["events"]), int(word["interval"]), int(word["size"]))
    kind = word["kind"]
    if kind == "error-stream":
        return _speak(ask, breaks=True) if ask.stream else _speak(ask, status=500)
    if kind.startswith("error"):
        return _speak(ask, status=int(word["status"]))
    if kind.startswith("slow"):
        first, gap = int(word["first"] or 2000), int(word["gap"] or 250)
        return _speak(
            ask, text="Slowly, but surely: every word takes its time.", first=first / 1000, gap=gap / 1000
        )
    if kind == "reasoning":
        return _speak(ask, reasoning=THOUGHTS)
    if kind == "cut":
        return _speak(ask, cut=True)
    if kind.startswith("tool") and ask.may_call and not ask.results:
        return _calls(ask, 2 if kind == "tools" and ask.parallel else 1)
    return _speak(ask)


def _speak(
    ask: Ask,
    *,
    text: str = "",
    reasoning: str = "",
    status: int = 200,
    breaks: bool = False,
    cut: bool = False,
    first: float = 0.0,
    gap: float = 0.0,
) -> Script:
    if (
        status == 200
        and not (breaks or cut)
        and ask.may_call
        and (ask.only or (ask.must_call and not ask.results))
    ):
        return _calls(ask, 1)
    if ask.schema is not None:
        text = orjson.dumps(synthesise(ask.schema, ask.prompt)).decode()
    text = text or _sentences(ask)
    finish: Literal["stop", "length"] = "stop"
    if ask.max_tokens is not None and len(text) > ask.max_tokens * 4:
        text, finish = text[: ask.max_tokens * 4], "length"
    pieces = FRAGMENT.findall(text) if ask.schema is not None else PIECE.findall(text)
    return Script(
        usage=_usage(ask, text, reasoning),
        text=pieces[:BREAK_AFTER] if breaks else pieces,
        reasoning=PIECE.findall(reasoning),
        finish=finish,
        status=status,
        breaks=breaks,
        cut=cut,
        first_pause=first,
        pause=gap,
    )


def _sentences(ask: Ask) -> str:
    if ask.results:
        quoted = " and ".join(f"“{_short(result, 400)}”" for result in ask.results)
        subject = "The tool answered" if len(ask.results) == 1 else "The tools answered"
        return f"{subject}: {quoted}. That is all I needed, thank you."
    said = f"You said: “{_short(ask.prompt, 200)}”. " if ask.prompt.strip() else ""
    return (
        f"Hello from the demo provider! {said}I am not a real model (no key, no network, no cost: 0 €), "
        "but I stream, reason and call tools in the vendor's own format. "
        "Try the words demo-reasoning, demo-tool or demo-slow in your next message."
    )


def _short(text: str, limit: int) -> str:
    text = " ".join(WORD.sub("…", text).split())  # a quoted word would choose the next answer
    return text if len(text) <= limit else text[:limit] + "…"


def _calls(ask: Ask, count: int) -> Script:
    named = [tool for tool in ask.tools if tool.name == ask.only]
    tools = (named or list(ask.tools) or [WEATHER])[:count]
    tools += tools[:1] * (count - len(tools))
    calls = tuple(_call(tool, ask.prompt, variant) for variant, tool in enumerate(tools))
    text = "Let me look that up in two places." if count > 1 else ""
    said = "".join(call.name + call.arguments for call in calls)
    return Script(
        usage=_usage(ask, text + said, ""),
        text=PIECE.findall(text),
        calls=calls,
        finish="tool_calls",
    )


def _call(tool: Tool, prompt: str, variant: int) -> Call:
    if tool.custom:
        return Call(tool.name, f"demo input {variant + 1}: {_short(prompt, 80)}", custom=True)
    return Call(tool.name, orjson.dumps(synthesise(tool.schema, _short(prompt, 80), variant)).decode())


def _bench(ask: Ask, events: int, interval: int, size: int) -> Script:
    piece = ("all work and no play makes jack a dull boy, " * (size // 44 + 1))[:size]
    if not ask.stream:
        return Script(usage=_usage(ask, piece, ""), text=(piece,))
    usage = _usage(ask, "", "")
    return Script(
        usage=msgspec.structs.replace(usage, output=events),
        text=(piece,) * events,
        pause=interval / 1000,
    )


def _usage(ask: Ask, said: str, reasoning: str) -> Usage:
    thought = len(reasoning) // 4
    warm = ask.caching and ask.tokens >= CACHED_FROM
    cached = ask.tokens * 3 // 4 // CACHED_STEP * CACHED_STEP if warm else 0
    return Usage(
        input=ask.tokens, cached=cached, output=max(1, -(-len(said) // 4)) + thought, reasoning=thought
    )
