"""Keeps the summaries that stand in the place of tool results, so that they outlive the process.

They are words of the conversation: where those are not stored, or not at some place, these are not either, nor is one
that holds what a pattern keeps out of what is stored. Such a summary lasts as long as the process that made it.
"""

import time
from collections.abc import Mapping, Sequence
from hashlib import blake2b

from gateway.core.redaction import Redactor
from gateway.storage.database import Database
from gateway.storage.known import HASH
from gateway.storage.queries import summaries

_TOGETHER = 500
"""Summaries that one query asks for."""


class Summaries:
    """The summaries of one installation."""

    def __init__(self, database: Database, key: bytes, redactor: Redactor, *, bodies: bool) -> None:
        """``key``: for the hashes under which they are stored; ``bodies``: whether what was said is stored."""
        self._database = database
        self._hash = blake2b(key=key[:64], digest_size=HASH)
        self._redactor = redactor
        self._bodies = bodies

    async def load(self, keys: Sequence[bytes]) -> Mapping[bytes, str]:
        """Return those that there are, by their keys."""
        if not self._bodies:
            return {}
        hashes = {self._hash_of(key): key for key in keys}
        found: dict[bytes, str] = {}
        stale: list[bytes] = []
        now = int(time.time())
        async with self._database.read() as connection:
            for start in range(0, len(hashes), _TOGETHER):
                texts, old = await summaries.load(connection, [*hashes][start : start + _TOGETHER], now)
                found |= {hashes[hash_]: text for hash_, text in texts.items()}
                stale += old
        if stale:
            async with self._database.write() as connection:
                for start in range(0, len(stale), _TOGETHER):
                    await summaries.touch(connection, stale[start : start + _TOGETHER], now)
        return found

    async def save(self, key: bytes, text: str) -> str:
        """Keep one; return the one that holds: another process may have been faster."""
        redactor = self._redactor
        if not self._bodies or redactor.has_paths or redactor.text(text) != text:
            return text
        async with self._database.write() as connection:
            return await summaries.add(connection, self._hash_of(key), text, int(time.time()))

    def _hash_of(self, key: bytes) -> bytes:
        keyed = self._hash.copy()
        keyed.update(key)
        return keyed.digest()
