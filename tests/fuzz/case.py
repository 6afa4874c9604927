"""One answer of an upstream, the policies that it meets, and the cuts of the network: all that a run depends on."""

import base64
import hashlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

FORMATS = ("chat", "responses", "anthropic", "gemini")
SSE = "text/event-stream"
JSON = "application/json"
CORPUS = Path(__file__).parent / "corpus"
FOUND = Path(".hypothesis") / "found"


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tool invocation policy."""

    tool: str
    action: str
    conditions: tuple[tuple[str, str, Any], ...] = ()
    """Key, operator and value."""


class Policy(msgspec.Struct, frozen=True, omit_defaults=True):
    """All policies that an answer meets."""

    rules: tuple[Rule, ...] = ()
    default: str = "allow_when_context_is_untrusted"
    untrusted: bool = False


class Case(msgspec.Struct, frozen=True, omit_defaults=True):
    """One run. ``note`` says what is tried, and ``ends`` what must come of it, where that is known."""

    format: str
    policy: Policy
    body: bytes
    stream: bool = True
    content_type: str = SSE
    cuts: tuple[int, ...] = ()
    note: str = ""
    ends: str = ""
    """``released`` as it came, ``refused``, ``failed``; empty: any of them, if nothing leaks."""

    @property
    def chunks(self) -> list[bytes]:
        marks = [0, *sorted({min(max(cut, 0), len(self.body)) for cut in self.cuts}), len(self.body)]
        return [self.body[start:end] for start, end in pairwise(marks) if end > start]


class _Stored(msgspec.Struct, omit_defaults=True, kw_only=True):
    format: str
    policy: Policy
    body: str = ""
    body_base64: str = ""
    """Where it is not UTF-8."""
    stream: bool = True
    content_type: str = SSE
    cuts: tuple[int, ...] = ()
    note: str = ""
    ends: str = ""


def dump(case: Case) -> bytes:
    """Return a case as a file of the corpus."""
    members = {name: getattr(case, name) for name in case.__struct_fields__ if name != "body"}
    try:
        stored = _Stored(body=case.body.decode(), **members)
    except UnicodeDecodeError:
        stored = _Stored(body_base64=base64.b64encode(case.body).decode(), **members)
    return msgspec.json.format(msgspec.json.encode(stored), indent=1) + b"\n"


def load(data: bytes) -> Case:
    """Read a file of the corpus."""
    stored = msgspec.json.decode(data, type=_Stored)
    members = {name: getattr(stored, name) for name in Case.__struct_fields__ if name != "body"}
    return Case(body=stored.body.encode() or base64.b64decode(stored.body_base64), **members)


def keep(case: Case) -> Path:
    """Write a counter-example, ready to be moved into the corpus; the last one that is written is the smallest."""
    FOUND.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(dump(case)).hexdigest()[:8]
    for older in FOUND.glob(f"{case.format}-*.json"):
        older.unlink()
    file = FOUND / f"{case.format}-{name}.json"
    file.write_bytes(dump(case))
    return file
