"""What is taken out of bodies before they are stored: values at JSON paths, and whatever a pattern matches.

A rule that begins with ``$`` is a path, such as ``$.messages[*].content``; every other one is a regular expression,
matched by an engine whose time is linear (RE2): against what each string with escapes says, then against the bytes as
they were sent.
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.core.edit import places
from gateway.core.paths import read_path
from gateway.core.patterns import InvalidPattern, compiled
from gateway.core.strict import UNREADABLE
from gateway.core.view import Path

REDACTED = "[redacted]"
_encode = msgspec.json.encode
_VALUE = _encode(REDACTED)
LEAST_KEY = 16
"""Characters: what is sent for a key where none is needed is shorter, and may be any word."""
_DATA = re.compile(rb"(?<![^\r\n\xbf])(?:data:[^\r\n]*(?:\r\n|\r|\n|\Z))+")
"""The lines that together are one event's payload; a mark of the byte order may stand before them."""
_LINE = re.compile(rb"(data: ?)([^\r\n]*)(\r\n|\r|\n|\Z)")
_STRING = re.compile(rb'"((?:[^"\\\r\n]|\\[^\r\n])*+)("?)')
"""A string of JSON, or its beginning; what is none may look like one, and is not harmed."""
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_DOCUMENT = (b"{", b"[")
_MARK = b"\xef\xbb\xbf"
_decode = msgspec.json.Decoder().decode


class RuleError(ValueError):
    """A rule that means nothing."""


class Taken:
    """What was taken out of bodies, for whoever must not show it in another place."""

    def __init__(self) -> None:
        self.texts: set[str] = set()
        self.known = True
        """Whether these are all; a document that can't be read was taken out as a whole."""

    def add(self, value: Any) -> None:
        """Add every text in a value."""
        if isinstance(value, str):
            self.texts.add(value)
        elif isinstance(value, dict):
            for each in value.values():
                self.add(each)
        elif isinstance(value, list):
            for each in value:
                self.add(each)


class Redactor:
    """Applies all rules of one configuration."""

    def __init__(self, rules: Sequence[str] = ()) -> None:
        """Raise ``RuleError`` for a rule that can't be."""
        self._paths = [_steps(rule) for rule in rules if rule.startswith("$")]
        self._patterns = [_compiled(rule) for rule in rules if not rule.startswith("$")]

    def __bool__(self) -> bool:
        return bool(self._paths or self._patterns)

    @property
    def has_paths(self) -> bool:
        """Whether a rule names a place in a body."""
        return bool(self._paths)

    def body(self, body: bytes, taken: Taken | None = None) -> bytes:
        """Return a body without what must not be stored: a JSON document, or a stream of events that carry some.

        ``taken``: gets what rules that name a place took out.
        """
        if self._paths and body:
            if body.removeprefix(_MARK).lstrip()[:1] in _DOCUMENT:
                body = self._document(body, taken)
            else:
                body = _DATA.sub(lambda found: self._event(found[0], taken), body)
        return self._matched(body)

    def text(self, text: str) -> str:
        """Return a text without what a pattern matches."""
        if not self._patterns or not text:
            return text
        raw = text.encode(errors="replace")
        found = self._matched(raw)
        return text if found == raw else found.decode(errors="replace")

    def hides(self, text: str) -> bool:
        """Whether a pattern matches a text that is left."""
        text = text.replace(REDACTED, "\0")
        return self.text(text) != text

    def _matched(self, body: bytes) -> bytes:
        if self._patterns and b"\\" in body:
            body = _STRING.sub(self._string, body)
        for pattern in self._patterns:
            body = pattern.sub(REDACTED.encode(), body)
        return body

    def _string(self, found: re.Match[bytes]) -> bytes:
        """Return a string as it was sent, or anew if a pattern matches what it says."""
        if b"\\" not in found[1]:
            return found[0]
        says = _unescaped(found[1])
        left = self._matched(says)  # which may be JSON again, as arguments of tools are
        return found[0] if left == says else _encode(left.decode(errors="replace"))[:-1] + found[2]

    def _event(self, lines: bytes, taken: Taken | None) -> bytes:
        found = _LINE.findall(lines)
        payload = b"\n".join(data for _, data, _ in found)
        if payload.lstrip()[:1] not in _DOCUMENT or payload.startswith(b"[DONE]"):
            return lines
        document = self._document(payload, taken)
        if document is payload:
            return lines
        prefix, _, end = found[-1]
        return bytes(prefix + document.replace(b"\n", b"\n" + prefix) + end)

    def _document(self, document: bytes, taken: Taken | None) -> bytes:
        try:
            _decode(document)
            found = sorted(
                {place for steps in self._paths for place in places(document, steps)},
                key=lambda place: (place[0], -place[1]),
            )
        except UNREADABLE:
            if taken is not None:
                taken.known = False
            return _VALUE  # what can't be read can't be searched for what must not be stored
        if not found:
            return document
        pieces: list[bytes] = []
        position = 0
        for start, end in found:
            if start < position:
                continue  # below one that is replaced as a whole nothing is left to replace
            pieces += (document[position:start], _VALUE)
            position = end
            if taken is not None:
                taken.add(_decode(document[start:end]))
        return b"".join((*pieces, document[position:]))


def rule_problem(rule: str) -> str | None:
    """Return why a rule means nothing; ``None``: it does."""
    try:
        Redactor([rule])
    except RuleError as error:
        return str(error)
    return None


def without_key(body: bytes, key: str) -> bytes:
    """Return the answer of an error without the key that its request carried, which some providers repeat."""
    raw = key.encode()
    return body.replace(raw, REDACTED.encode()) if len(raw) >= LEAST_KEY and raw in body else body


def _unescaped(string: bytes) -> bytes:
    """Return what a string of JSON says, as far as it can be read."""
    said = _ESCAPE.sub(_character, string.decode(errors="replace"))
    return said.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def _character(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if found[1] else _ESCAPED.get(found[2], found[2])


def _compiled(rule: str) -> Any:
    try:
        return compiled(rule.encode())
    except InvalidPattern as error:
        raise RuleError(f"{rule!r} is not a regular expression: {error}") from None


def _steps(rule: str) -> Path:
    steps, position = read_path(rule, 1, dotted=True)
    if not steps or position != len(rule):
        raise RuleError(f"{rule!r} is not a path; write $.name, $.list[0] or $.list[*].name")
    return steps
