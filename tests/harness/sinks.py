"""What the gateway left behind: the rows of its database, read by another program, and what they must add up to."""

import itertools
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DEADLINE = 5.0
OUTCOMES = frozenset(
    {
        "ok", "client_error", "client_cancelled", "policy_blocked", "budget_denied", "rate_limited", "overloaded",
        "upstream_connect", "upstream_timeout", "upstream_reset", "upstream_protocol", "upstream_status",
        "not_evaluated", "draining", "lost", "internal",
    }
)  # fmt: skip
KINDS = frozenset(
    {
        "rate_limit", "authentication", "permission_denied", "invalid_request", "not_found", "context_too_long",
        "request_too_large", "content_filtered", "insufficient_balance", "usage_limit_exceeded", "overloaded",
        "server_error", "network_error", "timeout", "client_cancelled", "unknown",
    }
)  # fmt: skip
TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_ROUNDED = 0.001  # milliseconds: what rounding may turn around

_ROWS = f"""
    SELECT interactions.id, outcome, agent, team, user, provider, model, status, error_kind,
           started_at, duration_ms, {", ".join(TOKENS)}, cost, session, interactions.data
    FROM interactions JOIN facets ON facets.id = interactions.facet ORDER BY interactions.id
"""  # names of ours
_COMPRESSED = b"\x01\x28\xb5\x2f\xfd"


@dataclass(frozen=True)
class Row:
    id: str
    outcome: str
    agent: str | None
    team: str | None
    user: str | None
    provider: str
    model: str | None
    status: int | None
    error_kind: str | None
    started_at: float
    duration_ms: float | None
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    cost: int | None
    session: str | None
    data: str

    @property
    def more(self) -> dict[str, Any]:
        """What is in no column of its own; what is not known is not there."""
        return dict(orjson.loads(self.data))

    def check(self) -> None:
        """It makes sense, whatever interaction it is of: closed sets, times in order, usage with its source."""
        more = self.more
        assert self.outcome in OUTCOMES, self
        assert self.error_kind in {*KINDS, None}, self
        assert self.error_kind is None or self.outcome != "ok", self
        assert time.time() - 3600 < self.started_at < time.time() + 1, self
        source = more.get("usage_source", "none")
        assert (source == "none") == all(getattr(self, name) is None for name in TOKENS), self
        assert source in {"none", "reported", "estimated"}, self
        assert self.cost is None or source != "none", self
        assert more.get("attempts") or source == "none", f"nothing was sent, and something used: {self}"
        if self.outcome == "lost":
            return
        first_byte = more.get("first_byte_ms")
        assert (first_byte is None) == (self.status is None), f"a status leaves with the first byte: {self}"
        times = (0.0, more.get("overhead_ms"), first_byte, self.duration_ms)
        known = [each for each in times if each is not None]
        assert all(a <= b + _ROUNDED for a, b in itertools.pairwise(known)), f"{times}: {self}"
        assert self.duration_ms is not None, self
        assert 0 <= more.get("first_token_ms", 0) <= self.duration_ms, self
        assert self.status is not None or not more.get("response_bytes"), self


def _query(state: Path | str, query: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{state}/gateway.db?mode=ro", uri=True, timeout=10)) as connection:
        return connection.execute(query).fetchall()


def rows(state: Path | str) -> list[Row]:
    """Every interaction that is stored, oldest first."""
    return [Row(*row) for row in _query(state, _ROWS)]


def in_flight(state: Path | str) -> list[str]:
    """The interactions that have begun and not ended, as far as the database knows."""
    return [id_ for (id_,) in _query(state, "SELECT id FROM in_flight")]


def summed(state: Path | str) -> tuple[int, int, int]:
    """Requests, input tokens and output tokens, as the sums by hour have them."""
    [(requests, given, got)] = _query(
        state, "SELECT sum(requests), sum(input_tokens), sum(output_tokens) FROM usage_by_hour"
    )
    return requests or 0, given or 0, got or 0


def decompressed(state: Path | str) -> Iterator[bytes]:
    """What is compressed in the database, and so can't be read in its file."""
    try:
        tables = _query(state, "SELECT name FROM sqlite_schema WHERE type = 'table'")
    except sqlite3.DatabaseError:
        return  # a test has put something else in its place
    for (table,) in tables:
        for row in _query(state, f'SELECT * FROM "{table}"'):  # as above
            for cell in row:
                if isinstance(cell, bytes) and cell.startswith(_COMPRESSED):
                    yield zstd.decompress(cell[1:])


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
    for row in found:
        row.check()
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
