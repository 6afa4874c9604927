"""What a connection knows to be in the database, so that it need not be written or asked for again.

A transaction that is rolled back takes with it what it wrote, so all of it is forgotten then.
"""

from collections.abc import Hashable
from hashlib import blake2b
from typing import Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.storage.chains import Chains

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")
_MOST = 50_000
_PIECE = 1024
HASH = 16
"""Bytes of a hash."""


class Bounded(dict[_Key, _Value], Generic[_Key, _Value]):
    """A dictionary that lets go of its older half when it is full."""

    def __init__(self, most: int | None = None) -> None:
        super().__init__()
        self._most = most or _MOST

    def __setitem__(self, key: _Key, value: _Value) -> None:
        if len(self) >= self._most:
            for old in list(self)[: self._most // 2]:
                del self[old]
        super().__setitem__(key, value)


class Known:
    """The facets, messages and histories that one connection has seen, and the key of the hashes."""

    def __init__(self, key: bytes, started: set[str]) -> None:
        """``started``: interactions in flight that were written, or nearly were, by whichever connection."""
        self._hash = blake2b(key=key[:64], digest_size=HASH)
        self._pieces: Bounded[bytes, bytes] = Bounded(1000)
        self.facets: Bounded[tuple[object, ...], int] = Bounded()
        self.used: Bounded[bytes, int] = Bounded()
        """When the use of a message or history was last written down, by its hash."""
        self.chains = Chains()
        """The histories whose links are there."""
        self.started = started

    def hash_of_piece(self, content: bytes) -> bytes:
        """Return the hash of what is likely to come again, such as the beginning of every request of a client."""
        if len(content) > _PIECE:
            return self.hash(content)
        found = self._pieces.get(content)
        if found is None:
            found = self._pieces[content] = self.hash(content)
        return found

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
        self.chains.clear()


def known(connection: AsyncConnection) -> Known:
    """Return what a connection knows."""
    found: Known = connection.sync_connection.info["known"]  # type: ignore[union-attr]  # it is open
    return found
