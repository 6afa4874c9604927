"""The histories that were stored last: an agent resends its own at every turn, and only what is new need be hashed."""

from collections import OrderedDict
from collections.abc import Sequence

_LEAST = 8
"""Messages of a history that is worth remembering."""
_EACH = 150
"""Bytes that a message and its link take beside what it says, roughly."""
_ALIKE = 4
"""Histories that are kept of those that begin with the same message."""


class Chain:
    """One history, and the ids of its links."""

    __slots__ = ("links", "messages", "since", "size")

    def __init__(self, messages: tuple[bytes, ...], links: list[bytes], since: int) -> None:
        """``since``: when all its links were last written, or said to be used."""
        self.messages = messages
        self.links = links
        self.since = since
        self.size = sum(map(len, messages)) + _EACH * len(messages)

    def shared(self, messages: tuple[bytes, ...]) -> int:
        """Return how many messages another history certainly begins with: of the last ones clients change some."""
        count, fewer = len(self.messages), 1
        while count > 0 and not self.shares(count, messages):
            count -= fewer
            fewer *= 2
        return max(count, 0)

    def shares(self, count: int, messages: tuple[bytes, ...]) -> bool:
        """Whether so many of its messages are the first of another history; of those the last one differs soonest."""
        mine = self.messages
        return (
            count <= len(messages)
            and messages[count - 1] == mine[count - 1]
            and messages[:count] == mine[:count]
        )


class Chains:
    """Remembers histories, within a bound of bytes."""

    def __init__(self, limit: int = 8 << 20) -> None:
        self._limit = limit
        self._size = 0
        self._chains: OrderedDict[bytes, list[Chain]] = OrderedDict()

    def links(self, messages: tuple[bytes, ...], after: int) -> tuple[list[bytes], int]:
        """Return the links that are known of a history from its beginning, and since when.

        ``after``: what was last said to be used before then has to be said again.
        """
        best: tuple[list[bytes], int] = ([], 0)
        if len(messages) >= _LEAST:
            for chain in reversed(self._chains.get(messages[0], ())):
                shared = chain.shared(messages) if chain.since > after else 0
                if shared > len(best[0]):
                    best = chain.links[:shared], chain.since
                if shared == len(chain.messages):
                    break
        return best

    def keep(self, messages: tuple[bytes, ...], links: Sequence[bytes], since: int) -> None:
        """Remember a history in the place of what it goes on from."""
        if len(messages) < _LEAST:
            return
        chain = Chain(messages, list(links), since)
        if chain.size > self._limit >> 2:
            return
        alike = self._chains.setdefault(messages[0], [])
        self._chains.move_to_end(messages[0])
        for old in [each for each in alike if each.shares(len(each.messages), messages)]:
            alike.remove(old)
            self._size -= old.size
        alike.append(chain)
        self._size += chain.size
        if len(alike) > _ALIKE:
            self._size -= alike.pop(0).size
        while self._size > self._limit:
            first, oldest = next(iter(self._chains.items()))
            self._size -= oldest.pop(0).size
            if not oldest:
                del self._chains[first]

    def clear(self) -> None:
        """Know no more."""
        self._chains.clear()
        self._size = 0
