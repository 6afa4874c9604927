"""How often somebody failed in the last minute: who guesses tokens is stopped after a few."""

from collections.abc import Callable
from ipaddress import ip_address
from math import ceil
from time import monotonic

_WINDOW = 60.0
_MOST_PEERS = 4096


class Attempts:
    """Counts failures per peer, in windows that begin with the first one."""

    def __init__(self, limit: int, clock: Callable[[], float] = monotonic) -> None:
        """``limit``: failures within a minute, after which a peer is ``over``."""
        self._limit = limit
        self._clock = clock
        self._peers: dict[str, tuple[float, int]] = {}

    def over(self, peer: str) -> int:
        """Return the seconds until this peer may try again; 0: it may now."""
        began, count = self._peers.get(_network(peer), (0.0, 0))
        left = began + _WINDOW - self._clock()
        return ceil(left) if count >= self._limit and left > 0 else 0

    def add(self, peer: str) -> None:
        """Note one failure."""
        key, now = _network(peer), self._clock()
        began, count = self._peers.pop(key, (now, 0))
        if now - began >= _WINDOW:
            began, count = now, 0
        if len(self._peers) >= _MOST_PEERS:
            del self._peers[next(iter(self._peers))]  # the one that failed least recently
        self._peers[key] = (began, count + 1)


def _network(peer: str) -> str:
    """Return what one caller can't change at will: an IPv6 host has a whole /64 to itself."""
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if address.version == 4:
        return peer
    return str(address.ipv4_mapped or address.exploded[:19])
