"""What is taken out of bodies before they are stored: values at JSON paths, and whatever a pattern matches.

A rule that begins with ``$`` is a path, such as ``$.messages[*].content``; every other one is a regular expression,
matched by an engine whose time is linear (RE2) against the bytes as they were sent, in which JSON escapes are escapes.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from gateway.core.edit import edit
from gateway.core.patterns import InvalidPattern, compiled
from gateway.core.strict import UNREADABLE
from gateway.core.view import Path

REDACTED = "[redacted]"
_VALUE = msgspec.json.encode(REDACTED)
LEAST_KEY = 16
"""Characters: what is sent for a key where none is needed is shorter, and may be any word."""
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[(\*)\]")
_EVENT = re.compile(rb"(?m)^data:[ ]?([\[{](?!DONE\]).*?)(?=\r?$)")
_decode = msgspec.json.Decoder().decode


class RuleError(ValueError):
    """A rule that means nothing."""


class Redactor:
    """Applies all rules of one configuration."""

    def __init__(self, rules: Sequence[str] = ()) -> None:
        """Raise ``RuleError`` for a rule that can't be."""
        self._paths = [_steps(rule) for rule in rules if rule.startswith("$")]
        self._patterns = [_compiled(rule) for rule in rules if not rule.startswith("$")]

    def __bool__(self) -> bool:
        return bool(self._paths or self._patterns)

    def body(self, body: bytes) -> bytes:
        """Return a body without what must not be stored: a JSON document, or a stream of events that carry some."""
        if self._paths and body:
            if body.lstrip()[:1] in (b"{", b"["):
                body = self._document(body)
            else:
                body = _EVENT.sub(lambda found: found[0][: -len(found[1])] + self._document(found[1]), body)
        for pattern in self._patterns:
            body = pattern.sub(REDACTED.encode(), body)
        return body

    def _document(self, document: bytes) -> bytes:
        try:
            value = _decode(document)
        except UNREADABLE:
            return _VALUE  # what can't be read can't be searched for what must not be stored
        found = {path: _VALUE for steps in self._paths for path in _matches(value, steps)}
        # A path below one that is replaced as a whole has nothing left to replace.
        changes = {
            path: new
            for path, new in found.items()
            if not any(path[:n] in found for n in range(1, len(path)))
        }
        return edit(document, changes) if changes else document


def rule_problem(rule: str) -> str | None:
    """Return why a rule means nothing; ``None``: it does."""
    try:
        Redactor([rule])
    except RuleError as error:
        return str(error)
    return None


def without_key(body: bytes, key: str) -> bytes:
    """Return an answer without the key that its request carried, which some providers repeat when they refuse it."""
    raw = key.encode()
    return body.replace(raw, REDACTED.encode()) if len(raw) >= LEAST_KEY and raw in body else body


def _compiled(rule: str) -> Any:
    try:
        return compiled(rule.encode())
    except InvalidPattern as error:
        raise RuleError(f"{rule!r} is not a regular expression: {error}") from None


def _steps(rule: str) -> Path:
    steps: list[str | int] = []
    position = 1
    while found := _STEP.match(rule, position):
        steps.append(found[1] if found[1] is not None else int(found[2]) if found[2] else -1)
        position = found.end()
    if not steps or position != len(rule):
        raise RuleError(f"{rule!r} is not a path; write $.name, $.list[0] or $.list[*].name")
    return tuple(steps)


def _matches(value: Any, steps: Path, path: Path = ()) -> Iterator[Path]:
    """Yield the path of every value that a rule leads to; an index of -1 stands for all."""
    if not steps:
        yield path
        return
    step, rest = steps[0], steps[1:]
    if isinstance(step, str):
        if isinstance(value, dict) and step in value:
            yield from _matches(value[step], rest, (*path, step))
    elif isinstance(value, list):
        for index in range(len(value)) if step < 0 else (step,):
            if index < len(value):
                yield from _matches(value[index], rest, (*path, index))
