"""What the gateway left behind: the rows of its database, read by another program, and what they must add up to."""

import sqlite3
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEADLINE = 5.0

_ROWS = """
    SELECT interactions.id, outcome, agent, provider, model, status, input_tokens, output_tokens
    FROM interactions JOIN facets ON facets.id = interactions.facet
"""


@dataclass(frozen=True)
class Row:
    id: str
    outcome: str
    agent: str | None
    provider: str
    model: str | None
    status: int | None
    input_tokens: int | None
    output_tokens: int | None


def rows(state: Path | str) -> list[Row]:
    """Every interaction that is stored."""
    with closing(sqlite3.connect(f"file:{state}/gateway.db?mode=ro", uri=True, timeout=10)) as connection:
        return [Row(*row) for row in connection.execute(_ROWS)]


def in_flight(state: Path | str) -> list[str]:
    """The interactions that have begun and not ended, as far as the database knows."""
    with closing(sqlite3.connect(f"file:{state}/gateway.db?mode=ro", uri=True, timeout=10)) as connection:
        return [id_ for (id_,) in connection.execute("SELECT id FROM in_flight")]


def summed(state: Path | str) -> tuple[int, int, int]:
    """Requests, input tokens and output tokens, as the sums by hour have them."""
    with closing(sqlite3.connect(f"file:{state}/gateway.db?mode=ro", uri=True, timeout=10)) as connection:
        query = "SELECT sum(requests), sum(input_tokens), sum(output_tokens) FROM usage_by_hour"
        requests, given, got = connection.execute(query).fetchone()
        return requests or 0, given or 0, got or 0


def check_stored(state: Path | str, lines: list[dict[str, Any]]) -> None:
    """I1, I10: one row for every line whose caller was known, and none beside; the sums are those of the rows.

    ``lines``: the interactions that the log tells of. The gateway has stopped, so nothing is in flight any more.
    """
    if not (Path(state) / "gateway.db").exists():
        return  # it keeps its state elsewhere
    wanted = {line["id"]: line["outcome"] for line in lines if line["agent"] is not None}
    told = Counter(line["id"] for line in lines)
    assert not [id_ for id_, count in told.items() if count > 1], "I1: an interaction was logged twice"
    found = rows(state)
    stored = {row.id: row.outcome for row in found}
    assert len(stored) == len(found), "I1: an interaction is stored twice"
    assert stored == wanted, f"I1: {_difference(stored, wanted)}"
    assert not in_flight(state), f"I1: {in_flight(state)} never ended"
    sums = (len(found), sum(r.input_tokens or 0 for r in found), sum(r.output_tokens or 0 for r in found))
    assert summed(state) == sums, f"I10: the sums by hour are {summed(state)}, those of the rows {sums}"


def _difference(stored: dict[str, str], wanted: dict[str, str]) -> str:
    missing = [id_ for id_ in wanted if id_ not in stored]
    beside = [id_ for id_ in stored if id_ not in wanted]
    other = [(id_, stored[id_], wanted[id_]) for id_ in wanted if stored.get(id_, wanted[id_]) != wanted[id_]]
    return f"{len(missing)} not stored {missing[:3]}, {len(beside)} not logged {beside[:3]}, other outcome {other[:3]}"


def wait_for(state: Path | str, ids: set[str], deadline: float = DEADLINE) -> set[str]:
    """Wait until these are stored; return those that are not."""
    end = time.monotonic() + deadline
    while missing := ids - {row.id for row in rows(state)}:
        if time.monotonic() > end:
            return missing
        time.sleep(0.05)
    return set()
