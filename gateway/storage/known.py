"""What a connection knows to be in the database, so that it need not be written or asked for again.

A transaction that is rolled back takes with it what it wrote, so all of it is forgotten then.
"""

from collections.abc import Hashable
from hashlib import blake2b
from typing import Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")
_MOST = 50_000
HASH = 16
"""Bytes of a hash."""


class Bounded(dict[_Key, _Value], Generic[_Key, _Value]):
    """A dictionary that lets go of its older half when it is full."""

    def __setitem__(self, key: _Key, value: _Value) -> None:
        if len(self) >= _MOST:
            for old in list(self)[: _MOST // 2]:
                del self[old]
        super().__setitem__(key, value)


class Known:
    """The facets, messages and histories that one connection has seen, and the key of the hashes."""

    def __init__(self, key: bytes) -> None:
        self._hash = blake2b(key=key[:64], digest_size=HASH)
        self.facets: Bounded[tuple[object, ...], int] = Bounded()
        self.used: Bounded[bytes, int] = Bounded()
        """When the use of a message or history was last written down, by its hash."""
        self.started: set[str] = set()
        """Interactions in flight that were written, or nearly were: this one is not forgotten."""

    def hash(self, content: bytes) -> bytes:
        """Return the keyed hash of something that is stored: without the key, it can't be guessed at.

        BLAKE2b has a key of its own; for a short message it costs a quarter of an HMAC.
        """
        keyed = self._hash.copy()
        keyed.update(content)
        return keyed.digest()

    def forget(self) -> None:
        """Know no more what is there."""
        self.facets.clear()
        self.used.clear()


def known(connection: AsyncConnection) -> Known:
    """Return what a connection knows."""
    found: Known = connection.sync_connection.info["known"]  # type: ignore[union-attr]  # it is open
    return found
