"""Fixtures: recorded exchanges as folders of raw bytes, and the cuts at which they are fed."""

import random
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from gateway.core.provider import Match, Provider

_EDGE = 4096


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange, and the view that a person expects of it."""

    name: str
    method: str
    path: str
    """As the vendor's SDK appends it to its base URL, with the query if there is one."""
    status: int
    content_type: str
    request: bytes
    response: bytes
    gated: bytes
    """What leaves when the answer is gated and released."""
    expect: Mapping[str, Any]

    def match(self, provider: Provider) -> Match:
        """Return the endpoint of this case."""
        found = provider.match(self.method, self.path.partition("?")[0])
        if found is None:
            raise AssertionError(f"{self.name}: {provider} has no endpoint for {self.method} {self.path}")
        return found

    def require(self, holds: object, point: str, message: str) -> None:
        """Fail with the place and the reason."""
        if not holds:
            raise AssertionError(f"{self.name}: {point}: {message}")

    def compare(self, expected: Any, actual: Any, point: str, place: str) -> None:
        """Compare member by member; what is not expected is not compared."""
        if isinstance(expected, Mapping) and isinstance(actual, Mapping):
            for key, value in expected.items():
                self.require(key in actual, point, f"{place} has no member {key!r}")
                self.compare(value, actual[key], point, f"{place}.{key}")
        elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
            for index, (one, other) in enumerate(zip(expected, actual, strict=True)):
                self.compare(one, other, point, f"{place}[{index}]")
        else:
            self.require(expected == actual, point, f"{place} is {actual!r}, expected {expected!r}")


def load_cases(folder: Path) -> list[Case]:
    """Return the cases in a provider's folder of fixtures, by name."""
    return [_load(file.parent) for file in sorted(folder.glob("*/case.json"))]


def _load(folder: Path) -> Case:
    facts = msgspec.json.decode((folder / "case.json").read_bytes())
    response = _read(folder, "response.*") or b""
    gated = _read(folder, "gated.*")
    return Case(
        name=f"{folder.parent.name}/{folder.name}",
        method=facts["method"],
        path=facts["path"],
        status=facts["status"],
        content_type=facts["content_type"],
        request=_read(folder, "request.json") or b"",
        response=response,
        gated=response if gated is None else gated,
        expect=msgspec.json.decode(_read(folder, "expect.json") or b"{}"),
    )


def _read(folder: Path, pattern: str) -> bytes | None:
    found = list(folder.glob(pattern))
    if len(found) > 1:
        raise AssertionError(f"{folder}: more than one {pattern}")
    return found[0].read_bytes() if found else None


def cuts(body: bytes, seed: str, rounds: int = 50) -> Iterator[list[bytes]]:
    """Cut a body: not at all, byte by byte (of a long one only both ends), and at random places."""
    yield [body] if body else []
    middle = [body[_EDGE:-_EDGE]] if len(body) > 4 * _EDGE else []
    start, end = (body[:_EDGE], body[-_EDGE:]) if middle else (body, b"")
    yield [bytes((byte,)) for byte in start] + middle + [bytes((byte,)) for byte in end]
    generator = random.Random(seed)  # noqa: S311  # the same cuts in every run, not a secret
    for _ in range(rounds if len(body) > 1 else 0):
        count = min(len(body) - 1, generator.randint(1, 40))
        marks = [0, *sorted(generator.sample(range(1, len(body)), count)), len(body)]
        yield [body[a:b] for a, b in pairwise(marks)]
