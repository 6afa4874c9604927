"""A tool as a request declared it, as a value: what is remembered of it, within bounds."""

from hashlib import blake2b
from typing import Literal

import msgspec

from gateway.core.strict import UNREADABLE
from gateway.core.view import Tool

Kind = Literal["function", "built_in"]
LONGEST_NAME = 256
"""Characters; a longer one is no name that a policy could be written for."""
LONGEST_DESCRIPTION = 4 << 10
"""Characters."""
LONGEST_SCHEMA = 64 << 10
"""Bytes."""
_HASH = 16
_decode = msgspec.json.decode


class Sighting(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One tool in one request."""

    agent: str
    """Its slug."""
    name: str
    kind: Kind
    """``built_in``: the provider runs it."""
    version: str
    """A hash of description and schema, hexadecimal: how a changed tool is told from the same one."""
    description: str
    parameters: str | None
    """The JSON schema of its arguments as it was sent; ``None``: there is none, or it is not kept."""
    parameters_bytes: int
    """How long the schema is, kept or not."""
    client: str
    """Which client declared it."""
    at: float
    """When, in seconds since the epoch."""

    @property
    def tool(self) -> str:
        """What the tool is known by: the same for the same name of the same agent, whoever asks."""
        whole = msgspec.json.encode((self.agent, self.kind, self.name))
        return blake2b(whole, digest_size=_HASH).hexdigest()


def sighting(tool: Tool, *, agent: str, client: str, at: float, contents: bool) -> Sighting:
    """Return what is remembered of a declared tool; ``contents``: also what its declaration says."""
    raw = bytes(tool.parameters)
    schema, canonical = _schema(raw)
    digest = blake2b(digest_size=_HASH)
    for piece in (tool.description.encode(errors="replace"), canonical):
        digest.update(b"%d:%b" % (len(piece), piece))
    return Sighting(
        agent=agent,
        name=tool.name,
        kind="built_in" if tool.server_executed else "function",
        version=digest.hexdigest(),
        description=_capped(tool.description) if contents else "",
        parameters=schema if contents else None,
        parameters_bytes=len(raw),
        client=client[:LONGEST_NAME],
        at=at,
    )


def _schema(raw: bytes) -> tuple[str | None, bytes]:
    """Return a schema as it is kept, and what it is compared by: the order of its members says nothing."""
    try:
        value = _decode(raw) if raw else None
        if value is None:
            return None, b""
        canonical = msgspec.json.encode(value, order="sorted")
    except (*UNREADABLE, OverflowError):
        return None, raw
    return raw.decode() if len(raw) <= LONGEST_SCHEMA else None, canonical


def _capped(text: str) -> str:
    over = len(text) - LONGEST_DESCRIPTION
    return text if over <= 0 else f"{text[:LONGEST_DESCRIPTION]}[{over} characters more]"
