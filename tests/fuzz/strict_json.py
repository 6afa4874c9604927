"""A strict reader of JSON, written from RFC 8259 and the rules for arguments: slow, and nobody else's code."""

import math
import re
from typing import Any

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
DEEPEST = 64


class NotStrict(Exception):
    """Two parsers may read it differently, or one of them not at all."""


def read_object(text: str) -> dict[str, Any]:
    """Return the object that a text is."""
    reader = _Reader(text)
    value = reader.value(0)
    reader.skip()
    if reader.at != len(text) or not isinstance(value, dict):
        raise NotStrict
    return value


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def skip(self) -> None:
        match = _SPACE.match(self.text, self.at)
        assert match
        self.at = match.end()

    def peek(self) -> str:
        self.skip()
        return self.text[self.at : self.at + 1]

    def take(self, expected: str) -> None:
        if not self.text.startswith(expected, self.at):
            raise NotStrict
        self.at += len(expected)

    def value(self, depth: int) -> Any:
        char = self.peek()
        if char in ("{", "["):
            if depth == DEEPEST:
                raise NotStrict
            return self.members(depth) if char == "{" else self.elements(depth)
        if char == '"':
            return self.string()
        for word, value in (("true", True), ("false", False), ("null", None)):
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return value
        return self.number()

    def members(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self.take("{")
        if self.peek() == "}":
            self.at += 1
            return found
        while True:
            self.skip()
            key = self.string()
            self.skip()
            self.take(":")
            if key in found:
                raise NotStrict
            found[key] = self.value(depth + 1)
            if self.peek() == "}":
                self.at += 1
                return found
            self.take(",")

    def elements(self, depth: int) -> list[Any]:
        found: list[Any] = []
        self.take("[")
        if self.peek() == "]":
            self.at += 1
            return found
        while True:
            found.append(self.value(depth + 1))
            if self.peek() == "]":
                self.at += 1
                return found
            self.take(",")

    def string(self) -> str:
        self.take('"')
        units: list[str] = []
        while True:
            char = self.text[self.at : self.at + 1]
            self.at += 1
            if char == '"':
                break
            if not char or char < " " or "\ud800" <= char <= "\udfff":
                raise NotStrict
            units.append(self.escape() if char == "\\" else char)
        joined = "".join(units)
        try:
            return joined.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise NotStrict from None

    def escape(self) -> str:
        char = self.text[self.at : self.at + 1]
        self.at += 1
        if char == "u":
            digits = self.text[self.at : self.at + 4]
            if not re.fullmatch(r"[0-9a-fA-F]{4}", digits):
                raise NotStrict
            self.at += 4
            return chr(int(digits, 16))
        if char not in _ESCAPES:
            raise NotStrict
        return _ESCAPES[char]

    def number(self) -> int | float:
        match = _NUMBER.match(self.text, self.at)
        if not match:
            raise NotStrict
        self.at = match.end()
        if match[1] is None and match[2] is None:
            return int(match[0])
        value = float(match[0])
        if math.isinf(value):
            raise NotStrict
        return value
