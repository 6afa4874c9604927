"""What must hold when a gateway's process has ended, whatever a test did to it: its sinks agree, and hold no secret."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.harness import canaries, sinks
from tests.harness.scrape import Scrape

# What the loop, the interpreter or a crash says; none of it is a way to report a fault of somebody else.
COMPLAINTS = (
    "Task exception was never retrieved",
    "Future exception was never retrieved",
    "was never awaited",
    "Unclosed ",
    "unclosed ",
    "Task was destroyed but it is pending",
    "Exception in callback",
    "Unhandled exception",
    "exception was never retrieved",
    "Error handling request",
    "Traceback (most recent call last)",
    "a log line that is no JSON",
)


@dataclass(frozen=True)
class Ended:
    """A gateway that has ended, and all that is left of it."""

    lines: Sequence[str]
    interactions: Sequence[dict[str, Any]]
    state: Path
    own_state: bool
    """Nothing but this process has written there."""
    secrets: Collection[str]
    """What none of its sinks may hold."""
    metrics: str | None = None
    """What its console showed in the end, once nothing was in flight; ``None``: it was not asked."""
    tolerated: Sequence[str] = field(default_factory=tuple)
    """Complaints that the test has provoked."""

    def check(self, *, clean: bool) -> None:
        """``clean``: it was asked to end, and did so in good order."""
        check_output([line for line in self.lines if not any(part in line for part in self.tolerated)])
        shown = Scrape(self.metrics) if self.metrics else None
        if shown:
            check_counted(shown, self.interactions)
        if clean and self.own_state:
            sinks.check_stored(self.state, self.interactions)
        held = {"the output": "\n".join(self.lines).encode(), "the metrics": (self.metrics or "").encode()}
        canaries.check(held | canaries.in_folder(self.state), self.secrets)


def check_output(lines: Sequence[str]) -> None:
    """I7: neither the loop nor the interpreter complained."""
    bad = [line for line in lines if any(complaint in line for complaint in COMPLAINTS)]
    assert not bad, "I7: " + "\n".join(bad[:5])


def check_counted(shown: Scrape, interactions: Sequence[dict[str, Any]]) -> None:
    """I10: what the metrics count is what the log tells."""
    logged = Counter((line["provider"], line["outcome"]) for line in interactions)
    counted = shown.by("gateway_requests_total", "provider", "outcome")
    assert counted == logged, f"I10: {counted - logged} only counted, {logged - counted} only logged"
    records = Counter(shown.values("gateway_log_records_total", "state"))
    assert records["enqueued"] == len(interactions), f"I10: {records} but {len(interactions)} are logged"
    assert not records["dropped"], f"I10: {records}"
    known = sum(line["agent"] is not None for line in interactions)
    assert records["committed"] + records["spilled"] == known, f"I10: {records}, {known} to be stored"
    ends = ("committed", "spilled", "rejected", "not_admitted", "dropped")
    waiting = shown.total("gateway_recorder_queue_records")
    assert records["enqueued"] == sum(records[end] for end in ends) + waiting, f"I10: {records}"
