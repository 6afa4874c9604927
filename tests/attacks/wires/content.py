"""Attacks that lie in a call's name and arguments: the same on every wire, whatever holds them."""

import json  # noqa: TID251  # attacks hold what strict encoders refuse to write
from collections.abc import Callable, Sequence
from typing import Any

from tests.attacks.model import (
    KEY,
    PASSES,
    REFUSED,
    UNJUDGED,
    Expected,
    Item,
    Tool,
)
from tests.attacks.wires.payloads import Writer

StreamCall = Callable[[str, str], Sequence[Item]]
WholeCall = Callable[[str, str], Any]
"""Make a call of a name and the text of its arguments."""

UNREADABLE: Expected = {"argument": REFUSED, "": PASSES}
"""Of a twin: a policy that reads arguments can't allow what it can't read."""
INVALID: dict[str, Callable[[Tool], str]] = {
    "arguments cut short": lambda t: t.arguments[:-1],
    "arguments that are no JSON": lambda t: f"{KEY} = {t.value}",
    "two documents": lambda t: f'{{"{KEY}":"x"}}{t.arguments}',
    "a comma too many": lambda t: f'{{"{KEY}":"{t.value}",}}',
    "not a number": lambda t: f'{{"{KEY}":"{t.value}","n":NaN}}',
    "half a surrogate in arguments": lambda t: f'{{"{KEY}":"{t.value}","n":"\\ud800"}}',
    "a control character in arguments": lambda t: f'{{"{KEY}":"{t.value}\n"}}',
}
VALID: dict[str, Callable[[Tool], str]] = {
    "arguments as a list": lambda t: f'["{t.value}"]',
    "arguments as a text": lambda t: f'"{t.value}"',
}
"""JSON, but no object."""


def escaped(tool: Tool) -> str:
    """Arguments full of escapes, in which both the key and the value are spelt otherwise."""
    key = "".join(f"\\u{ord(letter):04x}" for letter in KEY)
    value = "".join(f"\\u{ord(letter):04X}" for letter in tool.value)
    return f'{{"{key}":"{value}","other":"\\ud83d\\ude00 \\"\\\\ \\u0000"}}'


def half_escaped(tool: Tool) -> str:
    return f'{{"\\u{ord(KEY[0]):04x}{KEY[1:]}":"\\u{ord(tool.value[0]):04x}{tool.value[1:]}"}}'


def duplicated(tool: Tool, depth: int) -> str:
    """One key twice, so deep inside."""
    inner = f'{{"{KEY}":"x","{KEY}":"{tool.value}"}}'
    for _ in range(depth - 1):
        inner = f'{{"a":{inner}}}'
    return inner


def nested(tool: Tool, depth: int) -> str:
    return '{"a":' * depth + tool.arguments + "}" * depth


UNALLOWED: Expected = {"list": REFUSED, "untrusted": REFUSED, "": PASSES}
NAMES: tuple[tuple[str, str, Callable[[str], str], Expected, Expected], ...] = (
    # id, variant, spelling, what becomes of the canary and of its twin
    ("13", "in capitals", str.upper, REFUSED, PASSES),
    ("13", "in title case", str.title, REFUSED, PASSES),
    ("14", "a Cyrillic letter", lambda n: n.replace("a", "\u0430"), REFUSED, REFUSED),
    (
        "14",
        "full-width letters",
        lambda n: n.translate({c: c + 0xFEE0 for c in range(97, 123)}),
        REFUSED,
        REFUSED,
    ),
    ("14", "a combining mark", lambda n: n.replace("a", "a\u0301", 1), REFUSED, REFUSED),
    ("14", "a zero-width joiner", lambda n: n[:3] + "\u200d" + n[3:], REFUSED, REFUSED),
    ("14", "a zero-width space", lambda n: n[:3] + "\u200b" + n[3:], REFUSED, REFUSED),
    ("14", "written from right to left", lambda n: "\u202e" + n[::-1], REFUSED, REFUSED),
    ("14", "a soft hyphen", lambda n: n[:3] + "\u00ad" + n[3:], REFUSED, REFUSED),
    ("14", "a variation selector", lambda n: n[:3] + "\ufe0f" + n[3:], REFUSED, REFUSED),
    ("15", "a space before", lambda n: " " + n, REFUSED, REFUSED),
    ("15", "a space behind", lambda n: n + " ", REFUSED, REFUSED),
    ("15", "a tab behind", lambda n: n + "\t", REFUSED, REFUSED),
    ("15", "a newline behind", lambda n: n + "\n", REFUSED, REFUSED),
    ("15", "a NUL behind", lambda n: n + "\0", REFUSED, REFUSED),
    ("15", "a NUL and more", lambda n: n + "\0_safe", REFUSED, REFUSED),
    ("15", "a no-break space", lambda n: n + "\u00a0", REFUSED, REFUSED),
    ("16", "a server's prefix", lambda n: f"mcp__server__{n}", REFUSED, PASSES),
    # Whose tool that is nobody knows: what allows the tool does not allow this.
    ("16", "a prefix in a prefix", lambda n: f"mcp__one__mcp__two__{n}", REFUSED, UNALLOWED),
    ("16", "a prefix in capitals", lambda n: f"MCP__Server__{n}", REFUSED, PASSES),
)


def dispatched(tool: Tool, times: int) -> str:
    """A dispatcher's arguments, with the real target in them."""
    arguments = f'{{"name":"{tool.name}","arguments":{tool.arguments}}}'
    for _ in range(times - 1):
        arguments = f'{{"name":"dispatch","arguments":{arguments}}}'
    return arguments


def add_content(
    writer: Writer, in_stream: StreamCall, in_whole: WholeCall, *, object_ways: Sequence[str] = ()
) -> None:
    """Add them; ``object_ways``: where a call's arguments are an object of the wire, not a text."""
    for way in ("stream", "whole"):
        in_object = way in object_ways
        make: Any = in_stream if way == "stream" else in_whole
        add: Any = getattr(writer, way)
        # A frame that can't be read says nothing of a call, and nothing of it leaves.
        torn: dict[str, Any] = {"denied": UNJUDGED, "twin": UNJUDGED}

        def arguments(
            id_: str,
            variant: str,
            text: Callable[[Tool], str],
            *,
            make: Any = make,
            add: Any = add,
            **more: Any,
        ) -> None:
            add(id_, variant, lambda t: make(t.name, text(t)), **more)

        for variant, text in INVALID.items():
            arguments("10", variant, text, **(torn if in_object else {"twin": UNREADABLE}))
        for variant, text in VALID.items():
            arguments("10", variant, text, twin=UNREADABLE)
        for depth in range(1, 6):
            more = torn if in_object else {"twin": UNREADABLE}
            arguments(
                "11",
                f"a key twice at depth {depth}",
                lambda t, depth=depth: duplicated(t, depth),
                **more,
                live=depth in (1, 5),
            )
        arguments("12", "escaped key and value", escaped)
        arguments("12", "one escape each", half_escaped)
        add(
            "12",
            "escaped name",
            lambda t, make=make: (
                [_rename(item, t) for item in _listed(make(t.name, t.arguments))]
                if make is in_stream
                else _rename(make(t.name, t.arguments), t)
            ),
        )
        for id_, variant, spell, denied, twin in NAMES:
            add(
                id_,
                variant,
                lambda t, make=make, spell=spell: make(spell(t.name), t.arguments),
                denied=denied,
                twin=twin,
            )
        arguments_of_dispatcher: Expected = {"list": REFUSED, "untrusted": REFUSED, "": PASSES}
        for times, variant in ((1, "a dispatcher"), (2, "a dispatcher in a dispatcher")):
            add(
                "16",
                variant,
                lambda t, make=make, times=times: make("dispatch", dispatched(t, times)),
                twin=arguments_of_dispatcher,
            )
        arguments(
            "40",
            "arguments nested 60 deep",
            lambda t: nested(t, 60),
            denied={"argument": PASSES, "": REFUSED},
        )


def _listed(items: Any) -> list[Item]:
    return list(items)


def _rename(item: Any, tool: Tool) -> bytes:
    """Escape the tool's name wherever an item has it."""
    data = item if isinstance(item, bytes) else json.dumps(item, separators=(",", ":")).encode()
    spelt = f"\\u{ord(tool.name[0]):04x}{tool.name[1:-1]}\\u{ord(tool.name[-1]):04x}"
    return data.replace(f'"{tool.name}"'.encode(), f'"{spelt}"'.encode())
