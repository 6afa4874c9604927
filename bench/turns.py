"""Who is measured when: subjects share a core in turns of a tenth of a second.

So each one has the core to itself, and what disturbs the machine for longer than a turn disturbs all alike.
Processes agree on the turns by the clock that they share.
"""

from dataclasses import dataclass

TURN = 0.1


@dataclass(frozen=True)
class Turn:
    """The place of one subject in a cycle of `of` turns."""

    number: int = 0
    of: int = 1

    def away(self, now: float) -> int:
        """How many turns of others come first; 0 in one's own."""
        return (self.number - int(now / TURN)) % self.of

    def delay(self, now: float) -> float:
        """Seconds until the turn begins; 0 while it lasts."""
        away = self.away(now)
        return away * TURN - now % TURN if away else 0.0
